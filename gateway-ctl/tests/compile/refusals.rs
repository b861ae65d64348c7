//! The table of refusals.

use std::collections::BTreeSet;

use isthmus::gateway::compile::{Site, compile};
use isthmus::model::AccessLevel::{Connect, Full};
use isthmus::model::Protocol::{Any, Tcp};
use isthmus::model::{Kind, ObjectRef, Spec};
use isthmus_common::id::Label;

use crate::objects::{identifier, label, mapping, network, replica, resource};
use crate::{BLUE_VTEP, RED_VTEP, blue, red, red_to_blue, web};

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
            "UDP port 4793 would be one too many: a gateway listens on at most 4 ports, and other networks use \
             4789, 4790, 4791, 4792",
        ),
        Row {
            site: Site { addresses: BTreeSet::from([RED_VTEP.parse().unwrap()]), ..Site::default() },
            ..row(
                "a vtep that is the gateway itself",
                vec![red(), blue()],
                ObjectRef::network("red"),
                "the vtep 192.0.2.1 of endpoint 10.0.0.1 is this gateway's own address",
            )
        },
    ]
}

/// Mappings whose objects are missing or don't belong together.
fn references() -> Vec<Row> {
    let first = || ObjectRef::mapping(identifier(1));
    let ssh = || resource("ssh", "red", &["10.0.0.1"], Tcp, &[]);
    let far = || resource("far", "blue", &["10.1.0.9"], Any, &[]);
    vec![
        row(
            "a source network that is not there",
            vec![blue(), web(), red_to_blue(1, &[("web", Connect)])],
            first(),
            "network \"red\" is not in force here",
        ),
        row(
            "a destination network that is not there",
            vec![red(), web(), red_to_blue(1, &[("web", Connect)])],
            first(),
            "network \"blue\" is not in force here",
        ),
        row(
            "a resource that is not there",
            vec![red(), blue(), red_to_blue(1, &[("web", Connect)])],
            first(),
            "resource \"web\" does not exist",
        ),
        row(
            "a resource of another network",
            vec![red(), blue(), ssh(), red_to_blue(1, &[("ssh", Full)])],
            first(),
            "resource \"ssh\" belongs to network \"red\", not to the destination network \"blue\"",
        ),
        row(
            "a resource whose address lives nowhere",
            vec![red(), blue(), far(), red_to_blue(1, &[("far", Full)])],
            first(),
            "network \"blue\" declares no endpoint for 10.1.0.9",
        ),
        row(
            "an underlay of IPv6",
            vec![
                red(),
                network("blue", "default", 77, 4789, &[("10.1.0.1", "2001:db8::2")]),
                web(),
                red_to_blue(1, &[("web", Connect)]),
            ],
            first(),
            "the vtep 2001:db8::2 of endpoint 10.1.0.1 is not an IPv4 address",
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
             \"navy\"",
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
             \"rose\"",
        ),
        row(
            "source and destination that overlap, under one label",
            [vec![red()], navy("10.0.0.1").into(), vec![to_navy(1)]].concat(),
            first(),
            "the destination 10.0.0.1 would be ambiguous: it leads to network \"navy\" already, and would lead to \
             \"red\"",
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
            "answers to 10.0.0.1 would be ambiguous: more than one mapping with the same source address leads here",
        ),
    ]
}

#[test]
fn what_can_not_be_in_force_is_refused_in_these_words_and_leaves_nothing_behind() {
    for row in [networks(), references(), conflicts()].into_iter().flatten() {
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
