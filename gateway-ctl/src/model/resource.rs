//! What others may be given access to.

use std::net::IpAddr;

/// Something in a network that others may be given access to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Resource {
    /// Unique.
    pub resource_id: String,
    /// Name of the network the addresses belong to.
    pub network: String,
    /// Inner addresses.
    pub addresses: Vec<IpAddr>,
    /// Which traffic belongs to it.
    pub protocol: Protocol,
    /// Destination ports; empty means all. Only with TCP and UDP.
    pub ports: Vec<PortRange>,
}

/// Which traffic belongs to a resource.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// All of it.
    Any,
    /// TCP.
    Tcp,
    /// UDP.
    Udp,
    /// ICMP and `ICMPv6`.
    Icmp,
}

/// Ports `first ..= last`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PortRange {
    /// Smallest, at least 1.
    pub first: u16,
    /// Largest.
    pub last: u16,
}
