//! Inner frames that endpoints send each other: sound, with right checksums.

use std::net::IpAddr;

use etherparse::{
    ArpHardwareId, ArpOperation, ArpPacket, EtherType, Ethernet2Header, IpFragOffset, IpHeaders, IpNumber,
    Ipv4Extensions, Ipv4Header, PacketBuilder, PacketBuilderStep,
};
use fastrand::Rng;

use crate::model::Member;
use crate::sums::header_checksum;

/// Inner TCP and UDP ports that some grant names, or that none does.
pub const INNER_PORTS: [u16; 7] = [80, 50, 59, 49, 443, 1023, 65_535];

/// One end's port is one that grants speak of: the second end's if it is asked.
fn ports(asks: bool, rng: &mut Rng) -> (u16, u16) {
    let port = INNER_PORTS[rng.usize(..INNER_PORTS.len())];
    if asks { (40_000, port) } else { (port, 40_000) }
}

/// A frame from one endpoint to another.
#[must_use]
pub fn frame(from: &Member, to: &Member, asks: bool, rng: &mut Rng) -> Vec<u8> {
    let ethernet = PacketBuilder::ethernet2(from.mac, to.mac);
    let mut frame = match (from.address, to.address) {
        _ if rng.u8(..12) == 0 => foreign(from, to, rng),
        (IpAddr::V4(source), IpAddr::V4(destination)) => {
            v4(ethernet, [source.octets(), destination.octets()], from.mac, asks, rng)
        }
        (_, IpAddr::V6(destination)) => {
            let source = match from.address {
                IpAddr::V4(address) => address.to_ipv6_mapped(),
                IpAddr::V6(address) => address,
            };
            v6(ethernet, [source.octets(), destination.octets()], asks, rng)
        }
        // There is nothing between the two in IP.
        (IpAddr::V6(_), IpAddr::V4(_)) => foreign(from, to, rng),
    };
    mark(&mut frame, rng);
    if rng.u8(..4) == 0 {
        // As Ethernet has it.
        frame.resize(frame.len().max(60), 0);
    }
    frame
}

/// Neither IP nor ARP: LLDP, a VLAN's, or something of the experimental number.
fn foreign(from: &Member, to: &Member, rng: &mut Rng) -> Vec<u8> {
    let ether_type = [[0x88, 0xcc], [0x81, 0x00], [0x88, 0xb5], [0x88, 0xa8]][rng.usize(..4)];
    let payload = vec![0x5a; rng.usize(..24)];
    [&to.mac[..], &from.mac, &ether_type, &payload].concat()
}

fn v4(
    ethernet: PacketBuilderStep<Ethernet2Header>,
    [source, destination]: [[u8; 4]; 2],
    sender: [u8; 6],
    asks: bool,
    rng: &mut Rng,
) -> Vec<u8> {
    let (source_port, destination_port) = ports(asks, rng);
    let payload = vec![0x5a; rng.usize(..24)];
    let mut frame = Vec::new();
    let kind = rng.u8(..8);
    let written = match kind {
        0..=4 => {
            let ip = ethernet.ipv4(source, destination, 64);
            match kind {
                0 => ip.tcp(source_port, destination_port, 1, 512).syn().write(&mut frame, &payload),
                1 => ip.tcp(source_port, destination_port, 1, 512).ack(1).write(&mut frame, &payload),
                2 => ip.udp(source_port, destination_port).write(&mut frame, &payload),
                3 => ip.icmpv4_raw([0, 3, 8, 11, 13][rng.usize(..5)], 0, [0; 4]).write(&mut frame, &payload),
                _ => ip.write(&mut frame, IpNumber([47, 58, 50][rng.usize(..3)]), &payload),
            }
        }
        5 => {
            let mut ip = Ipv4Header {
                identification: 7,
                protocol: IpNumber([1, 6, 17][rng.usize(..3)]),
                source,
                destination,
                time_to_live: 64,
                ..Ipv4Header::default()
            };
            ip.fragment_offset = IpFragOffset::try_new(rng.u16(..3)).unwrap_or_default();
            ip.more_fragments = rng.bool();
            let protocol = ip.protocol;
            ethernet.ip(IpHeaders::Ipv4(ip, Ipv4Extensions::default())).write(&mut frame, protocol, &payload)
        }
        _ => ArpPacket::new(
            ArpHardwareId::ETHERNET,
            EtherType::IPV4,
            [ArpOperation::REQUEST, ArpOperation::REPLY][rng.usize(..2)],
            &sender,
            // Whoever checks whether an address is taken has none (RFC 5227 §2.1.1).
            &if rng.u8(..4) == 0 { [0; 4] } else { source },
            &[0; 6],
            &destination,
        )
        .map_or(Ok(()), |arp| ethernet.arp(arp).write(&mut frame)),
    };
    written.expect("a vector takes everything");
    frame
}

fn v6(
    ethernet: PacketBuilderStep<Ethernet2Header>,
    [source, destination]: [[u8; 16]; 2],
    asks: bool,
    rng: &mut Rng,
) -> Vec<u8> {
    let (source_port, destination_port) = ports(asks, rng);
    let payload = vec![0x5a; rng.usize(..24)];
    let mut frame = Vec::new();
    let kind = rng.u8(..6);
    // Whoever checks whether an address is taken has none (RFC 4862 §5.4.2).
    let source = if kind == 4 && rng.u8(..4) == 0 { [0; 16] } else { source };
    let ip = ethernet.ipv6(source, destination, 64);
    let written = match kind {
        0 => ip.tcp(source_port, destination_port, 1, 512).syn().write(&mut frame, &payload),
        1 => ip.tcp(source_port, destination_port, 1, 512).ack(1).write(&mut frame, &payload),
        2 => ip.udp(source_port, destination_port).write(&mut frame, &payload),
        3 => ip.icmpv6_raw([1, 128, 129, 136][rng.usize(..4)], 0, [0; 4]).write(&mut frame, &payload),
        // Neighbour discovery asks a multicast group for the target.
        4 => ip.icmpv6_raw(135, 0, [0; 4]).write(&mut frame, &destination),
        _ => {
            // The builder refuses to name extension headers that it did not write.
            let written = ip.write(&mut frame, IpNumber(59), &payload);
            frame[14 + 6] = [44, 1, 0][rng.usize(..3)];
            written
        }
    };
    written.expect("a vector takes everything");
    frame
}

/// Gives an IP packet a DSCP and an ECN.
fn mark(frame: &mut [u8], rng: &mut Rng) {
    let class = class(rng);
    match [frame[12], frame[13]] {
        [0x08, 0x00] => {
            frame[15] = class;
            frame[24..26].fill(0);
            let sum = header_checksum(&frame[14..34]);
            frame[24..26].copy_from_slice(&sum);
        }
        [0x86, 0xdd] => {
            frame[14] = 0x60 | class >> 4;
            frame[15] = class << 4 | rng.u8(..16);
        }
        _ => {}
    }
}

/// A DSCP, and any ECN.
pub(crate) fn class(rng: &mut Rng) -> u8 {
    [0, 0, 0b1011_1000][rng.usize(..3)] | rng.u8(..4)
}
