//! The outer headers: is this packet the gateway's at all?
//!
//! Up to the tunnel port nothing is dropped: what is not the gateway's is the host's to judge.

use super::{geneve, packet::Packet};
use crate::frame::Frame;
use crate::reason::Reason;
use crate::tables::{Interface, tunnel};
use crate::wire::{EtherType, Ethernet, Ipv4, Udp, Vxlan, protocol};

pub(super) const IP_AT: usize = Ethernet::LEN;
pub(super) const UDP_AT: usize = IP_AT + Ipv4::LEN;
pub(super) const TUNNEL_AT: usize = UDP_AT + Udp::LEN;

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
    let tunnel = tunnel_of(interface, udp.destination.get()).ok_or(Reason::NotTunnel)?;
    if has_options {
        return Err(Reason::OuterOptions);
    }
    packet.tunnel = tunnel;
    let udp_length = usize::from(udp.length.get());
    // A tunnel header must not be read out of padding.
    if udp_length + Ipv4::LEN != total_length as usize
        || packet.outer_end > packet.length
        || udp_length < Udp::LEN + Vxlan::LEN
    {
        return Err(Reason::OuterLength);
    }
    if tunnel == tunnel::GENEVE {
        geneve::parse(frame, packet)?;
    } else {
        vxlan(frame, packet)?;
    }
    if packet.inner_at + Ethernet::LEN > packet.outer_end as usize {
        return Err(Reason::OuterLength);
    }
    Ok(())
}

#[inline(always)]
fn vxlan<F: Frame>(frame: &F, packet: &mut Packet) -> Result<(), Reason> {
    let vxlan: Vxlan = frame.read(TUNNEL_AT).ok_or(Reason::OuterLength)?;
    packet.has_vni = vxlan.has_vni();
    packet.vni = vxlan.vni();
    packet.inner_at = TUNNEL_AT + Vxlan::LEN;
    if vxlan.is_extended() {
        packet.fault = Some(Reason::TunnelFlags);
    }
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
fn tunnel_of(interface: &Interface, port: u16) -> Option<u8> {
    // 0 marks unused places.
    if port == 0 {
        return None;
    }
    interface.ports.iter().find(|own| own.port == port).map(|own| own.tunnel)
}
