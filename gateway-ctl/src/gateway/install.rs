//! Brings the tables from what they hold to what they should hold, without a moment at which a
//! packet could meet something half done.
//!
//! Make before break: next hops and rule sets, then policies and scopes, then targets; removal in
//! reverse. At every single write, nothing in a table names a number that isn't there.
//!
//! Old and new need room side by side for that. Where the tables hold either but not both, what has
//! to change goes first: a gap for those packets, instead of a plan that never comes into force.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use isthmus_common::address::Address;
use isthmus_common::id::Label;
use isthmus_common::rules::{Direction, Leg, Rule, RuleSet, level};
use isthmus_common::scope::Scope;
use isthmus_common::tables::{
    INTERFACE_SLOTS, NextHop, NextHopPair, Origin, Policy, PolicyKey, ScopeEntry, Settings, Stamp, Target,
    TargetKey,
};
use uuid::Uuid;

use super::numbers::{Full, Numbers};
use super::plan::{Peer, Plan, PlannedRule, PlannedScope, PlannedStamp, PlannedTarget, Way};
use crate::model::{AccessLevel, Protocol};

/// Writes single table entries. Every method fails if the kernel refuses the write.
#[expect(clippy::missing_errors_doc, reason = "said once, for all of them")]
pub trait TableWriter {
    /// Why a write failed.
    type Error: std::error::Error + Send + Sync + 'static;

    /// Replaces the settings.
    fn set_settings(&mut self, settings: &Settings) -> Result<(), Self::Error>;
    /// Fills a rule set's slot.
    fn set_rule_set(&mut self, index: u32, rules: &RuleSet) -> Result<(), Self::Error>;
    /// Fills a mapping's stamp.
    fn set_stamp(&mut self, mapping: u32, stamp: &Stamp) -> Result<(), Self::Error>;
    /// Says who stands behind a next hop.
    fn set_origin(&mut self, index: u32, origin: &Origin) -> Result<(), Self::Error>;
    /// Fills a next hop's slot.
    fn set_next_hop(&mut self, index: u32, hops: &NextHopPair) -> Result<(), Self::Error>;
    /// Adds or replaces.
    fn put_policy(&mut self, key: &PolicyKey, policy: &Policy) -> Result<(), Self::Error>;
    /// Removes.
    fn remove_policy(&mut self, key: &PolicyKey) -> Result<(), Self::Error>;
    /// Adds or replaces.
    fn put_scope(&mut self, scope: Scope, entry: &ScopeEntry) -> Result<(), Self::Error>;
    /// Removes.
    fn remove_scope(&mut self, scope: Scope) -> Result<(), Self::Error>;
    /// Adds or replaces.
    fn put_target(&mut self, key: &TargetKey, target: &Target) -> Result<(), Self::Error>;
    /// Removes.
    fn remove_target(&mut self, key: &TargetKey) -> Result<(), Self::Error>;
    /// Sets the counters of a leg to zero.
    fn clear_leg(&mut self, leg: Leg) -> Result<(), Self::Error>;
    /// Returns once no packet is on its way any more that was when this was called.
    fn settle(&mut self);
}

/// The plan could not be installed whole; what was installed is consistent.
#[derive(Debug, thiserror::Error)]
pub enum InstallError<E: std::error::Error + 'static> {
    /// A table is too small.
    #[error(transparent)]
    Full(#[from] Full),
    /// The kernel refused a write.
    #[error(transparent)]
    Write(E),
}

/// How many entries the tables have room for.
#[derive(Clone, Copy, Debug)]
pub struct Capacity {
    /// Mappings.
    pub mappings: u32,
    /// Rule sets.
    pub rule_sets: u32,
    /// Next hops.
    pub next_hops: u32,
    /// Targets, policies and scopes, each.
    pub entries: u32,
}

impl Capacity {
    /// Room for this many mappings of ordinary size.
    #[must_use]
    pub const fn for_mappings(mappings: u32) -> Self {
        Self {
            mappings: mappings + 1,
            rule_sets: mappings.saturating_mul(4) + 1,
            next_hops: 4096,
            entries: mappings.saturating_mul(16) + INTERFACE_SLOTS,
        }
    }
}

