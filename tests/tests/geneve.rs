//! A kernel on VXLAN and Open vSwitch on Geneve talk through the gateway, neither knowing of the other's tunnel.

use std::{
    collections::BTreeSet,
    net::{IpAddr, Ipv6Addr, UdpSocket},
    thread,
    time::Duration,
};

use anyhow::{Context as _, Result};
use isthmus_tests::{
    Federation, Isthmus, Namespace,
    capture::{Capture, Recording},
    federation::{
        BLUE as GOLD, BLUE_VTEP as GOLD_VTEP, BLUE_VTEP_V6 as GOLD_VTEP_V6, GATEWAY_LEFT, GATEWAY_RIGHT,
        GATEWAY_RIGHT_V6, LABEL, RED, RED_VNI, RED_VTEP, RED_VXLAN, UNKNOWN_LABEL, mapping_between,
    },
    frame::{GeneveOption, Outer, inner_udp, parse_vxlan},
    isthmus::Counters,
    namespace::Vxlan,
    open_vswitch::{OpenVswitch, TENANT, TUNNEL, Tunnel},
    packet_socket::PacketSocket,
    traffic,
};
use uuid::Uuid;

/// How long what was sent may take to arrive.
const SOON: Duration = Duration::from_secs(5);

/// Time for frames under way to land before counters are read.
const SETTLE: Duration = Duration::from_millis(100);

/// The same number as red's: VNIs are unique by encapsulation.
const GOLD_VNI: u32 = RED_VNI;

/// Inner IPv6 addresses.
const RED_V6: Ipv6Addr = Ipv6Addr::new(0xfd00, 0, 0, 0, 0, 0, 0, 0x10);
const GOLD_V6: Ipv6Addr = Ipv6Addr::new(0xfd00, 0, 0, 0, 0, 0, 0, 0x20);

/// Both networks, and a resource in each: `inference` is gold's host, `ledger` is red's.
fn networks(gold_vtep: IpAddr, gold_is: &str, gold_endpoint: &str) -> String {
    format!(
        "\
kind: Network
name: red
encapsulation: vxlan
vni: 42
prefixes: [10.0.0.0/24, fd00::/64]
endpoints:
  - {{address: 10.0.0.10, vtep: 192.0.2.10}}
  - {{address: fd00::10, vtep: 192.0.2.10}}
---
kind: Network
name: gold
encapsulation: geneve
vni: 42
{gold_is}
prefixes: [10.0.0.0/24, fd00::/64]
endpoints:
  - {{address: 10.0.0.20, vtep: {gold_vtep}{gold_endpoint}}}
  - {{address: fd00::20, vtep: {gold_vtep}{gold_endpoint}}}
---
kind: Resource
resource_id: inference
network: gold
addresses: [10.0.0.20, fd00::20]
---
kind: Resource
resource_id: ledger
network: red
addresses: [10.0.0.10]
---
"
    )
}

/// Open vSwitch in blue's place, its tunnel over the underlay of this address; both ends send outer UDP
/// checksums, or neither.
fn with_open_vswitch(federation: &Federation, vtep: IpAddr, udp_checksum: bool) -> Result<OpenVswitch> {
    let Federation { red, blue: gold, topology, .. } = federation;
    red.add_vxlan(&Vxlan { udp_checksum, ..RED_VXLAN })?;
    red.add_address(RED_VXLAN.name, &format!("{RED_V6}/64"))?;
    let (prefix, remote) = match vtep {
        IpAddr::V4(_) => (24, GATEWAY_RIGHT.into()),
        IpAddr::V6(_) => (64, GATEWAY_RIGHT_V6.into()),
    };
    let switch = OpenVswitch::start(topology, gold)?;
    switch.add_tunnel(&Tunnel {
        uplink: "uplink",
        local: &format!("{vtep}/{prefix}"),
        remote,
        vni: GOLD_VNI,
        address: "10.0.0.20/24",
        // Room for IPv6, and for OVN's option.
        mtu: 1420,
        udp_checksum,
    })?;
    gold.add_address(TENANT, &format!("{GOLD_V6}/64"))?;
    Ok(switch)
}

