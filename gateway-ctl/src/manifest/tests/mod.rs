//! Each trap of YAML and each kind of mistake, with the text it gets.

mod encapsulations;
mod gateways;

use isthmus_common::id::Vni;

use super::*;
use crate::model::Encapsulation;

fn errors(text: &str) -> String {
    match parse([("m.yaml", text)]) {
        Ok(manifest) => panic!("accepted: {manifest:?}"),
        Err(error) => error.to_string(),
    }
}

const RED: &str = "kind: Network\nname: red\nencapsulation: vxlan\nvni: 42\nprefixes: [10.0.0.0/24]\n";

#[test]
fn all_mistakes_of_a_broken_manifest_are_reported_with_their_places() {
    let text = "\
# The tenant's network.
kind: Network
name: Red
encapsulation: vxlan
vni: 0
prefixes: [10.0.0.5/24]
gatway_address: 10.0.0.1
endpoints:
  - {address: 10.0.1.10, mac: 02:00:00:00:00, vtep: 192.0.2.10}
---
kind: Mapping
unique_identifier: 7b0d6f0e
source_network: red
destination_network: blue
resource_mapping: {inference: no}
";
    let expected = "\
m.yaml:3:7: document 1, network/Red: name: \"Red\" contains 'R'; did you mean red?
m.yaml:5:6: document 1, network/Red: vni: 0 is not a VNI; use 1 to 16777215
m.yaml:6:12: document 1, network/Red: prefixes[0]: 10.0.0.5/24 has host bits set; did you mean 10.0.0.0/24?
m.yaml:7:1: document 1, network/Red: gatway_address: there is no field \"gatway_address\"; did you mean gateway_address? (fields: kind, version, name, provider, encapsulation, vni, udp_port, group_policy, ovn_port, vlan_id, learning, gateway, prefixes, gateway_address, endpoints)
m.yaml:9:31: document 1, network/Red: endpoints[0].mac: \"02:00:00:00:00\" is not a MAC address; write six bytes in hexadecimal, e.g. 02:00:00:00:00:10
m.yaml:12:20: document 2, mapping/7b0d6f0e: unique_identifier: \"7b0d6f0e\" is not a UUID, e.g. 7b0d6f0e-8a1c-4c53-9d0e-2f6a4f6d9a11; make one with uuidgen
m.yaml:15:31: document 2, mapping/7b0d6f0e: resource_mapping[inference]: \"no\" is not an access level; use none, observe, connect or full; did you mean none?";
    assert_eq!(errors(text), expected);
}

