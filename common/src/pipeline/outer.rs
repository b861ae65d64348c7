//! The outer headers: is this packet the gateway's at all, and of which network?
//!
//! Up to the tunnel port nothing is dropped: what is not the gateway's is the host's to judge.

use super::{geneve, packet::Packet};
use crate::address::Address;
use crate::encapsulation::number;
use crate::frame::Frame;
use crate::reason::Reason;
use crate::tables::{Interface, TagStack};
use crate::wire::{EtherType, Ethernet, Ipv4, Ipv6, Macs, Tag, Udp, Vxlan, protocol};
use zerocopy::byteorder::network_endian::U16;

/// Bits that cover every place at which an outer IP header can start: behind two tags at most.
const IP_AT_MASK: usize = 0x1f;
/// Bits that cover every place at which a UDP header can start: behind two tags and IPv6 at most.
const UDP_AT_MASK: usize = 0x7f;

#[inline(always)]
pub(super) fn parse<F: Frame>(frame: &F, interface: &Interface, packet: &mut Packet) -> Result<(), Reason> {
    if interface.is_port != 0 {
        inner_only(packet, number::PORT, interface.ifindex, 0);
        return Ok(());
    }
    let ethernet: Ethernet = frame.read(0).ok_or(Reason::OuterMalformed)?;
    let mut ether_type = ethernet.ether_type.get();
    packet.ip_at = IP_AT;
    if EtherType::is_tag(ether_type) {
        let first: Tag = frame.read(Macs::LEN).ok_or(Reason::OuterMalformed)?;
        let behind: U16 = frame.read(Macs::LEN + Tag::LEN).ok_or(Reason::OuterMalformed)?;
        // The compiler would move the bounds in front of the change of byte order, through which not every verifier follows.
        let vlan_id = frame.forget(first.vlan_id().into());
        if ether_type == EtherType::VLAN && interface.has_vlan(vlan_id) {
            inner_only(packet, number::VLAN, first.vlan_id().into(), Tag::LEN);
            return Ok(());
        }
        ether_type = outer_tags(frame, interface, first, behind.get(), packet)?;
    }
    let ip_at = frame.forget(frame.obscure(packet.ip_at).into()) & IP_AT_MASK;
    let next = match ether_type {
        EtherType::IPV4 => ipv4(frame, interface, ip_at, packet)?,
        EtherType::IPV6 => ipv6(frame, interface, ip_at, packet)?,
        _ => return Err(Reason::NotIp),
    };
    tunnel(frame, interface, next, packet)
}

#[expect(clippy::cast_possible_truncation, reason = "20 fits")]
const IPV4_LEN: u16 = Ipv4::LEN as u16;
#[expect(clippy::cast_possible_truncation, reason = "14 fits")]
const IP_AT: u8 = Ethernet::LEN as u8;

/// TTL of packets that get their first outer header here.
const TTL: u8 = 64;

/// The whole frame, without so many bytes of tag, is an inner frame. What a tunnel would have brought along is what
/// one that starts here has.
#[inline(always)]
fn inner_only(packet: &mut Packet, encapsulation: u8, number: u32, tag_len: usize) {
    packet.encapsulation = encapsulation;
    packet.has_number = true;
    packet.number = number;
    #[expect(clippy::cast_possible_truncation, reason = "0 or 4")]
    {
        packet.inner_at = tag_len as u32;
    }
    packet.end = packet.length;
    // The gateway takes one off what it forwards.
    packet.ttl = TTL + 1;
    packet.dont_fragment = true;
}

/// Steps over the tags of the underlay; gives the type behind them.
#[inline(always)]
fn outer_tags<F: Frame>(
    frame: &F,
    interface: &Interface,
    first: Tag,
    behind: u16,
    packet: &mut Packet,
) -> Result<u16, Reason> {
    let mut stack = TagStack::default().with(first);
    let mut ether_type = behind;
    packet.ip_at = IP_AT + 4;
    if EtherType::is_tag(behind) {
        let second: Tag = frame.read(Macs::LEN + Tag::LEN).ok_or(Reason::OuterMalformed)?;
        let behind: U16 = frame.read(Macs::LEN + 2 * Tag::LEN).ok_or(Reason::OuterMalformed)?;
        stack = stack.with(second);
        ether_type = behind.get();
        packet.ip_at = IP_AT + 8;
    }
    let is_ours = stack == TagStack::default() || interface.stacks.contains(&stack);
    if EtherType::is_tag(ether_type) || !is_ours {
        return Err(Reason::ForeignVlan);
    }
    Ok(ether_type)
}

/// What an outer IP header says about what follows.
#[derive(Clone, Copy)]
struct Next {
    /// Bytes behind the header.
    payload: u16,
    /// Bytes of options in the header.
    options: usize,
    /// The header's checksum is wrong.
    is_corrupt: bool,
}

#[inline(always)]
fn ipv4<F: Frame>(frame: &F, interface: &Interface, at: usize, packet: &mut Packet) -> Result<Next, Reason> {
    let ip: Ipv4 = frame.read(at).ok_or(Reason::OuterMalformed)?;
    if !ip.is_valid() {
        return Err(Reason::OuterMalformed);
    }
    packet.outer_source = Address::v4(ip.source);
    packet.outer_destination = Address::v4(ip.destination);
    packet.ttl = ip.ttl;
    packet.traffic_class = ip.traffic_class;
    packet.identification = ip.identification.get();
    packet.dont_fragment = ip.is_unfragmentable();
    if !is_ours_v4(interface, ip.destination) {
        return Err(Reason::NotForGateway);
    }
    if ip.protocol != protocol::UDP {
        return Err(Reason::NotTunnel);
    }
    if ip.is_fragment() {
        return Err(Reason::OuterFragment);
    }
    packet.udp_at = at_behind(at, Ipv4::LEN);
    packet.end = end_behind(at, ip.total_length.get());
    Ok(Next {
        // Wraps around where there is less than a header; no UDP length is like that.
        payload: ip.total_length.get().wrapping_sub(IPV4_LEN),
        options: ip.header_len() - Ipv4::LEN,
        is_corrupt: ip.sum() != 0xffff,
    })
}