/// Networks, resources and a mapping with full access and the label, in force.
fn join(
    federation: &Federation,
    isthmus: &Isthmus<'_>,
    networks: &str,
    (source, destination, resource): (&str, &str, &str),
) -> Result<Uuid> {
    let identifier = Uuid::new_v4();
    let resources = format!("{resource}: full");
    let mapping = mapping_between(identifier, (source, destination), &resources, Some(LABEL));
    isthmus.join(&format!("{networks}{mapping}"), &federation.red, GOLD)?;
    Ok(identifier)
}

/// Captures on the tenants' uplinks while they talk: red's and gold's recording.
fn record(federation: &Federation, conversation: impl FnOnce() -> Result<()>) -> Result<[Recording; 2]> {
    let Federation { red, blue: gold, topology, .. } = federation;
    let tunnels = "udp port 4789 or udp port 6081";
    let captures = [
        Capture::start(topology, red, "uplink", tunnels)?,
        Capture::start(topology, gold, "uplink", tunnels)?,
    ];
    conversation()?;
    let [left, right] = captures.map(Capture::stop);
    let (left, right) = (left?, right?);
    assert_eq!((left.faults()?, right.faults()?), (vec![], vec![]));
    Ok([left, right])
}

fn converse(red: &Namespace, gold: &Namespace) -> Result<()> {
    traffic::converse((red, RED), (gold, GOLD))?;
    traffic::converse((red, RED_V6), (gold, GOLD_V6))
}

/// The VNIs that tshark finds in frames with this outer source, in front of an inner source.
fn vnis(recording: &Recording, tunnel: &str, outer: IpAddr, inner: IpAddr) -> Result<BTreeSet<u32>> {
    let is_from =
        |address: IpAddr| format!("{} == {address}", if address.is_ipv4() { "ip.src" } else { "ipv6.src" });
    let filter = format!("{tunnel} && {} && {}", is_from(outer), is_from(inner));
    let rows = recording.fields(&filter, &[&format!("{tunnel}.vni")])?;
    rows.iter()
        .map(|row| {
            // In decimal for VXLAN, in hexadecimal for Geneve.
            let vni =
                row[0].strip_prefix("0x").map_or_else(|| row[0].parse(), |hex| u32::from_str_radix(hex, 16));
            vni.with_context(|| format!("a VNI: {row:?}"))
        })
        .collect()
}

#[test]
fn a_kernel_on_vxlan_and_open_vswitch_on_geneve_talk_both_ways() -> Result<()> {
    let name = "a_kernel_on_vxlan_and_open_vswitch_on_geneve_talk_both_ways";
    for (vtep, gateway) in [
        (IpAddr::from(GOLD_VTEP), IpAddr::from(GATEWAY_RIGHT)),
        (GOLD_VTEP_V6.into(), GATEWAY_RIGHT_V6.into()),
    ] {
        Federation::test_without_tunnels(name, |federation, isthmus| {
            let Federation { red, blue: gold, .. } = federation;
            federation.add_ipv6_underlay()?;
            let _switch = with_open_vswitch(federation, vtep, true)?;
            isthmus.start()?;
            let networks = networks(vtep, "", "");
            let [left, right] = record(federation, || {
                join(federation, isthmus, &networks, ("red", "gold", "inference"))?;
                converse(red, gold)
            })?;
            for (recording, spoken, other, gateway, from) in [
                (&left, "vxlan", "geneve", GATEWAY_LEFT.into(), [GOLD.into(), GOLD_V6.into()]),
                (&right, "geneve", "vxlan", gateway, [RED.into(), RED_V6.into()]),
            ] {
                for from in from {
                    assert_eq!(vnis(recording, spoken, gateway, from)?, BTreeSet::from([42]), "{spoken}");
                }
                assert_eq!(recording.count(other)?, 0, "no {other} beside {spoken}");
                // Outer checksums are translated, not left out.
                let without = recording.count(&format!("{spoken} && udp.checksum == 0"))?;
                assert_eq!(without, 0, "{spoken} frames without outer checksum");
            }
            Ok(())
        })?;
    }
    Ok(())
}

