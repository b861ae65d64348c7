//! The broker and the command line as users meet them: the real binary, real files, real gRPC.
#![expect(clippy::unwrap_used, reason = "a test may panic")]

mod cli;
mod durability;
mod encapsulations;
mod roundtrip;
mod service;
mod support;
