//! The broker: the service that owns gateways, networks, resources and mappings.
//!
//! [`federation`] decides what may be declared, a [`store::Store`] keeps it, [`state::Broker`]
//! keeps both in step, and [`server`] offers it over gRPC.

pub mod federation;
pub mod redb;
pub mod server;
mod service;
pub mod state;
pub mod store;
mod watch;
