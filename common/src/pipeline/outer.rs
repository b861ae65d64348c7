//! The outer headers: is this packet the gateway's at all?
//!
//! Up to the tunnel port nothing is dropped: what is not the gateway's is the host's to judge.

use super::packet::Packet;
use crate::frame::Frame;
use crate::reason::Reason;
use crate::tables::Interface;
use crate::wire::{EtherType, Ethernet, Ipv4, Udp, Vxlan, protocol};

pub(super) const IP_AT: usize = Ethernet::LEN;
pub(super) const UDP_AT: usize = IP_AT + Ipv4::LEN;
pub(super) const VXLAN_AT: usize = UDP_AT + Udp::LEN;
pub(super) const INNER_AT: usize = VXLAN_AT + Vxlan::LEN;

#[inline(always)]
pub(super) fn parse<F: Frame>(frame: &F, interface: &Interface, packet: &mut Packet) -> Result<(), Reason> {
    let ethernet: Ethernet = frame.read(0).ok_or(Reason::OuterMalformed)?;
    if ethernet.ether_type.get() != EtherType::IPV4 {
        return Err(Reason::NotIp);
    }
    let ip: Ipv4 = frame.read(IP_AT).ok_or(Reason::OuterMalformed)?;
    if !ip.is_valid() {
        return Err(Reason::OuterMalformed);
    }
    let total_length = u32::from(ip.total_length.get());
    packet.outer_source = ip.source;
    packet.outer_destination = ip.destination;
    packet.outer_length = total_length;
    #[expect(clippy::cast_possible_truncation, reason = "14 fits")]
    {
        packet.outer_end = IP_AT as u32 + total_length;
    }
    packet.ttl = ip.ttl;
    if !is_ours(interface, ip.destination) {
        return Err(Reason::NotForGateway);
    }
    if ip.protocol != protocol::UDP {
        return Err(Reason::NotTunnel);
    }
    if ip.is_fragment() {
        return Err(Reason::OuterFragment);
    }
    let has_options = ip.header_len() != Ipv4::LEN;
    // The constant offset in the common case spares the verifier and the CPU a variable one.
    let udp: Option<Udp> = if has_options { frame.read(IP_AT + ip.header_len()) } else { frame.read(UDP_AT) };
    let udp = udp.ok_or(Reason::OuterMalformed)?;
    if !is_tunnel_port(interface, udp.destination.get()) {
        return Err(Reason::NotTunnel);
    }
    if has_options {
        return Err(Reason::OuterOptions);
    }
    let udp_length = usize::from(udp.length.get());
    if udp_length + Ipv4::LEN != total_length as usize
        || udp_length < Udp::LEN + Vxlan::LEN + Ethernet::LEN
        || packet.outer_end > packet.length
    {
        return Err(Reason::OuterLength);
    }
    let vxlan: Vxlan = frame.read(VXLAN_AT).ok_or(Reason::OuterLength)?;
    packet.has_vni = vxlan.has_vni();
    packet.is_extended = vxlan.is_extended();
    packet.vni = vxlan.vni();
    packet.inner_at = INNER_AT;
    Ok(())
}

/// Whether the packet is addressed to the gateway. The interface's own address comes first, and is
/// nearly always the one.
#[inline(always)]
fn is_ours(interface: &Interface, address: [u8; 4]) -> bool {
    let address = u32::from_ne_bytes(address);
    // 0.0.0.0 marks unused places.
    address != 0 && interface.addresses.iter().any(|own| u32::from_ne_bytes(*own) == address)
}

#[inline(always)]
fn is_tunnel_port(interface: &Interface, port: u16) -> bool {
    // 0 marks unused places.
    port != 0 && interface.ports.contains(&port)
}
