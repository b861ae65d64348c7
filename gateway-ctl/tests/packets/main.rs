//! A table of packets, run through the pipeline on the host and through the program in the kernel.
//!
//! A row says the rule that holds, the frame in, and what must become of it. Frames in and out come
//! from etherparse, not from the code under test.
#![expect(clippy::unwrap_used, reason = "a test that can't be set up has failed")]

mod cases;
mod federation;
#[path = "../frames/mod.rs"]
#[expect(dead_code, reason = "the matrix needs the rest")]
mod frames;
mod gateway;
mod objects;
mod oracle;
mod random;
mod root;
mod senders;

use std::collections::BTreeSet;

use isthmus_common::address::Address;
use isthmus_common::event::Event;
use isthmus_common::reason::{Reason, Verdict};
use isthmus_common::rules::Leg;

use cases::Case;
use gateway::{HostGateway, KernelGateway, Outcome};
use root::is_root;

/// Reasons that no packet can get in tables that the installer wrote, and why.
const UNREACHABLE: &[(Reason, &str)] = &[
    (
        Reason::Internal,
        "the installer never lets a table name an entry that is not there; common/tests/pipeline.rs breaks tables by hand",
    ),
    (
        Reason::NoHeadroom,
        "a test run leaves as much room as any driver; tests/matrix/headroom.rs runs frames with less",
    ),
];

fn check(case: &Case, outcome: &Outcome, host: &HostGateway) -> Result<(), String> {
    let Outcome { verdict, event, frame } = outcome;
    let reason = Reason::from_index(event.reason).ok_or("no such reason")?;
    let numbers = |leg: Leg| leg.mapping().map(|number| (host.installed.mapping(number), leg.direction()));
    let leg = numbers(event.leg).map(|(mapping, direction)| (mapping.unwrap(), direction));
    let wanted_leg = case.leg.map(|(mapping, direction)| (objects::identifier(mapping), direction));
    if (reason, *verdict, leg) != (case.reason, case.reason.verdict(), wanted_leg) {
        return Err(format!(
            "it was {verdict:?} as {} on {leg:?}, not {:?} as {} on {wanted_leg:?}",
            reason.as_str(),
            case.reason.verdict(),
            case.reason.as_str(),
        ));
    }
    let mut out = case.out.clone();
    if case.chooses_port {
        // Behind Ethernet and IPv4.
        let port = frame[34..36].try_into().map(u16::from_be_bytes).map_err(|_| "no port")?;
        if port < 49_152 {
            return Err(format!("the source port is {port}"));
        }
        out[34..36].copy_from_slice(&port.to_be_bytes());
    }
    if frame != &out {
        return Err(format!("the frame that came out is\n  {frame:02x?}, not\n  {out:02x?}"));
    }
    let event_facts = (event.ingress, event.egress, event.length as usize, event.nanos);
    if event_facts != (case.ingress, case.egress, case.frame.len(), 0) {
        return Err(format!("the event says {event:?}"));
    }
    if matches!(verdict, Verdict::Redirected | Verdict::Transmitted) && !case.chooses_port {
        check_parsed(event, &case.frame)?;
    }
    Ok(())
}

