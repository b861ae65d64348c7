//! The maps. Their contents are documented with their types in `isthmus_common::tables`.
//!
//! Sizes are set by the controller when it loads the program. Hash maps that the controller writes
//! are not preallocated, so that memory follows use.

use aya_ebpf::bindings::BPF_F_NO_PREALLOC;
use aya_ebpf::macros::map;
use aya_ebpf::maps::{Array, DevMap, HashMap, LruHashMap, LruPerCpuHashMap, PerCpuArray, RingBuf};
use isthmus_common::event::Event;
use isthmus_common::pipeline::Packet;
use isthmus_common::rules::RuleSet;
use isthmus_common::scope::Scope;
use isthmus_common::tables::{
    COUNTERS as COUNTER_SLOTS, Count, EventBudget, INTERFACE_SLOTS, Interface, LegCount, LegDrop,
    NextHopPair, Origin, Policy, PolicyKey, ScopeEntry, Settings, Sighting, Stamp, Target, TargetKey,
};

#[map]
pub(crate) static SETTINGS: Array<Settings> = Array::with_max_entries(1, 0);

#[map]
pub(crate) static INTERFACES: Array<Interface> = Array::with_max_entries(INTERFACE_SLOTS, 0);

#[map]
pub(crate) static EGRESS: DevMap = DevMap::with_max_entries(INTERFACE_SLOTS, 0);

#[map]
pub(crate) static TARGETS: HashMap<TargetKey, Target> = HashMap::with_max_entries(1 << 16, BPF_F_NO_PREALLOC);

#[map]
pub(crate) static POLICIES: HashMap<PolicyKey, Policy> =
    HashMap::with_max_entries(1 << 16, BPF_F_NO_PREALLOC);

#[map]
pub(crate) static SCOPES: HashMap<Scope, ScopeEntry> = HashMap::with_max_entries(1 << 16, BPF_F_NO_PREALLOC);

#[map]
pub(crate) static RULE_SETS: Array<RuleSet> = Array::with_max_entries(1 << 16, 0);

#[map]
pub(crate) static NEXT_HOPS: Array<NextHopPair> = Array::with_max_entries(1 << 12, 0);

#[map]
pub(crate) static ORIGINS: Array<Origin> = Array::with_max_entries(1 << 12, 0);

#[map]
pub(crate) static STAMPS: Array<Stamp> = Array::with_max_entries(1 << 16, 0);

#[map]
pub(crate) static LEARNED: LruHashMap<TargetKey, Sighting> = LruHashMap::with_max_entries(1 << 14, 0);

#[map]
pub(crate) static COUNTERS: PerCpuArray<Count> = PerCpuArray::with_max_entries(COUNTER_SLOTS, 0);

#[map]
pub(crate) static LEG_COUNTERS: PerCpuArray<LegCount> = PerCpuArray::with_max_entries(1 << 17, 0);

#[map]
pub(crate) static LEG_DROPS: LruPerCpuHashMap<LegDrop, Count> =
    LruPerCpuHashMap::with_max_entries(1 << 12, 0);

#[map]
pub(crate) static EVENTS: RingBuf = RingBuf::with_byte_size(1 << 18, 0);

#[map]
pub(crate) static EVENT_BUDGET: PerCpuArray<EventBudget> = PerCpuArray::with_max_entries(1, 0);

/// What is known of the packet in the program.
#[map]
pub(crate) static PACKET: PerCpuArray<Packet> = PerCpuArray::with_max_entries(1, 0);

/// Bytes summed up at a time.
pub(crate) const SCRATCH_BYTES: u32 = 512;

/// Where bytes are copied to that can't be read in the frame.
#[map]
pub(crate) static SCRATCH: PerCpuArray<[u64; SCRATCH_BYTES as usize / 8]> =
    PerCpuArray::with_max_entries(1, 0);

/// Which interface a traced frame is taken to arrive on.
#[map]
pub(crate) static TRACE_INGRESS: Array<u32> = Array::with_max_entries(1, 0);

/// What became of the traced frame.
#[map]
pub(crate) static TRACE_RESULT: Array<Event> = Array::with_max_entries(1, 0);