#[test]
fn mistakes_get_the_text_that_says_what_would_be_right() {
    let table = [
        ("", "m.yaml: holds no objects; declare at least one, e.g. with kind: Network"),
        ("# nothing\n---\n---\n", "m.yaml: holds no objects; declare at least one, e.g. with kind: Network"),
        ("- a\n", "m.yaml:1:1: document 1: a document is a mapping of fields, starting with kind:"),
        ("name: red\n", "m.yaml:1:1: document 1: kind: is missing; use Gateway, Network, Resource or Mapping"),
        (
            "kind: Netwrok\n",
            "m.yaml:1:7: document 1: kind: \"Netwrok\" is not a kind; use Gateway, Network, Resource or Mapping; did you mean Network?",
        ),
        (
            "kind: Network\nname: red\nname: blue\nencapsulation: vxlan\nvni: 1\nprefixes: [10.0.0.0/8]\n",
            "m.yaml:3:1: document 1, network/blue: name: is given twice, first in line 2; remove one",
        ),
        (
            "kind: Network\nname: red\nencapsulation: vxlan\nvni: 042\nprefixes: [10.0.0.0/8]\n",
            "m.yaml:4:6: document 1, network/red: vni: \"042\" is not a number; write decimal digits without quotes or leading zeros",
        ),
        (
            "kind: Network\nname: red\nencapsulation: vxlan\nvni: 0x2a\nprefixes: [10.0.0.0/8]\n",
            "m.yaml:4:6: document 1, network/red: vni: \"0x2a\" is not a number; write decimal digits without quotes or leading zeros",
        ),
        (
            "kind: Network\nname: red\nencapsulation: vxlan\nvni: 99999999999\nprefixes: [10.0.0.0/8]\n",
            "m.yaml:4:6: document 1, network/red: vni: \"99999999999\" is too big",
        ),
        (
            "kind: Network\nname: ~\nencapsulation: genev\nvni: 0\nprefixes: 10.0.0.0/8\n",
            "m.yaml:2:7: document 1, network/: name: has no value; give one or remove the field
m.yaml:3:16: document 1, network/: encapsulation: \"genev\" is not an encapsulation; use one of vxlan, geneve, vlan, port; did you mean geneve?
m.yaml:4:6: document 1, network/: vni: 0 is not a VNI; use 1 to 16777215
m.yaml:5:11: document 1, network/: prefixes: must be a list, e.g. [10.0.0.0/24]",
        ),
        ("kind: Network\nname: *x\n", "m.yaml:2:7: document 1: this is not YAML: while parsing node, found unknown anchor"),
        ("kind: &k Network\nname: *k\n", "m.yaml:2:7: document 1: aliases (*…) are not supported; write the value out"),
        ("kind: Network\nname: !!str red\n", "m.yaml:2:13: document 1: manifests have no use for tags (!…); remove it"),
        (
            "kind: Resource\nresource_id: web\nnetwork: blue\naddresses: [10.0.0.20]\nports: [80]\n",
            "m.yaml:5:8: document 1, resource/web: ports: protocol any has no ports; use tcp or udp, or leave the ports out",
        ),
        (
            "kind: Resource\nresource_id: web\nnetwork: blue\naddresses: [10.0.0.20]\nprotocol: tcp\nports: [22:30, 80, 70-90]\n",
            "m.yaml:6:9: document 1, resource/web: ports[0]: \"22:30\" is neither a port nor a range of ports, e.g. 8080 or 9000-9010
m.yaml:6:20: document 1, resource/web: ports[2]: 70-90 overlaps 80; list a port once",
        ),
        (
            "kind: Network\nname: red\nvni: 1\nprefixes: [10.0.0.0/8]\n",
            "m.yaml:1:1: document 1, network/red: encapsulation: is missing; use vxlan, geneve, vlan or port",
        ),
        (
            "kind: Network\nname: red\nencapsulation: geneve\nvni: 16777216\nudp_port: 70000\nprefixes: [10.0.0.0/8]\n",
            "m.yaml:4:6: document 1, network/red: vni: 16777216 is not a VNI; use 1 to 16777215
m.yaml:5:11: document 1, network/red: udp_port: 70000 is not a UDP port; use 1 to 65535, or leave it out for 6081",
        ),
        (
            "kind: Network\nname: red\nencapsulation: vxlan\nvni: 1\nudp_port: 0\nprefixes: [10.0.0.0/8]\n",
            "m.yaml:5:11: document 1, network/red: udp_port: 0 is not a UDP port; use 1 to 65535, or leave it out for 4789",
        ),
        (
            "kind: Network\nname: red\nencapsulation: geneve\nvni: 1\nudp_port: 0\nprefixes: [10.0.0.0/8]\n",
            "m.yaml:5:11: document 1, network/red: udp_port: 0 is not a UDP port; use 1 to 65535, or leave it out for 6081",
        ),
        (
            "kind: Network\nname: red\nencapsulation: vxlan\nvni: 1\nprefixes: [10.0.0.0/8]\nendpoints: [{address: 10.0.0.1, vtep: 192.0.2.1, port: 1}]\n",
            "m.yaml:6:50: document 1, network/red: endpoints[0].port: there is no field \"port\" (fields: address, mac, vtep, ovn_port)",
        ),
        (
            "kind: Network\nname: red\nencapsulation: vxlan\nvni: 1\nprefixes: [10.0.0.0/8]\nendpoints: [{address: 10.0.0.1, vtep: fe80::1}, {vtep: 192.0.2.1}]\n",
            "m.yaml:6:39: document 1, network/red: endpoints[0].vtep: fe80::1 means another host on every link; give an address that is routed
m.yaml:6:49: document 1, network/red: endpoints[1].address: is missing",
        ),
    ];
    for (text, expected) in table {
        assert_eq!(errors(text), expected, "{text}");
    }
}

