//! How to reach tunnel endpoints, as the kernel's routes and neighbours say.
//!
//! XDP redirects around the kernel's stack, so the stack neither resolves nor keeps neighbours on
//! its behalf. This resolver asks the kernel for the route to every endpoint, makes it use the
//! neighbour on that route (which keeps it fresh), and does so again whenever links, addresses,
//! routes or neighbours change.

use std::collections::{BTreeMap, HashMap};
use std::net::Ipv4Addr;
use std::time::Duration;

use futures::{StreamExt as _, TryStreamExt as _};
use netlink_packet_route::AddressFamily;
use netlink_packet_route::neighbour::{
    NeighbourAddress, NeighbourAttribute, NeighbourFlags, NeighbourMessage, NeighbourState,
};
use netlink_packet_route::route::{RouteAddress, RouteAttribute};
use rtnetlink::{Handle, MulticastGroup, RouteMessageBuilder};
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, MissedTickBehavior};

use super::interface::{self, Link};
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
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Via {
    /// Egress interface.
    pub ifindex: u32,
    /// Largest IP packet it takes, bytes.
    pub mtu: u32,
    /// Its MAC.
    pub source_mac: Mac,
    /// The neighbour's MAC.
    pub destination_mac: Mac,
    /// The kernel's choice of source address.
    pub source: Ipv4Addr,
}

/// What the resolver last found: the gateway's links, and the way to every endpoint asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Surroundings {
    /// The gateway's own interfaces, by index.
    pub links: BTreeMap<u32, Link>,
    /// Ways to endpoints.
    pub reach: BTreeMap<Ipv4Addr, Reach>,
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
    wanted: watch::Receiver<Vec<Ipv4Addr>>,
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
        wanted: watch::Receiver<Vec<Ipv4Addr>>,
        found: mpsc::Sender<Surroundings>,
    ) -> Result<tokio::task::JoinHandle<NetlinkError>, NetlinkError> {
        let (connection, handle, messages) = rtnetlink::new_multicast_connection(&[
            MulticastGroup::Link,
            MulticastGroup::Neigh,
            MulticastGroup::Ipv4Ifaddr,
            MulticastGroup::Ipv4Route,
            MulticastGroup::Ipv4Rule,
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
        let mut links = BTreeMap::new();
        for ifindex in &self.interfaces {
            if let Some(link) = interface::link(&self.handle, *ifindex).await? {
                links.insert(*ifindex, link);
            }
        }
        let neighbours = self.neighbours().await?;
        let wanted: Vec<Ipv4Addr> = self.wanted.borrow_and_update().clone();
        let mut reach = BTreeMap::new();
        for vtep in wanted {
            reach.insert(vtep, self.resolve(vtep, &links, &neighbours, refresh).await?);
        }
        Ok(Surroundings { links, reach })
    }

    async fn resolve(
        &self,
        vtep: Ipv4Addr,
        links: &BTreeMap<u32, Link>,
        neighbours: &HashMap<(u32, Ipv4Addr), Mac>,
        refresh: bool,
    ) -> Result<Reach, NetlinkError> {
        let route = match self.route(vtep).await {
            Ok(route) => route,
            Err(NetlinkError::Request { error: rtnetlink::Error::NetlinkError(refusal), .. }) => {
                return Ok(Reach::Unreachable(format!("no route ({})", refusal.to_io())));
            }
            Err(error) => return Err(error),
        };
        let Some(link) = links.get(&route.ifindex) else {
            let name = interface::name(&self.handle, route.ifindex).await?;
            return Ok(Reach::Unreachable(format!(
                "the route leaves by {name}, which is none of the gateway's interfaces"
            )));
        };
        if !link.is_up {
            return Ok(Reach::Unreachable(format!("{} is down", link.name)));
        }
        let neighbour = neighbours.get(&(route.ifindex, route.neighbour)).copied();
        if refresh || neighbour.is_none() {
            self.touch(route.ifindex, route.neighbour).await?;
        }
        let Some(destination_mac) = neighbour else {
            return Ok(Reach::Unreachable(format!(
                "no answer to ARP for {} on {} yet",
                route.neighbour, link.name
            )));
        };
        let Some(source) = route.source else {
            return Ok(Reach::Unreachable(format!("{} has no address to send from", link.name)));
        };
        Ok(Reach::Via(Via {
            ifindex: route.ifindex,
            mtu: link.mtu,
            source_mac: link.mac,
            destination_mac,
            source,
        }))
    }

    /// What `ip route get` says.
    async fn route(&self, vtep: Ipv4Addr) -> Result<Route, NetlinkError> {
        let message = RouteMessageBuilder::<Ipv4Addr>::new().destination_prefix(vtep, 32).build();
        let failed = |error| NetlinkError::Request { act: format!("ask for the route to {vtep}"), error };
        let message = self.handle.route().get(message).execute().try_next().await.map_err(failed)?;
        let mut route = Route { ifindex: 0, neighbour: vtep, source: None };
        for attribute in message.into_iter().flat_map(|message| message.attributes) {
            match attribute {
                RouteAttribute::Oif(ifindex) => route.ifindex = ifindex,
                RouteAttribute::Gateway(RouteAddress::Inet(gateway)) => route.neighbour = gateway,
                RouteAttribute::PrefSource(RouteAddress::Inet(source)) => route.source = Some(source),
                _ => {}
            }
        }
        Ok(route)
    }

    /// Neighbours whose MAC is usable.
    async fn neighbours(&self) -> Result<HashMap<(u32, Ipv4Addr), Mac>, NetlinkError> {
        let failed = |error| NetlinkError::Request { act: "list neighbours".to_owned(), error };
        let mut neighbours = HashMap::new();
        let mut stream = self.handle.neighbours().get().set_address_family(AddressFamily::Inet).execute();
        while let Some(message) = stream.try_next().await.map_err(failed)? {
            if let Some((address, mac)) = usable(&message) {
                neighbours.insert((message.header.ifindex, address), mac);
            }
        }
        Ok(neighbours)
    }

    /// Tells the kernel that the neighbour is in use: it resolves it, or checks that it still
    /// answers.
    async fn touch(&self, ifindex: u32, neighbour: Ipv4Addr) -> Result<(), NetlinkError> {
        let request = self
            .handle
            .neighbours()
            .add(ifindex, neighbour.into())
            .state(NeighbourState::None)
            .flags(NeighbourFlags::Use)
            .replace();
        match request.execute().await {
            // The interface may be down or gone by now; the next look will tell.
            Ok(()) | Err(rtnetlink::Error::NetlinkError(_)) => Ok(()),
            Err(error) => {
                Err(NetlinkError::Request { act: format!("ask for the MAC of {neighbour}"), error })
            }
        }
    }
}

struct Route {
    ifindex: u32,
    neighbour: Ipv4Addr,
    source: Option<Ipv4Addr>,
}

fn usable(message: &NeighbourMessage) -> Option<(Ipv4Addr, Mac)> {
    if message.header.family != AddressFamily::Inet
        || matches!(
            message.header.state,
            NeighbourState::None | NeighbourState::Incomplete | NeighbourState::Failed
        )
    {
        return None;
    }
    let mut address = None;
    let mut mac = None;
    for attribute in &message.attributes {
        match attribute {
            NeighbourAttribute::Destination(NeighbourAddress::Inet(destination)) => {
                address = Some(*destination);
            }
            NeighbourAttribute::LinkLayerAddress(bytes) => {
                mac = <[u8; 6]>::try_from(bytes.as_slice()).ok().map(Mac);
            }
            _ => {}
        }
    }
    Some((address?, mac?))
}
