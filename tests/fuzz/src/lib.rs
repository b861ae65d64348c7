//! Fuzz targets, as functions that anything can drive.
//!
//! `cargo xtask fuzz` drives them with libFuzzer (`src/bin/`), which looks for inputs that reach new code;
//! `cargo test` drives them with seeds and pseudo-random changes of them (`tests/`), the same ones every time.
#![forbid(unsafe_code)]

pub mod check;
#[cfg(feature = "manifest")]
pub mod manifest;
pub mod model;
pub mod mutate;
pub mod oracle;
pub mod seeds;
pub mod tables;
pub mod tunnel;
