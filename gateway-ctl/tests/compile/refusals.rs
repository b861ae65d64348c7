//! The table of refusals.

use std::collections::{BTreeMap, BTreeSet};

use isthmus::gateway::compile::{Site, compile};
use isthmus::model::AccessLevel::{Connect, Full};
use isthmus::model::Protocol::{Any, Tcp};
use isthmus::model::{Encapsulation, Kind, ObjectRef, Spec, VlanId};
use isthmus_common::id::{Label, Vni};
use isthmus_common::scope::Underlay;

use crate::objects::{identifier, label, mapping, network, network_on, replica, resource};
use crate::{BLUE_VTEP, RED_VTEP, behind, blue, gateway, red, red_to_blue, web};

struct Row {
    name: &'static str,
    objects: Vec<Spec>,
    site: Site,
    refused: ObjectRef,
    reason: &'static str,
}

fn row(name: &'static str, objects: Vec<Spec>, refused: ObjectRef, reason: &'static str) -> Row {
    Row { name, objects, site: Site::default(), refused, reason }
}

fn geneve(name: &str, udp_port: u16) -> Spec {
    let encapsulation = Encapsulation::Geneve { vni: Vni::new(43).unwrap(), udp_port, ovn_port: None };
    network_on(encapsulation, name, "default", &[])
}

fn networks() -> Vec<Row> {
    let on_port = |index: u8| {
        network(&format!("net-{index}"), "default", 100 + u32::from(index), 4789 + u16::from(index), &[])
    };
    vec![
        row(
            "two networks with one VNI on one underlay",
            vec![red(), network("rose", "other", 42, 4789, &[])],
            ObjectRef::network("rose"),
            "network \"red\" of provider \"default\" already uses VNI 42 on the same underlay; give one of the two \
             providers an interface of its own with --interface IF=PROVIDER",
        ),
        row(
            "a fifth tunnel port",
            (0..5).map(on_port).collect(),
            ObjectRef::network("net-4"),
            "UDP port 4793 would be one too many: a gateway listens on at most 4 ports; choose a udp_port out of those \
             in use: 4789, 4790, 4791, 4792",
        ),
        Row {
            site: Site { addresses: BTreeSet::from([RED_VTEP.parse().unwrap()]), ..Site::default() },
            ..row(
                "a vtep that is the gateway itself",
                vec![red(), blue()],
                ObjectRef::network("red"),
                "the vtep 192.0.2.1 of endpoint 10.0.0.1 is this gateway's own address; give that of the host that \
                 has the endpoint",
            )
        },
        row(
            "a tunnel port that carries something else",
            vec![red(), geneve("rose", 4789)],
            ObjectRef::network("rose"),
            "UDP port 4789 carries VXLAN already; choose another udp_port",
        ),
        Row {
            site: Site { name: "here".to_owned(), ..Site::default() },
            ..row(
                "the port on which the gateway listens for others",
                vec![gateway("here", "198.51.100.1"), network("rose", "default", 42, 6081, &[])],
                ObjectRef::network("rose"),
                "UDP port 6081 carries Geneve already; choose another udp_port",
            )
        },
    ]
}

