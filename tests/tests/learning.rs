//! Endpoints that nobody declares: learned from traffic, each in its own network only, and forgotten.

use std::{
    collections::BTreeMap,
    net::Ipv4Addr,
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result};
use isthmus_tests::{
    Federation, Isthmus,
    capture::Capture,
    federation::{
        BLUE, BLUE_VNI, BLUE_VTEP, GATEWAY_LEFT, GATEWAY_RIGHT, NETWORKS, RED, RED_VNI, RED_VTEP, RED_VXLAN,
        mapping, mapping_between,
    },
    frame::{Outer, inner_udp, parse_vxlan},
    packet_socket::PacketSocket,
    traffic, wait,
};
use serde_json::Value;
use uuid::Uuid;

/// How long what was seen may take to be in force.
const SOON: Duration = Duration::from_secs(3);

/// Time for frames under way to land before counters are read.
const SETTLE: Duration = Duration::from_millis(100);

/// A second network at red's, from which only `green` can be reached.
const ROSE_VNI: u32 = 43;

/// How many frames are sent and counted.
const COUNT: u64 = 31;

/// `blue` and `green` learn and overlap; what is in them is not declared.
fn manifest() -> String {
    let network = |name: &str, vni: u32, more: &str| {
        format!(
            "kind: Network\nname: {name}\nencapsulation: vxlan\nvni: {vni}\nprefixes: [10.0.0.0/24]\n{more}\n---\n"
        )
    };
    let at_red = "endpoints:\n  - {address: 10.0.0.10, vtep: 192.0.2.10}";
    let resource = |name: &str, network: &str| {
        format!("kind: Resource\nresource_id: {name}\nnetwork: {network}\naddresses: [10.0.0.20]\n---\n")
    };
    [
        network("red", RED_VNI, at_red),
        network("rose", ROSE_VNI, at_red),
        network("blue", BLUE_VNI, "learning: true"),
        network("green", 88, "learning: true"),
        resource("inference", "blue"),
        resource("twin", "green"),
        mapping(Uuid::new_v4(), "full", None) + "---\n",
        mapping_between(Uuid::new_v4(), ("rose", "green"), "twin: full", None),
    ]
    .concat()
}

fn start(isthmus: &Isthmus<'_>, arguments: &[&str]) -> Result<()> {
    isthmus.start_broker()?;
    isthmus.start_gateway_with(&["left", "right"], arguments)?;
    isthmus.apply_text(&manifest())?;
    let in_force = || isthmus.status().is_ok_and(|status| status["applied_revision"] == 1);
    wait::until_true(SOON, in_force).context("the manifest is not in force")?;
    Ok(())
}

/// What `isthmus gateway endpoints` says: network and address, and the rest of it.
fn endpoints(isthmus: &Isthmus<'_>) -> Result<BTreeMap<(String, String), Value>> {
    let answer = isthmus.json(&["gateway", "endpoints"])?.remove(0);
    let learned = answer["learned"].as_array().with_context(|| format!("no list: {answer}"))?;
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    Ok(learned.iter().map(|row| ((text(&row["network"]), text(&row["address"])), row.clone())).collect())
}

fn blues() -> (String, String) {
    ("blue".to_owned(), BLUE.to_string())
}

/// A datagram for 10.0.0.20 that red sends with this VNI.
fn from_red(federation: &Federation, vni: u32) -> Result<Vec<u8>> {
    let outer = Outer {
        source_mac: federation.red.mac("uplink")?,
        destination_mac: federation.gateway.mac("left")?,
        source: RED_VTEP,
        destination: GATEWAY_LEFT,
        source_port: 51_000,
        vni,
    };
    Ok(outer.wrap(&inner_udp("10.0.0.10:4000".parse()?, "10.0.0.20:5000".parse()?, b"who is it")))
}

/// A datagram for red that a host of blue's sends, from this address behind this tunnel endpoint.
fn from_blue(federation: &Federation, vtep: Ipv4Addr, address: &str) -> Result<Vec<u8>> {
    let outer = Outer {
        source_mac: federation.blue.mac("uplink")?,
        destination_mac: federation.gateway.mac("right")?,
        source: vtep,
        destination: GATEWAY_RIGHT,
        source_port: 51_000,
        vni: BLUE_VNI,
    };
    Ok(outer.wrap(&inner_udp(format!("{address}:4000").parse()?, "10.0.0.10:5000".parse()?, b"here I am")))
}

