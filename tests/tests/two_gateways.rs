//! Two gateways with a network behind each: the first stamps, the second delivers.
//!
//! ```text
//!   red ── left  gw-a  right ── bridge ── to-a  gw-b  to-green ── green     (another VXLAN network)
//!                                                     to-desk ─── desk      (a port)
//! ```
//!
//! The bridge is where one can look: what XDP takes from a link or sends on it, nobody else sees there.
//!
//!
//! A broker listens on its own host only, so each gateway has one with the same manifest and the same labels.

use std::{
    net::{Ipv4Addr, Ipv6Addr},
    thread,
    time::Duration,
};

use anyhow::{Context as _, Result, anyhow};
use isthmus_tests::{
    Isthmus, Namespace, Topology,
    capture::Capture,
    federation::{RED, RED_VXLAN, mapping_between},
    frame::{GeneveOption, Outer, inner_udp},
    namespace::Vxlan,
    packet_socket::PacketSocket,
    privilege::require_root,
    traffic, wait,
};
use uuid::Uuid;

/// How long an event may take to be reported.
const SOON: Duration = Duration::from_secs(2);

/// Time for frames under way to land before counters are read.
const SETTLE: Duration = Duration::from_millis(100);

const GREEN: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 30);
const DESK: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 40);
const A: Ipv4Addr = Ipv4Addr::new(198, 51, 100, 1);
const B: Ipv4Addr = Ipv4Addr::new(198, 51, 100, 2);
const A_V6: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1);
const B_V6: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 2);
/// On the link between the gateways, and no gateway.
const STRANGER: Ipv4Addr = Ipv4Addr::new(198, 51, 100, 66);
/// Labels of the mappings to green and to desk, and one that no mapping has.
const TO_GREEN: u32 = 0x00f0_0101;
const TO_DESK: u32 = 0x00f0_0202;
const UNKNOWN: u32 = 0x00f0_0303;

const MANIFEST: &str = "\
kind: Gateway
name: gw-a
addresses: [198.51.100.1]
---
kind: Gateway
name: gw-b
addresses: [198.51.100.2]
---
kind: Network
name: red
encapsulation: vxlan
vni: 42
gateway: gw-a
prefixes: [10.0.0.0/24]
endpoints:
  - {address: 10.0.0.10, vtep: 192.0.2.10}
---
kind: Network
name: green
encapsulation: vxlan
vni: 99
gateway: gw-b
prefixes: [10.0.0.0/24]
endpoints:
  - {address: 10.0.0.30, vtep: 203.0.113.30}
---
kind: Network
name: desk
encapsulation: port
gateway: gw-b
prefixes: [10.0.0.0/24]
endpoints:
  - {address: 10.0.0.40}
---
kind: Resource
resource_id: archive
network: green
addresses: [10.0.0.30]
---
kind: Resource
resource_id: printer
network: desk
addresses: [10.0.0.40]
---
";

struct Chain {
    red: Namespace,
    green: Namespace,
    desk: Namespace,
    a: Namespace,
    b: Namespace,
    between: Namespace,
    topology: Topology,
}

impl Chain {
    fn new() -> Result<Self> {
        let topology = Topology::new()?;
        let [red, green, desk] = ["red", "green", "desk"].map(|role| topology.namespace(role));
        let [a, b, between] = ["a", "b", "between"].map(|role| topology.namespace(role));
        let (red, green, desk, a, b, between) = (red?, green?, desk?, a?, b?, between?);
        topology.veth((&a, "left", "192.0.2.1/24"), (&red, "uplink", "192.0.2.10/24"))?;
        topology.veth((&a, "right", &format!("{A}/24")), (&between, "to-a", ""))?;
        topology.veth((&between, "to-b", ""), (&b, "to-a", &format!("{B}/24")))?;
        between.run("ip link add bridge type bridge")?;
        for port in ["to-a", "to-b"] {
            between.run(&format!("ip link set {port} master bridge"))?;
        }
        between.run("ip link set bridge up")?;
        topology.veth((&b, "to-green", "203.0.113.1/24"), (&green, "uplink", "203.0.113.30/24"))?;
        topology.veth((&b, "to-desk", ""), (&desk, "uplink", &format!("{DESK}/24")))?;
        red.add_vxlan(&RED_VXLAN)?;
        green.add_vxlan(&Vxlan {
            name: "vxlan99",
            vni: 99,
            local: "203.0.113.30",
            remote: "203.0.113.1",
            address: "10.0.0.30/24",
            udp_checksum: true,
            ..RED_VXLAN
        })?;
        Ok(Self { red, green, desk, a, b, between, topology })
    }

    /// A test with both gateways running and both mappings in force.
    fn test(name: &str, body: impl FnOnce(&Self, &Isthmus<'_>, &Isthmus<'_>) -> Result<()>) -> Result<()> {
        Self::test_of(name, MANIFEST, body)
    }

