//! Networks behind other gateways.

use isthmus::gateway::compile::{Site, compile};
use isthmus::gateway::plan::{Peer, Plan, Way};
use isthmus::model::AccessLevel::Connect;
use isthmus::model::Spec;
use isthmus_common::encapsulation::Encapsulation as Wire;
use isthmus_common::id::Label;
use isthmus_common::scope::{Scope, Underlay};

use crate::objects::{identifier, label, mapping, network, replica};
use crate::{
    BLUE_VTEP, RED_VTEP, behind, blue, endpoint_way, gateway, key, label_scope, learning, red, red_to_blue,
    vni_scope, web,
};

const HERE: &str = "198.51.100.1";
const THERE: &str = "198.51.100.2";

fn here() -> Site {
    Site { name: "here".to_owned(), ..Site::default() }
}

#[expect(clippy::unnecessary_wraps, reason = "it is compared with what a target has")]
fn way_there() -> Option<Way> {
    let addresses = vec![THERE.parse().unwrap()];
    Some(Way::Gateway { name: "there".to_owned(), underlay: Underlay::SHARED, addresses })
}

/// The plan for red, blue and a mapping from red to blue's web, by whose side each network is on.
fn plan(red: Spec, blue: Spec) -> Plan {
    let objects = [
        gateway("here", HERE),
        gateway("there", THERE),
        red,
        blue,
        web(),
        red_to_blue(1, &[("web", Connect)]),
    ];
    compile(&replica(objects), &here())
}

