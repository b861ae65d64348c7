//! Products of what has nothing to do with outer tags, smaller than the great one.

use crate::frames::geneve::{Geneve, filler, harmless};
use crate::frames::{Checksum, Outer};
use crate::inner::Inner;
use crate::oracle::expected;
use crate::row::{Carry, Packet, Row, Sum};
use crate::way::{Family, Kind, Side, Way};

pub(crate) fn all() -> Vec<Row> {
    let mut rows = Vec::new();
    congestion(&mut rows);
    ip_fields(&mut rows);
    tunnel_fields(&mut rows);
    padding(&mut rows);
    options(&mut rows);
    zero_sums(&mut rows);
    rows
}

fn untagged(side: Side, kinds: &[Kind]) -> Vec<Way> {
    Way::all(side).into_iter().filter(|way| way.tags == 0 && kinds.contains(&way.kind)).collect()
}

fn tunnels(side: Side) -> Vec<Way> {
    let mut ways = untagged(side, &Kind::ALL);
    ways.retain(|way| way.kind.is_tunnel());
    ways
}

fn carry(way: Way) -> Carry {
    if way.kind == Kind::Remote { Carry::Label } else { Carry::Own }
}

/// Outer and inner ECN, every pair.
fn congestion(rows: &mut Vec<Row>) {
    let kinds = [Kind::Vxlan, Kind::Geneve, Kind::Vlan, Kind::Port];
    for from in untagged(Side::West, &kinds) {
        for to in untagged(Side::East, &kinds) {
            for inner in [Inner::Udp, Inner::Tcp6, Inner::Arp, Inner::Tagged] {
                for inner_ecn in 0..4 {
                    let row = Row::new(from, to, Carry::Own, inner, Sum::Right).marked(40 << 2 | inner_ecn);
                    if !from.kind.is_tunnel() {
                        rows.push(Row { note: format!("inner ECN {inner_ecn}"), ..row });
                        continue;
                    }
                    rows.extend((0..4).map(|ecn| {
                        row.clone().with(&format!("inner ECN {inner_ecn}, outer {ecn}"), |outer| {
                            outer.ecn = ecn;
                            outer.dscp = 46;
                        })
                    }));
                }
            }
            if from.kind.is_tunnel() {
                // A wrong inner checksum is nobody's business but the receiver's.
                let row = Row::new(from, to, Carry::Own, Inner::Udp, Sum::Right).marked(2);
                rows.push(row.with("inner IPv4 checksum wrong, outer ECN 3", |outer| {
                    outer.inner[24] ^= 0x5a;
                    outer.ecn = 3;
                }));
            }
        }
    }
}

/// The fields of IP that one family has and the other doesn't, and the TTL.
fn ip_fields(rows: &mut Vec<Row>) {
    for from in tunnels(Side::West) {
        for to in tunnels(Side::East) {
            let row = || Row::new(from, to, carry(from), Inner::Tcp, Sum::Right);
            let mut push = |note: &str, edit: &dyn Fn(&mut Outer)| rows.push(row().with(note, edit));
            push("TTL 1", &|outer| outer.ttl = 1);
            push("TTL 0", &|outer| outer.ttl = 0);
            push("TTL 2", &|outer| outer.ttl = 2);
            push("DSCP 63", &|outer| outer.dscp = 63);
            push("source port 0", &|outer| outer.source_port = 0);
            if from.family == Family::V4 {
                push("DF", &|outer| outer.dont_fragment = true);
                push("reserved flag", &|outer| outer.reserved_flag = true);
                push("identification 0", &|outer| outer.identification = 0);
            } else {
                push("flow label 0", &|outer| outer.flow_label = 0);
                push("flow label of all ones", &|outer| outer.flow_label = 0xf_ffff);
            }
        }
        // A VLAN or a port is where the tunnel ends: its TTL has nothing more to say (RFC 1122 §3.2.1.7).
        for to in untagged(Side::East, &[Kind::Vlan, Kind::Port]) {
            for ttl in [0, 1] {
                let row = Row::new(from, to, carry(from), Inner::Tcp, Sum::Right);
                rows.push(row.with(&format!("TTL {ttl}"), |outer| outer.ttl = ttl));
            }
        }
    }
}

/// Reserved bits and groups.
fn tunnel_fields(rows: &mut Vec<Row>) {
    for from in tunnels(Side::West) {
        for to in tunnels(Side::East) {
            let row = || Row::new(from, to, carry(from), Inner::Icmp6, Sum::Wrong);
            let mut push = |note: &str, edit: &dyn Fn(&mut Outer)| rows.push(row().with(note, edit));
            if from.kind.is_geneve() {
                push("Geneve's reserved bits", &|outer| {
                    let geneve = outer.geneve.as_mut().unwrap();
                    geneve.flags |= 0x15;
                    geneve.reserved = 0x77;
                });
            } else if from.kind.is_group() {
                push("no group", &|outer| (outer.vxlan_flags, outer.vxlan_reserved) = (0x08, [0; 3]));
                push("D", &|outer| outer.vxlan_reserved[0] = 0x40);
                push("A and D", &|outer| outer.vxlan_reserved[0] = 0x48);
                push("reserved bits", &|outer| {
                    outer.vxlan_flags = 0xc8;
                    outer.vxlan_reserved[0] = 0xff;
                    outer.vxlan_reserved_last = 0xcc;
                });
            } else {
                push("reserved bits", &|outer| {
                    outer.vxlan_flags = 0x48;
                    outer.vxlan_reserved = [0xde, 0xad, 0x01];
                    outer.vxlan_reserved_last = 0xcc;
                });
            }
        }
    }
}

