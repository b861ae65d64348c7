//! Inner frames.

use std::net::{Ipv4Addr, Ipv6Addr};

use etherparse::{
    ArpHardwareId, ArpOperation, ArpPacket, EtherType, Ethernet2Header, Icmpv4Type, Icmpv6Type, IpFragOffset,
    IpHeaders, IpNumber, Ipv4Extensions, Ipv4Header, Ipv4Options, Ipv6Header, PacketBuilder, TcpHeader,
};

use super::checksum;

/// Who sends.
pub(crate) const INNER_SOURCE_MAC: [u8; 6] = [0x02, 0xaa, 0, 0, 0, 1];
/// Who is meant.
pub(crate) const INNER_DESTINATION_MAC: [u8; 6] = [0x02, 0xaa, 0, 0, 0, 2];

fn v4(text: &str) -> [u8; 4] {
    text.parse::<Ipv4Addr>().unwrap().octets()
}

fn v6(text: &str) -> [u8; 16] {
    text.parse::<Ipv6Addr>().unwrap().octets()
}

fn ethernet() -> etherparse::PacketBuilderStep<Ethernet2Header> {
    PacketBuilder::ethernet2(INNER_SOURCE_MAC, INNER_DESTINATION_MAC)
}

fn ethernet_header(ether_type: EtherType) -> Ethernet2Header {
    Ethernet2Header { source: INNER_SOURCE_MAC, destination: INNER_DESTINATION_MAC, ether_type }
}

fn ip(source: &str, destination: &str) -> etherparse::PacketBuilderStep<etherparse::IpHeaders> {
    if source.contains(':') {
        ethernet().ipv6(v6(source), v6(destination), 7)
    } else {
        ethernet().ipv4(v4(source), v4(destination), 7)
    }
}

/// What a TCP segment's flags say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Segment {
    Syn,
    SynAck,
    Ack,
    Rst,
}

/// An inner TCP segment; `"address"` of either version, and port.
pub(crate) fn tcp(source: (&str, u16), destination: (&str, u16), segment: Segment) -> Vec<u8> {
    tcp_of(source, destination, segment, b"tcp payload")
}

/// The same with this payload.
pub(crate) fn tcp_of(
    source: (&str, u16),
    destination: (&str, u16),
    segment: Segment,
    payload: &[u8],
) -> Vec<u8> {
    let mut header = TcpHeader::new(source.1, destination.1, 1000, 64_000);
    header.syn = matches!(segment, Segment::Syn | Segment::SynAck);
    header.ack = matches!(segment, Segment::SynAck | Segment::Ack);
    header.rst = segment == Segment::Rst;
    let mut frame = Vec::new();
    ip(source.0, destination.0).tcp_header(header).write(&mut frame, payload).unwrap();
    frame
}

/// An inner UDP datagram.
pub(crate) fn udp(source: (&str, u16), destination: (&str, u16)) -> Vec<u8> {
    udp_of(source, destination, b"udp payload")
}

/// An inner UDP datagram with this payload.
pub(crate) fn udp_of(source: (&str, u16), destination: (&str, u16), payload: &[u8]) -> Vec<u8> {
    let mut frame = Vec::new();
    ip(source.0, destination.0).udp(source.1, destination.1).write(&mut frame, payload).unwrap();
    frame
}

/// An inner ICMP message of this type.
pub(crate) fn icmp(source: &str, destination: &str, type_u8: u8) -> Vec<u8> {
    let kind = Icmpv4Type::Unknown { type_u8, code_u8: 0, bytes5to8: [0, 1, 0, 2] };
    let mut frame = Vec::new();
    ip(source, destination).icmpv4(kind).write(&mut frame, b"icmp payload").unwrap();
    frame
}

/// An inner `ICMPv6` message of this type; `body` follows its first 8 bytes.
pub(crate) fn icmp6(source: &str, destination: &str, type_u8: u8, body: &[u8]) -> Vec<u8> {
    let kind = Icmpv6Type::Unknown { type_u8, code_u8: 0, bytes5to8: [0; 4] };
    let mut frame = Vec::new();
    ip(source, destination).icmpv6(kind).write(&mut frame, body).unwrap();
    frame
}

/// An inner neighbour solicitation for `target`, sent to its solicited-node group (RFC 4861 §4.3).
pub(crate) fn solicitation(source: &str, target: &str) -> Vec<u8> {
    let target = v6(target);
    let mut group = v6("ff02::1:ff00:0");
    group[13..].copy_from_slice(&target[13..]);
    icmp6(source, &Ipv6Addr::from(group).to_string(), 135, &target)
}

