//! Random federations: networks that come and go, move and change, and mappings between them.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr};
use std::ops::RangeInclusive;

use isthmus::gateway::compile::{Site, compile};
use isthmus::gateway::plan::{Plan, Way};
use isthmus::model::{AccessLevel, Gateway, Protocol, Spec};
use isthmus_common::scope::Underlay;
use proptest::prelude::*;

use crate::objects::{mapping, network, replica, resource};

/// Networks, as places in their names, VNIs and addresses.
const NETWORKS: u8 = 4;
const VTEPS: u8 = 3;
const MAPPINGS: u8 = 12;

/// What a federation looks like at one moment.
#[derive(Clone, Debug)]
pub(crate) struct World {
    networks: BTreeMap<u8, NetworkFacts>,
    /// Mapping → level, and the port of the resource it names.
    levels: BTreeMap<u8, (AccessLevel, u16)>,
    /// Version of all mappings.
    version: u64,
    /// How many addresses the other gateway has.
    gateway_addresses: u8,
    pub(crate) mappings: BTreeSet<u8>,
}

/// A network at one moment.
#[derive(Clone, Copy, Debug)]
struct NetworkFacts {
    /// Which of its endpoints are declared.
    hosts: u8,
    /// Where they are.
    vtep: u8,
    /// Which of its two VNIs it has.
    vni: u8,
    /// Others are learned.
    learns: bool,
    /// It is behind the other gateway.
    is_remote: bool,
}

fn level() -> impl Strategy<Value = AccessLevel> {
    proptest::sample::select(AccessLevel::ALL.to_vec())
}

/// Any way that a target may have.
pub(crate) fn way() -> impl Strategy<Value = Way> {
    let underlay = Underlay::SHARED;
    prop_oneof![
        3 => (0..VTEPS).prop_map(move |number| Way::Endpoint { underlay, vtep: vtep_address(number).into() }),
        1 => (1..3u8).prop_map(move |count| Way::Gateway {
            name: THERE.to_owned(),
            underlay,
            addresses: gateway_addresses(count),
        }),
    ]
}

fn vtep_address(number: u8) -> Ipv4Addr {
    Ipv4Addr::new(192, 0, 2, number + 1)
}

/// The other gateway.
const THERE: &str = "there";

fn gateway_addresses(count: u8) -> Vec<IpAddr> {
    (0..count).map(|number| IpAddr::from([198, 51, 100, number + 1])).collect()
}

/// Any federation.
pub(crate) fn world() -> impl Strategy<Value = World> {
    let is_rare = || proptest::bool::weighted(0.25);
    let facts =
        (1..8u8, 0..VTEPS, 0..2u8, is_rare(), is_rare()).prop_map(|(hosts, vtep, vni, learns, is_remote)| {
            NetworkFacts { hosts, vtep, vni, learns, is_remote }
        });
    let networks = proptest::collection::btree_map(0..NETWORKS, facts, 0..=4);
    let levels = proptest::collection::vec((level(), 80..83u16), usize::from(MAPPINGS));
    let mappings = proptest::collection::btree_set(1..=MAPPINGS, 0..8);
    (networks, levels, mappings, 1..3u64, 1..3u8).prop_map(
        |(networks, levels, mappings, version, gateway_addresses)| World {
            networks,
            levels: (1..).zip(levels).collect(),
            version,
            gateway_addresses,
            mappings,
        },
    )
}

impl World {
    /// All networks, and these mappings.
    pub(crate) fn of_mappings(mappings: RangeInclusive<u8>) -> Self {
        Self {
            networks: (0..NETWORKS)
                .map(|number| {
                    let vtep = number % VTEPS;
                    (number, NetworkFacts { hosts: 7, vtep, vni: 0, learns: false, is_remote: false })
                })
                .collect(),
            levels: (1..=MAPPINGS).map(|number| (number, (AccessLevel::Connect, 80))).collect(),
            version: 1,
            gateway_addresses: 1,
            mappings: mappings.collect(),
        }
    }

    pub(crate) fn mappings(&self) -> Vec<u8> {
        self.mappings.iter().copied().collect()
    }

    /// The wanted tables. What is refused is part of it: mappings to networks that are not there.
    pub(crate) fn plan(&self) -> Plan {
        let mut replica = replica(self.objects());
        for mapping in replica.mappings.values_mut() {
            mapping.metadata.version = self.version;
        }
        compile(&replica, &Site { name: "here".to_owned(), ..Site::default() })
    }

    fn objects(&self) -> Vec<Spec> {
        let name = |number: u8| format!("network-{number}");
        let address = |network: u8, host: u8| format!("10.{network}.0.{host}");
        let mut objects = vec![Spec::Gateway(Gateway {
            name: THERE.to_owned(),
            provider: "default".to_owned(),
            addresses: gateway_addresses(self.gateway_addresses),
            udp_port: 6081,
        })];
        for (number, facts) in &self.networks {
            let vtep = vtep_address(facts.vtep).to_string();
            let addresses: Vec<String> = (0..3)
                .filter(|host| facts.hosts & (1 << host) != 0)
                .map(|host| address(*number, host + 1))
                .collect();
            let endpoints: Vec<(&str, &str)> =
                addresses.iter().map(|address| (address.as_str(), vtep.as_str())).collect();
            let vni = 100 + u32::from(*number) * 2 + u32::from(facts.vni);
            let mut spec = network(&name(*number), "default", vni, 4789, &endpoints);
            if let Spec::Network(network) = &mut spec {
                network.learning = facts.learns;
                network.gateway = facts.is_remote.then(|| THERE.to_owned());
            }
            objects.push(spec);
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
