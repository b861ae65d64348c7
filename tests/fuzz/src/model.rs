//! What a gateway is told, in the words of the declarations, and the fixed situations that frames are thrown at.
//!
//! [`crate::tables`] writes it into the pipeline's tables; [`crate::oracle`] decides from it directly.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// A gateway and the federation that it serves.
pub struct Situation {
    /// What is special about it.
    pub name: &'static str,
    /// Smallest and largest label, if identifiers are in use.
    pub labels: Option<(u32, u32)>,
    /// The gateway's interfaces.
    pub interfaces: Vec<Interface>,
    /// The declared networks.
    pub networks: Vec<Network>,
    /// Who may reach what.
    pub mappings: Vec<Mapping>,
}

/// One of the gateway's interfaces.
#[derive(Clone)]
pub struct Interface {
    /// Its index in the kernel.
    pub index: u32,
    /// Its underlay's number.
    pub underlay: u8,
    /// Its tunnel addresses.
    pub addresses: Vec<Ipv4Addr>,
    /// Its MAC.
    pub mac: [u8; 6],
    /// Largest IP packet that it takes, bytes.
    pub mtu: u32,
    /// UDP ports that tunnels come in by, and which tunnels.
    pub ports: Vec<(u16, Tunnel)>,
    /// Packets can be redirected to it.
    pub is_egress: bool,
}

/// How frames travel over an underlay.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Tunnel {
    /// RFC 7348.
    Vxlan,
    /// RFC 8926.
    Geneve,
}

/// A virtual network.
#[derive(Clone)]
pub struct Network {
    /// The underlay's number.
    pub underlay: u8,
    /// Which tunnels it uses.
    pub tunnel: Tunnel,
    /// Virtual network identifier.
    pub vni: u32,
    /// UDP destination port.
    pub port: u16,
    /// Index in [`Situation::interfaces`] of the one that leads to it.
    pub interface: usize,
    /// Its endpoints.
    pub members: Vec<Member>,
}

/// An endpoint of a network.
#[derive(Clone)]
pub struct Member {
    /// Inner address.
    pub address: IpAddr,
    /// Where its tunnel ends.
    pub vtep: Ipv4Addr,
    /// The kernel knows the way to it.
    pub is_resolved: bool,
}