/// What the tables hold.
#[derive(Debug)]
pub struct Installed {
    settings: Option<Settings>,
    mappings: Numbers<Uuid>,
    peers: Numbers<Peer>,
    rule_sets: Numbers<RuleSet>,
    stamps: BTreeMap<Uuid, PlannedStamp>,
    next_hops: Numbers<Way>,
    hops: BTreeMap<Way, NextHopPair>,
    targets: BTreeMap<TargetKey, Target>,
    policies: BTreeMap<PolicyKey, Policy>,
    scopes: BTreeMap<Scope, ScopeEntry>,
    /// Room for targets, policies and scopes, each.
    entries: u32,
}

/// Contents of the tables in their numbers.
struct Entries {
    targets: BTreeMap<TargetKey, Target>,
    policies: BTreeMap<PolicyKey, Policy>,
    scopes: BTreeMap<Scope, ScopeEntry>,
}

impl Installed {
    /// Empty tables.
    #[must_use]
    pub fn new(capacity: &Capacity) -> Self {
        Self {
            settings: None,
            mappings: Numbers::new("mappings", capacity.mappings),
            peers: Numbers::new("peers", u32::MAX),
            rule_sets: Numbers::new("rule sets", capacity.rule_sets),
            stamps: BTreeMap::new(),
            next_hops: Numbers::new("next hops", capacity.next_hops),
            hops: BTreeMap::new(),
            targets: BTreeMap::new(),
            policies: BTreeMap::new(),
            scopes: BTreeMap::new(),
            entries: capacity.entries,
        }
    }

    /// The mapping of this number.
    #[must_use]
    pub fn mapping(&self, number: u32) -> Option<Uuid> {
        self.mappings.iter().find(|(_, n)| *n == number).map(|(mapping, _)| *mapping)
    }

    /// Mappings and their numbers.
    pub fn mappings(&self) -> impl Iterator<Item = (Uuid, u32)> {
        self.mappings.iter().map(|(mapping, number)| (*mapping, number))
    }

    /// The leg of a scope: tells which mapping a label belongs to.
    #[must_use]
    pub fn scope(&self, scope: Scope) -> Option<Leg> {
        self.scopes.get(&scope).map(|entry| entry.leg)
    }

    /// Ways to tunnel endpoints, gateways and devices in use.
    pub fn ways(&self) -> impl Iterator<Item = &Way> {
        self.hops.keys()
    }

    /// The next hop in force on a way.
    #[must_use]
    pub fn next_hop(&self, way: &Way) -> Option<&NextHop> {
        self.hops.get(way).map(NextHopPair::current)
    }

    /// Installs the plan.
    ///
    /// # Errors
    /// If a table is full or a write fails. What was written until then is remembered: a later call
    /// goes on from there.
    pub fn install<W: TableWriter>(
        &mut self,
        writer: &mut W,
        plan: &Plan,
    ) -> Result<(), InstallError<W::Error>> {
        self.fit(plan)?;
        let entries = match self.make(writer, plan) {
            Err(InstallError::Full(_)) => {
                self.make_room(writer, plan)?;
                self.make(writer, plan)?
            }
            made => made?,
        };
        self.remove_rest(writer, &entries)?;
        self.take_back(plan);
        Ok(())
    }

    /// Puts one next hop into force, as [`Self::set_next_hops`] does.
    ///
    /// # Errors
    /// As [`Self::set_next_hops`].
    pub fn set_next_hop<W: TableWriter>(
        &mut self,
        writer: &mut W,
        way: &Way,
        hop: &NextHop,
    ) -> Result<(), InstallError<W::Error>> {
        self.set_next_hops(writer, [(way.clone(), *hop)])
    }

    /// Puts next hops into force, each in one step. Ways that no target names are ignored.
    ///
    /// # Errors
    /// If a write fails; then those not yet written stay as they were.
    pub fn set_next_hops<W: TableWriter>(
        &mut self,
        writer: &mut W,
        hops: impl IntoIterator<Item = (Way, NextHop)>,
    ) -> Result<(), InstallError<W::Error>> {
        let mut changes = Vec::new();
        for (way, hop) in hops {
            let (Some(index), Some(present)) = (self.next_hops.get(&way), self.hops.get(&way)) else {
                continue;
            };
            if *present.current() != hop {
                let mut pair = *present;
                pair.copies[pair.spare()] = hop;
                changes.push((way, index, pair));
            }
        }
        if changes.is_empty() {
            return Ok(());
        }
        // Somebody may still read the spare copies: they were in force until the last change.
        writer.settle();
        for (_, index, pair) in &changes {
            writer.set_next_hop(*index, pair).map_err(InstallError::Write)?;
        }
        for (way, index, mut pair) in changes {
            pair.active ^= 1;
            writer.set_next_hop(index, &pair).map_err(InstallError::Write)?;
            self.hops.insert(way, pair);
        }
        Ok(())
    }

