//! Tables that look at themselves after every write.

use std::collections::{BTreeMap, BTreeSet};

use isthmus::gateway::install::{Capacity, Installed, TableWriter};
use isthmus::gateway::plan::Way;
use isthmus_common::address::Address;
use isthmus_common::rules::{Direction, Leg, Rule, RuleSet};
use isthmus_common::scope::Scope;
use isthmus_common::tables::{
    NextHop, NextHopPair, Origin, Policy, PolicyKey, ScopeEntry, Settings, Stamp, Target, TargetKey,
};
use uuid::Uuid;

/// The kernel refused, because the test asked for it.
#[derive(Debug, thiserror::Error)]
#[error("refused on purpose")]
pub(crate) struct Refused;

/// The tables, and how many more writes succeed.
#[derive(Default)]
pub(crate) struct Recorder {
    settings: Option<Settings>,
    rule_sets: BTreeMap<u32, RuleSet>,
    next_hops: BTreeMap<u32, NextHopPair>,
    origins: BTreeMap<u32, Origin>,
    stamps: BTreeMap<u32, Stamp>,
    policies: BTreeMap<PolicyKey, Policy>,
    scopes: BTreeMap<Scope, ScopeEntry>,
    targets: BTreeMap<TargetKey, Target>,
    cleared: BTreeMap<Leg, usize>,
    most_entries: usize,
    budget: Option<usize>,
    failed: bool,
    /// Next hops switched since packets were last waited for.
    unsettled: BTreeSet<u32>,
    pub(crate) writes: usize,
}

impl Recorder {
    /// Refuses every write after this many; `None` refuses none.
    pub(crate) fn fail_after(&mut self, writes: Option<usize>) {
        self.budget = writes;
        self.failed = false;
    }

    pub(crate) fn has_failed(&self) -> bool {
        self.failed
    }

    /// How often a leg's counters were set to zero.
    pub(crate) fn clears(&self, leg: Leg) -> usize {
        self.cleared.get(&leg).copied().unwrap_or_default()
    }

    /// Most targets, policies or scopes there have been at once.
    pub(crate) fn most_entries(&self) -> usize {
        self.most_entries
    }

    /// Tables just large enough for what is there.
    pub(crate) fn capacity(&self, mappings: usize) -> Capacity {
        let count = |entries: usize| u32::try_from(entries).unwrap();
        let next_hops: BTreeSet<u32> = self.next_hops_in_use();
        Capacity {
            mappings: count(mappings) + 1,
            rule_sets: count(self.rule_set_indexes().len()) + 1,
            next_hops: count(next_hops.len()) + 1,
            entries: count(self.most_entries),
        }
    }

    fn write(&mut self, edit: impl FnOnce(&mut Self)) -> Result<(), Refused> {
        match &mut self.budget {
            Some(0) => {
                self.failed = true;
                return Err(Refused);
            }
            Some(left) => *left -= 1,
            None => {}
        }
        self.writes += 1;
        edit(self);
        let entries = self.targets.len().max(self.policies.len()).max(self.scopes.len());
        self.most_entries = self.most_entries.max(entries);
        self.check();
        Ok(())
    }

    fn rule_set_indexes(&self) -> BTreeSet<u32> {
        let of_targets = self.targets.values().map(|target| target.rule_set).filter(|index| *index != 0);
        of_targets.chain(self.policies.values().map(|policy| policy.rule_set)).collect()
    }

    fn next_hops_in_use(&self) -> BTreeSet<u32> {
        self.targets.values().map(|target| target.next_hop).filter(|index| *index != 0).collect()
    }

    pub(crate) fn rule_sets_in_use(&self) -> usize {
        self.rule_set_indexes().len()
    }

    /// Forward legs of the mappings that packets can meet.
    pub(crate) fn legs_in_use(&self) -> BTreeSet<Leg> {
        let rules = self.rule_set_indexes();
        let rules = rules.into_iter().flat_map(|index| self.mappings_of(index));
        let scopes = self.scopes.values().map(|entry| entry.leg).filter(|leg| *leg != Leg::NONE);
        rules.map(|mapping| Leg::new(mapping, Direction::Forward)).chain(scopes).collect()
    }

    /// Numbers of the mappings in a rule set.
    fn mappings_of(&self, rule_set: u32) -> impl Iterator<Item = u32> {
        let set = &self.rule_sets[&rule_set];
        set.rules[..set.len as usize].iter().map(|rule| rule.mapping)
    }

