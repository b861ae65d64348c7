//! Identifiers from peers that may not use them.

use isthmus_common::reason::Reason;

use super::Attempt;
use crate::frames::geneve::{self, Geneve, Travel};
use crate::frames::inner::between;
use crate::inner::Inner;
use crate::row::{Carry, Row, Sum};
use crate::way::{Family, Kind, Side, Way};

const LABELLED: [Kind; 4] = [Kind::Vxlan, Kind::GroupKeep, Kind::Geneve, Kind::Remote];

pub(super) fn add(attempts: &mut Vec<Attempt>) {
    let to = Way { side: Side::East, kind: Kind::Vxlan, family: Family::V4, tags: 0 };
    let ways = || Way::all(Side::West).into_iter().chain(Way::all(Side::East));
    for from in Way::all(Side::West).into_iter().filter(|way| LABELLED.contains(&way.kind)) {
        let row = |inner| Row::new(from, to, Carry::Label, inner, Sum::None);
        let mut stop = |row: Row, reason| {
            attempts.push(Attempt::stopped(row.name(), from, row.packet.build(), reason));
        };
        // Every other tunnel endpoint and gateway there is.
        for other in ways().filter(|way| way.kind.is_tunnel() && way.family == from.family && *way != from) {
            for inner in [Inner::Udp, Inner::Tcp6, Inner::Arp, Inner::Other] {
                let what = format!("sent by {}", other.name());
                stop(row(inner).with(&what, |outer| outer.source = other.vtep()), Reason::ForeignIdentifier);
            }
        }
        stop(
            row(Inner::Udp).with("sent by the gateway itself", |outer| outer.source = from.gateway()),
            Reason::ForeignIdentifier,
        );
        // An inner source in another network, though the tunnel endpoint is the right one.
        for other in Way::all(Side::West).into_iter().filter(|way| way.kind.is_tunnel() && *way != from) {
            for inner in [Inner::Udp, Inner::Solicitation] {
                let frame = inner.frame(other, to, 3);
                let what = format!("from an address of {}", other.name());
                stop(row(inner).with(&what, |outer| outer.inner = frame), Reason::ForeignIdentifier);
            }
        }
        // A MAC that is nobody's, where the MAC is the inner source.
        let frame = between(Inner::Other.frame(from, to, 0), [0x02, 9, 9, 9, 9, 9], to.endpoint_mac());
        stop(
            row(Inner::Other).with("from a MAC of nobody's", |outer| outer.inner = frame),
            Reason::ForeignIdentifier,
        );
        for label in [0x00f0_0000, 0x00f0_ffff, 0x00ff_ffff] {
            let what = format!("label {label:#x} of no mapping");
            stop(
                row(Inner::Udp).with(&what, |outer| {
                    outer.vni = label;
                    if from.kind.is_geneve() {
                        outer.geneve = Some(Geneve::with(&[geneve::identifier(label, Travel::Forward, 1)]));
                    }
                }),
                Reason::UnknownIdentifier,
            );
        }
    }
}
