//! Changes of an input that know where a frame's fields are and what matters in them.
//!
//! Blind changes break a length long before they reach a decision; these change a field into something that means
//! something, and mend lengths and checksums after most changes.

use fastrand::Rng;

use crate::check::HEAD;
use crate::places::{OuterPlaces, mend_checksums, mend_lengths, places};
use crate::seeds::{identifier, option, ovn, seed};
use crate::senders::INNER_PORTS;
use crate::situations::{
    BLUE, GATEWAYS, GATEWAYS_V6, GENEVE_PORTS, LABEL, PEERS, PEERS_V6, RED, TAGS, V4, V6, VLANS, VTEPS,
    VTEPS_V6, VXLAN_PORTS, inner_mac,
};

/// Largest input that is made, bytes.
pub const LARGEST: usize = 1600;

/// Offset and width of fields, in each header …
type Fields = &'static [(usize, usize)];

/// … in IPv4: version and length, DSCP and ECN, length, identification, fragment, TTL, protocol, checksum,
/// addresses …
const IPV4: Fields =
    &[(0, 1), (1, 1), (1, 1), (2, 2), (4, 2), (6, 2), (8, 1), (9, 1), (10, 2), (12, 4), (16, 4)];
/// … in IPv6: version, class and flow label, length, next header, hop limit, addresses …
const IPV6: Fields = &[(0, 1), (1, 1), (1, 1), (2, 2), (4, 2), (6, 1), (7, 1), (8, 16), (24, 16)];
/// … in UDP: source, destination, length, checksum …
const UDP: Fields = &[(0, 2), (2, 2), (4, 2), (6, 2)];
/// … in VXLAN and Geneve: flags or version and options' length, flags, group or protocol type, VNI, reserved …
const TUNNEL: Fields = &[(0, 1), (1, 1), (2, 2), (4, 3), (4, 3), (7, 1)];
/// … in the first options: class, type, length, label and flags or ports, and the same of the one behind …
const OPTIONS: Fields =
    &[(0, 2), (2, 1), (3, 1), (4, 3), (7, 1), (8, 2), (10, 1), (11, 1), (12, 2), (14, 1), (15, 1)];
/// … in Ethernet …
const MACS: Fields = &[(0, 6), (6, 6)];
/// … and behind the inner Ethernet type: all of IP, then TCP, UDP and ICMP behind IPv4 and IPv6, neighbour
/// solicitations' target, and ARP.
const TRANSPORT: Fields = &[
    (20, 1),
    (20, 2),
    (22, 2),
    (33, 1),
    (40, 1),
    (40, 2),
    (42, 2),
    (53, 1),
    (48, 16),
    (0, 2),
    (2, 2),
    (4, 2),
    (14, 4),
    (24, 4),
];

const BYTES: &[u8] = &[
    0, 1, 2, 3, 4, 5, 12, 13, 16, 18, 134, 137, 6, 17, 58, 44, 47, 0x45, 0x46, 0x4f, 0x44, 0x55, 0x60, 0x61,
    0x6f, 0x08, 0x88, 0x0c, 0x48, 0x10, 0x12, 8, 11, 14, 128, 129, 135, 136, 0x7f, 0xff, 0x40, 0xc0, 0x80,
    0x81,
];
const EDGES: &[u16] = &[
    0, 1, 0x0800, 0x86dd, 0x0806, 0x8100, 0x88a8, 0x88cc, 0x2000, 0x4000, 0x8000, 0x1fff, 0x0604, 8, 15, 16,
    20, 28, 29, 30, 64, 110, 0xffff, 0x6558, 0xff49, 0x0102,
];

/// Changes an input, or replaces it by a new seed.
pub fn mutate(input: &mut Vec<u8>, rng: &mut Rng) {
    if input.len() < HEAD + 14 || rng.u8(..12) == 0 {
        *input = seed(rng);
    }
    for _ in 0..=rng.u8(..3) {
        change(input, rng);
        if input.len() <= HEAD {
            *input = seed(rng);
        }
    }
    if rng.u8(..3) > 0 {
        mend_lengths(&mut input[HEAD..]);
    }
    if rng.u8(..4) > 0 {
        mend_checksums(&mut input[HEAD..], rng.bool());
    }
    input.truncate(LARGEST);
}

