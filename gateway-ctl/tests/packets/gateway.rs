//! The two gateways that every packet runs through: the pipeline in this process, and the program in
//! the kernel. Both are filled by the real compiler and the real installer, with the federation of the
//! test that they are part of.

use std::convert::Infallible;
use std::process::Command;

use isthmus::gateway::dataplane::DataPlane;
use isthmus::gateway::install::{Installed, TableWriter};
use isthmus_common::event::Event;
use isthmus_common::host::{BufferFrame, HEADROOM, HostTables};
use isthmus_common::pipeline::{Packet, process};
use isthmus_common::reason::Verdict;
use isthmus_common::rules::{Leg, RuleSet};
use isthmus_common::scope::Scope;
use isthmus_common::tables::{
    INTERFACE_SLOTS, NextHopPair, Origin, Policy, PolicyKey, ScopeEntry, Settings, Stamp, Target, TargetKey,
};

use crate::federation::{capacity, devices, fill, interfaces, plan};

/// What became of a frame.
#[derive(Debug, PartialEq)]
pub(crate) struct Outcome {
    pub(crate) verdict: Verdict,
    pub(crate) event: Event,
    pub(crate) frame: Vec<u8>,
}

/// The installer's writes, into memory.
#[derive(Default)]
pub(crate) struct HostWriter(pub(crate) HostTables);

impl TableWriter for HostWriter {
    type Error = Infallible;

    fn set_settings(&mut self, settings: &Settings) -> Result<(), Infallible> {
        self.0.settings = *settings;
        Ok(())
    }

    fn set_rule_set(&mut self, index: u32, rules: &RuleSet) -> Result<(), Infallible> {
        self.0.rule_sets.insert(index, *rules);
        Ok(())
    }

    fn set_next_hop(&mut self, index: u32, hops: &NextHopPair) -> Result<(), Infallible> {
        self.0.next_hops.insert(index, *hops.current());
        Ok(())
    }

    fn put_policy(&mut self, key: &PolicyKey, policy: &Policy) -> Result<(), Infallible> {
        self.0.policies.insert(*key, *policy);
        Ok(())
    }

    fn remove_policy(&mut self, key: &PolicyKey) -> Result<(), Infallible> {
        self.0.policies.remove(key);
        Ok(())
    }

    fn set_stamp(&mut self, mapping: u32, stamp: &Stamp) -> Result<(), Infallible> {
        self.0.stamps.insert(mapping, *stamp);
        Ok(())
    }

    fn set_origin(&mut self, index: u32, origin: &Origin) -> Result<(), Infallible> {
        self.0.origins.insert(index, *origin);
        Ok(())
    }

    fn put_scope(&mut self, scope: Scope, entry: &ScopeEntry) -> Result<(), Infallible> {
        self.0.scopes.insert(scope, *entry);
        Ok(())
    }

    fn remove_scope(&mut self, scope: Scope) -> Result<(), Infallible> {
        self.0.scopes.remove(&scope);
        Ok(())
    }

    fn put_target(&mut self, key: &TargetKey, target: &Target) -> Result<(), Infallible> {
        self.0.targets.insert(*key, *target);
        Ok(())
    }

    fn remove_target(&mut self, key: &TargetKey) -> Result<(), Infallible> {
        self.0.targets.remove(key);
        Ok(())
    }

    fn clear_leg(&mut self, _: Leg) -> Result<(), Infallible> {
        Ok(())
    }

    fn settle(&mut self) {}
}

/// The pipeline in this process.
pub(crate) struct HostGateway {
    pub(crate) tables: HostTables,
    pub(crate) installed: Installed,
}

impl HostGateway {
    pub(crate) fn new() -> Self {
        let plan = plan();
        let mut writer = HostWriter::default();
        // The kernel's table places an interface by its index.
        let slot = |ifindex| ifindex % INTERFACE_SLOTS;
        let installed = fill(&mut writer, &plan, slot).unwrap();
        let mut tables = writer.0;
        for interface in interfaces(&plan) {
            tables.egress.push(slot(interface.ifindex));
            tables.interfaces.insert(interface.ifindex, interface);
        }
        Self { tables, installed }
    }

    pub(crate) fn run(&self, frame: &[u8], ingress: u32) -> Outcome {
        self.run_with_headroom(frame, ingress, HEADROOM)
    }

    /// With so many bytes in front of the frame.
    pub(crate) fn run_with_headroom(&self, frame: &[u8], ingress: u32, headroom: usize) -> Outcome {
        let mut buffer = BufferFrame::with_headroom(frame, headroom);
        let verdict = process(&mut buffer, &self.tables, &mut Packet::default(), ingress);
        let event = self.tables.record.borrow_mut().last.take().expect("every packet is accounted for");
        Outcome { verdict, event, frame: buffer.bytes().to_vec() }
    }
}

/// The program in the kernel.
pub(crate) struct KernelGateway(DataPlane);

impl KernelGateway {
    /// In a network namespace of the calling thread's own, whose devices have the federation's indexes.
    pub(crate) fn new() -> Self {
        nix::sched::unshare(nix::sched::CloneFlags::CLONE_NEWNET).unwrap();
        for (index, peer_index) in devices() {
            let (name, peer) = (format!("if{index}"), format!("if{peer_index}"));
            let status = Command::new("ip")
                .args(["link", "add", "name", &name, "index", &index.to_string(), "type", "veth"])
                .args(["peer", "name", &peer, "index", &peer_index.to_string()])
                .status()
                .unwrap();
            assert!(status.success(), "ip link add {name} failed: {status}");
        }
        let plan = plan();
        let mut dataplane = DataPlane::load(&capacity()).unwrap();
        for interface in interfaces(&plan) {
            let slot = dataplane.set_interface(&interface).unwrap();
            assert_eq!(slot, interface.ifindex % INTERFACE_SLOTS);
        }
        fill(&mut dataplane, &plan, |ifindex| ifindex % INTERFACE_SLOTS).unwrap();
        Self(dataplane)
    }

    /// The shortest frame that `BPF_PROG_TEST_RUN` takes: an Ethernet header.
    pub(crate) const SHORTEST: usize = 14;

    pub(crate) fn run(&mut self, frame: &[u8], ingress: u32) -> Outcome {
        let traced = self.0.trace(frame, ingress).unwrap();
        let verdict = match traced.action {
            1 => Verdict::Dropped,
            2 => Verdict::Passed,
            3 => Verdict::Transmitted,
            4 => Verdict::Redirected,
            other => panic!("the program returned XDP action {other}"),
        };
        Outcome { verdict, event: traced.event, frame: traced.frame }
    }

    /// Packets that the live program has counted; traces must not be among them.
    pub(crate) fn counted(&self) -> u64 {
        let (received, reasons) = self.0.counters().unwrap();
        received.packets + reasons.iter().map(|(_, count)| count.packets).sum::<u64>()
    }
}
