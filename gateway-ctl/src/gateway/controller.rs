//! The controller: one task that owns the data plane, and everything it was filled from.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::IpAddr;
use std::time::Duration;

use isthmus_common::encapsulation::Encapsulation;
use isthmus_common::scope::Underlay;
use isthmus_common::tables::{INTERFACE_ADDRESSES, INTERFACE_STACKS, NextHop, Sighting};
use isthmus_common::wire::Vxlan;
use nix::time::{ClockId, clock_gettime};
use tokio::sync::{broadcast, mpsc, oneshot, watch};
use tokio::time::{Instant, MissedTickBehavior};
use tracing::{debug, error, info, warn};

use super::compile::{Site, compile};
use super::dataplane::{DataPlane, DataPlaneError, Mode};
use super::describe::{Names, interface_names};
use super::install::{InstallError, Installed};
use super::interface::Tag;
use super::learned::{Bounds, LearnedEndpoints};
use super::next_hop::{Reach, Surroundings};
use super::plan::{Plan, Refused, Way};
use super::record::{Underside, device_hop, endpoint_hop, port_interface, underlay_interface};
use super::replica::Replica;
use super::watch::Update;
use crate::api;

/// How often the data plane is asked which endpoints it has seen.
const LEARNING: Duration = Duration::from_millis(250);

/// How often a revision that could not be applied is tried again.
const RETRYING: Duration = Duration::from_secs(5);

/// Recent events kept for those who ask later.
const RECENT_EVENTS: usize = 256;

/// What people ask of the controller.
pub enum Command {
    /// How it is.
    Status(oneshot::Sender<api::GatewayStatusResponse>),
    /// All counters.
    Counters(oneshot::Sender<Result<api::CountersResponse, DataPlaneError>>),
    /// Recent events, and those to come.
    Events(oneshot::Sender<(Vec<api::Event>, broadcast::Receiver<api::Event>)>),
    /// Endpoints learned from traffic.
    Endpoints(oneshot::Sender<api::EndpointsResponse>),
    /// What would become of a frame that comes in by the named interface, or by the first.
    Trace(Vec<u8>, String, oneshot::Sender<Result<api::TraceResponse, String>>),
}

/// An interface that the gateway is attached to.
#[derive(Clone, Debug)]
pub struct Attached {
    /// As named on the command line.
    pub name: String,
    /// Its index.
    pub ifindex: u32,
    /// What it is there for.
    pub role: Role,
    /// How.
    pub mode: Mode,
}

/// What an interface is there for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Role {
    /// Tunnel packets, and VLANs.
    Underlay {
        /// The only provider whose networks are reached by it.
        provider: Option<String>,
        /// Its underlay.
        underlay: Underlay,
    },
    /// Plain frames of one network.
    Port {
        /// The network.
        network: String,
    },
}

/// Owns the data plane.
pub struct Controller {
    pub(super) name: String,
    pub(super) broker: String,
    pub(super) attached: Vec<Attached>,
    pub(super) dataplane: DataPlane,
    pub(super) installed: Installed,
    pub(super) replica: Option<Replica>,
    pub(super) unreadable: Vec<Refused>,
    pub(super) plan: Option<Plan>,
    pub(super) learned: LearnedEndpoints,
    pub(super) surroundings: Surroundings,
    slots: BTreeMap<u32, u32>,
    wanted: watch::Sender<Vec<IpAddr>>,
    /// The revision the tables hold.
    pub(super) applied: u64,
    /// Why the tables do not hold the replica's revision.
    pub(super) trouble: Option<String>,
    /// Since when there has been no broker; `None` while there is one.
    pub(super) disconnected: Option<Instant>,
    pub(super) started: Instant,
    recent: VecDeque<api::Event>,
    listeners: broadcast::Sender<api::Event>,
}

impl Controller {
    /// A controller of an attached data plane with empty tables.
    #[must_use]
    pub fn new(
        name: String,
        broker: String,
        attached: Vec<Attached>,
        dataplane: DataPlane,
        installed: Installed,
        wanted: watch::Sender<Vec<IpAddr>>,
        bounds: Bounds,
    ) -> Self {
        let now = Instant::now();
        // Nobody is forgotten too early for having been noted too early.
        let age = bounds.age + Duration::from_nanos(Sighting::RESOLUTION_NANOS);
        Self {
            name,
            broker,
            attached,
            dataplane,
            installed,
            replica: None,
            unreadable: Vec::new(),
            plan: None,
            learned: LearnedEndpoints::new(Bounds { age, ..bounds }),
            surroundings: Surroundings::default(),
            slots: BTreeMap::new(),
            wanted,
            applied: 0,
            trouble: None,
            disconnected: Some(now),
            started: now,
            recent: VecDeque::with_capacity(RECENT_EVENTS),
            listeners: broadcast::channel(RECENT_EVENTS).0,
        }
    }

