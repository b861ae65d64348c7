//! A kernel on VXLAN and Open vSwitch on Geneve talk through the gateway, neither knowing of the other's tunnel.

use std::{collections::BTreeSet, net::UdpSocket, thread, time::Duration};

use anyhow::{Context as _, Result};
use isthmus_tests::{
    Federation, Isthmus, Namespace,
    capture::{Capture, Recording},
    federation::{
        BLUE as GOLD, BLUE_VTEP as GOLD_VTEP, GATEWAY_LEFT, GATEWAY_RIGHT, LABEL, RED, RED_VNI, RED_VTEP,
        UNKNOWN_LABEL,
    },
    frame::{GeneveOption, Outer, inner_udp, parse_vxlan},
    isthmus::Counters,
    namespace::Vxlan,
    open_vswitch::{OpenVswitch, TENANT, Tunnel},
    packet_socket::PacketSocket,
    traffic, wait,
};
use uuid::Uuid;

/// How long a change may take, with every address to be resolved by two switches.
const SOON: Duration = Duration::from_secs(5);

/// Time for frames under way to land before counters are read.
const SETTLE: Duration = Duration::from_millis(100);

/// The same number as red's: VNIs are unique by encapsulation.
const GOLD_VNI: u32 = RED_VNI;

/// Both networks, and a resource in each: `inference` is gold's host, `ledger` is red's.
const NETWORKS: &str = "\
kind: Network
name: red
encapsulation: vxlan
vni: 42
prefixes: [10.0.0.0/24]
endpoints:
  - {address: 10.0.0.10, vtep: 192.0.2.10}
---
kind: Network
name: gold
encapsulation: geneve
vni: 42
prefixes: [10.0.0.0/24]
endpoints:
  - {address: 10.0.0.20, vtep: 198.51.100.20}
---
kind: Resource
resource_id: inference
network: gold
addresses: [10.0.0.20]
protocol: any
---
kind: Resource
resource_id: ledger
network: red
addresses: [10.0.0.10]
protocol: any
";

/// The federation with Open vSwitch in blue's place; both ends send outer UDP checksums, or neither.
fn with_open_vswitch(federation: &Federation, udp_checksum: bool) -> Result<&Namespace> {
    let Federation { red, blue: gold, topology, .. } = federation;
    red.run("ip link delete vxlan42")?;
    red.add_vxlan(&Vxlan {
        name: "vxlan42",
        vni: RED_VNI,
        local: "192.0.2.10",
        remote: "192.0.2.1",
        address: "10.0.0.10/24",
        udp_checksum,
    })?;
    gold.run("ip link delete vxlan77")?;
    OpenVswitch::start(
        topology,
        gold,
        &Tunnel {
            uplink: "uplink",
            local: "198.51.100.20/24",
            remote: GATEWAY_RIGHT,
            vni: GOLD_VNI,
            address: "10.0.0.20/24",
            udp_checksum,
        },
    )?;
    Ok(gold)
}

/// Networks, resources and a mapping with full access and the label, in force.
fn join(
    federation: &Federation,
    isthmus: &Isthmus<'_>,
    (source, destination, resource): (&str, &str, &str),
) -> Result<Uuid> {
    let identifier = Uuid::new_v4();
    isthmus.apply_text(&format!(
        "{NETWORKS}---\nkind: Mapping\nunique_identifier: {identifier}\nsource_network: {source}\n\
         destination_network: {destination}\nresource_mapping: {{{resource}: full}}\nlabel: {LABEL}\n"
    ))?;
    wait::until_true(SOON, || traffic::ping(&federation.red, GOLD).unwrap_or(false))
        .with_context(|| format!("no ping crosses after the apply: {:?}", isthmus.counters()))?;
    Ok(identifier)
}

fn assert_balanced(counters: &Counters) {
    assert!(counters.received() > 0);
    assert_eq!(counters.received(), counters.accounted(), "{counters:?}");
}

