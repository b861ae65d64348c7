//! The inner frame: who asks whom for what.

use zerocopy::byteorder::network_endian::U16;

use super::packet::Packet;
use crate::address::Address;
use crate::encapsulation::number;
use crate::frame::{Frame, Header};
use crate::reason::Reason;
use crate::rules::Intent;
use crate::wire::{
    Arp, EtherType, Ethernet, Icmp, Ipv4, Ipv6, Macs, NeighbourSolicitation, Tcp, Udp, protocol,
};

/// Covers the largest place at which an inner frame can start, behind IPv6 and 252 bytes of Geneve options.
const INNER_AT_MASK: usize = 0x1ff;

#[inline(always)]
pub(super) fn parse<F: Frame>(frame: &F, packet: &mut Packet) -> Result<(), Reason> {
    let at = frame.forget(packet.inner_at as usize) & INNER_AT_MASK;
    let end = frame.forget(packet.end as usize);
    let ether_type: U16 = read_within(frame, at + Macs::LEN, end)?;
    packet.ether_type = ether_type.get();
    let at = at + Ethernet::LEN;
    match packet.ether_type {
        EtherType::IPV4 => ipv4(frame, at, end, packet)?,
        EtherType::IPV6 => ipv6(frame, at, end, packet)?,
        EtherType::ARP => arp(frame, at, end, packet)?,
        _ => other(frame, end, packet)?,
    }
    if !number::is_tunnel(packet.encapsulation) {
        packet.traffic_class = packet.inner_traffic_class;
        packet.udp_source = entropy(packet);
    }
    Ok(())
}

/// A source port for a packet that has none yet, from the range for that (RFC 7348 §5): one for all packets of a flow.
#[inline(always)]
fn entropy(packet: &Packet) -> u16 {
    const RANGE: u32 = 0xc000;
    // Only a first fragment has ports, and all fragments go the same way.
    let ports = if packet.is_fragment {
        0
    } else {
        u32::from(packet.source_port) << 16 | u32::from(packet.destination_port)
    };
    let hash = ports ^ u32::from(packet.protocol);
    // One after the other, not chained: that stays a loop, which the compiler enters in the middle, and Linux 6.1
    // takes none whose body falls through into its head ("back-edge from insn", check_cfg in kernel/bpf/verifier.c).
    let hash = packet.inner_source.words().into_iter().fold(hash, mixed);
    let hash = packet.inner_destination.words().into_iter().fold(hash, mixed);
    #[expect(clippy::cast_possible_truncation, reason = "16 bits")]
    let port = (RANGE | hash >> 18) as u16;
    port
}

/// Every bit of the word changes about half of the hash's.
#[inline(always)]
fn mixed(hash: u32, word: u32) -> u32 {
    const MULTIPLIER: u32 = 0x9e37_79b1;
    let hash = (hash ^ word).wrapping_mul(MULTIPLIER);
    hash ^ hash >> 15
}

/// Whatever else there is goes by its MACs.
#[inline(always)]
fn other<F: Frame>(frame: &F, end: usize, packet: &mut Packet) -> Result<(), Reason> {
    let at = frame.forget(packet.macs_at as usize) & INNER_AT_MASK;
    let macs: Macs = read_within(frame, at, end)?;
    packet.inner_source = Address::mac(macs.source);
    packet.inner_destination = Address::mac(macs.destination);
    Ok(())
}

#[inline(always)]
fn ipv4<F: Frame>(frame: &F, at: usize, end: usize, packet: &mut Packet) -> Result<(), Reason> {
    let ip: Ipv4 = read_within(frame, at, end)?;
    let header_len = ip.header_len();
    let ip_end = at + usize::from(ip.total_length.get());
    if !ip.is_valid() || ip_end < at + header_len || ip_end > end {
        return Err(Reason::InnerMalformed);
    }
    packet.inner_source = Address::v4(ip.source);
    packet.inner_destination = Address::v4(ip.destination);
    packet.protocol = ip.protocol;
    packet.inner_is_ip = true;
    packet.inner_traffic_class = ip.traffic_class;
    packet.is_fragment = ip.is_fragment();
    if ip.is_later_fragment() {
        packet.intent = Intent::Fragment;
        return Ok(());
    }
    match ip.protocol {
        protocol::TCP => tcp(frame, at + header_len, ip_end, packet),
        protocol::UDP => udp(frame, at + header_len, ip_end, packet),
        protocol::ICMP => icmpv4(frame, at + header_len, ip_end, packet),
        _ => Ok(()),
    }
}

