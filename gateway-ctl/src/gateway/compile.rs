//! From the broker's objects to the wanted contents of the tables.
//!
//! A pure function. What can't be put into force is refused with a reason, and the rest is in
//! force all the same: one bad mapping must not cut off the good ones.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr};

use isthmus_common::address::Address;
use isthmus_common::id::Vni;
use isthmus_common::rules::MAX_RULES;
use isthmus_common::scope::{Scope, Underlay};
use isthmus_common::tables::{TUNNEL_PORTS, TargetKey, Tunnel};
use uuid::Uuid;

use super::plan::{Peer, Plan, PlannedRule, PlannedTarget, Refused};
use super::replica::{Declared, Replica};
use crate::model::{AccessLevel, Encapsulation, Mapping, Mode, Network, ObjectRef, Protocol, Resource};

/// What the gateway's own place in the world adds to the objects.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Site {
    /// Providers whose networks are on interfaces of their own.
    pub bound_providers: BTreeMap<String, Underlay>,
    /// The gateway's own addresses.
    pub addresses: BTreeSet<Ipv4Addr>,
}

impl Site {
    fn underlay(&self, provider: &str) -> Underlay {
        self.bound_providers.get(provider).copied().unwrap_or(Underlay::SHARED)
    }
}

/// Compiles all objects.
#[must_use]
pub fn compile(replica: &Replica, site: &Site) -> Plan {
    let mut plan = Plan {
        label_range: replica.label_range,
        ports: BTreeMap::new(),
        mappings: BTreeSet::new(),
        scopes: BTreeMap::new(),
        targets: BTreeMap::new(),
        policies: BTreeMap::new(),
        refused: Vec::new(),
    };
    let networks = networks(replica, site, &mut plan);
    for declared in oldest_first(replica.mappings.values()) {
        let mapping = &declared.spec;
        match Draft::new(mapping, replica, &networks).and_then(|draft| draft.enter(&mut plan)) {
            Ok(()) => {
                plan.mappings.insert(mapping.unique_identifier);
            }
            Err(reason) => plan.refused.push(Refused {
                object: ObjectRef::mapping(mapping.unique_identifier),
                version: declared.metadata.version,
                reason,
            }),
        }
    }
    plan
}

/// Older revisions first: of two that exclude each other, the one that was there stays.
fn oldest_first<'a, T>(declared: impl Iterator<Item = &'a Declared<T>>) -> Vec<&'a Declared<T>> {
    let mut declared: Vec<_> = declared.collect();
    declared.sort_by_key(|declared| declared.metadata.revision);
    declared
}

/// A network in force.
#[derive(Clone, Copy)]
struct Place<'a> {
    network: &'a Network,
    underlay: Underlay,
    tunnel: Tunnel,
    vni: Vni,
    port: u16,
}

impl Place<'_> {
    fn scope(&self) -> Scope {
        Scope::network(self.underlay, self.tunnel, self.vni)
    }
}

fn networks<'a>(replica: &'a Replica, site: &Site, plan: &mut Plan) -> BTreeMap<&'a str, Place<'a>> {
    let mut places: BTreeMap<&str, Place<'_>> = BTreeMap::new();
    let mut holders: BTreeMap<Scope, &Network> = BTreeMap::new();
    for declared in oldest_first(replica.networks.values()) {
        let network = &declared.spec;
        let (tunnel, vni, port) = match tunnel(network) {
            Ok(tunnel) => tunnel,
            Err(reason) => {
                plan.refused.push(Refused {
                    object: ObjectRef::network(&network.name),
                    version: declared.metadata.version,
                    reason,
                });
                continue;
            }
        };
        let place = Place { network, underlay: site.underlay(&network.provider), tunnel, vni, port };
        let obstacle = if let Some(other) = holders.get(&place.scope()) {
            Some(format!(
                "network {:?} of provider {:?} already uses VNI {vni} on the same underlay; give one of the two \
                 providers an interface of its own with --interface IF=PROVIDER",
                other.name, other.provider
            ))
        } else if plan.ports.get(&port).is_some_and(|other| *other != tunnel) {
            Some(format!("UDP port {port} carries another encapsulation already; choose another udp_port"))
        } else if plan.ports.len() == TUNNEL_PORTS && !plan.ports.contains_key(&port) {
            Some(format!(
                "UDP port {port} would be one too many: a gateway listens on at most {TUNNEL_PORTS} ports, \
                 and other networks use {}",
                join(&plan.ports)
            ))
        } else {
            network.endpoints.iter().find_map(|endpoint| {
                let vtep = endpoint.vtep.filter(|vtep| is_own(site, *vtep))?;
                Some(format!(
                    "the vtep {vtep} of endpoint {} is this gateway's own address",
                    endpoint.address
                ))
            })
        };
        if let Some(reason) = obstacle {
            plan.refused.push(Refused {
                object: ObjectRef::network(&network.name),
                version: declared.metadata.version,
                reason,
            });
            continue;
        }
        plan.ports.insert(port, tunnel);
        plan.scopes.insert(place.scope(), None);
        holders.insert(place.scope(), network);
        places.insert(&network.name, place);
    }
    places
}