/// The VNIs that tshark finds in frames with this outer source, in front of an inner source.
fn vnis(recording: &Recording, tunnel: &str, sources: [std::net::Ipv4Addr; 2]) -> Result<BTreeSet<u32>> {
    let [outer, inner] = sources;
    let rows = recording.fields(
        &format!("{tunnel} && ip.src == {outer} && ip.src == {inner}"),
        &[&format!("{tunnel}.vni")],
    )?;
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
    Federation::test("a_kernel_on_vxlan_and_open_vswitch_on_geneve_talk_both_ways", |federation, isthmus| {
        let Federation { red, topology, .. } = federation;
        let gold = with_open_vswitch(federation, true)?;
        isthmus.start()?;
        let tunnels = "udp port 4789 or udp port 6081";
        let captures = [
            Capture::start(topology, red, "uplink", tunnels)?,
            Capture::start(topology, gold, "uplink", tunnels)?,
        ];
        join(federation, isthmus, ("red", "gold", "inference"))?;
        assert_eq!(traffic::pings(red, GOLD, 5)?, 5);
        assert_eq!(traffic::pings(gold, RED, 5)?, 5);
        for payload in [&b"x"[..], &[7; 1400]] {
            assert_eq!(traffic::udp_exchange(red, gold, GOLD, payload)?, payload);
            assert_eq!(traffic::udp_exchange(gold, red, RED, payload)?, payload);
        }
        // One segment each, so that the receiver's GRO joins none and every captured checksum is a real one.
        for (from, to, address) in [(red, gold, GOLD), (gold, red, RED)] {
            let transfer = traffic::tcp_transfer(from, to, address, 500)?;
            assert_eq!((transfer.bytes, transfer.received), (500, transfer.sent));
        }
        let [left, right] = captures.map(Capture::stop);
        let (left, right) = (left?, right?);
        assert_eq!((left.faults()?, right.faults()?), (vec![], vec![]));
        for (recording, spoken, other, gateway, from) in
            [(&left, "vxlan", "geneve", GATEWAY_LEFT, GOLD), (&right, "geneve", "vxlan", GATEWAY_RIGHT, RED)]
        {
            assert_eq!(vnis(recording, spoken, [gateway, from])?, BTreeSet::from([42]), "{spoken}");
            assert_eq!(
                recording.fields(other, &["frame.number"])?,
                [[""; 0]; 0],
                "no {other} beside {spoken}"
            );
            for inner in ["icmp.type == 8", "icmp.type == 0", "tcp.flags.fin == 1", "data.len == 1400"] {
                let filter = format!("{spoken} && ip.src == {gateway} && {inner}");
                assert!(!recording.fields(&filter, &["frame.number"])?.is_empty(), "{filter}");
            }
            // Outer checksums are translated, not left out.
            let without = recording.fields(&format!("{spoken} && udp.checksum == 0"), &["frame.number"])?;
            assert_eq!(without, [[""; 0]; 0], "{spoken} frames without outer checksum");
        }
        Ok(())
    })
}

#[test]
fn bulk_transfers_between_vxlan_and_geneve_arrive_whole() -> Result<()> {
    for udp_checksum in [true, false] {
        Federation::test("bulk_transfers_between_vxlan_and_geneve_arrive_whole", |federation, isthmus| {
            let red = &federation.red;
            let gold = with_open_vswitch(federation, udp_checksum)?;
            isthmus.start()?;
            join(federation, isthmus, ("red", "gold", "inference"))?;
            for (from, to, address) in [(red, gold, GOLD), (gold, red, RED)] {
                let transfer = traffic::tcp_transfer(from, to, address, 4 << 20)?;
                assert_eq!((transfer.bytes, transfer.received), (4 << 20, transfer.sent));
            }
            for host in [red, gold] {
                let errors = traffic::checksum_errors(host)?;
                assert!(errors.values().all(|&count| count == 0), "{errors:?}");
            }
            thread::sleep(SETTLE);
            assert_balanced(&isthmus.counters()?);
            Ok(())
        })?;
    }
    Ok(())
}

#[test]
fn identifier_options_cross_and_unknown_critical_ones_do_not() -> Result<()> {
    Federation::test("identifier_options_cross_and_unknown_critical_ones_do_not", |federation, isthmus| {
        const COUNT: u64 = 37;
        let Federation { red, gateway, .. } = federation;
        let gold = with_open_vswitch(federation, false)?;
        isthmus.start()?;
        let identifier = join(federation, isthmus, ("gold", "red", "ledger"))?.to_string();
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

        let rows = [
            ("forwarded", outer(4711)?.wrap_geneve(&[identifier_option(&live)], &inner)),
            ("forwarded", outer(GOLD_VNI)?.wrap_geneve(&[unknown(0x01)], &inner)),
            ("unknown-identifier", outer(GOLD_VNI)?.wrap_geneve(&[identifier_option(&dead)], &inner)),
            ("critical-option", outer(GOLD_VNI)?.wrap_geneve(&[unknown(0x80)], &inner)),
            (
                "critical-option",
                outer(GOLD_VNI)?.wrap_geneve(&[identifier_option(&live), unknown(0x80)], &inner),
            ),
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
            assert_balanced(&after);
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