fn change(input: &mut Vec<u8>, rng: &mut Rng) {
    let at = rng.usize(HEAD..input.len());
    match rng.u8(..32) {
        0 => input[..2].copy_from_slice(&rng.u16(..).to_be_bytes()),
        1 => input[2] = rng.u8(..),
        2..8 => outer_field(&mut input[HEAD..], rng),
        8..14 => inner_field(&mut input[HEAD..], rng),
        14 => input[at] ^= 1 << rng.u8(..8),
        15 => input[at] = rng.u8(..),
        16 => input.truncate(at),
        17 => input.extend((0..rng.usize(1..64)).map(|_| rng.u8(..))),
        18 => {
            // The head of this and the tail of another.
            let other = seed(rng);
            let at = rng.usize(HEAD..input.len().min(other.len()));
            input.truncate(at);
            input.extend(&other[at..]);
        }
        19 => input.extend(std::iter::repeat_n(0, rng.usize(1..900))),
        20 => ip_options(input, rng),
        21..24 => geneve_option(input, rng),
        24..26 => tag(input, rng),
        26 => extension_header(input, rng),
        27 => nest(input, rng),
        28 => {
            // The same frame under rules and numbers next to these.
            let number = u16::from_be_bytes([input[0], input[1]]).wrapping_add(64 * rng.u16(..1024));
            input[..2].copy_from_slice(&number.to_be_bytes());
        }
        _ => congestion(&mut input[HEAD..], rng),
    }
}

fn outer_field(frame: &mut [u8], rng: &mut Rng) {
    let Some(OuterPlaces { ip_at, is_v6, udp_at, tunnel_at, options }) = places(frame).outer else {
        return field(frame, 12, &[(0, 2), (2, 2), (4, 2)], rng);
    };
    match rng.u8(..10) {
        0 => field(frame, 12, &[(0, 2), (2, 2), (ip_at - 14, 2)], rng),
        1..4 => field(frame, ip_at, if is_v6 { IPV6 } else { IPV4 }, rng),
        4 => field(frame, udp_at, UDP, rng),
        5..8 => field(frame, tunnel_at, TUNNEL, rng),
        _ if options.is_some_and(|bytes| bytes > 0) => field(frame, tunnel_at + 8, OPTIONS, rng),
        _ => field(frame, tunnel_at, TUNNEL, rng),
    }
}

fn inner_field(frame: &mut [u8], rng: &mut Rng) {
    let places = places(frame);
    let at = places.inner_type_at + 2;
    match rng.u8(..8) {
        0 => field(frame, places.inner_at, MACS, rng),
        1 => field(frame, places.inner_type_at, &[(0, 2)], rng),
        2..5 => {
            let is_v6 = frame.get(at - 2) == Some(&0x86);
            field(frame, at, if is_v6 { IPV6 } else { IPV4 }, rng);
        }
        _ => field(frame, at, TRANSPORT, rng),
    }
}

/// Changes one of a header's fields.
fn field(frame: &mut [u8], header_at: usize, fields: &[(usize, usize)], rng: &mut Rng) {
    let (at, width) = fields[rng.usize(..fields.len())];
    let Some(field) = frame.get_mut(header_at + at..header_at + at + width) else { return };
    match width {
        1 if rng.u8(..4) == 0 => field[0] ^= 1 << rng.u8(..8),
        1 => field[0] = BYTES[rng.usize(..BYTES.len())],
        2 => {
            let old = u16::from_be_bytes([field[0], field[1]]);
            let known =
                [&VXLAN_PORTS[..], &GENEVE_PORTS, &INNER_PORTS, &VLANS, &TAGS.map(|tag| tag.id)].concat();
            let new = match rng.u8(..4) {
                0 => EDGES[rng.usize(..EDGES.len())],
                1 | 2 => known[rng.usize(..known.len())],
                _ => old.wrapping_add(rng.u16(..9)).wrapping_sub(4),
            };
            field.copy_from_slice(&new.to_be_bytes());
        }
        3 => {
            let vnis = [0, RED, BLUE, RED, BLUE, LABEL - 1, LABEL, LABEL + 1, LABEL + 2, 0x00ff_ffff];
            field.copy_from_slice(&vnis[rng.usize(..vnis.len())].to_be_bytes()[1..]);
        }
        4 => {
            let all = [&V4[..], &GATEWAYS].concat().concat();
            let all = [&all[..], &VTEPS, &PEERS, &[[0; 4].into(), [255; 4].into()]].concat();
            field.copy_from_slice(&all[rng.usize(..all.len())].octets());
        }
        6 => {
            let all = [inner_mac(0, 0), inner_mac(0, 1), inner_mac(1, 0), inner_mac(1, 1), [0xff; 6]];
            field.copy_from_slice(&all[rng.usize(..all.len())]);
        }
        _ => {
            // As the gateway's tables keep MACs.
            let mac = isthmus_common::address::Address::mac(inner_mac(1, 1)).octets().into();
            let reserved = [V4[0][0].to_ipv6_mapped(), mac, 0.into(), 1.into()];
            let all = [&V6[..], &V6, &GATEWAYS_V6.concat(), &VTEPS_V6, &PEERS_V6, &reserved].concat();
            field.copy_from_slice(&all[rng.usize(..all.len())].octets());
        }
    }
}

