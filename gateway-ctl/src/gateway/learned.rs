//! Endpoints learned from traffic: what the data plane sees, made into what the compiler may use.
//!
//! Bounded for each network, so that one can't crowd out another's; who is there stays, and newcomers wait. Aged, so that
//! what moved away without a word is forgotten. Never across networks: a sighting is good only for the network whose
//! packet it was, and only inside its prefixes. What is declared is never overruled.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::time::Duration;

use isthmus_common::address::Address;
use isthmus_common::scope::Scope;
use isthmus_common::tables::{Sighting, TargetKey};

use super::compile::Learned;
use super::plan::Plan;
use super::replica::Replica;
use crate::model::{Mac, Network};

/// How many, and for how long.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    /// Endpoints of one network.
    pub per_network: usize,
    /// How long after it was last seen an endpoint is forgotten.
    pub age: Duration,
}

impl Default for Bounds {
    fn default() -> Self {
        Self { per_network: 4096, age: Duration::from_secs(300) }
    }
}

/// What has been learned.
#[derive(Debug)]
pub struct LearnedEndpoints {
    bounds: Bounds,
    /// By network and address; no network without endpoints.
    endpoints: BTreeMap<String, BTreeMap<IpAddr, Entry>>,
    /// Sightings that found their network full.
    turned_away: u64,
    /// Endpoints that were seen behind another tunnel endpoint, or with another MAC, than before.
    moves: u64,
}

#[derive(Clone, Copy, Debug)]
struct Entry {
    learned: Learned,
    /// Nanoseconds since boot.
    seen: u64,
}

/// What a look at the sightings has changed.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Change {
    /// Tables have to be compiled anew.
    pub is_needed: bool,
    /// Sightings that the data plane can forget.
    pub stale: Vec<TargetKey>,
}

impl LearnedEndpoints {
    /// Nothing yet.
    #[must_use]
    pub const fn new(bounds: Bounds) -> Self {
        Self { bounds, endpoints: BTreeMap::new(), turned_away: 0, moves: 0 }
    }

    /// Whether there is nothing.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.endpoints.is_empty()
    }

    /// What the compiler may use, by network and address.
    #[must_use]
    pub fn current(&self) -> BTreeMap<String, BTreeMap<IpAddr, Learned>> {
        let of_network = |entries: &BTreeMap<IpAddr, Entry>| {
            entries.iter().map(|(address, entry)| (*address, entry.learned)).collect()
        };
        self.endpoints.iter().map(|(network, entries)| (network.clone(), of_network(entries))).collect()
    }

    /// All of them, with how long ago each was seen; `now` is in nanoseconds since boot.
    pub fn list(&self, now: u64) -> impl Iterator<Item = (&str, IpAddr, Learned, Duration)> {
        self.endpoints.iter().flat_map(move |(network, entries)| {
            entries.iter().map(move |(address, entry)| {
                let ago = Duration::from_nanos(now.saturating_sub(entry.seen));
                (network.as_str(), *address, entry.learned, ago)
            })
        })
    }

    /// Sightings that found their network full, since the start.
    #[must_use]
    pub const fn turned_away(&self) -> u64 {
        self.turned_away
    }

    /// Endpoints that moved, since the start.
    #[must_use]
    pub const fn moves(&self) -> u64 {
        self.moves
    }

    /// Takes in what the data plane has seen until `now`, nanoseconds since boot, and forgets what is too old. `own` are
    /// the gateway's addresses, behind which nobody else lives.
    pub fn observe(
        &mut self,
        sightings: &[(TargetKey, Sighting)],
        replica: &Replica,
        plan: &Plan,
        own: &BTreeSet<IpAddr>,
        now: u64,
    ) -> Change {
        let mut change = Change::default();
        let age = u64::try_from(self.bounds.age.as_nanos()).unwrap_or(u64::MAX);
        for (key, sighting) in sightings {
            let network = network_of(key.scope, replica, plan);
            if network.is_none() || now.saturating_sub(sighting.seen) > age {
                change.stale.push(*key);
                continue;
            }
            if let Some((network, (address, learned))) =
                network.and_then(|network| Some((network, believe(network, own, key, sighting)?)))
            {
                change.is_needed |= self.note(network, address, learned, sighting.seen);
            }
        }
        self.endpoints.retain(|name, entries| {
            let network = replica.networks.get(name).map(|declared| &declared.spec);
            let network = network.filter(|network| network.learning);
            let before = entries.len();
            entries.retain(|address, entry| {
                network.is_some_and(|network| is_unclaimed(network, *address))
                    && now.saturating_sub(entry.seen) <= age
            });
            change.is_needed |= entries.len() != before;
            !entries.is_empty()
        });
        change
    }

    fn note(&mut self, network: &Network, address: IpAddr, learned: Learned, seen: u64) -> bool {
        let of_network = self.endpoints.entry(network.name.clone()).or_default();
        if let Some(entry) = of_network.get_mut(&address) {
            // The data plane may have lost the newer of two sightings.
            if seen < entry.seen {
                return false;
            }
            entry.seen = seen;
            if entry.learned == learned {
                return false;
            }
            entry.learned = learned;
            self.moves += 1;
            return true;
        }
        if of_network.len() >= self.bounds.per_network {
            self.turned_away += 1;
            return false;
        }
        of_network.insert(address, Entry { learned, seen });
        true
    }
}

/// The network that learns in this scope.
fn network_of<'r>(scope: Scope, replica: &'r Replica, plan: &Plan) -> Option<&'r Network> {
    let planned = plan.scopes.get(&scope).filter(|planned| planned.learns)?;
    Some(&replica.networks.get(planned.network.as_ref()?)?.spec)
}

/// The address is the network's, and nobody has declared where it lives.
fn is_unclaimed(network: &Network, address: IpAddr) -> bool {
    network.contains(address)
        && network.endpoint(address).is_none()
        && network.gateway_address != Some(address)
}

/// What a sighting says, if it can be true.
fn believe(
    network: &Network,
    own: &BTreeSet<IpAddr>,
    key: &TargetKey,
    sighting: &Sighting,
) -> Option<(IpAddr, Learned)> {
    let address = IpAddr::from(key.address);
    let mac = Mac(sighting.mac);
    // Anybody can write anything into the outer source.
    let vtep = if sighting.vtep == Address::UNSPECIFIED { None } else { Some(IpAddr::from(sighting.vtep)) };
    let may_be_vtep = vtep.is_none_or(|vtep| is_host(vtep) && !is_link_local(vtep) && !own.contains(&vtep));
    let is_good = !key.address.is_mac()
        && is_host(address)
        && is_unclaimed(network, address)
        && mac.is_unicast()
        && may_be_vtep;
    is_good.then_some((address, Learned { mac, vtep }))
}

/// One host can have the address.
fn is_host(address: IpAddr) -> bool {
    let is_broadcast = matches!(address, IpAddr::V4(v4) if v4.is_broadcast());
    !address.is_unspecified() && !address.is_multicast() && !address.is_loopback() && !is_broadcast
}

const fn is_link_local(address: IpAddr) -> bool {
    matches!(address, IpAddr::V6(v6) if v6.is_unicast_link_local())
}
