//! Protocol headers, byte for byte.
//!
//! Every type is as long as its header, has no alignment and no padding, and holds numbers in
//! network byte order.

mod arp;
mod ethernet;
mod geneve;
mod icmp;
mod ipv4;
mod ipv6;
mod tcp;
mod udp;
mod vxlan;

pub use arp::Arp;
pub use ethernet::{EtherType, Ethernet, Macs, Tag};
pub use geneve::{Geneve, GeneveOption, Identifier, OvnPorts};
pub use icmp::{Icmp, NeighbourSolicitation};
pub use ipv4::Ipv4;
pub use ipv6::Ipv6;
pub use tcp::Tcp;
pub use udp::Udp;
pub use vxlan::Vxlan;

/// IP protocol numbers (IANA).
pub mod protocol {
    /// RFC 792.
    pub const ICMP: u8 = 1;
    /// RFC 9293.
    pub const TCP: u8 = 6;
    /// RFC 768.
    pub const UDP: u8 = 17;
    /// RFC 8200 §4.5.
    pub const FRAGMENT: u8 = 44;
    /// RFC 4443.
    pub const ICMPV6: u8 = 58;
}
