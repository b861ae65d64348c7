//! Objects survive the way over the wire and through manifests, whatever they are.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    num::NonZeroU16,
};

use isthmus::{
    api, manifest,
    model::{
        AccessLevel, Encapsulation, EncapsulationKind, Endpoint, Gateway, GroupPolicy, Mac, Mapping,
        Metadata, Mode, Network, Object, PortRange, Protocol, Resource, Spec, Unchecked, VlanId,
    },
};
use isthmus_common::id::{Label, Vni};
use proptest::{collection, option, prelude::*, sample};
use uuid::Uuid;

/// Names that YAML would like to take for something else.
const TRAPS: &[&str] =
    &["no", "null", "true", "1e3", "0x1f", "007", "1.10", "3", "0o7", "1-2", "y", "9.", "12e03"];

/// Any name.
fn name() -> impl Strategy<Value = String> {
    prop_oneof![3 => "[a-z0-9][a-z0-9.-]{0,62}", 1 => sample::select(TRAPS).prop_map(ToOwned::to_owned)]
}

fn v4() -> impl Strategy<Value = IpAddr> {
    (1..=9_u8, any::<[u8; 3]>()).prop_map(|(a, [b, c, d])| Ipv4Addr::new(a, b, c, d).into())
}

fn inner() -> impl Strategy<Value = IpAddr> {
    let v6 =
        any::<[u16; 7]>().prop_map(|[b, c, d, e, f, g, h]| Ipv6Addr::new(0xfd00, b, c, d, e, f, g, h).into());
    prop_oneof![v4(), v6]
}

fn mac() -> impl Strategy<Value = Mac> {
    any::<[u8; 5]>().prop_map(|[b, c, d, e, f]| Mac([2, b, c, d, e, f]))
}

fn encapsulation() -> impl Strategy<Value = Encapsulation> {
    let vni = || (1..=0x00ff_ffff_u32).prop_map(|vni| Vni::new(vni).unwrap());
    let group =
        any::<u16>().prop_map(|group| NonZeroU16::new(group).map_or(GroupPolicy::Keep, GroupPolicy::Set));
    prop_oneof![
        (vni(), 1..=u16::MAX, option::of(group))
            .prop_map(|(vni, udp_port, group_policy)| Encapsulation::Vxlan { vni, udp_port, group_policy }),
        (vni(), 1..=u16::MAX, option::of(1..=500_u16))
            .prop_map(|(vni, udp_port, ovn_port)| Encapsulation::Geneve { vni, udp_port, ovn_port }),
        (1..=4094_u16).prop_map(|vlan| Encapsulation::Vlan { vlan_id: VlanId::new(vlan).unwrap() }),
        Just(Encapsulation::Port),
    ]
}

fn underlay() -> impl Strategy<Value = IpAddr> {
    prop_oneof![
        v4(),
        (any::<[u16; 7]>())
            .prop_map(|[b, c, d, e, f, g, h]| { Ipv6Addr::new(0x2001, b, c, d, e, f, g, h).into() })
    ]
}

fn gateway() -> impl Strategy<Value = Gateway> {
    (name(), name(), collection::btree_set(underlay(), 1..=4), 1..=u16::MAX).prop_map(
        |(name, provider, addresses, udp_port)| Gateway {
            name,
            provider,
            addresses: addresses.into_iter().collect(),
            udp_port,
        },
    )
}

fn network() -> impl Strategy<Value = Network> {
    let place = (option::of(mac()), underlay(), 501..=0x7fff_u16);
    let endpoints = collection::btree_map(inner(), place, 0..6);
    let rest = (any::<bool>(), option::of(name()));
    (name(), name(), encapsulation(), option::of(inner()), endpoints, rest).prop_map(
        |(name, provider, encapsulation, gateway_address, endpoints, (learning, gateway))| Network {
            name,
            provider,
            encapsulation,
            prefixes: vec!["0.0.0.0/1".parse().unwrap(), "fd00::/8".parse().unwrap()],
            gateway_address: gateway_address.filter(|address| !endpoints.contains_key(address)),
            endpoints: endpoints
                .into_iter()
                .map(|(address, (mac, vtep, ovn_port))| Endpoint {
                    address,
                    mac,
                    vtep: encapsulation.kind().is_tunnel().then_some(vtep),
                    ovn_port: encapsulation.ovn_port().map(|_| ovn_port),
                })
                .collect(),
            learning,
            gateway,
        },
    )
}

