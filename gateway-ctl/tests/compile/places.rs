//! Where each encapsulation's frames come from, and how they leave.

use std::collections::{BTreeMap, BTreeSet};
use std::num::NonZeroU16;

use isthmus::gateway::compile::{Site, compile};
use isthmus::gateway::plan::{Plan, PlannedTarget, Way};
use isthmus::model::AccessLevel::{Connect, Full};
use isthmus::model::Protocol::{Any, Tcp};
use isthmus::model::{Encapsulation, Gateway, GroupPolicy, Mac, Spec, VlanId};
use isthmus_common::address::Address;
use isthmus_common::encapsulation::Encapsulation as Wire;
use isthmus_common::id::Vni;
use isthmus_common::scope::{Scope, Underlay};
use isthmus_common::tables::{Target, TargetKey};

use crate::objects::{identifier, network_on, replica, resource};
use crate::{blue, endpoint_way, key, red, red_to_blue, vni_scope, web};

/// The interface on the shared underlay.
const TRUNK: u32 = 7;
/// The interface that is green's port.
const PORT: u32 = 9;
/// The tunnel endpoint of all of green.
const GREEN_VTEP: &str = "192.0.2.3";

fn site() -> Site {
    Site {
        interfaces: BTreeMap::from([(TRUNK, Underlay::SHARED)]),
        ports: BTreeMap::from([("green".to_owned(), PORT)]),
        ..Site::default()
    }
}

fn vni(number: u32) -> Vni {
    Vni::new(number).unwrap()
}

/// Network green, with 10.2.0.1 in it.
fn green(encapsulation: Encapsulation) -> Spec {
    let mut spec = network_on(encapsulation, "green", "default", &[("10.2.0.1", GREEN_VTEP)]);
    if let Spec::Network(network) = &mut spec {
        for endpoint in &mut network.endpoints {
            match encapsulation {
                Encapsulation::Vlan { .. } | Encapsulation::Port => endpoint.vtep = None,
                Encapsulation::Geneve { ovn_port: Some(_), .. } => endpoint.ovn_port = Some(12),
                _ => {}
            }
        }
    }
    spec
}

/// An encapsulation, and all that it makes of a network.
struct Row {
    name: &'static str,
    encapsulation: Encapsulation,
    scope: Scope,
    /// What the gateway listens on for it.
    port: Option<(u16, Wire)>,
    vlan: Option<u16>,
    is_port: bool,
    /// The number, the encapsulation and the port that frames leave with, and what else.
    leaves: (u32, Wire, u16, u32),
}

fn rows() -> Vec<Row> {
    let vxlan = |group_policy| Encapsulation::Vxlan { vni: vni(42), udp_port: 8472, group_policy };
    let geneve = |ovn_port| Encapsulation::Geneve { vni: vni(42), udp_port: 6081, ovn_port };
    let scope = |wire, number| Scope::network(Underlay::SHARED, wire, number);
    let group = GroupPolicy::Set(NonZeroU16::new(0x012c).unwrap());
    let tunnel = |name, encapsulation, wire, port: u16, listens, extra| Row {
        name,
        encapsulation,
        scope: scope(wire, 42),
        port: Some((port, listens)),
        vlan: None,
        is_port: false,
        leaves: (42, wire, port, extra),
    };
    let keep = Some(GroupPolicy::Keep);
    vec![
        tunnel("vxlan", vxlan(None), Wire::Vxlan, 8472, Wire::Vxlan, 0),
        tunnel("vxlan that keeps groups", vxlan(keep), Wire::VxlanGroup, 8472, Wire::VxlanGroup, 0),
        tunnel(
            "vxlan that sets a group",
            vxlan(Some(group)),
            Wire::VxlanGroup,
            8472,
            Wire::VxlanGroup,
            Target::SET_GROUP | 0x012c,
        ),
        tunnel("geneve", geneve(None), Wire::Geneve, 6081, Wire::Geneve, 0),
        tunnel("ovn", geneve(Some(5)), Wire::GeneveOvn, 6081, Wire::Geneve, 0x0005_000c),
        Row {
            name: "vlan",
            encapsulation: Encapsulation::Vlan { vlan_id: VlanId::new(100).unwrap() },
            scope: scope(Wire::Vlan, 100),
            port: None,
            vlan: Some(100),
            is_port: false,
            leaves: (100, Wire::Vlan, 0, 0),
        },
        Row {
            name: "port",
            encapsulation: Encapsulation::Port,
            scope: scope(Wire::Port, PORT),
            port: None,
            vlan: None,
            is_port: true,
            leaves: (0, Wire::Port, 0, 0),
        },
    ]
}

