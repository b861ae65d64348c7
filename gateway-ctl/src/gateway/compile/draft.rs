//! The entries of one mapping.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use isthmus_common::address::Address;
use isthmus_common::scope::Scope;
use isthmus_common::tables::TargetKey;
use uuid::Uuid;

use super::super::plan::{Peer, Plan, PlannedRule, PlannedScope, PlannedTarget};
use super::super::replica::Replica;
use super::place::Place;
use super::rules;
use crate::model::{Mac, Mapping, Mode};

/// The entries of one mapping, before they are known to agree with the others'.
pub(super) struct Draft {
    label_scope: Option<(Scope, Uuid)>,
    targets: Targets,
    policies: BTreeMap<(Peer, Address), Vec<PlannedRule>>,
}

/// Both networks of a mapping, and what it grants.
struct Ends<'a> {
    source: &'a Place<'a>,
    destination: &'a Place<'a>,
    rules: BTreeMap<IpAddr, Vec<PlannedRule>>,
}

/// Targets, and the MACs among them that could mean two things.
///
/// MACs only matter to frames that are neither IP nor ARP. Two machines with one MAC must not cost them their IP
/// traffic, so that such frames are nobody's instead.
#[derive(Default)]
struct Targets {
    targets: BTreeMap<TargetKey, PlannedTarget>,
    ambiguous: BTreeSet<TargetKey>,
}

impl Draft {
    /// `None` if this gateway has no part in it.
    pub(super) fn new(
        mapping: &Mapping,
        replica: &Replica,
        places: &BTreeMap<&str, Place<'_>>,
    ) -> Result<Option<Self>, String> {
        let Mode::Switched = mapping.mode;
        let place = |name: &str| {
            places.get(name).ok_or_else(|| match replica.networks.get(name) {
                Some(_) => format!("network {name:?} is refused itself; see its own line"),
                None => format!("network {name:?} does not exist; declare it, or delete the mapping"),
            })
        };
        let source = place(&mapping.source_network)?;
        let destination = place(&mapping.destination_network)?;
        if source.is_remote() && destination.is_remote() {
            return Ok(None);
        }
        if mapping.label.is_none() && (source.is_remote() || destination.is_remote()) {
            return Err(
                "it has no label, without which it can't lead to another gateway; the broker has none left: \
                        start it with a wider --label-range"
                    .to_owned(),
            );
        }
        let ends = Ends { source, destination, rules: rules::of(mapping, replica)? };

        let mut draft = Self { label_scope: None, targets: Targets::default(), policies: BTreeMap::new() };
        let peer = Peer::Networks {
            from: mapping.destination_network.clone(),
            toward: mapping.source_network.clone(),
        };
        draft.requests(&ends, source.scope(), source.network.learning)?;
        draft.answers(&ends, destination.scope(), destination.network.learning, &peer)?;
        draft.policies = ends.policies(&peer);
        if let Some(label) = mapping.label {
            let scope = Scope::label(label);
            draft.label_scope = Some((scope, mapping.unique_identifier));
            draft.requests(&ends, Some(scope), false)?;
            draft.answers(&ends, Some(scope), false, &Peer::Label(mapping.unique_identifier))?;
        }
        Ok(Some(draft))
    }

    /// What is asked of the resources, seen in a scope.
    fn requests(&mut self, ends: &Ends<'_>, scope: Option<Scope>, learns: bool) -> Result<(), String> {
        let Some(scope) = scope else { return Ok(()) };
        for (address, rules) in &ends.rules {
            let target =
                PlannedTarget { learns, forward: Some(rules.clone()), ..ends.destination.target(*address)? };
            if let (Some(mac), Some(rule)) = (ends.mac(*address), for_any_frame(rules)) {
                let key = TargetKey { scope, address: Address::mac(mac.0) };
                self.targets.enter_mac(key, PlannedTarget { forward: Some(vec![rule]), ..target.clone() });
            }
            self.targets.enter(TargetKey { scope, address: (*address).into() }, target)?;
        }
        Ok(())
    }

    /// What resources answer, seen in a scope.
    fn answers(
        &mut self,
        ends: &Ends<'_>,
        scope: Option<Scope>,
        learns: bool,
        peer: &Peer,
    ) -> Result<(), String> {
        let Some(scope) = scope else { return Ok(()) };
        for home in ends.source.homes.values() {
            let target =
                PlannedTarget { learns, answers: Some(peer.clone()), ..ends.source.target(home.address)? };
            if let Some(mac) = home.mac {
                self.targets.enter_mac(TargetKey { scope, address: Address::mac(mac.0) }, target.clone());
            }
            self.targets.enter(TargetKey { scope, address: home.address.into() }, target)?;
        }
        Ok(())
    }

