//! How to reach tunnel endpoints, as the kernel's routes and neighbours say.
//!
//! XDP redirects around the kernel's stack, so the stack neither resolves nor keeps neighbours on
//! its behalf. This resolver asks the kernel for the route to every endpoint, makes it use the
//! neighbour on that route (which keeps it fresh), and does so again whenever links, addresses,
//! routes or neighbours change.
//!
//! A way may lead through VLAN devices. XDP sends by the interface below them and puts their tags
//! on itself, so such a way names that interface and the tags.

mod device;
mod egress;
mod neighbour;
mod route;
mod source;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::Duration;

use futures::StreamExt as _;
use rtnetlink::{Handle, MulticastGroup};
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, MissedTickBehavior};

use self::device::{Device, Devices};
use self::neighbour::Neighbours;
use super::interface::Link;
pub use super::interface::Tag;
use crate::model::Mac;

/// Netlink failed.
#[derive(Debug, thiserror::Error)]
pub enum NetlinkError {
    /// The socket could not be opened.
    #[error("open a netlink socket: {0}")]
    Open(std::io::Error),
    /// A request failed.
    #[error("{act}: {error}")]
    Request {
        /// What was asked.
        act: String,
        /// What the kernel said.
        error: rtnetlink::Error,
    },
    /// The connection ended.
    #[error("the netlink connection ended")]
    Ended,
}

/// How to reach an endpoint, or why it can't be reached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reach {
    /// It can.
    Via(Via),
    /// It can't (yet).
    Unreachable(String),
}

/// The way to an endpoint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Via {
    /// Egress interface: one of the gateway's own, below the VLAN device if the route leaves by one.
    pub ifindex: u32,
    /// Largest IP packet that the route's device takes, bytes, tags not counted.
    pub mtu: u32,
    /// The MAC of the route's device.
    pub source_mac: Mac,
    /// The neighbour's MAC.
    pub destination_mac: Mac,
    /// The source address, of the endpoint's family: the kernel's choice where that is fit to use.
    pub source: IpAddr,
    /// VLAN tags to put on the frame, the outermost first; at most [`Tag::MOST`].
    pub tags: Vec<Tag>,
}

/// What the resolver last found: the gateway's links, and the way to every endpoint asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Surroundings {
    /// The gateway's own interfaces, by index.
    pub links: BTreeMap<u32, Link>,
    /// Ways to endpoints.
    pub reach: BTreeMap<IpAddr, Reach>,
}

impl Surroundings {
    /// All addresses of the gateway's interfaces, those of VLAN devices on them too.
    pub fn addresses(&self) -> impl Iterator<Item = IpAddr> {
        self.links.values().flat_map(|link| {
            let vlans = link.vlans.iter().flat_map(|vlan| &vlan.addresses);
            link.addresses.iter().chain(vlans).copied()
        })
    }
}

/// Changes settle this long before they are looked at together.
const SETTLE: Duration = Duration::from_millis(20);
/// Neighbours are used this often, so that the kernel keeps probing them.
const REFRESH: Duration = Duration::from_secs(5);
/// Unresolved neighbours are asked for this often.
const RETRY: Duration = Duration::from_secs(1);

/// Follows the kernel.
pub struct Resolver {
    handle: Handle,
    interfaces: Vec<u32>,
    wanted: watch::Receiver<Vec<IpAddr>>,
    found: mpsc::Sender<Surroundings>,
    last: Surroundings,
    refreshed: Instant,
}

impl Resolver {
    /// Starts to resolve what `wanted` names over the interfaces of these indexes, and sends what
    /// it finds, whenever that changes, until the receiver is dropped.
    ///
    /// # Errors
    /// If netlink can't be opened.
    pub fn spawn(
        interfaces: Vec<u32>,
        wanted: watch::Receiver<Vec<IpAddr>>,
        found: mpsc::Sender<Surroundings>,
    ) -> Result<tokio::task::JoinHandle<NetlinkError>, NetlinkError> {
        let (connection, handle, messages) = rtnetlink::new_multicast_connection(&[
            MulticastGroup::Link,
            MulticastGroup::Neigh,
            MulticastGroup::Ipv4Ifaddr,
            MulticastGroup::Ipv4Route,
            MulticastGroup::Ipv4Rule,
            MulticastGroup::Ipv6Ifaddr,
            MulticastGroup::Ipv6Route,
            MulticastGroup::Ipv6Rule,
        ])
        .map_err(NetlinkError::Open)?;
        tokio::spawn(connection);
        let resolver = Self {
            handle,
            interfaces,
            wanted,
            found,
            last: Surroundings::default(),
            refreshed: Instant::now(),
        };
        Ok(tokio::spawn(resolver.run(messages)))
    }

