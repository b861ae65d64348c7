//! The inner frame: what can be read in it, and what can't.

use isthmus_common::reason::Reason;
use isthmus_common::rules::Direction::Forward;

use super::{Case, request};
use crate::federation::{RED_TO_BLUE, RED_TO_PINK};
use crate::frames::Outer;
use crate::frames::inner::{Segment, arp, icmp, other, solicitation, tcp, tcp_behind_options, udp};
use crate::oracle::{TO_BLUE, TO_PINK};

const ETHERNET: usize = 14;

pub(super) fn add(cases: &mut Vec<Case>) {
    cuts(cases);
    contradictions(cases);
    good(cases);
}

/// Inner frames cut at every byte, in outer packets that are sound.
fn cuts(cases: &mut Vec<Case>) {
    let frames = [
        ("a TCP segment", request()),
        ("a TCP segment on IPv6", tcp(("fd00:a::11", 1), ("fd00:b::20", 80), Segment::Syn)),
        ("a UDP datagram", udp(("10.0.0.11", 1), ("10.1.0.20", 53))),
        ("an echo request", icmp("10.0.0.11", "10.1.0.20", 8)),
        ("an ARP request", arp("10.0.0.11", "10.1.0.20", 1)),
        ("a neighbour solicitation", solicitation("fd00:a::11", "fd00:b::20")),
    ];
    for (what, inner) in frames {
        for length in 0..inner.len() {
            let reason = if length < ETHERNET { Reason::OuterLength } else { Reason::InnerMalformed };
            cases.push(Case::stays(
                &format!("{what} cut to {length} bytes inside a sound outer packet"),
                &Outer::from_red(inner[..length].to_vec()),
                reason,
            ));
        }
        // What was cut off follows as padding: it is nobody's header.
        for length in [ETHERNET, ETHERNET + 20, ETHERNET + 27] {
            let packet =
                Outer { padding: inner[length..].to_vec(), ..Outer::from_red(inner[..length].to_vec()) };
            cases.push(Case::stays(
                &format!("{what} of which all but {length} bytes are padding"),
                &packet,
                Reason::InnerMalformed,
            ));
        }
    }
}

fn contradictions(cases: &mut Vec<Case>) {
    let broken = |name: &str, at: usize, bytes: &[u8], inner: Vec<u8>| {
        let mut inner = inner;
        inner[ETHERNET + at..ETHERNET + at + bytes.len()].copy_from_slice(bytes);
        Case::stays(name, &Outer::from_red(inner), Reason::InnerMalformed)
    };
    let v6 = || tcp(("fd00:a::11", 1), ("fd00:b::20", 80), Segment::Syn);
    let ask = || arp("10.0.0.11", "10.1.0.20", 1);
    cases.extend([
        broken("an inner IPv4 packet of version 6", 0, &[0x65], request()),
        broken("an inner IPv4 header shorter than itself", 0, &[0x44], request()),
        broken("an inner IPv4 header longer than its packet", 0, &[0x4f], request()),
        broken("an inner IPv4 packet of no length", 2, &[0, 0], request()),
        broken("an inner IPv4 packet shorter than its header", 2, &[0, 19], request()),
        broken("an inner IPv4 packet beyond the outer one", 2, &[0x7f, 0xff], request()),
        broken("an inner IPv6 packet of version 4", 0, &[0x45], v6()),
        broken("an inner IPv6 packet beyond the outer one", 4, &[0x7f, 0xff], v6()),
        broken("an inner IPv6 packet of no length", 4, &[0, 0], v6()),
        broken("ARP for another hardware", 0, &[0, 6], ask()),
        broken("ARP for another protocol", 2, &[0x86, 0xdd], ask()),
        broken("ARP with other lengths", 4, &[8, 4], ask()),
    ]);
    for (name, protocol, length) in [
        ("a TCP header cut by the inner IP packet's own length", 6, 13),
        ("a UDP header cut by the inner IP packet's own length", 17, 7),
        ("an ICMP header cut by the inner IP packet's own length", 1, 3),
        ("a TCP header that is not there at all", 6, 0),
    ] {
        let mut inner = other("10.0.0.11", "10.1.0.20", protocol, &vec![0; length]);
        // Bytes enough in the outer packet, but not in the inner one.
        inner.extend([0; 40]);
        cases.push(Case::stays(name, &Outer::from_red(inner), Reason::InnerMalformed));
    }
    for (name, source, destination) in [
        ("an IPv4-mapped inner source", "::ffff:10.0.0.11", "fd00:b::20"),
        ("an IPv4-mapped inner destination", "fd00:a::11", "::ffff:10.1.0.20"),
    ] {
        cases.push(Case::stays(
            name,
            &Outer::from_red(tcp((source, 1), (destination, 80), Segment::Syn)),
            Reason::InnerMalformed,
        ));
    }
    cases.push(Case::stays(
        "a neighbour solicitation for an IPv4-mapped address",
        &Outer::from_red(solicitation("fd00:a::11", "::ffff:10.1.0.20")),
        Reason::InnerMalformed,
    ));
}

fn good(cases: &mut Vec<Case>) {
    cases.push(Case::forwarded(
        "inner options do not hide the ports",
        &Outer::from_red(tcp_behind_options(("10.0.0.11", 1), ("10.1.0.20", 80))),
        (RED_TO_BLUE, Forward),
        TO_BLUE,
    ));
    cases.push(Case::refused(
        "inner options do not lend other ports",
        &Outer::from_red(tcp_behind_options(("10.0.0.11", 1), ("10.1.0.20", 81))),
        Reason::PortRefused,
        (RED_TO_BLUE, Forward),
    ));
    let mut padded = request();
    padded.extend([0; 30]);
    cases.push(Case::forwarded(
        "bytes after the inner packet travel along",
        &Outer::from_red(padded),
        (RED_TO_BLUE, Forward),
        TO_BLUE,
    ));
    cases.push(Case::forwarded(
        "an inner packet that is all header passes",
        &Outer::from_red(other("10.0.0.11", "10.2.0.40", 200, &[])),
        (RED_TO_PINK, Forward),
        TO_PINK,
    ));
    let mut odd = request();
    odd.push(0);
    cases.push(Case::forwarded(
        "a packet of the other parity passes",
        &Outer::from_red(odd),
        (RED_TO_BLUE, Forward),
        TO_BLUE,
    ));
}
