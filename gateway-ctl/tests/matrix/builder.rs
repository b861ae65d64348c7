//! Whether the builder and the oracle make what other people's parsers read.

use std::net::IpAddr;

use etherparse::{NetSlice, SlicedPacket, TransportSlice, VlanSlice};

use crate::frames::{Checksum, Outer};
use crate::oracle::expected;
use crate::row::{Packet, Row};
use crate::rows;

/// What etherparse says that is not what the packet wants to be.
fn check(outer: &Outer) -> Result<(), String> {
    let frame = outer.build();
    let packet = SlicedPacket::from_ethernet(&frame).map_err(|error| error.to_string())?;
    let vids: Vec<u16> = match packet.vlan() {
        None => vec![],
        Some(VlanSlice::SingleVlan(tag)) => vec![tag.vlan_identifier().value()],
        Some(VlanSlice::DoubleVlan(tags)) => {
            vec![tags.outer.vlan_identifier().value(), tags.inner.vlan_identifier().value()]
        }
    };
    let wanted: Vec<u16> = outer.tags.iter().map(|tag| tag.vid).collect();
    let Some(TransportSlice::Udp(udp)) = &packet.transport else { return Err("no UDP".into()) };
    let header = udp.to_header();
    let (ends, right) = match &packet.net {
        Some(NetSlice::Ipv4(ip)) => {
            let ip = ip.header().to_header();
            if ip.calc_header_checksum() != ip.header_checksum && !outer.reserved_flag {
                return Err("wrong IPv4 checksum".into());
            }
            let right = header.calc_checksum_ipv4(&ip, udp.payload()).unwrap();
            ((IpAddr::from(ip.source), IpAddr::from(ip.destination)), right)
        }
        Some(NetSlice::Ipv6(ip)) => {
            let ip = ip.header().to_header();
            let right = header.calc_checksum_ipv6(&ip, udp.payload()).unwrap();
            ((IpAddr::from(ip.source), IpAddr::from(ip.destination)), right)
        }
        other => return Err(format!("it is {other:?}")),
    };
    let sum_fits = match outer.udp_checksum {
        Checksum::Right => header.checksum == right,
        Checksum::Absent => header.checksum == 0,
        Checksum::Wrong(_) => header.checksum != 0 && header.checksum != right,
    };
    let options = outer.geneve.as_ref().map_or(0, |geneve| geneve.options.len());
    let tunnel = udp.payload();
    let told = (vids, ends, header.destination_port, &tunnel[4..7], &tunnel[8 + options..], sum_fits);
    let vni = outer.vni.to_be_bytes();
    let wanted = (
        wanted,
        (outer.source, outer.destination),
        outer.destination_port,
        &vni[1..],
        &outer.inner[..],
        true,
    );
    if told == wanted { Ok(()) } else { Err(format!("it is {told:02x?}, not {wanted:02x?}")) }
}

#[test]
fn frames_in_and_out_are_what_etherparse_reads() {
    let packets = |row: &Row| [Some(row.packet.clone()), expected(row, 51_966).ok()];
    for row in rows::all() {
        for packet in packets(row).into_iter().flatten() {
            if let Packet::Tunnel(outer) = packet {
                check(&outer).unwrap_or_else(|error| panic!("{}: {error}", row.name()));
            }
        }
    }
}

/// One and the same flow of arithmetic, without incremental steps: what is wrong stays exactly as wrong.
#[test]
fn a_wrong_checksum_keeps_its_residue() {
    let residue = |outer: &Outer| {
        let Checksum::Wrong(field) = outer.udp_checksum else { panic!("not wrong") };
        (outer.udp_words().iter().copied().map(u64::from).sum::<u64>() + u64::from(field)) % 0xffff
    };
    let mut count = 0;
    for row in rows::all() {
        let (Packet::Tunnel(before), Ok(Packet::Tunnel(after))) = (&row.packet, expected(row, 0)) else {
            continue;
        };
        if matches!(before.udp_checksum, Checksum::Wrong(_)) {
            assert_eq!(residue(before), residue(&after), "{}", row.name());
            count += 1;
        }
    }
    assert!(count > 1000);
}
