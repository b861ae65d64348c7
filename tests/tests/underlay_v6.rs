//! Tenants' kernels on VXLAN whose underlays are IPv6, or one of each family.
//!
//! The kernel takes no VXLAN packet over IPv6 without a UDP checksum unless told to, and is not told to here.

use std::{
    net::{IpAddr, Ipv6Addr},
    thread,
    time::Duration,
};

use anyhow::{Context as _, Result};
use isthmus_tests::{
    Federation, Isthmus,
    capture::{Capture, Recording},
    federation::{
        BLUE, BLUE_VTEP, BLUE_VTEP_V6, BLUE_VXLAN, GATEWAY_LEFT, GATEWAY_LEFT_V6, GATEWAY_RIGHT,
        GATEWAY_RIGHT_V6, RED, RED_VTEP, RED_VTEP_V6, RED_VXLAN, mapping,
    },
    namespace::Vxlan,
    traffic,
};
use uuid::Uuid;

/// Inner IPv6 addresses.
const RED_V6: Ipv6Addr = Ipv6Addr::new(0xfd00, 0, 0, 0, 0, 0, 0, 0x10);
const BLUE_V6: Ipv6Addr = Ipv6Addr::new(0xfd00, 0, 0, 0, 0, 0, 0, 0x20);

/// Time for frames under way to land before counters are read.
const SETTLE: Duration = Duration::from_millis(100);

/// One tenant's side of the gateway.
#[derive(Clone, Copy)]
struct Side {
    vtep: IpAddr,
    gateway: IpAddr,
    udp_checksum: bool,
}

impl Side {
    fn red(is_v6: bool, udp_checksum: bool) -> Self {
        let (vtep, gateway) = if is_v6 {
            (RED_VTEP_V6.into(), GATEWAY_LEFT_V6.into())
        } else {
            (RED_VTEP.into(), GATEWAY_LEFT.into())
        };
        Self { vtep, gateway, udp_checksum }
    }

    fn blue(is_v6: bool, udp_checksum: bool) -> Self {
        let (vtep, gateway) = if is_v6 {
            (BLUE_VTEP_V6.into(), GATEWAY_RIGHT_V6.into())
        } else {
            (BLUE_VTEP.into(), GATEWAY_RIGHT.into())
        };
        Self { vtep, gateway, udp_checksum }
    }
}

fn manifest(red: Side, blue: Side) -> String {
    let network = |name: &str, vni: u32, host: u8, vtep: IpAddr| {
        format!(
            "kind: Network\nname: {name}\nencapsulation: vxlan\nvni: {vni}\nprefixes: [10.0.0.0/24, fd00::/64]\n\
             endpoints:\n  - {{address: 10.0.0.{host}, vtep: {vtep}}}\n  - {{address: fd00::{host}, vtep: {vtep}}}\n\
             ---\n"
        )
    };
    network("red", RED_VXLAN.vni, 10, red.vtep)
        + &network("blue", BLUE_VXLAN.vni, 20, blue.vtep)
        + "kind: Resource\nresource_id: inference\nnetwork: blue\naddresses: [10.0.0.20, fd00::20]\n---\n"
        + &mapping(Uuid::new_v4(), "full", None)
}

fn start(federation: &Federation, isthmus: &Isthmus<'_>, red: Side, blue: Side) -> Result<()> {
    federation.add_ipv6_underlay()?;
    let devices = [(&federation.red, RED_VXLAN, red, RED_V6), (&federation.blue, BLUE_VXLAN, blue, BLUE_V6)];
    for (host, device, Side { vtep, gateway, udp_checksum }, inner) in devices {
        let (local, remote) = (&vtep.to_string(), &gateway.to_string());
        host.add_vxlan(&Vxlan { local, remote, mtu: 1430, udp_checksum, ..device })?;
        host.add_address(device.name, &format!("{inner}/64"))?;
    }
    isthmus.start()?;
    isthmus.join(&manifest(red, blue), &federation.red, BLUE)
}

/// Starts all of it, has the tenants talk and returns red's and blue's recording, without faults.
fn record(federation: &Federation, isthmus: &Isthmus<'_>, sides: [Side; 2]) -> Result<[Recording; 2]> {
    let Federation { red, blue, topology, .. } = federation;
    let captures = [
        Capture::start(topology, red, "uplink", "udp port 4789")?,
        Capture::start(topology, blue, "uplink", "udp port 4789")?,
    ];
    start(federation, isthmus, sides[0], sides[1])?;
    traffic::converse((red, RED), (blue, BLUE))?;
    traffic::converse((red, RED_V6), (blue, BLUE_V6))?;
    let [left, right] = captures.map(Capture::stop);
    let (left, right) = (left?, right?);
    assert_eq!((left.faults()?, right.faults()?), (vec![], vec![]));
    Ok([left, right])
}

