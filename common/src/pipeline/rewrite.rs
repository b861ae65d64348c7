//! The translation itself: what is in front of the inner frame is taken off, and built anew for the network it goes to.
//!
//! Between tunnels the gateway forwards: TTL counts down, so that two gateways that point at each other can't keep a
//! packet alive for ever (decision 0007), and the source port, DSCP, ECN, identification and the don't-fragment bit
//! go on. The source port carries the sender's flow entropy (RFC 7348 §5, RFC 8926 §3.3).

use zerocopy::byteorder::network_endian::U16;

use super::ecn;
use super::packet::{Packet, TunnelHeader};
use crate::address::Address;
use crate::checksum::Sum;
use crate::encapsulation::number;
use crate::frame::Frame;
use crate::reason::Reason;
use crate::rules::Direction;
use crate::tables::{NextHop, Stamp, Tables, Target, hop};
use crate::wire::{
    EtherType, Ethernet, Geneve, Identifier, Ipv4, Ipv6, Macs, OvnPorts, Tag, Udp, Vxlan, protocol,
};

const _: () = assert!(Vxlan::LEN == size_of::<TunnelHeader>() && Geneve::LEN == size_of::<TunnelHeader>());

/// Covers every place at which an inner frame can start, and with that its options.
const PAYLOAD_AT_MASK: usize = 0x1ff;
/// Covers every place at which the gateway writes an outer header.
const HEADER_AT_MASK: usize = 0x7f;
/// Covers the length of every option that the gateway writes.
const OPTION_MASK: usize = 0xf;
/// Where the checksum is in a UDP header.
const CHECKSUM_AT: usize = 6;
#[expect(clippy::cast_possible_truncation, reason = "20 fits")]
const IPV4_LEN: u16 = Ipv4::LEN as u16;

/// Bytes of the option that the gateway writes itself.
#[inline(always)]
const fn own_option(target: &Target) -> usize {
    if target.flags & Target::STAMP != 0 {
        Identifier::LEN
    } else if target.encapsulation == number::GENEVE_OVN {
        OvnPorts::LEN
    } else {
        0
    }
}

#[inline(always)]
const fn ip_len(hop: &NextHop) -> usize {
    if hop.state == hop::V6 { Ipv6::LEN } else { Ipv4::LEN }
}

/// Whether the packet can be translated to what the target wants.
#[inline(always)]
pub(super) fn fit(target: &Target, hop: &NextHop, packet: &mut Packet) -> Result<(), Reason> {
    let from_tunnel = number::is_tunnel(packet.encapsulation);
    let inner_len = packet.end.wrapping_sub(packet.inner_at) as usize;
    if !number::is_tunnel(target.encapsulation) {
        if inner_len > hop.mtu as usize + Ethernet::LEN {
            return Err(Reason::EgressMtu);
        }
        if from_tunnel && packet.inner_is_ip && ecn::combine(packet) == ecn::Combined::Impossible {
            return Err(Reason::EcnCongested);
        }
        return Ok(());
    }
    if packet.ttl <= 1 {
        return Err(Reason::TtlExpired);
    }
    let mut options = own_option(target);
    if number::is_geneve(packet.encapsulation) && number::is_geneve(target.encapsulation) {
        let kept = packet.options_len.wrapping_sub(packet.own_options);
        #[expect(clippy::cast_possible_truncation, reason = "252 at most")]
        {
            packet.kept_options = kept as u16;
        }
        options += kept as usize;
    }
    if options > Geneve::MAX_OPTIONS {
        return Err(Reason::OptionsFull);
    }
    let length = ip_len(hop) + Udp::LEN + Geneve::LEN + options + inner_len;
    if length > hop.mtu as usize || length > usize::from(u16::MAX) {
        return Err(Reason::EgressMtu);
    }
    Ok(())
}

/// Fails with [`Reason::NoHeadroom`], and otherwise with [`Reason::Internal`] only: everything has been read at the same
/// places before.
///
/// A function of its own: where it returns, all ways through it meet.
#[inline(never)]
pub(super) fn translate<F: Frame, T: Tables>(
    frame: &mut F,
    tables: &T,
    packet: &Packet,
    target: &Target,
    hop: &NextHop,
) -> Result<(), Reason> {
    if !number::is_tunnel(target.encapsulation) {
        return to_device(frame, packet, target);
    }
    let mapping = packet.leg().0 >> 1;
    let stamp = if target.flags & Target::STAMP == 0 {
        Stamp::default()
    } else {
        *tables.stamp(mapping).ok_or(Reason::Internal)?
    };
    to_tunnel(frame, packet, target, hop, stamp)
}

