//! Geneve headers and their options.

use super::outer::TUNNEL_AT;
use super::packet::Packet;
use crate::frame::Frame;
use crate::reason::Reason;
use crate::wire::{Geneve, GeneveOption, Identifier};

const OPTIONS_AT: usize = TUNNEL_AT + Geneve::LEN;

#[inline(always)]
pub(super) fn parse<F: Frame>(frame: &F, packet: &mut Packet) -> Result<(), Reason> {
    let geneve: Geneve = frame.read(TUNNEL_AT).ok_or(Reason::OuterLength)?;
    if !geneve.is_known_version() {
        return Err(Reason::OuterMalformed);
    }
    if !geneve.carries_ethernet() {
        return Err(Reason::TunnelPayload);
    }
    let options_len = geneve.options_len();
    packet.has_vni = true;
    packet.vni = geneve.vni();
    packet.inner_at = OPTIONS_AT + options_len;
    #[expect(clippy::cast_possible_truncation, reason = "252 at most")]
    {
        packet.options_len = options_len as u32;
    }
    // Only critical options need to be looked at (RFC 8926 §3.4), and ours is one.
    if geneve.has_critical() && packet.inner_at <= packet.outer_end as usize {
        packet.fault = options(frame, packet, OPTIONS_AT + options_len).err();
    }
    Ok(())
}

/// Reads our identifier, and finds what else must be understood.
#[inline(always)]
fn options<F: Frame>(frame: &F, packet: &mut Packet, end: usize) -> Result<(), Reason> {
    let mut at = OPTIONS_AT;
    for _ in 0..Geneve::MAX_OPTIONS / GeneveOption::LEN {
        if at >= end {
            break;
        }
        let option: GeneveOption = frame.read(at).ok_or(Reason::TunnelOptions)?;
        let next = at + option.total_len();
        if next > end {
            return Err(Reason::TunnelOptions);
        }
        if option.is_identifier() {
            // In front, so that it can be taken off without moving the others.
            if at != OPTIONS_AT {
                return Err(Reason::TunnelOptions);
            }
            let identifier: Identifier = frame.read(OPTIONS_AT).ok_or(Reason::TunnelOptions)?;
            packet.label = identifier.label();
            if packet.label == 0 {
                return Err(Reason::TunnelOptions);
            }
        } else if option.is_critical() {
            return Err(Reason::CriticalOption);
        }
        at = next;
    }
    Ok(())
}