fn facts(target: &PlannedTarget) -> (u32, Wire, u16, u32) {
    (target.number, target.encapsulation, target.port, target.extra)
}

#[test]
fn each_encapsulation_has_its_place() {
    for row in rows() {
        let way = match (row.vlan, row.is_port) {
            (Some(_), _) => Some(Way::Device { ifindex: TRUNK }),
            (None, true) => Some(Way::Device { ifindex: PORT }),
            (None, false) => endpoint_way(GREEN_VTEP),
        };
        let objects = [
            green(row.encapsulation),
            blue(),
            web(),
            resource("green-web", "green", &["10.2.0.1"], Tcp, &[(80, 80)]),
            Spec::Mapping(crate::mapping(1, "green", "blue", &[("web", Connect)])),
            Spec::Mapping(crate::mapping(2, "blue", "green", &[("green-web", Connect)])),
        ];
        let plan = compile(&replica(objects), &site());
        let name = row.name;
        assert_eq!(plan.refused, [], "{name}");
        let mut ports = BTreeMap::from([(4789, Wire::Vxlan)]);
        ports.extend(row.port);
        assert_eq!(plan.ports, ports, "{name}");
        let vlans: Vec<(u32, BTreeSet<u16>)> =
            row.vlan.map(|vlan| (TRUNK, BTreeSet::from([vlan]))).into_iter().collect();
        assert_eq!(plan.vlans.clone().into_iter().collect::<Vec<_>>(), vlans, "{name}");
        let port_networks: Vec<_> = plan.port_networks.keys().copied().collect();
        assert_eq!(port_networks, if row.is_port { vec![PORT] } else { vec![] }, "{name}");
        assert_eq!(plan.scopes[&row.scope].network.as_deref(), Some("green"), "{name}");

        // From green to blue, from blue to green, and the answers of both.
        let to_blue = &plan.targets[&key(row.scope, "10.1.0.1")];
        assert_eq!(facts(to_blue), (77, Wire::Vxlan, 4789, 0), "{name}");
        assert!(!to_blue.is_stamped, "{name}");
        let to_green = &plan.targets[&key(vni_scope(77), "10.2.0.1")];
        assert_eq!((&to_green.way, facts(to_green)), (&way, row.leaves), "{name}");
        assert!(to_green.forward.is_some() && to_green.answers.is_some(), "{name}: it serves both mappings");
    }
}

#[test]
fn one_number_in_two_encapsulations_is_two_networks() {
    let on = |name: &str, encapsulation| network_on(encapsulation, name, "default", &[]);
    let objects = [
        on("vxlan", Encapsulation::Vxlan { vni: vni(42), udp_port: 4789, group_policy: None }),
        on(
            "group",
            Encapsulation::Vxlan { vni: vni(42), udp_port: 4790, group_policy: Some(GroupPolicy::Keep) },
        ),
        on("geneve", Encapsulation::Geneve { vni: vni(42), udp_port: 6081, ovn_port: None }),
        on("ovn", Encapsulation::Geneve { vni: vni(42), udp_port: 6081, ovn_port: Some(1) }),
        on("vlan", Encapsulation::Vlan { vlan_id: VlanId::new(42).unwrap() }),
    ];
    let plan = compile(&replica(objects), &site());
    assert_eq!(plan.refused, []);
    assert_eq!(plan.scopes.len(), 5);
}

