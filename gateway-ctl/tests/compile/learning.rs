//! Endpoints learned from traffic: which are believed, and what the compiler makes of them.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::time::Duration;

use isthmus::gateway::compile::{Learned, Site, compile};
use isthmus::gateway::learned::{Bounds, Change, LearnedEndpoints};
use isthmus::gateway::plan::Plan;
use isthmus::gateway::replica::Replica;
use isthmus::model::AccessLevel::Connect;
use isthmus::model::{Mac, Spec};
use isthmus_common::address::Address;
use isthmus_common::scope::Scope;
use isthmus_common::tables::{Sighting, TargetKey};

use crate::objects::{network, replica};
use crate::{
    BLUE_VTEP, RED_VTEP, address, blue, endpoint_way, key, label_scope, learning, red, red_to_blue, resource,
    vni_scope,
};

const MAC: [u8; 6] = [2, 0, 0, 0, 0, 1];
const OTHER_VTEP: &str = "192.0.2.9";
const SECOND: u64 = 1_000_000_000;
const OWN: &str = "192.0.2.254";

/// The gateway's memory, and what is declared.
struct Fixture {
    learned: LearnedEndpoints,
    replica: Replica,
    plan: Plan,
}

impl Fixture {
    /// At most two endpoints a network, each for ten seconds.
    fn new(objects: impl IntoIterator<Item = Spec>) -> Self {
        let replica = replica(objects);
        let plan = compile(&replica, &Site::default());
        let bounds = Bounds { per_network: 2, age: Duration::from_secs(10) };
        Self { learned: LearnedEndpoints::new(bounds), replica, plan }
    }

    fn observe(&mut self, sightings: &[(TargetKey, Sighting)], now: u64) -> Change {
        let own = BTreeSet::from([address(OWN)]);
        self.learned.observe(sightings, &self.replica, &self.plan, &own, now * SECOND)
    }

    /// Other objects are declared.
    fn declare(&mut self, objects: impl IntoIterator<Item = Spec>) {
        self.replica = replica(objects);
        self.plan = compile(&self.replica, &Site::default());
    }

    /// What is believed: network, address, where it is.
    fn beliefs(&self) -> Vec<(String, String, String)> {
        let learned = self.learned.current();
        let all =
            learned.iter().flat_map(|(network, entries)| entries.iter().map(move |entry| (network, entry)));
        all.map(|(network, (address, learned))| {
            (
                network.clone(),
                address.to_string(),
                learned.vtep.map_or_else(String::new, |vtep| vtep.to_string()),
            )
        })
        .collect()
    }
}

fn belief(network: &str, address: &str, vtep: &str) -> (String, String, String) {
    (network.to_owned(), address.to_owned(), vtep.to_owned())
}

/// Seen in a scope, at a tunnel endpoint, at that second.
fn seen(scope: Scope, at: &str, vtep: &str, second: u64) -> (TargetKey, Sighting) {
    let vtep = address(vtep).into();
    (key(scope, at), Sighting { seen: second * SECOND, vtep, mac: MAC, reserved: [0; 2] })
}

fn in_red(at: &str, vtep: &str, second: u64) -> (TargetKey, Sighting) {
    seen(vni_scope(42), at, vtep, second)
}

fn learning_red() -> Fixture {
    Fixture::new([learning(red()), blue()])
}

#[test]
fn what_is_seen_is_learned_once() {
    let mut fixture = learning_red();
    let sightings = [in_red("10.0.0.7", RED_VTEP, 1)];
    assert!(fixture.learned.is_empty());
    assert_eq!(fixture.observe(&sightings, 1), Change { is_needed: true, stale: vec![] });
    assert_eq!(fixture.observe(&sightings, 2), Change::default(), "nothing new");
    assert_eq!(fixture.beliefs(), [belief("red", "10.0.0.7", RED_VTEP)]);
    let listed: Vec<_> =
        fixture.learned.list(4 * SECOND).map(|(_, _, learned, ago)| (learned.mac, ago)).collect();
    assert_eq!(listed, [(Mac(MAC), Duration::from_secs(3))]);
}

