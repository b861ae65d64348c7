//! The pipeline's tables, written for a situation the long way round: every mapping, every address.

use std::collections::HashMap;
use std::net::IpAddr;

use isthmus_common::address::Address;
use isthmus_common::encapsulation::Encapsulation;
use isthmus_common::host::HostTables;
use isthmus_common::id::Label;
use isthmus_common::rules::{Direction, Leg, Rule, RuleSet, level};
use isthmus_common::scope::{Scope, Underlay};
use isthmus_common::tables::{
    Interface, NextHop, Origin, Policy, PolicyKey, ScopeEntry, Settings, Stamp, TagStack, Target, TargetKey,
    TunnelPort, hop,
};
use isthmus_common::wire::Tag;

use crate::model::{self, Form, Grant, Level, Mapping, Member, Place, Situation, Traffic, Tunnel};

/// MAC of the next hop toward a VTEP.
#[must_use]
pub fn hop_mac(vtep: IpAddr) -> [u8; 6] {
    // What sets VTEPs apart in IPv4, and in IPv6 the site as well.
    let octets = Address::from(vtep).octets();
    let [_, _, _, _, _, site, .., a, b, c, d] = octets;
    [0x06, site, a, b, c, d]
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
        if let Some(scope) = scope(situation, index) {
            let entry = ScopeEntry { leg: Leg::NONE, learns: network.learns.into() };
            writer.tables.scopes.insert(scope, entry);
        }
        for member in &network.members {
            writer.next_hop(index, member);
        }
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
    hops: HashMap<(usize, IpAddr), u32>,
}

