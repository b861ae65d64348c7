//! From the identifier and the inner destination to a target, and on to its next hop.

use super::packet::Packet;
use crate::reason::Reason;
use crate::scope::Scope;
use crate::tables::{Interface, NextHop, Tables, Target, TargetKey, tunnel};

/// What the tunnel header says about the packet's origin.
#[derive(Clone, Copy)]
pub(super) struct Identifier {
    scope: Scope,
    /// It is a mapping's label, not a network's VNI.
    is_label: bool,
}

#[inline(always)]
pub(super) fn identify<T: Tables>(
    tables: &T,
    interface: &Interface,
    packet: &Packet,
) -> Result<Identifier, Reason> {
    if !packet.has_vni {
        return Err(Reason::NoIdentifier);
    }
    let settings = tables.settings();
    let vni = packet.vni;
    let is_geneve = packet.tunnel == tunnel::GENEVE;
    let (scope, is_label) = if packet.label != 0 {
        (Scope::labelled(packet.label), true)
    } else if !is_geneve && vni != 0 && settings.label_first <= vni && vni <= settings.label_last {
        (Scope::labelled(vni), true)
    } else {
        (Scope::on_wire(interface.underlay, is_geneve, vni), false)
    };
    if let Some(fault) = packet.fault {
        // A VNI that isn't ours may be a tunnel of the host's, with extensions of its own.
        let ours = is_label || tables.knows(scope).is_some();
        return Err(if ours { fault } else { Reason::LocalVni });
    }
    Ok(Identifier { scope, is_label })
}

/// Why a packet leaves whose inner frame can't be understood.
#[inline(always)]
pub(super) fn without_inner<T: Tables>(
    tables: &T,
    identifier: Identifier,
    fault: Reason,
    packet: &mut Packet,
) -> Reason {
    match (tables.knows(identifier.scope), identifier.is_label) {
        (None, true) => Reason::UnknownIdentifier,
        (None, false) => Reason::LocalVni,
        // Without an identifier only the inner destination could ask for translation.
        (Some(_), false) if matches!(fault, Reason::InnerUnsupported) => Reason::NotMapped,
        (Some(leg), _) => {
            packet.leg = *leg;
            fault
        }
    }
}

#[inline(always)]
pub(super) fn target<'t, T: Tables>(
    tables: &'t T,
    identifier: Identifier,
    packet: &mut Packet,
) -> Result<&'t Target, Reason> {
    let key = TargetKey { scope: identifier.scope, address: packet.inner_destination };
    tables.target(&key).ok_or_else(|| match (tables.knows(identifier.scope), identifier.is_label) {
        (None, true) => Reason::UnknownIdentifier,
        (None, false) => Reason::LocalVni,
        (Some(_), false) => Reason::NotMapped,
        (Some(leg), true) => {
            packet.leg = *leg;
            Reason::Unlisted
        }
    })
}

#[inline(always)]
pub(super) fn next_hop<'t, T: Tables>(
    tables: &'t T,
    target: &Target,
    packet: &Packet,
) -> Result<&'t NextHop, Reason> {
    let hop = tables.next_hop(target.next_hop).ok_or(Reason::Internal)?;
    if hop.resolved == 0 {
        return Err(Reason::NextHopUnresolved);
    }
    if packet.ttl <= 1 {
        return Err(Reason::TtlExpired);
    }
    if packet.outer_length - packet.options_lost(target.tunnel) > hop.mtu {
        return Err(Reason::EgressMtu);
    }
    Ok(hop)
}
