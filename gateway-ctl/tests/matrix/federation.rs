//! The federation of all ways: a network for each, and a mapping from every one in the west to every one in
//! the east.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::num::NonZeroU16;

use isthmus::gateway::compile::{Site, compile};
use isthmus::gateway::install::{Capacity, InstallError, Installed, TableWriter};
use isthmus::gateway::plan::{self, Plan};
use isthmus::gateway::replica::Replica;
use isthmus::model::{
    AccessLevel, Encapsulation, Endpoint, Gateway, GroupPolicy, Mac, Mapping, Metadata, Mode, Network,
    Object, Protocol, Resource, Spec, VlanId,
};
use isthmus_common::address::Address;
use isthmus_common::id::{Label, LabelRange, Vni};
use isthmus_common::scope::Underlay;
use isthmus_common::tables::{Interface, NextHop, TagStack, TunnelPort, hop};
use isthmus_common::wire;
use uuid::Uuid;

use crate::oracle::EPOCH;
use crate::row::label;
use crate::way::{Family, GROUP, Kind, Side, Way, gateway_mac};

/// Largest packet that a way takes, bytes: no device has one that is longer.
pub(crate) fn mtu(way: Way) -> u32 {
    if way.tags == 2 { 62_000 } else { 65_535 }
}

fn all_ways() -> Vec<Way> {
    [Way::all(Side::West), Way::all(Side::East)].concat()
}

fn encapsulation(way: Way) -> Encapsulation {
    let vni = || Vni::new(way.number()).unwrap();
    let vxlan = |group_policy| Encapsulation::Vxlan { vni: vni(), udp_port: way.kind.port(), group_policy };
    let geneve = |ovn_port| Encapsulation::Geneve { vni: vni(), udp_port: way.kind.port(), ovn_port };
    match way.kind {
        Kind::Vxlan => vxlan(None),
        Kind::GroupKeep => vxlan(Some(GroupPolicy::Keep)),
        Kind::GroupSet => vxlan(Some(GroupPolicy::Set(NonZeroU16::new(GROUP).unwrap()))),
        // What the other gateway makes of it is its own affair.
        Kind::Geneve | Kind::Remote => geneve(None),
        Kind::Ovn => geneve(Some(way.ovn_ingress())),
        Kind::Vlan => {
            Encapsulation::Vlan { vlan_id: VlanId::new(u16::try_from(way.number()).unwrap()).unwrap() }
        }
        Kind::Port => Encapsulation::Port,
    }
}

/// VLANs need an interface that is their provider's alone; tunnels share the default one's.
fn provider(way: Way) -> &'static str {
    match (way.kind, way.side) {
        (Kind::Vlan, Side::West) => "western",
        (Kind::Vlan, Side::East) => "eastern",
        _ => "default",
    }
}

fn underlay(way: Way) -> Underlay {
    match (way.kind, way.side) {
        (Kind::Vlan, Side::West) => Underlay::new(2).unwrap(),
        (Kind::Vlan, Side::East) => Underlay::new(3).unwrap(),
        _ => Underlay::SHARED,
    }
}

fn gateway_name(way: Way) -> String {
    format!("beyond-{}", way.name())
}

fn network(way: Way) -> Spec {
    // Behind another gateway, the endpoints' own tunnel endpoint is none that this gateway ever sees.
    let hidden: IpAddr = "203.0.113.1".parse().unwrap();
    let vtep = match way.kind {
        Kind::Vlan | Kind::Port => None,
        Kind::Remote => Some(hidden),
        _ => Some(way.vtep()),
    };
    let endpoint = |family| Endpoint {
        address: way.endpoint(family),
        mac: Some(Mac(way.endpoint_mac())),
        vtep,
        ovn_port: (way.kind == Kind::Ovn).then(|| way.endpoint_port()),
    };
    Spec::Network(Network {
        name: way.name(),
        provider: provider(way).to_owned(),
        encapsulation: encapsulation(way),
        prefixes: vec!["10.0.0.0/8".parse().unwrap(), "fd00::/8".parse().unwrap()],
        gateway_address: None,
        endpoints: Family::ALL.map(endpoint).to_vec(),
        learning: false,
        gateway: (way.kind == Kind::Remote).then(|| gateway_name(way)),
    })
}

/// All of a network.
fn resource(way: Way) -> Spec {
    Spec::Resource(Resource {
        resource_id: way.name(),
        network: way.name(),
        addresses: Family::ALL.map(|family| way.endpoint(family)).to_vec(),
        protocol: Protocol::Any,
        ports: Vec::new(),
    })
}

/// The identifier of the mapping between two networks.
pub(crate) fn identifier(from: Way, to: Way) -> Uuid {
    Uuid::from_u128(u128::from(label(from, to)) << 64 | 1)
}

fn mapping(west: Way, east: Way) -> Spec {
    let label = label(west, east);
    Spec::Mapping(Mapping {
        unique_identifier: identifier(west, east),
        source_network: west.name(),
        destination_network: east.name(),
        resource_mapping: [(east.name(), AccessLevel::Full)].into(),
        mode: Mode::Switched,
        label: Label::new(label),
    })
}

fn objects() -> Vec<Spec> {
    let ways = all_ways();
    let mut specs = Vec::new();
    for way in ways.iter().filter(|way| way.kind == Kind::Remote) {
        specs.push(Spec::Gateway(Gateway {
            name: gateway_name(*way),
            provider: "default".to_owned(),
            addresses: vec![way.vtep()],
            udp_port: Kind::Remote.port(),
        }));
    }
    specs.extend(ways.iter().copied().map(network));
    specs.extend(ways.iter().copied().map(resource));
    for west in Way::all(Side::West) {
        specs.extend(Way::all(Side::East).into_iter().map(|east| mapping(west, east)));
    }
    specs
}

