//! The packet's way through the gateway, top to bottom.
//!
//! Each step adds to what is known of the [`Packet`], or ends its way with a reason. Whatever
//! happens, [`process`] counts the packet in once and out once.
//!
//! Headers are read again where they are rewritten instead of being carried along: a BPF program
//! has 512 bytes of stack, and a second read of the same cache line is nearly free.

mod access;
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
/// `packet` is memory to work in; what it held before does not matter. In the kernel it is a map's:
/// what the verifier can't follow there does not multiply the ways through the program, as it does
/// on the stack.
#[inline(always)]
pub fn process<F: Frame, T: Tables>(frame: &mut F, tables: &T, packet: &mut Packet, ingress: u32) -> Verdict {
    packet.start(ingress, frame.len());
    tables.received(packet.length());
    match decide(frame, tables, packet) {
        Ok(reason) => {
            tables.account(reason, packet);
            reason.verdict()
        }
        Err(reason) => {
            // The ways of all reasons not to forward meet here.
            let reason = frame.obscure(reason);
            tables.account(reason, packet);
            reason.verdict()
        }
    }
}

#[inline(always)]
fn decide<F: Frame, T: Tables>(frame: &mut F, tables: &T, packet: &mut Packet) -> Result<Reason, Reason> {
    let interface = tables.interface(packet.ingress).ok_or(Reason::NoInterface)?;
    outer::parse(frame, interface, packet)?;
    let identifier = select::identify(tables, interface, packet)?;
    inner::parse(frame, packet).map_err(|fault| select::without_inner(tables, identifier, fault, packet))?;
    let target = select::target(tables, identifier, packet)?;
    access::check(tables, interface, target, packet)?;
    let hop = select::next_hop(tables, target, packet)?;
    let reason = if hop.ifindex == packet.ingress {
        Reason::Hairpinned
    } else if tables.redirect(hop.slot) {
        Reason::Forwarded
    } else {
        return Err(Reason::NoEgress);
    };
    rewrite::translate(frame, packet, target, hop)?;
    packet.egress = hop.ifindex;
    Ok(reason)
}
