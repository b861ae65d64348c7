//! What must come out: docs/wire-format.md, "Rewriting", from the fields wanted.

use isthmus_common::reason::Reason;

use crate::frames::checksum::as_wrong;
use crate::frames::geneve::{self, Geneve};
use crate::frames::inner::{mark, traffic_class};
use crate::frames::{Checksum, Outer, Tag};
use crate::inner::{class_of, is_ip};
use crate::row::{Packet, Row, label};
use crate::way::{Family, GROUP, Kind, gateway_mac};

/// The version that every mapping has.
pub(crate) const EPOCH: u32 = 1;

/// Flags of VXLAN's first byte.
const HAS_VNI: u8 = 0x08;
const HAS_GROUP: u8 = 0x80;

/// ECN (RFC 3168 §5).
const NOT_ECT: u8 = 0;
const ECT_1: u8 = 1;
const ECT_0: u8 = 2;
const CONGESTED: u8 = 3;

/// The UDP source port is of the gateway's choosing where the packet came without one: `port` is what it chose.
pub(crate) fn expected(row: &Row, port: u16) -> Result<Packet, Reason> {
    match row.to.kind {
        Kind::Vlan => {
            let tag = Tag::customer(u16::try_from(row.to.number()).unwrap());
            Ok(Packet::Vlan { tag, inner: decapsulated(row)? })
        }
        Kind::Port => Ok(Packet::Port { inner: decapsulated(row)? }),
        _ => Ok(Packet::Tunnel(Box::new(match &row.packet {
            Packet::Tunnel(outer) => translated(row, outer)?,
            Packet::Vlan { inner, .. } | Packet::Port { inner } => encapsulated(row, inner, port),
        }))),
    }
}

/// RFC 6040 §4.2, figure 4.
fn decapsulated(row: &Row) -> Result<Vec<u8>, Reason> {
    let inner = row.packet.inner().to_vec();
    let Packet::Tunnel(outer) = &row.packet else { return Ok(inner) };
    let Some(class) = traffic_class(&inner) else { return Ok(inner) };
    let ecn = match (class & 3, outer.ecn) {
        (NOT_ECT, CONGESTED) => return Err(Reason::EcnCongested),
        (NOT_ECT, _) => NOT_ECT,
        (_, CONGESTED) | (CONGESTED, _) => CONGESTED,
        (ECT_0, ECT_1) | (ECT_1, _) => ECT_1,
        (arriving, _) => arriving,
    };
    Ok(mark(inner, class & !3 | ecn))
}

/// From a VLAN or a port into a tunnel.
fn encapsulated(row: &Row, inner: &[u8], source_port: u16) -> Outer {
    let class = if is_ip(inner) { class_of(inner) } else { 0 };
    let blank = Outer {
        dscp: class >> 2,
        ecn: class & 3,
        identification: 0,
        dont_fragment: true,
        flow_label: 0,
        ttl: 64,
        source_port,
        udp_checksum: if row.to.family == Family::V4 { Checksum::Absent } else { Checksum::Right },
        ..Outer::blank(row.to.gateway(), row.to.vtep(), inner.to_vec())
    };
    let (flags, reserved) = match row.to.kind {
        Kind::GroupSet => (HAS_VNI | HAS_GROUP, with_group(0)),
        _ => (HAS_VNI, [0; 3]),
    };
    let geneve = row.to.kind.is_geneve().then(|| Geneve::with(&own_option(row)));
    addressed(row, Outer { vxlan_flags: flags, vxlan_reserved: reserved, geneve, ..blank })
}

fn with_group(bits: u8) -> [u8; 3] {
    let [high, low] = GROUP.to_be_bytes();
    [bits, high, low]
}

