//! One execution: a frame through the pipeline, and everything that must hold afterwards.

use std::fmt::{self, Write as _};

use isthmus_common::host::{HostTables, Record, SliceFrame};
use isthmus_common::pipeline::{Packet, process};
use isthmus_common::reason::{Reason, Verdict};
use isthmus_common::rules::Leg;
use isthmus_common::tables::Count;

use crate::model::{Situation, Tunnel, situations};
use crate::oracle::{Fate, Way, decide};
use crate::tables;

/// Bytes of an input in front of the frame: which situation, and which interface.
pub const HEAD: usize = 2;

/// All situations, with their tables.
pub struct Check {
    gateways: Vec<(Situation, HostTables)>,
}

/// What does not hold, on which frame.
#[derive(Debug, thiserror::Error)]
#[error("{fault}\n  situation: {situation}\n  ingress:   {ingress}\n  frame:     {frame}")]
pub struct Disagreement {
    fault: String,
    situation: &'static str,
    ingress: u32,
    frame: String,
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        // Writing to a string cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// Both of what was counted and what was expected.
fn differ(what: &str, wanted: impl fmt::Debug, got: impl fmt::Debug) -> String {
    format!("{what}: expected {wanted:?}, got {got:?}")
}

fn demand<T: PartialEq + fmt::Debug>(what: &str, wanted: T, got: T) -> Result<(), String> {
    if wanted == got { Ok(()) } else { Err(differ(what, wanted, got)) }
}

impl Default for Check {
    fn default() -> Self {
        Self::new()
    }
}

impl Check {
    /// Fills the tables of all situations.
    #[must_use]
    pub fn new() -> Self {
        let gateways = situations().into_iter().map(|situation| {
            let tables = tables::write(&situation);
            (situation, tables)
        });
        Self { gateways: gateways.collect() }
    }

