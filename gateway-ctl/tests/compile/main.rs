//! What the compiler refuses, in its exact words, and what it joins.
#![expect(clippy::unwrap_used, reason = "a test that can't be set up has failed")]

mod learning;
#[path = "../packets/objects.rs"]
mod objects;
mod places;
mod refusals;
mod remote;

use std::collections::BTreeMap;
use std::net::IpAddr;

use isthmus::gateway::compile::{Site, compile};
use isthmus::gateway::plan::{Peer, Plan, PlannedRule, Way};
use isthmus::model::AccessLevel::{self, Connect, Full, None as Nothing, Observe};
use isthmus::model::Protocol::{self, Any, Icmp, Tcp, Udp};
use isthmus::model::{Gateway, PortRange, Spec};
use isthmus_common::address::Address;
use isthmus_common::encapsulation::Encapsulation as Wire;
use isthmus_common::id::Label;
use isthmus_common::scope::{Scope, Underlay};
use isthmus_common::tables::TargetKey;

use objects::{identifier, label, mapping, network, replica, resource};

const RED_VTEP: &str = "192.0.2.1";
const BLUE_VTEP: &str = "192.0.2.2";

fn red() -> Spec {
    network("red", "default", 42, 4789, &[("10.0.0.1", RED_VTEP)])
}

fn blue() -> Spec {
    network("blue", "default", 77, 4789, &[("10.1.0.1", BLUE_VTEP), ("10.1.0.2", BLUE_VTEP)])
}

fn web() -> Spec {
    resource("web", "blue", &["10.1.0.1"], Tcp, &[(80, 80)])
}

fn red_to_blue(number: u8, resources: &[(&str, AccessLevel)]) -> Spec {
    Spec::Mapping(mapping(number, "red", "blue", resources))
}

fn vni_scope(vni: u32) -> Scope {
    Scope::network(Underlay::SHARED, Wire::Vxlan, vni)
}

/// A gateway of the federation, with the port that gateways have.
fn gateway(name: &str, at: &str) -> Spec {
    Spec::Gateway(Gateway {
        name: name.to_owned(),
        provider: "default".to_owned(),
        addresses: vec![address(at)],
        udp_port: 6081,
    })
}

/// The network, behind a gateway.
fn behind(mut spec: Spec, gateway: &str) -> Spec {
    if let Spec::Network(network) = &mut spec {
        network.gateway = Some(gateway.to_owned());
    }
    spec
}

/// The network, learning its endpoints.
fn learning(mut spec: Spec) -> Spec {
    if let Spec::Network(network) = &mut spec {
        network.learning = true;
    }
    spec
}

fn label_scope(number: u8) -> Scope {
    Scope::label(Label::new(label(number)).unwrap())
}

fn address(text: &str) -> IpAddr {
    text.parse().unwrap()
}

/// What an address is in a scope.
fn key(scope: Scope, text: &str) -> TargetKey {
    TargetKey { scope, address: address(text).into() }
}

/// The way to a tunnel endpoint on the shared underlay.
#[expect(clippy::unnecessary_wraps, reason = "it is compared with what a target has")]
fn endpoint_way(vtep: &str) -> Option<Way> {
    Some(Way::Endpoint { underlay: Underlay::SHARED, vtep: address(vtep) })
}

#[test]
fn of_two_that_exclude_each_other_the_older_stays_whatever_their_names() {
    let objects = [network("zebra", "b", 42, 4789, &[]), network("ant", "a", 42, 4789, &[])];
    let plan = compile(&replica(objects), &Site::default());
    let refused: Vec<_> = plan.refused.iter().map(|refusal| refusal.object.name.as_str()).collect();
    assert_eq!(refused, ["ant"]);
}

#[test]
fn a_provider_on_an_interface_of_its_own_may_use_the_same_vni() {
    let underlay = Underlay::new(2).unwrap();
    let site = Site { bound_providers: BTreeMap::from([("other".to_owned(), underlay)]), ..Site::default() };
    let plan = compile(&replica([red(), network("rose", "other", 42, 4789, &[])]), &site);
    assert_eq!(plan.refused, []);
    let scopes: Vec<Scope> = plan.scopes.keys().copied().collect();
    assert_eq!(scopes, [vni_scope(42), Scope::network(underlay, Wire::Vxlan, 42)]);
}

