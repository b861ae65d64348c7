//! What a gateway is told, in the words of the declarations.
//!
//! [`crate::situations`] makes it up, [`crate::tables`] writes it into the pipeline's tables, and [`crate::oracle`]
//! decides from it directly.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use isthmus_common::address::Address;

/// A gateway and the federation that it serves.
pub struct Situation {
    /// What is special about it.
    pub name: String,
    /// Smallest and largest label, if identifiers are in use in VXLAN.
    pub labels: Option<(u32, u32)>,
    /// The gateway's interfaces.
    pub interfaces: Vec<Interface>,
    /// The declared networks.
    pub networks: Vec<Network>,
    /// Who may reach what.
    pub mappings: Vec<Mapping>,
}

/// One of the gateway's interfaces.
pub struct Interface {
    /// Its index in the kernel.
    pub index: u32,
    /// Its underlay's number.
    pub underlay: u8,
    /// Its tunnel addresses, those of its VLAN subinterfaces among them.
    pub v4: Vec<Ipv4Addr>,
    /// The same of IPv6.
    pub v6: Vec<Ipv6Addr>,
    /// The tags of its VLAN subinterfaces.
    pub stacks: Vec<Vec<Tag>>,
    /// Its MAC.
    pub mac: [u8; 6],
    /// Largest IP packet that it takes, bytes.
    pub mtu: u32,
    /// UDP ports that tunnels come in by, and which tunnels.
    pub ports: Vec<(u16, Tunnel)>,
    /// Packets can be redirected to it.
    pub is_egress: bool,
}

/// A VLAN tag.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Tag {
    /// TPID 0x88a8 instead of 0x8100.
    pub is_service: bool,
    /// VLAN identifier.
    pub id: u16,
}

/// What UDP carries.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Tunnel {
    /// RFC 7348.
    Vxlan,
    /// VXLAN with group policy.
    Group,
    /// RFC 8926.
    Geneve,
}

/// How a network's frames travel.
#[derive(Clone, PartialEq, Eq)]
pub enum Form {
    /// VXLAN with this VNI.
    Vxlan(u32),
    /// VXLAN with group policy: the VNI, and the group that is set, if one is.
    Group(u32, Option<u16>),
    /// Geneve with this VNI.
    Geneve(u32),
    /// OVN's Geneve: the VNI, and the logical port that packets come in by.
    Ovn(u32, u16),
    /// A VLAN of the network's interface.
    Vlan(u16),
    /// The network's interface itself.
    Port,
    /// Behind another gateway, with these addresses.
    Peer(Vec<IpAddr>),
}

/// A virtual network.
pub struct Network {
    /// How its frames travel.
    pub form: Form,
    /// UDP destination port.
    pub port: u16,
    /// Index in [`Situation::interfaces`] of the one that leads to it.
    pub interface: usize,
    /// It learns its endpoints.
    pub learns: bool,
    /// Its endpoints.
    pub members: Vec<Member>,
}

/// An endpoint of a network.
pub struct Member {
    /// Inner address.
    pub address: IpAddr,
    /// Its MAC, by which frames that are not IP find it.
    pub mac: [u8; 6],
    /// Its logical port, in OVN's networks.
    pub ovn_port: u16,
    /// Where it is.
    pub place: Place,
}

/// Where an endpoint is.
pub enum Place {
    /// Nobody knows.
    Unknown,
    /// On the network's interface: in its VLAN, or as its port.
    Here,
    /// Behind a tunnel.
    Behind(Hop),
}

/// The way to the end of a tunnel.
pub struct Hop {
    /// The VTEP, or the other gateway.
    pub to: IpAddr,
    /// The gateway's address toward it.
    pub from: IpAddr,
    /// The tags of the VLAN subinterface that leads there.
    pub tags: Vec<Tag>,
    /// The kernel knows the neighbour.
    pub is_resolved: bool,
}

