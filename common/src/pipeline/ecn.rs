//! Explicit congestion notification at the end of a tunnel (RFC 6040 §4.2).

use super::packet::Packet;
use crate::checksum::Sum;
use crate::frame::Frame;
use crate::wire::{EtherType, Ipv4, Ipv6};

/// The two bits of a traffic class (RFC 3168 §5).
const MASK: u8 = 3;
const NOT_ECT: u8 = 0;
const ECT_1: u8 = 1;
const ECT_0: u8 = 2;
const CE: u8 = 3;

/// What outer and inner header say together.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Combined {
    /// The inner header says it already.
    Same,
    /// The inner header's traffic class becomes this.
    Becomes(u8),
    /// The inner packet's sender would not understand.
    Impossible,
}

#[inline(always)]
pub(super) const fn combine(packet: &Packet) -> Combined {
    let inner = packet.inner_traffic_class;
    match (packet.traffic_class & MASK, inner & MASK) {
        (CE, NOT_ECT) => Combined::Impossible,
        (CE, ECT_0 | ECT_1) => Combined::Becomes(inner | CE),
        (ECT_1, ECT_0) => Combined::Becomes(inner & !MASK | ECT_1),
        _ => Combined::Same,
    }
}

/// Writes into the inner header, at this offset, what the outer one adds.
#[inline(always)]
pub(super) fn carry_over<F: Frame>(frame: &mut F, packet: &Packet, at: usize) -> Option<()> {
    let Combined::Becomes(class) = combine(packet) else { return Some(()) };
    if packet.ether_type == EtherType::IPV6 {
        let mut ip: Ipv6 = frame.read(at)?;
        ip.set_traffic_class(class);
        return frame.write(at, &ip);
    }
    let mut ip: Ipv4 = frame.read(at)?;
    // The class shares a word with version and header length, which stay.
    let change = Sum::default().remove16(ip.traffic_class.into()).add16(class.into());
    ip.checksum = change.update(ip.checksum.get()).into();
    ip.traffic_class = class;
    frame.write(at, &ip)
}
