//! The loaded XDP programs and their maps.

use std::os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd};

use aya::maps::{
    Array, DevMap, HashMap, MapData, MapError, PerCpuArray, PerCpuHashMap, PerCpuValues, RingBuf,
};
use aya::programs::links::FdLink;
use aya::programs::{ProgramError, TestRun as _, TestRunOptions, Xdp, XdpMode};
use aya::{Ebpf, EbpfError, EbpfLoader};
use isthmus_common::event::Event;
use isthmus_common::reason::Reason;
use isthmus_common::rules::{Leg, RuleSet};
use isthmus_common::scope::Scope;
use isthmus_common::tables::{
    COUNTERS, Count, EventBudget, INTERFACE_PROBES, INTERFACE_SLOTS, Interface, LegCount, LegDrop,
    NextHopPair, Origin, Policy, PolicyKey, RECEIVED, ScopeEntry, Settings, Sighting, Stamp, Target,
    TargetKey,
};
use zerocopy::{FromBytes, FromZeros, Immutable, IntoBytes};

use super::install::{Capacity, TableWriter};
use super::raw::Raw;

/// The object file, built by the build script.
static OBJECT: &[u8] = aya::include_bytes_aligned!(concat!(env!("OUT_DIR"), "/isthmus-gateway"));

/// The data plane could not be loaded, attached, read or written.
#[derive(Debug, thiserror::Error)]
pub enum DataPlaneError {
    /// The kernel refused the object.
    #[error("load the XDP programs: {}", chain(.0))]
    Load(#[from] EbpfError),
    /// The kernel refused a program.
    #[error("load XDP program {name}: {}", chain(.error))]
    Verify {
        /// The program.
        name: &'static str,
        /// What the kernel said, the verifier's log included.
        error: ProgramError,
    },
    /// The object lacks something: it was not built from this source.
    #[error("the XDP object has no {kind} {name}: build it again")]
    Missing {
        /// Map or program.
        kind: &'static str,
        /// Its name.
        name: &'static str,
    },
    /// A map operation failed.
    #[error("{act} {map}: {}", chain(.error))]
    Map {
        /// What was tried.
        act: &'static str,
        /// On which map.
        map: &'static str,
        /// What the kernel said.
        error: MapError,
    },
    /// Attaching failed.
    #[error("attach XDP to {interface} in {mode} mode: {reason}")]
    Attach {
        /// The interface.
        interface: String,
        /// "native" or "generic".
        mode: &'static str,
        /// What the kernel said, and what may help.
        reason: String,
    },
    /// More interfaces than slots, or too many that fall into the same ones.
    #[error(
        "no slot for interface index {ifindex}: a gateway takes up to {INTERFACE_SLOTS} interfaces, and at most \
         {INTERFACE_PROBES} with neighbouring indexes modulo {INTERFACE_SLOTS}"
    )]
    NoSlot {
        /// The interface that has none.
        ifindex: u32,
    },
    /// The device can't be redirected to.
    #[error("enter interface index {ifindex} as an egress device: {reason}")]
    Egress {
        /// The interface.
        ifindex: u32,
        /// What the kernel said.
        reason: String,
    },
    /// `BPF_PROG_TEST_RUN` failed.
    #[error("run a frame of {length} bytes through the program: {}", chain(.error))]
    TestRun {
        /// Bytes in the frame.
        length: usize,
        /// What the kernel said.
        error: ProgramError,
    },
}

fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let cause_text = cause.to_string();
        if !text.contains(&cause_text) {
            text = format!("{text}: {cause_text}");
        }
        source = cause.source();
    }
    text
}

/// How XDP is attached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// In the driver.
    Native,
    /// After the driver, on socket buffers: slow, for tests on interfaces without native XDP.
    Generic,
}

impl Mode {
    /// As shown to people.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Native => "native",
            Self::Generic => "generic",
        }
    }
}

/// What a traced frame would come to.
#[derive(Clone, Debug)]
pub struct Traced {
    /// The XDP action.
    pub action: u32,
    /// Reason, and what was parsed.
    pub event: Event,
    /// The frame afterwards.
    pub frame: Vec<u8>,
}

/// What the kernel says of a program that it has loaded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LoadedProgram {
    /// Its name in the object.
    pub name: String,
    /// Instructions that the verifier went through, over all ways through the program; the kernel's limit is
    /// a million. `None` before Linux 5.16.
    pub verified_instructions: Option<u32>,
    /// Length of the bytecode after verification, if the kernel shows it.
    pub translated_bytes: Option<u32>,
    /// Length of the machine code; 0 if the program is interpreted.
    pub machine_code_bytes: u32,
}

