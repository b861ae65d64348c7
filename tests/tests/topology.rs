//! The topology library against the kernel alone: no part of Isthmus runs here.

use std::{
    panic,
    path::Path,
    time::{Duration, Instant},
};

use anyhow::Result;
use isthmus_tests::{
    Federation, Namespace, Topology,
    capture::Capture,
    federation::{BLUE, GATEWAY_LEFT, RED, RED_VTEP, RED_VXLAN},
    frame::{Outer, inner_udp, parse_vxlan},
    namespace::Vxlan,
    packet_socket::PacketSocket,
    privilege::require_root,
    traffic,
};

/// Two hosts on one underlay, joined by the kernel's own VXLAN devices.
fn two_vxlan_hosts(topology: &Topology) -> Result<(Namespace, Namespace)> {
    let (red, blue) = (topology.namespace("red")?, topology.namespace("blue")?);
    topology.veth((&red, "uplink", "192.0.2.10/24"), (&blue, "uplink", "192.0.2.20/24"))?;
    for (host, local, remote, address, udp_checksum) in [
        (&red, "192.0.2.10", "192.0.2.20", "10.0.0.10/24", false),
        (&blue, "192.0.2.20", "192.0.2.10", "10.0.0.20/24", true),
    ] {
        host.add_vxlan(&Vxlan { local, remote, address, udp_checksum, ..RED_VXLAN })?;
    }
    Ok((red, blue))
}

fn exists(namespace: &str) -> bool {
    Path::new("/run/netns").join(namespace).exists()
}

#[test]
fn kernel_vxlan_hosts_exchange_ping_tcp_and_udp_with_right_checksums() -> Result<()> {
    if !require_root("kernel_vxlan_hosts_exchange_ping_tcp_and_udp_with_right_checksums") {
        return Ok(());
    }
    let topology = Topology::new()?;
    let (red, blue) = two_vxlan_hosts(&topology)?;
    let capture = Capture::start(&topology, &blue, "uplink", "udp port 4789")?;
    assert_eq!(traffic::pings(&red, BLUE, 3)?, 3);
    assert_eq!(traffic::udp_exchange(&red, &blue, BLUE, b"question")?, b"question");
    let recording = capture.stop()?;
    assert_eq!(recording.vnis()?, [42]);
    assert_eq!(recording.faults()?, [""; 0]);
    let rows = recording.fields("icmp.type == 8", &["ip.src", "ip.dst"])?;
    assert_eq!(rows, vec![["192.0.2.10,10.0.0.10", "192.0.2.20,10.0.0.20"]; 3]);

    let transfer = traffic::tcp_transfer(&red, &blue, BLUE, 1 << 20)?;
    assert_eq!((transfer.bytes, transfer.received), (1 << 20, transfer.sent));
    for host in [&red, &blue] {
        let errors = traffic::checksum_errors(host)?;
        assert!(errors.values().all(|&count| count == 0), "{errors:?}");
    }
    Ok(())
}

#[test]
fn a_wrong_checksum_shows_in_a_capture() -> Result<()> {
    if !require_root("a_wrong_checksum_shows_in_a_capture") {
        return Ok(());
    }
    let topology = Topology::new()?;
    let (red, blue) = two_vxlan_hosts(&topology)?;
    let socket = PacketSocket::open(&red, "uplink")?;
    let outer = Outer {
        source_mac: [2, 0, 0, 0, 0, 1],
        destination_mac: [0xff; 6],
        source: RED_VTEP,
        destination: GATEWAY_LEFT,
        source_port: 50_000,
        vni: 42,
    };
    let mut inner = inner_udp("10.0.0.10:1".parse()?, "10.0.0.20:2".parse()?, b"payload");
    let good = outer.wrap(&inner);
    let last = inner.len() - 1;
    inner[last] ^= 1;
    let bad = outer.wrap(&inner);

    let capture = Capture::start(&topology, &blue, "uplink", "udp port 4789")?;
    let catcher = PacketSocket::open(&blue, "uplink")?;
    for frame in [&good, &bad] {
        socket.send(frame)?;
        let received = catcher.receive(Duration::from_secs(2), |frame| parse_vxlan(frame).is_some())?;
        assert_eq!(received.as_ref(), Some(frame));
    }
    let nothing = catcher.receive(Duration::from_millis(100), |frame| parse_vxlan(frame).is_some())?;
    assert_eq!(nothing, None);
    let faults = capture.stop()?.faults()?;
    assert_eq!(faults.len(), 1, "{faults:?}");
    Ok(())
}

#[test]
fn a_federation_without_isthmus_joins_nothing() -> Result<()> {
    if !require_root("a_federation_without_isthmus_joins_nothing") {
        return Ok(());
    }
    let federation = Federation::new()?;
    assert!(traffic::ping(&federation.red, GATEWAY_LEFT)?, "the underlay works");
    assert!(!traffic::ping(&federation.red, BLUE)?);
    assert!(!traffic::ping(&federation.blue, RED)?);
    Ok(())
}

