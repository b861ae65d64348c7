//! Where frames go next is the kernel's to say: when its routes and neighbours change, forwarding follows.

use std::{
    net::{IpAddr, Ipv4Addr},
    time::Duration,
};

use anyhow::{Context as _, Result};
use isthmus::{
    gateway::{
        interface::SubInterface,
        next_hop::{Tag, Via},
    },
    model::Mac,
};
use isthmus_tests::{
    Federation, Isthmus, Namespace, Topology,
    capture::Capture,
    federation::{BLUE, BLUE_VXLAN, NETWORKS, mapping},
    frame::parse_vxlan,
    namespace::{Vlan, Vxlan},
    packet_socket::PacketSocket,
    privilege::{require_root, require_vlans},
    surroundings::{Observer, index},
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
        blue.add_vxlan(&Vxlan { local: "192.0.2.200", ..BLUE_VXLAN })?;
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

/// A gateway host and another host on one link: `left` and `uplink`, nothing attached, no Isthmus running.
struct Neighbours {
    gateway: Namespace,
    host: Namespace,
    topology: Topology,
}

impl Neighbours {
    fn test(name: &str, body: impl FnOnce(&Self) -> Result<()>) -> Result<()> {
        if !require_root(name) {
            return Ok(());
        }
        let topology = Topology::new()?;
        let (gateway, host) = (topology.namespace("gw")?, topology.namespace("host")?);
        topology.veth((&gateway, "left", "192.0.2.1/24"), (&host, "uplink", "192.0.2.10/24"))?;
        gateway.add_address("left", "2001:db8:1::1/64")?;
        host.add_address("uplink", "2001:db8:1::10/64")?;
        body(&Self { gateway, host, topology })
    }

    /// The same, where the kernel has VLAN devices.
    fn test_vlans(name: &str, body: impl FnOnce(&Self) -> Result<()>) -> Result<()> {
        Self::test(name, |link| if require_vlans(name, &link.gateway)? { body(link) } else { Ok(()) })
    }

    /// A VLAN device on either side, with addresses that end in 1 for the gateway and 10 for the host.
    fn vlan(&self, above: &str, protocol: &str, id: u16, subnet: u8) -> Result<()> {
        for (namespace, interface, host) in [(&self.gateway, "left", "1"), (&self.host, "uplink", "10")] {
            let parent = &format!("{interface}{above}");
            let name = &format!("{parent}.{id}");
            namespace.add_vlan(&Vlan { parent, name, protocol, id })?;
            namespace.add_address(name, &format!("198.51.{subnet}.{host}/24"))?;
            namespace.add_address(name, &format!("2001:db8:{subnet}::{host}/64"))?;
        }
        Ok(())
    }

    fn via(&self, source: &str, tags: &[Tag]) -> Result<Via> {
        Ok(Via {
            ifindex: index(&self.gateway, "left")?,
            mtu: 1500,
            source_mac: Mac(self.gateway.mac("left")?),
            destination_mac: Mac(self.host.mac("uplink")?),
            source: source.parse()?,
            tags: tags.to_vec(),
        })
    }
}

fn addresses(texts: &[&str]) -> Result<Vec<IpAddr>> {
    texts.iter().map(|text| Ok(text.parse()?)).collect()
}

#[test]
fn an_ipv6_endpoint_on_the_link_is_reached() -> Result<()> {
    Neighbours::test("an_ipv6_endpoint_on_the_link_is_reached", |link| {
        let Neighbours { gateway, .. } = link;
        gateway.add_address("left", "2001:db8:1::2/64")?;
        // One whose detection of duplicates goes on for longer than the test.
        gateway.set_sysctl("ipv6.conf.left.accept_dad", "1")?;
        gateway.set_sysctl("ipv6.conf.left.dad_transmits", "100")?;
        gateway.run("ip address add 2001:db8:1::3/64 dev left")?;
        let observer = Observer::start(gateway, &["left"], &["2001:db8:1::10", "192.0.2.10"])?;

        let via = observer.until_via(START, "2001:db8:1::10", |_| true)?;
        let chosen = gateway.run("ip -6 route get 2001:db8:1::10")?.stdout;
        assert!(chosen.contains(&format!("src {} ", via.source)), "the kernel says {chosen}, we {via:?}");
        assert_eq!(via, link.via(&via.source.to_string(), &[])?);
        assert_eq!(observer.until_via(START, "192.0.2.10", |_| true)?, link.via("192.0.2.1", &[])?);
        let own = addresses(&["192.0.2.1", "2001:db8:1::1", "2001:db8:1::2"])?;
        assert_eq!(observer.link("left")?.addresses, own, "the oldest first, and no tentative one");
        Ok(())
    })
}

#[test]
fn an_ipv6_endpoint_is_reached_from_no_address_that_could_get_no_answer() -> Result<()> {
    let name = "an_ipv6_endpoint_is_reached_from_no_address_that_could_get_no_answer";
    Neighbours::test(name, |link| {
        let Neighbours { gateway, .. } = link;
        gateway.run("ip address delete 2001:db8:1::1/64 dev left")?;
        gateway.run("ip route add 2001:db8:1::/64 dev left")?;
        gateway.set_sysctl("ipv6.conf.left.accept_dad", "1")?;
        gateway.set_sysctl("ipv6.conf.left.dad_transmits", "100")?;
        gateway.run("ip address add 2001:db8:1::3/64 dev left")?;
        let observer = Observer::start(gateway, &["left"], &["2001:db8:1::10"])?;
        let why = observer.until_unreachable(START, "2001:db8:1::10", "no IPv6 address to send from")?;
        assert!(why.contains("2001:db8:1::3 is tentative"), "{why}");
        assert!(why.contains("is link-local"), "{why}");

        gateway.add_address("left", "2001:db8:1::4/64")?;
        let via = observer.until_via(SOON, "2001:db8:1::10", |_| true)?;
        assert_eq!(via, link.via("2001:db8:1::4", &[])?);
        Ok(())
    })
}

#[test]
fn an_ipv6_endpoint_is_reached_through_a_router() -> Result<()> {
    Neighbours::test("an_ipv6_endpoint_is_reached_through_a_router", |link| {
        let Neighbours { gateway, host, .. } = link;
        host.add_address("uplink", "fe80::10/64")?;
        let observer = Observer::start(gateway, &["left"], &["2001:db8:9::10", "203.0.113.10"])?;
        observer.until_unreachable(SOON, "2001:db8:9::10", "no route")?;
        gateway.run("ip route add 2001:db8:9::/64 via fe80::10 dev left")?;
        let via = observer.until_via(START, "2001:db8:9::10", |_| true)?;
        assert_eq!(via, link.via("2001:db8:1::1", &[])?);

        // And one of IPv4 through the same router.
        gateway.run("ip route add 203.0.113.0/24 via inet6 fe80::10 dev left")?;
        let via = observer.until_via(START, "203.0.113.10", |_| true)?;
        assert_eq!(via, link.via("192.0.2.1", &[])?);
        Ok(())
    })
}

#[test]
fn an_ipv6_neighbour_that_changes_its_mac_or_goes_away_is_noticed() -> Result<()> {
    let name = "an_ipv6_neighbour_that_changes_its_mac_or_goes_away_is_noticed";
    Neighbours::test(name, |link| {
        let Neighbours { gateway, host, .. } = link;
        // The kernel asks again as a rule after half a minute, and waits for five seconds before that.
        gateway.set_sysctl("ipv6.neigh.left.base_reachable_time_ms", "500")?;
        gateway.set_sysctl("ipv6.neigh.left.delay_first_probe_time", "1")?;
        gateway.set_sysctl("ipv6.neigh.left.retrans_time_ms", "100")?;
        let observer = Observer::start(gateway, &["left"], &["2001:db8:1::10"])?;
        observer.until_via(START, "2001:db8:1::10", |_| true)?;

        let new = Mac([2, 0, 0, 0, 0x77, 1]);
        host.set_sysctl("ipv6.conf.uplink.ndisc_notify", "1")?;
        host.run("ip link set uplink address 02:00:00:00:77:01")?;
        observer.until_via(SOON, "2001:db8:1::10", |via| via.destination_mac == new)?;

        host.run("ip address delete 2001:db8:1::10/64 dev uplink")?;
        let gone = "no answer to neighbour discovery for 2001:db8:1::10 on left";
        observer.until_unreachable(Duration::from_secs(15), "2001:db8:1::10", gone)?;
        host.add_address("uplink", "2001:db8:1::10/64")?;
        observer.until_via(START, "2001:db8:1::10", |via| via.destination_mac == new)?;
        Ok(())
    })
}

#[test]
fn an_interface_that_cannot_ask_for_ipv6_neighbours_says_so() -> Result<()> {
    Neighbours::test("an_interface_that_cannot_ask_for_ipv6_neighbours_says_so", |link| {
        let Neighbours { gateway, .. } = link;
        let shown = gateway.run("ip -6 -brief address show dev left scope link")?.stdout;
        let own = shown.split_whitespace().find(|word| word.starts_with("fe80::")).context("no fe80::")?;
        gateway.run(&format!("ip address delete {own} dev left"))?;
        let observer = Observer::start(gateway, &["left"], &["2001:db8:1::10"])?;
        observer.until_unreachable(START, "2001:db8:1::10", "left has no link-local IPv6 address")?;
        gateway.run(&format!("ip address add {own} dev left nodad"))?;
        observer.until_via(START, "2001:db8:1::10", |_| true)?;
        Ok(())
    })
}

#[test]
fn a_route_by_a_foreign_interface_is_told() -> Result<()> {
    Neighbours::test("a_route_by_a_foreign_interface_is_told", |link| {
        let Neighbours { gateway, host, topology } = link;
        topology.veth((gateway, "other", "2001:db8:2::1/64"), (host, "spare", "2001:db8:2::10/64"))?;
        gateway.run("ip link add br0 type bridge")?;
        gateway.run("ip link set br0 up")?;
        gateway.add_address("br0", "203.0.113.1/24")?;
        let vteps = ["2001:db8:2::10", "203.0.113.10", "192.0.2.1"];
        let observer = Observer::start(gateway, &["left"], &vteps)?;
        let none = "none of the gateway's interfaces";
        let why = observer.until_unreachable(START, "2001:db8:2::10", none)?;
        assert!(why.contains("leaves by other"), "{why}");
        let why = observer.until_unreachable(START, "203.0.113.10", none)?;
        assert!(why.contains("leaves by br0") && why.contains("bridge"), "{why}");
        assert!(why.ends_with("it has to leave by left or a VLAN device on it"), "{why}");
        observer.until_unreachable(START, "192.0.2.1", "an address of this host")?;
        Ok(())
    })
}

const Q100: Tag = Tag { tpid: 0x8100, vlan_id: 100 };
const AD200: Tag = Tag { tpid: 0x88a8, vlan_id: 200 };

#[test]
fn an_endpoint_behind_a_vlan_device_is_reached_with_its_tag() -> Result<()> {
    Neighbours::test_vlans("an_endpoint_behind_a_vlan_device_is_reached_with_its_tag", |link| {
        let Neighbours { gateway, .. } = link;
        link.vlan("", "802.1Q", 100, 100)?;
        gateway.run("ip link set left.100 mtu 1400 address 02:00:00:00:01:00")?;
        let vteps = ["198.51.100.10", "2001:db8:100::10", "192.0.2.10"];
        let observer = Observer::start(gateway, &["left"], &vteps)?;
        let tagged = |source| {
            let via = link.via(source, &[Q100])?;
            anyhow::Ok(Via { mtu: 1400, source_mac: Mac([2, 0, 0, 0, 1, 0]), ..via })
        };
        assert_eq!(observer.until_via(START, vteps[0], |_| true)?, tagged("198.51.100.1")?);
        assert_eq!(observer.until_via(START, vteps[1], |_| true)?, tagged("2001:db8:100::1")?);
        assert_eq!(observer.until_via(START, vteps[2], |_| true)?, link.via("192.0.2.1", &[])?);
        let expected = SubInterface {
            ifindex: index(gateway, "left.100")?,
            name: "left.100".to_owned(),
            tags: vec![Q100],
            addresses: addresses(&["198.51.100.1", "2001:db8:100::1"])?,
        };
        assert_eq!(observer.link("left")?.vlans, [expected]);

        gateway.run("ip link set left.100 down")?;
        observer.until_unreachable(SOON, vteps[0], "")?;
        assert_eq!(observer.link("left")?.vlans, []);
        Ok(())
    })
}

#[test]
fn an_endpoint_behind_two_vlan_devices_is_reached_with_both_tags() -> Result<()> {
    Neighbours::test_vlans("an_endpoint_behind_two_vlan_devices_is_reached_with_both_tags", |link| {
        let Neighbours { gateway, .. } = link;
        link.vlan("", "802.1ad", 200, 20)?;
        link.vlan(".200", "802.1Q", 100, 21)?;
        let vteps = ["198.51.20.10", "198.51.21.10", "2001:db8:21::10"];
        let observer = Observer::start(gateway, &["left"], &vteps)?;
        let outer = observer.until_via(START, vteps[0], |_| true)?;
        assert_eq!(outer, link.via("198.51.20.1", &[AD200])?);
        let both = observer.until_via(START, vteps[1], |_| true)?;
        assert_eq!(both, link.via("198.51.21.1", &[AD200, Q100])?);
        let both = observer.until_via(START, vteps[2], |_| true)?;
        assert_eq!(both, link.via("2001:db8:21::1", &[AD200, Q100])?);
        let vlans = observer.link("left")?.vlans;
        let tags: Vec<_> = vlans.iter().map(|vlan| (vlan.name.as_str(), vlan.tags.as_slice())).collect();
        assert_eq!(tags, [("left.200", &[AD200][..]), ("left.200.100", &[AD200, Q100])]);
        Ok(())
    })
}

#[test]
fn an_endpoint_behind_three_vlan_devices_is_refused() -> Result<()> {
    Neighbours::test_vlans("an_endpoint_behind_three_vlan_devices_is_refused", |link| {
        link.vlan("", "802.1ad", 2, 20)?;
        link.vlan(".2", "802.1Q", 3, 21)?;
        link.vlan(".2.3", "802.1Q", 4, 22)?;
        let observer = Observer::start(&link.gateway, &["left"], &["198.51.22.10"])?;
        let why = observer.until_unreachable(START, "198.51.22.10", "3 VLAN tags")?;
        assert!(why.ends_with("it has to leave by left or a VLAN device at most 2 deep on it"), "{why}");
        assert_eq!(observer.link("left")?.vlans.len(), 2, "the deepest can't be spoken to");
        Ok(())
    })
}