impl Writer<'_> {
    fn interfaces(&mut self) {
        for interface in &self.situation.interfaces {
            let mut record = Interface {
                ifindex: interface.index,
                underlay: interface.underlay.into(),
                ..Interface::NONE
            };
            for (place, (port, tunnel)) in record.ports.iter_mut().zip(&interface.ports) {
                let encapsulation = match tunnel {
                    Tunnel::Vxlan => Encapsulation::Vxlan,
                    Tunnel::Group => Encapsulation::VxlanGroup,
                    Tunnel::Geneve => Encapsulation::Geneve,
                };
                *place = TunnelPort { port: *port, encapsulation: encapsulation.number(), reserved: 0 };
            }
            for (place, stack) in record.stacks.iter_mut().zip(&interface.stacks) {
                *place = stack.iter().fold(TagStack::default(), |tags, tag| tags.with(written(*tag)));
            }
            for (place, address) in record.v4.iter_mut().zip(&interface.v4) {
                *place = address.octets();
            }
            for (place, address) in record.v6.iter_mut().zip(&interface.v6) {
                *place = (*address).into();
            }
            for (index, network) in self.situation.networks.iter().enumerate() {
                if self.situation.interface_of(index).index == interface.index {
                    match network.form {
                        Form::Vlan(id) => record.add_vlan(id),
                        Form::Port => record.is_port = 1,
                        _ => {}
                    }
                }
            }
            self.tables.interfaces.insert(interface.index, record);
            if interface.is_egress {
                self.tables.egress.push(interface.index);
            }
        }
    }

    fn next_hop(&mut self, index: usize, member: &Member) {
        let interface = self.situation.interface_of(index);
        let number = u32::try_from(self.hops.len()).expect("few members") + 1;
        let mut record = NextHop {
            state: hop::DEVICE,
            ifindex: interface.index,
            slot: interface.index,
            mtu: interface.mtu,
            ..NextHop::default()
        };
        match &member.place {
            Place::Unknown => return,
            Place::Here => {}
            Place::Behind(way) => {
                record.state = match (way.is_resolved, way.to) {
                    (false, _) => hop::UNRESOLVED,
                    (true, IpAddr::V4(_)) => hop::V4,
                    (true, IpAddr::V6(_)) => hop::V6,
                };
                (record.source, record.destination) = (way.from.into(), way.to.into());
                (record.source_mac, record.destination_mac) = (interface.mac, hop_mac(way.to));
                record.tag_count = u32::try_from(way.tags.len()).expect("two at most");
                for (place, tag) in record.tags.iter_mut().zip(&way.tags) {
                    *place = written(*tag);
                }
                let mut origin = Origin { underlay: interface.underlay.into(), ..Origin::default() };
                let senders = match &self.situation.networks[index].form {
                    Form::Peer(addresses) => addresses.clone(),
                    _ => vec![way.to],
                };
                for (place, sender) in origin.addresses.iter_mut().zip(senders) {
                    *place = sender.into();
                }
                self.tables.origins.insert(number, origin);
            }
        }
        self.tables.next_hops.insert(number, record);
        self.hops.insert((index, member.address), number);
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
        let scopes = [scope(self.situation, source), scope(self.situation, destination)];
        self.legs(mapping, &mappings, peer, scopes);
    }

    /// Packets with the mapping's identifier: it speaks alone.
    fn label(&mut self, mapping: &Mapping) {
        let Some(label) = mapping.label else { return };
        let scope = Scope::label(Label::new(label).expect("a label"));
        let entry = ScopeEntry { leg: Leg::new(mapping.number, Direction::Forward), learns: 0 };
        self.tables.scopes.insert(scope, entry);
        self.tables.stamps.insert(mapping.number, Stamp { label, epoch: mapping.version });
        self.legs(mapping, &[mapping], label, [Some(scope); 2]);
    }

    /// Requests in the first scope, answers in the second.
    fn legs(&mut self, mapping: &Mapping, speakers: &[&Mapping], peer: u32, scopes: [Option<Scope>; 2]) {
        for grant in &mapping.grants {
            let rule_set = self.rule_set(speakers, grant);
            for address in self.addresses(mapping.destination, grant.address) {
                if let Some(scope) = scopes[0] {
                    self.target(scope, [mapping.source, mapping.destination], address, grant.address)
                        .rule_set = rule_set;
                }
                self.tables.policies.insert(PolicyKey { peer, address }, Policy { rule_set });
            }
        }
        let Some(scope) = scopes[1] else { return };
        for member in &self.situation.networks[mapping.source].members {
            if matches!(member.place, Place::Unknown) {
                continue;
            }
            for address in self.addresses(mapping.source, member.address) {
                let way = [mapping.destination, mapping.source];
                self.target(scope, way, address, member.address).peer = peer;
            }
        }
    }

    /// An address, and the MAC of the endpoint that has it.
    fn addresses(&self, network: usize, address: IpAddr) -> Vec<Address> {
        let members = &self.situation.networks[network].members;
        let is_it = |member: &&Member| member.address == address && !matches!(member.place, Place::Unknown);
        let mac = members.iter().find(is_it).map(|member| Address::mac(member.mac));
        [Some(Address::from(address)), mac].into_iter().flatten().collect()
    }

    fn target(
        &mut self,
        scope: Scope,
        [from, to]: [usize; 2],
        address: Address,
        member: IpAddr,
    ) -> &mut Target {
        let next_hop = self.hops.get(&(to, member)).copied().unwrap_or(0);
        let (from, network) = (&self.situation.networks[from], &self.situation.networks[to]);
        let ovn_port = network.members.iter().find(|own| own.address == member).map_or(0, |own| own.ovn_port);
        let (number, extra) = match network.form {
            Form::Vxlan(vni) | Form::Group(vni, None) | Form::Geneve(vni) => (vni, 0),
            Form::Group(vni, Some(group)) => (vni, Target::SET_GROUP | u32::from(group)),
            Form::Ovn(vni, ingress) => (vni, u32::from(ingress) << 16 | u32::from(ovn_port)),
            Form::Vlan(id) => (id.into(), 0),
            Form::Port | Form::Peer(_) => (0, 0),
        };
        let is_labelled = scope >= Scope::labelled(0);
        let learns = if from.learns && !is_labelled { Target::LEARN } else { 0 };
        let new = Target {
            next_hop,
            rule_set: 0,
            peer: 0,
            number,
            extra,
            port: network.port,
            encapsulation: encapsulation(&network.form).number(),
            flags: learns | if network.form.is_peer() { Target::STAMP } else { 0 },
        };
        let target = self.tables.targets.entry(TargetKey { scope, address }).or_insert(new);
        assert_eq!((target.next_hop, target.number), (next_hop, number), "two networks claim {member}");
        target
    }

    fn rule_set(&mut self, speakers: &[&Mapping], on: &Grant) -> u32 {
        let mut grants: Vec<(&Mapping, &Grant)> = speakers
            .iter()
            .flat_map(|mapping| mapping.grants.iter().map(move |grant| (*mapping, grant)))
            .filter(|(_, grant)| grant.address == on.address)
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

/// What packets from a network select; nothing if they carry identifiers.
///
/// # Panics
/// If its underlay's number is none.
#[must_use]
pub fn scope(situation: &Situation, index: usize) -> Option<Scope> {
    let (interface, form) = (situation.interface_of(index), &situation.networks[index].form);
    let number = match *form {
        Form::Vxlan(vni) | Form::Group(vni, _) | Form::Geneve(vni) | Form::Ovn(vni, _) => vni,
        Form::Vlan(id) => id.into(),
        Form::Port => interface.index,
        Form::Peer(_) => return None,
    };
    let underlay = Underlay::new(interface.underlay).expect("an underlay");
    Some(Scope::network(underlay, encapsulation(form), number))
}

/// To another gateway it is Geneve.
fn encapsulation(form: &Form) -> Encapsulation {
    match form {
        Form::Vxlan(_) => Encapsulation::Vxlan,
        Form::Group(..) => Encapsulation::VxlanGroup,
        Form::Geneve(_) | Form::Peer(_) => Encapsulation::Geneve,
        Form::Ovn(..) => Encapsulation::GeneveOvn,
        Form::Vlan(_) => Encapsulation::Vlan,
        Form::Port => Encapsulation::Port,
    }
}

fn written(tag: model::Tag) -> Tag {
    Tag::new(if tag.is_service { 0x88a8 } else { 0x8100 }, tag.id)
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