    /// Runs an input; inputs too short to hold a choice count as zeros. Tells the reason.
    ///
    /// # Errors
    /// What does not hold.
    pub fn run(&self, input: &[u8]) -> Result<Reason, Disagreement> {
        let (situation, ingress, frame) = match input {
            [situation, ingress, frame @ ..] => (*situation, *ingress, frame),
            _ => (0, 0, &[][..]),
        };
        let (situation, tables) = &self.gateways[usize::from(situation) % self.gateways.len()];
        // Indexes 5 and 6 are there in most situations; 7 never is.
        let ingress = 5 + u32::from(ingress % 3);
        let mut after = frame.to_vec();
        tables.record.replace(Record::default());
        let mut view = SliceFrame(&mut after);
        let verdict = process(&mut view, tables, &mut Packet::default(), ingress);
        // What has been taken off in front is no part of the frame any more.
        let SliceFrame(after) = view;
        let record = tables.record.take();
        examine(situation, ingress, frame, after, verdict, &record).map_err(|fault| Disagreement {
            fault,
            situation: situation.name,
            ingress,
            frame: hex(frame),
        })
    }
}

fn examine(
    situation: &Situation,
    ingress: u32,
    before: &[u8],
    after: &[u8],
    verdict: Verdict,
    record: &Record,
) -> Result<Reason, String> {
    let reason = accounting(before.len() as u64, verdict, record)?;
    match decide(situation, ingress, before) {
        Fate::Stays(wanted) => demand("reason", wanted, reason)?,
        Fate::Hosts => demand("verdict", Verdict::Passed, verdict)?,
        Fate::Leaves(way) => {
            demand("reason", way.reason, reason)?;
            let legs: Vec<&(Leg, Reason)> = record.legs.keys().collect();
            demand("leg", vec![&(Leg::new(way.mapping, way.direction), reason)], legs)?;
            translated(&way, before, after)?;
        }
    }
    let leaves = matches!(verdict, Verdict::Redirected | Verdict::Transmitted);
    if !leaves && before != after {
        return Err(format!("a frame that is {} was changed: {after:02x?}", verdict.as_str()));
    }
    let event = record.last.as_ref().ok_or("no record of the packet's end")?;
    demand("event's reason, ingress and length", (reason.index(), ingress, before.len()), {
        (event.reason, event.ingress, event.length as usize)
    })?;
    demand("event's egress is there", leaves, event.egress != 0)?;
    Ok(reason)
}

/// Received once, accounted for once, under one reason, with its verdict.
fn accounting(bytes: u64, verdict: Verdict, record: &Record) -> Result<Reason, String> {
    let one = Count { packets: 1, bytes };
    demand("received", one, record.received)?;
    let mut reasons = record.reasons.iter();
    let (Some((reason, count)), None) = (reasons.next(), reasons.next()) else {
        return Err(differ("reasons", "one", &record.reasons));
    };
    demand("accounted for", one, *count)?;
    demand("verdict", reason.verdict(), verdict)?;
    if record.legs.len() > 1 || record.legs.iter().any(|((_, why), count)| (why, count) != (reason, &one)) {
        return Err(differ("legs", "one packet on one leg at most", &record.legs));
    }
    Ok(*reason)
}

/// Only what docs/wire-format.md names has changed, into what it says; checksums are as right or as wrong as before.
fn translated(way: &Way, before: &[u8], after: &[u8]) -> Result<(), String> {
    let lost = usize::from(way.lost);
    demand("length", before.len() - lost, after.len())?;
    let mut wanted = [&before[..50], &before[50 + lost..]].concat();
    for length in [16, 38] {
        let less = u16::from_be_bytes([before[length], before[length + 1]]) - way.lost;
        wanted[length..length + 2].copy_from_slice(&less.to_be_bytes());
    }
    wanted[0..6].copy_from_slice(&tables::hop_mac(way.member.vtep));
    wanted[6..12].copy_from_slice(&way.egress.mac);
    wanted[22] -= 1;
    wanted[26..30].copy_from_slice(&way.egress.addresses[0].octets());
    wanted[30..34].copy_from_slice(&way.member.vtep.octets());
    wanted[36..38].copy_from_slice(&way.network.port.to_be_bytes());
    match (way.tunnel, way.network.tunnel) {
        (Tunnel::Vxlan, Tunnel::Vxlan) => {}
        (Tunnel::Geneve, Tunnel::Geneve) => {
            // Fewer words of options, none of them critical.
            wanted[42] -= u8::try_from(lost / 4).map_err(|_| "more options than there can be")?;
            wanted[43] &= !0x40;
        }
        (Tunnel::Vxlan, Tunnel::Geneve) => wanted[42..50].copy_from_slice(&[0, 0, 0x65, 0x58, 0, 0, 0, 0]),
        (Tunnel::Geneve, Tunnel::Vxlan) => wanted[42..50].copy_from_slice(&[8, 0, 0, 0, 0, 0, 0, 0]),
    }
    wanted[46..49].copy_from_slice(&way.network.vni.to_be_bytes()[1..]);
    // The checksum fields are judged by what they cover.
    for checksum in [24..26, 40..42] {
        wanted[checksum.clone()].copy_from_slice(&after[checksum]);
    }
    if let Some(at) = (0..wanted.len()).find(|&at| wanted[at] != after[at]) {
        return Err(differ(&format!("byte {at}"), wanted[at], after[at]));
    }
    demand("IPv4 header's sum", residue(&ip_words(before)), residue(&ip_words(after)))?;
    if before[40..42] == [0, 0] {
        return demand("UDP checksum", &[0, 0][..], &after[40..42]);
    }
    if after[40..42] == [0, 0] {
        return Err("the UDP checksum has become zero, which means none".to_owned());
    }
    demand("UDP datagram's sum", residue(&udp_words(before)), residue(&udp_words(after)))
}

/// The 16-bit words of the outer IPv4 header.
fn ip_words(frame: &[u8]) -> Vec<u8> {
    frame[14..34].to_vec()
}

/// Pseudo-header and datagram (RFC 768).
fn udp_words(frame: &[u8]) -> Vec<u8> {
    let datagram = &frame[34..34 + usize::from(u16::from_be_bytes([frame[38], frame[39]]))];
    [&frame[26..34], &[0, 17], &frame[38..40], datagram].concat()
}

/// The sum of big-endian words in one's complement: 0 if a checksum among them is right, and otherwise by how
/// much it is wrong (RFC 1071: one's complement addition is addition modulo 2¹⁶ − 1).
#[must_use]
pub fn residue(bytes: &[u8]) -> u32 {
    let words =
        bytes.chunks(2).map(|word| u64::from(word[0]) << 8 | word.get(1).map_or(0, |low| u64::from(*low)));
    u32::try_from(words.sum::<u64>() % 0xffff).unwrap_or(u32::MAX)
}
