//! The broker: the service that owns networks, resources and mappings.

pub mod federation;
