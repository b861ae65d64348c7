//! One row a rule, with the text that breaking it gets.

mod encapsulations;
mod gateways;

use super::*;
use crate::manifest;

const BASE: &str = "
kind: Network
name: red
encapsulation: vxlan
vni: 42
prefixes: [10.0.0.0/24]
endpoints: [{address: 10.0.0.10, vtep: 192.0.2.10}]
---
kind: Network
name: blue
encapsulation: vxlan
vni: 77
prefixes: [10.0.0.0/24]
endpoints: [{address: 10.0.0.20, vtep: 192.0.2.20}, {address: 10.0.0.21, vtep: 192.0.2.20}]
---
kind: Resource
resource_id: inference
network: blue
addresses: [10.0.0.20]
protocol: tcp
ports: [8080]
---
kind: Mapping
unique_identifier: 7b0d6f0e-8a1c-4c53-9d0e-2f6a4f6d9a11
source_network: red
destination_network: blue
resource_mapping: {inference: connect}
";

const MAPPING: &str = "mapping/7b0d6f0e-8a1c-4c53-9d0e-2f6a4f6d9a11";

fn puts(text: &str) -> Vec<Change> {
    let manifest = manifest::parse([("m.yaml", text)]).unwrap();
    manifest.into_specs().into_iter().map(Change::put).collect()
}

fn base() -> Federation {
    let mut federation = Federation::new(LabelRange::DEFAULT);
    federation.apply(&puts(BASE)).unwrap();
    federation
}

fn network(name: &str, vni: u32, addresses: &[&str]) -> String {
    let endpoints: Vec<_> =
        addresses.iter().map(|address| format!("{{address: {address}, vtep: 192.0.2.9}}")).collect();
    format!(
        "kind: Network\nname: {name}\nencapsulation: vxlan\nvni: {vni}\nprefixes: [10.0.0.0/24]\nendpoints: [{}]\n",
        endpoints.join(", ")
    )
}

fn geneve(name: &str, vni: u32) -> String {
    network(name, vni, &[]).replace("vxlan", "geneve")
}

fn resource(name: &str, network: &str, rest: &str) -> String {
    format!("kind: Resource\nresource_id: {name}\nnetwork: {network}\n{rest}\n")
}

fn mapping(last: u8, source: &str, destination: &str, rest: &str) -> String {
    format!(
        "kind: Mapping\nunique_identifier: 7b0d6f0e-8a1c-4c53-9d0e-2f6a4f6d9a{last:02x}\nsource_network: {source}\n\
         destination_network: {destination}\n{rest}\n"
    )
}

fn all(documents: &[String]) -> String {
    documents.join("---\n")
}

/// Rule, what breaks it, the text that gets.
fn refuses<const N: usize>(table: [(&str, String, String); N]) {
    for (rule, text, expected) in table {
        let refusal = base().plan(&puts(&text)).expect_err(rule);
        assert_eq!((refusal.reason, refusal.to_string()), (Reason::Invalid, expected), "{rule}");
    }
}

#[test]
fn breaking_a_rule_between_encapsulations_gets_its_text() {
    refuses([
        (
            "a VNI is used once within a provider",
            network("green", 42, &[]),
            "changes[0].network.encapsulation.vxlan.vni: 42 is the VNI of network red already; within provider default each vxlan network needs its own".to_owned(),
        ),
        (
            "a VNI is no label",
            network("green", 15_728_640, &[]),
            "changes[0].network.encapsulation.vxlan.vni: 15728640 lies in the label range 15728640-16777215, which names mappings; use a VNI outside it".to_owned(),
        ),
        (
            "a VNI is no label with Geneve either",
            geneve("green", 15_728_640),
            "changes[0].network.encapsulation.geneve.vni: 15728640 lies in the label range 15728640-16777215, which names mappings; use a VNI outside it".to_owned(),
        ),
        (
            "a VNI is used once within a provider with Geneve too",
            all(&[geneve("green", 42), geneve("yellow", 42)]),
            "changes[1].network.encapsulation.geneve.vni: 42 is the VNI of network green already; within provider default each geneve network needs its own".to_owned(),
        ),
        (
            "a port carries one encapsulation, whoever the provider",
            geneve("green", 1).replace("prefixes", "provider: other\nudp_port: 4789\nprefixes"),
            "changes[0].network.encapsulation.geneve.udp_port: 4789 carries vxlan already, for network blue; a port says how its packets are read, so geneve needs another".to_owned(),
        ),
        (
            "a port that becomes another encapsulation's is laid at the changed network's door",
            all(&[geneve("green", 1), network("red", 42, &["10.0.0.10"]).replace("prefixes", "udp_port: 6081\nprefixes")]),
            "changes[1].network.encapsulation.vxlan.udp_port: 6081 carries geneve already, for network green; a port says how its packets are read, so vxlan needs another".to_owned(),
        ),
    ]);
}

