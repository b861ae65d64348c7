//! Fields that go with an encapsulation, and those that do not.

use std::num::NonZeroU16;

use isthmus_common::id::Vni;

use super::{Spec, errors, parse};
use crate::{
    manifest::to_yaml,
    model::{Encapsulation, GroupPolicy, Metadata, Network, Object, VlanId},
};

fn network(fields: &str) -> String {
    format!("kind: Network\nname: red\nprefixes: [10.0.0.0/24]\n{fields}\n")
}

#[test]
fn a_field_of_another_encapsulation_is_told_what_would_be_right() {
    let table = [
        ("encapsulation: vlan\nvlan_id: 1\nvni: 42", "5", "6", "vni: a vlan network has no VNI; use vlan_id"),
        (
            "encapsulation: port\nvni: 42",
            "4",
            "6",
            "vni: a port network has no VNI; every frame on its port belongs to it",
        ),
        (
            "encapsulation: vlan\nvlan_id: 1\nudp_port: 4789",
            "5",
            "11",
            "udp_port: a vlan network is not tunnelled over UDP; remove it",
        ),
        (
            "encapsulation: geneve\nvni: 1\ngroup_policy: keep",
            "5",
            "15",
            "group_policy: a geneve network has no group policy; remove it, or use encapsulation vxlan",
        ),
        (
            "encapsulation: vxlan\nvni: 1\novn_port: 3",
            "5",
            "11",
            "ovn_port: a vxlan network is none of OVN's; remove it, or use encapsulation geneve",
        ),
        (
            "encapsulation: vxlan\nvni: 1\nvlan_id: 3",
            "5",
            "10",
            "vlan_id: a vxlan network has no VLAN; use vni",
        ),
        (
            "encapsulation: port\nvlan_id: 3",
            "4",
            "10",
            "vlan_id: a port network's frames have no VLAN; remove it, or use encapsulation vlan",
        ),
    ];
    for (fields, line, column, message) in table {
        let line = line.parse::<u32>().unwrap() + 1;
        let expected = format!("m.yaml:{line}:{column}: document 1, network/red: {message}");
        assert_eq!(errors(&network(fields)), expected, "{fields}");
    }
}

#[test]
fn numbers_of_encapsulations_are_told_what_would_be_right() {
    let table = [
        ("encapsulation: vlan", "m.yaml:1:1", "vlan_id: is missing; give the network's VLAN, 1 to 4094"),
        ("encapsulation: geneve", "m.yaml:1:1", "vni: is missing; give the network's VNI, 1 to 16777215"),
        ("encapsulation: vlan\nvlan_id: 0", "m.yaml:5:10", "vlan_id: 0 is not a VLAN; use 1 to 4094"),
        ("encapsulation: vlan\nvlan_id: 4095", "m.yaml:5:10", "vlan_id: 4095 is not a VLAN; use 1 to 4094"),
        (
            "encapsulation: vxlan\nvni: 1\ngroup_policy: 0",
            "m.yaml:6:15",
            "group_policy: 0 is not a group; use 1 to 65535, or keep to let packets keep their own",
        ),
        (
            "encapsulation: vxlan\nvni: 1\ngroup_policy: 65536",
            "m.yaml:6:15",
            "group_policy: 65536 is not a group; use 1 to 65535, or keep to let packets keep their own",
        ),
        (
            "encapsulation: vxlan\nvni: 1\ngroup_policy: 0x2a",
            "m.yaml:6:15",
            "group_policy: \"0x2a\" is not a number; write decimal digits without quotes or leading zeros",
        ),
        (
            "encapsulation: vxlan\nvni: 1\ngroup_policy: kept",
            "m.yaml:6:15",
            "group_policy: \"kept\" is not a group policy; use keep, or a group from 1 to 65535; did you mean keep?",
        ),
        (
            "encapsulation: geneve\nvni: 1\novn_port: 0\nendpoints: [{address: 10.0.0.1, vtep: 192.0.2.1, ovn_port: 5}]",
            "m.yaml:6:11",
            "ovn_port: 0 is not the tunnel key of an OVN logical port; use 1 to 32767",
        ),
        (
            "encapsulation: geneve\nvni: 1\novn_port: 32768\nendpoints: [{address: 10.0.0.1, vtep: 192.0.2.1}]",
            "m.yaml:6:11",
            "ovn_port: 32768 is not the tunnel key of an OVN logical port; use 1 to 32767",
        ),
        (
            "encapsulation: port\nlearning: yes",
            "m.yaml:5:11",
            "learning: \"yes\" is neither true nor false; did you mean true?",
        ),
        (
            "encapsulation: port\nlearning: flase",
            "m.yaml:5:11",
            "learning: \"flase\" is neither true nor false; did you mean false?",
        ),
    ];
    for (fields, place, message) in table {
        let expected = format!("{place}: document 1, network/red: {message}");
        assert_eq!(errors(&network(fields)), expected, "{fields}");
    }
}