    /// Whether the plan fits into tables that hold nothing else.
    fn fit(&self, plan: &Plan) -> Result<(), Full> {
        let forward = plan.targets.values().filter_map(|target| target.forward.as_ref());
        let rules: HashSet<&[PlannedRule]> =
            forward.map(Vec::as_slice).chain(plan.policies.values().map(Vec::as_slice)).collect();
        self.mappings.fit(plan.mappings.len())?;
        self.rule_sets.fit(rules.len())?;
        self.next_hops.fit(plan.ways().len())?;
        Full::check("targets", plan.targets.len(), self.entries)?;
        Full::check("policies", plan.policies.len(), self.entries)?;
        Full::check("scopes", plan.scopes.len(), self.entries)
    }

    /// Puts everything in the plan into force, beside what is.
    fn make<W: TableWriter>(
        &mut self,
        writer: &mut W,
        plan: &Plan,
    ) -> Result<Entries, InstallError<W::Error>> {
        self.install_settings(writer, plan)?;
        self.number_mappings(writer, plan)?;
        let targets = self.make_targets(writer, plan)?;
        let policies = self.make_policies(writer, plan)?;
        let scopes = self.scopes_of(plan);
        Full::check("targets", side_by_side(&self.targets, &targets), self.entries)?;
        Full::check("policies", side_by_side(&self.policies, &policies), self.entries)?;
        Full::check("scopes", side_by_side(&self.scopes, &scopes), self.entries)?;

        put_all(&mut self.policies, &policies, |key, policy| writer.put_policy(key, policy))?;
        put_all(&mut self.scopes, &scopes, |scope, entry| writer.put_scope(*scope, entry))?;
        put_all(&mut self.targets, &targets, |key, target| writer.put_target(key, target))?;
        Ok(Entries { targets, policies, scopes })
    }

    /// Takes out of force whatever is not in the plan as it is, and takes back what it used.
    fn make_room<W: TableWriter>(
        &mut self,
        writer: &mut W,
        plan: &Plan,
    ) -> Result<(), InstallError<W::Error>> {
        let targets = plan.targets.iter().filter_map(|(key, planned)| Some((*key, self.target(planned)?)));
        let policies = plan.policies.iter().filter_map(|((peer, address), rules)| {
            let key = PolicyKey { peer: self.peers.get(peer)?, address: *address };
            Some((key, Policy { rule_set: self.rule_sets.get(&self.number_rules(rules))? }))
        });
        let entries = Entries {
            targets: targets.collect(),
            policies: policies.collect(),
            scopes: self.scopes_of(plan),
        };
        self.remove_rest(writer, &entries)?;
        self.take_back(plan);
        Ok(())
    }

    fn remove_rest<W: TableWriter>(
        &mut self,
        writer: &mut W,
        entries: &Entries,
    ) -> Result<(), InstallError<W::Error>> {
        remove_unlike(&mut self.targets, &entries.targets, |key| writer.remove_target(key))?;
        remove_unlike(&mut self.scopes, &entries.scopes, |scope| writer.remove_scope(*scope))?;
        remove_unlike(&mut self.policies, &entries.policies, |key| writer.remove_policy(key))
    }

    fn install_settings<W: TableWriter>(
        &mut self,
        writer: &mut W,
        plan: &Plan,
    ) -> Result<(), InstallError<W::Error>> {
        let settings = Settings {
            label_first: plan.label_range.first().get(),
            label_last: plan.label_range.last().get(),
        };
        if self.settings != Some(settings) {
            writer.set_settings(&settings).map_err(InstallError::Write)?;
            self.settings = Some(settings);
        }
        Ok(())
    }

    fn number_mappings<W: TableWriter>(
        &mut self,
        writer: &mut W,
        plan: &Plan,
    ) -> Result<(), InstallError<W::Error>> {
        for (mapping, stamp) in &plan.mappings {
            let (number, is_new) = self.mappings.give(mapping)?;
            if is_new {
                for direction in [Direction::Forward, Direction::Return] {
                    if let Err(error) = writer.clear_leg(Leg::new(number, direction)) {
                        self.mappings.withdraw(mapping);
                        return Err(InstallError::Write(error));
                    }
                }
                self.stamps.remove(mapping);
            }
            if self.stamps.get(mapping) != Some(stamp) {
                let written = Stamp { label: stamp.label.map_or(0, Label::get), epoch: stamp.epoch };
                writer.set_stamp(number, &written).map_err(InstallError::Write)?;
                self.stamps.insert(*mapping, *stamp);
            }
        }
        Ok(())
    }