    /// The same, with gateways that reach each other over IPv6 only.
    fn test_over_ipv6(
        name: &str,
        body: impl FnOnce(&Self, &Isthmus<'_>, &Isthmus<'_>) -> Result<()>,
    ) -> Result<()> {
        let manifest = MANIFEST
            .replace(&format!("[{A}]"), &format!("[{A_V6}]"))
            .replace(&format!("[{B}]"), &format!("[{B_V6}]"));
        Self::test_of(name, &manifest, body)
    }

    fn test_of(
        name: &str,
        manifest: &str,
        body: impl FnOnce(&Self, &Isthmus<'_>, &Isthmus<'_>) -> Result<()>,
    ) -> Result<()> {
        if !require_root(name) {
            return Ok(());
        }
        let chain = Self::new()?;
        let run = || {
            let [a, b] = [&chain.a, &chain.b].map(|host| Isthmus::on(&chain.topology, host));
            let (a, b) = (a?, b?);
            for broker in [&a, &b] {
                broker.start_broker()?;
            }
            a.start_gateway_with(&["left", "right"], &["--name", "gw-a"])?;
            b.start_gateway_with(&["to-a", "to-green"], &["--name", "gw-b", "--port", "to-desk=desk"])?;
            let [green, desk] = [("green", "archive", TO_GREEN), ("desk", "printer", TO_DESK)].map(
                |(network, resource, label)| {
                    let resources = format!("{resource}: full");
                    mapping_between(Uuid::new_v4(), ("red", network), &resources, Some(label))
                },
            );
            let manifest = format!("{manifest}{green}---\n{desk}");
            for (host, interface, address) in [(&chain.a, "right", A_V6), (&chain.b, "to-a", B_V6)] {
                if manifest.contains(&address.to_string()) {
                    host.add_address(interface, &format!("{address}/64"))?;
                }
            }
            b.apply_text(&manifest)?;
            a.join(&manifest, &chain.red, GREEN)
                .with_context(|| format!("gw-b: {:?} {:?}", b.counters(), b.status()))?;
            a.await_ping(&chain.red, DESK)
                .with_context(|| format!("gw-b: {:?} {:?}", b.counters(), b.status()))?;
            body(&chain, &a, &b)
        };
        run().map_err(|error| anyhow!("{error:?}\n--- processes\n{}", chain.topology.describe_processes()))
    }

    /// A packet from red to green with an identifier option, as gw-a stamps it but for what is given.
    fn labelled(&self, source: Ipv4Addr, label: u32, inner_source: &str) -> Result<Vec<u8>> {
        let inner =
            inner_udp(format!("{inner_source}:4000").parse()?, "10.0.0.30:5000".parse()?, b"labelled");
        let outer = Outer {
            source_mac: self.a.mac("right")?,
            destination_mac: self.b.mac("to-a")?,
            source,
            destination: B,
            source_port: 51_000,
            vni: label,
        };
        let data = [(label << 8).to_be_bytes(), 1_u32.to_be_bytes()].concat();
        Ok(outer.wrap_geneve(&[GeneveOption { class: 0xff49, kind: 0x81, data: &data }], &inner))
    }
}

#[test]
fn tenants_behind_two_gateways_talk_both_ways_with_the_identifier_in_between() -> Result<()> {
    let name = "tenants_behind_two_gateways_talk_both_ways_with_the_identifier_in_between";
    Chain::test(name, |chain, a, b| {
        let Chain { red, green, desk, between, topology, .. } = chain;
        let captures = [
            Capture::start(topology, red, "uplink", "")?,
            Capture::start(topology, between, "to-b", "")?,
            Capture::start(topology, green, "uplink", "")?,
            Capture::start(topology, desk, "uplink", "")?,
        ];
        traffic::converse((red, RED), (green, GREEN))?;
        traffic::converse((red, RED), (desk, DESK))?;
        let [left, between, right, port] = captures.map(Capture::stop);
        let (left, between, right, port) = (left?, between?, right?, port?);
        for recording in [&left, &between, &right, &port] {
            assert_eq!(recording.faults()?, [""; 0]);
        }
        assert_eq!((left.vnis()?, right.vnis()?), (vec![42], vec![99]));
        assert_eq!(port.count("vxlan || geneve || vlan")?, 0, "plain frames");
        assert!(port.count("icmp.type == 8")? >= 6, "in both directions");

        // Between the gateways: Geneve with label and direction in front of every frame, and nothing else.
        let fields = ["geneve.vni", "geneve.flags.critical", "geneve.option.class", "geneve.option.type"];
        let fields = [&fields[..], &["geneve.option.unknown.data", "ip.src"]].concat();
        for (address, label) in [(GREEN, TO_GREEN), (DESK, TO_DESK)] {
            for (outer, inner, flags) in [(A, RED, 0), (B, address, 1)] {
                let filter = format!("icmp && ip.src == {outer} && ip.addr == {address}");
                let rows = between.fields(&filter, &fields)?;
                assert!(rows.len() >= 6, "{filter}: {rows:?}");
                for row in rows {
                    // The mapping's version is its epoch: it was applied once.
                    let data = format!("{label:06x}{flags:02x}00000001");
                    let expected = [&format!("0x{label:06x}"), "1", "0xff49", "0x81", &data];
                    assert_eq!(row[..5], expected, "{filter}");
                    assert_eq!(row[5], format!("{outer},{inner}"));
                }
            }
        }
        assert_eq!(between.fields("vxlan || !geneve && !arp", &["frame.protocols"])?, [[""; 0]; 0]);
        for gateway in [a, b] {
            thread::sleep(SETTLE);
            gateway.counters()?.assert_balanced();
        }
        Ok(())
    })
}

