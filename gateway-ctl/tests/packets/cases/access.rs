//! Who may do what: levels, protocols, ports, and what opens a flow.

use isthmus_common::reason::Reason;
use isthmus_common::rules::Direction::{Forward, Return};

use super::Case;
use crate::federation::{BLUE_TO_RED, RED_TO_BLUE, RED_TO_BLUE_TOO, RED_TO_PINK};
use crate::frames::Outer;
use crate::frames::inner::{Segment, arp, fragment, icmp, icmp6, other, solicitation, tcp, udp};
use crate::oracle::{TO_BLUE, TO_PINK, TO_RED};

const RED: &str = "10.0.0.11";
const RED6: &str = "fd00:a::11";
/// tcp 80, tcp 440-450, icmp: connect; with the other mapping udp 53: connect.
const WEB: &str = "10.1.0.20";
/// tcp 80, tcp 440-450, icmp: connect.
const WEB6: &str = "fd00:b::20";
/// Everything: connect.
const ANYTHING: &str = "10.1.0.21";
const ANYTHING6: &str = "fd00:b::21";
/// Everything: none.
const VAULT: &str = "10.1.0.22";
/// Everything: observe.
const TAP: &str = "10.1.0.23";
/// tcp: full, with the other mapping.
const TCP: &str = "10.1.0.24";
/// No resource.
const NOBODY: &str = "10.1.0.25";
/// tcp 22: connect, from blue.
const SSH: &str = "10.0.0.10";
/// Everything: full.
const PINK: &str = "10.2.0.40";

const HOPOPT: u8 = 0;
const GRE: u8 = 47;
const IPV6_FRAGMENT: u8 = 44;

pub(super) fn add(cases: &mut Vec<Case>) {
    requests(cases);
    answers(cases);
    levels(cases);
    icmp_messages(cases);
    resolution(cases);
    fragments(cases);
    both_ways(cases);
}

/// A row for a packet from red to blue.
fn there(name: &str, inner: Vec<u8>, outcome: Result<u8, (Reason, u8)>) -> Case {
    let packet = Outer::from_red(inner);
    match outcome {
        Ok(mapping) => Case::forwarded(name, &packet, (mapping, Forward), TO_BLUE),
        Err((reason, mapping)) => Case::refused(name, &packet, reason, (mapping, Forward)),
    }
}

/// A row for a packet from blue to red.
fn back(name: &str, inner: Vec<u8>, outcome: Result<u8, (Reason, u8)>) -> Case {
    let packet = Outer::from_blue(inner);
    match outcome {
        Ok(mapping) => Case::forwarded(name, &packet, (mapping, Return), TO_RED),
        Err((reason, mapping)) => Case::refused(name, &packet, reason, (mapping, Return)),
    }
}

fn requests(cases: &mut Vec<Case>) {
    for (port, ok) in [
        (80, true),
        (79, false),
        (81, false),
        (439, false),
        (440, true),
        (445, true),
        (450, true),
        (451, false),
        (0, false),
        (65_535, false),
    ] {
        let outcome = if ok { Ok(RED_TO_BLUE) } else { Err((Reason::PortRefused, RED_TO_BLUE)) };
        let name = format!("tcp 80 and 440-450 are granted: port {port}");
        cases.push(there(&name, tcp((RED, 9), (WEB, port), Segment::Syn), outcome));
        let name = format!("tcp 80 and 440-450 are granted on IPv6: port {port}");
        cases.push(there(&name, tcp((RED6, 9), (WEB6, port), Segment::Syn), outcome));
    }
    let refused = Err((Reason::PortRefused, RED_TO_BLUE));
    for segment in [Segment::Syn, Segment::SynAck, Segment::Ack, Segment::Rst] {
        let name = format!("the source may send any segment: {segment:?}");
        cases.push(there(&name, tcp((RED, 9), (WEB, 80), segment), Ok(RED_TO_BLUE)));
    }
    cases.extend([
        there("the source's own port does not matter", tcp((RED, 80), (WEB, 81), Segment::Syn), refused),
        there("a tcp port is not a udp port", udp((RED, 9), (WEB, 80)), refused),
        there("a udp port is not a tcp port", tcp((RED, 9), (WEB, 53), Segment::Syn), refused),
        there(
            "another mapping on the same address speaks for its own port",
            udp((RED, 9), (WEB, 53)),
            Ok(RED_TO_BLUE_TOO),
        ),
        there("a protocol without ports is not among ports", other(RED, WEB, GRE, &[1; 20]), refused),
        there(
            "a resource of any protocol takes tcp",
            tcp((RED, 9), (ANYTHING, 7), Segment::Syn),
            Ok(RED_TO_BLUE),
        ),
        there("a resource of any protocol takes udp", udp((RED, 9), (ANYTHING, 7)), Ok(RED_TO_BLUE)),
        there(
            "a resource of any protocol takes udp on IPv6",
            udp((RED6, 9), (ANYTHING6, 7)),
            Ok(RED_TO_BLUE),
        ),
        there("a resource of any protocol takes any", other(RED, ANYTHING, GRE, &[1; 20]), Ok(RED_TO_BLUE)),
        there("tcp without ports is every port", tcp((RED, 9), (TCP, 7), Segment::Syn), Ok(RED_TO_BLUE_TOO)),
        there(
            "tcp without ports is no udp",
            udp((RED, 9), (TCP, 7)),
            Err((Reason::PortRefused, RED_TO_BLUE_TOO)),
        ),
    ]);
    // IPv6 extension headers are not followed.
    let extension = [6, 0, 1, 4, 0, 0, 0, 0];
    cases.extend([
        there(
            "extension headers hide the protocol from rules that ask for one",
            other(RED6, WEB6, HOPOPT, &extension),
            refused,
        ),
        there(
            "extension headers do not matter where every protocol is granted",
            other(RED6, ANYTHING6, IPV6_FRAGMENT, &[59, 0, 0, 8, 0, 0, 0, 0]),
            Ok(RED_TO_BLUE),
        ),
    ]);
}