type Table<K, V> = HashMap<MapData, Raw<K>, Raw<V>>;

/// Programs, maps and attachments. Dropping it detaches and removes everything.
pub struct DataPlane {
    settings: Array<MapData, Raw<Settings>>,
    interfaces: Array<MapData, Raw<Interface>>,
    egress: DevMap<MapData>,
    targets: Table<TargetKey, Target>,
    policies: Table<PolicyKey, Policy>,
    scopes: Table<Scope, ScopeEntry>,
    learned: Table<TargetKey, Sighting>,
    rule_sets: Array<MapData, Raw<RuleSet>>,
    next_hops: Array<MapData, Raw<NextHopPair>>,
    origins: Array<MapData, Raw<Origin>>,
    stamps: Array<MapData, Raw<Stamp>>,
    counters: PerCpuArray<MapData, Raw<Count>>,
    leg_counters: PerCpuArray<MapData, Raw<LegCount>>,
    leg_drops: PerCpuHashMap<MapData, Raw<LegDrop>, Raw<Count>>,
    event_budget: PerCpuArray<MapData, Raw<EventBudget>>,
    trace_ingress: Array<MapData, u32>,
    trace_result: Array<MapData, Raw<Event>>,
    links: Vec<FdLink>,
    slots: Vec<u32>,
    ebpf: Ebpf,
}

macro_rules! take {
    ($ebpf:ident, $name:literal) => {
        $ebpf
            .take_map($name)
            .ok_or(DataPlaneError::Missing { kind: "map", name: $name })?
            .try_into()
            .map_err(|error| DataPlaneError::Map { act: "open", map: $name, error })?
    };
}

fn map_error(act: &'static str, map: &'static str) -> impl FnOnce(MapError) -> DataPlaneError {
    move |error| DataPlaneError::Map { act, map, error }
}

impl DataPlane {
    /// Loads programs and maps; attaches nothing.
    ///
    /// # Errors
    /// If the kernel refuses: no privilege, no memory, a kernel too old.
    pub fn load(capacity: &Capacity) -> Result<Self, DataPlaneError> {
        let mut ebpf = EbpfLoader::new()
            .map_max_entries("TARGETS", capacity.entries)
            .map_max_entries("POLICIES", capacity.entries)
            .map_max_entries("SCOPES", capacity.entries)
            .map_max_entries("RULE_SETS", capacity.rule_sets)
            .map_max_entries("NEXT_HOPS", capacity.next_hops)
            .map_max_entries("ORIGINS", capacity.next_hops)
            .map_max_entries("STAMPS", capacity.mappings)
            .map_max_entries("LEG_COUNTERS", capacity.mappings.saturating_mul(2))
            .load(OBJECT)?;
        for name in [LIVE, TRACE] {
            program(&mut ebpf, name)?.load().map_err(|error| DataPlaneError::Verify { name, error })?;
        }
        Ok(Self {
            settings: take!(ebpf, "SETTINGS"),
            interfaces: take!(ebpf, "INTERFACES"),
            egress: take!(ebpf, "EGRESS"),
            targets: take!(ebpf, "TARGETS"),
            policies: take!(ebpf, "POLICIES"),
            scopes: take!(ebpf, "SCOPES"),
            learned: take!(ebpf, "LEARNED"),
            rule_sets: take!(ebpf, "RULE_SETS"),
            next_hops: take!(ebpf, "NEXT_HOPS"),
            origins: take!(ebpf, "ORIGINS"),
            stamps: take!(ebpf, "STAMPS"),
            counters: take!(ebpf, "COUNTERS"),
            leg_counters: take!(ebpf, "LEG_COUNTERS"),
            leg_drops: take!(ebpf, "LEG_DROPS"),
            event_budget: take!(ebpf, "EVENT_BUDGET"),
            trace_ingress: take!(ebpf, "TRACE_INGRESS"),
            trace_result: take!(ebpf, "TRACE_RESULT"),
            links: Vec::new(),
            slots: Vec::new(),
            ebpf,
        })
    }

    /// The event ring; it can be taken once.
    ///
    /// # Errors
    /// If it has been taken.
    pub fn take_events(&mut self) -> Result<EventRing, DataPlaneError> {
        let ebpf = &mut self.ebpf;
        Ok(EventRing(take!(ebpf, "EVENTS")))
    }