#[test]
fn breaking_a_rule_between_objects_gets_its_text() {
    let table = [
        (
            "a resource's network exists",
            resource("web", "bleu", "addresses: [10.0.0.20]"),
            "changes[0].resource.network: there is no network \"bleu\"; did you mean blue?".to_owned(),
        ),
        (
            "a resource's addresses have endpoints",
            resource("web", "blue", "addresses: [10.0.0.20, 10.0.0.99]"),
            "changes[0].resource.addresses[1]: network blue has no endpoint with address 10.0.0.99; declare where it lives first".to_owned(),
        ),
        (
            "an endpoint that a resource needs stays",
            network("blue", 77, &["10.0.0.21"]),
            "changes[0].network.endpoints: resource/inference needs an endpoint with address 10.0.0.20; keep it, or change the resource first".to_owned(),
        ),
        (
            "a mapping's networks exist",
            mapping(0x12, "rad", "green", "resource_mapping: {}"),
            "changes[0].mapping.source_network: there is no network \"rad\"; did you mean red?\n\
             changes[0].mapping.destination_network: there is no network \"green\"".to_owned(),
        ),
        (
            "a mapping's resources exist",
            mapping(0x12, "red", "blue", "resource_mapping: {inferense: full}"),
            "changes[0].mapping.resource_mapping[inferense]: there is no resource \"inferense\"; did you mean inference?".to_owned(),
        ),
        (
            "a mapping's resources belong to its destination",
            mapping(0x12, "blue", "red", "resource_mapping: {inference: full}"),
            "changes[0].mapping.resource_mapping[inference]: resource/inference belongs to network blue, but mapping/7b0d6f0e-8a1c-4c53-9d0e-2f6a4f6d9a12 leads to network red\n\
             changes[0].mapping.resource_mapping[inference]: 10.0.0.20 of resource/inference is also the address of an endpoint in the source network blue; a switched mapping does not translate addresses".to_owned(),
        ),
        (
            "a mapped resource stays in its network",
            resource("inference", "red", "addresses: [10.0.0.10]"),
            format!("changes[0].resource.network: resource/inference belongs to network red, but {MAPPING} leads to network blue\n\
             changes[0].resource.addresses: 10.0.0.10 of resource/inference is also the address of an endpoint in the source network red; a switched mapping does not translate addresses"),
        ),
        (
            "a source network does not take a mapped address",
            network("red", 42, &["10.0.0.20"]),
            "changes[0].network.endpoints: 10.0.0.20 of resource/inference is also the address of an endpoint in the source network red; a switched mapping does not translate addresses".to_owned(),
        ),
        (
            "two mappings do not claim the same traffic",
            mapping(0x12, "red", "blue", "resource_mapping: {inference: full}"),
            format!("changes[0].mapping.resource_mapping[inference]: mapping/7b0d6f0e-8a1c-4c53-9d0e-2f6a4f6d9a12 and {MAPPING} both lead from network red to 10.0.0.20 (resource/inference and resource/inference) with overlapping protocol and ports"),
        ),
        (
            "a changed resource does not make two mappings claim the same traffic",
            all(&[
                resource("web", "blue", "addresses: [10.0.0.20]\nprotocol: tcp\nports: [8000-9000]"),
                mapping(0x12, "red", "blue", "resource_mapping: {web: full}"),
            ]),
            format!("changes[1].mapping.resource_mapping[web]: mapping/7b0d6f0e-8a1c-4c53-9d0e-2f6a4f6d9a12 and {MAPPING} both lead from network red to 10.0.0.20 (resource/web and resource/inference) with overlapping protocol and ports"),
        ),
        (
            "one mapping does not give the same traffic two levels",
            all(&[
                resource("web", "blue", "addresses: [10.0.0.20]\nprotocol: tcp\nports: [8080]"),
                mapping(0x11, "red", "blue", "resource_mapping: {inference: connect, web: full}"),
            ]),
            format!("changes[1].mapping.resource_mapping[web]: resource/web and resource/inference are the same traffic to 10.0.0.20, but {MAPPING} gives them different levels"),
        ),
        (
            "a label lies in the range",
            mapping(0x12, "red", "blue", "label: 42\nresource_mapping: {}"),
            "changes[0].mapping.label: 42 lies outside the label range 15728640-16777215; leave it out to let the broker choose".to_owned(),
        ),
        (
            "a label is used once",
            mapping(0x12, "red", "blue", "label: 15728640\nresource_mapping: {}"),
            format!("changes[0].mapping.label: 15728640 is the label of {MAPPING} already; leave it out to let the broker choose"),
        ),
    ];
    refuses(table);
}

