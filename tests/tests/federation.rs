//! Two tenants' kernels talk through the gateway, and only as far as a mapping says.

use std::{
    collections::BTreeSet,
    net::UdpSocket,
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, ensure};
use isthmus_tests::{
    Federation, Isthmus,
    capture::Capture,
    federation::{
        BLUE, BLUE_VNI, BLUE_VTEP, GATEWAY_LEFT, GATEWAY_RIGHT, LABEL, NETWORKS, RED, RED_VNI, RED_VTEP,
        UNKNOWN_LABEL, mapping,
    },
    frame::{Outer, inner_udp, parse_vxlan},
    isthmus::Counters,
    packet_socket::PacketSocket,
    traffic, wait,
};
use uuid::Uuid;

/// How long the gateway may take to put a change in force.
const SOON: Duration = Duration::from_secs(2);

/// Time for frames under way to land before counters are read.
const SETTLE: Duration = Duration::from_millis(100);

/// Networks, resource and a mapping with this access, in force.
fn join(federation: &Federation, isthmus: &Isthmus<'_>, access: &str) -> Result<Uuid> {
    let identifier = Uuid::new_v4();
    let manifest = format!("{NETWORKS}---\n{}", mapping(identifier, access, Some(LABEL)));
    isthmus.join(&manifest, &federation.red, BLUE)?;
    Ok(identifier)
}

/// Headers of a frame that red sends to the gateway.
fn from_red(federation: &Federation, vni: u32) -> Result<Outer> {
    Ok(Outer {
        source_mac: federation.red.mac("uplink")?,
        destination_mac: federation.gateway.mac("left")?,
        source: RED_VTEP,
        destination: GATEWAY_LEFT,
        source_port: 51_000,
        vni,
    })
}

#[test]
fn nothing_crosses_before_a_mapping_exists() -> Result<()> {
    Federation::test("nothing_crosses_before_a_mapping_exists", |federation, isthmus| {
        isthmus.start()?;
        let capture = Capture::start(&federation.topology, &federation.blue, "uplink", "udp port 4789")?;
        assert!(!traffic::ping(&federation.red, BLUE)?, "without any object");
        isthmus.apply_text(NETWORKS)?;
        thread::sleep(SOON / 2);
        assert!(!traffic::ping(&federation.red, BLUE)?, "with networks but no mapping");
        assert_eq!(capture.stop()?.vnis()?, [0; 0]);
        let counters = isthmus.counters()?;
        assert!(counters.reason("not-mapped") > 0, "{counters:?}");
        counters.assert_balanced();
        Ok(())
    })
}

#[test]
fn ping_tcp_and_udp_cross_both_ways_with_each_sides_own_vni() -> Result<()> {
    Federation::test("ping_tcp_and_udp_cross_both_ways_with_each_sides_own_vni", |federation, isthmus| {
        let Federation { red, blue, topology, .. } = federation;
        isthmus.start()?;
        let captures = [
            Capture::start(topology, red, "uplink", "udp port 4789")?,
            Capture::start(topology, blue, "uplink", "udp port 4789")?,
        ];
        join(federation, isthmus, "full")?;
        assert_eq!(traffic::pings(red, BLUE, 5)?, 5);
        assert_eq!(traffic::pings(blue, RED, 5)?, 5);
        for payload in [&b"x"[..], &[7; 1400]] {
            assert_eq!(traffic::udp_exchange(red, blue, BLUE, payload)?, payload);
            assert_eq!(traffic::udp_exchange(blue, red, RED, payload)?, payload);
        }
        // One segment each, so that the receiver's GRO joins none and every captured checksum is a real one.
        for (from, to, address) in [(red, blue, BLUE), (blue, red, RED)] {
            let transfer = traffic::tcp_transfer(from, to, address, 500)?;
            assert_eq!((transfer.bytes, transfer.received), (500, transfer.sent));
        }
        let [left, right] = captures.map(Capture::stop);
        let (left, right) = (left?, right?);
        assert_eq!((left.vnis()?, right.vnis()?), (vec![RED_VNI], vec![BLUE_VNI]));
        assert_eq!((left.faults()?, right.faults()?), (vec![], vec![]));
        // The tenants see the gateway's addresses, never each other's.
        let addresses = |recording: &isthmus_tests::capture::Recording| -> Result<BTreeSet<Vec<String>>> {
            Ok(recording.fields("icmp", &["ip.src", "ip.dst"])?.into_iter().collect())
        };
        let expected = |own, gateway| {
            [(own, gateway), (gateway, own)].map(|(source, destination): (std::net::Ipv4Addr, _)| {
                let inner =
                    if (source == RED_VTEP) || (source == GATEWAY_RIGHT) { (RED, BLUE) } else { (BLUE, RED) };
                vec![format!("{source},{}", inner.0), format!("{destination},{}", inner.1)]
            })
        };
        assert_eq!(addresses(&left)?, BTreeSet::from(expected(RED_VTEP, GATEWAY_LEFT)));
        assert_eq!(addresses(&right)?, BTreeSet::from(expected(BLUE_VTEP, GATEWAY_RIGHT)));
        Ok(())
    })
}

