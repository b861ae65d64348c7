//! Network topologies made of namespaces, for tests and the demo.
//!
//! Everything here works on the real kernel: namespaces, veth pairs, VXLAN devices, sockets, `tcpdump`
//! and `tshark`. Nothing imitates them, so what a test sees is what an operator would see.
//!
//! A [`Topology`] owns what is made in it (namespaces, links, processes, files) and removes it when
//! dropped, on panic too, and, where [`interrupt::clean_up_on_signals`] was called, on Ctrl-C. What a
//! killed process left behind is removed when the next one makes its first topology.
//!
//! ```no_run
//! use isthmus_tests::{Topology, privilege};
//!
//! # fn main() -> anyhow::Result<()> {
//! if !privilege::require_root("hosts_ping_each_other") {
//!     return Ok(());
//! }
//! let topology = Topology::new()?;
//! let (a, b) = (topology.namespace("a")?, topology.namespace("b")?);
//! topology.veth((&a, "uplink", "192.0.2.1/24"), (&b, "uplink", "192.0.2.2/24"))?;
//! a.run("ping -c 1 -W 1 192.0.2.2")?;
//! # Ok(())
//! # }
//! ```

pub mod capture;
pub mod command;
pub mod federation;
pub mod frame;
pub mod interrupt;
pub mod isthmus;
pub mod namespace;
pub mod open_vswitch;
pub mod packet_socket;
pub mod privilege;
pub mod process;
pub mod surroundings;
pub mod topology;
pub mod traffic;
pub mod wait;

pub use federation::Federation;
pub use isthmus::Isthmus;
pub use namespace::Namespace;
pub use topology::Topology;
