//! Objects in the shape in which manifests declare them.

use std::{collections::BTreeMap, net::IpAddr, ops::Not};

use isthmus_common::id::{Label, Vni};
use serde::{Serialize, Serializer};
use serde_saphyr::DoubleQuoted;

use crate::model::{Gateway, GroupPolicy, Mapping, Network, Object, PortRange, Resource, Spec, VlanId};

/// An object as a manifest spells it.
#[derive(Debug, Serialize)]
#[serde(tag = "kind")]
pub enum Declaration {
    /// A gateway, as the others see it.
    Gateway(GatewayDeclaration),
    /// A virtual network.
    Network(NetworkDeclaration),
    /// Something in it.
    Resource(ResourceDeclaration),
    /// Who may reach it.
    Mapping(MappingDeclaration),
}

/// A stored object: its declaration and what the broker noted about it.
#[derive(Debug, Serialize)]
pub struct Stored {
    /// What it declares.
    #[serde(flatten)]
    pub declaration: Declaration,
    /// Counts the object's changes, from 1.
    pub version: u64,
    /// The store's revision that made this version.
    pub revision: u64,
}

/// A gateway's fields.
#[derive(Debug, Serialize)]
pub struct GatewayDeclaration {
    name: String,
    provider: String,
    addresses: Vec<IpAddr>,
    udp_port: u16,
}

/// A network's fields, in the order in which people read them.
#[derive(Debug, Serialize)]
pub struct NetworkDeclaration {
    name: String,
    provider: String,
    encapsulation: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    vni: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    udp_port: Option<u16>,
    #[serde(skip_serializing_if = "Option::is_none")]
    group_policy: Option<Policy>,
    #[serde(skip_serializing_if = "Option::is_none")]
    ovn_port: Option<u16>,
    #[serde(skip_serializing_if = "Option::is_none")]
    vlan_id: Option<u16>,
    #[serde(skip_serializing_if = "Not::not")]
    learning: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    gateway: Option<String>,
    prefixes: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    gateway_address: Option<IpAddr>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    endpoints: Vec<EndpointDeclaration>,
}

#[derive(Debug, Serialize)]
struct EndpointDeclaration {
    address: IpAddr,
    /// Quoted, because YAML 1.1 takes some for numbers to base 60.
    #[serde(skip_serializing_if = "Option::is_none")]
    mac: Option<DoubleQuoted<String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    vtep: Option<IpAddr>,
    #[serde(skip_serializing_if = "Option::is_none")]
    ovn_port: Option<u16>,
}

#[derive(Debug)]
struct Policy(GroupPolicy);

impl Serialize for Policy {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0 {
            GroupPolicy::Keep => serializer.collect_str(&self.0),
            GroupPolicy::Set(group) => serializer.serialize_u16(group.get()),
        }
    }
}

/// A resource's fields.
#[derive(Debug, Serialize)]
pub struct ResourceDeclaration {
    resource_id: String,
    network: String,
    addresses: Vec<IpAddr>,
    protocol: String,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    ports: Vec<Ports>,
}

#[derive(Debug)]
struct Ports(PortRange);

impl Serialize for Ports {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if self.0.first == self.0.last {
            serializer.serialize_u16(self.0.first)
        } else {
            serializer.collect_str(&self.0)
        }
    }
}

/// A mapping's fields.
#[derive(Debug, Serialize)]
pub struct MappingDeclaration {
    unique_identifier: String,
    source_network: String,
    destination_network: String,
    mode: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    label: Option<u32>,
    resource_mapping: BTreeMap<String, String>,
}

impl From<&Spec> for Declaration {
    fn from(spec: &Spec) -> Self {
        match spec {
            Spec::Gateway(gateway) => Self::Gateway(gateway.into()),
            Spec::Network(network) => Self::Network(network.into()),
            Spec::Resource(resource) => Self::Resource(resource.into()),
            Spec::Mapping(mapping) => Self::Mapping(mapping.into()),
        }
    }
}

impl From<&Object> for Stored {
    fn from(object: &Object) -> Self {
        Self {
            declaration: (&object.spec).into(),
            version: object.metadata.version,
            revision: object.metadata.revision,
        }
    }
}

impl From<&Gateway> for GatewayDeclaration {
    fn from(gateway: &Gateway) -> Self {
        Self {
            name: gateway.name.clone(),
            provider: gateway.provider.clone(),
            addresses: gateway.addresses.clone(),
            udp_port: gateway.udp_port,
        }
    }
}

impl From<&Network> for NetworkDeclaration {
    fn from(network: &Network) -> Self {
        let encapsulation = &network.encapsulation;
        Self {
            name: network.name.clone(),
            provider: network.provider.clone(),
            encapsulation: encapsulation.name(),
            vni: encapsulation.vni().map(Vni::get),
            udp_port: encapsulation.udp_port(),
            group_policy: encapsulation.group_policy().map(Policy),
            ovn_port: encapsulation.ovn_port(),
            vlan_id: encapsulation.vlan_id().map(VlanId::get),
            learning: network.learning,
            gateway: network.gateway.clone(),
            prefixes: network.prefixes.iter().map(ToString::to_string).collect(),
            gateway_address: network.gateway_address,
            endpoints: network
                .endpoints
                .iter()
                .map(|endpoint| EndpointDeclaration {
                    address: endpoint.address,
                    mac: endpoint.mac.map(|mac| DoubleQuoted(mac.to_string())),
                    vtep: endpoint.vtep,
                    ovn_port: endpoint.ovn_port,
                })
                .collect(),
        }
    }
}

impl From<&Resource> for ResourceDeclaration {
    fn from(resource: &Resource) -> Self {
        Self {
            resource_id: resource.resource_id.clone(),
            network: resource.network.clone(),
            addresses: resource.addresses.clone(),
            protocol: resource.protocol.to_string(),
            ports: resource.ports.iter().copied().map(Ports).collect(),
        }
    }
}

impl From<&Mapping> for MappingDeclaration {
    fn from(mapping: &Mapping) -> Self {
        Self {
            unique_identifier: mapping.unique_identifier.to_string(),
            source_network: mapping.source_network.clone(),
            destination_network: mapping.destination_network.clone(),
            mode: mapping.mode.to_string(),
            label: mapping.label.map(Label::get),
            resource_mapping: mapping
                .resource_mapping
                .iter()
                .map(|(resource_id, level)| (resource_id.clone(), level.to_string()))
                .collect(),
        }
    }
}

/// The objects as a manifest of one document each, with their versions as comments.
///
/// # Errors
/// If the serializer refuses, which these shapes give it no reason to.
pub fn to_yaml<'a>(
    objects: impl IntoIterator<Item = &'a Object>,
) -> Result<String, serde_saphyr::ser::Error> {
    let documents = objects
        .into_iter()
        .map(|object| -> Result<_, serde_saphyr::ser::Error> {
            let crate::model::Metadata { version, revision } = object.metadata;
            let declaration = serde_saphyr::to_string(&Declaration::from(&object.spec))?;
            Ok(format!("# version {version}, revision {revision}\n{declaration}"))
        })
        .collect::<Result<Vec<_>, _>>()?;
    Ok(documents.join("---\n"))
}