#[test]
fn text_that_is_not_yaml_is_reported_with_its_line_and_the_mistakes_before_it() {
    let errors = errors("kind: Netwrok\n---\nkind: [Network\nname: red\n");
    let lines: Vec<_> = errors.lines().collect();
    assert_eq!(lines.len(), 2, "{errors}");
    assert!(lines[0].starts_with("m.yaml:1:7: document 1: kind: "), "{errors}");
    assert!(
        lines[1].starts_with("m.yaml:") && lines[1].contains(": document 2: this is not YAML: "),
        "{errors}"
    );
}

#[test]
fn one_object_declared_twice_is_refused_across_files_too() {
    let error = parse([("a.yaml", RED), ("b.yaml", RED)]).unwrap_err().to_string();
    assert_eq!(
        error,
        "b.yaml:1:1: document 1, network/red: is declared twice, first in a.yaml:1; keep one of them"
    );
}

#[test]
fn scalars_keep_what_was_written() {
    let text = "\u{feff}kind: Network\r\nname: 007\r\nprovider: 1.10\r\nencapsulation: vxlan\r\nvni: 42\r\nversion: 3\r\n\
                prefixes: [fd00::/64, 10.20.30.0/24]\r\nendpoints:\r\n- address: 10.20.30.40\r\n  mac: 10:20:30:40:50:16\r\n  vtep: 192.0.2.1\r\n";
    let manifest = parse([("m.yaml", text)]).unwrap();
    let [Document { spec: Spec::Network(network), version: Some(3), .. }] = manifest.documents() else {
        panic!("{manifest:?}")
    };
    assert_eq!((network.name.as_str(), network.provider.as_str()), ("007", "1.10"));
    assert_eq!(network.endpoints[0].mac.unwrap().0, [0x10, 0x20, 0x30, 0x40, 0x50, 0x16]);
}

#[test]
fn a_network_that_names_no_port_gets_the_one_of_its_encapsulation() {
    let vni = Vni::new(42).unwrap();
    for (name, expected) in [
        ("vxlan", Encapsulation::Vxlan { vni, udp_port: 4789, group_policy: None }),
        ("geneve", Encapsulation::Geneve { vni, udp_port: 6081, ovn_port: None }),
    ] {
        let manifest = parse([("m.yaml", RED.replace("vxlan", name).as_str())]).unwrap();
        let [Document { spec: Spec::Network(network), .. }] = manifest.documents() else {
            panic!("{manifest:?}")
        };
        assert_eq!((network.encapsulation, network.encapsulation.name()), (expected, name));
    }
}

#[test]
fn a_brokers_refusal_is_led_back_to_the_line() {
    let manifest = parse([("m.yaml", RED)]).unwrap();
    let mut violations = Violations::default();
    violations.add("changes[0].network.encapsulation.vxlan.vni", "network blue has VNI 42 already");
    violations.add("changes[0].network.encapsulation.geneve.vni", "the same for the other kind");
    violations.add("changes[0].network.encapsulation", "odd");
    violations.add("changes[0].network.prefixes[3]", "odd");
    violations.add("elsewhere", "odder");
    assert_eq!(
        manifest.explain(&violations).to_string(),
        "m.yaml:4:6: document 1, network/red: vni: network blue has VNI 42 already
m.yaml:4:6: document 1, network/red: vni: the same for the other kind
m.yaml:3:16: document 1, network/red: encapsulation: odd
m.yaml:5:11: document 1, network/red: prefixes[3]: odd
manifest: elsewhere: odder"
    );
}

#[test]
fn files_that_cannot_be_read_are_named() {
    let error = |path: &Path| format!("{:#}", anyhow::Error::from(load(path).unwrap_err()));
    assert_eq!(
        error(Path::new("/nowhere/m.yaml")),
        "read /nowhere/m.yaml: No such file or directory (os error 2)"
    );
    let dir = tempfile::tempdir().unwrap();
    let binary = dir.path().join("m.yaml");
    std::fs::write(&binary, b"kind: \xff").unwrap();
    assert!(error(&binary).ends_with("m.yaml: byte 6 is not UTF-8 text"));
}
