//! Geneve headers and their options.

use super::packet::Packet;
use crate::encapsulation::number;
use crate::frame::Frame;
use crate::reason::Reason;
use crate::wire::{Geneve, GeneveOption, Identifier};

#[inline(always)]
pub(super) fn parse<F: Frame>(frame: &F, tunnel_at: usize, packet: &mut Packet) -> Result<(), Reason> {
    let geneve: Geneve = zerocopy::transmute!(packet.tunnel_header);
    if !geneve.is_known_version() {
        return Err(Reason::OuterMalformed);
    }
    if !geneve.carries_ethernet() {
        return Err(Reason::TunnelPayload);
    }
    let options_at = tunnel_at + Geneve::LEN;
    let end = options_at + geneve.options_len();
    packet.has_number = true;
    packet.number = geneve.vni();
    #[expect(clippy::cast_possible_truncation, reason = "330 at most")]
    {
        packet.options_len = geneve.options_len() as u32;
        packet.inner_at = end as u32;
    }
    // Only critical options need to be looked at (RFC 8926 §3.4), and ours is one.
    if geneve.has_critical() && packet.inner_at <= packet.end {
        packet.fault = options(frame, options_at, end, packet).err().unwrap_or(Packet::NO_FAULT);
    }
    Ok(())
}

/// Reads the identifier and OVN's option, and finds what else must be understood.
#[inline(never)]
fn options<F: Frame>(frame: &F, options_at: usize, end: usize, packet: &mut Packet) -> Result<(), Reason> {
    let mut at = options_at;
    for _ in 0..Geneve::MAX_OPTIONS / GeneveOption::LEN {
        if at >= end {
            break;
        }
        let option: GeneveOption = frame.read(at).ok_or(Reason::TunnelOptions)?;
        let next = at + option.total_len();
        if next > end {
            return Err(Reason::TunnelOptions);
        }
        let is_first = at == options_at;
        // In front, so that they can be taken off without moving the others.
        if option.is_identifier() {
            if !is_first {
                return Err(Reason::TunnelOptions);
            }
            let identifier: Identifier = frame.read(options_at).ok_or(Reason::TunnelOptions)?;
            packet.label = identifier.label();
            if packet.label == 0 {
                return Err(Reason::TunnelOptions);
            }
            packet.own_options = option_len(option);
        } else if option.is_ovn_ports() {
            if packet.label == 0 {
                packet.encapsulation = number::GENEVE_OVN;
            }
            if !is_first {
                return Err(Reason::TunnelOptions);
            }
            packet.own_options = option_len(option);
        } else if option.is_critical() {
            return Err(Reason::CriticalOption);
        }
        at = next;
    }
    Ok(())
}

#[inline(always)]
fn option_len(option: GeneveOption) -> u32 {
    #[expect(clippy::cast_possible_truncation, reason = "128 at most")]
    let len = option.total_len() as u32;
    len
}