#[test]
fn what_breaks_no_rule_is_accepted() {
    let table = [
        (
            "two networks swap VNIs",
            all(&[network("red", 77, &["10.0.0.10"]), network("blue", 42, &["10.0.0.20"])]),
        ),
        (
            "another provider uses the same VNI",
            network("green", 42, &[]).replace("encapsulation", "provider: other\nencapsulation"),
        ),
        ("another encapsulation uses the same VNI", geneve("green", 42)),
        (
            "networks of one encapsulation share a port that is not its default",
            all(&[
                geneve("green", 1).replace("prefixes", "udp_port: 7000\nprefixes"),
                geneve("yellow", 2).replace("prefixes", "udp_port: 7000\nprefixes"),
            ]),
        ),
        (
            "a network changes its encapsulation and frees its VNI in the old one",
            all(&[
                geneve("red", 42)
                    .replace("endpoints: []", "endpoints: [{address: 10.0.0.10, vtep: 192.0.2.10}]"),
                network("green", 42, &[]),
            ]),
        ),
        (
            "two mappings share an address by port",
            all(&[
                resource("web", "blue", "addresses: [10.0.0.20]\nprotocol: tcp\nports: [80]"),
                mapping(0x12, "red", "blue", "resource_mapping: {web: full}"),
            ]),
        ),
        (
            "the more specific resource of one mapping has another level",
            all(&[
                resource("all", "blue", "addresses: [10.0.0.20]"),
                mapping(0x11, "red", "blue", "resource_mapping: {inference: connect, all: none}"),
            ]),
        ),
    ];
    for (case, text) in table {
        base().apply(&puts(&text)).unwrap_or_else(|refusal| panic!("{case}: {refusal}"));
    }
}

#[test]
fn a_stale_version_is_refused_with_both_versions() {
    let mut federation = base();
    let change = |expected| {
        let mut change = puts(&network("red", 43, &["10.0.0.10"])).remove(0);
        change.expected_version = Some(expected);
        [change]
    };
    let refused = |federation: &Federation, expected| {
        let refusal = federation.plan(&change(expected)).unwrap_err();
        assert_eq!(refusal.reason, Reason::Conflict);
        refusal.to_string()
    };
    assert_eq!(refused(&federation, 0), "changes[0]: network/red exists already, at version 1");
    assert_eq!(
        refused(&federation, 7),
        "changes[0]: network/red is at version 1, but the change expects version 7; read it again"
    );
    federation.apply(&change(1)).unwrap();
    assert_eq!(
        refused(&federation, 1),
        "changes[0]: network/red is at version 2, but the change expects version 1; read it again"
    );
    let mut delete = Change::delete(ObjectRef::network("green"));
    delete.expected_version = Some(3);
    assert_eq!(
        federation.plan(&[delete]).unwrap_err().to_string(),
        "changes[0]: network/green does not exist, but the change expects version 3"
    );
}