/// What this gateway can speak so far.
fn tunnel(network: &Network) -> Result<(Tunnel, Vni, u16), String> {
    let what = match network.encapsulation {
        _ if network.gateway.is_some() => "a network behind another gateway".to_owned(),
        Encapsulation::Vxlan { vni, udp_port, group_policy: None } => {
            return Ok((Tunnel::Vxlan, vni, udp_port));
        }
        Encapsulation::Geneve { vni, udp_port, ovn_port: None } => {
            return Ok((Tunnel::Geneve, vni, udp_port));
        }
        Encapsulation::Vxlan { .. } => "vxlan with a group policy".to_owned(),
        Encapsulation::Geneve { .. } => "geneve with OVN's option".to_owned(),
        Encapsulation::Vlan { .. } | Encapsulation::Port => {
            format!("encapsulation {}", network.encapsulation.name())
        }
    };
    Err(format!("this gateway cannot put {what} into force yet"))
}

fn is_own(site: &Site, vtep: IpAddr) -> bool {
    matches!(vtep, IpAddr::V4(vtep) if site.addresses.contains(&vtep))
}

fn join(ports: &BTreeMap<u16, Tunnel>) -> String {
    ports.keys().map(u16::to_string).collect::<Vec<_>>().join(", ")
}

/// The entries of one mapping, before they are known to agree with the others'.
struct Draft {
    label_scope: Option<(Scope, Uuid)>,
    targets: BTreeMap<TargetKey, PlannedTarget>,
    policies: BTreeMap<(Peer, Address), Vec<PlannedRule>>,
}

impl Draft {
    fn new(
        mapping: &Mapping,
        replica: &Replica,
        networks: &BTreeMap<&str, Place<'_>>,
    ) -> Result<Self, String> {
        let Mode::Switched = mapping.mode;
        let place = |name: &str| {
            networks.get(name).copied().ok_or_else(|| format!("network {name:?} is not in force here"))
        };
        let source = place(&mapping.source_network)?;
        let destination = place(&mapping.destination_network)?;
        let rules = rules(mapping, replica)?;

        let mut draft = Self { label_scope: None, targets: BTreeMap::new(), policies: BTreeMap::new() };
        let peer = Peer::Networks {
            from: mapping.destination_network.clone(),
            toward: mapping.source_network.clone(),
        };
        draft.legs(&source, &destination, source.scope(), destination.scope(), &peer, &rules)?;
        if let Some(label) = mapping.label {
            let scope = Scope::label(label);
            draft.label_scope = Some((scope, mapping.unique_identifier));
            let peer = Peer::Label(mapping.unique_identifier);
            draft.legs(&source, &destination, scope, scope, &peer, &rules)?;
        }
        Ok(draft)
    }

    /// Enters both legs: requests seen in the scope `asked`, answers seen in the scope `answered`.
    fn legs(
        &mut self,
        source: &Place<'_>,
        destination: &Place<'_>,
        asked: Scope,
        answered: Scope,
        peer: &Peer,
        rules: &BTreeMap<IpAddr, Vec<PlannedRule>>,
    ) -> Result<(), String> {
        for (address, rules) in rules {
            let target = PlannedTarget {
                forward: Some((source.underlay, rules.clone())),
                ..plain_target(destination, *address)?
            };
            let key = TargetKey { scope: asked, address: (*address).into() };
            enter_target(&mut self.targets, key, target)?;
            self.policies.insert((peer.clone(), (*address).into()), rules.clone());
        }
        for endpoint in &source.network.endpoints {
            let target = PlannedTarget {
                answers: Some((destination.underlay, peer.clone())),
                ..plain_target(source, endpoint.address)?
            };
            let key = TargetKey { scope: answered, address: endpoint.address.into() };
            enter_target(&mut self.targets, key, target)?;
        }
        Ok(())
    }

    /// Enters the draft into the plan, or leaves the plan as it is.
    fn enter(self, plan: &mut Plan) -> Result<(), String> {
        let mut targets = BTreeMap::new();
        for (key, target) in self.targets {
            let merged = match plan.targets.get(&key) {
                Some(present) => present.clone().merge(target, key.address)?,
                None => target,
            };
            targets.insert(key, merged);
        }
        let mut policies = BTreeMap::new();
        for (key, rules) in self.policies {
            let merged = match plan.policies.get(&key) {
                Some(present) => merge_rules(present, &rules, key.1)?,
                None => rules,
            };
            policies.insert(key, merged);
        }
        plan.targets.append(&mut targets);
        plan.policies.append(&mut policies);
        plan.scopes.extend(self.label_scope.map(|(scope, mapping)| (scope, Some(mapping))));
        Ok(())
    }
}

