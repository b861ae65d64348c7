//! Fuzz targets, as functions that anything can drive.
//!
//! `cargo xtask fuzz` drives them with libFuzzer (`src/bin/`), which looks for inputs that reach new code;
//! `cargo test` drives them with seeds and pseudo-random changes of them (`tests/`), the same ones every time.
#![forbid(unsafe_code)]

pub mod access;
pub mod check;
mod compare;
pub mod ecn;
pub mod expect;
pub mod inner;
mod learn;
#[cfg(feature = "manifest")]
pub mod manifest;
pub mod model;
pub mod mutate;
pub mod oracle;
pub mod outer;
pub mod places;
pub mod seeds;
pub mod senders;
pub mod situations;
pub mod sums;
pub mod tables;
pub mod tunnel;
mod twin;