/// Networks on devices and behind other gateways.
fn places() -> Vec<Row> {
    let vlan = |name: &str, provider: &str| {
        let encapsulation = Encapsulation::Vlan { vlan_id: VlanId::new(100).unwrap() };
        network_on(encapsulation, name, provider, &[])
    };
    let own = Underlay::new(2).unwrap();
    let one = || Site { interfaces: BTreeMap::from([(7, Underlay::SHARED)]), ..Site::default() };
    let two = || Site {
        interfaces: BTreeMap::from([(7, Underlay::SHARED), (8, Underlay::SHARED)]),
        ..Site::default()
    };
    let elsewhere = || Site { bound_providers: BTreeMap::from([("metal".to_owned(), own)]), ..one() };
    let port = |name: &str| network_on(Encapsulation::Port, name, "default", &[]);
    let shared_port =
        || Site { ports: BTreeMap::from([("lab".to_owned(), 9), ("test".to_owned(), 9)]), ..Site::default() };
    let here = || Site {
        name: "here".to_owned(),
        addresses: BTreeSet::from(["198.51.100.1".parse().unwrap()]),
        ..Site::default()
    };
    vec![
        Row {
            site: two(),
            ..row(
                "a VLAN that could be on two interfaces",
                vec![vlan("metal", "default")],
                ObjectRef::network("metal"),
                "more than one interface could carry its VLAN; say which one with --interface IF=default",
            )
        },
        Row {
            site: elsewhere(),
            ..row(
                "a VLAN that could be on no interface",
                vec![vlan("metal", "metal")],
                ObjectRef::network("metal"),
                "no interface of this gateway could carry its VLAN; start the gateway with --interface IF=metal",
            )
        },
        Row {
            site: one(),
            ..row(
                "two networks in one VLAN",
                vec![vlan("one", "default"), vlan("two", "other")],
                ObjectRef::network("two"),
                "network \"one\" of provider \"default\" already uses VLAN 100 on the same underlay; give one of the \
                 two providers an interface of its own with --interface IF=PROVIDER",
            )
        },
        row(
            "a port that is not here",
            vec![port("lab")],
            ObjectRef::network("lab"),
            "no interface here is a port of it; start the gateway that has one with --port IF=lab, and name that \
             gateway in the network's `gateway`",
        ),
        Row {
            site: shared_port(),
            ..row(
                "two networks with one port",
                vec![port("lab"), port("test")],
                ObjectRef::network("test"),
                "its port is that of network \"lab\" already; give it an interface of its own with --port IF=test",
            )
        },
        row(
            "a network behind a gateway that is not there",
            vec![behind(red(), "there")],
            ObjectRef::network("red"),
            "gateway \"there\" does not exist; declare it, or name another one in the network's `gateway`",
        ),
        Row {
            site: here(),
            ..row(
                "a gateway that is this one, by another name",
                vec![gateway("there", "198.51.100.1"), behind(red(), "there")],
                ObjectRef::network("red"),
                "gateway \"there\" has 198.51.100.1, which is this gateway's own address; start this gateway with \
                 --name there, or correct the addresses of \"there\"",
            )
        },
    ]
}

/// Mappings whose objects are missing or don't belong together.
fn references() -> Vec<Row> {
    let first = || ObjectRef::mapping(identifier(1));
    let ssh = || resource("ssh", "red", &["10.0.0.1"], Tcp, &[]);
    let without_label = || {
        let mut mapping = mapping(1, "red", "blue", &[("web", Connect)]);
        mapping.label = None;
        Spec::Mapping(mapping)
    };
    let far = || resource("far", "blue", &["10.1.0.9"], Any, &[]);
    vec![
        row(
            "a source network that is not there",
            vec![blue(), web(), red_to_blue(1, &[("web", Connect)])],
            first(),
            "network \"red\" does not exist; declare it, or delete the mapping",
        ),
        row(
            "a destination network that is not there",
            vec![red(), web(), red_to_blue(1, &[("web", Connect)])],
            first(),
            "network \"blue\" does not exist; declare it, or delete the mapping",
        ),
        row(
            "a resource that is not there",
            vec![red(), blue(), red_to_blue(1, &[("web", Connect)])],
            first(),
            "resource \"web\" does not exist; declare it, or take it out of the mapping",
        ),
        row(
            "a resource of another network",
            vec![red(), blue(), ssh(), red_to_blue(1, &[("ssh", Full)])],
            first(),
            "resource \"ssh\" belongs to network \"red\", not to the destination network \"blue\"; list only resources of \
             the latter",
        ),
        row(
            "a resource whose address lives nowhere",
            vec![red(), blue(), far(), red_to_blue(1, &[("far", Full)])],
            first(),
            "network \"blue\" declares no endpoint for 10.1.0.9; declare where it lives, or let the network learn it with \
             `learning: true`",
        ),
        row(
            "a mapping to another gateway without label",
            vec![gateway("there", "198.51.100.1"), red(), behind(blue(), "there"), web(), without_label()],
            first(),
            "it has no label, without which it can't lead to another gateway; the broker has none left: start it with \
             a wider --label-range",
        ),
    ]
}