#[test]
fn a_sighting_that_can_not_be_true_is_not_believed() {
    let with_mac = |mac: [u8; 6]| {
        let (key, sighting) = in_red("10.0.0.7", RED_VTEP, 1);
        (key, Sighting { mac, ..sighting })
    };
    let of_mac = TargetKey { scope: vni_scope(42), address: Address::mac(MAC) };
    for (name, sighting) in [
        ("declared: an endpoint", in_red("10.0.0.1", OTHER_VTEP, 1)),
        ("declared: the network's gateway address", in_red("10.0.0.254", RED_VTEP, 1)),
        ("outside the prefixes", in_red("192.168.0.1", RED_VTEP, 1)),
        ("outside the prefixes, IPv6", in_red("2001:db8::1", RED_VTEP, 1)),
        ("no host: multicast", in_red("239.0.0.1", RED_VTEP, 1)),
        ("no host: loopback", in_red("127.0.0.1", RED_VTEP, 1)),
        ("no host: broadcast", in_red("255.255.255.255", RED_VTEP, 1)),
        ("no host: unspecified", in_red("0.0.0.0", RED_VTEP, 1)),
        ("no host: a MAC", (of_mac, in_red("10.0.0.7", RED_VTEP, 1).1)),
        ("behind the gateway itself", in_red("10.0.0.7", OWN, 1)),
        ("behind a group", in_red("10.0.0.7", "239.1.1.1", 1)),
        ("behind everybody", in_red("10.0.0.7", "255.255.255.255", 1)),
        ("behind loopback", in_red("10.0.0.7", "127.0.0.1", 1)),
        ("behind a link", in_red("10.0.0.7", "fe80::1", 1)),
        ("a MAC of a group", with_mac([3, 0, 0, 0, 0, 1])),
        ("a MAC of everybody", with_mac([0xff; 6])),
        ("a MAC of nobody", with_mac([0; 6])),
    ] {
        let mut wide = learning(red());
        if let Spec::Network(network) = &mut wide {
            network.gateway_address = Some(address("10.0.0.254"));
            // Whatever is not for its address is for another reason.
            if name.starts_with("no host") {
                network.prefixes = vec!["0.0.0.0/0".parse().unwrap(), "::/0".parse().unwrap()];
            }
        }
        let mut fixture = Fixture::new([wide, blue()]);
        assert_eq!(fixture.observe(&[sighting], 1), Change::default(), "{name}");
        assert!(fixture.learned.is_empty(), "{name}");
        assert_eq!(fixture.learned.turned_away(), 0, "{name}");
    }
}

#[test]
fn a_sighting_is_good_for_the_network_it_was_in_and_no_other() {
    let mut fixture = Fixture::new([learning(red()), learning(blue())]);
    fixture.observe(&[in_red("10.0.0.7", RED_VTEP, 1), seen(vni_scope(77), "10.0.0.7", BLUE_VTEP, 1)], 1);
    assert_eq!(
        fixture.beliefs(),
        [belief("blue", "10.0.0.7", BLUE_VTEP), belief("red", "10.0.0.7", RED_VTEP)]
    );
}

#[test]
fn nothing_is_learned_where_nobody_learns() {
    let foreign = [
        seen(vni_scope(77), "10.1.0.7", BLUE_VTEP, 1),
        seen(vni_scope(99), "10.1.0.7", BLUE_VTEP, 1),
        seen(label_scope(1), "10.1.0.7", BLUE_VTEP, 1),
    ];
    let mut fixture = learning_red();
    let change = fixture.observe(&foreign, 1);
    assert_eq!(change, Change { is_needed: false, stale: foreign.map(|(key, _)| key).to_vec() });
    assert!(fixture.learned.is_empty());
}

