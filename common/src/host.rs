//! Frames and tables in ordinary memory: the pipeline outside the kernel.

use core::cell::RefCell;
use std::collections::{BTreeMap, HashMap};
use std::vec::Vec;

use crate::address::Address;
use crate::checksum::Sum;
use crate::event::Event;
use crate::frame::{Frame, Header};
use crate::pipeline::Packet;
use crate::reason::Reason;
use crate::rules::{Leg, RuleSet};
use crate::scope::Scope;
use crate::tables::{
    Count, Interface, NextHop, Origin, Policy, PolicyKey, ScopeEntry, Settings, Sighting, Stamp, Tables,
    Target, TargetKey,
};
use crate::wire::Ethernet;

/// A frame in a buffer, with room in front of it.
#[derive(Debug)]
pub struct BufferFrame {
    buffer: Vec<u8>,
    start: usize,
}

/// Room in front of a frame that the kernel's drivers commonly leave: `XDP_PACKET_HEADROOM`, less what the kernel itself
/// keeps there.
pub const HEADROOM: usize = 216;

impl BufferFrame {
    /// A frame with as much room in front as in the kernel.
    #[must_use]
    pub fn new(frame: &[u8]) -> Self {
        Self::with_headroom(frame, HEADROOM)
    }

    /// A frame with this much room in front.
    #[must_use]
    pub fn with_headroom(frame: &[u8], headroom: usize) -> Self {
        let mut buffer = std::vec![0xee; headroom];
        buffer.extend_from_slice(frame);
        Self { buffer, start: headroom }
    }

    /// The frame's bytes.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.buffer[self.start..]
    }
}

impl Frame for BufferFrame {
    fn len(&self) -> usize {
        self.buffer.len() - self.start
    }

    fn read<T: Header>(&self, offset: usize) -> Option<T> {
        T::read_from_prefix(self.bytes().get(offset..)?).ok().map(|(header, _)| header)
    }

    fn write<T: Header>(&mut self, offset: usize, header: &T) -> Option<()> {
        header.write_to_prefix(self.buffer.get_mut(self.start + offset..)?).ok()
    }

    fn move_front(&mut self, bytes: isize) -> Option<()> {
        let start = self.start.checked_add_signed(bytes)?;
        // The kernel wants an Ethernet header to be left.
        if start + Ethernet::LEN > self.buffer.len() {
            return None;
        }
        self.start = start;
        Some(())
    }

    fn trim_back(&mut self, bytes: usize) -> Option<()> {
        let left = self.len().checked_sub(bytes)?;
        if left < Ethernet::LEN {
            return None;
        }
        self.buffer.truncate(self.start + left);
        Some(())
    }

    fn sum(&self, offset: usize, bytes: usize) -> Option<Sum> {
        let bytes = self.bytes().get(offset..offset.checked_add(bytes)?)?;
        Some(bytes.chunks(4).fold(Sum::default(), |sum, chunk| {
            let mut word = [0; 4];
            word[..chunk.len()].copy_from_slice(chunk);
            sum.add32(word)
        }))
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
    pub scopes: HashMap<Scope, ScopeEntry>,
    /// By index.
    pub rule_sets: HashMap<u32, RuleSet>,
    /// By index.
    pub next_hops: HashMap<u32, NextHop>,
    /// By the next hop's index.
    pub origins: HashMap<u32, Origin>,
    /// By mapping.
    pub stamps: HashMap<u32, Stamp>,
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
    /// Where endpoints were seen.
    pub learned: HashMap<TargetKey, Sighting>,
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

    fn knows(&self, scope: Scope) -> Option<&ScopeEntry> {
        self.scopes.get(&scope)
    }

    fn origin(&self, index: u32) -> Option<&Origin> {
        self.origins.get(&index)
    }

    fn stamp(&self, mapping: u32) -> Option<&Stamp> {
        self.stamps.get(&mapping)
    }

    fn learn(&self, key: &TargetKey, vtep: Address, mac: [u8; 6]) {
        let sighting = Sighting { seen: 1, vtep, mac, reserved: [0; 2] };
        self.record.borrow_mut().learned.insert(*key, sighting);
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
