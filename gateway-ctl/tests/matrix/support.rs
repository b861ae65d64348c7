//! `docs/support.md`: which combinations are supported, told by the rows that hold.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use crate::inner::Inner;
use crate::row::{Carry, Row, Sum};
use crate::way::{Family, Kind};

/// How a packet arrives, as people ask for it.
type Arrival = (Kind, Carry);

const ARRIVALS: [(Arrival, &str); 10] = [
    ((Kind::Vxlan, Carry::Own), "VXLAN"),
    ((Kind::Vxlan, Carry::Label), "VXLAN, identifier as VNI"),
    ((Kind::GroupKeep, Carry::Own), "VXLAN with group policy"),
    ((Kind::GroupKeep, Carry::Label), "VXLAN with group policy, identifier as VNI"),
    ((Kind::Geneve, Carry::Own), "Geneve"),
    ((Kind::Geneve, Carry::Label), "Geneve with identifier"),
    ((Kind::Ovn, Carry::Own), "Geneve with OVN's option"),
    ((Kind::Remote, Carry::Label), "Geneve from another gateway"),
    ((Kind::Vlan, Carry::Own), "802.1Q VLAN"),
    ((Kind::Port, Carry::Own), "port"),
];

const DEPARTURES: [(Kind, &str); 8] = [
    (Kind::Vxlan, "VXLAN"),
    (Kind::GroupKeep, "VXLAN, group kept"),
    (Kind::GroupSet, "VXLAN, group set"),
    (Kind::Geneve, "Geneve"),
    (Kind::Ovn, "Geneve, OVN's option"),
    (Kind::Remote, "Geneve to another gateway"),
    (Kind::Vlan, "802.1Q VLAN"),
    (Kind::Port, "port"),
];

/// What the rows of one cell cover.
#[derive(Default)]
struct Cell {
    rows: usize,
    families: BTreeSet<(Option<Family>, Option<Family>)>,
    tags: BTreeSet<(Option<u8>, Option<u8>)>,
    sums: BTreeSet<Sum>,
    inner: BTreeSet<Inner>,
}

impl Cell {
    fn add(&mut self, row: &Row) {
        let family = |way: crate::way::Way| way.kind.is_tunnel().then_some(way.family);
        let tags = |way: crate::way::Way| way.kind.is_tunnel().then_some(way.tags);
        self.rows += 1;
        self.families.insert((family(row.from), family(row.to)));
        self.tags.insert((tags(row.from), tags(row.to)));
        self.sums.extend(row.sum);
        self.inner.insert(row.inner);
    }

    fn describe(&self) -> String {
        let sums = if self.sums.is_empty() { 1 } else { self.sums.len() };
        format!("{} ({}·{}·{}·{})", self.rows, self.families.len(), self.tags.len(), sums, self.inner.len())
    }
}

fn arrival(row: &Row) -> Arrival {
    // Both are the same to the gateway: what it sets or keeps is a matter of where packets go.
    let kind = if row.from.kind == Kind::GroupSet { Kind::GroupKeep } else { row.from.kind };
    (kind, row.carry)
}

/// The document, from the rows that hold on the host and in the kernel.
pub(crate) fn document(rows: &[&Row]) -> String {
    let mut cells: BTreeMap<(Arrival, Kind), Cell> = BTreeMap::new();
    for row in rows {
        cells.entry((arrival(row), row.to.kind)).or_default().add(row);
    }
    let mut text = String::from(HEAD);
    let _ = write!(text, "| from \\ to |");
    for (_, name) in DEPARTURES {
        let _ = write!(text, " {name} |");
    }
    let _ = write!(text, "\n|---|{}", "---|".repeat(DEPARTURES.len()));
    for (arrival, name) in ARRIVALS {
        let _ = write!(text, "\n| {name} |");
        for (kind, _) in DEPARTURES {
            let told = cells.get(&(arrival, kind)).map_or_else(|| "no".to_owned(), Cell::describe);
            let _ = write!(text, " {told} |");
        }
    }
    let _ = write!(text, "\n\n{} rows in all.\n", rows.len());
    text
}

const HEAD: &str = "\
# Which combination is supported

Written by `gateway-ctl/tests/matrix`, not by hand; the test fails if it differs from what the rows yield. To write it anew:

    ISTHMUS_BLESS=1 cargo xtask test -p isthmus --test matrix

A row is a frame that comes in by one network and is meant for another. It counts if the program in the kernel and the host's build
both give it the verdict, the reason and, byte for byte, the frame that an independent oracle computes from [the wire format](wire-format.md).

In each cell: rows (pairs of underlay families · pairs of outer tag counts · UDP checksums · kinds of inner frame).

- Underlay families: IPv4 and IPv6, in and out. VLANs and ports have none.
- Outer tags: 0, 1 or 2 in front of the underlay's IP, in and out.
- UDP checksums: none, right, wrong.
- Inner frames: UDP, TCP and ICMP on IPv4, TCP and ICMP on IPv6, ARP, neighbour solicitation, another Ethernet type, an 802.1Q tag.

A gateway does not join two networks that are both behind other gateways: that is for one of those to do.

Besides, in the same cells but without outer tags: every pair of outer and inner ECN, TTL 0 to 2, identification, DF, flow label, reserved
bits, groups, padding, and up to 252 bytes of Geneve options.

";