#[test]
fn a_bulk_transfer_arrives_whole_and_no_kernel_sees_a_wrong_checksum() -> Result<()> {
    Federation::test(
        "a_bulk_transfer_arrives_whole_and_no_kernel_sees_a_wrong_checksum",
        |federation, isthmus| {
            let Federation { red, blue, .. } = federation;
            isthmus.start()?;
            join(federation, isthmus, "full")?;
            let ways = [(red, blue, BLUE.into()), (blue, red, RED.into())];
            traffic::arrives_whole(&ways, 4 << 20)?;
            thread::sleep(SETTLE);
            isthmus.counters()?.assert_balanced();
            Ok(())
        },
    )
}

#[test]
fn traffic_stops_within_a_second_of_the_mappings_deletion() -> Result<()> {
    Federation::test("traffic_stops_within_a_second_of_the_mappings_deletion", |federation, isthmus| {
        isthmus.start()?;
        let identifier = join(federation, isthmus, "full")?;
        let listener = PacketSocket::open(&federation.blue, "uplink")?;
        let mut stream = federation.red.command("ping");
        stream.args(["-n", "-q", "-i", "0.01", "-w", "10", &BLUE.to_string()]);
        federation.topology.spawn("ping", &mut stream)?;
        let crossed = |frame: &[u8]| parse_vxlan(frame).is_some_and(|vxlan| vxlan.outer.0 == GATEWAY_RIGHT);
        listener.receive(SOON, crossed)?.context("the stream does not arrive")?;
        let start = Instant::now();
        isthmus.delete_mapping(&identifier.to_string())?;
        let mut last = Duration::ZERO;
        while start.elapsed() < Duration::from_secs(3)
            && listener.receive(Duration::from_millis(700), crossed)?.is_some()
        {
            last = start.elapsed();
        }
        assert!(last < Duration::from_secs(1), "last packet {last:?} after the deletion began");
        assert!(!traffic::ping(&federation.blue, RED)?, "nor does anything go back");

        // And it comes back with a new mapping, as if nothing had been.
        join(federation, isthmus, "full")?;
        Ok(())
    })
}

#[test]
fn connect_lets_the_source_open_flows_and_the_resource_only_answer() -> Result<()> {
    Federation::test(
        "connect_lets_the_source_open_flows_and_the_resource_only_answer",
        |federation, isthmus| {
            let Federation { red, blue, .. } = federation;
            isthmus.start()?;
            join(federation, isthmus, "connect")?;
            let transfer = traffic::tcp_transfer(red, blue, BLUE, 100_000)?;
            assert_eq!((transfer.bytes, transfer.received), (100_000, transfer.sent));
            let before = isthmus.counters()?.reason("return-opens");
            assert!(!traffic::ping(blue, RED)?, "blue opens no flow");
            let opened = isthmus.counters()?.reason("return-opens") - before;
            assert_eq!(opened, 1, "the refused echo request");
            Ok(())
        },
    )
}

#[test]
fn access_none_refuses_and_is_reported() -> Result<()> {
    Federation::test("access_none_refuses_and_is_reported", |federation, isthmus| {
        isthmus.start()?;
        let identifier = Uuid::new_v4();
        isthmus.apply_text(&format!("{NETWORKS}---\n{}", mapping(identifier, "none", None)))?;
        assert!(!traffic::ping(&federation.red, BLUE)?);
        // By hand, for a kernel whose ARP is refused sends nothing else.
        let socket = PacketSocket::open(&federation.red, "uplink")?;
        let inner = inner_udp("10.0.0.10:4000".parse()?, "10.0.0.20:5000".parse()?, b"refused");
        let frame = from_red(federation, RED_VNI)?.wrap(&inner);
        let event = wait::until(SOON, || {
            socket.send(&frame).ok()?;
            isthmus.events().ok()?.into_iter().find(|event| event["reason"] == "access-none")
        });
        let (event, _) = event.context("no event")?;
        assert_eq!(event["unique_identifier"], identifier.to_string());
        assert_eq!(event["inner_destination"], BLUE.to_string());
        Ok(())
    })
}

