//! Tables that look at themselves after every write.

use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;

use isthmus::gateway::install::{Capacity, Installed, TableWriter};
use isthmus_common::address::Address;
use isthmus_common::rules::{Direction, Leg, Rule, RuleSet};
use isthmus_common::scope::Scope;
use isthmus_common::tables::{NextHop, NextHopPair, Policy, PolicyKey, Settings, Target, TargetKey};
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
    policies: BTreeMap<PolicyKey, Policy>,
    scopes: BTreeMap<Scope, Leg>,
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
        let next_hops: BTreeSet<u32> = self.targets.values().map(|target| target.next_hop).collect();
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

    pub(crate) fn rule_sets_in_use(&self) -> usize {
        self.rule_set_indexes().len()
    }

    /// Forward legs of the mappings that packets can meet.
    pub(crate) fn legs_in_use(&self) -> BTreeSet<Leg> {
        let rules = self.rule_set_indexes().into_iter().flat_map(|index| {
            let set = &self.rule_sets[&index];
            set.rules[..set.len as usize].iter().map(|rule| Leg::new(rule.mapping, Direction::Forward))
        });
        rules.chain(self.scopes.values().copied().filter(|leg| *leg != Leg::NONE)).collect()
    }

    /// Nothing names what is not there.
    fn check(&self) {
        for (key, target) in &self.targets {
            assert!(self.next_hops.contains_key(&target.next_hop), "{key:?} names an unwritten next hop");
            assert_eq!(target.rule_set == 0, target.forward_underlay == 0, "{key:?} has half a forward leg");
            assert_eq!(target.peer == 0, target.return_underlay == 0, "{key:?} has half a return leg");
            assert!(target.rule_set != 0 || target.peer != 0, "{key:?} leads nowhere");
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
                .map(|rule| (installed.mapping(rule.mapping).unwrap(), Rule { mapping: 0, ..*rule }))
                .map(|(mapping, rule)| format!("{mapping} {rule:?}"))
                .collect::<Vec<_>>()
        };
        // A peer is what it lets through, not its number.
        let peer = |number: u32| {
            let policies = self.policies.iter().filter(move |(key, _)| key.peer == number);
            policies.map(|(key, policy)| (key.address, rules(policy.rule_set))).collect::<BTreeMap<_, _>>()
        };
        let target = |target: &Target| TargetMeaning {
            hop: *self.next_hops[&target.next_hop].current(),
            rules: (target.rule_set != 0).then(|| rules(target.rule_set)),
            answers: (target.peer != 0).then(|| peer(target.peer)),
            vni: target.vni,
            port: target.port,
            underlays: (target.forward_underlay, target.return_underlay),
        };
        let named: BTreeSet<u32> = self.targets.values().map(|target| target.peer).collect();
        let mut orphans: Vec<_> =
            self.policies.keys().filter(|key| !named.contains(&key.peer)).map(|key| peer(key.peer)).collect();
        orphans.sort();
        Contents {
            settings: self.settings,
            targets: self.targets.iter().map(|(key, value)| (*key, target(value))).collect(),
            orphans,
            scopes: self
                .scopes
                .iter()
                .map(|(scope, leg)| (*scope, leg.mapping().map(|number| installed.mapping(number).unwrap())))
                .collect(),
            mappings: installed.mappings().map(|(mapping, _)| mapping).collect(),
            vteps: installed.vteps().collect(),
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
    scopes: BTreeMap<Scope, Option<Uuid>>,
    mappings: BTreeSet<Uuid>,
    vteps: BTreeSet<Ipv4Addr>,
}

#[derive(Debug, PartialEq)]
struct TargetMeaning {
    hop: NextHop,
    rules: Option<Vec<String>>,
    answers: Option<BTreeMap<Address, Vec<String>>>,
    vni: u32,
    port: u16,
    underlays: (u8, u8),
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

    fn set_next_hop(&mut self, index: u32, hops: &NextHopPair) -> Result<(), Refused> {
        assert_ne!(index, 0, "0 is no next hop");
        assert!(hops.active <= 1);
        if self.targets.values().any(|target| target.next_hop == index) {
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

    fn put_scope(&mut self, scope: Scope, leg: Leg) -> Result<(), Refused> {
        self.write(|tables| {
            tables.scopes.insert(scope, leg);
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
