//! What the gateway's own place in the world adds to the objects.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use isthmus_common::scope::Underlay;

use crate::model::{Endpoint, Mac, Network};

/// The gateway's own place in the world.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Site {
    /// The gateway's own name, by which networks say that they are behind it.
    pub name: String,
    /// Providers whose networks are on interfaces of their own.
    pub bound_providers: BTreeMap<String, Underlay>,
    /// Interfaces on underlays, and which underlay.
    pub interfaces: BTreeMap<u32, Underlay>,
    /// Interfaces that are a network's port, by network.
    pub ports: BTreeMap<String, u32>,
    /// The gateway's own addresses.
    pub addresses: BTreeSet<IpAddr>,
    /// Endpoints learned from traffic, by network and address.
    pub learned: BTreeMap<String, BTreeMap<IpAddr, Learned>>,
}

/// An endpoint learned from traffic.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Learned {
    /// Its MAC.
    pub mac: Mac,
    /// The tunnel endpoint that holds it; `None` on VLANs and ports.
    pub vtep: Option<IpAddr>,
}

/// Where an address of a network lives, whoever says so.
#[derive(Clone, Copy, Debug)]
pub(super) struct Home {
    pub(super) address: IpAddr,
    pub(super) mac: Option<Mac>,
    pub(super) vtep: Option<IpAddr>,
    pub(super) ovn_port: Option<u16>,
}

impl Site {
    pub(super) fn underlay(&self, provider: &str) -> Underlay {
        self.bound_providers.get(provider).copied().unwrap_or(Underlay::SHARED)
    }

    /// The interfaces on an underlay.
    pub(super) fn interfaces_on(&self, underlay: Underlay) -> Vec<u32> {
        let on = self.interfaces.iter().filter(|(_, of)| **of == underlay);
        on.map(|(ifindex, _)| *ifindex).collect()
    }

    /// Where the addresses of a network of this gateway live, those that are known: as declared, or else as learned.
    pub(super) fn homes(&self, network: &Network) -> BTreeMap<IpAddr, Home> {
        let mut homes = declared_homes(network);
        // What was learned before the network stopped learning is not known any more.
        let learned = self.learned.get(&network.name).filter(|_| network.learning);
        for (address, learned) in learned.into_iter().flatten() {
            homes.entry(*address).or_insert(Home {
                address: *address,
                mac: Some(learned.mac),
                vtep: learned.vtep,
                ovn_port: None,
            });
        }
        homes
    }
}

/// Where the declared addresses of a network live.
pub(super) fn declared_homes(network: &Network) -> BTreeMap<IpAddr, Home> {
    let home = |&Endpoint { address, mac, vtep, ovn_port }: &Endpoint| {
        (address, Home { address, mac, vtep, ovn_port })
    };
    network.endpoints.iter().map(home).collect()
}
