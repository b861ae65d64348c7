//! The product of all ways in and out.

use std::sync::LazyLock;

use crate::inner::Inner;
use crate::products;
use crate::row::{Carry, Row, Sum};
use crate::way::{Kind, Side, Way};

/// How packets from a network may say what they belong to.
fn carries(kind: Kind) -> &'static [Carry] {
    match kind {
        Kind::Vxlan | Kind::GroupKeep | Kind::Geneve => &[Carry::Own, Carry::Label],
        Kind::Remote => &[Carry::Label],
        Kind::GroupSet | Kind::Ovn | Kind::Vlan | Kind::Port => &[Carry::Own],
    }
}

fn sums(kind: Kind) -> &'static [Sum] {
    if kind.is_tunnel() { &Sum::ALL } else { &[Sum::None] }
}

/// Whether packets go from one network to the other by way of this gateway: two networks that are both behind
/// other gateways are not joined by a third one.
pub(crate) fn is_joined(from: Way, to: Way) -> bool {
    from.kind != Kind::Remote || to.kind != Kind::Remote
}

/// Every row.
///
/// From west to east: every way in × every way out × every checksum, with every kind of inner frame where
/// there are no outer tags, and with one of them in turn where there are. From east to west, as the return
/// leg of the same mappings: every way in × every way out, with everything else in turn.
pub(crate) fn all() -> &'static [Row] {
    static ROWS: LazyLock<Vec<Row>> = LazyLock::new(make);
    &ROWS
}

fn make() -> Vec<Row> {
    let mut rows = Vec::new();
    let mut turn = 0;
    let mut next = || {
        turn += 1;
        turn
    };
    for from in Way::all(Side::West) {
        for to in Way::all(Side::East) {
            for carry in carries(from.kind) {
                for sum in sums(from.kind) {
                    let of = |inner| Row::new(from, to, *carry, inner, *sum);
                    if from.tags == 0 && to.tags == 0 {
                        rows.extend(Inner::ALL.map(of));
                    } else {
                        rows.push(of(Inner::ALL[next() % Inner::ALL.len()]));
                    }
                }
            }
        }
    }
    for from in Way::all(Side::East) {
        for to in Way::all(Side::West) {
            for carry in carries(from.kind) {
                let sums = sums(from.kind);
                let inner = Inner::ALL[next() % Inner::ALL.len()];
                rows.push(Row::new(from, to, *carry, inner, sums[next() % sums.len()]));
            }
        }
    }
    rows.extend(products::all());
    rows.retain(|row| is_joined(row.from, row.to));
    rows
}
