//! What the eBPF program and the host share: wire headers, map keys and values, drop reasons,
//! and the packet pipeline itself.
//!
//! The pipeline is generic over access to the frame and to the tables, so that one source runs
//! under the kernel's verifier and, unchanged, in tests on the host.
#![no_std]
#![forbid(unsafe_code)]

pub mod id;
