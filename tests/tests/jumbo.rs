//! Links with an MTU of 9000: frames that fill several buffers, which XDP sees only the first of.

use std::{
    net::{IpAddr, Ipv4Addr},
    thread,
    time::Duration,
};

use anyhow::{Context as _, Result, ensure};
use isthmus_tests::{
    Federation, Isthmus,
    capture::Capture,
    federation::{
        BLUE, BLUE_VTEP, BLUE_VTEP_V6, BLUE_VXLAN, GATEWAY_RIGHT, GATEWAY_RIGHT_V6, RED, RED_VXLAN, mapping,
    },
    namespace::Vxlan,
    open_vswitch::{OpenVswitch, TENANT, Tunnel},
    traffic,
};
use uuid::Uuid;

/// Time for frames under way to land before counters are read.
const SETTLE: Duration = Duration::from_millis(100);

/// What `ping -s` makes of it: 8000 bytes behind the ICMP header, and no fragments.
const LARGE: &str = "-M do -s 8000";

/// All underlay links at 9000, and red's tunnel device with what fits into it.
fn start(federation: &Federation, isthmus: &Isthmus<'_>, udp_checksum: bool) -> Result<()> {
    let Federation { red, blue, gateway, .. } = federation;
    federation.add_ipv6_underlay()?;
    for (host, interface) in [(gateway, "left"), (red, "uplink"), (gateway, "right"), (blue, "uplink")] {
        host.run(&format!("ip link set {interface} mtu 9000"))?;
    }
    red.add_vxlan(&Vxlan { mtu: 8950, udp_checksum, ..RED_VXLAN })?;
    isthmus.start().map(drop)
}

fn join(federation: &Federation, isthmus: &Isthmus<'_>, encapsulation: &str, vtep: IpAddr) -> Result<()> {
    let manifest = format!(
        "kind: Network\nname: red\nencapsulation: vxlan\nvni: 42\nprefixes: [10.0.0.0/24]\n\
         endpoints:\n  - {{address: 10.0.0.10, vtep: 192.0.2.10}}\n---\n\
         kind: Network\nname: blue\nencapsulation: {encapsulation}\nvni: 77\nprefixes: [10.0.0.0/24]\n\
         endpoints:\n  - {{address: 10.0.0.20, vtep: {vtep}}}\n---\n\
         kind: Resource\nresource_id: inference\nnetwork: blue\naddresses: [10.0.0.20]\n---\n{}",
        mapping(Uuid::new_v4(), "full", None)
    );
    isthmus.join(&manifest, &federation.red, BLUE)
}

/// Large pings and bulk transfers both ways, and no wrong checksum at any tenant.
fn exchange(federation: &Federation, isthmus: &Isthmus<'_>, tunnel: &str) -> Result<()> {
    let Federation { red, blue, topology, .. } = federation;
    let captures =
        [Capture::start(topology, red, "uplink", "udp")?, Capture::start(topology, blue, "uplink", "udp")?];
    assert_eq!(traffic::pings_with(red, BLUE, 3, LARGE)?, 3, "{:?}", isthmus.counters()?);
    assert_eq!(traffic::pings_with(blue, RED, 3, LARGE)?, 3, "{:?}", isthmus.counters()?);
    let [left, right] = captures.map(Capture::stop);
    for (recording, tunnel) in [(left?, "vxlan"), (right?, tunnel)] {
        assert_eq!(recording.faults()?, [""; 0]);
        let large = recording.fields(&format!("{tunnel} && icmp && data.len >= 7984"), &["frame.len"])?;
        assert_eq!(large.len(), 12, "requests and replies, whole: {large:?}");
    }
    for (from, to, address) in [(red, blue, BLUE), (blue, red, RED)] {
        let transfer = traffic::tcp_transfer(from, to, address, 8 << 20)?;
        assert_eq!((transfer.bytes, transfer.received), (8 << 20, transfer.sent));
    }
    for host in [red, blue] {
        let errors = traffic::checksum_errors(host)?;
        ensure!(errors.values().all(|&count| count == 0), "{errors:?}");
    }
    thread::sleep(SETTLE);
    isthmus.counters()?.assert_balanced();
    Ok(())
}

#[test]
fn large_frames_cross_between_vxlan_and_geneve() -> Result<()> {
    Federation::test_without_tunnels("large_frames_cross_between_vxlan_and_geneve", |federation, isthmus| {
        let Federation { blue, topology, .. } = federation;
        start(federation, isthmus, true)?;
        let switch = OpenVswitch::start(topology, blue)?;
        switch.add_tunnel(&Tunnel {
            uplink: "uplink",
            local: &format!("{BLUE_VTEP}/24"),
            remote: GATEWAY_RIGHT.into(),
            vni: 77,
            address: "10.0.0.20/24",
            mtu: 8950,
            udp_checksum: true,
        })?;
        // Set up for links of 1500.
        switch.vsctl("set interface br-phy mtu_request=9000")?;
        assert!(blue.run(&format!("ip link show {TENANT}"))?.stdout.contains("mtu 8950"));
        join(federation, isthmus, "geneve", BLUE_VTEP.into())?;
        exchange(federation, isthmus, "geneve")
    })
}

/// Blue's side of the tests over IPv6.
fn blue_on_ipv6(federation: &Federation) -> Result<()> {
    let (local, remote) = (&BLUE_VTEP_V6.to_string(), &GATEWAY_RIGHT_V6.to_string());
    federation.blue.add_vxlan(&Vxlan { local, remote, mtu: 8930, ..BLUE_VXLAN })
}

#[test]
fn large_frames_get_their_checksum_over_all_buffers() -> Result<()> {
    Federation::test_without_tunnels(
        "large_frames_get_their_checksum_over_all_buffers",
        |federation, isthmus| {
            start(federation, isthmus, false)?;
            blue_on_ipv6(federation)?;
            federation.red.run("ip link set vxlan42 mtu 8930")?;
            join(federation, isthmus, "vxlan", BLUE_VTEP_V6.into())?;
            exchange(federation, isthmus, "vxlan")
        },
    )
}

#[test]
fn a_frame_that_grows_beyond_the_egress_mtu_is_dropped_and_counted() -> Result<()> {
    let name = "a_frame_that_grows_beyond_the_egress_mtu_is_dropped_and_counted";
    Federation::test_without_tunnels(name, |federation, isthmus| {
        start(federation, isthmus, true)?;
        blue_on_ipv6(federation)?;
        join(federation, isthmus, "vxlan", BLUE_VTEP_V6.into())?;
        let red = &federation.red;
        // 8 bytes of ICMP and 20 of inner IP; 14 + 8 + 8 + 40 in front of it: 8930 is what fits.
        for (inner, fits) in [(8929, true), (8930, true), (8931, false), (8950, false)] {
            let size = inner - 28;
            let before = isthmus.counters()?;
            let answered = traffic::pings_with(red, BLUE, 1, &format!("-M do -s {size}"))?;
            let after = isthmus.counters()?;
            let dropped = after.reason("egress-mtu") - before.reason("egress-mtu");
            let expected = if fits { (1, 0) } else { (0, 1) };
            assert_eq!((answered, dropped), expected, "an inner packet of {inner} bytes: {after:?}");
        }
        let event = isthmus.events()?.into_iter().find(|event| event["reason"] == "egress-mtu");
        let event = event.context("no event")?;
        assert_eq!(event["inner_destination"], Ipv4Addr::to_string(&BLUE));
        Ok(())
    })
}
