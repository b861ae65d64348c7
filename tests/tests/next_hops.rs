//! Where frames go next is the kernel's to say: when its routes and neighbours change, forwarding follows.

use std::{net::Ipv4Addr, time::Duration};

use anyhow::{Context as _, Result};
use isthmus_tests::{
    Federation, Isthmus,
    capture::Capture,
    federation::{BLUE, BLUE_VNI, NETWORKS, mapping},
    frame::parse_vxlan,
    namespace::Vxlan,
    packet_socket::PacketSocket,
    traffic, wait,
};
use uuid::Uuid;

/// How long forwarding may take to follow.
const SOON: Duration = Duration::from_secs(2);

/// How long the first ping may take, with everything to be resolved.
const START: Duration = Duration::from_secs(4);

fn await_ping(federation: &Federation, limit: Duration, what: &str) -> Result<()> {
    wait::until_true(limit, || traffic::ping(&federation.red, BLUE).unwrap_or(false))
        .with_context(|| format!("no ping crosses within {limit:?} after {what}"))?;
    Ok(())
}

fn apply(isthmus: &Isthmus<'_>, networks: &str) -> Result<()> {
    isthmus.apply_text(&format!("{networks}---\n{}", mapping(Uuid::new_v4(), "full", None)))?;
    Ok(())
}

#[test]
fn forwarding_follows_a_neighbours_new_mac() -> Result<()> {
    Federation::test("forwarding_follows_a_neighbours_new_mac", |federation, isthmus| {
        let Federation { blue, gateway, .. } = federation;
        isthmus.start()?;
        apply(isthmus, NETWORKS)?;
        await_ping(federation, START, "the apply")?;

        // A host that gets a new network card says so with a gratuitous ARP.
        blue.set_sysctl("ipv4.conf.uplink.arp_notify", "1")?;
        blue.run("ip link set uplink address 02:00:00:00:77:01")?;
        await_ping(federation, SOON, "the new MAC")?;

        // One that says nothing is found by the gateway host asking again.
        blue.set_sysctl("ipv4.conf.uplink.arp_notify", "0")?;
        blue.run("ip link set uplink address 02:00:00:00:77:02")?;
        gateway.run("ip neighbour flush dev right")?;
        await_ping(federation, SOON, "the flushed neighbour")?;
        let neighbour = gateway.run("ip neighbour show 198.51.100.20")?.stdout;
        assert!(neighbour.contains("02:00:00:00:77:02"), "{neighbour}");
        Ok(())
    })
}

#[test]
fn a_permanent_neighbour_is_obeyed() -> Result<()> {
    Federation::test("a_permanent_neighbour_is_obeyed", |federation, isthmus| {
        let Federation { blue, gateway, .. } = federation;
        isthmus.start()?;
        apply(isthmus, NETWORKS)?;
        await_ping(federation, START, "the apply")?;
        let listener = PacketSocket::open(blue, "uplink")?;
        gateway.run("ip neighbour replace 198.51.100.20 lladdr 02:00:00:00:77:99 dev right nud permanent")?;
        let followed = wait::until_true(SOON, || {
            // Nobody has this MAC: the ping is lost, but the frame shows on the wire.
            let _ = federation.red.try_run(&format!("ping -c 1 -W 0.1 {BLUE}"));
            let to_it = |frame: &[u8]| frame.starts_with(&[2, 0, 0, 0, 0x77, 0x99]);
            listener.receive(Duration::ZERO, to_it).is_ok_and(|frame| frame.is_some())
        });
        assert!(followed.is_some(), "no frame to the MAC that the operator set");
        Ok(())
    })
}

#[test]
fn forwarding_follows_a_route_to_another_interface() -> Result<()> {
    Federation::test("forwarding_follows_a_route_to_another_interface", |federation, isthmus| {
        let Federation { blue, gateway, topology, .. } = federation;
        // Blue's tunnel endpoint is an address of its own behind two uplinks.
        topology.veth((gateway, "spare", "203.0.113.1/24"), (blue, "uplink2", "203.0.113.20/24"))?;
        let vtep = Ipv4Addr::new(192, 0, 2, 200);
        blue.add_address("lo", "192.0.2.200/32")?;
        blue.run("ip link delete vxlan77")?;
        blue.add_vxlan(&Vxlan {
            name: "vxlan77",
            vni: BLUE_VNI,
            local: "192.0.2.200",
            remote: "198.51.100.1",
            address: "10.0.0.20/24",
            udp_checksum: true,
        })?;
        gateway.run("ip route add 192.0.2.200/32 via 198.51.100.20 dev right")?;
        isthmus.start_broker()?;
        isthmus.start_gateway(&["left", "right", "spare"])?;
        apply(isthmus, &NETWORKS.replace("198.51.100.20", &vtep.to_string()))?;
        await_ping(federation, START, "the apply")?;

        let new_way = PacketSocket::open(blue, "uplink2")?;
        gateway.run("ip route replace 192.0.2.200/32 via 203.0.113.20 dev spare")?;
        let moved = wait::until_true(SOON, || {
            let _ = traffic::ping(&federation.red, BLUE);
            let arrived = |frame: &[u8]| parse_vxlan(frame).is_some_and(|vxlan| vxlan.outer.1 == vtep);
            new_way.receive(Duration::ZERO, arrived).is_ok_and(|frame| frame.is_some())
        });
        assert!(moved.is_some(), "no frame takes the new way within {SOON:?}");
        let from_gateway = "udp port 4789 and dst host 192.0.2.200";
        let captures = [
            Capture::start(topology, blue, "uplink", from_gateway)?,
            Capture::start(topology, blue, "uplink2", from_gateway)?,
        ];
        assert_eq!(traffic::pings(&federation.red, BLUE, 3)?, 3, "{:?}", isthmus.counters()?);
        let [old, new] = captures.map(Capture::stop);
        assert_eq!(old?.fields("icmp", &["ip.src"])?.len(), 0, "nothing on the old way");
        let sources = new?.fields("icmp", &["ip.src"])?;
        assert_eq!(sources, vec![["203.0.113.1,10.0.0.10"]; 3], "from the gateway's address on the new way");

        gateway.run("ip route delete 192.0.2.200/32")?;
        gateway.run("ip route add 192.0.2.200/32 via 198.51.100.20 dev right")?;
        await_ping(federation, SOON, "the route's return")?;
        Ok(())
    })
}

#[test]
fn an_unreachable_tunnel_endpoint_is_counted_and_comes_back() -> Result<()> {
    Federation::test("an_unreachable_tunnel_endpoint_is_counted_and_comes_back", |federation, isthmus| {
        let Federation { blue, gateway, .. } = federation;
        isthmus.start()?;
        apply(isthmus, NETWORKS)?;
        await_ping(federation, START, "the apply")?;
        blue.run("ip link set uplink down")?;
        let counted = wait::until_true(START, || {
            let _ = traffic::ping(&federation.red, BLUE);
            isthmus.counters().is_ok_and(|counters| counters.reason("next-hop-unresolved") > 0)
        });
        assert!(counted.is_some(), "{:?}", isthmus.counters()?);
        blue.run("ip link set uplink up")?;
        await_ping(federation, START, "the link's return")?;
        let status = isthmus.status()?;
        let hops = status["next_hops"].as_array().context("next_hops")?;
        assert!(hops.iter().all(|hop| hop["state"] == "reachable"), "{status}");
        assert!(gateway.run("ip link show right")?.stdout.contains("LOWER_UP"));
        Ok(())
    })
}
