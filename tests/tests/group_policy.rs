//! Groups of VXLAN with group policy, as the kernel's own devices set and understand them.
//!
//! The kernel makes a packet's mark its group and the other way round. With `fwmark_reflect` an echo reply has the
//! mark of its request, and with `tcp_fwmark_accept` a connection that of its opening: so what comes back says
//! which group the other kernel has read.

use std::{collections::BTreeSet, net::Ipv4Addr};

use anyhow::Result;
use isthmus_tests::{
    Federation, Isthmus,
    capture::{Capture, Recording},
    federation::{BLUE, BLUE_VXLAN, GATEWAY_LEFT, GATEWAY_RIGHT, RED, RED_VXLAN, mapping},
    namespace::Vxlan,
    traffic,
};
use uuid::Uuid;

/// UDP port of VXLAN with group policy; the usual one is plain VXLAN's.
const GROUPED_PORT: u16 = 4790;

/// Both tenants' devices and their networks; `None` is plain VXLAN.
fn start(federation: &Federation, isthmus: &Isthmus<'_>, policies: [Option<&str>; 2]) -> Result<()> {
    let mut networks = String::new();
    let sides = [
        (&federation.red, RED_VXLAN, "red", "10.0.0.10", "192.0.2.10"),
        (&federation.blue, BLUE_VXLAN, "blue", "10.0.0.20", "198.51.100.20"),
    ];
    for ((host, device, name, address, vtep), policy) in sides.into_iter().zip(policies) {
        let port = policy.map_or(device.port, |_| GROUPED_PORT);
        host.add_vxlan(&Vxlan { port, group_policy: policy.is_some(), ..device })?;
        host.set_sysctl("ipv4.fwmark_reflect", "1")?;
        host.set_sysctl("ipv4.tcp_fwmark_accept", "1")?;
        let policy = policy.map(|policy| format!("group_policy: {policy}\n")).unwrap_or_default();
        let network = format!(
            "kind: Network\nname: {name}\nencapsulation: vxlan\nvni: {}\nudp_port: {port}\n{policy}\
             prefixes: [10.0.0.0/24]\nendpoints:\n  - {{address: {address}, vtep: {vtep}}}\n---\n",
            device.vni,
        );
        networks.push_str(&network);
    }
    let resource = "kind: Resource\nresource_id: inference\nnetwork: blue\naddresses: [10.0.0.20]\n---\n";
    isthmus.start()?;
    let manifest = networks + resource + &mapping(Uuid::new_v4(), "full", None);
    isthmus.join(&manifest, &federation.red, BLUE)
}

/// The groups in echo requests or replies from an outer source; `None` is a header that says nothing of groups.
fn groups(recording: &Recording, kind: u8, source: Ipv4Addr) -> Result<BTreeSet<Option<u16>>> {
    let filter = format!("icmp.type == {kind} && ip.src == {source}");
    let rows = recording.fields(&filter, &["vxlan.flag_g", "vxlan.gbp"])?;
    rows.iter().map(|row| Ok(if row[0] == "1" { Some(row[1].parse()?) } else { None })).collect()
}

/// What is on the wire at red's and at blue's while red pings blue with a mark: requests, then replies, as the
/// gateway sends them.
fn ping_with_mark(federation: &Federation, mark: u32) -> Result<[BTreeSet<Option<u16>>; 2]> {
    let Federation { red, blue, topology, .. } = federation;
    let captures =
        [Capture::start(topology, red, "uplink", "udp")?, Capture::start(topology, blue, "uplink", "udp")?];
    assert_eq!(traffic::pings_with(red, BLUE, 3, &format!("-m {mark}"))?, 3, "with mark {mark:#x}");
    let [left, right] = captures.map(Capture::stop).map(|recording| {
        let decode = [4789, GROUPED_PORT];
        recording.map(|recording| recording.with_vxlan_ports(&decode))
    });
    let (left, right) = (left?, right?);
    assert_eq!((left.faults()?, right.faults()?), (vec![], vec![]));
    let requests = groups(&right, 8, GATEWAY_RIGHT)?;
    assert!(!requests.is_empty(), "no request is decoded as VXLAN");
    Ok([requests, groups(&left, 0, GATEWAY_LEFT)?])
}

