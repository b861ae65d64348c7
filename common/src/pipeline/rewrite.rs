//! The translation itself: new outer headers in place, checksums updated incrementally.
//!
//! The source port stays as it is: it carries the sender's flow entropy (RFC 7348 §5, RFC 8926
//! §3.3). So do DSCP, ECN, identification and the don't-fragment bit. The TTL counts down instead
//! of starting anew, so that two gateways that point at each other can't keep a packet alive for
//! ever.
//!
//! VXLAN and Geneve headers are equally long. Options that don't go on are taken off by moving the
//! frame's start behind them; everything in front of them is written anyway.

use super::outer::{IP_AT, TUNNEL_AT, UDP_AT};
use super::packet::Packet;
use crate::checksum::Delta;
use crate::frame::Frame;
use crate::reason::Reason;
use crate::tables::{NextHop, Target, tunnel};
use crate::wire::{EtherType, Ethernet, Geneve, Ipv4, Udp, Vxlan};

/// The first 8 bytes of a tunnel header, as words.
type TunnelWords = [[u8; 4]; 2];

const _: () = assert!(Vxlan::LEN == size_of::<TunnelWords>() && Geneve::LEN == size_of::<TunnelWords>());

/// Fails with [`Reason::Internal`] only: everything has been read at the same places before.
#[inline(always)]
pub(super) fn translate<F: Frame>(
    frame: &mut F,
    packet: &Packet,
    target: &Target,
    hop: &NextHop,
) -> Result<(), Reason> {
    let mut ip: Ipv4 = frame.read(IP_AT).ok_or(Reason::Internal)?;
    let mut udp: Udp = frame.read(UDP_AT).ok_or(Reason::Internal)?;
    let old_tunnel: TunnelWords = frame.read(TUNNEL_AT).ok_or(Reason::Internal)?;

    let lost = packet.options_lost(target.tunnel);
    let mut payload = Delta::default();
    if lost > 0 {
        if udp.checksum.get() != 0 {
            payload = without_options(frame, lost as usize).ok_or(Reason::Internal)?;
        }
        frame.trim_front(lost as usize).ok_or(Reason::Internal)?;
    }
    #[expect(clippy::cast_possible_truncation, reason = "252 at most")]
    let lost = lost as u16;

    let ethernet = Ethernet {
        destination: hop.destination_mac,
        source: hop.source_mac,
        ether_type: EtherType::IPV4.into(),
    };
    frame.write(0, &ethernet).ok_or(Reason::Internal)?;

    let addresses =
        Delta::default().replace32(ip.source, hop.source).replace32(ip.destination, hop.destination);
    let ip_length = ip.total_length.get().wrapping_sub(lost);
    let ttl = ip.ttl - 1;
    let old = u16::from_be_bytes([ip.ttl, ip.protocol]);
    let new = u16::from_be_bytes([ttl, ip.protocol]);
    ip.checksum = addresses
        .replace16(old, new)
        .replace16(ip.total_length.get(), ip_length)
        .apply(ip.checksum.get())
        .into();
    ip.total_length = ip_length.into();
    ip.ttl = ttl;
    ip.source = hop.source;
    ip.destination = hop.destination;
    frame.write(IP_AT, &ip).ok_or(Reason::Internal)?;

    let new_tunnel = tunnel_header(old_tunnel, packet, target);
    frame.write(TUNNEL_AT, &new_tunnel).ok_or(Reason::Internal)?;

    let udp_length = udp.length.get().wrapping_sub(lost);
    udp.checksum = payload
        .and(addresses)
        .replace32(old_tunnel[0], new_tunnel[0])
        .replace32(old_tunnel[1], new_tunnel[1])
        .replace16(udp.destination.get(), target.port)
        // Once in the header, once in the pseudo-header.
        .replace16(udp.length.get(), udp_length)
        .replace16(udp.length.get(), udp_length)
        .apply_udp(udp.checksum.get())
        .into();
    udp.destination = target.port.into();
    udp.length = udp_length.into();
    frame.write(UDP_AT, &udp).ok_or(Reason::Internal)
}

/// The header the packet leaves with: the one it came with where the tunnel is of the same kind, so
/// that reserved bits stay.
#[inline(always)]
fn tunnel_header(old: TunnelWords, packet: &Packet, target: &Target) -> TunnelWords {
    let same = packet.tunnel == target.tunnel;
    if target.tunnel == tunnel::GENEVE {
        let mut geneve: Geneve = if same { zerocopy::transmute!(old) } else { Geneve::new(target.vni) };
        geneve.set_vni(target.vni);
        if same {
            geneve.set_options((packet.options_len - packet.options_lost(target.tunnel)) as usize);
        }
        zerocopy::transmute!(geneve)
    } else {
        let mut vxlan: Vxlan = if same { zerocopy::transmute!(old) } else { Vxlan::new(target.vni) };
        vxlan.set_vni(target.vni);
        zerocopy::transmute!(vxlan)
    }
}

/// What a UDP checksum loses with the first so many bytes of options.
#[inline(always)]
fn without_options<F: Frame>(frame: &F, bytes: usize) -> Option<Delta> {
    let mut delta = Delta::default();
    for word in 0..Geneve::MAX_OPTIONS / 4 {
        if word * 4 >= bytes {
            break;
        }
        delta = delta.remove32(frame.read(TUNNEL_AT + Geneve::LEN + word * 4)?);
    }
    Some(delta)
}