#[test]
fn a_full_network_keeps_whom_it_has_and_crowds_out_nobody_else_s() {
    let mut fixture = Fixture::new([learning(red()), learning(blue())]);
    let all: Vec<_> = (1..=4).map(|host| in_red(&format!("10.0.1.{host}"), RED_VTEP, 1)).collect();
    fixture.observe(&all, 1);
    let first = fixture.beliefs();
    assert_eq!((first.len(), fixture.learned.turned_away()), (2, 2));
    // Who is there may move though the network is full.
    fixture.observe(&[in_red(&first[0].1, OTHER_VTEP, 2), seen(vni_scope(77), "10.1.1.1", BLUE_VTEP, 2)], 2);
    assert_eq!(
        fixture.beliefs(),
        [belief("blue", "10.1.1.1", BLUE_VTEP), belief("red", &first[0].1, OTHER_VTEP), first[1].clone()]
    );
    // Whoever leaves makes room.
    fixture.observe(&[], 12);
    assert_eq!(fixture.beliefs().len(), 2, "those of the second 2");
    fixture.observe(&[in_red("10.0.1.9", RED_VTEP, 12)], 12);
    assert_eq!(fixture.beliefs().len(), 3);
}

#[test]
fn who_is_not_seen_is_forgotten_here_and_in_the_data_plane() {
    let mut fixture = learning_red();
    let sighting = in_red("10.0.0.7", RED_VTEP, 1);
    fixture.observe(&[sighting], 1);
    assert_eq!(fixture.observe(&[sighting], 11), Change::default(), "ten seconds are not too many");
    assert_eq!(fixture.observe(&[sighting], 12), Change { is_needed: true, stale: vec![sighting.0] });
    assert!(fixture.learned.is_empty());
    assert!(fixture.observe(&[in_red("10.0.0.7", RED_VTEP, 12)], 12).is_needed, "and learned again");
}

#[test]
fn being_seen_keeps_an_endpoint() {
    let mut fixture = learning_red();
    for second in [1, 8, 15, 22] {
        let change = fixture.observe(&[in_red("10.0.0.7", RED_VTEP, second)], second);
        assert_eq!(change.is_needed, second == 1, "second {second}");
    }
}

#[test]
fn an_endpoint_moves_by_the_newer_sighting() {
    let mut fixture = learning_red();
    fixture.observe(&[in_red("10.0.0.7", RED_VTEP, 5)], 5);
    assert_eq!(fixture.observe(&[in_red("10.0.0.7", OTHER_VTEP, 4)], 6), Change::default(), "it is older");
    assert_eq!(fixture.learned.moves(), 0);
    assert!(fixture.observe(&[in_red("10.0.0.7", OTHER_VTEP, 6)], 6).is_needed);
    assert_eq!(fixture.learned.moves(), 1);
    assert_eq!(fixture.beliefs(), [belief("red", "10.0.0.7", OTHER_VTEP)]);
}

#[test]
fn what_is_declared_later_wins_over_what_was_learned() {
    let mut fixture = learning_red();
    let sighting = in_red("10.0.0.7", RED_VTEP, 1);
    fixture.observe(&[sighting], 1);
    let declared = network("red", "default", 42, 4789, &[("10.0.0.7", OTHER_VTEP)]);
    fixture.declare([learning(declared), blue()]);
    assert!(fixture.observe(&[sighting], 2).is_needed);
    assert!(fixture.learned.is_empty());
}

#[test]
fn a_network_that_stops_learning_or_goes_forgets() {
    for (name, objects) in [("stops", vec![red(), blue()]), ("goes", vec![blue()])] {
        let mut fixture = learning_red();
        let sighting = in_red("10.0.0.7", RED_VTEP, 1);
        fixture.observe(&[sighting], 1);
        fixture.declare(objects);
        assert_eq!(
            fixture.observe(&[sighting], 2),
            Change { is_needed: true, stale: vec![sighting.0] },
            "{name}"
        );
        assert!(fixture.learned.is_empty(), "{name}");
    }
}

