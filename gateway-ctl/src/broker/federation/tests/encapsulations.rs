//! Key spaces and UDP ports: who may have what beside whom.

use super::{all, base, geneve, mapping, network, puts, refuses, resource};
use crate::broker::federation::{Change, Reason};
use crate::model::ObjectRef;

fn groups(name: &str, vni: u32, policy: &str) -> String {
    network(name, vni, &[]).replace("prefixes", &format!("udp_port: 4790\ngroup_policy: {policy}\nprefixes"))
}

fn ovn(name: &str, vni: u32) -> String {
    geneve(name, vni).replace("prefixes", "ovn_port: 3\nprefixes")
}

fn vlan(name: &str, vlan_id: u16, rest: &str) -> String {
    format!(
        "kind: Network\nname: {name}\nencapsulation: vlan\nvlan_id: {vlan_id}\nprefixes: [10.0.0.0/24]\n{rest}\n"
    )
}

fn port(name: &str) -> String {
    format!("kind: Network\nname: {name}\nencapsulation: port\nprefixes: [10.0.0.0/24]\n")
}

#[test]
fn numbers_are_used_once_in_their_key_space() {
    refuses([
        (
            "a VNI is used once with group policies, whatever they are",
            all(&[groups("green", 42, "keep"), groups("yellow", 42, "7")]),
            "changes[1].network.encapsulation.vxlan.vni: 42 is the VNI of network green already; within provider default each vxlan network with a group policy needs its own".to_owned(),
        ),
        (
            "a datapath's key is used once among OVN networks",
            all(&[ovn("green", 42), ovn("yellow", 42)]),
            "changes[1].network.encapsulation.geneve.vni: 42 is the VNI of network green already; within provider default each geneve network with an OVN port needs its own".to_owned(),
        ),
        (
            "a VLAN is used once within a provider",
            all(&[vlan("green", 100, ""), vlan("yellow", 100, "")]),
            "changes[1].network.encapsulation.vlan.vlan_id: 100 is the VLAN of network green already; within provider default each vlan network needs its own".to_owned(),
        ),
        (
            "a VNI is no label with a group policy either",
            groups("green", 15_728_640, "keep"),
            "changes[0].network.encapsulation.vxlan.vni: 15728640 lies in the label range 15728640-16777215, which names mappings; use a VNI outside it".to_owned(),
        ),
        (
            "a VNI is no label with OVN either",
            ovn("green", 15_728_640),
            "changes[0].network.encapsulation.geneve.vni: 15728640 lies in the label range 15728640-16777215, which names mappings; use a VNI outside it".to_owned(),
        ),
    ]);
}

#[test]
fn a_port_carries_one_encapsulation() {
    refuses([
        (
            "vxlan with and without a group policy are two",
            groups("green", 1, "keep").replace("4790", "4789"),
            "changes[0].network.encapsulation.vxlan.udp_port: 4789 carries vxlan already, for network blue; a port says how its packets are read, so vxlan with a group policy needs another".to_owned(),
        ),
        (
            "what stays is not blamed, though its name comes later",
            all(&[groups("green", 1, "keep"), network("red", 42, &["10.0.0.10"]).replace("prefixes", "udp_port: 4790\nprefixes")]),
            "changes[1].network.encapsulation.vxlan.udp_port: 4790 carries vxlan with a group policy already, for network green; a port says how its packets are read, so vxlan needs another".to_owned(),
        ),
        (
            "geneve with a group policy's port",
            all(&[geneve("green", 1).replace("prefixes", "udp_port: 4790\nprefixes"), groups("yellow", 1, "9")]),
            "changes[1].network.encapsulation.vxlan.udp_port: 4790 carries geneve already, for network green; a port says how its packets are read, so vxlan with a group policy needs another".to_owned(),
        ),
        (
            "a gateway's port carries geneve",
            "kind: Gateway\nname: gw-b\naddresses: [192.0.2.9]\nudp_port: 4789\n".to_owned(),
            "changes[0].gateway.udp_port: 4789 carries vxlan already, for network blue; a port says how its packets are read, so geneve needs another".to_owned(),
        ),
    ]);
    // And the other way round, with the gateway there first.
    let mut federation = base();
    federation.apply(&puts("kind: Gateway\nname: gw-b\naddresses: [192.0.2.9]\n")).unwrap();
    let on_its_port = network("green", 1, &[]).replace("prefixes", "udp_port: 6081\nprefixes");
    assert_eq!(
        federation.plan(&puts(&on_its_port)).unwrap_err().to_string(),
        "changes[0].network.encapsulation.vxlan.udp_port: 6081 carries geneve already, for gateway gw-b; a port says how its packets are read, so vxlan needs another"
    );
}

