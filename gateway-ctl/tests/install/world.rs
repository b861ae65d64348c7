//! Random federations: networks that come and go, move and change, and mappings between them.

use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;
use std::ops::RangeInclusive;

use isthmus::gateway::compile::{Site, compile};
use isthmus::gateway::plan::Plan;
use isthmus::model::{AccessLevel, Protocol, Spec};
use proptest::prelude::*;

use crate::objects::{mapping, network, replica, resource};

/// Networks, as places in their names, VNIs and addresses.
const NETWORKS: u8 = 4;
const VTEPS: u8 = 3;
const MAPPINGS: u8 = 12;

/// What a federation looks like at one moment.
#[derive(Clone, Debug)]
pub(crate) struct World {
    /// Network → which of the endpoints exist, at which tunnel endpoint, and which VNI it has.
    networks: BTreeMap<u8, (u8, u8, u8)>,
    /// Mapping → level, and the port of the resource it names.
    levels: BTreeMap<u8, (AccessLevel, u16)>,
    pub(crate) mappings: BTreeSet<u8>,
}

fn level() -> impl Strategy<Value = AccessLevel> {
    proptest::sample::select(AccessLevel::ALL.to_vec())
}

pub(crate) fn vtep() -> impl Strategy<Value = Ipv4Addr> {
    (0..VTEPS).prop_map(vtep_address)
}

fn vtep_address(number: u8) -> Ipv4Addr {
    Ipv4Addr::new(192, 0, 2, number + 1)
}

/// Any federation.
pub(crate) fn world() -> impl Strategy<Value = World> {
    let networks = proptest::collection::btree_map(0..NETWORKS, (1..8u8, 0..VTEPS, 0..2u8), 0..=4);
    let levels = proptest::collection::vec((level(), 80..83u16), usize::from(MAPPINGS));
    let mappings = proptest::collection::btree_set(1..=MAPPINGS, 0..8);
    (networks, levels, mappings).prop_map(|(networks, levels, mappings)| World {
        networks,
        levels: (1..).zip(levels).collect(),
        mappings,
    })
}

impl World {
    /// All networks, and these mappings.
    pub(crate) fn of_mappings(mappings: RangeInclusive<u8>) -> Self {
        Self {
            networks: (0..NETWORKS).map(|number| (number, (7, number % VTEPS, 0))).collect(),
            levels: (1..=MAPPINGS).map(|number| (number, (AccessLevel::Connect, 80))).collect(),
            mappings: mappings.collect(),
        }
    }

    pub(crate) fn mappings(&self) -> Vec<u8> {
        self.mappings.iter().copied().collect()
    }

    /// The wanted tables. What is refused is part of it: mappings to networks that are not there.
    pub(crate) fn plan(&self) -> Plan {
        compile(&replica(self.objects()), &Site::default())
    }

    fn objects(&self) -> Vec<Spec> {
        let name = |number: u8| format!("network-{number}");
        let address = |network: u8, host: u8| format!("10.{network}.0.{host}");
        let mut objects = Vec::new();
        for (number, (hosts, vtep, vni)) in &self.networks {
            let vtep = vtep_address(*vtep).to_string();
            let addresses: Vec<String> = (0..3)
                .filter(|host| hosts & (1 << host) != 0)
                .map(|host| address(*number, host + 1))
                .collect();
            let endpoints: Vec<(&str, &str)> =
                addresses.iter().map(|address| (address.as_str(), vtep.as_str())).collect();
            let vni = 100 + u32::from(*number) * 2 + u32::from(*vni);
            objects.push(network(&name(*number), "default", vni, 4789, &endpoints));
        }
        for number in 1..=MAPPINGS {
            let (from, to) = ends(number);
            let (level, port) = self.levels[&number];
            let id = format!("resource-{number}");
            let host = number % 3 + 1;
            objects.push(resource(&id, &name(to), &[&address(to, host)], Protocol::Tcp, &[(port, port)]));
            if self.mappings.contains(&number) {
                objects.push(Spec::Mapping(mapping(number, &name(from), &name(to), &[(&id, level)])));
            }
        }
        objects
    }
}

/// Every ordered pair of networks once.
fn ends(mapping: u8) -> (u8, u8) {
    let from = (mapping - 1) / (NETWORKS - 1);
    let to = (mapping - 1) % (NETWORKS - 1);
    (from, if to >= from { to + 1 } else { to })
}
