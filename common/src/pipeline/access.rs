//! The access check against the original request.

use super::packet::Packet;
use super::select::Identifier;
use crate::reason::Reason;
use crate::rules::{Direction, Request};
use crate::tables::{Interface, PolicyKey, Tables, Target, TargetKey};
use crate::wire::protocol;

#[inline(always)]
pub(super) fn check<T: Tables>(
    tables: &T,
    interface: &Interface,
    identifier: Identifier,
    target: &Target,
    packet: &mut Packet,
) -> Result<(), Reason> {
    if identifier.is_label {
        by_label(tables, interface, identifier, target, packet)
    } else {
        by_network(tables, target, packet)
    }
}

/// A label names one mapping, whose networks are two different ones: an address in its scope is either a resource or
/// belongs to those who ask. Where the source lives is the other end of the same mapping, and tells both who may send
/// this and, for answers, the resource's rules.
#[inline(always)]
fn by_label<T: Tables>(
    tables: &T,
    interface: &Interface,
    identifier: Identifier,
    target: &Target,
    packet: &mut Packet,
) -> Result<(), Reason> {
    let key = TargetKey { scope: identifier.scope, address: packet.inner_source };
    let source = tables.target(&key).ok_or(Reason::ForeignIdentifier)?;
    let origin = tables.origin(source.next_hop).ok_or(Reason::ForeignIdentifier)?;
    // Requests go from those who ask to a resource, and answers the other way.
    let fits = (target.rule_set == 0) == (source.rule_set != 0);
    if !fits || !origin.admits(interface.underlay, packet.outer_source) {
        return Err(Reason::ForeignIdentifier);
    }
    let (rule_set, direction) = match target.rule_set {
        0 => (source.rule_set, Direction::Return),
        rule_set => (rule_set, Direction::Forward),
    };
    ask(tables, rule_set, direction, packet)
}

/// An address may be a resource that others reach, a member of a network whose requests are
/// answered, or both. Either rule set can let the packet through; if none does, what the resource's
/// rules say is the reason.
#[inline(always)]
fn by_network<T: Tables>(tables: &T, target: &Target, packet: &mut Packet) -> Result<(), Reason> {
    let mut refusal = Reason::Internal;
    if target.rule_set != 0 {
        match ask(tables, target.rule_set, Direction::Forward, packet) {
            Ok(()) => return Ok(()),
            Err(reason) => refusal = reason,
        }
    }
    if target.peer != 0 {
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

/// A function of its own: there are three places that ask, and the verifier would walk all rules in each.
#[inline(never)]
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