#[test]
fn bulk_transfers_through_two_gateways_arrive_whole() -> Result<()> {
    Chain::test("bulk_transfers_through_two_gateways_arrive_whole", |chain, _, _| {
        let Chain { red, green, desk, a, b, .. } = chain;
        // Room for the identifier option.
        for (host, interface) in [(red, RED_VXLAN.name), (green, "vxlan99"), (desk, "uplink")] {
            host.run(&format!("ip link set {interface} mtu 1400"))?;
        }
        for (from, to, address) in
            [(red, green, GREEN), (green, red, RED), (red, desk, DESK), (desk, red, RED)]
        {
            let transfer = traffic::tcp_transfer(from, to, address, 2 << 20)?;
            assert_eq!((transfer.bytes, transfer.received), (2 << 20, transfer.sent));
        }
        for host in [red, green, desk, a, b] {
            let errors = traffic::checksum_errors(host)?;
            assert!(errors.values().all(|&count| count == 0), "{errors:?}");
        }
        Ok(())
    })
}

#[test]
fn gateways_reach_each_other_over_ipv6_with_checksums() -> Result<()> {
    Chain::test_over_ipv6("gateways_reach_each_other_over_ipv6_with_checksums", |chain, _, _| {
        let Chain { red, green, desk, between, topology, .. } = chain;
        let capture = Capture::start(topology, between, "to-b", "udp")?;
        // Red sends no outer checksums, green does, and desk has no outer headers.
        traffic::converse((red, RED), (green, GREEN))?;
        traffic::converse((red, RED), (desk, DESK))?;
        let recording = capture.stop()?;
        assert_eq!(recording.faults()?, [""; 0]);
        let way =
            format!("(ipv6.src == {A_V6} && ipv6.dst == {B_V6} || ipv6.src == {B_V6} && ipv6.dst == {A_V6})");
        let whole =
            recording.count(&format!("geneve.option.class == 0xff49 && {way} && udp.checksum != 0"))?;
        assert!(whole >= 60, "{whole}");
        assert_eq!(recording.count("")?, whole, "and nothing else");
        Ok(())
    })
}

#[test]
fn an_identifier_is_good_only_from_the_gateway_that_may_use_it() -> Result<()> {
    Chain::test("an_identifier_is_good_only_from_the_gateway_that_may_use_it", |chain, _, b| {
        const COUNT: u64 = 23;
        let Chain { green, .. } = chain;
        let listener = PacketSocket::open(green, "uplink")?;
        let socket = PacketSocket::open(&chain.between, "to-b")?;
        let ours = |frame: &[u8]| frame.ends_with(b"labelled");
        let rows = [
            ("forwarded", A, TO_GREEN, "10.0.0.10"),
            ("foreign-identifier", STRANGER, TO_GREEN, "10.0.0.10"),
            // Of the right gateway, but an inner source that no mapping speaks for.
            ("foreign-identifier", A, TO_GREEN, "10.0.0.11"),
            // A label of another mapping, which does not list green's host.
            ("unlisted", A, TO_DESK, "10.0.0.10"),
            ("unknown-identifier", A, UNKNOWN, "10.0.0.10"),
        ];
        for (reason, source, label, inner_source) in rows {
            let what = format!("{reason}: {label:#x} from {source}, {inner_source} inside");
            let frame = chain.labelled(source, label, inner_source)?;
            thread::sleep(SETTLE);
            let before = b.counters()?;
            for _ in 0..COUNT {
                socket.send(&frame)?;
            }
            thread::sleep(SETTLE);
            let after = b.counters()?;
            let grown = after.reason(reason) - before.reason(reason);
            after.assert_balanced();
            if reason == "forwarded" {
                // Green's kernel answers what nobody listens for with ICMP errors.
                assert!(grown >= COUNT, "{what}: {grown}");
                for _ in 0..COUNT {
                    listener.receive(SOON, ours)?.with_context(|| format!("{what}: not delivered"))?;
                }
                continue;
            }
            assert_eq!(grown, COUNT, "{what}: {after:?}");
            assert_eq!(listener.receive(SETTLE, ours)?, None, "{what}: delivered");
            let is_it = |event: &serde_json::Value| {
                event["reason"] == reason
                    && event["vni"] == label
                    && event["outer_source"] == source.to_string()
                    && event["inner_source"] == inner_source
                    && event["interface"] == "to-a"
            };
            let event = wait::until(SOON, || b.events().ok()?.into_iter().find(is_it));
            event.with_context(|| format!("{what}: not reported: {:?}", b.events()))?;
        }
        Ok(())
    })
}