/// The topology is right and its tools tell the truth: with a gateway that is the kernel's own (two VXLAN
/// devices in a bridge), everything crosses that has to cross with Isthmus.
#[test]
fn a_federation_joined_by_the_kernels_bridge_shows_each_sides_vni() -> Result<()> {
    if !require_root("a_federation_joined_by_the_kernels_bridge_shows_each_sides_vni") {
        return Ok(());
    }
    let Federation { red, blue, gateway, topology } = &Federation::new()?;
    gateway.run("ip link add join type bridge")?;
    for (vni, local, remote) in [(42, "192.0.2.1", "192.0.2.10"), (77, "198.51.100.1", "198.51.100.20")] {
        gateway.run(&format!(
            "ip link add vxlan{vni} type vxlan id {vni} dstport 4789 local {local} remote {remote}"
        ))?;
        gateway.run(&format!("ip link set vxlan{vni} master join mtu 1450 up"))?;
    }
    gateway.run("ip link set join up")?;
    let captures = [
        Capture::start(topology, red, "uplink", "udp port 4789")?,
        Capture::start(topology, blue, "uplink", "udp port 4789")?,
    ];
    assert_eq!(traffic::pings(red, BLUE, 3)?, 3);
    assert_eq!(traffic::pings(blue, RED, 3)?, 3);
    assert_eq!(traffic::udp_exchange(blue, red, RED, &[7; 1400])?, [7; 1400]);
    let transfer = traffic::tcp_transfer(red, blue, BLUE, 500)?;
    assert_eq!((transfer.bytes, transfer.received), (500, transfer.sent));
    for (capture, vni) in captures.into_iter().zip([42, 77]) {
        let recording = capture.stop()?;
        assert_eq!(recording.vnis()?, [vni]);
        assert_eq!(recording.faults()?, [""; 0]);
    }
    let transfer = traffic::tcp_transfer(blue, red, RED, 4 << 20)?;
    assert_eq!((transfer.bytes, transfer.received), (4 << 20, transfer.sent));
    Ok(())
}

#[test]
fn a_panic_leaves_no_namespace_no_process_and_no_file() -> Result<()> {
    if !require_root("a_panic_leaves_no_namespace_no_process_and_no_file") {
        return Ok(());
    }
    let topology = Topology::new()?;
    let host = topology.namespace("host")?;
    let directory = topology.directory().to_owned();
    let sleeper = topology.spawn("sleep", host.command("sleep").arg("600"))?;
    // Deaf to SIGTERM, and unknown to the topology.
    let stray = host.command("setsid").args(["--fork", "sh", "-c", "trap '' TERM; exec sleep 600"]).status();
    assert!(stray?.success());
    assert!(exists(host.name()) && directory.exists() && sleeper.status().is_none());

    let name = host.name().to_owned();
    panic::catch_unwind(panic::AssertUnwindSafe(|| {
        let _owned = topology;
        panic!("on purpose");
    }))
    .unwrap_err();
    assert!(!exists(&name) && !directory.exists());
    assert!(sleeper.status().is_some());
    Ok(())
}

#[test]
fn topologies_at_the_same_time_do_not_collide() -> Result<()> {
    if !require_root("topologies_at_the_same_time_do_not_collide") {
        return Ok(());
    }
    let topologies = [Topology::new()?, Topology::new()?];
    for topology in &topologies {
        two_vxlan_hosts(topology)?;
    }
    let [first, second] = topologies;
    let (red, blue) = (format!("{}-red", first.prefix()), format!("{}-red", second.prefix()));
    assert_ne!(red, blue);
    drop(first);
    assert!(!exists(&red) && exists(&blue), "removing one leaves the other");
    Ok(())
}

#[test]
fn what_a_dead_process_left_is_swept() -> Result<()> {
    if !require_root("what_a_dead_process_left_is_swept") {
        return Ok(());
    }
    // A real one: a process that makes a namespace under its own id and is gone.
    let script = "n=isth-$$-0-left; ip netns add $n && echo $n";
    let output = std::process::Command::new("sh").args(["-c", script]).output()?;
    let left = String::from_utf8(output.stdout)?.trim().to_owned();
    assert!(exists(&left), "{left}");
    // Sweeping is done by a process's first topology, so it takes another process: this one again.
    let this = std::env::current_exe()?;
    let status = std::process::Command::new(this)
        .args(["--exact", "a_federation_without_isthmus_joins_nothing"])
        .stdout(std::process::Stdio::null())
        .status();
    assert!(status?.success());
    assert!(!exists(&left));
    Ok(())
}

#[test]
fn a_command_that_hangs_is_killed_in_time() -> Result<()> {
    if !require_root("a_command_that_hangs_is_killed_in_time") {
        return Ok(());
    }
    let topology = Topology::new()?;
    let host = topology.namespace("host")?;
    let start = Instant::now();
    let mut sleep = host.command("sleep");
    let error = isthmus_tests::command::run(sleep.arg("600"), Duration::from_millis(300)).unwrap_err();
    assert!(error.to_string().starts_with("`sleep 600` did not end within 300ms"), "{error}");
    assert!(start.elapsed() < Duration::from_secs(5));
    Ok(())
}
