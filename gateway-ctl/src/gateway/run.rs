//! Brings a gateway up, and takes it down again.

use std::path::PathBuf;

use isthmus_common::event::Event;
use isthmus_common::scope::Underlay;
use nix::net::if_::if_nametoindex;
use tokio::io::unix::AsyncFd;
use tokio::sync::{mpsc, watch};
use tonic::transport::Endpoint;
use tracing::info;

use super::controller::{Attached, Controller, Role};
use super::dataplane::{DataPlane, DataPlaneError, EventRing, Mode};
use super::install::{Capacity, Installed};
use super::interface::{InterfaceArgument, PortArgument};
use super::learned::Bounds;
use super::next_hop::{NetlinkError, Resolver};
use super::service::{Socket, SocketError};
use super::watch::follow;

/// What a gateway needs to know to start.
#[derive(Clone, Debug)]
pub struct Options {
    /// The gateway's name in the federation.
    pub name: String,
    /// Underlay interfaces.
    pub interfaces: Vec<InterfaceArgument>,
    /// Interfaces that belong to one network each.
    pub ports: Vec<PortArgument>,
    /// The broker's address.
    pub broker: String,
    /// Where to answer.
    pub socket: PathBuf,
    /// How to attach.
    pub mode: Mode,
    /// Room for this many mappings.
    pub max_mappings: u32,
    /// How many endpoints are learned, and how long they are remembered.
    pub learning: Bounds,
}

/// The gateway could not start, or had to stop.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// No such interface.
    #[error("interface {0} does not exist here; `ip link` lists those that do")]
    NoInterface(String),
    /// The same interface twice.
    #[error("interface {0} is named twice")]
    Twice(String),
    /// Two ports for the same network.
    #[error("network {0} would have two ports; one gateway has one port of a network")]
    TwoPorts(String),
    /// More providers than there are underlay numbers.
    #[error("interfaces are bound to more than {} providers", Underlay::MAX - 1)]
    Providers,
    /// The broker's address can't be read.
    #[error("broker address {0:?} is not a URL such as http://127.0.0.1:6190")]
    Broker(String),
    /// The data plane.
    #[error(transparent)]
    DataPlane(#[from] DataPlaneError),
    /// The socket.
    #[error(transparent)]
    Socket(#[from] SocketError),
    /// Netlink.
    #[error(transparent)]
    Netlink(#[from] NetlinkError),
    /// The event ring.
    #[error("watch the event ring: {0}")]
    Events(std::io::Error),
    /// The server on the socket.
    #[error("serve the local socket: {0}")]
    Serve(#[from] tonic::transport::Error),
    /// The resolver's task died.
    #[error("the resolver of next hops stopped unexpectedly")]
    Resolver,
}

/// Runs a gateway until `stop` resolves; detaches whatever it attached.
///
/// # Errors
/// If it can't start, or netlink or the socket fail while it runs.
pub async fn run(options: Options, stop: impl Future<Output = ()>) -> Result<(), RunError> {
    let endpoint = Endpoint::from_shared(options.broker.clone())
        .map_err(|_| RunError::Broker(options.broker.clone()))?;
    let mut attached = name_interfaces(&options)?;
    let socket = Socket::bind(&options.socket).await?;
    let capacity = Capacity::for_mappings(options.max_mappings);
    let mut dataplane = DataPlane::load(&capacity)?;
    let ring = dataplane.take_events()?;
    for interface in &mut attached {
        dataplane.attach(&interface.name, interface.ifindex, interface.mode)?;
        info!(interface = interface.name, mode = interface.mode.as_str(), "attached");
    }

    let (updates_in, updates) = mpsc::channel(16);
    let (found_in, found) = mpsc::channel(16);
    let (events_in, events) = mpsc::channel(1024);
    let (commands_in, commands) = mpsc::channel(64);
    let (wanted_in, wanted) = watch::channel(Vec::new());
    let indexes = attached.iter().map(|interface| interface.ifindex).collect();
    let resolver = Resolver::spawn(indexes, wanted, found_in)?;
    // SAFETY: the ring owns its descriptor, which stays open and the same until the ring is dropped.
    let ring = unsafe { AsyncFd::register(ring) }.map_err(|error| RunError::Events(error.into()))?;
    tokio::spawn(read_events(ring, events_in));
    tokio::spawn(follow(endpoint, updates_in));
    let controller = Controller::new(
        options.name,
        options.broker,
        attached,
        dataplane,
        Installed::new(&capacity),
        wanted_in,
        options.learning,
    );
    let controller = tokio::spawn(controller.run(updates, found, events, commands));
    info!(socket = %options.socket.display(), "ready");

    let result = tokio::select! {
        () = stop => Ok(()),
        result = socket.serve(commands_in, std::future::pending()) => result.map_err(RunError::from),
        result = resolver => Err(result.map_or(RunError::Resolver, RunError::from)),
    };
    // Dropping the controller drops the data plane, which detaches.
    controller.abort();
    let _ = controller.await;
    info!("detached");
    result
}

fn name_interfaces(options: &Options) -> Result<Vec<Attached>, RunError> {
    let mut attached: Vec<Attached> = Vec::new();
    let mut underlays: Vec<(&str, Underlay)> = Vec::new();
    for InterfaceArgument { name, provider } in &options.interfaces {
        let known = underlays.iter().find(|(of, _)| provider.as_deref() == Some(of));
        let underlay = match (provider, known) {
            (None, _) => Underlay::SHARED,
            (Some(_), Some((_, underlay))) => *underlay,
            (Some(provider), None) => {
                let number = usize::from(Underlay::SHARED.get()) + 1 + underlays.len();
                let number = u8::try_from(number).map_err(|_| RunError::Providers)?;
                let underlay = Underlay::new(number).ok_or(RunError::Providers)?;
                underlays.push((provider, underlay));
                underlay
            }
        };
        let role = Role::Underlay { provider: provider.clone(), underlay };
        attach(&mut attached, name, role, options.mode)?;
    }
    for PortArgument { name, network } in &options.ports {
        let role = Role::Port { network: network.clone() };
        if attached.iter().any(|other| other.role == role) {
            return Err(RunError::TwoPorts(network.clone()));
        }
        attach(&mut attached, name, role, options.mode)?;
    }
    Ok(attached)
}

fn attach(attached: &mut Vec<Attached>, name: &str, role: Role, mode: Mode) -> Result<(), RunError> {
    let ifindex = if_nametoindex(name).map_err(|_| RunError::NoInterface(name.to_owned()))?;
    if attached.iter().any(|other| other.ifindex == ifindex) {
        return Err(RunError::Twice(name.to_owned()));
    }
    attached.push(Attached { name: name.to_owned(), ifindex, role, mode });
    Ok(())
}

async fn read_events(mut ring: AsyncFd<EventRing>, events: mpsc::Sender<Event>) {
    while let Ok(mut ready) = ring.readable_mut().await {
        while let Some(event) = ready.get_inner_mut().pop() {
            if events.send(event).await.is_err() {
                return;
            }
        }
        ready.clear_ready();
    }
}
