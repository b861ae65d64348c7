//! The objects of a federation, parsed and valid in themselves.
//!
//! A value of these types has been checked as far as one object can be checked alone; what
//! concerns several objects (does the network exist?) is the broker's to decide.

pub mod address;
mod encapsulation;
mod gateway;
mod mac;
mod mapping;
pub mod name;
mod network;
mod object;
mod resource;
pub(crate) mod violation;

pub(crate) use encapsulation::no_udp_port;
pub use encapsulation::{
    DEFAULT_GENEVE_PORT, DEFAULT_VXLAN_PORT, Encapsulation, EncapsulationField, EncapsulationKind,
    GroupPolicy, Unchecked, VlanId, ovn_port,
};
pub use gateway::{GATEWAY_ADDRESSES, Gateway};
pub use mac::{Mac, MacError};
pub use mapping::{AccessLevel, Mapping, Mode, parse_identifier};
pub use network::{DEFAULT_PROVIDER, Endpoint, Network};
pub use object::{Kind, Metadata, Object, ObjectRef, Spec};
pub use resource::{PortRange, Protocol, Resource};
pub use violation::{FieldViolation, Violations};