#[test]
fn geneve_over_ipv6_gets_the_checksum_that_a_sender_over_ipv4_left_out() -> Result<()> {
    let name = "geneve_over_ipv6_gets_the_checksum_that_a_sender_over_ipv4_left_out";
    Federation::test_without_tunnels(name, |federation, isthmus| {
        let Federation { red, blue: gold, .. } = federation;
        federation.add_ipv6_underlay()?;
        let _switch = with_open_vswitch(federation, GOLD_VTEP_V6.into(), false)?;
        isthmus.start()?;
        let networks = networks(GOLD_VTEP_V6.into(), "", "");
        let [left, right] = record(federation, || {
            join(federation, isthmus, &networks, ("red", "gold", "inference"))?;
            converse(red, gold)
        })?;
        let from_gateway = format!("geneve && ipv6.src == {GATEWAY_RIGHT_V6}");
        assert!(right.count(&format!("{from_gateway} && ipv6.src == {RED_V6}"))? > 10);
        assert_eq!(right.count(&format!("{from_gateway} && udp.checksum == 0"))?, 0);
        assert!(left.count(&format!("vxlan && ip.src == {RED_VTEP} && udp.checksum == 0"))? > 10);
        Ok(())
    })
}

#[test]
fn ovns_option_travels_both_ways_and_is_required() -> Result<()> {
    Federation::test_without_tunnels(
        "ovns_option_travels_both_ways_and_is_required",
        |federation, isthmus| {
            let Federation { red, blue: gold, .. } = federation;
            let switch = with_open_vswitch(federation, GOLD_VTEP.into(), true)?;
            // Gold's host is logical port 5, the gateway's own is 3: ingress in the upper half, egress in the lower one.
            let flows = |to_gateway: &str| {
                [
                    format!("in_port=LOCAL,actions=set_field:{to_gateway}->tun_metadata0,output:{TUNNEL}"),
                    format!("in_port={TUNNEL},tun_metadata0=0x30005,actions=LOCAL"),
                ]
            };
            let [out, back] = flows("0x50003");
            switch.set_flows("{class=0x102,type=0x80,len=4}->tun_metadata0", &[&out, &back])?;
            isthmus.start()?;
            let networks = networks(GOLD_VTEP.into(), "ovn_port: 3", ", ovn_port: 5");
            let [_, right] = record(federation, || {
                join(federation, isthmus, &networks, ("red", "gold", "inference"))?;
                converse(red, gold)
            })?;
            let options = |source| -> Result<BTreeSet<Vec<String>>> {
                let fields = ["class", "type", "unknown.data"].map(|field| format!("geneve.option.{field}"));
                let fields = fields.each_ref().map(String::as_str);
                Ok(right.fields(&format!("geneve && ip.src == {source}"), &fields)?.into_iter().collect())
            };
            let option = |data: &str| BTreeSet::from([["0x0102", "0x80", data].map(str::to_owned).to_vec()]);
            assert_eq!(options(GATEWAY_RIGHT)?, option("00030005"));
            assert_eq!(options(GOLD_VTEP)?, option("00050003"));

            // Without the option a packet is of another network, which nobody has declared.
            let back = format!("in_port={TUNNEL},actions=LOCAL");
            switch.set_flows(
                "{class=0x102,type=0x1,len=4}->tun_metadata1",
                &[&format!("in_port=LOCAL,actions=output:{TUNNEL}"), &back],
            )?;
            let before = isthmus.counters()?.reason("local-vni");
            assert!(!traffic::ping(gold, RED)?, "without the option");
            assert!(isthmus.counters()?.reason("local-vni") > before, "{:?}", isthmus.counters()?);
            Ok(())
        },
    )
}

#[test]
fn bulk_transfers_between_vxlan_and_geneve_arrive_whole() -> Result<()> {
    for udp_checksum in [true, false] {
        let name = "bulk_transfers_between_vxlan_and_geneve_arrive_whole";
        Federation::test_without_tunnels(name, |federation, isthmus| {
            let Federation { red, blue: gold, .. } = federation;
            let _switch = with_open_vswitch(federation, GOLD_VTEP.into(), udp_checksum)?;
            isthmus.start()?;
            join(federation, isthmus, &networks(GOLD_VTEP.into(), "", ""), ("red", "gold", "inference"))?;
            let ways = [(red, gold, GOLD.into()), (gold, red, RED.into())];
            traffic::arrives_whole(&ways, 4 << 20)?;
            thread::sleep(SETTLE);
            isthmus.counters()?.assert_balanced();
            Ok(())
        })?;
    }
    Ok(())
}