#[test]
fn a_counted_number_of_frames_shows_up_exactly_under_its_reason() -> Result<()> {
    Federation::test("a_counted_number_of_frames_shows_up_exactly_under_its_reason", |federation, isthmus| {
        const COUNT: u64 = 137;
        isthmus.start()?;
        let identifier = join(federation, isthmus, "full")?.to_string();
        let socket = PacketSocket::open(&federation.red, "uplink")?;
        let inner = inner_udp("10.0.0.10:4000".parse()?, "10.0.0.20:5000".parse()?, b"count me");
        let stranger = inner_udp("10.0.0.10:4000".parse()?, "10.0.0.99:5000".parse()?, b"who?");
        let rows = [
            ("forwarded", RED_VNI, &inner),
            ("forwarded", LABEL, &inner),
            ("unknown-identifier", UNKNOWN_LABEL, &inner),
            ("not-mapped", RED_VNI, &stranger),
            ("local-vni", 4242, &inner),
            ("unlisted", LABEL, &stranger),
        ];
        for (reason, vni, inner) in rows {
            let frame = from_red(federation, vni)?.wrap(inner);
            thread::sleep(SETTLE);
            let before = isthmus.counters()?;
            for _ in 0..COUNT {
                socket.send(&frame)?;
            }
            thread::sleep(SETTLE);
            let after = isthmus.counters()?;
            // Blue's kernel answers what it gets with ICMP errors, rate-limited: those come back "forwarded".
            let grown = after.reason(reason) - before.reason(reason);
            if reason == "forwarded" {
                let leg = |counters: &Counters| counters.mapping(&identifier, "forward", reason);
                assert_eq!(leg(&after) - leg(&before), COUNT, "{reason} by VNI {vni}");
                assert!(grown >= COUNT, "{reason} by VNI {vni}: {grown}");
            } else {
                assert_eq!(grown, COUNT, "{reason} by VNI {vni}");
            }
            after.assert_balanced();
        }
        Ok(())
    })
}

#[test]
fn an_unknown_identifier_is_rejected_and_reported_with_its_addresses() -> Result<()> {
    Federation::test(
        "an_unknown_identifier_is_rejected_and_reported_with_its_addresses",
        |federation, isthmus| {
            isthmus.start()?;
            join(federation, isthmus, "full")?;
            let mut follow = isthmus.command(&["events", "--follow", "-o", "json", "--socket"]);
            let follower = federation.topology.spawn("events", follow.arg(isthmus.socket()))?;
            let listener = PacketSocket::open(&federation.blue, "uplink")?;
            thread::sleep(SETTLE);
            let inner = inner_udp("10.0.0.10:4000".parse()?, "10.0.0.20:5000".parse()?, b"let me in");
            let frame = from_red(federation, UNKNOWN_LABEL)?.wrap(&inner);
            PacketSocket::open(&federation.red, "uplink")?.send(&frame)?;

            let wanted = |event: &serde_json::Value| event["vni"] == UNKNOWN_LABEL;
            let live = wait::until(SOON, || {
                // The last line may be half written.
                let lines = follower.stdout();
                lines.lines().filter_map(|line| serde_json::from_str(line).ok()).find(wanted)
            });
            let (live, _) = live.context("not followed")?;
            let recent = isthmus.events()?.into_iter().find(wanted).context("not among recent events")?;
            for event in [live, recent] {
                assert_eq!(event["reason"], "unknown-identifier");
                assert_eq!(event["interface"], "left");
                assert_eq!(event["outer_source"], RED_VTEP.to_string());
                assert_eq!(event["outer_destination"], GATEWAY_LEFT.to_string());
                assert_eq!(event["inner_source"], RED.to_string());
                assert_eq!(event["inner_destination"], BLUE.to_string());
                assert_eq!(event["inner_source_port"], 4000);
                assert_eq!(event["inner_destination_port"], 5000);
                assert_eq!(event["unique_identifier"], "");
                assert_eq!(event["length"].as_u64(), Some(frame.len() as u64));
            }
            let crossed =
                |frame: &[u8]| parse_vxlan(frame).is_some_and(|vxlan| vxlan.inner.ends_with(b"let me in"));
            assert_eq!(listener.receive(SETTLE, crossed)?, None, "it was not forwarded");
            Ok(())
        },
    )
}