/// Mappings that exclude each other, or themselves.
fn conflicts() -> Vec<Row> {
    let ports: Vec<(u16, u16)> = (1..=9).map(|port| (port, port)).collect();
    let many = |count: usize| resource("many", "blue", &["10.1.0.1"], Tcp, &ports[..count]);
    let first = || ObjectRef::mapping(identifier(1));
    let second = || ObjectRef::mapping(identifier(2));
    let navy = |address: &str| {
        [
            network("navy", "default", 78, 4789, &[(address, BLUE_VTEP)]),
            resource("navy-web", "navy", &[address], Tcp, &[(81, 81)]),
        ]
    };
    let to_navy = |number| Spec::Mapping(mapping(number, "red", "navy", &[("navy-web", Connect)]));
    let under_first_label = |number: u8, id: &str| {
        let mut mapping = mapping(number, "red", "blue", &[(id, Connect)]);
        mapping.label = Label::new(label(1));
        Spec::Mapping(mapping)
    };
    vec![
        row(
            "more rules on an address than fit",
            vec![red(), blue(), many(9), red_to_blue(1, &[("many", Full)])],
            first(),
            "address 10.1.0.1 would have 9 rules; 8 fit: join port ranges, or use more addresses",
        ),
        row(
            "more rules on an address than fit, from two mappings",
            vec![
                red(),
                blue(),
                web(),
                many(8),
                red_to_blue(1, &[("web", Full)]),
                red_to_blue(2, &[("many", Full)]),
            ],
            second(),
            "address 10.1.0.1 would have 9 rules; 8 fit: join port ranges, or use more addresses",
        ),
        row(
            "two networks that would be reached by one address",
            [
                vec![red(), blue(), web(), red_to_blue(1, &[("web", Connect)])],
                navy("10.1.0.1").into(),
                vec![to_navy(2)],
            ]
            .concat(),
            second(),
            "the destination 10.1.0.1 would be ambiguous: it leads to network \"blue\" already, and would lead to \
             \"navy\"; give one of the two another address",
        ),
        row(
            "two networks that one resource would answer at one address",
            vec![
                red(),
                blue(),
                web(),
                network("rose", "default", 43, 4789, &[("10.0.0.1", RED_VTEP)]),
                red_to_blue(1, &[("web", Connect)]),
                Spec::Mapping(mapping(2, "rose", "blue", &[("web", Connect)])),
            ],
            second(),
            "the destination 10.0.0.1 would be ambiguous: it leads to network \"red\" already, and would lead to \
             \"rose\"; give one of the two another address",
        ),
        row(
            "source and destination that overlap, under one label",
            [vec![red()], navy("10.0.0.1").into(), vec![to_navy(1)]].concat(),
            first(),
            "the destination 10.0.0.1 would be ambiguous: it leads to network \"navy\" already, and would lead to \
             \"red\"; give one of the two another address",
        ),
        row(
            "two mappings that would answer under one label",
            vec![
                red(),
                blue(),
                web(),
                resource("other", "blue", &["10.1.0.2"], Tcp, &[]),
                under_first_label(1, "web"),
                under_first_label(2, "other"),
            ],
            second(),
            "answers to 10.0.0.1 would be ambiguous: more than one mapping with the same source address leads here; \
             give the mappings source networks with different addresses",
        ),
    ]
}

#[test]
fn what_can_not_be_in_force_is_refused_in_these_words_and_leaves_nothing_behind() {
    for row in [networks(), places(), references(), conflicts()].into_iter().flatten() {
        let Row { name, objects, site, refused, reason } = row;
        let mut replica = replica(objects);
        let plan = compile(&replica, &site);
        let told: Vec<_> = plan
            .refused
            .iter()
            .map(|refusal| (&refusal.object, refusal.version, refusal.reason.as_str()))
            .collect();
        assert_eq!(told, [(&refused, 1, reason)], "{name}");
        let lost = usize::from(refused.kind == Kind::Mapping);
        assert_eq!(plan.mappings.len(), replica.mappings.len() - lost, "{name}: the rest is in force");
        replica.remove(&refused);
        let without = compile(&replica, &site);
        assert_eq!(
            (&plan.targets, &plan.policies, &plan.scopes, &plan.ports),
            (&without.targets, &without.policies, &without.scopes, &without.ports),
            "{name}"
        );
    }
}

#[test]
fn a_mapping_of_a_refused_network_says_where_to_look() {
    let objects = [behind(red(), "there"), blue(), web(), red_to_blue(1, &[("web", Connect)])];
    let plan = compile(&replica(objects), &Site::default());
    let told: Vec<_> = plan.refused.iter().map(|refusal| refusal.reason.as_str()).collect();
    assert_eq!(told[1..], ["network \"red\" is refused itself; see its own line"]);
}