fn enter_target(
    targets: &mut BTreeMap<TargetKey, PlannedTarget>,
    key: TargetKey,
    target: PlannedTarget,
) -> Result<(), String> {
    let merged = match targets.remove(&key) {
        Some(present) => present.merge(target, key.address)?,
        None => target,
    };
    targets.insert(key, merged);
    Ok(())
}

fn plain_target(place: &Place<'_>, address: IpAddr) -> Result<PlannedTarget, String> {
    let name = &place.network.name;
    let endpoint = place
        .network
        .endpoint(address)
        .ok_or_else(|| format!("network {name:?} declares no endpoint for {address}"))?;
    let vtep = match endpoint.vtep {
        Some(IpAddr::V4(vtep)) => vtep,
        Some(vtep) => {
            return Err(format!("the vtep {vtep} of endpoint {address} is not an IPv4 address"));
        }
        None => return Err(format!("endpoint {address} has no vtep")),
    };
    Ok(PlannedTarget {
        network: name.clone(),
        vtep,
        vni: place.vni,
        tunnel: place.tunnel,
        port: place.port,
        forward: None,
        answers: None,
    })
}

impl PlannedTarget {
    /// Two mappings may meet in one target if they lead to the same place: one lets others reach
    /// the address, or another port of it, and one answers to it.
    fn merge(self, other: Self, address: Address) -> Result<Self, String> {
        let address_text = IpAddr::from(address);
        if self.network != other.network {
            return Err(format!(
                "the destination {address_text} would be ambiguous: it leads to network {:?} already, and would \
                 lead to {:?}",
                self.network, other.network
            ));
        }
        let forward = match (self.forward, other.forward) {
            (Some((underlay, present)), Some((_, added))) => {
                Some((underlay, merge_rules(&present, &added, address)?))
            }
            (forward, None) | (None, forward) => forward,
        };
        let answers = match (self.answers, other.answers) {
            (Some(present), Some(added)) if present != added => {
                return Err(format!(
                    "answers to {address_text} would be ambiguous: more than one mapping with the same source \
                     address leads here"
                ));
            }
            (Some(answers), _) | (None, Some(answers)) => Some(answers),
            (None, None) => None,
        };
        Ok(Self { forward, answers, ..other })
    }
}

/// The rules on each address the mapping lists, the most specific first.
fn rules(mapping: &Mapping, replica: &Replica) -> Result<BTreeMap<IpAddr, Vec<PlannedRule>>, String> {
    let mut rules: BTreeMap<IpAddr, Vec<PlannedRule>> = BTreeMap::new();
    for (resource_id, level) in &mapping.resource_mapping {
        let resource = &replica
            .resources
            .get(resource_id)
            .ok_or_else(|| format!("resource {resource_id:?} does not exist"))?
            .spec;
        if resource.network != mapping.destination_network {
            return Err(format!(
                "resource {resource_id:?} belongs to network {:?}, not to the destination network {:?}",
                resource.network, mapping.destination_network
            ));
        }
        for address in &resource.addresses {
            let of_address = rules.entry(*address).or_default();
            *of_address =
                merge_rules(of_address, &resource_rules(mapping, resource, *level), (*address).into())?;
        }
    }
    Ok(rules)
}

fn resource_rules(mapping: &Mapping, resource: &Resource, level: AccessLevel) -> Vec<PlannedRule> {
    let rule =
        |ports| PlannedRule { mapping: mapping.unique_identifier, protocol: resource.protocol, ports, level };
    if resource.ports.is_empty() {
        vec![rule(None)]
    } else {
        resource.ports.iter().map(|ports| rule(Some(*ports))).collect()
    }
}

fn merge_rules(
    present: &[PlannedRule],
    added: &[PlannedRule],
    address: Address,
) -> Result<Vec<PlannedRule>, String> {
    let mut rules: Vec<_> = present.iter().chain(added).cloned().collect();
    rules.sort_by_key(specificity);
    rules.dedup();
    if rules.len() > MAX_RULES {
        return Err(format!(
            "address {} would have {} rules; {MAX_RULES} fit: join port ranges, or use more addresses",
            IpAddr::from(address),
            rules.len()
        ));
    }
    Ok(rules)
}

/// Fewer ports before more, one protocol before all, and between equals the stricter level.
fn specificity(rule: &PlannedRule) -> (u32, bool, AccessLevel, Uuid) {
    let ports = rule.ports.map_or(u32::from(u16::MAX) + 1, |ports| u32::from(ports.last - ports.first));
    (ports, rule.protocol == Protocol::Any, rule.level, rule.mapping)
}
