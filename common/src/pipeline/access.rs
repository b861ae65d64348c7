//! The access check against the original request.

use super::packet::Packet;
use crate::reason::Reason;
use crate::rules::{Direction, Leg, Request};
use crate::tables::{PolicyKey, Tables, Target};
use crate::wire::protocol;

#[inline(always)]
pub(super) fn check<T: Tables>(tables: &T, target: &Target, packet: &mut Packet) -> Result<(), Reason> {
    let (direction, port, rule_set) = if target.direction == Direction::Forward as u8 {
        (Direction::Forward, packet.destination_port, target.via)
    } else {
        let key = PolicyKey { peer: target.via, address: packet.inner_source };
        let policy = tables.policy(&key).ok_or(Reason::Unlisted)?;
        (Direction::Return, packet.source_port, policy.rule_set)
    };
    let protocol = if packet.protocol == protocol::ICMPV6 { protocol::ICMP } else { packet.protocol };
    let request = Request { direction, protocol, port, intent: packet.intent };
    let judgement = tables.rule_set(rule_set).ok_or(Reason::Internal)?.judge(request);
    if judgement.leg.mapping().is_none() {
        packet.leg = Leg::NONE;
        return Err(Reason::Internal);
    }
    packet.leg = judgement.leg;
    judgement.refusal.map_or(Ok(()), Err)
}