#[inline(always)]
fn ipv6<F: Frame>(frame: &F, at: usize, end: usize, packet: &mut Packet) -> Result<(), Reason> {
    let ip: Ipv6 = read_within(frame, at, end)?;
    let at = at + Ipv6::LEN;
    let ip_end = at + usize::from(ip.payload_length.get());
    if !ip.is_valid() || ip_end > end {
        return Err(Reason::InnerMalformed);
    }
    packet.inner_source = Address::v6(ip.source);
    packet.inner_destination = Address::v6(ip.destination);
    if packet.inner_source.is_reserved() || packet.inner_destination.is_reserved() {
        return Err(Reason::InnerMalformed);
    }
    packet.protocol = ip.next_header;
    packet.inner_is_ip = true;
    packet.inner_traffic_class = ip.traffic_class();
    match ip.next_header {
        protocol::TCP => tcp(frame, at, ip_end, packet),
        protocol::UDP => udp(frame, at, ip_end, packet),
        protocol::ICMPV6 => icmpv6(frame, at, ip_end, packet),
        // Extension headers are not followed: only rules that speak for every protocol match them.
        _ => Ok(()),
    }
}

#[inline(always)]
fn arp<F: Frame>(frame: &F, at: usize, end: usize, packet: &mut Packet) -> Result<(), Reason> {
    let arp: Arp = read_within(frame, at, end)?;
    if !arp.is_valid() {
        return Err(Reason::InnerMalformed);
    }
    packet.inner_source = Address::v4(arp.sender);
    packet.inner_destination = Address::v4(arp.target);
    packet.intent = Intent::Control;
    Ok(())
}

#[inline(always)]
fn tcp<F: Frame>(frame: &F, at: usize, end: usize, packet: &mut Packet) -> Result<(), Reason> {
    let tcp: Tcp = read_within(frame, at, end)?;
    packet.source_port = tcp.source.get();
    packet.destination_port = tcp.destination.get();
    packet.intent = if tcp.opens() { Intent::Opens } else { Intent::Continues };
    Ok(())
}

#[inline(always)]
fn udp<F: Frame>(frame: &F, at: usize, end: usize, packet: &mut Packet) -> Result<(), Reason> {
    let udp: Udp = read_within(frame, at, end)?;
    packet.source_port = udp.source.get();
    packet.destination_port = udp.destination.get();
    Ok(())
}

#[inline(always)]
fn icmpv4<F: Frame>(frame: &F, at: usize, end: usize, packet: &mut Packet) -> Result<(), Reason> {
    let icmp: Icmp = read_within(frame, at, end)?;
    packet.intent = if icmp.is_v4_error() {
        Intent::Control
    } else if icmp.is_v4_reply() {
        Intent::Continues
    } else {
        Intent::Opens
    };
    Ok(())
}

#[inline(always)]
fn icmpv6<F: Frame>(frame: &F, at: usize, end: usize, packet: &mut Packet) -> Result<(), Reason> {
    let icmp: Icmp = read_within(frame, at, end)?;
    packet.intent = if icmp.is_neighbour_solicitation() {
        let solicitation: NeighbourSolicitation = read_within(frame, at, end)?;
        packet.inner_destination = Address::v6(solicitation.target);
        if packet.inner_destination.is_reserved() {
            return Err(Reason::InnerMalformed);
        }
        Intent::Control
    } else if icmp.is_neighbour_advertisement() || icmp.is_v6_error() {
        Intent::Control
    } else if icmp.is_v6_reply() {
        Intent::Continues
    } else {
        Intent::Opens
    };
    Ok(())
}

/// Reads a header that must end within the enclosing packet, not only within the frame: padding
/// and trailers are nobody's headers.
#[inline(always)]
fn read_within<F: Frame, T: Header>(frame: &F, at: usize, end: usize) -> Result<T, Reason> {
    if at + size_of::<T>() > end {
        return Err(Reason::InnerMalformed);
    }
    frame.read(at).ok_or(Reason::InnerMalformed)
}