#[test]
fn what_is_still_used_is_not_deleted() {
    let mut federation = base();
    for (name, expected) in [
        (
            ObjectRef::network("red"),
            format!("changes[0]: network/red is still used by {MAPPING}; delete it first"),
        ),
        (
            ObjectRef::network("blue"),
            format!(
                "changes[0]: network/blue is still used by resource/inference, {MAPPING}; delete them first"
            ),
        ),
        (
            ObjectRef::resource("inference"),
            format!("changes[0]: resource/inference is still used by {MAPPING}; delete it first"),
        ),
    ] {
        let refusal = federation.plan(&[Change::delete(name)]).unwrap_err();
        assert_eq!((refusal.reason, refusal.to_string()), (Reason::StillReferenced, expected));
    }
    let refusal = federation.plan(&[Change::delete(ObjectRef::network("rad"))]).unwrap_err();
    assert_eq!(
        (refusal.reason, refusal.to_string()),
        (Reason::NotFound, "changes[0]: network/rad does not exist; did you mean red?".to_owned())
    );
    let everything: Vec<_> =
        federation.objects().map(|object| Change::delete(object.spec.object_ref())).collect();
    assert_eq!(federation.apply(&everything).unwrap().revision, 2);
    assert_eq!(federation.objects().count(), 0);
}

#[test]
fn what_changes_nothing_makes_no_revision() {
    let mut federation = base();
    let applied = federation.apply(&puts(BASE)).unwrap();
    assert_eq!(applied.revision, 1);
    assert!(applied.results.iter().all(|(outcome, object)| {
        *outcome == Outcome::Unchanged && object.metadata == Metadata { version: 1, revision: 1 }
    }));
    let applied = federation.apply(&puts(&network("red", 43, &["10.0.0.10"]))).unwrap();
    assert_eq!((applied.revision, applied.results[0].0), (2, Outcome::Updated));
    assert_eq!(applied.results[0].1.metadata, Metadata { version: 2, revision: 2 });
}

#[test]
fn one_object_twice_in_a_request_is_refused() {
    let mut changes = puts(&network("red", 43, &["10.0.0.10"]));
    changes.push(Change::delete(ObjectRef::network("red")));
    assert_eq!(
        base().plan(&changes).unwrap_err().to_string(),
        "changes[1]: network/red is changed twice, first in changes[0]"
    );
}

fn label(federation: &Federation, last: u8) -> u32 {
    let suffix = format!("{last:02x}");
    let mut mappings = federation.mappings().map(|(mapping, _)| mapping);
    mappings
        .find(|mapping| mapping.unique_identifier.to_string().ends_with(&suffix))
        .unwrap()
        .label
        .unwrap()
        .get()
}

#[test]
fn labels_go_round_the_range_and_stay_with_their_mapping() {
    let range = LabelRange::new(Label::new(100).unwrap(), Label::new(102).unwrap()).unwrap();
    let mut federation = Federation::new(range);
    federation.apply(&puts(&[network("red", 1, &[]), network("blue", 2, &[])].join("---\n"))).unwrap();
    let empty = |last| puts(&mapping(last, "red", "blue", "resource_mapping: {}"));
    let delete = |federation: &Federation, last| {
        let object = federation.mappings().find(|(_, metadata)| metadata.version == last).unwrap();
        Change::delete(ObjectRef::mapping(object.0.unique_identifier))
    };
    federation.apply(&empty(0x01)).unwrap();
    federation.apply(&empty(0x02)).unwrap();
    assert_eq!((label(&federation, 0x01), label(&federation, 0x02)), (100, 101));

    // Freed labels wait until the range has been gone through.
    let first = delete(&federation, 1);
    federation.apply(&[first]).unwrap();
    federation.apply(&empty(0x03)).unwrap();
    federation.apply(&empty(0x04)).unwrap();
    assert_eq!((label(&federation, 0x03), label(&federation, 0x04)), (102, 100));

    // An update without a label keeps it.
    federation.apply(&puts(&mapping(0x02, "blue", "red", "resource_mapping: {}"))).unwrap();
    assert_eq!(label(&federation, 0x02), 101);

    let refusal = federation.plan(&empty(0x05)).unwrap_err().to_string();
    assert_eq!(
        refusal,
        "changes[0].mapping.label: all labels of the range 100-102 are taken; delete mappings or start the broker with a wider --label-range"
    );
}
