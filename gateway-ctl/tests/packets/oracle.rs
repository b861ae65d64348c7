//! What must come out: the outer stack built anew from the fields wanted.

use std::net::Ipv4Addr;

use crate::federation::{
    BLUE, BLUE_PORT, BLUE_VTEP, EAST, EAST_ADDRESS, FAR, FAR_ADDRESS, GENEVE_PORT, GOLD, GOLD_VTEP, GRAY,
    GRAY_VTEP, GREEN, GREEN_VTEP, NARROW_VTEP, OVN, OVN_PORTS, OVN_VTEP, PINK, PINK_VTEP, PORT, RED,
    RED_VTEP, WEST, WEST_ADDRESS, gateway_mac, vtep_mac,
};
use crate::frames::checksum::as_wrong;
use crate::frames::geneve;
use crate::frames::{Checksum, Geneve, Outer};

/// Where a translated packet goes.
#[derive(Clone, Copy)]
pub(crate) struct Way {
    pub(crate) ifindex: u32,
    source: Ipv4Addr,
    vtep: Ipv4Addr,
    vni: u32,
    port: u16,
    is_geneve: bool,
}

pub(crate) const TO_RED: Way =
    Way { ifindex: WEST, source: WEST_ADDRESS, vtep: RED_VTEP, vni: RED, port: PORT, is_geneve: false };
pub(crate) const TO_PINK: Way =
    Way { ifindex: WEST, source: WEST_ADDRESS, vtep: PINK_VTEP, vni: PINK, port: PORT, is_geneve: false };
pub(crate) const TO_BLUE: Way = Way {
    ifindex: EAST,
    source: EAST_ADDRESS,
    vtep: BLUE_VTEP,
    vni: BLUE,
    port: BLUE_PORT,
    is_geneve: false,
};
pub(crate) const TO_NARROW: Way = Way { vtep: NARROW_VTEP, ..TO_BLUE };
pub(crate) const TO_GREEN: Way =
    Way { ifindex: FAR, source: FAR_ADDRESS, vtep: GREEN_VTEP, vni: GREEN, port: PORT, is_geneve: false };
pub(crate) const TO_GOLD: Way = Way {
    ifindex: EAST,
    source: EAST_ADDRESS,
    vtep: GOLD_VTEP,
    vni: GOLD,
    port: GENEVE_PORT,
    is_geneve: true,
};
pub(crate) const TO_GRAY: Way =
    Way { ifindex: WEST, source: WEST_ADDRESS, vtep: GRAY_VTEP, vni: GRAY, ..TO_GOLD };

pub(crate) const TO_OVN: Way = Way { vtep: OVN_VTEP, vni: OVN, ..TO_GOLD };

/// The packet after translation. Right checksums are right again, absent ones stay absent, and wrong
/// ones stay exactly as wrong.
pub(crate) fn translated(packet: &Outer, way: Way) -> Outer {
    let mut out = Outer {
        destination_mac: vtep_mac(way.vtep.into()),
        source_mac: gateway_mac(way.ifindex),
        source: way.source.into(),
        destination: way.vtep.into(),
        ttl: packet.ttl - 1,
        reserved_flag: false,
        tags: Vec::new(),
        vni: way.vni,
        destination_port: way.port,
        geneve: match (&packet.geneve, way.is_geneve) {
            (_, false) => None,
            (None, true) => Some(Geneve::plain()),
            (Some(geneve), true) => Some(into_geneve(geneve, way)),
        },
        ..packet.clone()
    };
    if packet.geneve.is_some() != way.is_geneve {
        out.vxlan_flags = 0x08;
        out.vxlan_reserved = [0; 3];
        out.vxlan_reserved_last = 0;
    }
    if let Checksum::Wrong(field) = packet.udp_checksum {
        let field = match as_wrong(field, &packet.udp_words(), &out.udp_words()) {
            0 => 0xffff,
            field => field,
        };
        out.udp_checksum = Checksum::Wrong(field);
    }
    out
}

/// The identifier is for gateways, and OVN's option for OVN; what else there is goes on.
fn into_geneve(packet: &Geneve, way: Way) -> Geneve {
    let own = if way.vni == OVN { geneve::ovn(OVN_PORTS.0, OVN_PORTS.1) } else { Vec::new() };
    let critical = if own.is_empty() { 0 } else { Geneve::CRITICAL };
    let is_identifier =
        packet.flags & Geneve::CRITICAL != 0 && packet.options.starts_with(&[0xff, 0x49, 0x81, 2]);
    let kept = &packet.options[if is_identifier { 12 } else { 0 }..];
    Geneve {
        flags: packet.flags & !Geneve::CRITICAL | critical,
        options: [&own, kept].concat(),
        ..packet.clone()
    }
}

/// The packet around a frame that came without tunnel; the source port is the gateway's to choose.
pub(crate) fn encapsulated(inner: &[u8], way: Way) -> Outer {
    Outer {
        destination_mac: vtep_mac(way.vtep.into()),
        source_mac: gateway_mac(way.ifindex),
        dont_fragment: true,
        source_port: 0,
        destination_port: way.port,
        vni: way.vni,
        ..Outer::blank(way.source.into(), way.vtep.into(), inner.to_vec())
    }
}
