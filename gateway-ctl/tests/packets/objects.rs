//! Objects in one line each, as the broker would hand them to a gateway.

use std::net::IpAddr;

use isthmus::gateway::replica::Replica;
use isthmus::model::{
    AccessLevel, Encapsulation, Endpoint, Mapping, Metadata, Mode, Network, Object, PortRange, Protocol,
    Resource, Spec,
};
use isthmus_common::id::{Label, LabelRange, Vni};
use uuid::Uuid;

/// The mapping's identifier that ends in `number`.
pub(crate) fn identifier(number: u8) -> Uuid {
    Uuid::from_u128(0x7b0d_6f0e_8a1c_4c53_9d0e_2f6a_4f6d_9a00 + u128::from(number))
}

/// A label: the range's first one and `number` more.
pub(crate) fn label(number: u8) -> u32 {
    LabelRange::DEFAULT.first().get() + u32::from(number)
}

/// A network on VXLAN; endpoints are (inner address, vtep).
pub(crate) fn network(name: &str, provider: &str, vni: u32, port: u16, endpoints: &[(&str, &str)]) -> Spec {
    let encapsulation =
        Encapsulation::Vxlan { vni: Vni::new(vni).unwrap(), udp_port: port, group_policy: None };
    network_on(encapsulation, name, provider, endpoints)
}

/// A network with this encapsulation.
pub(crate) fn network_on(
    encapsulation: Encapsulation,
    name: &str,
    provider: &str,
    endpoints: &[(&str, &str)],
) -> Spec {
    let endpoint = |(address, vtep): &(&str, &str)| Endpoint {
        address: address.parse().unwrap(),
        mac: None,
        vtep: Some(vtep.parse().unwrap()),
        ovn_port: None,
    };
    Spec::Network(Network {
        name: name.to_owned(),
        provider: provider.to_owned(),
        encapsulation,
        prefixes: vec!["10.0.0.0/8".parse().unwrap(), "fd00::/8".parse().unwrap()],
        gateway_address: None,
        endpoints: endpoints.iter().map(endpoint).collect(),
        learning: false,
        gateway: None,
    })
}

/// A resource; ports are inclusive ranges.
pub(crate) fn resource(
    resource_id: &str,
    network: &str,
    addresses: &[&str],
    protocol: Protocol,
    ports: &[(u16, u16)],
) -> Spec {
    Spec::Resource(Resource {
        resource_id: resource_id.to_owned(),
        network: network.to_owned(),
        addresses: addresses.iter().map(|address| address.parse::<IpAddr>().unwrap()).collect(),
        protocol,
        ports: ports.iter().map(|(first, last)| PortRange { first: *first, last: *last }).collect(),
    })
}

/// The mapping of [`identifier`] and [`label`] `number`, from the source to the destination network.
pub(crate) fn mapping(
    number: u8,
    source: &str,
    destination: &str,
    resources: &[(&str, AccessLevel)],
) -> Mapping {
    Mapping {
        unique_identifier: identifier(number),
        source_network: source.to_owned(),
        destination_network: destination.to_owned(),
        resource_mapping: resources.iter().map(|(id, level)| ((*id).to_owned(), *level)).collect(),
        mode: Mode::Switched,
        label: Label::new(label(number)),
    }
}

/// A replica that holds the objects, each one's revision a later one than its predecessor's.
pub(crate) fn replica(specs: impl IntoIterator<Item = Spec>) -> Replica {
    let mut replica = Replica::new(0, "test".to_owned(), LabelRange::DEFAULT);
    for spec in specs {
        replica.revision += 1;
        let metadata = Metadata { version: 1, revision: replica.revision };
        replica.put(Object { metadata, spec });
    }
    replica
}