/// From a tunnel into a tunnel.
fn translated(row: &Row, outer: &Outer) -> Result<Outer, Reason> {
    if outer.ttl <= 1 {
        return Err(Reason::TtlExpired);
    }
    let is_v4_both = outer.is_v4() && row.to.family == Family::V4;
    let is_v6_both = !outer.is_v4() && row.to.family == Family::V6;
    let kept = Outer {
        identification: if is_v4_both { outer.identification } else { 0 },
        dont_fragment: if is_v4_both { outer.dont_fragment } else { true },
        reserved_flag: false,
        flow_label: if is_v6_both { outer.flow_label } else { 0 },
        ttl: outer.ttl - 1,
        source: row.to.gateway(),
        destination: row.to.vtep(),
        ..outer.clone()
    };
    let mut out =
        addressed(row, if row.to.kind.is_geneve() { into_geneve(row, kept)? } else { into_vxlan(row, kept) });
    out.udp_checksum = match (outer.udp_checksum, row.to.family) {
        (Checksum::Absent, Family::V4) => Checksum::Absent,
        (Checksum::Absent, Family::V6) | (Checksum::Right, _) => Checksum::Right,
        (Checksum::Wrong(field), _) => {
            let field = as_wrong(field, &outer.udp_words(), &out.udp_words());
            // A zero would say that there is none.
            Checksum::Wrong(if field == 0 { 0xffff } else { field })
        }
    };
    Ok(out)
}

fn into_vxlan(row: &Row, outer: Outer) -> Outer {
    let (from, to) = (row.from.kind, row.to.kind);
    let blank = Outer {
        vxlan_flags: HAS_VNI,
        vxlan_reserved: [0; 3],
        vxlan_reserved_last: 0,
        geneve: None,
        ..outer.clone()
    };
    match to {
        Kind::Vxlan if from == Kind::Vxlan => outer,
        Kind::GroupKeep if from.is_group() => outer,
        Kind::Vxlan | Kind::GroupKeep => blank,
        Kind::GroupSet if from.is_group() => {
            let bits = outer.vxlan_reserved[0];
            Outer { vxlan_flags: outer.vxlan_flags | HAS_GROUP, vxlan_reserved: with_group(bits), ..outer }
        }
        Kind::GroupSet => Outer { vxlan_flags: HAS_VNI | HAS_GROUP, vxlan_reserved: with_group(0), ..blank },
        other => panic!("{other:?} is not VXLAN"),
    }
}

fn into_geneve(row: &Row, outer: Outer) -> Result<Outer, Reason> {
    let own = own_option(row).concat();
    let geneve = match &outer.geneve {
        None => Geneve { options: own.clone(), ..Geneve::plain() },
        Some(geneve) => Geneve { options: [&own[..], without_ours(geneve)].concat(), ..geneve.clone() },
    };
    if geneve.options.len() > 252 {
        return Err(Reason::OptionsFull);
    }
    let critical = if own.is_empty() { 0 } else { Geneve::CRITICAL };
    let geneve = Geneve { flags: geneve.flags & !Geneve::CRITICAL | critical, ..geneve };
    Ok(Outer { geneve: Some(geneve), ..outer })
}

/// What an identifier or OVN's option leaves of the options; they are such only where C is set.
fn without_ours(geneve: &Geneve) -> &[u8] {
    let options = &geneve.options[..];
    if geneve.flags & Geneve::CRITICAL == 0 {
        options
    } else if options.starts_with(&[0xff, 0x49, 0x81]) {
        &options[12..]
    } else if options.starts_with(&[0x01, 0x02, 0x80]) {
        &options[8..]
    } else {
        options
    }
}

/// What the gateway itself puts in front.
fn own_option(row: &Row) -> Vec<Vec<u8>> {
    match row.to.kind {
        Kind::Ovn => {
            vec![geneve::ovn(row.to.ovn_ingress(), row.to.endpoint_port())]
        }
        Kind::Remote => vec![geneve::identifier(label(row.from, row.to), row.travel(), EPOCH)],
        _ => vec![],
    }
}

/// The fields that depend on nothing but the network it goes to.
fn addressed(row: &Row, outer: Outer) -> Outer {
    let to = row.to;
    Outer {
        destination_mac: to.vtep_mac(),
        source_mac: gateway_mac(to.interface()),
        tags: to.underlay_tags(),
        source: to.gateway(),
        destination: to.vtep(),
        destination_port: to.kind.port(),
        vni: if to.kind == Kind::Remote { label(row.from, to) } else { to.number() },
        ..outer
    }
}
