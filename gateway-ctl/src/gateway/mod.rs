//! The gateway controller: fills the data plane's tables from the broker's objects.
//!
//! One way data flows: [`watch`] keeps the [`replica`] current, [`compile`] turns it into a
//! [`plan`], [`install`] writes the difference through the [`dataplane`], [`next_hop`] keeps
//! tunnel endpoints resolved, and [`service`] answers what people ask. The [`controller`] is the
//! only one that holds state; everybody else sends it messages.

pub mod compile;
pub mod controller;
pub mod dataplane;
pub mod describe;
pub mod install;
pub mod interface;
pub mod learned;
pub mod next_hop;
pub mod numbers;
pub mod offline;
pub mod plan;
pub mod raw;
pub mod rcu;
pub mod record;
pub mod replica;
mod report;
pub mod run;
pub mod service;
pub mod trace;
pub mod watch;