/// Who may reach what.
pub struct Mapping {
    /// From 1.
    pub number: u32,
    /// Its version.
    pub version: u32,
    /// Its identifier on the wire.
    pub label: Option<u32>,
    /// Index in [`Situation::networks`].
    pub source: usize,
    /// Index in [`Situation::networks`].
    pub destination: usize,
    /// What is granted.
    pub grants: Vec<Grant>,
}

/// What a mapping grants on one address of its destination network.
#[derive(Clone)]
pub struct Grant {
    /// The resource's address.
    pub address: IpAddr,
    /// Which traffic.
    pub traffic: Traffic,
    /// How much of it.
    pub level: Level,
}

/// Traffic that belongs to a resource.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Traffic {
    /// All of it.
    Any,
    /// ICMP and `ICMPv6`.
    Icmp,
    /// TCP to ports `first ..= last`; all, if none are given.
    Tcp(Option<(u16, u16)>),
    /// UDP to ports `first ..= last`; all, if none are given.
    Udp(Option<(u16, u16)>),
}

/// Access levels, from the strictest.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// Refused.
    None,
    /// Gets copies, sends nothing.
    Observe,
    /// The source opens flows.
    Connect,
    /// Either side opens flows.
    Full,
}

/// Whom an inner frame is from or for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Name {
    /// In IP, ARP and neighbour discovery.
    Ip(IpAddr),
    /// In everything else.
    Mac([u8; 6]),
}

impl From<Name> for Address {
    fn from(name: Name) -> Self {
        match name {
            Name::Ip(address) => address.into(),
            Name::Mac(mac) => Self::mac(mac),
        }
    }
}

impl Grant {
    /// The place among grants on the same address: fewer ports come before more, one protocol before all, the
    /// stricter level before the laxer.
    #[must_use]
    pub fn order(&self) -> (u32, bool, Level) {
        let ports = match self.traffic {
            Traffic::Tcp(Some((first, last))) | Traffic::Udp(Some((first, last))) => {
                u32::from(last) - u32::from(first) + 1
            }
            _ => 1 << 16,
        };
        (ports, self.traffic == Traffic::Any, self.level)
    }
}

impl Form {
    /// The tunnel and the VNI that say that a packet is from here, if any do.
    #[must_use]
    pub fn tunnel(&self) -> Option<(Tunnel, u32)> {
        match *self {
            Self::Vxlan(vni) => Some((Tunnel::Vxlan, vni)),
            Self::Group(vni, _) => Some((Tunnel::Group, vni)),
            Self::Geneve(vni) | Self::Ovn(vni, _) => Some((Tunnel::Geneve, vni)),
            Self::Vlan(_) | Self::Port | Self::Peer(_) => None,
        }
    }

    /// Frames on it are on an interface of the gateway, not in a tunnel.
    #[must_use]
    pub fn is_device(&self) -> bool {
        matches!(self, Self::Vlan(_) | Self::Port)
    }

    /// It is behind another gateway.
    #[must_use]
    pub fn is_peer(&self) -> bool {
        matches!(self, Self::Peer(_))
    }
}

impl Network {
    /// The endpoint of a name that somebody knows.
    #[must_use]
    pub fn member(&self, name: Name) -> Option<&Member> {
        self.members.iter().find(|member| match (&member.place, name) {
            (Place::Unknown, _) => false,
            (_, Name::Ip(address)) => member.address == address,
            (_, Name::Mac(mac)) => member.mac == mac,
        })
    }
}

impl Situation {
    /// The interface that leads to the network of an index.
    #[must_use]
    pub fn interface_of(&self, network: usize) -> &Interface {
        &self.interfaces[self.networks[network].interface]
    }

    /// What a mapping grants on the endpoint of a name. A MAC stands for the endpoint that has it.
    #[must_use]
    pub fn granted<'s>(&'s self, mapping: &'s Mapping, name: Name) -> Vec<&'s Grant> {
        let address = match name {
            Name::Ip(address) => Some(address),
            Name::Mac(_) => self.networks[mapping.destination].member(name).map(|member| member.address),
        };
        mapping.grants.iter().filter(|grant| Some(grant.address) == address).collect()
    }
}