#[test]
fn a_provider_s_vlans_are_on_its_own_interface() {
    let own = Underlay::new(2).unwrap();
    let site = Site {
        interfaces: BTreeMap::from([(TRUNK, Underlay::SHARED), (8, own)]),
        bound_providers: BTreeMap::from([("metal".to_owned(), own)]),
        ..Site::default()
    };
    let vlan = Encapsulation::Vlan { vlan_id: VlanId::new(100).unwrap() };
    let objects = [network_on(vlan, "one", "metal", &[]), network_on(vlan, "two", "default", &[])];
    let plan = compile(&replica(objects), &site);
    assert_eq!(plan.refused, [], "one identifier on two trunks is two networks");
    let vlans = BTreeMap::from([(TRUNK, BTreeSet::from([100])), (8, BTreeSet::from([100]))]);
    assert_eq!(plan.vlans, vlans);
}

fn gateway(name: &str, port: u16) -> Spec {
    Spec::Gateway(Gateway {
        name: name.to_owned(),
        provider: "default".to_owned(),
        addresses: vec![crate::address("198.51.100.1")],
        udp_port: port,
    })
}

#[test]
fn a_gateway_listens_on_its_own_geneve_port_and_on_no_other_s() {
    let site = Site { name: "here".to_owned(), ..Site::default() };
    let plan = compile(&replica([gateway("here", 6082), gateway("there", 6083)]), &site);
    assert_eq!(plan.ports, BTreeMap::from([(6082, Wire::Geneve)]));
    assert_eq!(plan.tunnel_ports(), [(4789, Wire::Vxlan), (6082, Wire::Geneve)]);
}

#[test]
fn vxlan_s_own_port_is_listened_on_where_there_is_room() {
    assert_eq!(compile(&replica([]), &site()).tunnel_ports(), [(4789, Wire::Vxlan)]);
    let geneve = |index: u16| {
        let encapsulation =
            Encapsulation::Geneve { vni: vni(1 + u32::from(index)), udp_port: 6081 + index, ovn_port: None };
        network_on(encapsulation, &format!("net-{index}"), "default", &[])
    };
    let three = compile(&replica((0..3).map(geneve)), &site()).tunnel_ports();
    assert_eq!(three.len(), 4);
    assert!(three.contains(&(4789, Wire::Vxlan)));
    let four = compile(&replica((0..4).map(geneve)), &site()).tunnel_ports();
    assert_eq!(four.iter().map(|(port, _)| *port).collect::<Vec<_>>(), [6081, 6082, 6083, 6084]);
}

/// Blue, whose addresses have these MACs.
fn blue_with_macs(macs: &[Option<[u8; 6]>]) -> Spec {
    let mut spec = blue();
    if let Spec::Network(network) = &mut spec {
        for (endpoint, mac) in network.endpoints.iter_mut().zip(macs) {
            endpoint.mac = mac.map(Mac);
        }
    }
    spec
}

const MAC: [u8; 6] = [2, 0, 0, 0, 0, 1];

fn mac_key(scope: Scope, mac: [u8; 6]) -> TargetKey {
    TargetKey { scope, address: Address::mac(mac) }
}

fn mac_keys(plan: &Plan) -> Vec<TargetKey> {
    plan.targets.keys().filter(|key| key.address.is_mac()).copied().collect()
}

#[test]
fn frames_without_ip_go_by_mac_where_a_rule_is_for_every_protocol() {
    let all = resource("all", "blue", &["10.1.0.1"], Any, &[]);
    let objects =
        [red(), blue_with_macs(&[Some(MAC)]), all, web(), red_to_blue(1, &[("all", Full), ("web", Connect)])];
    let plan = compile(&replica(objects), &site());
    assert_eq!(plan.refused, []);
    let target = &plan.targets[&mac_key(vni_scope(42), MAC)];
    let levels: Vec<_> = target.forward.iter().flatten().map(|rule| (rule.mapping, rule.level)).collect();
    assert_eq!(levels, [(identifier(1), Full)], "the rule for TCP says nothing of such frames");
    assert_eq!(target.way, plan.targets[&key(vni_scope(42), "10.1.0.1")].way);
    let answers = plan.policies.iter().filter(|((_, address), _)| *address == Address::mac(MAC));
    assert_eq!(answers.map(|(_, rules)| rules.len()).collect::<Vec<_>>(), [1]);
}

#[test]
fn frames_without_ip_go_nowhere_by_rules_for_tcp() {
    let objects = [red(), blue_with_macs(&[Some(MAC)]), web(), red_to_blue(1, &[("web", Connect)])];
    let plan = compile(&replica(objects), &site());
    assert_eq!((mac_keys(&plan), plan.refused), (vec![], vec![]));
}