    fn make_targets<W: TableWriter>(
        &mut self,
        writer: &mut W,
        plan: &Plan,
    ) -> Result<BTreeMap<TargetKey, Target>, InstallError<W::Error>> {
        let mut targets = BTreeMap::new();
        for (key, planned) in &plan.targets {
            self.make_target_parts(writer, planned)?;
            targets.extend(self.target(planned).map(|target| (*key, target)));
        }
        Ok(targets)
    }

    /// Numbers and fills what the target will name.
    fn make_target_parts<W: TableWriter>(
        &mut self,
        writer: &mut W,
        planned: &PlannedTarget,
    ) -> Result<(), InstallError<W::Error>> {
        if let Some(way) = &planned.way {
            self.make_way(writer, way)?;
        }
        if let Some(rules) = &planned.forward {
            self.make_rule_set(writer, rules)?;
        }
        if let Some(peer @ Peer::Networks { .. }) = &planned.answers {
            self.peers.give(peer)?;
        }
        Ok(())
    }

    /// An unresolved next hop, and who stands behind it.
    fn make_way<W: TableWriter>(&mut self, writer: &mut W, way: &Way) -> Result<(), InstallError<W::Error>> {
        let (index, is_new) = self.next_hops.give(way)?;
        if !is_new {
            return Ok(());
        }
        let unresolved = NextHopPair::default();
        let written =
            writer.set_next_hop(index, &unresolved).and_then(|()| writer.set_origin(index, &origin(way)));
        if let Err(error) = written {
            self.next_hops.withdraw(way);
            return Err(InstallError::Write(error));
        }
        self.hops.insert(way.clone(), unresolved);
        Ok(())
    }

    /// The target in numbers, if everything it names has one.
    fn target(&self, planned: &PlannedTarget) -> Option<Target> {
        let flag = |is_set: bool, flag: u8| if is_set { flag } else { 0 };
        Some(Target {
            next_hop: match &planned.way {
                Some(way) => self.next_hops.get(way)?,
                None => 0,
            },
            rule_set: match &planned.forward {
                Some(rules) => self.rule_sets.get(&self.number_rules(rules))?,
                None => 0,
            },
            peer: match &planned.answers {
                Some(peer @ Peer::Networks { .. }) => self.peers.get(peer)?,
                Some(Peer::Label(_)) => LABEL_PEER,
                None => 0,
            },
            number: planned.number,
            extra: planned.extra,
            port: planned.port,
            encapsulation: planned.encapsulation.number(),
            flags: flag(planned.is_stamped, Target::STAMP) | flag(planned.learns, Target::LEARN),
        })
    }

    fn make_policies<W: TableWriter>(
        &mut self,
        writer: &mut W,
        plan: &Plan,
    ) -> Result<BTreeMap<PolicyKey, Policy>, InstallError<W::Error>> {
        let mut policies = BTreeMap::new();
        for ((peer, address), rules) in &plan.policies {
            let key = PolicyKey { peer: self.peers.give(peer)?.0, address: *address };
            policies.insert(key, Policy { rule_set: self.make_rule_set(writer, rules)? });
        }
        Ok(policies)
    }

    fn scopes_of(&self, plan: &Plan) -> BTreeMap<Scope, ScopeEntry> {
        let leg = |mapping: Option<Uuid>| {
            mapping
                .and_then(|mapping| self.mappings.get(&mapping))
                .map_or(Leg::NONE, |number| Leg::new(number, Direction::Forward))
        };
        let entry = |(scope, planned): (&Scope, &PlannedScope)| {
            (*scope, ScopeEntry { leg: leg(planned.mapping), learns: planned.learns.into() })
        };
        plan.scopes.iter().map(entry).collect()
    }

    /// A rule set is never edited: other rules are another set, in another slot.
    fn make_rule_set<W: TableWriter>(
        &mut self,
        writer: &mut W,
        rules: &[PlannedRule],
    ) -> Result<u32, InstallError<W::Error>> {
        let set = self.number_rules(rules);
        let (index, is_new) = self.rule_sets.give(&set)?;
        if is_new && let Err(error) = writer.set_rule_set(index, &set) {
            self.rule_sets.withdraw(&set);
            return Err(InstallError::Write(error));
        }
        Ok(index)
    }