/// Puts options into the outer or inner IPv4 header.
fn ip_options(input: &mut Vec<u8>, rng: &mut Rng) {
    let places = places(&input[HEAD..]);
    let at = match places.outer {
        Some(outer) if rng.bool() => HEAD + outer.ip_at,
        _ => HEAD + places.inner_type_at + 2,
    };
    let words = rng.u8(1..=10);
    if input.len() >= at + 20 && input[at] == 0x45 {
        input[at] += words;
        // No-operation, the shortest option there is.
        input.splice(at + 20..at + 20, std::iter::repeat_n(1, usize::from(words) * 4));
    }
}

/// Puts an option in front of a Geneve frame's others, or behind the first one, or takes the first words away.
fn geneve_option(input: &mut Vec<u8>, rng: &mut Rng) {
    let Some(OuterPlaces { tunnel_at, options: Some(bytes), .. }) = places(&input[HEAD..]).outer else {
        return;
    };
    let (header, at) = (HEAD + tunnel_at, HEAD + tunnel_at + 8);
    if input.len() < at + bytes {
        return;
    }
    let new = match rng.u8(..6) {
        0 if bytes >= 4 => {
            let words = rng.usize(1..=(bytes / 4).min(3));
            input.drain(at..at + words * 4);
            input[header] -= u8::try_from(words).unwrap_or_default();
            return;
        }
        1 => identifier(LABEL + rng.u32(..3)),
        2 => ovn(rng),
        _ => option(rng),
    };
    let Ok(words) = u8::try_from(new.len() / 4) else { return };
    let first = input.get(at + 3).map_or(0, |length| 4 + 4 * usize::from(length % 32));
    let behind = if rng.bool() && first <= bytes { first } else { 0 };
    if input[header] & 0x3f <= 0x3f - words {
        input[header] += words;
        if rng.u8(..4) > 0 {
            input[header + 1] |= 0x40;
        }
        input.splice(at + behind..at + behind, new);
    }
}

/// Puts a VLAN tag in front of the others, or takes the first one away.
fn tag(input: &mut Vec<u8>, rng: &mut Rng) {
    let at = HEAD + 12;
    if input.len() < at + 6 {
        return;
    }
    if places(&input[HEAD..]).tags > 0 && rng.bool() {
        input.drain(at..at + 4);
        return;
    }
    let ids = [0, VLANS[0], VLANS[1], TAGS[0].id, TAGS[1].id, TAGS[2].id, 1, 4095];
    let control = ids[rng.usize(..ids.len())] | rng.u16(..16) << 12;
    let kind: [u8; 2] = if rng.u8(..3) == 0 { [0x88, 0xa8] } else { [0x81, 0x00] };
    input.splice(at..at, [kind, control.to_be_bytes()].concat());
}

/// Puts an extension header behind an IPv6 header.
fn extension_header(input: &mut Vec<u8>, rng: &mut Rng) {
    let places = places(&input[HEAD..]);
    let at = match places.outer {
        Some(outer) if outer.is_v6 && rng.bool() => HEAD + outer.ip_at,
        _ => HEAD + places.inner_type_at + 2,
    };
    if input.len() >= at + 40 && input[at] >> 4 == 6 {
        let kind = [0, 43, 44, 60][rng.usize(..4)];
        let next = std::mem::replace(&mut input[at + 6], kind);
        input.splice(at + 40..at + 40, [next, 0, 0, rng.u8(..2), 0, 0, 0, 0]);
    }
}

/// Puts a whole frame where the inner one was.
fn nest(input: &mut Vec<u8>, rng: &mut Rng) {
    let at = HEAD + places(&input[HEAD..]).inner_at;
    let other = seed(rng);
    if at > HEAD && at < input.len() {
        input.truncate(at);
        input.extend(&other[HEAD..]);
    }
}

/// Marks the outer and the inner packet.
fn congestion(frame: &mut [u8], rng: &mut Rng) {
    let places = places(frame);
    if let Some(outer) = places.outer {
        let shift = if outer.is_v6 { 4 } else { 0 };
        mark(frame, outer.ip_at + 1, shift, rng);
    }
    let shift = if frame.get(places.inner_type_at) == Some(&0x86) { 4 } else { 0 };
    mark(frame, places.inner_type_at + 3, shift, rng);
}

fn mark(frame: &mut [u8], at: usize, shift: u8, rng: &mut Rng) {
    if let Some(byte) = frame.get_mut(at) {
        *byte = *byte & !(3 << shift) | rng.u8(..4) << shift;
    }
}