/// A site that has learned where this address of blue is.
fn site_with(at: &str, vtep: &str) -> Site {
    let learned = Learned { mac: Mac(MAC), vtep: Some(address(vtep)) };
    let of_blue: BTreeMap<IpAddr, Learned> = BTreeMap::from([(address(at), learned)]);
    Site { learned: BTreeMap::from([("blue".to_owned(), of_blue)]), ..Site::default() }
}

fn to(at: &str, blue: Spec) -> [Spec; 4] {
    let web = resource("web", "blue", &[at], crate::Tcp, &[(80, 80)]);
    [red(), blue, web, red_to_blue(1, &[("web", Connect)])]
}

#[test]
fn a_learned_endpoint_is_used() {
    let plan = compile(&replica(to("10.1.0.7", learning(blue()))), &site_with("10.1.0.7", OTHER_VTEP));
    assert_eq!(plan.refused, []);
    assert_eq!(plan.targets[&key(vni_scope(42), "10.1.0.7")].way, endpoint_way(OTHER_VTEP));
}

#[test]
fn a_learned_asker_is_answered() {
    let objects = [
        red(),
        learning(blue()),
        resource("ssh", "red", &["10.0.0.1"], crate::Tcp, &[(22, 22)]),
        Spec::Mapping(crate::mapping(1, "blue", "red", &[("ssh", Connect)])),
    ];
    let plan = compile(&replica(objects), &site_with("10.1.0.7", OTHER_VTEP));
    for scope in [vni_scope(42), label_scope(1)] {
        let target = &plan.targets[&key(scope, "10.1.0.7")];
        assert_eq!((&target.way, target.answers.is_some()), (&endpoint_way(OTHER_VTEP), true));
        assert!(plan.targets.contains_key(&key(scope, "10.1.0.1")), "the declared ones as well");
    }
}

#[test]
fn what_is_declared_wins() {
    let plan = compile(&replica(to("10.1.0.1", learning(blue()))), &site_with("10.1.0.1", OTHER_VTEP));
    assert_eq!(plan.targets[&key(vni_scope(42), "10.1.0.1")].way, endpoint_way(BLUE_VTEP));
}

#[test]
fn an_endpoint_that_is_still_to_be_learned_has_a_target_without_way() {
    let plan = compile(&replica(to("10.1.0.7", learning(blue()))), &Site::default());
    assert_eq!(plan.refused, []);
    let target = &plan.targets[&key(vni_scope(42), "10.1.0.7")];
    assert_eq!((&target.way, target.forward.is_some()), (&None, true));
}

#[test]
fn what_was_learned_is_not_used_once_the_network_does_not_learn() {
    let plan = compile(&replica(to("10.1.0.7", blue())), &site_with("10.1.0.7", OTHER_VTEP));
    let told: Vec<_> = plan.refused.iter().map(|refusal| refusal.reason.as_str()).collect();
    assert_eq!(
        told,
        [
            "network \"blue\" declares no endpoint for 10.1.0.7; declare where it lives, or let the network learn it \
          with `learning: true`"
        ]
    );
}

#[test]
fn another_network_s_endpoints_are_not_used() {
    let mut site = site_with("10.1.0.7", OTHER_VTEP);
    let of_blue = site.learned.remove("blue").unwrap();
    site.learned.insert("red".to_owned(), of_blue);
    let plan = compile(&replica(to("10.1.0.7", learning(blue()))), &site);
    assert_eq!(plan.targets[&key(vni_scope(42), "10.1.0.7")].way, None);
}

#[test]
fn only_frames_of_a_network_that_learns_teach_something() {
    let plan = compile(&replica(to("10.1.0.1", learning(blue()))), &Site::default());
    for (key, target) in &plan.targets {
        assert_eq!(target.learns, key.scope == vni_scope(77), "{key:?}");
    }
    for (scope, known) in &plan.scopes {
        assert_eq!(known.learns, *scope == vni_scope(77), "{scope:?}");
    }
}