/// What the event says was parsed is what etherparse reads in the same frame.
fn check_parsed(event: &Event, frame: &[u8]) -> Result<(), String> {
    use etherparse::{NetSlice, SlicedPacket, TransportSlice};
    let outer = SlicedPacket::from_ethernet(frame).map_err(|error| error.to_string())?;
    let Some(NetSlice::Ipv4(outer_ip)) = &outer.net else { return Err("no outer IPv4".into()) };
    let Some(TransportSlice::Udp(outer_udp)) = &outer.transport else { return Err("no outer UDP".into()) };
    let payload = outer_udp.payload();
    let options = match outer_udp.destination_port() {
        federation::GENEVE_PORT => &payload[8..8 + usize::from(payload[0] & 0x3f) * 4],
        _ => &[],
    };
    // The identifier option's label counts as the VNI.
    let vni = if options.starts_with(&[0xff, 0x49, 0x81, 2]) { &options[4..7] } else { &payload[4..7] };
    let vni = u32::from_be_bytes([0, vni[0], vni[1], vni[2]]);
    let inner =
        SlicedPacket::from_ethernet(&payload[8 + options.len()..]).map_err(|error| error.to_string())?;
    let (source, mut destination, protocol) = match &inner.net {
        Some(NetSlice::Ipv4(ip)) => {
            let header = ip.header();
            (Address::v4(header.source()), Address::v4(header.destination()), header.protocol().0)
        }
        Some(NetSlice::Ipv6(ip)) => {
            let header = ip.header();
            (Address::v6(header.source()), Address::v6(header.destination()), header.next_header().0)
        }
        Some(NetSlice::Arp(arp)) => {
            let address = |bytes: &[u8]| Address::v4(bytes.try_into().unwrap());
            (address(arp.sender_protocol_addr()), address(arp.target_protocol_addr()), 0)
        }
        None => return Err("no inner packet".into()),
    };
    let ports = match &inner.transport {
        Some(TransportSlice::Tcp(tcp)) => (tcp.source_port(), tcp.destination_port()),
        Some(TransportSlice::Udp(udp)) => (udp.source_port(), udp.destination_port()),
        Some(TransportSlice::Icmpv6(icmp)) if icmp.type_u8() == 135 => {
            destination = Address::v6(icmp.payload()[..16].try_into().unwrap());
            (0, 0)
        }
        _ => (0, 0),
    };
    let ether_type = match &inner.link {
        Some(etherparse::LinkSlice::Ethernet2(ethernet)) => ethernet.ether_type().0,
        _ => return Err("no inner Ethernet".into()),
    };
    let wanted = (
        vni,
        Address::v4(outer_ip.header().source()),
        Address::v4(outer_ip.header().destination()),
        (source, destination, protocol),
        ports,
        ether_type,
    );
    let told = (
        event.vni,
        event.outer_source,
        event.outer_destination,
        (event.inner_source, event.inner_destination, event.inner_protocol),
        (event.inner_source_port, event.inner_destination_port),
        event.inner_ether_type,
    );
    if told == wanted { Ok(()) } else { Err(format!("the event tells {told:?}, the frame is {wanted:?}")) }
}

fn report(failures: &[String], total: usize) {
    assert!(failures.is_empty(), "{} of {total} cases:\n\n{}", failures.len(), failures.join("\n\n"));
}

#[test]
fn every_case_holds_on_the_host() {
    let host = HostGateway::new();
    let cases = cases::all();
    let failures: Vec<String> = cases
        .iter()
        .filter_map(|case| {
            let outcome = host.run(&case.frame, case.ingress);
            check(case, &outcome, &host).err().map(|error| format!("{}: {error}", case.name))
        })
        .collect();
    report(&failures, cases.len());
    let record = host.tables.record.borrow();
    assert_eq!(record.received.packets, cases.len() as u64);
    assert_eq!(record.reasons.values().map(|count| count.packets).sum::<u64>(), record.received.packets);
    assert_eq!(record.reasons.values().map(|count| count.bytes).sum::<u64>(), record.received.bytes);
}

#[test]
fn every_case_holds_in_the_kernel_and_agrees_with_the_host() {
    if !is_root("every_case_holds_in_the_kernel_and_agrees_with_the_host") {
        return;
    }
    let host = HostGateway::new();
    let mut kernel = KernelGateway::new();
    let cases: Vec<Case> =
        cases::all().into_iter().filter(|case| case.frame.len() >= KernelGateway::SHORTEST).collect();
    let mut failures = Vec::new();
    for case in &cases {
        let outcome = kernel.run(&case.frame, case.ingress);
        if let Err(error) = check(case, &outcome, &host) {
            failures.push(format!("{}: {error}", case.name));
        }
        let on_host = host.run(&case.frame, case.ingress);
        if outcome != on_host {
            failures.push(format!(
                "{}: the kernel says\n  {outcome:02x?}, the host\n  {on_host:02x?}",
                case.name
            ));
        }
    }
    report(&failures, cases.len());
    assert_eq!(kernel.counted(), 0, "traces must leave the live counters alone");
}

#[test]
fn every_reason_has_a_case_or_an_excuse() {
    let covered: BTreeSet<Reason> = cases::all().iter().map(|case| case.reason).collect();
    let excused: BTreeSet<Reason> = UNREACHABLE.iter().map(|(reason, _)| *reason).collect();
    for reason in Reason::ALL {
        assert_ne!(
            covered.contains(reason),
            excused.contains(reason),
            "{} must have a case, or say why it can have none",
            reason.as_str()
        );
    }
}

#[test]
fn every_case_has_a_name_of_its_own() {
    let cases = cases::all();
    let names: BTreeSet<&str> = cases.iter().map(|case| case.name.as_str()).collect();
    assert_eq!(names.len(), cases.len());
}