    /// Attaches the gateway to an interface.
    ///
    /// # Errors
    /// If another program is there, or the driver can't: never falls back to another mode.
    pub fn attach(&mut self, name: &str, ifindex: u32, mode: Mode) -> Result<(), DataPlaneError> {
        let refused = |reason: String| DataPlaneError::Attach {
            interface: name.to_owned(),
            mode: mode.as_str(),
            reason,
        };
        let program = program(&mut self.ebpf, LIVE)?;
        let xdp_mode = match mode {
            Mode::Native => XdpMode::Driver,
            Mode::Generic => XdpMode::Skb,
        };
        let link = program
            .attach_to_if_index(ifindex, xdp_mode)
            .and_then(|id| program.take_link(id))
            .map_err(|error| refused(explain_attach(&error, mode)))?;
        // Without a link of its own the program would outlive a killed controller.
        let link = FdLink::try_from(link).map_err(|_| {
            refused(
                "the kernel offers no BPF links for XDP (needs Linux 5.9 or newer), or refused one".into(),
            )
        })?;
        self.links.push(link);
        Ok(())
    }

    /// Configures an interface, by index; gives it a slot if it has none, and tells which.
    ///
    /// # Errors
    /// If there is no free slot where it may sit, or a write fails.
    pub fn set_interface(&mut self, interface: &Interface) -> Result<u32, DataPlaneError> {
        let slot = self.slot_for(interface.ifindex)?;
        self.egress
            .set(slot, interface.ifindex, None, 0)
            .map_err(|error| DataPlaneError::Egress { ifindex: interface.ifindex, reason: chain(&error) })?;
        self.interfaces.set(slot, Raw(*interface), 0).map_err(map_error("write", "INTERFACES"))?;
        if !self.slots.contains(&slot) {
            self.slots.push(slot);
        }
        Ok(slot)
    }

    fn slot_for(&self, ifindex: u32) -> Result<u32, DataPlaneError> {
        let mut free = None;
        for probe in 0..INTERFACE_PROBES {
            let slot = ifindex.wrapping_add(probe) % INTERFACE_SLOTS;
            let present = self.interfaces.get(&slot, 0).map_err(map_error("read", "INTERFACES"))?.0;
            if present.ifindex == ifindex {
                return Ok(slot);
            }
            if present.ifindex == 0 && free.is_none() {
                free = Some(slot);
            }
        }
        free.ok_or(DataPlaneError::NoSlot { ifindex })
    }

    /// Packets received, and packets out by reason, summed over CPUs.
    ///
    /// # Errors
    /// If a read fails.
    pub fn counters(&self) -> Result<(Count, Vec<(Reason, Count)>), DataPlaneError> {
        let read = |slot: u32| {
            self.counters.get(&slot, 0).map(|values| sum(&values)).map_err(map_error("read", "COUNTERS"))
        };
        // Received last: a packet in flight is then missing among the reasons at most.
        let mut reasons = Vec::with_capacity(COUNTERS as usize);
        for reason in Reason::ALL {
            reasons.push((*reason, read(reason.index() + 1)?));
        }
        Ok((read(RECEIVED)?, reasons))
    }

    /// What a leg has forwarded, summed over CPUs.
    ///
    /// # Errors
    /// If a read fails.
    pub fn leg_counter(&self, leg: Leg) -> Result<LegCount, DataPlaneError> {
        let values = self.leg_counters.get(&leg.0, 0).map_err(map_error("read", "LEG_COUNTERS"))?;
        let mut total = LegCount::default();
        for value in values.iter() {
            add(&mut total.redirected, &value.0.redirected);
            add(&mut total.transmitted, &value.0.transmitted);
        }
        Ok(total)
    }

    /// What legs have dropped, summed over CPUs.
    ///
    /// # Errors
    /// If a read fails.
    pub fn leg_drops(&self) -> Result<Vec<(LegDrop, Count)>, DataPlaneError> {
        self.leg_drops
            .iter()
            .map(|entry| entry.map(|(key, values)| (key.0, sum(&values))))
            .collect::<Result<_, _>>()
            .map_err(map_error("read", "LEG_DROPS"))
    }

    /// Events that were not sent, summed over CPUs.
    ///
    /// # Errors
    /// If the read fails.
    pub fn events_suppressed(&self) -> Result<u64, DataPlaneError> {
        let values = self.event_budget.get(&0, 0).map_err(map_error("read", "EVENT_BUDGET"))?;
        Ok(values.iter().map(|budget| budget.0.suppressed).sum())
    }

    /// Endpoints that the data plane has seen lately, in scopes of networks that learn them.
    ///
    /// # Errors
    /// If a read fails.
    pub fn learned(&self) -> Result<Vec<(TargetKey, Sighting)>, DataPlaneError> {
        self.learned
            .iter()
            .map(|entry| entry.map(|(key, sighting)| (key.0, sighting.0)))
            .collect::<Result<_, _>>()
            .map_err(map_error("read", "LEARNED"))
    }