fn answers(cases: &mut Vec<Case>) {
    for (segment, ok) in
        [(Segment::Syn, false), (Segment::SynAck, true), (Segment::Ack, true), (Segment::Rst, true)]
    {
        let outcome = if ok { Ok(RED_TO_BLUE) } else { Err((Reason::ReturnOpens, RED_TO_BLUE)) };
        let name = format!("a resource under connect answers but opens nothing: {segment:?}");
        cases.push(back(&name, tcp((WEB, 80), (RED, 9), segment), outcome));
        let name = format!("a resource under connect answers but opens nothing, on IPv6: {segment:?}");
        cases.push(back(&name, tcp((WEB6, 80), (RED6, 9), segment), outcome));
        let name = format!("a resource under connect without ports answers but opens nothing: {segment:?}");
        cases.push(back(&name, tcp((ANYTHING, 1), (RED, 9), segment), outcome));
    }
    let refused = Err((Reason::PortRefused, RED_TO_BLUE));
    let unknown = Err((Reason::ReturnUnknown, RED_TO_BLUE));
    cases.extend([
        back("a resource answers from its ports only", tcp((WEB, 81), (RED, 9), Segment::SynAck), refused),
        back("the asker's port does not matter", tcp((WEB, 81), (RED, 80), Segment::SynAck), refused),
        back("udp answers from a listed port", udp((WEB, 53), (RED, 9)), Ok(RED_TO_BLUE_TOO)),
        back("udp does not answer from another port", udp((WEB, 54), (RED, 9)), refused),
        back(
            "udp without listed ports can't be told from a new flow",
            udp((ANYTHING, 53), (RED, 9)),
            unknown,
        ),
        back("nor can other protocols", other(ANYTHING, RED, GRE, &[1; 20]), unknown),
        back("nor on IPv6", udp((ANYTHING6, 53), (RED6, 9)), unknown),
    ]);
    cases.push(Case::stays(
        "an address of the network that is no resource answers nobody",
        &Outer::from_blue(tcp((NOBODY, 80), (RED, 9), Segment::SynAck)),
        Reason::Unlisted,
    ));
    cases.push(Case::stays(
        "an address that the network does not even declare answers nobody",
        &Outer::from_blue(tcp(("10.1.0.99", 80), (RED, 9), Segment::SynAck)),
        Reason::Unlisted,
    ));
    cases.push(Case::stays(
        "a resource does not answer whom the network does not declare",
        &Outer::from_blue(tcp((WEB, 80), ("10.0.0.99", 9), Segment::SynAck)),
        Reason::NotMapped,
    ));
}

