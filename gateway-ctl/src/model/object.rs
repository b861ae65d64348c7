//! Any of the objects, and what names one.

use std::fmt;

use super::{Gateway, Mapping, Network, Resource, Violations, mapping::parse_identifier, name};
use crate::api;

/// What kind of object.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// A [`Gateway`].
    Gateway,
    /// A [`Network`].
    Network,
    /// A [`Resource`].
    Resource,
    /// A [`Mapping`].
    Mapping,
}

/// Names one object.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ObjectRef {
    /// Of which kind.
    pub kind: Kind,
    /// A gateway's or network's name, a resource's `resource_id`, a mapping's `unique_identifier`.
    pub name: String,
}

/// What an object declares.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Spec {
    /// A gateway, as the others see it.
    Gateway(Gateway),
    /// A virtual network.
    Network(Network),
    /// Something in it.
    Resource(Resource),
    /// Who may reach it.
    Mapping(Mapping),
}

/// What the broker notes about an object.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Metadata {
    /// Counts the changes of this object, from 1.
    pub version: u64,
    /// The store's revision that made this version.
    pub revision: u64,
}

/// An object as stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Object {
    /// What the broker notes about it.
    pub metadata: Metadata,
    /// What it declares.
    pub spec: Spec,
}

impl Kind {
    /// All of them, in the order in which one refers to the other.
    pub const ALL: [Self; 4] = [Self::Gateway, Self::Network, Self::Resource, Self::Mapping];

    /// Lower-case, as commands spell it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Gateway => "gateway",
            Self::Network => "network",
            Self::Resource => "resource",
            Self::Mapping => "mapping",
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl fmt::Display for ObjectRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.kind, self.name)
    }
}

impl ObjectRef {
    /// Names a gateway.
    #[must_use]
    pub fn gateway(name: &str) -> Self {
        Self { kind: Kind::Gateway, name: name.to_owned() }
    }

    /// Names a network.
    #[must_use]
    pub fn network(name: &str) -> Self {
        Self { kind: Kind::Network, name: name.to_owned() }
    }

    /// Names a resource.
    #[must_use]
    pub fn resource(resource_id: &str) -> Self {
        Self { kind: Kind::Resource, name: resource_id.to_owned() }
    }

    /// Names a mapping.
    #[must_use]
    pub fn mapping(unique_identifier: uuid::Uuid) -> Self {
        Self { kind: Kind::Mapping, name: unique_identifier.to_string() }
    }
}

impl Spec {
    /// What names the object.
    #[must_use]
    pub fn object_ref(&self) -> ObjectRef {
        match self {
            Self::Gateway(gateway) => ObjectRef::gateway(&gateway.name),
            Self::Network(network) => ObjectRef::network(&network.name),
            Self::Resource(resource) => ObjectRef::resource(&resource.resource_id),
            Self::Mapping(mapping) => ObjectRef::mapping(mapping.unique_identifier),
        }
    }

    /// Of which kind the object is.
    #[must_use]
    pub const fn kind(&self) -> Kind {
        match self {
            Self::Gateway(_) => Kind::Gateway,
            Self::Network(_) => Kind::Network,
            Self::Resource(_) => Kind::Resource,
            Self::Mapping(_) => Kind::Mapping,
        }
    }
}

impl From<Kind> for api::Kind {
    fn from(kind: Kind) -> Self {
        match kind {
            Kind::Gateway => Self::Gateway,
            Kind::Network => Self::Network,
            Kind::Resource => Self::Resource,
            Kind::Mapping => Self::Mapping,
        }
    }
}

impl TryFrom<api::ObjectRef> for ObjectRef {
    type Error = Violations;

    fn try_from(wire: api::ObjectRef) -> Result<Self, Violations> {
        let mut wrong = Violations::default();
        let kind = match api::Kind::try_from(wire.kind) {
            Ok(api::Kind::Gateway) => Some(Kind::Gateway),
            Ok(api::Kind::Network) => Some(Kind::Network),
            Ok(api::Kind::Resource) => Some(Kind::Resource),
            Ok(api::Kind::Mapping) => Some(Kind::Mapping),
            Ok(api::Kind::Unspecified) | Err(_) => {
                wrong.add("kind", "is missing or unknown; use gateway, network, resource or mapping");
                None
            }
        };
        let name = match kind {
            // Spelled the one way the store spells it.
            Some(Kind::Mapping) => {
                wrong.check("name", parse_identifier(&wire.name)).map(|uuid| uuid.to_string())
            }
            _ => wrong.check("name", name::check(&wire.name)).map(|()| wire.name),
        };
        match (kind, name) {
            (Some(kind), Some(name)) => Ok(Self { kind, name }),
            _ => Err(wrong),
        }
    }
}

impl From<&ObjectRef> for api::ObjectRef {
    fn from(object_ref: &ObjectRef) -> Self {
        Self { kind: api::Kind::from(object_ref.kind).into(), name: object_ref.name.clone() }
    }
}

impl TryFrom<api::object::Spec> for Spec {
    type Error = Violations;

    /// Fields are named from the object on: `network.prefixes[0]`.
    fn try_from(wire: api::object::Spec) -> Result<Self, Violations> {
        match wire {
            api::object::Spec::Gateway(wire) => {
                Gateway::try_from(wire).map(Self::Gateway).map_err(|wrong| wrong.under("gateway"))
            }
            api::object::Spec::Network(wire) => {
                Network::try_from(wire).map(Self::Network).map_err(|wrong| wrong.under("network"))
            }
            api::object::Spec::Resource(wire) => {
                Resource::try_from(wire).map(Self::Resource).map_err(|wrong| wrong.under("resource"))
            }
            api::object::Spec::Mapping(wire) => {
                Mapping::try_from(wire).map(Self::Mapping).map_err(|wrong| wrong.under("mapping"))
            }
        }
    }
}

impl From<&Spec> for api::object::Spec {
    fn from(spec: &Spec) -> Self {
        match spec {
            Spec::Gateway(gateway) => Self::Gateway(gateway.into()),
            Spec::Network(network) => Self::Network(network.into()),
            Spec::Resource(resource) => Self::Resource(resource.into()),
            Spec::Mapping(mapping) => Self::Mapping(mapping.into()),
        }
    }
}

impl TryFrom<api::Object> for Object {
    type Error = Violations;

    fn try_from(wire: api::Object) -> Result<Self, Violations> {
        let metadata = wire.metadata.unwrap_or_default();
        let Some(spec) = wire.spec else {
            let mut wrong = Violations::default();
            wrong.add("spec", "is missing; give a gateway, a network, a resource or a mapping");
            return Err(wrong);
        };
        Ok(Self {
            metadata: Metadata { version: metadata.version, revision: metadata.revision },
            spec: spec.try_into()?,
        })
    }
}

impl From<&Object> for api::Object {
    fn from(object: &Object) -> Self {
        let Metadata { version, revision } = object.metadata;
        Self { metadata: Some(api::Metadata { version, revision }), spec: Some((&object.spec).into()) }
    }
}