    /// Forgets what the data plane has seen of an endpoint.
    ///
    /// # Errors
    /// If the write fails.
    pub fn forget_learned(&mut self, key: &TargetKey) -> Result<(), DataPlaneError> {
        remove(&mut self.learned, "LEARNED", *key)
    }

    /// Runs one frame through the trace program, as if it came in by `ingress`.
    ///
    /// # Errors
    /// If the kernel can't run it: shorter than an Ethernet header, or longer than it takes.
    pub fn trace(&mut self, frame: &[u8], ingress: u32) -> Result<Traced, DataPlaneError> {
        self.trace_ingress.set(0, ingress, 0).map_err(map_error("write", "TRACE_INGRESS"))?;
        let failed = |error| DataPlaneError::TestRun { length: frame.len(), error };
        // Translation may add headers; nothing adds more than this.
        let mut out = vec![0; frame.len() + 512];
        let result = program(&mut self.ebpf, TRACE)?
            .test_run(TestRunOptions { data_in: Some(frame), data_out: Some(&mut out), ..Default::default() })
            .map_err(failed)?;
        out.truncate(result.data_size_out as usize);
        let event = self.trace_result.get(&0, 0).map_err(map_error("read", "TRACE_RESULT"))?.0;
        Ok(Traced { action: result.return_value, event, frame: out })
    }

    /// Every program of the object, as the kernel has it.
    ///
    /// # Errors
    /// If one was not loaded, or the kernel doesn't tell.
    pub fn programs(&self) -> Result<Vec<LoadedProgram>, ProgramError> {
        let loaded = |(name, program): (&str, &aya::programs::Program)| {
            let info = program.info()?;
            Ok(LoadedProgram {
                name: name.to_owned(),
                verified_instructions: info.verified_instruction_count(),
                translated_bytes: info.size_translated(),
                machine_code_bytes: info.size_jitted(),
            })
        };
        self.ebpf.programs().map(loaded).collect()
    }

    /// Nanoseconds the live program takes for a frame that comes in by loopback, averaged by the kernel
    /// over `repeat` runs, each on what the one before left of the frame.
    ///
    /// # Errors
    /// If the kernel can't run it.
    pub fn cost(&mut self, frame: &[u8], repeat: u32) -> Result<u64, DataPlaneError> {
        let result = program(&mut self.ebpf, LIVE)?
            .test_run(TestRunOptions { data_in: Some(frame), repeat, ..Default::default() })
            .map_err(|error| DataPlaneError::TestRun { length: frame.len(), error })?;
        Ok(u64::try_from(result.duration.as_nanos()).unwrap_or(u64::MAX))
    }
}

const LIVE: &str = "isthmus";
const TRACE: &str = "isthmus_trace";

fn program<'e>(ebpf: &'e mut Ebpf, name: &'static str) -> Result<&'e mut Xdp, DataPlaneError> {
    ebpf.program_mut(name)
        .and_then(|program| program.try_into().ok())
        .ok_or(DataPlaneError::Missing { kind: "program", name })
}

fn sum(values: &PerCpuValues<Raw<Count>>) -> Count {
    let mut total = Count::default();
    for value in values.iter() {
        add(&mut total, &value.0);
    }
    total
}

fn add(total: &mut Count, count: &Count) {
    total.packets += count.packets;
    total.bytes += count.bytes;
}

fn explain_attach(error: &ProgramError, mode: Mode) -> String {
    use nix::errno::Errno;
    let errno = match error {
        ProgramError::SyscallError(syscall) => syscall.io_error.raw_os_error().map(Errno::from_raw),
        _ => None,
    };
    let text = chain(error);
    match (errno, mode) {
        (Some(Errno::EBUSY | Errno::EEXIST), _) => {
            format!("another XDP program is attached there (see `ip link show`); remove it first ({text})")
        }
        (Some(Errno::EOPNOTSUPP), Mode::Native) => format!(
            "the driver has no native XDP; `--xdp-mode generic` runs it after the driver, many times slower ({text})"
        ),
        (Some(Errno::EPERM | Errno::EACCES), _) => {
            format!("not permitted: it takes root, or CAP_NET_ADMIN and CAP_BPF ({text})")
        }
        (Some(Errno::ERANGE | Errno::EINVAL), _) => {
            format!("the driver refuses; its MTU, or its peer's, may be too large for XDP ({text})")
        }
        _ => text,
    }
}

/// The ring of events.
pub struct EventRing(RingBuf<MapData>);

