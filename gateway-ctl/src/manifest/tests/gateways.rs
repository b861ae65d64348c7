//! Gateways in manifests.

use super::{Document, Spec, errors, parse};
use crate::{
    manifest::to_yaml,
    model::{Gateway, Metadata, Object},
};

#[test]
fn mistakes_in_gateways_get_their_text() {
    let table = [
        (
            "kind: Gateway\nname: gw-b\n",
            "m.yaml:1:1: document 1, gateway/gw-b: addresses: is missing, e.g. [192.0.2.9]",
        ),
        (
            "kind: Gateway\nname: gw-b\naddresses: []\nudp_port: 0\n",
            "m.yaml:3:12: document 1, gateway/gw-b: addresses: is empty; name the gateway's tunnel address, e.g. 192.0.2.9
m.yaml:4:11: document 1, gateway/gw-b: udp_port: 0 is not a UDP port; use 1 to 65535, or leave it out for 6081",
        ),
        (
            "kind: Gateway\nname: Gw\naddresses: [192.0.2.9, 192.0.2.9, 224.0.0.1, ::ffff:192.0.2.8, fe80::1]\nport: 7\n",
            "m.yaml:2:7: document 1, gateway/Gw: name: \"Gw\" contains 'G'; did you mean gw?
m.yaml:3:24: document 1, gateway/Gw: addresses[1]: 192.0.2.9 is listed twice; remove one
m.yaml:3:35: document 1, gateway/Gw: addresses[2]: 224.0.0.1 is not an address that one host on a network can have
m.yaml:3:46: document 1, gateway/Gw: addresses[3]: ::ffff:192.0.2.8 never stands in an IPv6 header; did you mean 192.0.2.8?
m.yaml:3:64: document 1, gateway/Gw: addresses[4]: is one too many; a gateway has at most 4 tunnel addresses
m.yaml:4:1: document 1, gateway/Gw: port: there is no field \"port\" (fields: kind, version, name, provider, addresses, udp_port)",
        ),
        (
            "kind: Gateway\nname: gw-b\naddresses: [192.0.2.9]\nudp_port: 70000\n",
            "m.yaml:4:11: document 1, gateway/gw-b: udp_port: 70000 is not a UDP port; use 1 to 65535, or leave it out for 6081",
        ),
        (
            "kind: Network\nname: red\nencapsulation: port\nprefixes: [10.0.0.0/8]\ngateway: GW\n",
            "m.yaml:5:10: document 1, network/red: gateway: \"GW\" contains 'G'; did you mean gw?",
        ),
    ];
    for (text, expected) in table {
        assert_eq!(errors(text), expected, "{text}");
    }
}

#[test]
fn a_gateway_that_names_no_port_listens_on_that_of_geneve() {
    let manifest =
        parse([("m.yaml", "kind: Gateway\nname: gw-b\naddresses: [192.0.2.9, 2001:db8::9]\n")]).unwrap();
    let [Document { spec: Spec::Gateway(gateway), .. }] = manifest.documents() else {
        panic!("{manifest:?}")
    };
    assert_eq!(
        (gateway.name.as_str(), gateway.provider.as_str(), gateway.udp_port),
        ("gw-b", "default", 6081)
    );
    assert_eq!(
        gateway.addresses,
        ["192.0.2.9", "2001:db8::9"].map(|address| address.parse::<std::net::IpAddr>().unwrap())
    );
}

#[test]
fn an_address_that_ends_like_a_field_name_is_written_so_that_it_is_read_again() {
    let addresses = ["2001:db8::", "2001:db8:0:1:2:3:4:5"].map(|address| address.parse().unwrap());
    let gateway = Gateway {
        name: "gw-b".to_owned(),
        provider: "on-prem".to_owned(),
        addresses: addresses.to_vec(),
        udp_port: 7081,
    };
    let spec = Spec::Gateway(gateway);
    let object = Object { metadata: Metadata { version: 1, revision: 1 }, spec: spec.clone() };
    let text = to_yaml([&object]).unwrap();
    assert_eq!(parse([("m.yaml", text.as_str())]).unwrap().into_specs(), [spec], "{text}");
}
