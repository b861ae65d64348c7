//! The access check against the original request.

use super::packet::Packet;
use crate::reason::Reason;
use crate::rules::{Direction, Request};
use crate::tables::{Interface, PolicyKey, Tables, Target};
use crate::wire::protocol;

/// An address may be a resource that others reach, a member of a network whose requests are
/// answered, or both. Either rule set can let the packet through; if none does, what the resource's
/// rules say is the reason.
#[inline(always)]
pub(super) fn check<T: Tables>(
    tables: &T,
    interface: &Interface,
    target: &Target,
    packet: &mut Packet,
) -> Result<(), Reason> {
    let mut refusal = Reason::ForeignIdentifier;
    if u32::from(target.forward_underlay) == interface.underlay {
        match ask(tables, target.rule_set, Direction::Forward, packet) {
            Ok(()) => return Ok(()),
            Err(reason) => refusal = reason,
        }
    }
    if u32::from(target.return_underlay) == interface.underlay {
        let key = PolicyKey { peer: target.peer, address: packet.inner_source };
        let Some(policy) = tables.policy(&key) else {
            return Err(if target.rule_set == 0 { Reason::Unlisted } else { refusal });
        };
        let leg = packet.leg;
        match ask(tables, policy.rule_set, Direction::Return, packet) {
            Ok(()) => return Ok(()),
            Err(reason) if target.rule_set == 0 => refusal = reason,
            Err(_) => packet.leg = leg,
        }
    }
    Err(refusal)
}

#[inline(always)]
fn ask<T: Tables>(
    tables: &T,
    rule_set: u32,
    direction: Direction,
    packet: &mut Packet,
) -> Result<(), Reason> {
    let rules = tables.rule_set(rule_set).ok_or(Reason::Internal)?;
    let protocol = if packet.protocol == protocol::ICMPV6 { protocol::ICMP } else { packet.protocol };
    let port = match direction {
        Direction::Forward => packet.destination_port,
        Direction::Return => packet.source_port,
    };
    let judgement = rules.judge(Request { direction, protocol, port, intent: packet.intent });
    packet.leg = judgement.leg;
    judgement.refusal.map_or(Ok(()), Err)
}
