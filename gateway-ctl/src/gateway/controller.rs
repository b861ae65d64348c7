//! The controller: one task that owns the data plane, and everything it was filled from.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::net::{IpAddr, Ipv4Addr};

use isthmus_common::reason::Reason;
use isthmus_common::rules::{Direction, Leg};
use isthmus_common::scope::Underlay;
use isthmus_common::tables::{Count, INTERFACE_ADDRESSES, NextHop, Tunnel};
use isthmus_common::wire::Vxlan;
use tokio::sync::{broadcast, mpsc, oneshot, watch};
use tokio::time::Instant;
use tracing::{error, info, warn};
use uuid::Uuid;

use super::compile::{Site, compile};
use super::dataplane::{DataPlane, DataPlaneError, Mode, interface_record};
use super::describe::{Names, interface_names};
use super::install::{InstallError, Installed};
use super::interface::{InterfaceArgument, Link};
use super::next_hop::{Reach, Surroundings};
use super::plan::{Plan, Refused};
use super::replica::Replica;
use super::trace::trace;
use super::watch::Update;
use crate::api;

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
    /// What would become of a frame that comes in by the named interface, or by the first.
    Trace(Vec<u8>, String, oneshot::Sender<Result<api::TraceResponse, String>>),
}

/// An interface that the gateway is attached to.
#[derive(Clone, Debug)]
pub struct Attached {
    /// As named on the command line.
    pub argument: InterfaceArgument,
    /// Its index.
    pub ifindex: u32,
    /// Its underlay.
    pub underlay: Underlay,
    /// How.
    pub mode: Mode,
}

/// Owns the data plane.
pub struct Controller {
    broker: String,
    attached: Vec<Attached>,
    dataplane: DataPlane,
    installed: Installed,
    replica: Option<Replica>,
    unreadable: Vec<Refused>,
    plan: Option<Plan>,
    surroundings: Surroundings,
    slots: BTreeMap<u32, u32>,
    wanted: watch::Sender<Vec<IpAddr>>,
    /// The revision the tables hold.
    applied: u64,
    /// Why the tables do not hold the replica's revision.
    trouble: Option<String>,
    /// Since when there has been no broker; `None` while there is one.
    disconnected: Option<Instant>,
    started: Instant,
    recent: VecDeque<api::Event>,
    listeners: broadcast::Sender<api::Event>,
}