/// A VXLAN packet, as tshark sees it.
struct Packet {
    outer_source: IpAddr,
    has_checksum: bool,
    /// The inner packet is a TCP segment over IPv6, or over IPv4.
    segment_is_v6: Option<bool>,
}

/// The packets on one side, none of which is outside of another family than the side's.
fn packets(recording: &Recording, side: Side) -> Result<Vec<Packet>> {
    let rows = recording.fields("vxlan", &["ip.src", "ipv6.src", "udp.checksum", "tcp.srcport"])?;
    let packet = |row: &Vec<String>| -> Result<Packet> {
        // Outer before inner.
        let outer = if side.vtep.is_ipv4() { &row[0] } else { &row[1] };
        let outer_source = outer.split(',').next().unwrap_or_default();
        Ok(Packet {
            outer_source: outer_source.parse().with_context(|| format!("an outer source in {row:?}"))?,
            has_checksum: !row[2].starts_with("0x0000"),
            segment_is_v6: (!row[3].is_empty()).then(|| row[1].contains("fd00::")),
        })
    };
    rows.iter().map(packet).collect()
}

/// How many packets the gateway sent, and how many the tenant did; and of each how many without checksum.
fn counts(packets: &[Packet], side: Side) -> [(usize, usize); 2] {
    [side.gateway, side.vtep].map(|source| {
        let sent = packets.iter().filter(|packet| packet.outer_source == source);
        (sent.clone().count(), sent.filter(|packet| !packet.has_checksum).count())
    })
}

#[test]
fn tenants_talk_over_underlays_of_any_family() -> Result<()> {
    for (red_is_v6, blue_is_v6) in [(true, true), (false, true), (true, false)] {
        // IPv4 without checksums, so that they have to be computed for IPv6.
        let sides = [Side::red(red_is_v6, red_is_v6), Side::blue(blue_is_v6, blue_is_v6)];
        Federation::test_without_tunnels(
            "tenants_talk_over_underlays_of_any_family",
            |federation, isthmus| {
                let recordings = record(federation, isthmus, sides)?;
                for (recording, side) in recordings.iter().zip(sides) {
                    let packets = packets(recording, side)?;
                    for (source, segment_is_v6) in
                        [(side.gateway, false), (side.gateway, true), (side.vtep, false), (side.vtep, true)]
                    {
                        let is_it = |packet: &&Packet| {
                            packet.outer_source == source && packet.segment_is_v6 == Some(segment_is_v6)
                        };
                        let count = packets.iter().filter(is_it).count();
                        assert!(count >= 8, "{count} segments from {source}, over IPv6: {segment_is_v6}");
                    }
                    let [(_, without), _] = counts(&packets, side);
                    assert!(
                        side.vtep.is_ipv4() || without == 0,
                        "{without} packets without checksum over IPv6"
                    );
                }
                Ok(())
            },
        )?;
    }
    Ok(())
}

#[test]
fn a_checksum_left_out_over_ipv6_stays_out_over_ipv4_and_is_made_for_ipv6() -> Result<()> {
    let name = "a_checksum_left_out_over_ipv6_stays_out_over_ipv4_and_is_made_for_ipv6";
    for blue_is_v6 in [false, true] {
        let sides = [Side::red(true, false), Side::blue(blue_is_v6, true)];
        Federation::test_without_tunnels(name, |federation, isthmus| {
            let [left, right] = record(federation, isthmus, sides)?;
            let [(_, to_red_without), (by_red, by_red_without)] =
                counts(&packets(&left, sides[0])?, sides[0]);
            let [(to_blue, to_blue_without), (_, by_blue_without)] =
                counts(&packets(&right, sides[1])?, sides[1]);
            assert!(by_red > 20 && to_blue > 20, "{by_red} and {to_blue}");
            assert_eq!(by_red_without, by_red, "red sends none");
            assert_eq!(to_blue_without, if blue_is_v6 { 0 } else { to_blue });
            assert_eq!((by_blue_without, to_red_without), (0, 0), "what blue sends has one");
            Ok(())
        })?;
    }
    Ok(())
}

#[test]
fn a_bulk_transfer_crosses_families_whole() -> Result<()> {
    for udp_checksum in [true, false] {
        let name = "a_bulk_transfer_crosses_families_whole";
        Federation::test_without_tunnels(name, |federation, isthmus| {
            let Federation { red, blue, .. } = federation;
            start(federation, isthmus, Side::red(false, udp_checksum), Side::blue(true, true))?;
            let ways = [
                (red, blue, BLUE.into()),
                (blue, red, RED.into()),
                (red, blue, BLUE_V6.into()),
                (blue, red, RED_V6.into()),
            ];
            traffic::arrives_whole(&ways, 2 << 20)?;
            thread::sleep(SETTLE);
            isthmus.counters()?.assert_balanced();
            Ok(())
        })?;
    }
    Ok(())
}
