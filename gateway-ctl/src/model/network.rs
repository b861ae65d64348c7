//! Virtual networks and where their addresses live.

use std::net::IpAddr;

use ipnet::IpNet;
use isthmus_common::id::Vni;

use super::Mac;

/// One virtual network, built by its provider, with its own addressing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Network {
    /// Unique.
    pub name: String,
    /// Who owns the underlay the network runs on.
    pub provider: String,
    /// How its frames travel.
    pub encapsulation: Encapsulation,
    /// Prefixes that belong to it.
    pub prefixes: Vec<IpNet>,
    /// The gateway's own address inside it.
    pub gateway_address: Option<IpAddr>,
    /// Where its inner addresses live.
    pub endpoints: Vec<Endpoint>,
}

/// How a network's frames travel over the underlay.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Encapsulation {
    /// RFC 7348.
    Vxlan {
        /// Selects the network within its provider.
        vni: Vni,
        /// Destination port.
        udp_port: u16,
    },
}

/// Where one inner address lives.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint {
    /// Inner address.
    pub address: IpAddr,
    /// Inner MAC, if known.
    pub mac: Option<Mac>,
    /// Underlay address of the tunnel endpoint that holds it.
    pub vtep: IpAddr,
}