/// An inner ARP packet; operation 1 asks, 2 answers.
pub(crate) fn arp(sender: &str, target: &str, operation: u16) -> Vec<u8> {
    let packet = ArpPacket::new(
        ArpHardwareId::ETHERNET,
        EtherType::IPV4,
        ArpOperation(operation),
        &INNER_SOURCE_MAC,
        &v4(sender),
        &[0; 6],
        &v4(target),
    )
    .unwrap();
    let mut frame = Vec::new();
    ethernet().arp(packet).write(&mut frame).unwrap();
    frame
}

/// An inner IP packet of this protocol, whatever its payload says.
pub(crate) fn other(source: &str, destination: &str, protocol: u8, payload: &[u8]) -> Vec<u8> {
    let mut frame = Vec::new();
    if source.contains(':') {
        ethernet_header(EtherType::IPV6).write(&mut frame).unwrap();
        let header = Ipv6Header {
            payload_length: u16::try_from(payload.len()).unwrap(),
            next_header: IpNumber(protocol),
            hop_limit: 7,
            source: v6(source),
            destination: v6(destination),
            ..Ipv6Header::default()
        };
        header.write(&mut frame).unwrap();
        frame.extend(payload);
    } else {
        ip(source, destination).write(&mut frame, IpNumber(protocol), payload).unwrap();
    }
    frame
}

/// An inner TCP segment behind 8 bytes of IPv4 options.
pub(crate) fn tcp_behind_options(source: (&str, u16), destination: (&str, u16)) -> Vec<u8> {
    let header = Ipv4Header {
        source: v4(source.0),
        destination: v4(destination.0),
        time_to_live: 7,
        protocol: IpNumber::TCP,
        options: Ipv4Options::try_from(&[1; 8][..]).unwrap(),
        ..Ipv4Header::default()
    };
    let mut segment = TcpHeader::new(source.1, destination.1, 1000, 64_000);
    segment.syn = true;
    let mut frame = Vec::new();
    let headers = IpHeaders::Ipv4(header, Ipv4Extensions::default());
    ethernet().ip(headers).tcp_header(segment).write(&mut frame, b"tcp payload").unwrap();
    frame
}

/// An inner IPv4 fragment of a TCP packet; the offset counts 8 bytes.
pub(crate) fn fragment(source: &str, destination: &str, offset: u16, more: bool) -> Vec<u8> {
    let payload = [0x5a; 24];
    let mut header = Ipv4Header::new(24, 7, IpNumber::TCP, v4(source), v4(destination)).unwrap();
    header.identification = 99;
    header.fragment_offset = IpFragOffset::try_new(offset).unwrap();
    header.more_fragments = more;
    let mut frame = Vec::new();
    ethernet_header(EtherType::IPV4).write(&mut frame).unwrap();
    header.write(&mut frame).unwrap();
    frame.extend(payload);
    frame
}

/// An inner frame of an Ethernet type that is not IP.
pub(crate) fn ethernet_of(ether_type: u16) -> Vec<u8> {
    let mut frame = Vec::new();
    ethernet_header(EtherType(ether_type)).write(&mut frame).unwrap();
    frame.extend([0; 46]);
    frame
}

/// The frame between these two, who are also those of an ARP packet.
pub(crate) fn between(mut frame: Vec<u8>, source_mac: [u8; 6], destination_mac: [u8; 6]) -> Vec<u8> {
    frame[..6].copy_from_slice(&destination_mac);
    frame[6..12].copy_from_slice(&source_mac);
    if ether_type(&frame) == EtherType::ARP.0 {
        frame[22..28].copy_from_slice(&source_mac);
    }
    frame
}

fn ether_type(frame: &[u8]) -> u16 {
    u16::from_be_bytes([frame[12], frame[13]])
}

/// DSCP and ECN of an untagged IP packet; `None` if it is none.
pub(crate) fn traffic_class(frame: &[u8]) -> Option<u8> {
    match EtherType(ether_type(frame)) {
        EtherType::IPV4 => Some(frame[15]),
        EtherType::IPV6 => Some(frame[14] << 4 | frame[15] >> 4),
        _ => None,
    }
}

/// The IP packet with other DSCP and ECN, an IPv4 checksum as right or as wrong as before.
pub(crate) fn mark(mut frame: Vec<u8>, class: u8) -> Vec<u8> {
    match EtherType(ether_type(&frame)) {
        EtherType::IPV4 => {
            let end = 14 + usize::from(frame[14] & 0x0f) * 4;
            let field = u16::from_be_bytes([frame[24], frame[25]]);
            frame[24..26].fill(0);
            let before = checksum::words(&frame[14..end]);
            frame[15] = class;
            let field = checksum::as_wrong(field, &before, &checksum::words(&frame[14..end]));
            frame[24..26].copy_from_slice(&field.to_be_bytes());
        }
        EtherType::IPV6 => {
            frame[14] = frame[14] & 0xf0 | class >> 4;
            frame[15] = class << 4 | frame[15] & 0x0f;
        }
        other => panic!("{other:?} has no DSCP"),
    }
    frame
}