#[test]
fn identifier_options_cross_and_unknown_critical_ones_do_not() -> Result<()> {
    let name = "identifier_options_cross_and_unknown_critical_ones_do_not";
    Federation::test_without_tunnels(name, |federation, isthmus| {
        const COUNT: u64 = 37;
        let Federation { red, blue: gold, gateway, .. } = federation;
        let _switch = with_open_vswitch(federation, GOLD_VTEP.into(), false)?;
        isthmus.start()?;
        let networks = networks(GOLD_VTEP.into(), "", "");
        let identifier = join(federation, isthmus, &networks, ("gold", "red", "ledger"))?.to_string();
        let server = red.enter(|| UdpSocket::bind("10.0.0.10:5000"))??;
        server.set_read_timeout(Some(SOON))?;
        let listener = PacketSocket::open(red, "uplink")?;
        let socket = PacketSocket::open(gold, "uplink")?;

        let outer = |vni| -> Result<Outer> {
            Ok(Outer {
                source_mac: gold.mac("uplink")?,
                destination_mac: gateway.mac("right")?,
                source: GOLD_VTEP,
                destination: GATEWAY_RIGHT,
                source_port: 51_000,
                vni,
            })
        };
        let mut inner = inner_udp("10.0.0.20:4000".parse()?, "10.0.0.10:5000".parse()?, b"by option");
        inner[..6].copy_from_slice(&red.mac("vxlan42")?);
        inner[6..12].copy_from_slice(&gold.mac(TENANT)?);
        // docs/wire-format.md: 24 bits of label, flags, and the mapping's epoch, which nobody reads yet.
        let identify = |label: u32| [(label << 8).to_be_bytes(), 9_u32.to_be_bytes()].concat();
        let (live, dead) = (identify(LABEL), identify(UNKNOWN_LABEL));
        let identifier_option = |data| GeneveOption { class: 0xff49, kind: 0x81, data };
        let unknown = |kind| GeneveOption { class: 0xff4a, kind, data: &[0, 0, 0, 1] };
        // Known, but not here: nobody has declared that gold is OVN's.
        let ovn = GeneveOption { class: 0x0102, kind: 0x80, data: &[0, 1, 0, 2] };

        let rows = [
            ("forwarded", outer(4711)?.wrap_geneve(&[identifier_option(&live)], &inner)),
            ("forwarded", outer(GOLD_VNI)?.wrap_geneve(&[unknown(0x01)], &inner)),
            ("unknown-identifier", outer(GOLD_VNI)?.wrap_geneve(&[identifier_option(&dead)], &inner)),
            ("critical-option", outer(GOLD_VNI)?.wrap_geneve(&[unknown(0x80)], &inner)),
            (
                "critical-option",
                outer(GOLD_VNI)?.wrap_geneve(&[identifier_option(&live), unknown(0x80)], &inner),
            ),
            ("critical-option", outer(GOLD_VNI)?.wrap_geneve(&[ovn], &inner)),
            ("tunnel-options", outer(GOLD_VNI)?.wrap_geneve(&[identifier_option(&live), ovn], &inner)),
        ];
        let ours = |frame: &[u8]| parse_vxlan(frame).is_some_and(|vxlan| vxlan.inner.ends_with(b"by option"));
        for (number, (reason, frame)) in rows.iter().enumerate() {
            thread::sleep(SETTLE);
            let before = isthmus.counters()?;
            for _ in 0..COUNT {
                socket.send(frame)?;
            }
            thread::sleep(SETTLE);
            let after = isthmus.counters()?;
            let count = |counters: &Counters| match *reason {
                "forwarded" => counters.mapping(&identifier, "forward", reason),
                _ => counters.reason(reason),
            };
            assert_eq!(count(&after) - count(&before), COUNT, "row {number}: {reason}: {after:?}");
            after.assert_balanced();
            if *reason == "forwarded" {
                for _ in 0..COUNT {
                    let mut buffer = [0; 64];
                    let (length, from) = server.recv_from(&mut buffer).context("red's host got nothing")?;
                    assert_eq!(
                        (&buffer[..length], from.to_string()),
                        (&b"by option"[..], "10.0.0.20:4000".to_owned())
                    );
                    let frame = listener.receive(SOON, ours)?.context("not on the wire")?;
                    let vxlan = parse_vxlan(&frame).context("no VXLAN frame")?;
                    assert_eq!((vxlan.vni, vxlan.outer), (RED_VNI, (GATEWAY_LEFT, RED_VTEP)));
                    assert_eq!(vxlan.inner, inner, "no option is left in front of the inner frame");
                }
            } else {
                assert_eq!(listener.receive(SETTLE, ours)?, None, "row {number} was forwarded");
            }
        }
        Ok(())
    })
}