impl EventRing {
    /// The next event, if one is there.
    pub fn pop(&mut self) -> Option<Event> {
        while let Some(record) = self.0.next() {
            if let Ok(event) = Event::read_from_bytes(&record) {
                return Some(event);
            }
        }
        None
    }
}

impl AsRawFd for EventRing {
    fn as_raw_fd(&self) -> RawFd {
        self.0.as_raw_fd()
    }
}

impl AsFd for EventRing {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

impl TableWriter for DataPlane {
    type Error = DataPlaneError;

    fn set_settings(&mut self, settings: &Settings) -> Result<(), DataPlaneError> {
        self.settings.set(0, Raw(*settings), 0).map_err(map_error("write", "SETTINGS"))
    }

    fn set_rule_set(&mut self, index: u32, rules: &RuleSet) -> Result<(), DataPlaneError> {
        self.rule_sets.set(index, Raw(*rules), 0).map_err(map_error("write", "RULE_SETS"))
    }

    fn set_next_hop(&mut self, index: u32, hops: &NextHopPair) -> Result<(), DataPlaneError> {
        self.next_hops.set(index, Raw(*hops), 0).map_err(map_error("write", "NEXT_HOPS"))
    }

    fn set_stamp(&mut self, mapping: u32, stamp: &Stamp) -> Result<(), DataPlaneError> {
        self.stamps.set(mapping, Raw(*stamp), 0).map_err(map_error("write", "STAMPS"))
    }

    fn set_origin(&mut self, index: u32, origin: &Origin) -> Result<(), DataPlaneError> {
        self.origins.set(index, Raw(*origin), 0).map_err(map_error("write", "ORIGINS"))
    }

    fn put_policy(&mut self, key: &PolicyKey, policy: &Policy) -> Result<(), DataPlaneError> {
        put(&mut self.policies, "POLICIES", *key, *policy)
    }

    fn remove_policy(&mut self, key: &PolicyKey) -> Result<(), DataPlaneError> {
        remove(&mut self.policies, "POLICIES", *key)
    }

    fn put_scope(&mut self, scope: Scope, entry: &ScopeEntry) -> Result<(), DataPlaneError> {
        put(&mut self.scopes, "SCOPES", scope, *entry)
    }

    fn remove_scope(&mut self, scope: Scope) -> Result<(), DataPlaneError> {
        remove(&mut self.scopes, "SCOPES", scope)
    }

    fn put_target(&mut self, key: &TargetKey, target: &Target) -> Result<(), DataPlaneError> {
        put(&mut self.targets, "TARGETS", *key, *target)
    }

    fn remove_target(&mut self, key: &TargetKey) -> Result<(), DataPlaneError> {
        remove(&mut self.targets, "TARGETS", *key)
    }

    fn clear_leg(&mut self, leg: Leg) -> Result<(), DataPlaneError> {
        let cpus = self.leg_counters.get(&leg.0, 0).map_err(map_error("read", "LEG_COUNTERS"))?.len();
        let zeros = PerCpuValues::try_from(vec![Raw(LegCount::default()); cpus]).map_err(|error| {
            DataPlaneError::Map { act: "clear", map: "LEG_COUNTERS", error: error.into() }
        })?;
        self.leg_counters.set(leg.0, zeros, 0).map_err(map_error("write", "LEG_COUNTERS"))?;
        for (key, _) in self.leg_drops()? {
            if key.leg == leg {
                ignore_missing(self.leg_drops.remove(&Raw(key)))
                    .map_err(map_error("remove from", "LEG_DROPS"))?;
            }
        }
        Ok(())
    }

    fn settle(&mut self) {
        super::rcu::wait();
    }
}

fn put<K, V>(map: &mut Table<K, V>, name: &'static str, key: K, value: V) -> Result<(), DataPlaneError>
where
    K: IntoBytes + FromZeros + Immutable + Copy + 'static,
    V: IntoBytes + FromZeros + Immutable + Copy + 'static,
{
    map.insert(Raw(key), Raw(value), 0).map_err(map_error("write", name))
}

fn remove<K, V>(map: &mut Table<K, V>, name: &'static str, key: K) -> Result<(), DataPlaneError>
where
    K: IntoBytes + FromZeros + Immutable + Copy + 'static,
    V: IntoBytes + FromZeros + Immutable + Copy + 'static,
{
    ignore_missing(map.remove(&Raw(key))).map_err(map_error("remove from", name))
}

/// Removing what isn't there is done already.
fn ignore_missing(result: Result<(), MapError>) -> Result<(), MapError> {
    match result {
        Err(MapError::SyscallError(error))
            if error.io_error.raw_os_error() == Some(nix::errno::Errno::ENOENT as i32) =>
        {
            Ok(())
        }
        other => other,
    }
}
