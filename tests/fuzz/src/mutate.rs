//! Changes of an input that know where a frame's fields are and what matters in them.
//!
//! Blind changes break a length long before they reach a decision; these change a field into something that means
//! something, and mend lengths and checksums after changes every other time.

use std::ops::Range;

use fastrand::Rng;

use crate::check::{HEAD, residue};
use crate::model::{
    BLUE, BLUE_V4, BLUE_V6, GATEWAYS, GENEVE_PORTS, LABEL, PORTS, RED, RED_V4, RED_V6, VTEPS,
};
use crate::seeds::{INNER_PORTS, option, seed};

/// Largest input that is made, bytes.
pub const LARGEST: usize = 1600;

/// Offset in the frame and width of fields: the outer headers'…
const OUTER: &[(usize, usize)] = &[
    (12, 2), // Ethernet type
    (14, 1), // version and header length
    (15, 1), // DSCP and ECN
    (16, 2), // total length
    (20, 2), // flags and fragment offset
    (22, 1), // TTL
    (23, 1), // protocol
    (24, 2), // header checksum
    (26, 4), // source
    (30, 4), // destination
    (36, 2), // UDP destination port
    (38, 2), // UDP length
    (40, 2), // UDP checksum
    (42, 1), // VXLAN flags; Geneve version and length of options
    (43, 1), // Geneve flags
    (44, 2), // Geneve protocol type
    (46, 3), // VNI
    (49, 1), // reserved
];
/// … those of the first Geneve options, if they are the identifier and another…
const OPTIONS: &[(usize, usize)] = &[
    (50, 2), // class
    (52, 1), // type
    (53, 1), // length
    (54, 3), // label
    (57, 1), // flags
    (62, 2), // the other's class
    (64, 1), // type
    (65, 1), // length
];
/// … and the inner ones', of all protocols, behind a tunnel header without options.
const INNER: &[(usize, usize)] = &[
    (62, 2), // Ethernet type
    // IPv4 (version, total length, fragment, protocol, addresses), then TCP, UDP, ICMP
    (64, 1),
    (66, 2),
    (70, 2),
    (73, 1),
    (76, 4),
    (80, 4),
    (84, 1),
    (84, 2),
    (86, 2),
    (97, 1),
    // IPv6 (payload length, next header, addresses), then TCP, UDP, ICMPv6, neighbour solicitation
    (68, 2),
    (70, 1),
    (72, 16),
    (88, 16),
    (104, 1),
    (104, 2),
    (106, 2),
    (117, 1),
    (112, 16),
    // ARP: hardware, protocol, lengths, sender, target
    (64, 2),
    (66, 2),
    (68, 2),
    (78, 4),
    (88, 4),
];

const BYTES: &[u8] = &[
    0, 1, 2, 4, 5, 12, 13, 16, 18, 134, 137, 6, 17, 58, 44, 47, 0x45, 0x46, 0x4f, 0x44, 0x55, 0x60, 0x6f,
    0x08, 0x88, 0x0c, 0x48, 0x02, 0x10, 0x12, 3, 8, 11, 14, 128, 129, 135, 136, 0x7f, 0xff, 0x40, 0xc0, 0x81,
];
const EDGES: &[u16] = &[
    0, 1, 0x0800, 0x86dd, 0x0806, 0x8100, 0x88cc, 0x2000, 0x4000, 0x1fff, 0x0604, 20, 28, 29, 30, 64, 110,
    0xffff, 0x6558, 0xff49,
];

/// Changes an input, or replaces it by a new seed.
pub fn mutate(input: &mut Vec<u8>, rng: &mut Rng) {
    if input.len() < HEAD + 50 || rng.u8(..16) == 0 {
        *input = seed(rng);
    }
    for _ in 0..=rng.u8(..3) {
        change(input, rng);
    }
    if rng.bool() {
        mend_lengths(&mut input[HEAD..]);
    }
    if rng.bool() {
        mend_checksums(&mut input[HEAD..]);
    }
    input.truncate(LARGEST);
}

fn change(input: &mut Vec<u8>, rng: &mut Rng) {
    match rng.u8(..26) {
        0 => input[0] = rng.u8(..),
        1 => input[1] = rng.u8(..),
        2..6 => field(&mut input[HEAD..], OUTER, 0, rng),
        6..13 => {
            let behind = options_len(&input[HEAD..]);
            field(&mut input[HEAD..], INNER, behind, rng);
        }
        13 | 14 => {
            let at = rng.usize(HEAD..input.len());
            input[at] ^= 1 << rng.u8(..8);
        }
        15 => {
            let at = rng.usize(HEAD..input.len());
            input[at] = rng.u8(..);
        }
        16 => input.truncate(rng.usize(HEAD..=input.len())),
        17 => input.extend((0..rng.usize(1..64)).map(|_| rng.u8(..))),
        18 => {
            // The head of this and the tail of another.
            let other = seed(rng);
            let at = rng.usize(HEAD..input.len().min(other.len()));
            input.truncate(at);
            input.extend(&other[at..]);
        }
        19 => input.extend(std::iter::repeat_n(0, rng.usize(1..900))),
        20 => options(input, HEAD + 14, rng),
        21 => {
            let behind = options_len(&input[HEAD..]);
            options(input, HEAD + behind + 64, rng);
        }
        22 | 23 => geneve_option(input, rng),
        _ if options_len(&input[HEAD..]) > 0 => field(&mut input[HEAD..], OPTIONS, 0, rng),
        _ => {}
    }
    if input.len() <= HEAD {
        *input = seed(rng);
    }
}

