//! From the identifier and the inner destination to a target, and on to its next hop.

use super::packet::Packet;
use crate::encapsulation::number;
use crate::frame::Frame;
use crate::reason::Reason;
use crate::scope::Scope;
use crate::tables::{Interface, NextHop, Tables, Target, TargetKey, hop};
use crate::wire::Macs;

/// Covers every place at which an inner frame's MACs can start.
const MACS_AT_MASK: usize = 0x1ff;

/// What the outer headers say about the packet's origin.
#[derive(Clone, Copy)]
pub(super) struct Identifier {
    pub(super) scope: Scope,
    /// It is a mapping's label, not a network's number.
    pub(super) is_label: bool,
}

#[inline(always)]
pub(super) fn identify<T: Tables>(
    tables: &T,
    interface: &Interface,
    packet: &Packet,
) -> Result<Identifier, Reason> {
    if !packet.has_number {
        return Err(Reason::NoIdentifier);
    }
    let settings = tables.settings();
    let number = packet.number;
    let is_vxlan = packet.encapsulation <= number::VXLAN_GROUP;
    let (scope, is_label) = if packet.label != 0 {
        (Scope::labelled(packet.label), true)
    } else if is_vxlan && number != 0 && settings.label_first <= number && number <= settings.label_last {
        (Scope::labelled(number), true)
    } else {
        (Scope::on_wire(interface.underlay, packet.encapsulation, number), false)
    };
    Ok(Identifier { scope, is_label })
}

/// Whether the packet names something of ours, and if not, what is to be said of it.
#[inline(always)]
fn knows<'t, T: Tables>(
    tables: &'t T,
    interface: &Interface,
    identifier: Identifier,
    packet: &Packet,
) -> Result<&'t crate::tables::ScopeEntry, Reason> {
    if let Some(entry) = tables.knows(identifier.scope) {
        return Ok(entry);
    }
    if identifier.is_label {
        return Err(Reason::UnknownIdentifier);
    }
    if packet.encapsulation == number::GENEVE_OVN {
        let plain = Scope::on_wire(interface.underlay, number::GENEVE, packet.number);
        if tables.knows(plain).is_some() {
            return Err(Reason::CriticalOption);
        }
    }
    Err(Reason::LocalVni)
}

#[inline(always)]
pub(super) fn target<'t, F: Frame, T: Tables>(
    frame: &F,
    tables: &'t T,
    identifier: Identifier,
    packet: &mut Packet,
) -> Result<&'t Target, Reason> {
    let key = TargetKey { scope: identifier.scope, address: packet.inner_destination };
    let Some(target) = tables.target(&key) else {
        return Err(if identifier.is_label { Reason::Unlisted } else { Reason::NotMapped });
    };
    if target.flags & Target::LEARN != 0 {
        learn(frame, identifier.scope, packet);
    }
    Ok(target)
}

/// Why a packet leaves that got no target, for what looks like this `reason`: perhaps it is not the gateway's at all.
#[inline(always)]
pub(super) fn missed<F: Frame, T: Tables>(
    frame: &F,
    tables: &T,
    interface: &Interface,
    identifier: Identifier,
    reason: Reason,
    packet: &mut Packet,
) -> Reason {
    match knows(tables, interface, identifier, packet) {
        Ok(entry) => {
            packet.leg = entry.leg;
            if entry.learns != 0 && matches!(reason, Reason::NotMapped) {
                learn(frame, identifier.scope, packet);
            }
            reason
        }
        // A number that isn't ours may be a tunnel of the host's, with extensions of its own.
        Err(Reason::LocalVni) => Reason::LocalVni,
        Err(_) if packet.fault != Packet::NO_FAULT => reason,
        Err(unknown) => unknown,
    }
}

/// Notes that the network learns where the packet's source lives.
#[inline(always)]
fn learn<F: Frame>(frame: &F, scope: Scope, packet: &mut Packet) {
    if let Some(macs) = frame.read::<Macs>(frame.forget(packet.macs_at as usize) & MACS_AT_MASK) {
        packet.source_mac = macs.source;
        packet.learns_in = scope;
    }
}

#[inline(always)]
pub(super) fn next_hop<'t, T: Tables>(tables: &'t T, target: &Target) -> Result<&'t NextHop, Reason> {
    if target.next_hop == 0 {
        return Err(Reason::UnknownEndpoint);
    }
    let hop = tables.next_hop(target.next_hop).ok_or(Reason::Internal)?;
    if hop.state == hop::UNRESOLVED {
        return Err(Reason::NextHopUnresolved);
    }
    Ok(hop)
}