#[test]
fn key_spaces_stand_beside_each_other() {
    let table = [
        ("a group policy has VNIs of its own", groups("green", 42, "keep")),
        (
            "group policies differ between the networks of a port",
            all(&[groups("green", 1, "keep"), groups("yellow", 2, "7")]),
        ),
        ("OVN has VNIs of its own, on Geneve's port", all(&[geneve("green", 42), ovn("yellow", 42)])),
        (
            "another provider uses the same VLAN",
            all(&[vlan("green", 100, ""), vlan("yellow", 100, "provider: other")]),
        ),
        ("a VLAN may have a VNI's number", vlan("green", 42, "")),
        ("any number of ports", all(&[port("green"), port("yellow")])),
        (
            "gateways share Geneve's port with networks and with each other",
            all(&[
                geneve("green", 1),
                "kind: Gateway\nname: a\naddresses: [192.0.2.9]\n".to_owned(),
                "kind: Gateway\nname: b\naddresses: [192.0.2.8]\n".to_owned(),
            ]),
        ),
        (
            "a network becomes a VLAN and frees its VNI",
            all(&[vlan("red", 42, "endpoints: [{address: 10.0.0.10}]"), network("green", 42, &[])]),
        ),
    ];
    for (case, text) in table {
        base().apply(&puts(&text)).unwrap_or_else(|refusal| panic!("{case}: {refusal}"));
    }
}

#[test]
fn a_network_that_learns_needs_no_endpoints_for_its_resources() {
    let floor = vlan("floor", 100, "learning: true");
    let camera = resource("camera", "floor", "addresses: [10.0.0.30]");
    let mut federation = base();
    let map = mapping(0x12, "red", "floor", "resource_mapping: {camera: connect}");
    federation.apply(&puts(&all(&[floor.clone(), camera.clone(), map]))).unwrap();

    for (rule, text, expected) in [
        (
            "an address outside the prefixes is never learned",
            resource("door", "floor", "addresses: [10.0.0.31, 10.0.1.31]"),
            "changes[0].resource.addresses[1]: 10.0.1.31 lies outside the prefixes of network floor (10.0.0.0/24), so it is never learned there",
        ),
        (
            "a prefix that a resource needs stays",
            floor.replace("10.0.0.0/24", "10.0.8.0/24, fd00::/64"),
            "changes[0].network.prefixes: resource/camera has the address 10.0.0.30, which lies outside of 10.0.8.0/24, fd00::/64; keep its prefix, or change the resource first",
        ),
        (
            "who stops learning declares endpoints",
            floor.replace("learning: true", "learning: false"),
            "changes[0].network.endpoints: resource/camera needs an endpoint with address 10.0.0.30; keep it, or change the resource first",
        ),
    ] {
        let refusal = federation.plan(&puts(&text)).expect_err(rule);
        assert_eq!((refusal.reason, refusal.to_string().as_str()), (Reason::Invalid, expected), "{rule}");
    }
    let declared = floor.replace("learning: true", "endpoints: [{address: 10.0.0.30}]");
    federation.apply(&puts(&declared)).unwrap();
    let refusal = federation.plan(&[Change::delete(ObjectRef::network("floor"))]).unwrap_err();
    assert_eq!(refusal.reason, Reason::StillReferenced);
}