    /// Numbers of the mappings that may be stamped on packets: those whose rules can let a packet through to a target
    /// that goes with a stamp.
    fn stamped(&self) -> BTreeSet<u32> {
        let stamping = || self.targets.values().filter(|target| target.flags & Target::STAMP != 0);
        let peers: BTreeSet<u32> = stamping().map(|target| target.peer).filter(|peer| *peer != 0).collect();
        let forward = stamping().map(|target| target.rule_set).filter(|index| *index != 0);
        let answers = self.policies.iter().filter(|(key, _)| peers.contains(&key.peer));
        let rule_sets = forward.chain(answers.map(|(_, policy)| policy.rule_set));
        rule_sets.flat_map(|index| self.mappings_of(index)).collect()
    }

    /// Nothing names what is not there.
    fn check(&self) {
        for (key, target) in &self.targets {
            assert!(target.rule_set != 0 || target.peer != 0, "{key:?} leads nowhere");
            assert!((1..=6).contains(&target.encapsulation), "{key:?} leaves with no encapsulation");
        }
        for index in self.next_hops_in_use() {
            assert!(self.next_hops.contains_key(&index), "next hop {index} is not written");
            assert!(self.origins.contains_key(&index), "nobody knows who stands behind next hop {index}");
        }
        for mapping in self.stamped() {
            let stamp = self.stamps.get(&mapping);
            let stamp = stamp.unwrap_or_else(|| panic!("mapping {mapping} has no stamp"));
            assert_ne!(stamp.label, 0, "mapping {mapping} would be stamped without label");
        }
        for index in self.rule_set_indexes() {
            assert_ne!(index, 0, "0 is no rule set");
            let set = self.rule_sets.get(&index).unwrap_or_else(|| panic!("rule set {index} is not written"));
            assert!(set.len > 0, "rule set {index} is empty");
        }
        for leg in self.legs_in_use() {
            let number = leg.mapping().expect("a rule names mapping 0");
            for direction in [Direction::Forward, Direction::Return] {
                assert!(
                    self.clears(Leg::new(number, direction)) > 0,
                    "mapping {number} is in force, but was never given its counters"
                );
            }
        }
    }

    /// What the tables mean, whatever the numbers: for each key, everything it leads to.
    pub(crate) fn contents(&self, installed: &Installed) -> Contents {
        let rules = |index: u32| {
            let set = &self.rule_sets[&index];
            set.rules[..set.len as usize]
                .iter()
                .map(|rule| {
                    let mapping = installed.mapping(rule.mapping).unwrap();
                    format!("{mapping} {:?} {:?}", Rule { mapping: 0, ..*rule }, self.stamps[&rule.mapping])
                })
                .collect::<Vec<_>>()
        };
        // A peer is what it lets through, not its number.
        let peer = |number: u32| {
            let policies = self.policies.iter().filter(move |(key, _)| key.peer == number);
            policies.map(|(key, policy)| (key.address, rules(policy.rule_set))).collect::<BTreeMap<_, _>>()
        };
        let hop = |index: u32| (*self.next_hops[&index].current(), self.origins[&index]);
        let target = |target: &Target| TargetMeaning {
            hop: (target.next_hop != 0).then(|| hop(target.next_hop)),
            rules: (target.rule_set != 0).then(|| rules(target.rule_set)),
            answers: (target.peer != 0).then(|| peer(target.peer)),
            plain: Target { next_hop: 0, rule_set: 0, peer: 0, ..*target },
        };
        let scope = |entry: &ScopeEntry| {
            (entry.leg.mapping().map(|number| installed.mapping(number).unwrap()), entry.learns)
        };
        let named: BTreeSet<u32> = self.targets.values().map(|target| target.peer).collect();
        let mut orphans: Vec<_> =
            self.policies.keys().filter(|key| !named.contains(&key.peer)).map(|key| peer(key.peer)).collect();
        orphans.sort();
        Contents {
            settings: self.settings,
            targets: self.targets.iter().map(|(key, value)| (*key, target(value))).collect(),
            orphans,
            scopes: self.scopes.iter().map(|(key, entry)| (*key, scope(entry))).collect(),
            mappings: installed.mappings().map(|(mapping, _)| mapping).collect(),
            ways: installed.ways().cloned().collect(),
        }
    }
}