    async fn run<M>(mut self, mut messages: futures::channel::mpsc::UnboundedReceiver<M>) -> NetlinkError {
        let mut tick = tokio::time::interval(RETRY);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            match self.look().await {
                Ok(found) if found != self.last => {
                    self.last = found.clone();
                    if self.found.send(found).await.is_err() {
                        return NetlinkError::Ended;
                    }
                }
                Ok(_) => {}
                Err(error) => return error,
            }
            tokio::select! {
                changed = self.wanted.changed() => if changed.is_err() { return NetlinkError::Ended },
                message = messages.next() => {
                    if message.is_none() { return NetlinkError::Ended }
                    tokio::time::sleep(SETTLE).await;
                    while messages.try_recv().is_ok() {}
                }
                _ = tick.tick() => {}
            }
        }
    }

    async fn look(&mut self) -> Result<Surroundings, NetlinkError> {
        let refresh = self.refreshed.elapsed() >= REFRESH;
        if refresh {
            self.refreshed = Instant::now();
        }
        let devices = Devices::look(&self.handle).await?;
        let neighbours = neighbour::list(&self.handle).await?;
        let wanted: Vec<IpAddr> = self.wanted.borrow_and_update().clone();
        let mut reach = BTreeMap::new();
        for vtep in wanted {
            let found = match self.resolve(vtep, &devices, &neighbours, refresh).await? {
                Ok(via) => Reach::Via(via),
                Err(why) => Reach::Unreachable(why),
            };
            reach.insert(vtep, found);
        }
        let link = |ifindex: &u32| Some((*ifindex, devices.link(*ifindex, &self.interfaces)?));
        Ok(Surroundings { links: self.interfaces.iter().filter_map(link).collect(), reach })
    }

    /// The way to one endpoint; the inner error says why there is none.
    async fn resolve(
        &self,
        vtep: IpAddr,
        devices: &Devices,
        neighbours: &Neighbours,
        refresh: bool,
    ) -> Result<Result<Via, String>, NetlinkError> {
        let route = match route::ask(&self.handle, vtep).await? {
            Ok(route) => route,
            Err(why) => return Ok(Err(why)),
        };
        let egress = match devices.egress(route.ifindex, &self.interfaces) {
            Ok(egress) => egress,
            Err(why) => return Ok(Err(why)),
        };
        let neighbour = neighbours.get(&(route.ifindex, route.neighbour)).copied();
        if refresh || neighbour.is_none() {
            neighbour::touch(&self.handle, route.ifindex, route.neighbour).await?;
        }
        let source = match source::choose(egress.device, devices, &route, vtep) {
            Ok(source) => source,
            Err(why) => return Ok(Err(why)),
        };
        Ok(match neighbour {
            Some(destination_mac) => Ok(Via {
                ifindex: egress.ifindex,
                mtu: egress.device.mtu,
                source_mac: egress.device.mac,
                destination_mac,
                source,
                tags: egress.tags,
            }),
            None => Err(no_answer(route.neighbour, egress.device)),
        })
    }
}

fn no_answer(neighbour: IpAddr, device: &Device) -> String {
    let name = &device.name;
    match neighbour {
        IpAddr::V4(_) => format!("no answer to ARP for {neighbour} on {name} yet"),
        // The kernel sends solicitations of its own accord from a link-local address only, and
        // none at all without one (ndisc_send_ns in net/ipv6/ndisc.c).
        IpAddr::V6(_) if !device.has_link_local() => format!(
            "{name} has no link-local IPv6 address (yet), without which the kernel can't ask for {neighbour}"
        ),
        IpAddr::V6(_) => format!("no answer to neighbour discovery for {neighbour} on {name} yet"),
    }
}