    /// Works until a channel closes.
    pub async fn run(
        mut self,
        mut updates: mpsc::Receiver<Update>,
        mut surroundings: mpsc::Receiver<Surroundings>,
        mut events: mpsc::Receiver<isthmus_common::event::Event>,
        mut commands: mpsc::Receiver<Command>,
    ) {
        let mut learning = tokio::time::interval(LEARNING);
        learning.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut retrying = tokio::time::interval(RETRYING);
        retrying.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                _ = learning.tick() => self.learn(),
                _ = retrying.tick() => self.retry(),
                Some(update) = updates.recv() => self.update(update),
                Some(found) = surroundings.recv() => self.surroundings_changed(found),
                Some(event) = events.recv() => self.event(&event),
                command = commands.recv() => match command {
                    Some(command) => self.answer(command),
                    None => return,
                },
            }
        }
    }

    fn update(&mut self, update: Update) {
        match update {
            Update::Connected => {
                if self.disconnected.take().is_some() {
                    info!(broker = self.broker, "connected to the broker");
                }
            }
            Update::Disconnected(problem) => {
                if self.disconnected.is_none() || self.replica.is_none() {
                    warn!(broker = self.broker, %problem, "no broker; what is in force stays in force");
                }
                self.disconnected.get_or_insert_with(Instant::now);
            }
            Update::Snapshot(replica, unreadable) => {
                self.replica = Some(*replica);
                self.unreadable = unreadable;
                self.apply();
            }
            Update::Delta { to, upserts, tombstones, unreadable } => {
                let Some(replica) = &mut self.replica else { return };
                self.unreadable.retain(|refused| {
                    !tombstones.contains(&refused.object)
                        && upserts.iter().all(|object| object.spec.object_ref() != refused.object)
                        && unreadable.iter().all(|again| again.object != refused.object)
                });
                self.unreadable.extend(unreadable);
                for object in upserts {
                    replica.put(object);
                }
                for object in &tombstones {
                    replica.remove(object);
                }
                replica.revision = to;
                self.apply();
            }
        }
    }

    /// Brings the tables to what the replica and the surroundings ask for.
    fn apply(&mut self) {
        let Some(replica) = &self.replica else { return };
        let revision = replica.revision;
        let plan = compile(replica, &self.site());
        let installed = self.installed.install(&mut self.dataplane, &plan).map_err(|error| error.to_string());
        let vteps: BTreeSet<IpAddr> = self.installed.ways().flat_map(Way::addresses).copied().collect();
        let vteps: Vec<IpAddr> = vteps.into_iter().collect();
        self.wanted.send_if_modified(|wanted| {
            let changed = *wanted != vteps;
            *wanted = vteps;
            changed
        });
        // What could not be installed leaves what was there in force, and that goes on as before: it listens where it
        // did, and addresses and routes may have changed under it.
        let before = self.plan.take();
        let is_installed = installed.is_ok();
        let listening = if is_installed { Some(&plan) } else { before.as_ref() };
        let interfaces = self.write_interfaces(listening).map_err(|error| error.to_string());
        let next_hops = self.write_next_hops().map_err(|error| error.to_string());
        let result = installed.and(interfaces).and(next_hops);
        for refused in &plan.refused {
            let known = before.as_ref().is_some_and(|before| before.refused.contains(refused));
            if !known {
                warn!(object = %refused.object, version = refused.version, reason = refused.reason, "refused");
            }
        }
        match result {
            Ok(()) => {
                let (mappings, refused) = (plan.mappings.len(), plan.refused.len());
                if self.applied == revision && self.trouble.is_none() {
                    // Endpoints that move would fill the log.
                    debug!(revision, mappings, refused, "applied again");
                } else {
                    info!(revision, mappings, refused, "applied");
                }
                self.applied = revision;
                self.trouble = None;
            }
            Err(problem) => {
                if self.trouble.as_ref() != Some(&problem) {
                    error!(revision, %problem, "could not apply the revision as a whole");
                }
                self.trouble = Some(problem);
            }
        }
        self.plan = Some(if is_installed {
            plan
        } else {
            let in_force = before.unwrap_or_else(|| Plan::empty(plan.label_range));
            Plan { refused: plan.refused, ..in_force }
        });
    }

    /// Tries again what the kernel refused, or had no memory for.
    fn retry(&mut self) {
        if self.trouble.is_some() {
            self.apply();
        }
    }

    fn site(&self) -> Site {
        let mut site = Site {
            name: self.name.clone(),
            addresses: self.surroundings.addresses().collect(),
            learned: self.learned.current(),
            ..Site::default()
        };
        for attached in &self.attached {
            match &attached.role {
                Role::Underlay { provider, underlay } => {
                    site.interfaces.insert(attached.ifindex, *underlay);
                    site.bound_providers.extend(provider.clone().map(|provider| (provider, *underlay)));
                }
                Role::Port { network } => drop(site.ports.insert(network.clone(), attached.ifindex)),
            }
        }
        site
    }

    /// Takes in what the data plane has seen of endpoints.
    fn learn(&mut self) {
        let (Some(replica), Some(plan)) = (&self.replica, &self.plan) else { return };
        // Where no network learns any more, what was learned has to be forgotten still.
        if self.learned.is_empty() && plan.scopes.values().all(|scope| !scope.learns) {
            return;
        }
        let sightings = match self.dataplane.learned() {
            Ok(sightings) => sightings,
            Err(problem) => return error!(%problem, "could not read which endpoints were seen"),
        };
        let own = self.surroundings.addresses().collect();
        let change = self.learned.observe(&sightings, replica, plan, &own, nanos_since_boot());
        for key in &change.stale {
            if let Err(problem) = self.dataplane.forget_learned(key) {
                error!(%problem, "could not forget an endpoint");
            }
        }
        if change.is_needed {
            self.apply();
        }
    }

    fn surroundings_changed(&mut self, found: Surroundings) {
        let links_changed = found.links != self.surroundings.links;
        for (vtep, reach) in &found.reach {
            if self.surroundings.reach.get(vtep) != Some(reach) {
                match reach {
                    Reach::Via(via) => {
                        info!(%vtep, source = %via.source, mac = %via.destination_mac, "reachable");
                    }
                    Reach::Unreachable(why) => warn!(%vtep, why, "not reachable"),
                }
            }
        }
        self.surroundings = found;
        if links_changed && self.replica.is_some() {
            return self.apply();
        }
        if links_changed && let Err(problem) = self.write_interfaces(None) {
            error!(%problem, "could not configure an interface");
        }
        if let Err(problem) = self.write_next_hops() {
            error!(%problem, "could not write a next hop");
        }
    }

    fn write_interfaces(&mut self, plan: Option<&Plan>) -> Result<(), DataPlaneError> {
        let ports = plan.map_or_else(|| vec![(Vxlan::PORT, Encapsulation::Vxlan)], Plan::tunnel_ports);
        for attached in &self.attached {
            let record = match &attached.role {
                Role::Port { .. } => {
                    let Some(underlay) = plan.and_then(|plan| plan.port_networks.get(&attached.ifindex))
                    else {
                        continue;
                    };
                    port_interface(attached.ifindex, *underlay)
                }
                Role::Underlay { underlay, .. } => {
                    let vlans: Vec<u16> = plan
                        .and_then(|plan| plan.vlans.get(&attached.ifindex))
                        .map(|vlans| vlans.iter().copied().collect())
                        .unwrap_or_default();
                    let addresses = self.tunnel_addresses(attached, *underlay);
                    // One that was configured before has to forget its addresses.
                    let is_fresh = !self.slots.contains_key(&attached.ifindex);
                    if is_fresh && addresses.is_empty() && vlans.is_empty() {
                        continue;
                    }
                    let stacks = self.tag_stacks(attached);
                    let underside =
                        Underside { ports: &ports, addresses: &addresses, stacks: &stacks, vlans: &vlans };
                    underlay_interface(attached.ifindex, *underlay, &underside)
                }
            };
            let slot = self.dataplane.set_interface(&record)?;
            self.slots.insert(attached.ifindex, slot);
        }
        Ok(())
    }

    /// The addresses an interface takes tunnel packets for: its own first, then those of the other
    /// interfaces on the same underlay, because routes of senders may change before senders learn of it.
    fn tunnel_addresses(&self, attached: &Attached, underlay: Underlay) -> Vec<IpAddr> {
        let of = |ifindex: u32| {
            self.surroundings.links.get(&ifindex).into_iter().flat_map(|link| {
                let vlans = link.vlans.iter().flat_map(|vlan| &vlan.addresses);
                link.addresses.iter().chain(vlans).copied()
            })
        };
        let is_beside = |other: &&Attached| {
            let same = matches!(other.role, Role::Underlay { underlay: of, .. } if of == underlay);
            same && other.ifindex != attached.ifindex
        };
        let others = self.attached.iter().filter(is_beside).flat_map(|other| of(other.ifindex));
        let all: Vec<IpAddr> = of(attached.ifindex).chain(others).collect();
        let (v4, v6): (Vec<_>, Vec<_>) = all.into_iter().partition(IpAddr::is_ipv4);
        if v4.len() > INTERFACE_ADDRESSES || v6.len() > INTERFACE_ADDRESSES {
            warn!(
                interface = attached.name,
                "takes tunnel packets for the first {INTERFACE_ADDRESSES} addresses of each family only, of {} and {}",
                v4.len(),
                v6.len()
            );
        }
        [v4, v6].into_iter().flat_map(|all| all.into_iter().take(INTERFACE_ADDRESSES)).collect()
    }

    /// The tags that tunnel packets may have on an interface.
    fn tag_stacks(&self, attached: &Attached) -> Vec<Vec<Tag>> {
        let link = self.surroundings.links.get(&attached.ifindex);
        let with_addresses =
            link.iter().flat_map(|link| &link.vlans).filter(|vlan| !vlan.addresses.is_empty());
        let stacks: Vec<_> = with_addresses.map(|vlan| vlan.tags.clone()).collect();
        if stacks.len() > INTERFACE_STACKS {
            warn!(
                interface = attached.name,
                "takes tunnel packets of its first {INTERFACE_STACKS} VLAN devices only, of {}",
                stacks.len()
            );
        }
        stacks
    }

    fn write_next_hops(&mut self) -> Result<(), InstallError<DataPlaneError>> {
        let hops: Vec<(Way, NextHop)> =
            self.installed.ways().map(|way| (way.clone(), self.next_hop(way).unwrap_or_default())).collect();
        self.installed.set_next_hops(&mut self.dataplane, hops)
    }

    /// The next hop on a way, if there is one.
    fn next_hop(&self, way: &Way) -> Option<NextHop> {
        if let Way::Device { ifindex } = way {
            let link = self.surroundings.links.get(ifindex).filter(|link| link.is_up)?;
            return Some(device_hop(*ifindex, *self.slots.get(ifindex)?, link.mtu));
        }
        let address = self.best_address(way)?;
        let Reach::Via(via) = self.surroundings.reach.get(&address)? else { return None };
        Some(endpoint_hop(address, via, *self.slots.get(&via.ifindex)?))
    }

    /// The first of a way's addresses that can be reached.
    pub(super) fn best_address(&self, way: &Way) -> Option<IpAddr> {
        let is_reachable =
            |address: &&IpAddr| matches!(self.surroundings.reach.get(*address), Some(Reach::Via(_)));
        way.addresses().iter().find(is_reachable).copied()
    }

    fn event(&mut self, event: &isthmus_common::event::Event) {
        let interfaces = interface_names(&self.surroundings);
        let event = Names { installed: &self.installed, interfaces: &interfaces }.event(event);
        if self.recent.len() == RECENT_EVENTS {
            self.recent.pop_front();
        }
        self.recent.push_back(event.clone());
        // Nobody listening is no fault.
        let _ = self.listeners.send(event);
    }

    fn answer(&mut self, command: Command) {
        // Who asked may have gone away meanwhile: then nobody needs the answer.
        match command {
            Command::Status(reply) => drop(reply.send(self.status())),
            Command::Counters(reply) => drop(reply.send(self.counters())),
            Command::Events(reply) => {
                drop(reply.send((self.recent.iter().cloned().collect(), self.listeners.subscribe())));
            }
            Command::Endpoints(reply) => drop(reply.send(self.endpoints())),
            Command::Trace(frame, interface, reply) => drop(reply.send(self.trace(&frame, &interface))),
        }
    }
}

/// The data plane's clock.
pub(super) fn nanos_since_boot() -> u64 {
    clock_gettime(ClockId::CLOCK_MONOTONIC)
        .ok()
        .and_then(|time| u64::try_from(Duration::from(time).as_nanos()).ok())
        .unwrap_or_default()
}
