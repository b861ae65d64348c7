//! Isthmus: a federation gateway. The `isthmus` binary is a thin `main` over this library.

pub mod api;
pub mod broker;
pub mod cli;
pub mod gateway;
pub mod manifest;
pub mod model;
