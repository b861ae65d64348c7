//! What the gateway's resolver finds in a namespace, with no gateway around it.

use std::{
    net::IpAddr,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use anyhow::{Context as _, Result, anyhow};
use isthmus::gateway::{
    interface::Link,
    next_hop::{Reach, Resolver, Surroundings, Via},
};
use nix::net::if_::if_nametoindex;
use tokio::{
    runtime::{Builder, Runtime},
    sync::{mpsc, watch},
};

use crate::{Namespace, wait};

/// A resolver at work in a namespace, until dropped.
#[derive(Debug)]
pub struct Observer {
    namespace: Namespace,
    latest: Arc<Mutex<Surroundings>>,
    /// Closing it ends the resolver.
    _wanted: watch::Sender<Vec<IpAddr>>,
    _runtime: Runtime,
}

impl Observer {
    /// Resolves these endpoints over these interfaces, as a gateway attached to them would.
    ///
    /// # Errors
    ///
    /// If there is no such interface, an endpoint is no address, or netlink can't be opened.
    pub fn start(namespace: &Namespace, interfaces: &[&str], vteps: &[&str]) -> Result<Self> {
        let indexes = interfaces.iter().map(|name| index(namespace, name)).collect::<Result<Vec<_>>>()?;
        let vteps = vteps.iter().map(|vtep| address(vtep)).collect::<Result<Vec<_>>>()?;
        let (wanted, wanted_by_resolver) = watch::channel(vteps);
        let (found_in, mut found) = mpsc::channel(16);
        let runtime = Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
        // Its sockets stay in the namespace in which they are opened, whichever thread uses them.
        namespace.enter(|| {
            let _guard = runtime.enter();
            Resolver::spawn(indexes, wanted_by_resolver, found_in).map(drop)
        })??;
        let latest = Arc::new(Mutex::new(Surroundings::default()));
        let newest = Arc::clone(&latest);
        runtime.spawn(async move {
            while let Some(surroundings) = found.recv().await {
                *newest.lock().unwrap_or_else(PoisonError::into_inner) = surroundings;
            }
        });
        Ok(Self { namespace: namespace.clone(), latest, _wanted: wanted, _runtime: runtime })
    }

    /// What was found last.
    #[must_use]
    pub fn surroundings(&self) -> Surroundings {
        self.latest.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// One of the interfaces, as it was found last.
    ///
    /// # Errors
    ///
    /// If it was not found.
    pub fn link(&self, interface: &str) -> Result<Link> {
        let index = index(&self.namespace, interface)?;
        let link = self.surroundings().links.remove(&index);
        link.with_context(|| format!("{interface} is not among the links"))
    }

    /// Waits until an endpoint is reached in a way that will do.
    ///
    /// # Errors
    ///
    /// If it isn't within `limit`: then what was found last.
    pub fn until_via(&self, limit: Duration, vtep: &str, will_do: impl Fn(&Via) -> bool) -> Result<Via> {
        self.until(limit, vtep, |reach| match reach {
            Reach::Via(via) if will_do(via) => Some(via.clone()),
            _ => None,
        })
    }

    /// Waits until an endpoint can't be reached for a reason that contains `text`.
    ///
    /// # Errors
    ///
    /// If that isn't said within `limit`: then what was found last.
    pub fn until_unreachable(&self, limit: Duration, vtep: &str, text: &str) -> Result<String> {
        self.until(limit, vtep, |reach| match reach {
            Reach::Unreachable(why) if why.contains(text) => Some(why.clone()),
            _ => None,
        })
        .with_context(|| format!("expected: {text}"))
    }

    fn until<T>(&self, limit: Duration, vtep: &str, look: impl Fn(&Reach) -> Option<T>) -> Result<T> {
        let vtep = address(vtep)?;
        let found = wait::until(limit, || self.surroundings().reach.get(&vtep).and_then(&look));
        found
            .map(|(value, _)| value)
            .ok_or_else(|| anyhow!("not within {limit:?}; last found: {:#?}", self.surroundings()))
    }
}

/// An interface's index.
///
/// # Errors
///
/// If there is no such interface.
pub fn index(namespace: &Namespace, interface: &str) -> Result<u32> {
    namespace.enter(|| if_nametoindex(interface))?.with_context(|| format!("find interface {interface}"))
}

fn address(text: &str) -> Result<IpAddr> {
    text.parse().with_context(|| format!("{text:?} is no IP address"))
}