/// Puts options into the IPv4 header at an offset.
fn options(input: &mut Vec<u8>, at: usize, rng: &mut Rng) {
    let words = rng.u8(1..=10);
    if input.len() >= at + 20 && input[at] == 0x45 {
        input[at] += words;
        // No-operation, the shortest option there is.
        input.splice(at + 20..at + 20, std::iter::repeat_n(1, usize::from(words) * 4));
    }
}

/// Bytes of options in a frame's Geneve header; 0 if it has none.
fn options_len(frame: &[u8]) -> usize {
    match frame.get(36..43) {
        Some([high, low, .., words]) if GENEVE_PORTS.contains(&u16::from_be_bytes([*high, *low])) => {
            usize::from(words & 0x3f) * 4
        }
        _ => 0,
    }
}

/// Puts an option in front of a Geneve frame's others, or behind the first one if that is the identifier.
fn geneve_option(input: &mut Vec<u8>, rng: &mut Rng) {
    let (port, at) = (HEAD + 36..HEAD + 38, HEAD + 50);
    if input.len() < at || !GENEVE_PORTS.map(u16::to_be_bytes).iter().any(|own| input[port.clone()] == *own) {
        return;
    }
    let new = option(rng);
    let Ok(words) = u8::try_from(new.len() / 4) else { return };
    let has_room = input[HEAD + 42] & 0x3f <= 0x3f - words;
    let behind = if input[at..].starts_with(&[0xff, 0x49, 0x81, 2]) && rng.u8(..4) > 0 { 12 } else { 0 };
    if has_room && input.len() >= at + behind {
        input[HEAD + 42] += words;
        input.splice(at + behind..at + behind, new);
    }
}

/// Changes one of the fields, which are so many bytes further behind.
fn field(frame: &mut [u8], fields: &[(usize, usize)], behind: usize, rng: &mut Rng) {
    let (at, width) = fields[rng.usize(..fields.len())];
    let at = at + behind;
    let Some(field) = frame.get_mut(at..at + width) else { return };
    match width {
        1 => field[0] = BYTES[rng.usize(..BYTES.len())],
        2 => {
            let old = u16::from_be_bytes([field[0], field[1]]);
            let new = match rng.u8(..5) {
                0 => EDGES[rng.usize(..EDGES.len())],
                1 => PORTS[rng.usize(..PORTS.len())],
                2 => GENEVE_PORTS[rng.usize(..GENEVE_PORTS.len())],
                3 => INNER_PORTS[rng.usize(..INNER_PORTS.len())],
                _ => old.wrapping_add(rng.u16(..9)).wrapping_sub(4),
            };
            field.copy_from_slice(&new.to_be_bytes());
        }
        3 => {
            let vnis = [0, RED, BLUE, LABEL - 1, LABEL, LABEL + 1, LABEL + 2, 0x00ff_ffff];
            field.copy_from_slice(&vnis[rng.usize(..vnis.len())].to_be_bytes()[1..]);
        }
        4 => {
            let all = [&RED_V4[..], &BLUE_V4, &GATEWAYS, &VTEPS].concat();
            field.copy_from_slice(&all[rng.usize(..all.len())].octets());
        }
        _ => {
            let all = [RED_V6, BLUE_V6, RED_V4[0].to_ipv6_mapped(), BLUE_V4[0].to_ipv6_mapped()];
            field.copy_from_slice(&all[rng.usize(..all.len())].octets());
        }
    }
}

/// Outer and inner lengths that fit the frame.
fn mend_lengths(frame: &mut [u8]) {
    put(frame, 16..18, frame.len().saturating_sub(14));
    put(frame, 38..40, frame.len().saturating_sub(34));
    let behind = options_len(frame);
    let (at, left) = (64 + behind, frame.len().saturating_sub(64 + behind));
    match frame.get(at - 2..at) {
        Some([0x08, 0x00]) => put(frame, at + 2..at + 4, left),
        Some([0x86, 0xdd]) => put(frame, at + 4..at + 6, left.saturating_sub(40)),
        _ => {}
    }
}

/// A right outer IPv4 header checksum, and a right UDP checksum where there is one.
fn mend_checksums(frame: &mut [u8]) {
    if frame.len() < 42 {
        return;
    }
    put(frame, 24..26, 0);
    put(frame, 24..26, complement(&frame[14..34]));
    let end = 34 + usize::from(u16::from_be_bytes([frame[38], frame[39]]));
    if frame[40..42] == [0, 0] || end < 42 || end > frame.len() {
        return;
    }
    put(frame, 40..42, 0);
    let covered = [&frame[26..34], &[0, 17], &frame[38..40], &frame[34..end]].concat();
    put(frame, 40..42, complement(&covered));
}

/// The checksum of bytes; never zero, which in UDP means none.
fn complement(bytes: &[u8]) -> usize {
    0xffff - residue(bytes) as usize
}

fn put(frame: &mut [u8], field: Range<usize>, value: usize) {
    if let (Some(field), Ok(value)) = (frame.get_mut(field), u16::try_from(value)) {
        field.copy_from_slice(&value.to_be_bytes());
    }
}
