//! Frames that end early, at every byte.

use isthmus_common::reason::Reason;

use super::{Attempt, journeys, tunnels};
use crate::inner::Inner;
use crate::row::{Packet, Row, Sum};
use crate::way::Kind;

const ETHERNET: usize = 14;
/// Shorter than this, a frame has no IP or ARP packet in it that is whole.
const CUT: [Inner; 4] = [Inner::Udp, Inner::Tcp6, Inner::Arp, Inner::Solicitation];

pub(super) fn add(attempts: &mut Vec<Attempt>) {
    whole_frames(attempts);
    inner_frames(attempts);
}

/// The frame itself is cut: its lengths say more than there is.
fn whole_frames(attempts: &mut Vec<Attempt>) {
    for (from, to, carry) in journeys() {
        let row = Row::new(from, to, carry, Inner::Udp, Sum::Right);
        let frame = row.packet.build();
        for length in 0..frame.len() {
            let reason = match (&row.packet, from.kind) {
                // The tag, and the type behind it.
                (_, Kind::Vlan) if length < ETHERNET + 4 => Reason::OuterMalformed,
                (_, Kind::Vlan | Kind::Port) => Reason::InnerMalformed,
                (Packet::Tunnel(outer), _) if length < outer.up_to_tunnel() => Reason::OuterMalformed,
                _ => Reason::OuterLength,
            };
            let name = format!("{} cut to {length} bytes", from.name());
            attempts.push(Attempt::stopped(name, from, frame[..length].to_vec(), reason));
        }
    }
}

/// The inner frame is cut, and the outer lengths agree with what is left.
fn inner_frames(attempts: &mut Vec<Attempt>) {
    for (from, to, carry) in tunnels() {
        for inner in CUT {
            let row = Row::new(from, to, carry, inner, Sum::Right);
            for length in 0..row.packet.inner().len() {
                let cut = row.clone().with("", |outer| outer.inner.truncate(length));
                let reason = if length < ETHERNET { Reason::OuterLength } else { Reason::InnerMalformed };
                let name = format!("{} around the first {length} bytes of {inner:?}", from.name());
                attempts.push(Attempt::stopped(name, from, cut.packet.build(), reason));
            }
            // What was cut off follows as padding: it is nobody's header.
            for length in [0, 13, ETHERNET, ETHERNET + 20] {
                let cut = row.clone().with("", |outer| outer.padding = outer.inner.split_off(length));
                let reason = if length < ETHERNET { Reason::OuterLength } else { Reason::InnerMalformed };
                let name = format!("{}, {inner:?} in the padding but for {length} bytes", from.name());
                attempts.push(Attempt::stopped(name, from, cut.packet.build(), reason));
            }
        }
        // What is neither IP nor ARP has no length of its own.
        let row = Row::new(from, to, carry, Inner::Other, Sum::Wrong);
        for length in [ETHERNET, ETHERNET + 1, ETHERNET + 45] {
            let note = format!("cut to {length} bytes");
            attempts.push(Attempt::of(&row.clone().with(&note, |outer| outer.inner.truncate(length))));
        }
    }
}
