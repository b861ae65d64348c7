//! The objects of a federation, parsed and valid in themselves.
//!
//! A value of these types has been checked as far as one object can be checked alone; what
//! concerns several objects (does the network exist?) is the broker's to decide.

mod mac;
mod mapping;
mod network;
mod resource;

pub use mac::Mac;
pub use mapping::{AccessLevel, Mapping, Mode};
pub use network::{Encapsulation, Endpoint, Network};
pub use resource::{PortRange, Protocol, Resource};
