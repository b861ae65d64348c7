//! One execution: a frame through the pipeline, and everything that must hold afterwards.

use std::cell::RefCell;
use std::collections::HashMap;
use std::fmt::{self, Write as _};
use std::rc::Rc;

use isthmus_common::address::Address;
use isthmus_common::host::{BufferFrame, HostTables, Record};
use isthmus_common::pipeline::{Packet, process};
use isthmus_common::reason::{Reason, Verdict};
use isthmus_common::rules::Leg;
use isthmus_common::tables::Count;

use crate::compare::translated;
use crate::learn;
use crate::model::Situation;
use crate::oracle::{Fate, decide};
use crate::situations::{SITUATIONS, situation};
use crate::{tables, twin};

/// Bytes of an input in front of the frame: which situation, two of them, and which interface, with how much
/// room in front of the frame.
pub const HEAD: usize = 3;

/// Situations that are kept ready.
const KEPT: usize = 4096;

/// Runs inputs, and keeps the tables of situations that may come again.
#[derive(Default)]
pub struct Check {
    gateways: RefCell<HashMap<u16, Rc<Gateway>>>,
}

/// A situation and its tables.
struct Gateway {
    situation: Situation,
    tables: HostTables,
}

/// What does not hold, on which frame.
#[derive(Debug, thiserror::Error)]
#[error(
    "{fault}\n  situation: {situation}\n  ingress:   {ingress}, headroom {headroom}\n  frame:     {frame}\n  \
     input:     {input}"
)]
pub struct Disagreement {
    fault: String,
    situation: String,
    ingress: u32,
    headroom: usize,
    frame: String,
    input: String,
}

/// What has become of a frame.
pub(crate) struct Outcome {
    pub(crate) after: Vec<u8>,
    pub(crate) verdict: Verdict,
    pub(crate) record: Record,
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        // Writing to a string cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// Both of what was counted and what was expected.
pub(crate) fn differ(what: &str, wanted: impl fmt::Debug, got: impl fmt::Debug) -> String {
    format!("{what}: expected {wanted:02x?}, got {got:02x?}")
}

pub(crate) fn demand<T: PartialEq + fmt::Debug>(what: &str, wanted: T, got: T) -> Result<(), String> {
    if wanted == got { Ok(()) } else { Err(differ(what, wanted, got)) }
}

/// An input's choices and its frame; inputs too short to hold them count as zeros.
pub(crate) struct Input<'i> {
    pub(crate) situation: u16,
    pub(crate) ingress: u32,
    pub(crate) headroom: usize,
    pub(crate) frame: &'i [u8],
}

impl<'i> Input<'i> {
    pub(crate) fn read(input: &'i [u8]) -> Self {
        let (situation, choice, frame) = match input {
            [high, low, choice, frame @ ..] => (u16::from_be_bytes([*high, *low]), *choice, frame),
            _ => (0, 0, &[][..]),
        };
        // Indexes 5 and 6 are there in every situation; 7 never is.
        let ingress = 5 + u32::from(choice % 3);
        let headroom = match choice / 3 {
            room @ 0..60 => usize::from(room) * 2,
            _ => 216,
        };
        Self { situation: situation % SITUATIONS, ingress, headroom, frame }
    }
}

impl Check {
    /// With no situation ready yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    fn gateway(&self, number: u16) -> Rc<Gateway> {
        let mut gateways = self.gateways.borrow_mut();
        if gateways.len() >= KEPT && !gateways.contains_key(&number) {
            gateways.clear();
        }
        let gateway = gateways.entry(number).or_insert_with(|| {
            let situation = situation(number);
            let tables = tables::write(&situation);
            Rc::new(Gateway { situation, tables })
        });
        Rc::clone(gateway)
    }

    /// Runs an input. Tells the reason.
    ///
    /// # Errors
    /// What does not hold.
    pub fn run(&self, input: &[u8]) -> Result<Reason, Disagreement> {
        let Input { situation, ingress, headroom, frame } = Input::read(input);
        let gateway = self.gateway(situation);
        gateway.examine(ingress, headroom, frame).map_err(|fault| Disagreement {
            fault,
            situation: format!("{situation}: {}", gateway.situation.name),
            ingress,
            headroom,
            frame: hex(frame),
            input: hex(input),
        })
    }
}

impl Gateway {
    fn process(&self, ingress: u32, headroom: usize, frame: &[u8]) -> Outcome {
        self.tables.record.replace(Record::default());
        let mut view = BufferFrame::with_headroom(frame, headroom);
        let verdict = process(&mut view, &self.tables, &mut Packet::default(), ingress);
        Outcome { after: view.bytes().to_vec(), verdict, record: self.tables.record.take() }
    }

    fn examine(&self, ingress: u32, headroom: usize, frame: &[u8]) -> Result<Reason, String> {
        let outcome = self.process(ingress, headroom, frame);
        let reason = accounting(frame.len() as u64, &outcome)?;
        let event = outcome.record.last.as_ref().ok_or("no record of the packet's end")?;
        let mut egress = 0;
        match decide(&self.situation, ingress, headroom, frame) {
            Fate::Stays(wanted) => demand("reason", wanted, reason)?,
            Fate::Hosts => demand("verdict", Verdict::Passed, outcome.verdict)?,
            Fate::Leaves(way) => {
                demand("reason", way.reason, reason)?;
                let legs: Vec<&(Leg, Reason)> = outcome.record.legs.keys().collect();
                demand("leg", vec![&(Leg::new(way.mapping.number, way.direction), reason)], legs)?;
                translated(&way.expected, frame, &outcome.after)?;
                if let Some((_, port_at)) = way.expected.chosen_port {
                    let twin = self.process(ingress, headroom, &twin::of(frame));
                    twin::agree(port_at, &outcome.after, &twin.after)?;
                }
                let names = way.names.map(Address::from);
                demand("event's inner addresses", names, [event.inner_source, event.inner_destination])?;
                egress = way.egress;
            }
        }
        if egress == 0 && frame != outcome.after {
            let verdict = outcome.verdict.as_str();
            return Err(differ(&format!("a frame that is {verdict}"), frame, outcome.after));
        }
        demand(
            "event's reason, ingress, egress and length",
            (reason.index(), ingress, egress, frame.len()),
            (event.reason, event.ingress, event.egress, event.length as usize),
        )?;
        learn::examine(&self.situation, ingress, frame, &outcome.record)?;
        Ok(reason)
    }
}

/// Received once, accounted for once, under one reason, with its verdict.
fn accounting(bytes: u64, outcome: &Outcome) -> Result<Reason, String> {
    let Outcome { record, verdict, .. } = outcome;
    let one = Count { packets: 1, bytes };
    demand("received", one, record.received)?;
    let mut reasons = record.reasons.iter();
    let (Some((reason, count)), None) = (reasons.next(), reasons.next()) else {
        return Err(differ("reasons", "one", &record.reasons));
    };
    demand("accounted for", one, *count)?;
    demand("verdict", reason.verdict(), *verdict)?;
    if record.legs.len() > 1 || record.legs.iter().any(|((_, why), count)| (why, count) != (reason, &one)) {
        return Err(differ("legs", "one packet on one leg at most", &record.legs));
    }
    Ok(*reason)
}