    /// Enters the draft into the plan, or leaves the plan as it is.
    pub(super) fn enter(self, plan: &mut Plan) -> Result<(), String> {
        let mut targets = BTreeMap::new();
        let mut ambiguous = self.targets.ambiguous;
        for (key, target) in self.targets.targets {
            let merged = match plan.targets.get(&key) {
                Some(present) => present.clone().merge(target, key.address),
                None => Ok(target),
            };
            match merged {
                Ok(merged) => drop(targets.insert(key, merged)),
                Err(_) if key.address.is_mac() => drop(ambiguous.insert(key)),
                Err(reason) => return Err(reason),
            }
        }
        let mut policies = BTreeMap::new();
        for (key, rules) in self.policies {
            let merged = match plan.policies.get(&key) {
                Some(present) => rules::merge(present, &rules, key.1)?,
                None => rules,
            };
            policies.insert(key, merged);
        }
        // Not `append`: that builds the whole plan's table anew for every draft.
        plan.targets.extend(targets);
        plan.ambiguous_macs.extend(ambiguous);
        for key in &plan.ambiguous_macs {
            plan.targets.remove(key);
        }
        plan.policies.extend(policies);
        let known = |mapping| PlannedScope { mapping: Some(mapping), ..PlannedScope::default() };
        plan.scopes.extend(self.label_scope.map(|(scope, mapping)| (scope, known(mapping))));
        Ok(())
    }
}

impl Ends<'_> {
    /// The MAC of a resource's address, if it is known.
    fn mac(&self, address: IpAddr) -> Option<Mac> {
        self.destination.homes.get(&address)?.mac
    }

    /// The rules on what resources answer.
    fn policies(&self, peer: &Peer) -> BTreeMap<(Peer, Address), Vec<PlannedRule>> {
        let mut policies = BTreeMap::new();
        for (address, rules) in &self.rules {
            policies.insert((peer.clone(), (*address).into()), rules.clone());
            if let (Some(mac), Some(rule)) = (self.mac(*address), for_any_frame(rules)) {
                // A machine may have several of the addresses.
                let of_mac: &mut Vec<PlannedRule> =
                    policies.entry((peer.clone(), Address::mac(mac.0))).or_default();
                *of_mac = rules::merge_for_mac(of_mac, &rule);
            }
        }
        policies
    }
}

/// The rule that speaks for frames that are neither IP nor ARP: the first, because the rules are in order.
fn for_any_frame(rules: &[PlannedRule]) -> Option<PlannedRule> {
    rules.iter().find(|rule| rule.is_for_any_frame()).cloned()
}

impl Targets {
    fn enter(&mut self, key: TargetKey, target: PlannedTarget) -> Result<(), String> {
        let merged = match self.targets.remove(&key) {
            Some(present) => present.merge(target, key.address)?,
            None => target,
        };
        self.targets.insert(key, merged);
        Ok(())
    }

    fn enter_mac(&mut self, key: TargetKey, target: PlannedTarget) {
        if self.enter(key, target).is_err() {
            self.ambiguous.insert(key);
        }
    }
}

impl PlannedTarget {
    /// Two mappings may meet in one target if they lead to the same place: one lets others reach
    /// the address, or another port of it, and one answers to it.
    fn merge(self, other: Self, address: Address) -> Result<Self, String> {
        let address_text = IpAddr::from(address);
        if (&self.network, &self.way, self.extra) != (&other.network, &other.way, other.extra) {
            return Err(format!(
                "the destination {address_text} would be ambiguous: it leads to network {:?} already, and would \
                 lead to {:?}; give one of the two another address",
                self.network, other.network
            ));
        }
        let forward = match (self.forward, other.forward) {
            (Some(present), Some(added)) => Some(rules::merge(&present, &added, address)?),
            (forward, None) | (None, forward) => forward,
        };
        let answers = match (self.answers, other.answers) {
            (Some(present), Some(added)) if present != added => {
                return Err(format!(
                    "answers to {address_text} would be ambiguous: more than one mapping with the same source \
                     address leads here; give the mappings source networks with different addresses"
                ));
            }
            (Some(answers), _) | (None, Some(answers)) => Some(answers),
            (None, None) => None,
        };
        Ok(Self { forward, answers, ..other })
    }
}