#[test]
fn a_frame_that_carries_the_label_reaches_the_resources_socket_unchanged() -> Result<()> {
    Federation::test(
        "a_frame_that_carries_the_label_reaches_the_resources_socket_unchanged",
        |federation, isthmus| {
            isthmus.start()?;
            join(federation, isthmus, "full")?;
            let server = federation.blue.enter(|| UdpSocket::bind("10.0.0.20:5000"))??;
            server.set_read_timeout(Some(SOON))?;
            let listener = PacketSocket::open(&federation.blue, "uplink")?;

            let mut inner = inner_udp("10.0.0.10:4000".parse()?, "10.0.0.20:5000".parse()?, b"by label");
            inner[..6].copy_from_slice(&federation.blue.mac("vxlan77")?);
            let sent = from_red(federation, LABEL)?;
            PacketSocket::open(&federation.red, "uplink")?.send(&sent.wrap(&inner))?;

            let mut buffer = [0; 64];
            let (length, from) = server.recv_from(&mut buffer).context("the resource got nothing")?;
            assert_eq!(
                (&buffer[..length], from.to_string()),
                (&b"by label"[..], "10.0.0.10:4000".to_owned())
            );
            let crossed = |frame: &[u8]| parse_vxlan(frame).is_some_and(|vxlan| vxlan.inner == inner);
            let frame = listener.receive(SOON, crossed)?.context("the inner frame is not the one sent")?;
            let vxlan = parse_vxlan(&frame).context("no VXLAN frame")?;
            assert_eq!((vxlan.vni, vxlan.outer), (BLUE_VNI, (GATEWAY_RIGHT, BLUE_VTEP)));
            assert_eq!(vxlan.source_port, sent.source_port, "the flow's entropy is kept");
            Ok(())
        },
    )
}

#[test]
fn a_tenant_device_whose_vni_is_the_label_works() -> Result<()> {
    Federation::test("a_tenant_device_whose_vni_is_the_label_works", |federation, isthmus| {
        let Federation { red, blue, topology, .. } = federation;
        isthmus.start()?;
        join(federation, isthmus, "full")?;
        // Red sends by the label and is answered in its own network: two devices, one MAC.
        red.run(&format!(
            "ip link add labelled type vxlan id {LABEL} dstport 4789 local {RED_VTEP} remote {GATEWAY_LEFT}"
        ))?;
        red.set_features("labelled", "tx off")?;
        let mac = |bytes: [u8; 6]| bytes.map(|byte| format!("{byte:02x}")).join(":");
        red.run(&format!("ip link set labelled address {} mtu 1450 up", mac(red.mac("vxlan42")?)))?;
        red.run(&format!("ip route add {BLUE}/32 dev labelled src {RED}"))?;
        red.run(&format!("ip neighbour add {BLUE} lladdr {} dev labelled", mac(blue.mac("vxlan77")?)))?;

        let capture = Capture::start(topology, red, "uplink", "udp port 4789")?;
        assert_eq!(traffic::pings(red, BLUE, 3)?, 3);
        let recording = capture.stop()?;
        assert_eq!(recording.fields("icmp.type == 8", &["vxlan.vni"])?, vec![[LABEL.to_string()]; 3]);
        assert_eq!(recording.fields("icmp.type == 0", &["vxlan.vni"])?, vec![[RED_VNI.to_string()]; 3]);
        Ok(())
    })
}

#[test]
fn many_rejections_are_all_counted_though_not_all_reported() -> Result<()> {
    Federation::test("many_rejections_are_all_counted_though_not_all_reported", |federation, isthmus| {
        const COUNT: u64 = 5_000;
        isthmus.start()?;
        join(federation, isthmus, "full")?;
        let socket = PacketSocket::open(&federation.red, "uplink")?;
        let inner = inner_udp("10.0.0.10:4000".parse()?, "10.0.0.20:5000".parse()?, b"flood");
        let frame = from_red(federation, UNKNOWN_LABEL)?.wrap(&inner);
        for _ in 0..COUNT {
            socket.send(&frame)?;
        }
        thread::sleep(SETTLE);
        let counters = isthmus.counters()?;
        assert_eq!(counters.reason("unknown-identifier"), COUNT);
        counters.assert_balanced();
        let reported = u64::try_from(isthmus.events()?.len())?;
        ensure!((1..COUNT).contains(&reported), "{reported} events for {COUNT} rejections");
        Ok(())
    })
}