/// What the tables should hold.
pub(crate) fn plan() -> Plan {
    let mut replica = Replica::new(0, "test".to_owned(), LabelRange::DEFAULT);
    for spec in objects() {
        replica.revision += 1;
        replica
            .put(Object { metadata: Metadata { version: EPOCH.into(), revision: replica.revision }, spec });
    }
    let ways = all_ways();
    let of = |kind: Kind| ways.iter().copied().filter(move |way| way.kind == kind);
    let on_underlay = [Side::West, Side::East].map(|side| (side.underlay(), Underlay::SHARED));
    let site = Site {
        name: "here".to_owned(),
        bound_providers: of(Kind::Vlan).map(|way| (provider(way).to_owned(), underlay(way))).collect(),
        interfaces: of(Kind::Vlan).map(|way| (way.interface(), underlay(way))).chain(on_underlay).collect(),
        ports: of(Kind::Port).map(|way| (way.name(), way.interface())).collect(),
        addresses: of(Kind::Vxlan).map(Way::gateway).collect(),
        learned: BTreeMap::new(),
    };
    let plan = compile(&replica, &site);
    assert_eq!(plan.refused, [], "the federation of all ways must be in force as a whole");
    plan
}

pub(crate) fn capacity() -> Capacity {
    Capacity::for_mappings(2048)
}

/// Pairs of devices, by index.
pub(crate) fn devices() -> Vec<(u32, u32)> {
    let (west, east) = (Side::West, Side::East);
    vec![(west.underlay(), east.underlay()), (west.port(), east.port()), (west.trunk(), east.trunk())]
}

/// The gateway's interfaces.
pub(crate) fn interfaces(plan: &Plan) -> Vec<Interface> {
    let (vlans, ports) = (all_ways(), all_ways());
    let vlans = vlans.into_iter().filter(|way| way.kind == Kind::Vlan).map(|way| {
        let mut interface = bare(way);
        for vlan_id in &plan.vlans[&way.interface()] {
            interface.add_vlan(*vlan_id);
        }
        interface
    });
    let ports = ports
        .into_iter()
        .filter(|way| way.kind == Kind::Port)
        .map(|way| Interface { is_port: 1, ..bare(way) });
    let sides = [Side::West, Side::East].into_iter().map(|side| on_underlay(plan, side));
    sides.chain(ports).chain(vlans).collect()
}

fn bare(way: Way) -> Interface {
    Interface { ifindex: way.interface(), underlay: underlay(way).get().into(), ..Interface::NONE }
}

fn on_underlay(plan: &Plan, side: Side) -> Interface {
    let ways: Vec<Way> = Way::all(side).into_iter().filter(|way| way.kind == Kind::Vxlan).collect();
    let mut interface = bare(ways[0]);
    for (place, (port, encapsulation)) in interface.ports.iter_mut().zip(plan.tunnel_ports()) {
        *place = TunnelPort { port, encapsulation: encapsulation.number(), reserved: 0 };
    }
    let (mut v4, mut v6) = (interface.v4.iter_mut(), interface.v6.iter_mut());
    let mut stacks = interface.stacks.iter_mut();
    for way in ways {
        match way.gateway() {
            IpAddr::V4(address) => *v4.next().unwrap() = address.octets(),
            IpAddr::V6(address) => *v6.next().unwrap() = Address::from(address),
        }
        if way.family == Family::V4 && way.tags > 0 {
            let tags = written(way).into_iter();
            *stacks.next().unwrap() = tags.fold(TagStack::default(), TagStack::with);
        }
    }
    interface
}

fn written(way: Way) -> Vec<wire::Tag> {
    way.underlay_tags().into_iter().map(|tag| wire::Tag::new(tag.tpid, tag.vid)).collect()
}

/// Installs the plan and resolves the next hops; `slot` tells an interface's slot.
pub(crate) fn fill<W: TableWriter>(
    writer: &mut W,
    plan: &Plan,
    slot: impl Fn(u32) -> u32,
) -> Result<Installed, InstallError<W::Error>> {
    let mut installed = Installed::new(&capacity());
    installed.install(writer, plan)?;
    for way in all_ways() {
        let underlay = underlay(way);
        let key = match way.kind {
            Kind::Vlan | Kind::Port => plan::Way::Device { ifindex: way.interface() },
            Kind::Remote => {
                plan::Way::Gateway { name: gateway_name(way), underlay, addresses: vec![way.vtep()] }
            }
            _ => plan::Way::Endpoint { underlay, vtep: way.vtep() },
        };
        installed.set_next_hop(writer, &key, &next_hop(way, slot(way.interface())))?;
    }
    Ok(installed)
}

fn next_hop(way: Way, slot: u32) -> NextHop {
    let device =
        NextHop { state: hop::DEVICE, ifindex: way.interface(), slot, mtu: mtu(way), ..NextHop::default() };
    if !way.kind.is_tunnel() {
        return device;
    }
    let mut tags = [wire::Tag::default(); 2];
    for (place, tag) in tags.iter_mut().zip(written(way)) {
        *place = tag;
    }
    NextHop {
        state: if way.family == Family::V4 { hop::V4 } else { hop::V6 },
        source: way.gateway().into(),
        destination: way.vtep().into(),
        destination_mac: way.vtep_mac(),
        source_mac: gateway_mac(way.interface()),
        tag_count: way.tags.into(),
        tags,
        ..device
    }
}