fn resource() -> impl Strategy<Value = Resource> {
    let bounds = collection::btree_set(1..=u16::MAX, 0..8);
    (name(), name(), collection::btree_set(inner(), 1..5), sample::select(&Protocol::ALL[..]), bounds)
        .prop_map(|(resource_id, network, addresses, protocol, bounds)| {
            let bounds: Vec<_> = bounds.into_iter().collect();
            let ports = bounds.chunks(2).map(|pair| PortRange { first: pair[0], last: pair[pair.len() - 1] });
            let ports = if protocol.has_ports() { ports.collect() } else { Vec::new() };
            Resource { resource_id, network, addresses: addresses.into_iter().collect(), protocol, ports }
        })
}

fn mapping() -> impl Strategy<Value = Mapping> {
    let levels = collection::btree_map(name(), sample::select(&AccessLevel::ALL[..]), 0..5);
    (1..u128::MAX, name(), name(), levels, option::of(1..=0x00ff_ffff_u32))
        .prop_filter("two networks", |(_, source, destination, ..)| source != destination)
        .prop_map(|(id, source_network, destination_network, resource_mapping, label)| Mapping {
            unique_identifier: Uuid::from_u128(id),
            source_network,
            destination_network,
            resource_mapping,
            mode: Mode::Switched,
            label: label.and_then(Label::new),
        })
}

fn spec() -> impl Strategy<Value = Spec> {
    prop_oneof![
        gateway().prop_map(Spec::Gateway),
        network().prop_map(Spec::Network),
        resource().prop_map(Spec::Resource),
        mapping().prop_map(Spec::Mapping)
    ]
}

proptest! {
    #[test]
    fn objects_survive_the_wire(spec in spec(), version in 1_u64.., revision in 1_u64..) {
        let object = Object { metadata: Metadata { version, revision }, spec };
        let bytes = prost::Message::encode_to_vec(&api::Object::from(&object));
        let wire: api::Object = prost::Message::decode(bytes.as_slice()).unwrap();
        prop_assert_eq!(Object::try_from(wire), Ok(object));
    }

    #[test]
    fn objects_survive_a_manifest(specs in collection::vec(spec(), 1..5)) {
        let mut seen = BTreeSet::new();
        let objects: Vec<_> = specs
            .into_iter()
            .filter(|spec| seen.insert(spec.object_ref()))
            .map(|spec| Object { metadata: Metadata { version: 1, revision: 2 }, spec })
            .collect();
        let text = manifest::to_yaml(&objects).unwrap();
        let read = manifest::parse([("m.yaml", text.as_str())]).map_err(|error| TestCaseError::fail(format!("{error}\n{text}")))?;
        prop_assert_eq!(read.into_specs(), objects.into_iter().map(|object| object.spec).collect::<Vec<_>>());
    }

    #[test]
    fn no_text_makes_the_manifest_reader_panic(text in "(kind: (Gateway|Network|Resource|Mapping)\n)?([a-z_]{1,8}: ?|- |[\\[\\]{},:&*!#'\"|>%@`~-]|[0-9a-f:.]{1,6}|\\PC|\n {0,4}){0,60}") {
        let _ = manifest::parse([("m.yaml", text.as_str())]);
    }

    #[test]
    fn no_field_makes_the_model_panic(texts in collection::vec("\\PC{0,80}", 6), numbers in any::<[u32; 7]>(), kind in sample::select(&EncapsulationKind::ALL[..])) {
        let [a, b, c, d, e, f] = texts.try_into().unwrap();
        let _ = Network::try_from(api::Network {
            name: a.clone(),
            provider: b.clone(),
            encapsulation: Some(kind.unchecked(Unchecked {
                vni: numbers[0],
                udp_port: numbers[1],
                group_policy: Some(numbers[3]),
                ovn_port: numbers[4],
                vlan_id: numbers[5],
            })),
            prefixes: vec![c.clone()],
            gateway_address: d.clone(),
            endpoints: vec![api::Endpoint { address: d.clone(), mac: e.clone(), vtep: f.clone(), ovn_port: numbers[6] }],
            learning: true,
            gateway: e.clone(),
        });
        let _ = Gateway::try_from(api::FederationGateway {
            name: a.clone(),
            provider: b.clone(),
            addresses: vec![d.clone(), e.clone(), f],
            udp_port: numbers[1],
        });
        let level = numbers[2].cast_signed();
        let _ = Mapping::try_from(api::Mapping {
            unique_identifier: a,
            source_network: b,
            destination_network: c,
            resource_mapping: BTreeMap::from([(d, level), (e, 1)]).into_iter().collect(),
            mode: level,
            label: numbers[0],
        });
    }
}
