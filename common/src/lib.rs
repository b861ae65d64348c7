//! What the eBPF program and the host share: wire headers, map keys and values, reasons, and the
//! packet pipeline itself.
//!
//! The pipeline is generic over access to the frame ([`frame::Frame`]) and to the tables
//! ([`tables::Tables`]), so that one source runs under the kernel's verifier and, unchanged, in
//! tests on the host.
#![no_std]
#![forbid(unsafe_code)]
#![expect(
    clippy::inline_always,
    reason = "the verifier loses what it knows of packet pointers across calls, and a call costs more than most steps"
)]

#[cfg(feature = "host")]
extern crate std;

pub mod address;
pub mod checksum;
pub mod encapsulation;
pub mod event;
pub mod frame;
#[cfg(feature = "host")]
pub mod host;
pub mod id;
pub mod pipeline;
pub mod reason;
pub mod rules;
pub mod scope;
pub mod tables;
pub mod wire;