fn group(group: impl Into<Option<u16>>) -> BTreeSet<Option<u16>> {
    BTreeSet::from([group.into()])
}

#[test]
fn a_senders_group_is_kept_both_ways() -> Result<()> {
    Federation::test_without_tunnels("a_senders_group_is_kept_both_ways", |federation, isthmus| {
        start(federation, isthmus, [Some("keep"), Some("keep")])?;
        for mark in [7, 0xbeef] {
            let [requests, replies] = ping_with_mark(federation, mark.into())?;
            assert_eq!(requests, group(mark), "as red's kernel has set it");
            assert_eq!(replies, group(mark), "as blue's kernel has read it");
        }
        assert_eq!(ping_with_mark(federation, 0)?, [group(None), group(None)]);
        traffic::converse((&federation.red, RED), (&federation.blue, BLUE))
    })
}

#[test]
fn the_dont_learn_and_policy_applied_flags_are_kept_with_the_group() -> Result<()> {
    let name = "the_dont_learn_and_policy_applied_flags_are_kept_with_the_group";
    Federation::test_without_tunnels(name, |federation, isthmus| {
        start(federation, isthmus, [Some("keep"), Some("keep")])?;
        let Federation { red, blue, topology, .. } = federation;
        let capture = Capture::start(topology, blue, "uplink", "udp")?;
        // VXLAN_GBP_DONT_LEARN and VXLAN_GBP_POLICY_APPLIED in the kernel's include/net/vxlan.h
        traffic::pings_with(red, BLUE, 1, &format!("-m {}", 0x0048_0063))?;
        let recording = capture.stop()?.with_vxlan_ports(&[GROUPED_PORT]);
        let fields = ["vxlan.gbp", "vxlan.flag_d", "vxlan.flag_a"];
        let filter = format!("icmp.type == 8 && ip.src == {GATEWAY_RIGHT}");
        assert_eq!(recording.fields(&filter, &fields)?, [["99", "1", "1"]]);
        Ok(())
    })
}

#[test]
fn a_networks_own_group_is_set_and_the_other_kernel_reads_it() -> Result<()> {
    let name = "a_networks_own_group_is_set_and_the_other_kernel_reads_it";
    Federation::test_without_tunnels(name, |federation, isthmus| {
        start(federation, isthmus, [Some("keep"), Some("77")])?;
        for mark in [0, 7] {
            let [requests, replies] = ping_with_mark(federation, mark)?;
            assert_eq!(requests, group(77), "whatever red has set: {mark}");
            assert_eq!(replies, group(77), "as blue's kernel has read it");
        }
        Ok(())
    })
}

#[test]
fn a_group_is_set_on_what_comes_from_plain_vxlan_and_never_goes_back_there() -> Result<()> {
    let name = "a_group_is_set_on_what_comes_from_plain_vxlan_and_never_goes_back_there";
    Federation::test_without_tunnels(name, |federation, isthmus| {
        start(federation, isthmus, [None, Some("65535")])?;
        // A plain device ignores the mark, and drops what has flags that it does not know.
        assert_eq!(ping_with_mark(federation, 7)?, [group(65535), group(None)]);
        traffic::converse((&federation.red, RED), (&federation.blue, BLUE))
    })
}

#[test]
fn no_group_is_made_up_for_a_network_that_keeps_them() -> Result<()> {
    let name = "no_group_is_made_up_for_a_network_that_keeps_them";
    Federation::test_without_tunnels(name, |federation, isthmus| {
        start(federation, isthmus, [None, Some("keep")])?;
        assert_eq!(ping_with_mark(federation, 7)?, [group(None), group(None)]);
        Ok(())
    })
}
