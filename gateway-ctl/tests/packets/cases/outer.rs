//! The outer headers: whose packet is it?

use std::net::Ipv4Addr;

use etherparse::IpNumber;
use isthmus_common::reason::Reason;
use isthmus_common::rules::Direction::Forward;

use super::{Case, request};
use crate::federation::{BLUE_PORT, EAST_ADDRESS, FAR_ADDRESS, RED_TO_BLUE, WEST, WEST_SECOND_ADDRESS};
use crate::frames::Outer;
use crate::frames::inner::{Segment, tcp_of};
use crate::oracle::TO_BLUE;

/// Outer headers, the VXLAN header not included.
const UP_TO_UDP: usize = 14 + 20 + 8;

pub(super) fn add(cases: &mut Vec<Case>) {
    headers(cases);
    fragments_and_options(cases);
    lengths(cases);
    cuts(cases);
}

fn headers(cases: &mut Vec<Case>) {
    let good = Outer::from_red(request());
    let edited = |edit: &dyn Fn(&mut Outer)| {
        let mut packet = good.clone();
        edit(&mut packet);
        packet
    };
    let patched = |at: usize, bytes: &[u8]| {
        let mut frame = good.build();
        frame[at..at + bytes.len()].copy_from_slice(bytes);
        frame
    };

    cases.push(
        Case::stays(
            "a frame on an interface that is not the gateway's is the host's",
            &good,
            Reason::NoInterface,
        )
        .arriving_on(99),
    );
    for (name, ether_type) in [
        ("ARP on the underlay is the host's", [0x08, 0x06]),
        ("another protocol than IP on the underlay is the host's", [0x88, 0xcc]),
    ] {
        cases.push(Case::untouched(name, WEST, patched(12, &ether_type), Reason::NotIp));
    }
    cases.push(Case::untouched(
        "an IPv4 packet that is said to be IPv6 is the host's",
        WEST,
        patched(12, &[0x86, 0xdd]),
        Reason::OuterMalformed,
    ));
    for (name, version_ihl) in [
        ("an IPv4 packet that says it is version 6 is the host's", 0x65),
        ("an IPv4 header shorter than itself is the host's", 0x44),
        ("an IPv4 header of no length is the host's", 0x40),
    ] {
        cases.push(Case::untouched(name, WEST, patched(14, &[version_ihl]), Reason::OuterMalformed));
    }

    for (name, destination) in [
        ("a tunnel packet to somebody else is the host's", Ipv4Addr::new(192, 0, 2, 77)),
        ("the gateway's address on another underlay is none on this one", FAR_ADDRESS),
        ("0.0.0.0 is nobody's address, though unused places hold it", Ipv4Addr::UNSPECIFIED),
        ("broadcast is not for the gateway", Ipv4Addr::BROADCAST),
    ] {
        cases.push(Case::stays(
            name,
            &edited(&|packet| packet.destination = destination.into()),
            Reason::NotForGateway,
        ));
    }
    for (name, destination) in [
        (
            "every address of the interface is the gateway's, and it sends from the one the route says",
            WEST_SECOND_ADDRESS,
        ),
        ("every address of the underlay is the gateway's on each of its interfaces", EAST_ADDRESS),
    ] {
        cases.push(Case::forwarded(
            name,
            &edited(&|packet| packet.destination = destination.into()),
            (RED_TO_BLUE, Forward),
            TO_BLUE,
        ));
    }

    for (name, protocol) in [
        ("TCP to the gateway is the host's", IpNumber::TCP),
        ("ICMP to the gateway is the host's", IpNumber::ICMP),
    ] {
        cases.push(Case::stays(name, &edited(&|packet| packet.protocol = protocol), Reason::NotTunnel));
    }
    for (name, port) in
        [("UDP to another port is the host's", 53), ("port 0 is no tunnel, though unused places hold it", 0)]
    {
        cases.push(Case::stays(name, &edited(&|packet| packet.destination_port = port), Reason::NotTunnel));
    }
    cases.push(Case::forwarded(
        "a network is found by its VNI on any of the gateway's ports",
        &edited(&|packet| packet.destination_port = BLUE_PORT),
        (RED_TO_BLUE, Forward),
        TO_BLUE,
    ));
}

fn fragments_and_options(cases: &mut Vec<Case>) {
    let good = Outer::from_red(request());
    let edited = |edit: &dyn Fn(&mut Outer)| {
        let mut packet = good.clone();
        edit(&mut packet);
        packet
    };
    cases.push(Case::stays(
        "a first outer fragment is the host's to reassemble",
        &edited(&|packet| packet.more_fragments = true),
        Reason::OuterFragment,
    ));
    cases.push(Case::stays(
        "a later outer fragment is the host's to reassemble",
        &edited(&|packet| packet.fragment_offset = 100),
        Reason::OuterFragment,
    ));

    for length in [4, 40] {
        cases.push(Case::stays(
            &format!("{length} bytes of outer options in front of a tunnel are dropped"),
            &edited(&|packet| packet.options = vec![1; length]),
            Reason::OuterOptions,
        ));
    }
    cases.push(Case::stays(
        "outer options in front of another port are the host's",
        &edited(&|packet| {
            packet.options = vec![1; 8];
            packet.destination_port = 53;
        }),
        Reason::NotTunnel,
    ));
}

fn lengths(cases: &mut Vec<Case>) {
    let good = Outer::from_red(request());
    for (name, excess) in [
        ("a UDP length beyond the IP packet is dropped", 1),
        ("a UDP length short of the IP packet is dropped", -1),
        (
            "a UDP length of nothing is dropped",
            i16::try_from(good.build().len()).unwrap().wrapping_neg() + 34,
        ),
    ] {
        cases.push(Case::stays(name, &Outer { udp_excess: excess, ..good.clone() }, Reason::OuterLength));
    }

    for padding in [1, 2, 300] {
        cases.push(Case::forwarded(
            &format!("{padding} bytes after the outer packet travel along and change nothing"),
            &Outer { padding: vec![0xa5; padding], ..good.clone() },
            (RED_TO_BLUE, Forward),
            TO_BLUE,
        ));
    }
    let jumbo =
        Outer::from_red(tcp_of(("10.0.0.11", 40_000), ("10.1.0.20", 80), Segment::Ack, &[0x77; 8_800]));
    cases.push(Case::forwarded(
        "a jumbo frame, of which only the beginning is in one piece, is forwarded whole",
        &jumbo,
        (RED_TO_BLUE, Forward),
        TO_BLUE,
    ));
}

/// A good frame that ends early, at every byte.
fn cuts(cases: &mut Vec<Case>) {
    let whole = Outer::from_red(request()).build();
    for length in 0..whole.len() {
        let reason = if length < UP_TO_UDP { Reason::OuterMalformed } else { Reason::OuterLength };
        cases.push(Case::untouched(
            &format!("a good frame cut to {length} bytes"),
            WEST,
            whole[..length].to_vec(),
            reason,
        ));
    }
}
