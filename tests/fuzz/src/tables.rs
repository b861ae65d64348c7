//! The pipeline's tables, written for a situation the long way round: every mapping, every address.

use std::collections::HashMap;

use isthmus_common::address::Address;
use isthmus_common::host::HostTables;
use isthmus_common::id::{Label, Vni};
use isthmus_common::rules::{Direction, Leg, Rule, RuleSet, level};
use isthmus_common::scope::{Scope, Underlay};
use isthmus_common::tables::{
    self, Interface, NextHop, Policy, PolicyKey, Settings, Target, TargetKey, TunnelPort,
};

use crate::model::{Grant, Level, Mapping, Network, Situation, Traffic, Tunnel};

/// MAC of the next hop toward a VTEP.
#[must_use]
pub fn hop_mac(vtep: std::net::Ipv4Addr) -> [u8; 6] {
    let [a, b, c, d] = vtep.octets();
    [0x06, 0, a, b, c, d]
}

/// The tables under which a gateway serves the situation.
///
/// # Panics
/// If the situation contradicts itself.
#[must_use]
pub fn write(situation: &Situation) -> HostTables {
    let mut writer = Writer { situation, tables: HostTables::default(), hops: HashMap::new() };
    if let Some((label_first, label_last)) = situation.labels {
        writer.tables.settings = Settings { label_first, label_last };
    }
    writer.interfaces();
    for (index, network) in situation.networks.iter().enumerate() {
        writer.tables.scopes.insert(scope(network), Leg::NONE);
        writer.next_hops(index, network);
    }
    for mapping in &situation.mappings {
        writer.network(mapping);
        writer.label(mapping);
    }
    writer.tables
}

struct Writer<'s> {
    situation: &'s Situation,
    tables: HostTables,
    /// Index of the next hop, by network and member.
    hops: HashMap<(usize, std::net::IpAddr), u32>,
}

impl Writer<'_> {
    fn interfaces(&mut self) {
        for interface in &self.situation.interfaces {
            let mut record = Interface {
                ifindex: interface.index,
                underlay: interface.underlay.into(),
                ..Interface::default()
            };
            for (place, (port, tunnel)) in record.ports.iter_mut().zip(&interface.ports) {
                *place = TunnelPort { port: *port, tunnel: written(*tunnel).number(), reserved: 0 };
            }
            for (place, address) in record.addresses.iter_mut().zip(&interface.addresses) {
                *place = address.octets();
            }
            self.tables.interfaces.insert(interface.index, record);
            if interface.is_egress {
                self.tables.egress.push(interface.index);
            }
        }
    }

    fn next_hops(&mut self, index: usize, network: &Network) {
        let Some(interface) = self.situation.interfaces.get(network.interface) else { return };
        for member in &network.members {
            let number = u32::try_from(self.hops.len()).expect("few members") + 1;
            let hop = NextHop {
                resolved: member.is_resolved.into(),
                ifindex: interface.index,
                slot: interface.index,
                mtu: interface.mtu,
                source: interface.addresses[0].octets(),
                destination: member.vtep.octets(),
                destination_mac: hop_mac(member.vtep),
                source_mac: interface.mac,
            };
            self.tables.next_hops.insert(number, hop);
            self.hops.insert((index, member.address), number);
        }
    }

    /// Packets without an identifier: all mappings between the two networks speak together.
    fn network(&mut self, mapping: &Mapping) {
        let (source, destination) = (mapping.source, mapping.destination);
        let mappings: Vec<&Mapping> = self
            .situation
            .mappings
            .iter()
            .filter(|other| (other.source, other.destination) == (source, destination))
            .collect();
        let peer =
            u32::try_from(source * self.situation.networks.len() + destination).expect("few networks") + 1;
        let networks = &self.situation.networks;
        self.legs(mapping, &mappings, peer, [scope(&networks[source]), scope(&networks[destination])]);
    }

    /// Packets with the mapping's identifier: it speaks alone.
    fn label(&mut self, mapping: &Mapping) {
        let Some(label) = mapping.label else { return };
        let scope = Scope::label(Label::new(label).expect("a label"));
        self.tables.scopes.insert(scope, Leg::new(mapping.number, Direction::Forward));
        self.legs(mapping, &[mapping], label, [scope, scope]);
    }

    fn legs(&mut self, mapping: &Mapping, speakers: &[&Mapping], peer: u32, scopes: [Scope; 2]) {
        let networks = &self.situation.networks;
        for grant in &mapping.grants {
            let address = Address::from(grant.address);
            let rules = self.rule_set(speakers, grant);
            let target = self.target(scopes[0], mapping.destination, grant.address);
            target.rule_set = rules;
            target.forward_underlay = networks[mapping.source].underlay;
            self.tables.policies.insert(PolicyKey { peer, address }, Policy { rule_set: rules });
        }
        for member in &networks[mapping.source].members {
            let target = self.target(scopes[1], mapping.source, member.address);
            target.peer = peer;
            target.return_underlay = networks[mapping.destination].underlay;
        }
    }

    fn target(&mut self, scope: Scope, network: usize, address: std::net::IpAddr) -> &mut Target {
        let next_hop = self.hops.get(&(network, address)).copied().unwrap_or(0);
        let Network { tunnel, vni, port, .. } = self.situation.networks[network];
        let new = Target {
            next_hop,
            rule_set: 0,
            peer: 0,
            vni,
            port,
            forward_underlay: 0,
            return_underlay: 0,
            tunnel: written(tunnel).number(),
            reserved: [0; 3],
        };
        let key = TargetKey { scope, address: address.into() };
        let target = self.tables.targets.entry(key).or_insert(new);
        assert_eq!((target.next_hop, target.vni), (next_hop, vni), "two networks claim {address}");
        target
    }

    fn rule_set(&mut self, speakers: &[&Mapping], on: &Grant) -> u32 {
        let mut grants: Vec<(&Mapping, &Grant)> = speakers
            .iter()
            .flat_map(|mapping| mapping.on(on.address).map(move |grant| (*mapping, grant)))
            .collect();
        grants.sort_by_key(|(_, grant)| grant.order());
        let mut set = RuleSet { len: u32::try_from(grants.len()).expect("few grants"), ..RuleSet::default() };
        for (index, (mapping, grant)) in grants.into_iter().enumerate() {
            set.rules[index] = rule(mapping, grant);
        }
        let number = u32::try_from(self.tables.rule_sets.len()).expect("few rule sets") + 1;
        self.tables.rule_sets.insert(number, set);
        number
    }
}

fn scope(network: &Network) -> Scope {
    let underlay = Underlay::new(network.underlay).expect("an underlay");
    Scope::network(underlay, written(network.tunnel), Vni::new(network.vni).expect("a VNI"))
}

fn written(tunnel: Tunnel) -> tables::Tunnel {
    match tunnel {
        Tunnel::Vxlan => tables::Tunnel::Vxlan,
        Tunnel::Geneve => tables::Tunnel::Geneve,
    }
}

fn rule(mapping: &Mapping, grant: &Grant) -> Rule {
    let (protocol, ports) = match grant.traffic {
        Traffic::Any => (0, None),
        Traffic::Icmp => (1, None),
        Traffic::Tcp(ports) => (6, ports),
        Traffic::Udp(ports) => (17, ports),
    };
    let (first_port, last_port) = ports.unwrap_or_default();
    let level = match grant.level {
        Level::None => level::NONE,
        Level::Observe => level::OBSERVE,
        Level::Connect => level::CONNECT,
        Level::Full => level::FULL,
    };
    Rule { mapping: mapping.number, first_port, last_port, protocol, level, reserved: [0; 2] }
}