/// Who may reach what.
pub struct Mapping {
    /// From 1.
    pub number: u32,
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

impl Network {
    /// The endpoint at an address.
    #[must_use]
    pub fn member(&self, address: IpAddr) -> Option<&Member> {
        self.members.iter().find(|member| member.address == address)
    }
}

impl Mapping {
    /// What is granted on an address.
    pub fn on(&self, address: IpAddr) -> impl Iterator<Item = &Grant> {
        self.grants.iter().filter(move |grant| grant.address == address)
    }
}

/// VNI of the network that asks.
pub const RED: u32 = 42;
/// VNI of the network that is asked.
pub const BLUE: u32 = 77;
/// The first mapping's label, where there are labels.
pub const LABEL: u32 = 0x00f0_0001;
/// Where tunnels end at the gateway: west, east, and east's second address.
pub const GATEWAYS: [Ipv4Addr; 3] =
    [Ipv4Addr::new(192, 0, 2, 254), Ipv4Addr::new(198, 51, 100, 254), Ipv4Addr::new(198, 51, 100, 253)];
/// VTEPs of the endpoints in red and blue.
pub const VTEPS: [Ipv4Addr; 2] = [Ipv4Addr::new(192, 0, 2, 1), Ipv4Addr::new(198, 51, 100, 20)];
/// IPv4 endpoints in red.
pub const RED_V4: [Ipv4Addr; 2] = [Ipv4Addr::new(10, 0, 0, 1), Ipv4Addr::new(10, 0, 0, 2)];
/// IPv4 endpoints in blue.
pub const BLUE_V4: [Ipv4Addr; 2] = [Ipv4Addr::new(10, 1, 0, 20), Ipv4Addr::new(10, 1, 0, 21)];
/// The IPv6 endpoint in red.
pub const RED_V6: Ipv6Addr = Ipv6Addr::new(0xfd00, 0, 0, 0, 0, 0, 0, 1);
/// The IPv6 endpoint in blue.
pub const BLUE_V6: Ipv6Addr = Ipv6Addr::new(0xfd01, 0, 0, 0, 0, 0, 0, 0x20);
/// VXLAN ports: the IANA's, and Linux' old one.
pub const PORTS: [u16; 2] = [4789, 8472];
/// Geneve ports: the IANA's, and one that a network declares.
pub const GENEVE_PORTS: [u16; 2] = [6081, 6082];

/// How many situations there are.
pub const SITUATIONS: u8 = 17;

/// All situations. The order is part of the targets' input: append only.
#[must_use]
pub fn situations() -> [Situation; SITUATIONS as usize] {
    use Tunnel::{Geneve, Vxlan};

    [
        Situation { mappings: Vec::new(), ..between("no mappings") },
        between("one mapping with ports, connect"),
        both_directions(),
        labels(),
        several_rules(),
        small_mtu(),
        hairpin(),
        Situation { name: "next hops unresolved", ..unresolved() },
        Situation { name: "no egress device", ..no_device() },
        Situation { interfaces: Vec::new(), ..between("no interfaces") },
        Situation { name: "VXLAN to Geneve", ..tunnels(both_directions(), [Vxlan, Geneve]) },
        Situation { name: "Geneve to VXLAN", ..tunnels(both_directions(), [Geneve, Vxlan]) },
        Situation { name: "Geneve to Geneve", ..tunnels(both_directions(), [Geneve; 2]) },
        Situation { name: "labels, VXLAN to Geneve", ..tunnels(labels(), [Vxlan, Geneve]) },
        Situation { name: "labels, Geneve to VXLAN", ..tunnels(labels(), [Geneve, Vxlan]) },
        Situation { name: "labels, Geneve to Geneve", ..tunnels(labels(), [Geneve; 2]) },
        geneve_mtu(),
    ]
}

fn interface(index: u32, addresses: &[Ipv4Addr]) -> Interface {
    let [.., low] = index.to_be_bytes();
    Interface {
        index,
        underlay: 1,
        addresses: addresses.to_vec(),
        mac: [2, 0, 0, 0, 0, low],
        mtu: 1500,
        ports: PORTS.map(|port| (port, Tunnel::Vxlan)).to_vec(),
        is_egress: true,
    }
}

fn members(v4: [Ipv4Addr; 2], v6: Ipv6Addr, vtep: Ipv4Addr) -> Vec<Member> {
    let other = Ipv4Addr::from_bits(vtep.to_bits() + 1);
    [(v4[0].into(), vtep), (v4[1].into(), other), (v6.into(), vtep)]
        .map(|(address, vtep): (IpAddr, _)| Member { address, vtep, is_resolved: true })
        .to_vec()
}

fn grant(address: impl Into<IpAddr>, traffic: Traffic, level: Level) -> Grant {
    Grant { address: address.into(), traffic, level }
}

/// Red in the west asks blue in the east for TCP port 80 and UDP ports 50 to 59.
fn between(name: &'static str) -> Situation {
    let red = Network {
        underlay: 1,
        tunnel: Tunnel::Vxlan,
        vni: RED,
        port: PORTS[0],
        interface: 0,
        members: members(RED_V4, RED_V6, VTEPS[0]),
    };
    let blue = Network {
        underlay: 1,
        tunnel: Tunnel::Vxlan,
        vni: BLUE,
        port: PORTS[1],
        interface: 1,
        members: members(BLUE_V4, BLUE_V6, VTEPS[1]),
    };
    let grants = vec![
        grant(BLUE_V4[0], Traffic::Tcp(Some((80, 80))), Level::Connect),
        grant(BLUE_V4[0], Traffic::Udp(Some((50, 59))), Level::Connect),
        grant(BLUE_V6, Traffic::Tcp(Some((80, 80))), Level::Connect),
    ];
    Situation {
        name,
        labels: None,
        interfaces: vec![interface(5, &GATEWAYS[..1]), interface(6, &GATEWAYS[1..])],
        networks: vec![red, blue],
        mappings: vec![Mapping { number: 1, label: None, source: 0, destination: 1, grants }],
    }
}

fn both_directions() -> Situation {
    let mut situation = between("mappings in both directions");
    situation.mappings[0].grants.extend([
        grant(BLUE_V4[1], Traffic::Any, Level::Connect),
        grant(BLUE_V6, Traffic::Icmp, Level::Connect),
    ]);
    let grants = vec![
        grant(RED_V4[0], Traffic::Any, Level::Full),
        grant(RED_V4[1], Traffic::Tcp(None), Level::Connect),
        grant(RED_V6, Traffic::Udp(Some((80, 80))), Level::Full),
    ];
    situation.mappings.push(Mapping { number: 2, label: None, source: 1, destination: 0, grants });
    situation
}

/// Two underlays on which the networks have the same VNI; the second mapping goes back.
fn labels() -> Situation {
    let mut situation = between("labels over two underlays");
    situation.labels = Some((0x00f0_0000, 0x00ff_ffff));
    situation.interfaces[1].underlay = 2;
    situation.networks[1].underlay = 2;
    situation.networks[1].vni = RED;
    situation.mappings[0].label = Some(LABEL);
    situation.mappings[0].grants.push(grant(BLUE_V4[1], Traffic::Icmp, Level::Full));
    let grants =
        vec![grant(RED_V4[0], Traffic::Any, Level::Connect), grant(RED_V6, Traffic::Any, Level::Full)];
    situation.mappings.push(Mapping { number: 2, label: Some(LABEL + 1), source: 1, destination: 0, grants });
    situation
}

fn several_rules() -> Situation {
    let mut situation = between("several rules on an address, of two mappings");
    situation.mappings[0].grants = vec![
        grant(BLUE_V4[0], Traffic::Any, Level::Observe),
        grant(BLUE_V4[0], Traffic::Tcp(None), Level::Connect),
        grant(BLUE_V4[0], Traffic::Tcp(Some((1, 1023))), Level::None),
        grant(BLUE_V4[0], Traffic::Tcp(Some((80, 80))), Level::Full),
        grant(BLUE_V4[1], Traffic::Any, Level::None),
        grant(BLUE_V6, Traffic::Icmp, Level::Observe),
    ];
    let grants = vec![
        grant(BLUE_V4[0], Traffic::Udp(None), Level::Connect),
        grant(BLUE_V4[0], Traffic::Icmp, Level::Full),
        grant(BLUE_V6, Traffic::Udp(Some((50, 65535))), Level::Connect),
        grant(BLUE_V6, Traffic::Any, Level::Connect),
    ];
    situation.mappings.push(Mapping { number: 2, label: None, source: 0, destination: 1, grants });
    situation
}

fn small_mtu() -> Situation {
    let mut situation = both_directions();
    situation.name = "small MTU";
    // Sound outer packets have 64 bytes and more.
    (situation.interfaces[0].mtu, situation.interfaces[1].mtu) = (64, 110);
    situation
}

fn hairpin() -> Situation {
    let mut situation = both_directions();
    situation.name = "both networks behind one interface";
    situation.networks[1].interface = 0;
    situation
}

fn unresolved() -> Situation {
    let mut situation = both_directions();
    for network in &mut situation.networks {
        network.members[0].is_resolved = false;
    }
    situation
}

fn no_device() -> Situation {
    let mut situation = both_directions();
    situation.interfaces[1].is_egress = false;
    situation
}

/// The same with other tunnels. Between different kinds both networks have the same VNI, which does not make them one.
fn tunnels(mut situation: Situation, tunnels: [Tunnel; 2]) -> Situation {
    for interface in &mut situation.interfaces {
        interface.ports.extend(GENEVE_PORTS.map(|port| (port, Tunnel::Geneve)));
    }
    for (index, (network, tunnel)) in situation.networks.iter_mut().zip(tunnels).enumerate() {
        if tunnel == Tunnel::Geneve {
            (network.tunnel, network.port) = (tunnel, GENEVE_PORTS[index]);
        }
    }
    if tunnels[0] != tunnels[1] {
        situation.networks[1].vni = RED;
    }
    situation
}

/// What fits an interface depends on which options go on.
fn geneve_mtu() -> Situation {
    let mut situation = tunnels(labels(), [Tunnel::Geneve; 2]);
    situation.name = "labels, Geneve to Geneve, small MTU";
    (situation.interfaces[0].mtu, situation.interfaces[1].mtu) = (100, 120);
    situation
}