#[inline(always)]
fn ipv6<F: Frame>(frame: &F, interface: &Interface, at: usize, packet: &mut Packet) -> Result<Next, Reason> {
    let ip: Ipv6 = frame.read(at).ok_or(Reason::OuterMalformed)?;
    let payload = ip.payload_length.get();
    if !ip.is_valid() || payload == 0 {
        return Err(Reason::OuterMalformed);
    }
    packet.is_v6 = true;
    packet.dont_fragment = true;
    packet.outer_source = Address::v6(ip.source);
    packet.outer_destination = Address::v6(ip.destination);
    packet.ttl = ip.hop_limit;
    packet.traffic_class = ip.traffic_class();
    packet.flow_label = ip.flow_label();
    if !is_ours_v6(interface, packet.outer_destination) {
        return Err(Reason::NotForGateway);
    }
    match ip.next_header {
        protocol::UDP => {}
        protocol::FRAGMENT => return Err(Reason::OuterFragment),
        _ => return Err(Reason::NotTunnel),
    }
    packet.udp_at = at_behind(at, Ipv6::LEN);
    packet.end = end_behind(at + Ipv6::LEN, payload);
    Ok(Next { payload, options: 0, is_corrupt: false })
}

#[inline(always)]
fn at_behind(at: usize, header: usize) -> u8 {
    #[expect(clippy::cast_possible_truncation, reason = "62 at most")]
    let behind = (at + header) as u8;
    behind
}

#[inline(always)]
fn end_behind(at: usize, bytes: u16) -> u32 {
    #[expect(clippy::cast_possible_truncation, reason = "62 at most")]
    let at = at as u32;
    at + u32::from(bytes)
}

/// UDP and what the port says that it carries.
#[inline(always)]
fn tunnel<F: Frame>(frame: &F, interface: &Interface, next: Next, packet: &mut Packet) -> Result<(), Reason> {
    let udp_at = frame.forget(frame.obscure(packet.udp_at).into()) & UDP_AT_MASK;
    let udp: Udp = frame.read(udp_at + (next.options & 0x3c)).ok_or(Reason::OuterMalformed)?;
    let encapsulation = carried(interface, udp.destination.get()).ok_or(Reason::NotTunnel)?;
    if next.options != 0 {
        return Err(Reason::OuterOptions);
    }
    packet.encapsulation = encapsulation;
    packet.udp_source = udp.source.get();
    packet.udp_destination = udp.destination.get();
    packet.udp_length = udp.length.get();
    packet.udp_checksum = udp.checksum.get();
    // A tunnel header must not be read out of padding.
    if packet.udp_length != next.payload
        || packet.end > packet.length
        || usize::from(packet.udp_length) < Udp::LEN + Vxlan::LEN
    {
        return Err(Reason::OuterLength);
    }
    if next.is_corrupt {
        return Err(Reason::OuterChecksum);
    }
    let tunnel_at = udp_at + Udp::LEN;
    packet.tunnel_header = frame.read(tunnel_at).ok_or(Reason::OuterLength)?;
    if encapsulation == number::GENEVE {
        geneve::parse(frame, tunnel_at, packet)?;
    } else {
        vxlan(tunnel_at, packet);
    }
    packet.macs_at = packet.inner_at;
    #[expect(clippy::cast_possible_truncation, reason = "14 fits")]
    if packet.inner_at + Ethernet::LEN as u32 > packet.end {
        return Err(Reason::OuterLength);
    }
    Ok(())
}

#[inline(always)]
fn vxlan(at: usize, packet: &mut Packet) {
    let vxlan: Vxlan = zerocopy::transmute!(packet.tunnel_header);
    packet.has_number = vxlan.has_vni();
    packet.number = vxlan.vni();
    #[expect(clippy::cast_possible_truncation, reason = "78 at most")]
    {
        packet.inner_at = (at + Vxlan::LEN) as u32;
    }
    if vxlan.is_extended(packet.encapsulation == number::VXLAN_GROUP) {
        packet.fault = Reason::TunnelFlags;
    }
}

/// Whether the packet is addressed to the gateway. The interface's own address comes first, and is
/// nearly always the one.
#[inline(always)]
fn is_ours_v4(interface: &Interface, address: [u8; 4]) -> bool {
    let address = u32::from_ne_bytes(address);
    // 0.0.0.0 marks unused places.
    address != 0 && interface.v4.iter().any(|own| u32::from_ne_bytes(*own) == address)
}

#[inline(always)]
fn is_ours_v6(interface: &Interface, address: Address) -> bool {
    // :: marks unused places.
    address != Address::UNSPECIFIED && interface.v6.contains(&address)
}

#[inline(always)]
fn carried(interface: &Interface, port: u16) -> Option<u8> {
    // 0 marks unused places.
    if port == 0 {
        return None;
    }
    interface.ports.iter().find(|own| own.port == port).map(|own| own.encapsulation)
}