#[test]
fn endpoints_go_with_their_encapsulation() {
    let ovn = "encapsulation: geneve\nvni: 1\novn_port: 3";
    let table = [
        (
            "encapsulation: vxlan\nvni: 1",
            "{address: 10.0.0.1}",
            "vtep: is missing; a vxlan network's endpoints are behind tunnel endpoints, e.g. vtep: 192.0.2.10",
        ),
        (
            "encapsulation: port",
            "{address: 10.0.0.1, vtep: 192.0.2.1}",
            "vtep: a port network has no tunnel endpoints; remove it",
        ),
        (
            "encapsulation: vlan\nvlan_id: 1",
            "{address: 10.0.0.1, vtep: x}",
            "vtep: a vlan network has no tunnel endpoints; remove it",
        ),
        (
            "encapsulation: vlan\nvlan_id: 1",
            "{address: 10.0.0.1, ovn_port: 5}",
            "ovn_port: the network is none of OVN's; remove it, or give the network an ovn_port too",
        ),
        (
            "encapsulation: geneve\nvni: 1",
            "{address: 10.0.0.1, vtep: 192.0.2.1, ovn_port: 5}",
            "ovn_port: the network is none of OVN's; remove it, or give the network an ovn_port too",
        ),
        (
            ovn,
            "{address: 10.0.0.1, vtep: 192.0.2.1}",
            "ovn_port: is missing; give the tunnel key of the logical port that has the address",
        ),
        (
            ovn,
            "{address: 10.0.0.1, vtep: 192.0.2.1, ovn_port: 0}",
            "ovn_port: 0 is not the tunnel key of an OVN logical port; use 1 to 32767",
        ),
        (
            ovn,
            "{address: 10.0.0.1, vtep: 192.0.2.1, ovn_port: 40000}",
            "ovn_port: 40000 is not the tunnel key of an OVN logical port; use 1 to 32767",
        ),
        (
            ovn,
            "{address: 10.0.0.1, vtep: 192.0.2.1, ovn_port: 3}",
            "ovn_port: 3 is the gateway's own port; give that of the port that has the address",
        ),
    ];
    for (fields, endpoint, message) in table {
        let error = errors(&network(&format!("{fields}\nendpoints: [{endpoint}]")));
        assert!(!error.contains('\n'), "{error}");
        let (place, said) = error.split_once(": document 1, network/red: endpoints[0].").unwrap();
        assert!(place.starts_with("m.yaml:"), "{error}");
        assert_eq!(said, message, "{fields} {endpoint}");
    }
}

#[test]
fn an_unknown_encapsulation_does_not_put_its_fields_in_doubt() {
    for (fields, more) in [
        ("encapsulation: vlna\nvlan_id: 100\nendpoints: [{address: 10.0.0.1}]", ""),
        ("encapsulation: vlna\nendpoints: [{address: 10.0.0.1, vtep: 192.0.2.1, ovn_port: 5}]", ""),
        (
            "encapsulation: vlna\nvlan_id: 5000",
            "\nm.yaml:5:10: document 1, network/red: vlan_id: 5000 is not a VLAN; use 1 to 4094",
        ),
    ] {
        assert_eq!(
            errors(&network(fields)),
            format!(
                "m.yaml:4:16: document 1, network/red: encapsulation: \"vlna\" is not an encapsulation; use one of vxlan, geneve, vlan, port; did you mean vlan?{more}"
            )
        );
    }
}

fn read(text: &str) -> Network {
    let mut specs = parse([("m.yaml", text)]).unwrap_or_else(|error| panic!("{error}\n{text}")).into_specs();
    match specs.remove(0) {
        Spec::Network(network) => network,
        other => panic!("{other:?}"),
    }
}

#[test]
fn each_encapsulation_is_read_and_written() {
    let vni = Vni::new(42).unwrap();
    let set = GroupPolicy::Set(NonZeroU16::new(65535).unwrap());
    let table = [
        (
            "encapsulation: vxlan\nvni: 42\ngroup_policy: keep",
            Encapsulation::Vxlan { vni, udp_port: 4789, group_policy: Some(GroupPolicy::Keep) },
            "encapsulation: vxlan\nvni: 42\nudp_port: 4789\ngroup_policy: keep\n",
        ),
        (
            "encapsulation: vxlan\nvni: 42\ngroup_policy: 65535\ngateway: gw-b",
            Encapsulation::Vxlan { vni, udp_port: 4789, group_policy: Some(set) },
            "encapsulation: vxlan\nvni: 42\nudp_port: 4789\ngroup_policy: 65535\ngateway: gw-b\n",
        ),
        (
            "encapsulation: geneve\nvni: 42\novn_port: 3\nendpoints: [{address: 10.0.0.1, vtep: 2001:db8::1, ovn_port: 5}]",
            Encapsulation::Geneve { vni, udp_port: 6081, ovn_port: Some(3) },
            "encapsulation: geneve\nvni: 42\nudp_port: 6081\novn_port: 3\n",
        ),
        (
            "encapsulation: vlan\nvlan_id: 4094\nlearning: true\nendpoints: [{address: 10.0.0.1}]",
            Encapsulation::Vlan { vlan_id: VlanId::new(4094).unwrap() },
            "encapsulation: vlan\nvlan_id: 4094\nlearning: true\n",
        ),
        (
            "encapsulation: port\nlearning: false\nendpoints: [{address: 10.0.0.1, mac: 02:00:00:00:00:01}]",
            Encapsulation::Port,
            "encapsulation: port\n",
        ),
    ];
    for (fields, expected, written) in table {
        let network = read(&network(fields));
        assert_eq!(network.encapsulation, expected, "{fields}");
        let object =
            Object { metadata: Metadata { version: 1, revision: 1 }, spec: Spec::Network(network.clone()) };
        let text = to_yaml([&object]).unwrap();
        assert!(text.contains(&format!("provider: default\n{written}prefixes:\n")), "{text}");
        assert_eq!(read(&text), network, "{text}");
    }
}