/// To a VLAN or a port: only the inner frame goes.
#[inline(always)]
fn to_device<F: Frame>(frame: &mut F, packet: &Packet, target: &Target) -> Result<(), Reason> {
    let macs_at = frame.forget(packet.macs_at as usize) & PAYLOAD_AT_MASK;
    let inner_at = frame.forget(packet.inner_at as usize) & PAYLOAD_AT_MASK;
    let macs: Macs = frame.read(macs_at).ok_or(Reason::Internal)?;
    if number::is_tunnel(packet.encapsulation) {
        if packet.inner_is_ip {
            ecn::carry_over(frame, packet, inner_at + Ethernet::LEN).ok_or(Reason::Internal)?;
        }
        let padding = packet.length.wrapping_sub(packet.end);
        if padding > 0 {
            frame.trim_back(padding as usize).ok_or(Reason::Internal)?;
        }
    }
    let is_vlan = target.encapsulation == number::VLAN;
    let front = if is_vlan { Tag::LEN } else { 0 };
    frame.move_front(inner_at.cast_signed() - front.cast_signed()).ok_or(Reason::NoHeadroom)?;
    frame.write(0, &macs).ok_or(Reason::Internal)?;
    if is_vlan {
        #[expect(clippy::cast_possible_truncation, reason = "12 bits")]
        let tag = Tag::new(EtherType::VLAN, target.number as u16);
        frame.write(Macs::LEN, &tag).ok_or(Reason::Internal)?;
    }
    Ok(())
}

/// Each question is asked anew, and through `forget`: what the verifier remembered of one answer would keep the ways
/// apart, and multiply them with the answers to all others.
#[inline(always)]
fn to_tunnel<F: Frame>(
    frame: &mut F,
    packet: &Packet,
    target: &Target,
    hop: &NextHop,
    stamp: Stamp,
) -> Result<(), Reason> {
    let own_option = frame.forget(own_option(target)) & OPTION_MASK;
    let kept = usize::from(packet.kept_options);
    let payload_at = frame.forget((packet.inner_at as usize).wrapping_sub(kept)) & PAYLOAD_AT_MASK;
    let ip_at = frame.forget(Ethernet::LEN + (hop.tag_count & 3) as usize * Tag::LEN) & HEADER_AT_MASK;
    let udp_at = frame.forget(ip_at + ip_len(hop)) & HEADER_AT_MASK;
    let front = frame.forget(udp_at + Udp::LEN + Geneve::LEN + own_option) & HEADER_AT_MASK;
    #[expect(clippy::cast_possible_truncation, reason = "`fit` has checked it")]
    let udp_length = (packet.end as usize).wrapping_sub(payload_at).wrapping_add(front - udp_at) as u16;

    let mut sum = Sum::default();
    if packet.udp_checksum != 0 {
        sum = without_old(frame, packet, payload_at).ok_or(Reason::Internal)?;
    }
    frame.move_front(payload_at.cast_signed() - front.cast_signed()).ok_or(Reason::NoHeadroom)?;
    if packet.encapsulation == number::VLAN {
        // In front of the tag that is not there any more.
        let macs: Macs = frame.read(front.wrapping_sub(Tag::LEN) & HEADER_AT_MASK).ok_or(Reason::Internal)?;
        frame.write(front, &macs).ok_or(Reason::Internal)?;
    }

    link(frame, hop).ok_or(Reason::Internal)?;
    if frame.forget(hop.state as usize) == hop::V6 as usize {
        let ends = [hop.source.octets(), hop.destination.octets()];
        let ip =
            Ipv6::udp(ends, udp_length, packet.traffic_class, packet.ttl.wrapping_sub(1), packet.flow_label);
        frame.write(ip_at, &ip).ok_or(Reason::Internal)?;
        sum = with_address(with_address(sum, hop.source), hop.destination);
    } else {
        let ends = [hop.source.low(), hop.destination.low()];
        let ip = Ipv4::udp(
            ends,
            udp_length.wrapping_add(IPV4_LEN),
            packet.traffic_class,
            packet.ttl.wrapping_sub(1),
            packet.identification,
            packet.dont_fragment,
        );
        frame.write(ip_at, &ip).ok_or(Reason::Internal)?;
        sum = sum.add32(hop.source.low()).add32(hop.destination.low());
    }

    let header = tunnel_header(frame, packet, target, kept + own_option, stamp);
    let tunnel_at = udp_at + Udp::LEN;
    frame.write(tunnel_at, &header).ok_or(Reason::Internal)?;
    sum = sum.add32(header[0]).add32(header[1]);
    if frame.forget(target.flags.into()) & usize::from(Target::STAMP) != 0 {
        let is_return = matches!(packet.leg().direction(), Direction::Return);
        let option: [[u8; 4]; 3] = zerocopy::transmute!(Identifier::new(stamp.label, is_return, stamp.epoch));
        frame.write(tunnel_at + Geneve::LEN, &option).ok_or(Reason::Internal)?;
        sum = sum.add32(option[0]).add32(option[1]).add32(option[2]);
    } else if frame.forget(target.encapsulation.into()) == usize::from(number::GENEVE_OVN) {
        let option: [[u8; 4]; 2] = zerocopy::transmute!(OvnPorts::new(target.extra));
        frame.write(tunnel_at + Geneve::LEN, &option).ok_or(Reason::Internal)?;
        sum = sum.add32(option[0]).add32(option[1]);
    }

    // The length counts twice: in the header and in the pseudo-header.
    sum = sum.add16(packet.udp_source).add16(target.port).add16(udp_length).add16(udp_length);
    let mut udp = Udp {
        source: packet.udp_source.into(),
        destination: target.port.into(),
        length: udp_length.into(),
        checksum: 0.into(),
    };
    let had_checksum = frame.forget(packet.udp_checksum.into()) != 0;
    if had_checksum {
        udp.checksum = sum.update_udp(packet.udp_checksum).into();
    }
    frame.write(udp_at, &udp).ok_or(Reason::Internal)?;
    if !had_checksum && frame.forget(hop.state as usize) == hop::V6 as usize {
        let pseudo = with_address(with_address(Sum::default(), hop.source), hop.destination)
            .add16(udp_length)
            .add16(protocol::UDP.into());
        let datagram = frame.sum(udp_at, usize::from(udp_length)).ok_or(Reason::Internal)?;
        let checksum: U16 = pseudo.and(datagram).udp().into();
        frame.write(udp_at + CHECKSUM_AT, &checksum).ok_or(Reason::Internal)?;
    }
    Ok(())
}

