//! The inner frame: who asks whom for what.

use super::packet::Packet;
use crate::address::Address;
use crate::frame::{Frame, Header};
use crate::reason::Reason;
use crate::rules::Intent;
use crate::wire::{Arp, EtherType, Ethernet, Icmp, Ipv4, Ipv6, NeighbourSolicitation, Tcp, Udp, protocol};

/// Covers the largest place at which an inner frame can start, behind 252 bytes of Geneve options.
const INNER_AT_MASK: usize = 0x1ff;

#[inline(always)]
pub(super) fn parse<F: Frame>(frame: &F, packet: &mut Packet) -> Result<(), Reason> {
    let at = frame.forget(packet.inner_at) & INNER_AT_MASK;
    let end = packet.outer_end as usize;
    let ethernet: Ethernet = read_within(frame, at, end)?;
    packet.ether_type = ethernet.ether_type.get();
    let at = at + Ethernet::LEN;
    match packet.ether_type {
        EtherType::IPV4 => ipv4(frame, at, end, packet),
        EtherType::IPV6 => ipv6(frame, at, end, packet),
        EtherType::ARP => arp(frame, at, end, packet),
        _ => Err(Reason::InnerUnsupported),
    }
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
    // IPv4-mapped addresses must not appear on the wire (RFC 4038 §4.2): they are our keys' form of IPv4.
    if packet.inner_source.is_v4() || packet.inner_destination.is_v4() {
        return Err(Reason::InnerMalformed);
    }
    packet.protocol = ip.next_header;
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
        if packet.inner_destination.is_v4() {
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