/// Bytes behind the outer packet.
fn padding(rows: &mut Vec<Row>) {
    for from in tunnels(Side::West) {
        for to in untagged(Side::East, &Kind::ALL) {
            for length in [1, 2, 18, 299] {
                let row = Row::new(from, to, carry(from), Inner::Arp, Sum::ALL[length % 3]);
                rows.push(row.with(&format!("{length} bytes of padding"), |outer| {
                    outer.padding = vec![0xa5; length];
                }));
            }
        }
    }
    for from in untagged(Side::West, &[Kind::Vlan, Kind::Port]) {
        for to in untagged(Side::East, &Kind::ALL) {
            // What pads an Ethernet frame to its least length goes on with it.
            let mut row = Row::new(from, to, Carry::Own, Inner::Arp, Sum::None);
            if let Packet::Vlan { inner, .. } | Packet::Port { inner } = &mut row.packet {
                inner.extend([0; 19]);
            }
            rows.push(Row { note: "19 bytes behind the inner packet".to_owned(), ..row });
        }
    }
}

/// Options that go on, up to as many as there can be, behind those that don't.
fn options(rows: &mut Vec<Row>) {
    let geneve = [Kind::Geneve, Kind::Ovn, Kind::Remote];
    for from in untagged(Side::West, &geneve) {
        for to in untagged(Side::East, &Kind::ALL) {
            let mut push = |note: &str, sum: Sum, edit: &dyn Fn(&mut Geneve)| {
                let row = Row::new(from, to, carry(from), Inner::Udp, sum);
                rows.push(row.with(note, |outer| edit(outer.geneve.as_mut().unwrap())));
            };
            push("two options", Sum::Wrong, &|geneve| geneve.options.extend(harmless().concat()));
            push("an odd sum of options", Sum::Right, &|geneve| geneve.options.extend(filler(12)));
            for length in [236, 240, 244, 248, 252] {
                for sum in Sum::ALL {
                    push(&format!("{length} bytes of options"), sum, &|geneve| {
                        let more = length - geneve.options.len();
                        geneve.options.extend(filler(more));
                    });
                }
            }
            // Not called critical, an identifier or an OVN option is like any other.
            if from.kind == Kind::Geneve {
                push("an option that the header does not call critical", Sum::Right, &|geneve| {
                    geneve.options = crate::frames::geneve::ovn(1, 2);
                });
            }
        }
    }
}

/// A sum that goes in or comes out as zero: one's complement has two of them, and UDP sends 0xffff for it.
fn zero_sums(rows: &mut Vec<Row>) {
    let field = |outer: &Outer| {
        let at = outer.up_to_tunnel() - 2;
        let frame = outer.build();
        u16::from_be_bytes([frame[at], frame[at + 1]])
    };
    for from in untagged(Side::West, &[Kind::Vxlan, Kind::Geneve]) {
        for to in untagged(Side::East, &[Kind::Vxlan, Kind::Ovn]) {
            // A wrong field comes out the same whatever the source port is.
            let with = |sum, number: u16| {
                Row::new(from, to, Carry::Own, Inner::Udp, sum).with(&format!("zero by {number}"), |outer| {
                    match sum {
                        Sum::Wrong => outer.udp_checksum = Checksum::Wrong(number),
                        Sum::None | Sum::Right => outer.source_port = number,
                    }
                })
            };
            let in_field = |row: &Row| match &row.packet {
                Packet::Tunnel(outer) => field(outer),
                other => panic!("{other:?} has no checksum"),
            };
            let out_field = |row: &Row| match expected(row, 0) {
                Ok(Packet::Tunnel(outer)) => field(&outer),
                other => panic!("{other:?} has no checksum"),
            };
            // The field falls by as much as a port rises, and rises as much as a wrong one.
            let find = |sum, field: &dyn Fn(&Row) -> u16| {
                let first = field(&with(sum, 1));
                let by = if sum == Sum::Wrong { 0xffff - first } else { first };
                let row = with(sum, 1 + by % 0xffff);
                assert_eq!(field(&row), 0xffff, "{}", row.name());
                row
            };
            rows.push(find(Sum::Right, &in_field));
            rows.push(find(Sum::Right, &out_field));
            rows.push(find(Sum::Wrong, &out_field));
            if to.family == Family::V6 {
                rows.push(find(Sum::None, &out_field));
            }
            let row = Row::new(from, to, Carry::Own, Inner::Udp, Sum::Wrong);
            rows.push(row.with("checksum 0xffff", |outer| outer.udp_checksum = Checksum::Wrong(0xffff)));
        }
    }
}