impl Controller {
    /// A controller of an attached data plane with empty tables.
    #[must_use]
    pub fn new(
        broker: String,
        attached: Vec<Attached>,
        dataplane: DataPlane,
        installed: Installed,
        wanted: watch::Sender<Vec<IpAddr>>,
    ) -> Self {
        let now = Instant::now();
        Self {
            broker,
            attached,
            dataplane,
            installed,
            replica: None,
            unreadable: Vec::new(),
            plan: None,
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
        loop {
            tokio::select! {
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
        let result = self.installed.install(&mut self.dataplane, &plan);
        let vteps: Vec<IpAddr> = self.installed.vteps().map(IpAddr::V4).collect();
        self.wanted.send_if_modified(|wanted| {
            let changed = *wanted != vteps;
            *wanted = vteps;
            changed
        });
        let result =
            result.and_then(|()| self.write_next_hops()).map_err(|error| error.to_string()).and_then(|()| {
                self.write_interfaces(&tunnel_ports(Some(&plan))).map_err(|error| error.to_string())
            });
        for refused in &plan.refused {
            let known = self.plan.as_ref().is_some_and(|before| before.refused.contains(refused));
            if !known {
                warn!(object = %refused.object, version = refused.version, reason = refused.reason, "refused");
            }
        }
        match result {
            Ok(()) => {
                self.applied = revision;
                self.trouble = None;
                info!(revision, mappings = plan.mappings.len(), refused = plan.refused.len(), "applied");
            }
            Err(problem) => {
                error!(revision, %problem, "could not apply the revision as a whole");
                self.trouble = Some(problem);
            }
        }
        self.plan = Some(plan);
    }

    fn site(&self) -> Site {
        Site {
            bound_providers: self
                .attached
                .iter()
                .filter_map(|attached| Some((attached.argument.provider.clone()?, attached.underlay)))
                .collect(),
            addresses: self.surroundings.links.values().flat_map(ipv4_addresses).collect(),
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
        if let Err(problem) = self.write_interfaces(&tunnel_ports(self.plan.as_ref())) {
            error!(%problem, "could not configure an interface");
        }
        if let Err(problem) = self.write_next_hops() {
            error!(%problem, "could not write a next hop");
        }
        if links_changed {
            self.apply();
        }
    }

    fn write_interfaces(&mut self, ports: &[(u16, Tunnel)]) -> Result<(), DataPlaneError> {
        for attached in &self.attached {
            let addresses = self.tunnel_addresses(attached);
            if addresses.is_empty() {
                continue;
            }
            let record = interface_record(attached.ifindex, attached.underlay.get(), ports, &addresses);
            let slot = self.dataplane.set_interface(&record)?;
            self.slots.insert(attached.ifindex, slot);
        }
        Ok(())
    }

    /// The addresses an interface takes tunnel packets for: its own first, then those of the other
    /// interfaces on the same underlay, because routes of senders may change before senders learn of it.
    fn tunnel_addresses(&self, attached: &Attached) -> Vec<Ipv4Addr> {
        let of = |other: &Attached| {
            self.surroundings.links.get(&other.ifindex).map(ipv4_addresses).unwrap_or_default()
        };
        let others = self
            .attached
            .iter()
            .filter(|other| other.underlay == attached.underlay && other.ifindex != attached.ifindex);
        let mut addresses = of(attached);
        addresses.extend(others.flat_map(of));
        if addresses.len() > INTERFACE_ADDRESSES {
            warn!(
                interface = attached.argument.name,
                "takes tunnel packets for the first {INTERFACE_ADDRESSES} of the gateway's {} addresses only",
                addresses.len()
            );
            addresses.truncate(INTERFACE_ADDRESSES);
        }
        addresses
    }

    fn write_next_hops(&mut self) -> Result<(), InstallError<DataPlaneError>> {
        let hops = self.surroundings.reach.iter().filter_map(|(vtep, reach)| {
            let IpAddr::V4(vtep) = vtep else { return None };
            let hop = match reach {
                Reach::Via(via) => match (via.source, via.tags.as_slice(), self.slots.get(&via.ifindex)) {
                    (IpAddr::V4(source), [], Some(slot)) => Some(NextHop {
                        resolved: 1,
                        ifindex: via.ifindex,
                        slot: *slot,
                        mtu: via.mtu,
                        source: source.octets(),
                        destination: vtep.octets(),
                        destination_mac: via.destination_mac.0,
                        source_mac: via.source_mac.0,
                    }),
                    // What a next hop in the tables can't carry (yet) is as good as unresolved.
                    _ => None,
                },
                Reach::Unreachable(_) => None,
            };
            Some((*vtep, hop.unwrap_or_default()))
        });
        self.installed.set_next_hops(&mut self.dataplane, hops)
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
            Command::Trace(frame, interface, reply) => drop(reply.send(self.trace(&frame, &interface))),
        }
    }

    fn status(&self) -> api::GatewayStatusResponse {
        let refused = self.plan.iter().flat_map(|plan| &plan.refused).chain(&self.unreadable);
        let replica = self.replica.as_ref();
        let count = |count: usize| count as u64;
        api::GatewayStatusResponse {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            broker: self.broker.clone(),
            connected: self.disconnected.is_none(),
            stale_seconds: self.disconnected.map_or(0, |since| since.elapsed().as_secs()),
            applied_revision: self.applied,
            epoch: replica.map_or_else(String::new, |replica| replica.epoch.clone()),
            interfaces: self.attached.iter().map(|attached| self.interface_status(attached)).collect(),
            refused: refused
                .map(|refused| api::Refusal {
                    kind: refused.object.kind.to_string(),
                    name: refused.object.name.clone(),
                    version: refused.version,
                    reason: refused.reason.clone(),
                })
                .collect(),
            networks: count(replica.map_or(0, |replica| replica.networks.len())),
            resources: count(replica.map_or(0, |replica| replica.resources.len())),
            mappings: count(self.plan.as_ref().map_or(0, |plan| plan.mappings.len())),
            uptime_seconds: self.started.elapsed().as_secs(),
            next_hops: self.installed.vteps().map(|vtep| self.next_hop_status(vtep)).collect(),
            trouble: self.trouble.clone().unwrap_or_default(),
        }
    }

    fn interface_status(&self, attached: &Attached) -> api::Interface {
        let link = self.surroundings.links.get(&attached.ifindex);
        api::Interface {
            name: link.map_or_else(|| attached.argument.name.clone(), |link| link.name.clone()),
            index: attached.ifindex,
            mode: attached.mode.as_str().to_owned(),
            provider: attached.argument.provider.clone().unwrap_or_default(),
            addresses: link
                .map(|link| link.addresses.iter().map(IpAddr::to_string).collect())
                .unwrap_or_default(),
            mtu: link.map_or(0, |link| link.mtu),
        }
    }

    fn next_hop_status(&self, vtep: Ipv4Addr) -> api::NextHop {
        let mut status = api::NextHop { vtep: vtep.to_string(), ..api::NextHop::default() };
        match self.surroundings.reach.get(&IpAddr::V4(vtep)) {
            Some(Reach::Via(via)) if !via.tags.is_empty() => {
                "behind VLAN tags, which the data plane can't put on yet".clone_into(&mut status.state);
            }
            Some(Reach::Via(via)) => {
                let link = self.surroundings.links.get(&via.ifindex);
                status.interface = link.map_or_else(String::new, |link| link.name.clone());
                status.source = via.source.to_string();
                status.mac = via.destination_mac.to_string();
                "reachable".clone_into(&mut status.state);
            }
            Some(Reach::Unreachable(why)) => status.state.clone_from(why),
            None => "resolving".clone_into(&mut status.state),
        }
        status
    }

    fn counters(&self) -> Result<api::CountersResponse, DataPlaneError> {
        let mut mappings = self.mapping_counters()?;
        mappings.sort_by(|a, b| {
            (&a.unique_identifier, &a.leg, &a.reason).cmp(&(&b.unique_identifier, &b.leg, &b.reason))
        });
        let (received, reasons) = self.dataplane.counters()?;
        Ok(api::CountersResponse {
            received_packets: received.packets,
            received_bytes: received.bytes,
            reasons: reasons
                .into_iter()
                .filter(|(_, count)| count.packets > 0)
                .map(|(reason, count)| api::ReasonCounter {
                    reason: reason.as_str().to_owned(),
                    verdict: reason.verdict().as_str().to_owned(),
                    packets: count.packets,
                    bytes: count.bytes,
                })
                .collect(),
            mappings,
            events_suppressed: self.dataplane.events_suppressed()?,
        })
    }

    fn mapping_counters(&self) -> Result<Vec<api::MappingCounter>, DataPlaneError> {
        // Once for all rows: the other way round, each row would search through all mappings.
        let names: HashMap<u32, Uuid> =
            self.installed.mappings().map(|(mapping, number)| (number, mapping)).collect();
        let name = |leg: Leg| leg.mapping().and_then(|number| names.get(&number)).map(Uuid::to_string);
        let row = |leg: Leg, reason: Reason, count: Count| api::MappingCounter {
            unique_identifier: name(leg).unwrap_or_default(),
            leg: leg.direction().as_str().to_owned(),
            reason: reason.as_str().to_owned(),
            verdict: reason.verdict().as_str().to_owned(),
            packets: count.packets,
            bytes: count.bytes,
        };
        let mut rows = Vec::new();
        for (_, number) in self.installed.mappings() {
            for direction in [Direction::Forward, Direction::Return] {
                let leg = Leg::new(number, direction);
                let count = self.dataplane.leg_counter(leg)?;
                rows.push(row(leg, Reason::Forwarded, count.redirected));
                rows.push(row(leg, Reason::Hairpinned, count.transmitted));
            }
        }
        for (key, count) in self.dataplane.leg_drops()? {
            if let Some(reason) = Reason::from_index(key.reason) {
                rows.push(row(key.leg, reason, count));
            }
        }
        // A drop may have been counted for a mapping that has gone meanwhile.
        rows.retain(|row| row.packets > 0 && !row.unique_identifier.is_empty());
        Ok(rows)
    }

    fn trace(&mut self, frame: &[u8], interface: &str) -> Result<api::TraceResponse, String> {
        let interfaces = interface_names(&self.surroundings);
        let attached = self
            .attached
            .iter()
            .find(|attached| {
                interface.is_empty()
                    || interfaces.get(&attached.ifindex).is_some_and(|name| name == interface)
            })
            .ok_or_else(|| {
                let names: Vec<_> = interfaces.values().map(String::as_str).collect();
                format!("{interface:?} is none of the gateway's interfaces: {}", names.join(", "))
            })?;
        let names = Names { installed: &self.installed, interfaces: &interfaces };
        trace(&mut self.dataplane, &names, frame, attached.ifindex).map_err(|error| error.to_string())
    }
}

/// What interfaces listen on; VXLAN's own port before there is a plan.
fn tunnel_ports(plan: Option<&Plan>) -> Vec<(u16, Tunnel)> {
    plan.map_or_else(|| vec![(Vxlan::PORT, Tunnel::Vxlan)], Plan::tunnel_ports)
}

/// The addresses that the tables have room for.
fn ipv4_addresses(link: &Link) -> Vec<Ipv4Addr> {
    let ipv4 = |address: &IpAddr| if let IpAddr::V4(address) = address { Some(*address) } else { None };
    link.addresses.iter().filter_map(ipv4).collect()
}