    fn number_rules(&self, rules: &[PlannedRule]) -> RuleSet {
        let mut set = RuleSet::default();
        for (slot, rule) in set.rules.iter_mut().zip(rules) {
            *slot = Rule {
                mapping: self.mappings.get(&rule.mapping).unwrap_or_default(),
                first_port: rule.ports.map_or(0, |ports| ports.first),
                last_port: rule.ports.map_or(0, |ports| ports.last),
                protocol: protocol_number(rule.protocol),
                level: level_number(rule.level),
                reserved: [0; 2],
            };
            set.len += 1;
        }
        set
    }

    fn take_back(&mut self, plan: &Plan) {
        let rule_sets: HashSet<u32> = self
            .targets
            .values()
            .map(|target| target.rule_set)
            .chain(self.policies.values().map(|policy| policy.rule_set))
            .collect();
        let numbers: Vec<(RuleSet, u32)> = self.rule_sets.iter().map(|(set, n)| (*set, n)).collect();
        let unused: HashSet<RuleSet> =
            numbers.into_iter().filter(|(_, n)| !rule_sets.contains(n)).map(|(set, _)| set).collect();
        self.rule_sets.retain(|set| !unused.contains(set));

        let ways = plan.ways();
        for (way, _) in self.next_hops.retain(|way| ways.contains(way)) {
            self.hops.remove(&way);
        }
        let peers: BTreeSet<&Peer> = plan
            .targets
            .values()
            .filter_map(|target| target.answers.as_ref())
            .chain(plan.policies.keys().map(|(peer, _)| peer))
            .collect();
        self.peers.retain(|peer| peers.contains(peer));
        self.mappings.retain(|mapping| plan.mappings.contains_key(mapping));
        self.stamps.retain(|mapping, _| plan.mappings.contains_key(mapping));
    }
}

/// The peer of targets in the scope of a label. Nobody looks for its policies: who asks and who answers is said by the
/// label's targets themselves.
const LABEL_PEER: u32 = u32::MAX;

/// Whose packets come by the same way back.
fn origin(way: &Way) -> Origin {
    let underlay = match way {
        Way::Endpoint { underlay, .. } | Way::Gateway { underlay, .. } => underlay.get().into(),
        Way::Device { .. } => 0,
    };
    let mut origin = Origin { underlay, ..Origin::default() };
    for (place, address) in origin.addresses.iter_mut().zip(way.addresses()) {
        *place = Address::from(*address);
    }
    origin
}

fn put_all<K: Ord + Clone, V: PartialEq + Clone, E: std::error::Error>(
    present: &mut BTreeMap<K, V>,
    wanted: &BTreeMap<K, V>,
    mut put: impl FnMut(&K, &V) -> Result<(), E>,
) -> Result<(), InstallError<E>> {
    for (key, value) in wanted {
        if present.get(key) != Some(value) {
            put(key, value).map_err(InstallError::Write)?;
            present.insert(key.clone(), value.clone());
        }
    }
    Ok(())
}

/// Entries while both are there.
fn side_by_side<K: Ord, V>(present: &BTreeMap<K, V>, wanted: &BTreeMap<K, V>) -> usize {
    present.len() + wanted.keys().filter(|key| !present.contains_key(key)).count()
}

/// Removes what is not wanted, or not as it is.
fn remove_unlike<K: Ord + Clone, V: PartialEq, E: std::error::Error>(
    present: &mut BTreeMap<K, V>,
    wanted: &BTreeMap<K, V>,
    mut remove: impl FnMut(&K) -> Result<(), E>,
) -> Result<(), InstallError<E>> {
    let rest: Vec<K> = present
        .iter()
        .filter(|(key, value)| wanted.get(key) != Some(value))
        .map(|(key, _)| key.clone())
        .collect();
    for key in rest {
        remove(&key).map_err(InstallError::Write)?;
        present.remove(&key);
    }
    Ok(())
}

const fn protocol_number(protocol: Protocol) -> u8 {
    use isthmus_common::wire::protocol;
    match protocol {
        Protocol::Any => 0,
        Protocol::Tcp => protocol::TCP,
        Protocol::Udp => protocol::UDP,
        Protocol::Icmp => protocol::ICMP,
    }
}

const fn level_number(access: AccessLevel) -> u8 {
    match access {
        AccessLevel::None => level::NONE,
        AccessLevel::Observe => level::OBSERVE,
        AccessLevel::Connect => level::CONNECT,
        AccessLevel::Full => level::FULL,
    }
}
