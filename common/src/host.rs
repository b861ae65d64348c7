//! Frames and tables in ordinary memory: the pipeline outside the kernel.

use core::cell::RefCell;
use std::collections::{BTreeMap, HashMap};
use std::vec::Vec;

use crate::event::Event;
use crate::frame::{Frame, Header};
use crate::pipeline::Packet;
use crate::reason::Reason;
use crate::rules::{Leg, RuleSet};
use crate::scope::Scope;
use crate::tables::{Count, Interface, NextHop, Policy, PolicyKey, Settings, Tables, Target, TargetKey};

/// A frame in a slice.
#[derive(Debug)]
pub struct SliceFrame<'a>(pub &'a mut [u8]);

impl Frame for SliceFrame<'_> {
    fn len(&self) -> usize {
        self.0.len()
    }

    fn read<T: Header>(&self, offset: usize) -> Option<T> {
        T::read_from_prefix(self.0.get(offset..)?).ok().map(|(header, _)| header)
    }

    fn write<T: Header>(&mut self, offset: usize, header: &T) -> Option<()> {
        header.write_to_prefix(self.0.get_mut(offset..)?).ok()
    }

    fn trim_front(&mut self, bytes: usize) -> Option<()> {
        if bytes > self.0.len() {
            return None;
        }
        self.0 = &mut core::mem::take(&mut self.0)[bytes..];
        Some(())
    }
}

/// Tables in hash maps, counters, and a record of every packet's end.
#[derive(Debug, Default)]
pub struct HostTables {
    /// The settings.
    pub settings: Settings,
    /// By ifindex.
    pub interfaces: HashMap<u32, Interface>,
    /// Where packets go.
    pub targets: HashMap<TargetKey, Target>,
    /// Rules on return packets.
    pub policies: HashMap<PolicyKey, Policy>,
    /// Known scopes.
    pub scopes: HashMap<Scope, Leg>,
    /// By index.
    pub rule_sets: HashMap<u32, RuleSet>,
    /// By index.
    pub next_hops: HashMap<u32, NextHop>,
    /// Egress slots that exist.
    pub egress: Vec<u32>,
    /// What has happened.
    pub record: RefCell<Record>,
}

/// Counters and events.
#[derive(Debug, Default)]
pub struct Record {
    /// Counted in.
    pub received: Count,
    /// Counted out.
    pub reasons: BTreeMap<Reason, Count>,
    /// Counted out, by leg.
    pub legs: BTreeMap<(Leg, Reason), Count>,
    /// The last packet's end.
    pub last: Option<Event>,
}

impl Tables for HostTables {
    fn settings(&self) -> Settings {
        self.settings
    }

    fn interface(&self, ifindex: u32) -> Option<&Interface> {
        self.interfaces.get(&ifindex)
    }

    fn target(&self, key: &TargetKey) -> Option<&Target> {
        self.targets.get(key)
    }

    fn policy(&self, key: &PolicyKey) -> Option<&Policy> {
        self.policies.get(key)
    }

    fn knows(&self, scope: Scope) -> Option<&Leg> {
        self.scopes.get(&scope)
    }

    fn rule_set(&self, index: u32) -> Option<&RuleSet> {
        self.rule_sets.get(&index)
    }

    fn next_hop(&self, index: u32) -> Option<&NextHop> {
        self.next_hops.get(&index)
    }

    fn redirect(&self, slot: u32) -> bool {
        self.egress.contains(&slot)
    }

    fn received(&self, bytes: u64) {
        self.record.borrow_mut().received.add(bytes);
    }

    fn account(&self, reason: Reason, packet: &Packet) {
        let (leg, bytes) = (packet.leg(), packet.length());
        let mut record = self.record.borrow_mut();
        record.reasons.entry(reason).or_default().add(bytes);
        if leg != Leg::NONE {
            record.legs.entry((leg, reason)).or_default().add(bytes);
        }
        record.last = Some(packet.describe(reason));
    }
}