/// Mapping's number, protocol, ports, level.
type RuleFacts = (u8, Protocol, Option<(u16, u16)>, AccessLevel);

/// The rules on blue's first address, seen from red.
fn rules(objects: Vec<Spec>) -> Vec<RuleFacts> {
    let plan = compile(&replica(objects), &Site::default());
    assert_eq!(plan.refused, []);
    let key = key(vni_scope(42), "10.1.0.1");
    let rules = plan.targets[&key].forward.clone().unwrap();
    check_answers(&plan, &rules);
    let number = |rule: &PlannedRule| (1..10).find(|number| identifier(*number) == rule.mapping).unwrap();
    let ports = |PortRange { first, last }| (first, last);
    rules.iter().map(|rule| (number(rule), rule.protocol, rule.ports.map(ports), rule.level)).collect()
}

/// Answers are judged by the rules of the requests.
fn check_answers(plan: &Plan, rules: &[PlannedRule]) {
    let peer = Peer::Networks { from: "blue".to_owned(), toward: "red".to_owned() };
    assert_eq!(plan.policies[&(peer.clone(), Address::v4([10, 1, 0, 1]))], rules);
    let key = TargetKey { scope: vni_scope(77), address: Address::v4([10, 0, 0, 1]) };
    let target = &plan.targets[&key];
    assert_eq!(target.answers, Some(peer));
    assert_eq!((&target.way, &target.forward), (&endpoint_way(RED_VTEP), &None));
}

#[test]
fn the_most_specific_rule_comes_first() {
    let found = rules(vec![
        red(),
        blue(),
        resource("everything", "blue", &["10.1.0.1"], Any, &[]),
        resource("ping", "blue", &["10.1.0.1"], Icmp, &[]),
        resource("range", "blue", &["10.1.0.1"], Tcp, &[(80, 90)]),
        web(),
        resource("dns", "blue", &["10.1.0.1"], Udp, &[(53, 53)]),
        red_to_blue(1, &[("everything", Nothing), ("range", Connect), ("ping", Observe)]),
        red_to_blue(2, &[("web", Full), ("dns", Connect)]),
    ]);
    assert_eq!(
        found,
        [
            (2, Udp, Some((53, 53)), Connect),
            (2, Tcp, Some((80, 80)), Full),
            (1, Tcp, Some((80, 90)), Connect),
            (1, Icmp, None, Observe),
            (1, Any, None, Nothing),
        ]
    );
}

#[test]
fn of_equally_specific_rules_the_stricter_comes_first() {
    for (first, second) in [(Full, Nothing), (Nothing, Full), (Connect, Observe)] {
        let objects =
            vec![red(), blue(), web(), red_to_blue(1, &[("web", first)]), red_to_blue(2, &[("web", second)])];
        let found: Vec<AccessLevel> = rules(objects).iter().map(|rule| rule.3).collect();
        assert_eq!(found, [first.min(second), first.max(second)]);
    }
}

#[test]
fn both_directions_meet_in_one_target() {
    let plan = compile(
        &replica([
            red(),
            blue(),
            web(),
            resource("ssh", "red", &["10.0.0.1"], Tcp, &[(22, 22)]),
            red_to_blue(1, &[("web", Connect)]),
            Spec::Mapping(mapping(2, "blue", "red", &[("ssh", Connect)])),
        ]),
        &Site::default(),
    );
    assert_eq!(plan.refused, []);
    let key = TargetKey { scope: vni_scope(42), address: Address::v4([10, 1, 0, 1]) };
    let target = &plan.targets[&key];
    assert_eq!(target.forward.as_ref().unwrap()[0].mapping, identifier(1));
    let peer = Peer::Networks { from: "red".to_owned(), toward: "blue".to_owned() };
    assert_eq!(target.answers, Some(peer));
    // Under a label there is one mapping, and an address either asks or answers.
    for number in [1, 2] {
        let scope = label_scope(number);
        assert_eq!(plan.scopes[&scope].mapping, Some(identifier(number)));
        for (key, target) in plan.targets.iter().filter(|(key, _)| key.scope == scope) {
            assert_ne!(target.forward.is_some(), target.answers.is_some(), "{key:?}");
        }
    }
}