fn levels(cases: &mut Vec<Case>) {
    let syn = |from: &str, to: &str| tcp((from, 1), (to, 2), Segment::Syn);
    let ack = |from: &str, to: &str| tcp((from, 1), (to, 2), Segment::Ack);
    let none = Err((Reason::AccessNone, RED_TO_BLUE));
    let observe = Err((Reason::AccessObserve, RED_TO_BLUE));
    cases.extend([
        there("none refuses requests", syn(RED, VAULT), none),
        there("none refuses what would continue", ack(RED, VAULT), none),
        there("none refuses datagrams", udp((RED, 1), (VAULT, 2)), none),
        there("none refuses ping", icmp(RED, VAULT, 8), none),
        back("none refuses answers", ack(VAULT, RED), none),
        back("none refuses new flows back", syn(VAULT, RED), none),
        there("observe sends nothing", syn(RED, TAP), observe),
        there("observe sends no datagrams", udp((RED, 1), (TAP, 2)), observe),
        back("observe answers nothing", ack(TAP, RED), observe),
        back("observe opens nothing", syn(TAP, RED), observe),
        there("full opens", syn(RED, TCP), Ok(RED_TO_BLUE_TOO)),
        back("full answers", ack(TCP, RED), Ok(RED_TO_BLUE_TOO)),
        back("full opens from the resource's side", syn(TCP, RED), Ok(RED_TO_BLUE_TOO)),
        back(
            "full on tcp is nothing on udp",
            udp((TCP, 1), (RED, 2)),
            Err((Reason::PortRefused, RED_TO_BLUE_TOO)),
        ),
    ]);
    let pink = |inner| Outer::from_red(inner);
    cases.push(Case::forwarded(
        "full takes datagrams",
        &pink(udp((RED, 1), (PINK, 2))),
        (RED_TO_PINK, Forward),
        TO_PINK,
    ));
    let from_pink = |inner| Outer { vni: crate::federation::PINK, ..Outer::from_red(inner) };
    for (name, inner) in [
        ("full sends datagrams from the resource's side", udp((PINK, 1), (RED, 2))),
        ("full sends echo requests from the resource's side", icmp(PINK, RED, 8)),
        ("full sends other protocols from the resource's side", other(PINK, RED, GRE, &[1; 20])),
    ] {
        cases.push(Case::forwarded(name, &from_pink(inner), (RED_TO_PINK, Return), TO_RED));
    }
}

fn icmp_messages(cases: &mut Vec<Case>) {
    let opens = Err((Reason::ReturnOpens, RED_TO_BLUE));
    for (what, kind) in [("echo request", 8), ("timestamp request", 13), ("an unknown type", 99)] {
        let name = format!("icmp: {what} may be sent");
        cases.push(there(&name, icmp(RED, WEB, kind), Ok(RED_TO_BLUE)));
        let name = format!("icmp: {what} opens, which an answer may not");
        cases.push(back(&name, icmp(WEB, RED, kind), opens));
    }
    for (what, kind) in [("echo reply", 0), ("timestamp reply", 14), ("address mask reply", 18)] {
        let name = format!("icmp: {what} answers");
        cases.push(back(&name, icmp(WEB, RED, kind), Ok(RED_TO_BLUE)));
    }
    for (what, kind) in [("unreachable", 3), ("time exceeded", 11), ("parameter problem", 12)] {
        let name = format!("icmp: {what} belongs to whatever is granted");
        cases.push(back(&name, icmp(TCP, RED, kind), Ok(RED_TO_BLUE_TOO)));
        let name = format!("icmp: {what} may go there as well");
        cases.push(there(&name, icmp(RED, TCP, kind), Ok(RED_TO_BLUE_TOO)));
        let name = format!("icmp: {what} about what is not granted is refused");
        cases.push(there(&name, icmp(RED, VAULT, kind), Err((Reason::PortRefused, RED_TO_BLUE))));
    }
    for (what, kind) in [("echo request", 128), ("router solicitation", 133)] {
        let name = format!("icmpv6: {what} may be sent");
        cases.push(there(&name, icmp6(RED6, WEB6, kind, b"echo"), Ok(RED_TO_BLUE)));
        let name = format!("icmpv6: {what} opens, which an answer may not");
        cases.push(back(&name, icmp6(WEB6, RED6, kind, b"echo"), opens));
    }
    cases.push(back("icmpv6: echo reply answers", icmp6(WEB6, RED6, 129, b"echo"), Ok(RED_TO_BLUE)));
    for (what, kind) in [("packet too big", 2), ("unreachable", 1), ("time exceeded", 3)] {
        let name = format!("icmpv6: {what} belongs to whatever is granted");
        cases.push(back(&name, icmp6(WEB6, RED6, kind, b"the packet"), Ok(RED_TO_BLUE)));
    }
    cases.push(there(
        "ping is refused where only tcp is granted",
        icmp(RED, TCP, 8),
        Err((Reason::PortRefused, RED_TO_BLUE_TOO)),
    ));
}