/// Sends frames to 10.0.0.20 with this VNI: they are dropped, counted and reported, and leave by no interface.
fn assert_unknown(federation: &Federation, isthmus: &Isthmus<'_>, vni: u32) -> Result<()> {
    let Federation { red, blue, gateway, topology } = federation;
    thread::sleep(SETTLE);
    let captures = [(red, "uplink"), (blue, "uplink"), (gateway, "left"), (gateway, "right")]
        .map(|(host, interface)| Capture::start(topology, host, interface, "udp port 4789"));
    let before = isthmus.counters()?;
    let socket = PacketSocket::open(red, "uplink")?;
    let frame = from_red(federation, vni)?;
    for _ in 0..COUNT {
        socket.send(&frame)?;
    }
    thread::sleep(SETTLE);
    let after = isthmus.counters()?;
    assert_eq!(after.reason("unknown-endpoint") - before.reason("unknown-endpoint"), COUNT, "VNI {vni}");
    for capture in captures {
        let recording = capture?.stop()?;
        // Red's own are seen on red's uplink; XDP takes them before the gateway's capture sees them.
        let leaked = format!("udp.dstport == 5000 && ip.src != {RED_VTEP}");
        assert_eq!(recording.fields(&leaked, &["ip.src", "ip.dst"])?, [[""; 0]; 0], "VNI {vni}");
    }
    let is_it = |event: &Value| {
        event["reason"] == "unknown-endpoint"
            && event["vni"] == vni
            && event["inner_destination"] == BLUE.to_string()
            && event["outer_source"] == RED_VTEP.to_string()
    };
    let event = wait::until(SOON, || isthmus.events().ok()?.into_iter().find(is_it));
    event.with_context(|| format!("not reported: {:?}", isthmus.events()))?;
    Ok(())
}

#[test]
fn an_endpoint_is_learned_in_its_network_only_and_forgotten() -> Result<()> {
    Federation::test("an_endpoint_is_learned_in_its_network_only_and_forgotten", |federation, isthmus| {
        let Federation { red, blue, topology, .. } = federation;
        start(isthmus, &["--learned-age", "2"])?;
        assert_eq!(endpoints(isthmus)?, BTreeMap::new());
        assert_unknown(federation, isthmus, RED_VNI)?;
        assert_eq!(endpoints(isthmus)?, BTreeMap::new(), "nothing is learned from who is declared");

        // Blue asks for red's MAC, and so has shown itself.
        wait::until_true(SOON, || traffic::ping(blue, RED).unwrap_or(false))
            .context("blue gets no answer")?;
        let learned = endpoints(isthmus)?;
        assert_eq!(learned.keys().collect::<Vec<_>>(), [&blues()]);
        let endpoint = &learned[&blues()];
        let mac = blue.mac("vxlan77")?.map(|byte| format!("{byte:02x}")).join(":");
        assert_eq!(endpoint["mac"], mac);
        assert_eq!(endpoint["vtep"], BLUE_VTEP.to_string());
        assert!(endpoint["seen_seconds_ago"].as_u64().is_some_and(|seconds| seconds < 2), "{endpoint}");
        traffic::converse((red, RED), (blue, BLUE))?;

        // As long as it says something it stays, beyond the age. Green has an address like it, which nobody has seen.
        let start = Instant::now();
        let mut ping = blue.command("ping");
        let ping = topology.spawn("ping", ping.args(["-n", "-q", "-i", "0.2", &RED.to_string()]))?;
        assert_unknown(federation, isthmus, ROSE_VNI)?;
        thread::sleep(Duration::from_secs(3).saturating_sub(start.elapsed()));
        assert_eq!(endpoints(isthmus)?.keys().collect::<Vec<_>>(), [&blues()]);
        ping.stop();
        let last_heard_after = Instant::now();
        assert!(traffic::ping(red, BLUE)?);
        for host in [red, blue] {
            // Nothing is to be said by chance.
            host.run("ip link set uplink down")?;
        }
        let gone = wait::until_true(SOON * 2, || endpoints(isthmus).is_ok_and(|all| all.is_empty()));
        gone.context("not forgotten")?;
        let after = last_heard_after.elapsed();
        assert!((Duration::from_secs(2)..Duration::from_secs(5)).contains(&after), "after {after:?}");
        for host in [red, blue] {
            host.run("ip link set uplink up")?;
        }
        assert_unknown(federation, isthmus, RED_VNI)
    })
}

#[test]
fn an_endpoint_that_moves_is_followed() -> Result<()> {
    Federation::test("an_endpoint_that_moves_is_followed", |federation, isthmus| {
        let Federation { red, blue, .. } = federation;
        let new_vtep = Ipv4Addr::new(198, 51, 100, 21);
        blue.add_address("uplink", &format!("{new_vtep}/24"))?;
        start(isthmus, &[])?;
        let (to_gateway, from_gateway) =
            (PacketSocket::open(blue, "uplink")?, PacketSocket::open(blue, "uplink")?);
        let red_socket = PacketSocket::open(red, "uplink")?;
        for vtep in [BLUE_VTEP, new_vtep, BLUE_VTEP] {
            to_gateway.send(&from_blue(federation, vtep, "10.0.0.20")?)?;
            let frame = from_red(federation, RED_VNI)?;
            let arrived = |frame: &[u8]| {
                parse_vxlan(frame)
                    .is_some_and(|vxlan| vxlan.outer == (GATEWAY_RIGHT, vtep) && vxlan.vni == BLUE_VNI)
            };
            let followed = wait::until(SOON, || {
                red_socket.send(&frame).ok()?;
                from_gateway.receive(SETTLE, arrived).ok()?
            });
            followed.with_context(|| format!("not reached at {vtep}: {:?}", endpoints(isthmus)))?;
            assert_eq!(endpoints(isthmus)?[&blues()]["vtep"], vtep.to_string());
        }
        assert_eq!(isthmus.json(&["gateway", "endpoints"])?[0]["moves"], 2);
        Ok(())
    })
}