/// Ethernet and the next hop's tags.
#[inline(always)]
fn link<F: Frame>(frame: &mut F, hop: &NextHop) -> Option<()> {
    let is_v6 = frame.forget(hop.state as usize) == hop::V6 as usize;
    let ip = if is_v6 { EtherType::IPV6 } else { EtherType::IPV4 };
    let macs = Macs { destination: hop.destination_mac, source: hop.source_mac };
    frame.write(0, &macs)?;
    // Both, if there is a second one: the type behind a single one is written over it.
    if frame.forget(hop.tag_count as usize) > 0 {
        frame.write(Macs::LEN, &hop.tags)?;
    }
    let type_at = Macs::LEN + (hop.tag_count & 3) as usize * Tag::LEN;
    frame.write(frame.forget(type_at) & HEADER_AT_MASK, &U16::new(ip))
}

/// What a UDP checksum covers of the old headers goes: addresses, the UDP header, the tunnel header and the options that
/// don't go on.
#[inline(always)]
fn without_old<F: Frame>(frame: &F, packet: &Packet, payload_at: usize) -> Option<Sum> {
    let mut sum = Sum::default()
        .remove16(packet.udp_source)
        .remove16(packet.udp_destination)
        .remove16(packet.udp_length)
        .remove16(packet.udp_length)
        .remove32(packet.tunnel_header[0])
        .remove32(packet.tunnel_header[1]);
    if packet.is_v6 {
        sum = without_address(without_address(sum, packet.outer_source), packet.outer_destination);
    } else {
        sum = sum.remove32(packet.outer_source.low()).remove32(packet.outer_destination.low());
    }
    if packet.options_len != u32::from(packet.kept_options) {
        let first = (packet.inner_at as usize).wrapping_sub(packet.options_len as usize);
        sum = sum.without(frame.sum(first, payload_at.wrapping_sub(first))?);
    }
    Some(sum)
}

#[inline(always)]
fn with_address(sum: Sum, address: Address) -> Sum {
    let [a, b, c, d] = address.words();
    sum.add32(a.to_ne_bytes()).add32(b.to_ne_bytes()).add32(c.to_ne_bytes()).add32(d.to_ne_bytes())
}

#[inline(always)]
fn without_address(sum: Sum, address: Address) -> Sum {
    let [a, b, c, d] = address.words();
    sum.remove32(a.to_ne_bytes())
        .remove32(b.to_ne_bytes())
        .remove32(c.to_ne_bytes())
        .remove32(d.to_ne_bytes())
}

/// The header the packet leaves with: the one it came with where the tunnel is of the same kind, so
/// that reserved bits stay.
#[inline(always)]
fn tunnel_header<F: Frame>(
    frame: &F,
    packet: &Packet,
    target: &Target,
    options: usize,
    stamp: Stamp,
) -> TunnelHeader {
    let old = packet.tunnel_header;
    let (from, to) = (packet.encapsulation, target.encapsulation);
    if number::is_geneve(to) {
        let number = if stamp.label == 0 { target.number } else { stamp.label };
        let mut geneve: Geneve =
            if number::is_geneve(from) { zerocopy::transmute!(old) } else { Geneve::new(number) };
        geneve.set_vni(number);
        geneve.set_options(options, frame.forget(own_option(target)) != 0);
        return zerocopy::transmute!(geneve);
    }
    let mut vxlan: Vxlan = if from == to { zerocopy::transmute!(old) } else { Vxlan::new(target.number) };
    vxlan.set_vni(target.number);
    if target.extra & Target::SET_GROUP != 0 {
        #[expect(clippy::cast_possible_truncation, reason = "the low 16 bits")]
        vxlan.set_group(target.extra as u16);
    }
    zerocopy::transmute!(vxlan)
}
