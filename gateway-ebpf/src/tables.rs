//! The pipeline's tables on BPF maps.

use aya_ebpf::helpers::generated::bpf_ktime_get_ns;
use isthmus_common::address::Address;
use isthmus_common::event::Event;
use isthmus_common::pipeline::Packet;
use isthmus_common::reason::{Reason, Verdict};
use isthmus_common::rules::{Leg, RuleSet};
use isthmus_common::scope::Scope;
use isthmus_common::tables::{
    Count, INTERFACE_PROBES, INTERFACE_SLOTS, Interface, LegDrop, NextHop, NextHopPair, Origin, Policy,
    PolicyKey, RECEIVED, ScopeEntry, Settings, Sighting, Stamp, Tables, Target, TargetKey,
};

use crate::maps::{
    COUNTERS, EGRESS, EVENT_BUDGET, EVENTS, INTERFACES, LEARNED, LEG_COUNTERS, LEG_DROPS, NEXT_HOPS, ORIGINS,
    POLICIES, RULE_SETS, SCOPES, SETTINGS, STAMPS, TARGETS, TRACE_RESULT,
};

/// Tables of live traffic: counts, and reports drops.
pub(crate) struct LiveTables;

/// The same tables, for traces: neither counts nor reports, but leaves its result.
pub(crate) struct TraceTables;

macro_rules! read_only_tables {
    () => {
        #[inline(always)]
        fn settings(&self) -> Settings {
            SETTINGS.get(0).copied().unwrap_or_default()
        }

        #[inline(always)]
        fn interface(&self, ifindex: u32) -> Option<&Interface> {
            for probe in 0..INTERFACE_PROBES {
                let interface = INTERFACES.get(ifindex.wrapping_add(probe) % INTERFACE_SLOTS)?;
                if interface.ifindex == ifindex {
                    return Some(interface);
                }
            }
            None
        }

        #[inline(always)]
        fn target(&self, key: &TargetKey) -> Option<&Target> {
            // SAFETY: the controller replaces elements and never edits them in place.
            unsafe { TARGETS.get(key) }
        }

        #[inline(always)]
        fn policy(&self, key: &PolicyKey) -> Option<&Policy> {
            // SAFETY: as for targets.
            unsafe { POLICIES.get(key) }
        }

        #[inline(always)]
        fn knows(&self, scope: Scope) -> Option<&ScopeEntry> {
            // SAFETY: as for targets.
            unsafe { SCOPES.get(&scope) }
        }

        #[inline(always)]
        fn origin(&self, index: u32) -> Option<&Origin> {
            ORIGINS.get(index)
        }

        #[inline(always)]
        fn stamp(&self, mapping: u32) -> Option<&Stamp> {
            STAMPS.get(mapping)
        }

        #[inline(always)]
        fn rule_set(&self, index: u32) -> Option<&RuleSet> {
            RULE_SETS.get(index)
        }

        #[inline(always)]
        fn next_hop(&self, index: u32) -> Option<&NextHop> {
            NEXT_HOPS.get(index).map(NextHopPair::current)
        }

        #[inline(always)]
        fn redirect(&self, slot: u32) -> bool {
            EGRESS.redirect(slot, 0).is_ok()
        }
    };
}

impl Tables for LiveTables {
    read_only_tables!();

    #[inline(always)]
    fn learn(&self, key: &TargetKey, vtep: Address, mac: [u8; 6]) {
        note(key, &Sighting { seen: 0, vtep, mac, reserved: [0; 2] });
    }

    #[inline(always)]
    fn received(&self, bytes: u64) {
        count(RECEIVED, bytes);
    }

    #[inline(always)]
    fn account(&self, reason: Reason, packet: &Packet) {
        let (leg, bytes) = (packet.leg(), packet.length());
        count(reason.index() + 1, bytes);
        match reason.verdict() {
            Verdict::Passed => {}
            Verdict::Redirected => {
                if let Some(counter) = LEG_COUNTERS.get_ptr_mut(leg.0) {
                    // SAFETY: the pointer is to this CPU's copy, and nothing interrupts XDP on it
                    // to run XDP again.
                    unsafe { (*counter).redirected.add(bytes) }
                }
            }
            Verdict::Transmitted => {
                if let Some(counter) = LEG_COUNTERS.get_ptr_mut(leg.0) {
                    // SAFETY: as above.
                    unsafe { (*counter).transmitted.add(bytes) }
                }
            }
            Verdict::Dropped => {
                if leg != Leg::NONE {
                    count_drop(&LegDrop { leg, reason: reason.index() }, bytes);
                }
                report(reason, packet);
            }
        }
    }
}

impl Tables for TraceTables {
    read_only_tables!();

    #[inline(always)]
    fn learn(&self, _key: &TargetKey, _vtep: Address, _mac: [u8; 6]) {}

    #[inline(always)]
    fn received(&self, _bytes: u64) {}

    #[inline(always)]
    fn account(&self, reason: Reason, packet: &Packet) {
        leave_result(reason, packet);
    }
}

#[inline(always)]
fn count(slot: u32, bytes: u64) {
    if let Some(counter) = COUNTERS.get_ptr_mut(slot) {
        // SAFETY: the pointer is to this CPU's copy, and nothing interrupts XDP on it to run XDP again.
        unsafe { (*counter).add(bytes) }
    }
}

#[inline(always)]
fn count_drop(key: &LegDrop, bytes: u64) {
    if let Some(counter) = LEG_DROPS.get_ptr_mut(key) {
        // SAFETY: as in `count`.
        unsafe { (*counter).add(bytes) }
    } else {
        // Only a full map with every element in use could refuse; the count by reason has it all the same.
        let _ = LEG_DROPS.insert(key, Count { packets: 1, bytes }, 0);
    }
}

/// Keeps where an endpoint is seen, and when it was last there, as exactly as [`Sighting::RESOLUTION_NANOS`] says.
#[inline(never)]
fn note(key: &TargetKey, sighting: &Sighting) {
    // SAFETY: the helper has no preconditions.
    let now = unsafe { bpf_ktime_get_ns() };
    if let Some(present) = LEARNED.get_ptr_mut(key) {
        // SAFETY: the element stays readable until the packet has left; who writes it at the same time writes a time too.
        let present = unsafe { &mut *present };
        if present.vtep == sighting.vtep && present.mac == sighting.mac {
            if now.saturating_sub(present.seen) > Sighting::RESOLUTION_NANOS {
                present.seen = now;
            }
            return;
        }
    }
    // A full table makes room by itself.
    let _ = LEARNED.insert(key, Sighting { seen: now, ..*sighting }, 0);
}

/// A function of its own, so that the packet stays in memory and reports stay out of the hit path.
#[inline(never)]
fn report(reason: Reason, packet: &Packet) {
    let Some(budget) = EVENT_BUDGET.get_ptr_mut(0) else { return };
    // SAFETY: the helper has no preconditions.
    let now = unsafe { bpf_ktime_get_ns() };
    // SAFETY: as in `count`.
    if !unsafe { (*budget).take(now) } {
        return;
    }
    if let Some(mut record) = EVENTS.reserve::<Event>(0) {
        record.write(Event { nanos: now, ..packet.describe(reason) });
        record.submit(0);
    } else {
        // SAFETY: as in `count`.
        unsafe { (*budget).suppressed += 1 }
    }
}

#[inline(never)]
fn leave_result(reason: Reason, packet: &Packet) {
    if let Some(result) = TRACE_RESULT.get_ptr_mut(0) {
        // SAFETY: the pointer is to the map's only value; the controller runs one trace at a time.
        unsafe { result.write(packet.describe(reason)) }
    }
}