#[test]
fn the_askers_are_reached_by_mac() {
    let mut red = red();
    if let Spec::Network(network) = &mut red {
        network.endpoints[0].mac = Some(Mac(MAC));
    }
    let plan = compile(&replica([red, blue(), web(), red_to_blue(1, &[("web", Connect)])]), &site());
    let target = &plan.targets[&mac_key(vni_scope(77), MAC)];
    assert!(target.answers.is_some() && target.forward.is_none());
}

#[test]
fn a_machine_with_two_addresses_has_one_mac_and_the_stricter_of_their_levels() {
    let one = resource("one", "blue", &["10.1.0.1"], Any, &[]);
    let two = resource("two", "blue", &["10.1.0.2"], Any, &[]);
    for (first, second) in [(Full, Connect), (Connect, Full)] {
        let rules = red_to_blue(1, &[("one", first), ("two", second)]);
        let objects = [red(), blue_with_macs(&[Some(MAC), Some(MAC)]), one.clone(), two.clone(), rules];
        let plan = compile(&replica(objects), &site());
        assert_eq!((&plan.refused, &plan.ambiguous_macs), (&vec![], &BTreeSet::new()));
        let forward = plan.targets[&mac_key(vni_scope(42), MAC)].forward.clone().unwrap();
        assert_eq!(forward[0].level, Connect);
        // Answers are judged by the rules of the requests.
        let mut answers = plan.policies.iter().filter(|((_, address), _)| *address == Address::mac(MAC));
        assert_eq!(answers.next().unwrap().1, &forward);
    }
}

#[test]
fn a_mac_that_means_two_machines_means_none_and_costs_them_nothing_else() {
    let both = resource("both", "blue", &["10.1.0.1", "10.1.0.2"], Any, &[]);
    let mut blue = blue_with_macs(&[Some(MAC), Some(MAC)]);
    if let Spec::Network(network) = &mut blue {
        network.endpoints[1].vtep = Some(crate::address(GREEN_VTEP));
    }
    let plan = compile(&replica([red(), blue, both, red_to_blue(1, &[("both", Full)])]), &site());
    assert_eq!((mac_keys(&plan), &plan.refused), (vec![], &vec![]));
    let ambiguous: Vec<_> = plan.ambiguous_macs.iter().filter(|key| key.scope == vni_scope(42)).collect();
    assert_eq!(ambiguous, [&mac_key(vni_scope(42), MAC)]);
    for text in ["10.1.0.1", "10.1.0.2"] {
        assert!(plan.targets.contains_key(&key(vni_scope(42), text)), "{text}");
    }
}

#[test]
fn a_mac_stays_ambiguous_whatever_comes_later() {
    // The first two mappings disagree about it, and a third one would bring it back.
    let with_mac = |name: &str, number: u32, at: &str, vtep: &str| {
        let mut spec = crate::network(name, "default", number, 4789, &[(at, vtep)]);
        if let Spec::Network(network) = &mut spec {
            network.endpoints[0].mac = Some(Mac(MAC));
        }
        [spec, resource(&format!("{name}-all"), name, &[at], Any, &[])]
    };
    let lead_to = |number: u8, name: &str| {
        Spec::Mapping(crate::mapping(number, "red", name, &[(&format!("{name}-all"), Full)]))
    };
    let mut objects = vec![red()];
    objects.extend(with_mac("one", 101, "10.11.0.1", "192.0.2.11"));
    objects.extend(with_mac("two", 102, "10.12.0.1", "192.0.2.12"));
    objects.extend(with_mac("three", 103, "10.13.0.1", "192.0.2.13"));
    objects.extend([lead_to(1, "one"), lead_to(2, "two"), lead_to(3, "three")]);
    let plan = compile(&replica(objects), &site());
    assert_eq!(plan.refused, []);
    assert!(!plan.targets.contains_key(&mac_key(vni_scope(42), MAC)));
    for text in ["10.11.0.1", "10.12.0.1", "10.13.0.1"] {
        assert!(plan.targets.contains_key(&key(vni_scope(42), text)), "{text}");
    }
}
