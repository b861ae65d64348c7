//! The packet's way through the gateway, top to bottom.
//!
//! Each step adds to what is known of the [`Packet`], or ends its way with a reason. Whatever
//! happens, [`process`] counts the packet in once and out once.
//!
//! What a later step needs of a header is in the [`Packet`], which lies in a map: a BPF program has 512 bytes of
//! stack.

mod access;
mod ecn;
mod geneve;
mod inner;
mod outer;
mod packet;
mod rewrite;
mod select;

pub use packet::Packet;

use crate::frame::Frame;
use crate::reason::{Reason, Verdict};
use crate::tables::Tables;

/// Decides over a frame that came in by the interface of index `ingress`, rewrites it if it is
/// forwarded, and accounts for it.
///
/// `packet` is memory to work in, all zero as in [`Packet::default`]. In the kernel it is a map's:
/// what the verifier can't follow there does not multiply the ways through the program, as it does
/// on the stack.
#[inline(always)]
pub fn process<F: Frame, T: Tables>(frame: &mut F, tables: &T, packet: &mut Packet, ingress: u32) -> Verdict {
    packet.start(ingress, frame.len());
    tables.received(packet.length());
    let (Ok(reason) | Err(reason)) = decide(frame, tables, packet);
    // The ways of all reasons meet here.
    let reason = frame.obscure(reason);
    packet.teach(tables);
    tables.account(reason, packet);
    reason.verdict()
}

#[inline(always)]
fn decide<F: Frame, T: Tables>(frame: &mut F, tables: &T, packet: &mut Packet) -> Result<Reason, Reason> {
    let interface = tables.interface(packet.ingress).ok_or(Reason::NoInterface)?;
    outer::parse(frame, interface, packet)?;
    let identifier = select::identify(tables, interface, packet)?;
    let target = match packet.fault {
        Packet::NO_FAULT => {
            inner::parse(frame, packet).and_then(|()| select::target(frame, tables, identifier, packet))
        }
        fault => Err(fault),
    };
    let target = match target {
        Ok(target) => target,
        Err(reason) => {
            let reason = frame.obscure(reason);
            return Err(select::missed(frame, tables, interface, identifier, reason, packet));
        }
    };
    access::check(tables, interface, identifier, target, packet)?;
    let hop = select::next_hop(tables, target)?;
    rewrite::fit(target, hop, packet)?;
    let reason = if hop.ifindex == packet.ingress {
        Reason::Hairpinned
    } else if tables.redirect(hop.slot) {
        Reason::Forwarded
    } else {
        return Err(Reason::NoEgress);
    };
    rewrite::translate(frame, tables, packet, target, hop)?;
    packet.egress = hop.ifindex;
    Ok(reason)
}