fn resolution(cases: &mut Vec<Case>) {
    let refused = Err((Reason::PortRefused, RED_TO_BLUE));
    cases.extend([
        there("whoever may send may ask for the MAC", arp(RED, WEB, 1), Ok(RED_TO_BLUE)),
        back("the answer comes back", arp(WEB, RED, 2), Ok(RED_TO_BLUE)),
        back("a resource may ask as well, or it could not answer", arp(WEB, RED, 1), Ok(RED_TO_BLUE)),
        there("nobody asks for what is not granted", arp(RED, VAULT, 1), refused),
        there("who only observes asks nobody", arp(RED, TAP, 1), refused),
        there(
            "IPv6 asks for the target, not for the group it sends to",
            solicitation(RED6, WEB6),
            Ok(RED_TO_BLUE),
        ),
        back("a resource may solicit as well", solicitation(WEB6, RED6), Ok(RED_TO_BLUE)),
        back("an advertisement answers", icmp6(WEB6, RED6, 136, &[0; 16]), Ok(RED_TO_BLUE)),
    ]);
    cases.push(Case::stays(
        "a solicitation for somebody unmapped is the host's",
        &Outer::from_red(solicitation(RED6, "fd00:a::99")),
        Reason::NotMapped,
    ));
    cases.push(Case::stays(
        "an ARP request inside the network is the host's",
        &Outer::from_red(arp(RED, "10.0.0.99", 1)),
        Reason::NotMapped,
    ));
    cases.push(Case::stays(
        "an advertisement to everybody is the host's",
        &Outer::from_red(icmp6(RED6, "ff02::1", 136, &[0; 16])),
        Reason::NotMapped,
    ));
}

fn fragments(cases: &mut Vec<Case>) {
    cases.extend([
        there(
            "a later fragment is refused where only ports are granted",
            fragment(RED, WEB, 10, false),
            Err((Reason::InnerFragment, RED_TO_BLUE)),
        ),
        there(
            "a later fragment passes where its protocol is granted whole",
            fragment(RED, TCP, 10, true),
            Ok(RED_TO_BLUE_TOO),
        ),
        there(
            "a later fragment passes where everything is granted",
            fragment(RED, ANYTHING, 10, false),
            Ok(RED_TO_BLUE),
        ),
        back(
            "a later fragment answers where everything is granted",
            fragment(ANYTHING, RED, 10, false),
            Ok(RED_TO_BLUE),
        ),
        there(
            "a later fragment to what is refused is refused for that",
            fragment(RED, VAULT, 10, false),
            Err((Reason::AccessNone, RED_TO_BLUE)),
        ),
        there(
            "a first fragment is checked by its ports",
            fragment(RED, WEB, 0, true),
            Err((Reason::PortRefused, RED_TO_BLUE)),
        ),
    ]);
}

/// Blue reaches ssh in red, and red reaches several things in blue: addresses that ask and answer.
fn both_ways(cases: &mut Vec<Case>) {
    let ssh = |from: &str, segment| tcp((from, 9), (SSH, 22), segment);
    let answered = |to: &str, segment| tcp((SSH, 22), (to, 9), segment);
    for (who, address) in [("a resource", WEB), ("an address that is no resource", NOBODY)] {
        cases.push(Case::forwarded(
            &format!("{who} of blue asks in red"),
            &Outer::from_blue(ssh(address, Segment::Syn)),
            (BLUE_TO_RED, Forward),
            TO_RED,
        ));
        cases.push(Case::forwarded(
            &format!("{who} of blue is answered from red"),
            &Outer::from_red(answered(address, Segment::SynAck)),
            (BLUE_TO_RED, Return),
            TO_BLUE,
        ));
    }
    cases.extend([
        there(
            "an address that answers may ask as well",
            tcp((SSH, 22), (WEB, 80), Segment::Syn),
            Ok(RED_TO_BLUE),
        ),
        there(
            "who may neither ask nor answer is told what the resource's rules say",
            tcp((SSH, 22), (WEB, 9), Segment::Syn),
            Err((Reason::PortRefused, RED_TO_BLUE)),
        ),
    ]);
    cases.push(Case::refused(
        "a resource under connect opens nothing toward an address that is no resource",
        &Outer::from_red(answered(NOBODY, Segment::Syn)),
        Reason::ReturnOpens,
        (BLUE_TO_RED, Return),
    ));
    cases.push(Case::forwarded(
        "what one mapping refuses as a request another may let through as an answer",
        &Outer::from_red(answered(VAULT, Segment::SynAck)),
        (BLUE_TO_RED, Return),
        TO_BLUE,
    ));
    cases.push(Case::forwarded(
        "who answers may resolve the asker, even one that it may not ask",
        &Outer::from_red(arp(SSH, VAULT, 1)),
        (BLUE_TO_RED, Return),
        TO_BLUE,
    ));
    cases.push(Case::stays(
        "an address of red that is no resource does not answer blue",
        &Outer::from_red(tcp((RED, 22), (NOBODY, 9), Segment::SynAck)),
        Reason::Unlisted,
    ));
}