/// What tables mean.
#[derive(Debug, PartialEq)]
pub(crate) struct Contents {
    settings: Option<Settings>,
    targets: BTreeMap<TargetKey, TargetMeaning>,
    /// Policies of peers that no target names: networks without endpoints.
    orphans: Vec<BTreeMap<Address, Vec<String>>>,
    scopes: BTreeMap<Scope, (Option<Uuid>, u32)>,
    mappings: BTreeSet<Uuid>,
    ways: BTreeSet<Way>,
}

#[derive(Debug, PartialEq)]
struct TargetMeaning {
    hop: Option<(NextHop, Origin)>,
    rules: Option<Vec<String>>,
    answers: Option<BTreeMap<Address, Vec<String>>>,
    /// What names nothing.
    plain: Target,
}

impl TableWriter for Recorder {
    type Error = Refused;

    fn set_settings(&mut self, settings: &Settings) -> Result<(), Refused> {
        self.write(|tables| tables.settings = Some(*settings))
    }

    fn set_rule_set(&mut self, index: u32, rules: &RuleSet) -> Result<(), Refused> {
        assert!(!self.rule_set_indexes().contains(&index), "rule set {index} is edited while in use");
        self.write(|tables| {
            tables.rule_sets.insert(index, *rules);
        })
    }

    fn set_stamp(&mut self, mapping: u32, stamp: &Stamp) -> Result<(), Refused> {
        assert_ne!(mapping, 0, "0 is no mapping");
        self.write(|tables| {
            tables.stamps.insert(mapping, *stamp);
        })
    }

    fn set_origin(&mut self, index: u32, origin: &Origin) -> Result<(), Refused> {
        assert!(!self.next_hops_in_use().contains(&index), "the origin of {index} is edited while in use");
        self.write(|tables| {
            tables.origins.insert(index, *origin);
        })
    }

    fn set_next_hop(&mut self, index: u32, hops: &NextHopPair) -> Result<(), Refused> {
        assert_ne!(index, 0, "0 is no next hop");
        assert!(hops.active <= 1);
        if self.next_hops_in_use().contains(&index) {
            let present = self.next_hops[&index];
            if present.active == hops.active {
                assert_eq!(present.current(), hops.current(), "next hop {index} is edited while in force");
                assert!(
                    !self.unsettled.contains(&index),
                    "the spare copy of {index} is edited while somebody may still read it"
                );
            } else {
                self.unsettled.insert(index);
                assert_eq!(present.copies, hops.copies, "next hop {index} is switched and edited at once");
            }
        }
        self.write(|tables| {
            tables.next_hops.insert(index, *hops);
        })
    }

    fn put_policy(&mut self, key: &PolicyKey, policy: &Policy) -> Result<(), Refused> {
        assert_ne!(key.peer, 0, "0 is no peer");
        self.write(|tables| {
            tables.policies.insert(*key, *policy);
        })
    }

    fn remove_policy(&mut self, key: &PolicyKey) -> Result<(), Refused> {
        assert!(self.policies.contains_key(key), "{key:?} is not there to remove");
        self.write(|tables| {
            tables.policies.remove(key);
        })
    }

    fn put_scope(&mut self, scope: Scope, entry: &ScopeEntry) -> Result<(), Refused> {
        self.write(|tables| {
            tables.scopes.insert(scope, *entry);
        })
    }

    fn remove_scope(&mut self, scope: Scope) -> Result<(), Refused> {
        assert!(self.scopes.contains_key(&scope), "{scope:?} is not there to remove");
        self.write(|tables| {
            tables.scopes.remove(&scope);
        })
    }

    fn put_target(&mut self, key: &TargetKey, target: &Target) -> Result<(), Refused> {
        self.write(|tables| {
            tables.targets.insert(*key, *target);
        })
    }

    fn remove_target(&mut self, key: &TargetKey) -> Result<(), Refused> {
        assert!(self.targets.contains_key(key), "{key:?} is not there to remove");
        self.write(|tables| {
            tables.targets.remove(key);
        })
    }

    fn clear_leg(&mut self, leg: Leg) -> Result<(), Refused> {
        self.stamps.remove(&leg.mapping().expect("a leg of a mapping"));
        let in_use = self.legs_in_use().iter().any(|used| used.mapping() == leg.mapping());
        assert!(!in_use, "the counters of {leg:?} are cleared while it is in force");
        self.write(|tables| {
            *tables.cleared.entry(leg).or_default() += 1;
        })
    }

    fn settle(&mut self) {
        self.unsettled.clear();
    }
}