/// All targets: scope, address, way, whether it is stamped, whether it is asked, whether it is answered.
type Facts = (Scope, &'static str, Option<Way>, bool, bool, bool);

fn check(plan: &Plan, expected: &[Facts]) {
    assert_eq!(plan.refused, []);
    assert_eq!(plan.targets.len(), expected.len());
    for (scope, address, way, is_stamped, is_asked, is_answered) in expected {
        let target = &plan.targets[&key(*scope, address)];
        let found = (&target.way, target.is_stamped, target.forward.is_some(), target.answers.is_some());
        assert_eq!(found, (way, *is_stamped, *is_asked, *is_answered), "{address} in {scope:?}");
        if *is_stamped {
            assert_eq!(
                (target.encapsulation, target.port, target.number),
                (Wire::Geneve, 6081, 0),
                "{address}"
            );
        }
    }
}

#[test]
fn both_networks_here_need_no_stamp() {
    let label = label_scope(1);
    check(
        &plan(behind(red(), "here"), blue()),
        &[
            (vni_scope(42), "10.1.0.1", endpoint_way(BLUE_VTEP), false, true, false),
            (vni_scope(77), "10.0.0.1", endpoint_way(RED_VTEP), false, false, true),
            (label, "10.1.0.1", endpoint_way(BLUE_VTEP), false, true, false),
            (label, "10.0.0.1", endpoint_way(RED_VTEP), false, false, true),
        ],
    );
}

#[test]
fn requests_to_another_gateway_are_stamped() {
    let label = label_scope(1);
    let plan = plan(behind(red(), "here"), behind(blue(), "there"));
    check(
        &plan,
        &[
            (vni_scope(42), "10.1.0.1", way_there(), true, true, false),
            // What comes back is known by its label.
            (label, "10.1.0.1", way_there(), true, true, false),
            (label, "10.0.0.1", endpoint_way(RED_VTEP), false, false, true),
        ],
    );
    assert!(!plan.scopes.contains_key(&vni_scope(77)), "blue's own frames never come here");
    assert_eq!(plan.targets[&key(label, "10.0.0.1")].answers, Some(Peer::Label(identifier(1))));
    assert_eq!(plan.ports.get(&6081), Some(&Wire::Geneve));
}

#[test]
fn answers_to_another_gateway_are_stamped() {
    let label = label_scope(1);
    let plan = plan(behind(red(), "there"), blue());
    check(
        &plan,
        &[
            (vni_scope(77), "10.0.0.1", way_there(), true, false, true),
            (label, "10.1.0.1", endpoint_way(BLUE_VTEP), false, true, false),
            (label, "10.0.0.1", way_there(), true, false, true),
        ],
    );
    assert!(!plan.scopes.contains_key(&vni_scope(42)));
}

#[test]
fn both_ends_of_a_stamped_way_agree_on_label_and_version() {
    for objects in [(behind(red(), "there"), blue()), (behind(red(), "here"), behind(blue(), "there"))] {
        let stamp = plan(objects.0, objects.1).mappings[&identifier(1)];
        assert_eq!((stamp.label.map(Label::get), stamp.epoch), (Some(label(1)), 1));
    }
}

#[test]
fn an_epoch_is_the_low_half_of_the_version() {
    let mut replica = replica([red(), blue(), web(), red_to_blue(1, &[("web", Connect)])]);
    for mapping in replica.mappings.values_mut() {
        mapping.metadata.version = (3 << 32) + 7;
    }
    assert_eq!(compile(&replica, &here()).mappings[&identifier(1)].epoch, 7);
}

#[test]
fn what_is_behind_other_gateways_is_no_part_of_this_one_s_and_not_refused() {
    let plan = plan(behind(red(), "there"), behind(blue(), "there"));
    assert_eq!(
        (plan.refused.len(), plan.mappings.len(), plan.scopes.len(), plan.targets.len()),
        (0, 0, 0, 0)
    );
    assert_eq!(plan.policies.len(), 0);
}

#[test]
fn a_network_elsewhere_takes_no_number_or_port_here() {
    let rose = || behind(network("rose", "default", 42, 8472, &[("10.9.0.1", RED_VTEP)]), "there");
    let plan = plan(rose(), blue());
    assert!(!plan.ports.contains_key(&8472));
    let both = compile(&replica([gateway("there", THERE), rose(), red()]), &here());
    assert_eq!(both.refused, [], "the other gateway's VNI 42 is another one");
}

#[test]
fn without_a_name_every_network_without_gateway_is_here() {
    let plan =
        compile(&replica([red(), blue(), web(), red_to_blue(1, &[("web", Connect)])]), &Site::default());
    assert!(plan.targets.values().all(|target| !target.is_stamped));
}

#[test]
fn what_another_gateway_has_still_to_learn_is_sent_there() {
    let mut far = behind(learning(blue()), "there");
    if let Spec::Network(network) = &mut far {
        network.endpoints.clear();
    }
    let plan = plan(behind(red(), "here"), far);
    let target = &plan.targets[&key(vni_scope(42), "10.1.0.1")];
    assert_eq!((&target.way, target.is_stamped), (&way_there(), true));
}

#[test]
fn each_mapping_has_its_own_label_scope() {
    let objects = [
        gateway("there", THERE),
        red(),
        behind(blue(), "there"),
        web(),
        crate::resource("other", "blue", &["10.1.0.2"], crate::Tcp, &[]),
        red_to_blue(1, &[("web", Connect)]),
        Spec::Mapping(mapping(2, "red", "blue", &[("other", Connect)])),
    ];
    let plan = compile(&replica(objects), &here());
    assert_eq!(plan.refused, []);
    for (number, mine, foreign) in [(1, "10.1.0.1", "10.1.0.2"), (2, "10.1.0.2", "10.1.0.1")] {
        assert_eq!(plan.scopes[&label_scope(number)].mapping, Some(identifier(number)));
        assert!(plan.targets.contains_key(&key(label_scope(number), mine)));
        assert!(!plan.targets.contains_key(&key(label_scope(number), foreign)), "not in mapping {number}");
    }
}

#[test]
fn a_gateway_is_on_its_providers_underlay() {
    let Spec::Gateway(mut there) = gateway("there", THERE) else { unreachable!() };
    there.provider = "carrier".to_owned();
    let underlay = Underlay::new(2).unwrap();
    let site = Site { bound_providers: [("carrier".to_owned(), underlay)].into(), ..here() };
    let objects =
        [Spec::Gateway(there), red(), behind(blue(), "there"), web(), red_to_blue(1, &[("web", Connect)])];
    let plan = compile(&replica(objects), &site);
    let target = &plan.targets[&key(vni_scope(42), "10.1.0.1")];
    assert!(
        matches!(&target.way, Some(Way::Gateway { underlay: on, .. }) if *on == underlay),
        "{:?}",
        target.way
    );
}