#[test]
fn a_network_learns_so_many_and_only_its_own_addresses() -> Result<()> {
    Federation::test("a_network_learns_so_many_and_only_its_own_addresses", |federation, isthmus| {
        start(isthmus, &["--max-learned", "2"])?;
        let socket = PacketSocket::open(&federation.blue, "uplink")?;
        let send = |address: &str| socket.send(&from_blue(federation, BLUE_VTEP, address)?);
        let addresses = || -> Result<Vec<String>> {
            Ok(endpoints(isthmus)?
                .into_keys()
                .map(|(network, address)| format!("{network} {address}"))
                .collect())
        };
        send("192.0.2.99")?;
        send("224.0.0.1")?;
        send("10.0.0.21")?;
        send("10.0.0.22")?;
        let two = ["blue 10.0.0.21", "blue 10.0.0.22"];
        wait::until_true(SOON, || addresses().is_ok_and(|all| all == two))
            .with_context(|| format!("learned {:?}", addresses()))?;
        send("10.0.0.23")?;
        let turned_away = || isthmus.json(&["gateway", "endpoints"]).ok()?[0]["turned_away"].as_u64();
        wait::until_true(SOON, || turned_away().is_some_and(|count| count > 0))
            .context("none is turned away")?;
        assert_eq!(addresses()?, two, "who is there stays");
        Ok(())
    })
}

#[test]
fn a_source_that_nobody_declared_gets_its_answers() -> Result<()> {
    Federation::test("a_source_that_nobody_declared_gets_its_answers", |federation, isthmus| {
        let Federation { red, blue, .. } = federation;
        isthmus.start()?;
        let undeclared =
            NETWORKS.replacen("endpoints:\n  - {address: 10.0.0.10, vtep: 192.0.2.10}", "learning: true", 1);
        assert!(undeclared.contains("learning"), "{undeclared}");
        isthmus.apply_text(&format!("{undeclared}---\n{}", mapping(Uuid::new_v4(), "connect", None)))?;
        // Blue may not open anything toward an address that nobody has seen.
        assert!(!traffic::ping(blue, RED)?);
        isthmus.await_ping(red, BLUE)?;
        assert_eq!(traffic::pings(red, BLUE, 3)?, 3);
        let transfer = traffic::tcp_transfer(red, blue, BLUE, 100_000)?;
        assert_eq!((transfer.bytes, transfer.received), (100_000, transfer.sent));
        let learned = endpoints(isthmus)?;
        assert_eq!(learned.keys().collect::<Vec<_>>(), [&("red".to_owned(), RED.to_string())]);
        Ok(())
    })
}

#[test]
fn whoever_is_on_a_port_is_found_by_asking_there_and_learned_with_its_mac() -> Result<()> {
    let name = "whoever_is_on_a_port_is_found_by_asking_there_and_learned_with_its_mac";
    Federation::test_without_tunnels(name, |federation, isthmus| {
        let Federation { red, blue, .. } = federation;
        red.add_vxlan(&RED_VXLAN)?;
        blue.add_address("uplink", &format!("{BLUE}/24"))?;
        isthmus.start_broker()?;
        isthmus.start_gateway_with(&["left"], &["--port", "right=blue"])?;
        let blues_network = "encapsulation: vxlan\nvni: 77\nprefixes: [10.0.0.0/24]\n\
                             endpoints:\n  - {address: 10.0.0.20, vtep: 198.51.100.20}";
        let on_port = "encapsulation: port\nprefixes: [10.0.0.0/24]\nlearning: true";
        let networks = NETWORKS.replace(blues_network, on_port);
        assert!(networks.contains(on_port), "{networks}");
        isthmus.join(&format!("{networks}---\n{}", mapping(Uuid::new_v4(), "full", None)), red, BLUE)?;
        traffic::converse((red, RED), (blue, BLUE))?;
        let learned = wait::until(SOON, || endpoints(isthmus).ok()?.remove(&blues()));
        let (learned, _) = learned.context("not learned")?;
        assert_eq!(learned["mac"], blue.mac("uplink")?.map(|byte| format!("{byte:02x}")).join(":"));
        assert_eq!(learned["vtep"], "");
        Ok(())
    })
}
