//! What must come out: the outer stack built anew from the fields wanted.

use std::net::Ipv4Addr;

use crate::federation::{
    BLUE, BLUE_PORT, BLUE_VTEP, EAST, EAST_ADDRESS, FAR, FAR_ADDRESS, GENEVE_PORT, GOLD, GOLD_VTEP, GRAY,
    GRAY_VTEP, GREEN, GREEN_VTEP, NARROW_VTEP, PINK, PINK_VTEP, PORT, RED, RED_VTEP, WEST, WEST_ADDRESS,
    gateway_mac, vtep_mac,
};
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

/// The packet after translation. Right checksums are right again, absent ones stay absent, and wrong
/// ones stay exactly as wrong.
pub(crate) fn translated(packet: &Outer, way: Way) -> Outer {
    let mut out = Outer {
        destination_mac: vtep_mac(way.vtep),
        source_mac: gateway_mac(way.ifindex),
        source: way.source,
        destination: way.vtep,
        ttl: packet.ttl - 1,
        vni: way.vni,
        destination_port: way.port,
        geneve: match (&packet.geneve, way.is_geneve) {
            (_, false) => None,
            (None, true) => Some(Geneve::plain()),
            (Some(geneve), true) => Some(without_identifier(geneve)),
        },
        ..packet.clone()
    };
    if packet.geneve.is_some() != way.is_geneve {
        out.vxlan_flags = 0x08;
        out.vxlan_reserved = [0; 3];
        out.vxlan_reserved_last = 0;
    }
    if let Checksum::Wrong(field) = packet.ip_checksum {
        out.ip_checksum = Checksum::Wrong(as_wrong(field, &packet.ip_words(), &out.ip_words()));
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

/// The identifier is for gateways; what else there is stays, and nothing critical is left.
fn without_identifier(geneve: &Geneve) -> Geneve {
    let is_identifier = geneve.options.starts_with(&[0xff, 0x49, 0x81, 2]);
    Geneve {
        flags: geneve.flags & !Geneve::CRITICAL,
        options: geneve.options[if is_identifier { 12 } else { 0 }..].to_vec(),
        ..geneve.clone()
    }
}

/// RFC 1624 equation 3, over every word the checksum covers: HC' = ~(~HC + Σ~m + Σm').
fn as_wrong(field: u16, old: &[u16], new: &[u16]) -> u16 {
    let sum = old.iter().map(|word| u64::from(!word)).sum::<u64>()
        + new.iter().copied().map(u64::from).sum::<u64>()
        + u64::from(!field);
    let mut sum = sum;
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    !u16::try_from(sum).unwrap()
}
