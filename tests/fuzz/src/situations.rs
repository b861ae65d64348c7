//! The situations that frames are thrown at: every form of the one network with every form of the other, over
//! both IP versions, behind VLAN subinterfaces and not, with identifiers and without, each with every twist.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::model::{
    Form, Grant, Hop, Interface, Level, Mapping, Member, Network, Place, Situation, Tag, Traffic, Tunnel,
};

/// VNI of the network that asks.
pub const RED: u32 = 42;
/// VNI of the network that is asked.
pub const BLUE: u32 = 77;
/// Their VLAN identifiers.
pub const VLANS: [u16; 2] = [100, 200];
/// Their logical ports, and those of their endpoints from there on.
pub const OVN_PORTS: [u16; 2] = [0x7001, 3];
/// The first mapping's label.
pub const LABEL: u32 = 0x00f0_0001;
/// Labels in VXLAN.
pub const LABELS: (u32, u32) = (0x00f0_0000, 0x00ff_ffff);
/// The group that one form sets.
pub const GROUP: u16 = 0x1234;
/// Where tunnels end at the gateway, in the west and in the east: its addresses, and those of its subinterfaces.
pub const GATEWAYS: [[Ipv4Addr; 2]; 2] = [
    [Ipv4Addr::new(192, 0, 2, 254), Ipv4Addr::new(192, 0, 2, 253)],
    [Ipv4Addr::new(198, 51, 100, 254), Ipv4Addr::new(198, 51, 100, 253)],
];
/// The same in IPv6.
pub const GATEWAYS_V6: [[Ipv6Addr; 2]; 2] = [
    [Ipv6Addr::new(0x2001, 0xdb8, 1, 0, 0, 0, 0, 0xfe), Ipv6Addr::new(0x2001, 0xdb8, 1, 0, 0, 0, 0, 0xfd)],
    [Ipv6Addr::new(0x2001, 0xdb8, 2, 0, 0, 0, 0, 0xfe), Ipv6Addr::new(0x2001, 0xdb8, 2, 0, 0, 0, 0, 0xfd)],
];
/// VTEPs of the endpoints in red and blue.
pub const VTEPS: [Ipv4Addr; 2] = [Ipv4Addr::new(192, 0, 2, 1), Ipv4Addr::new(198, 51, 100, 20)];
/// The same in IPv6.
pub const VTEPS_V6: [Ipv6Addr; 2] =
    [Ipv6Addr::new(0x2001, 0xdb8, 1, 0, 0, 0, 0, 1), Ipv6Addr::new(0x2001, 0xdb8, 2, 0, 0, 0, 0, 0x20)];
/// Other gateways.
pub const PEERS: [Ipv4Addr; 2] = [Ipv4Addr::new(192, 0, 2, 200), Ipv4Addr::new(198, 51, 100, 200)];
/// The same gateways in IPv6.
pub const PEERS_V6: [Ipv6Addr; 2] =
    [Ipv6Addr::new(0x2001, 0xdb8, 1, 0, 0, 0, 0, 0x200), Ipv6Addr::new(0x2001, 0xdb8, 2, 0, 0, 0, 0, 0x200)];
/// IPv4 endpoints in red and blue.
pub const V4: [[Ipv4Addr; 2]; 2] = [
    [Ipv4Addr::new(10, 0, 0, 1), Ipv4Addr::new(10, 0, 0, 2)],
    [Ipv4Addr::new(10, 1, 0, 20), Ipv4Addr::new(10, 1, 0, 21)],
];
/// The IPv6 endpoints in red and blue.
pub const V6: [Ipv6Addr; 2] =
    [Ipv6Addr::new(0xfd00, 0, 0, 0, 0, 0, 0, 1), Ipv6Addr::new(0xfd01, 0, 0, 0, 0, 0, 0, 0x20)];
/// VXLAN ports: the IANA's, and Linux' old one, which carries group policy where a network has it.
pub const VXLAN_PORTS: [u16; 2] = [4789, 8472];
/// Geneve ports: the IANA's, and one that a network declares.
pub const GENEVE_PORTS: [u16; 2] = [6081, 6082];
/// Tags of the VLAN subinterfaces.
pub const TAGS: [Tag; 3] =
    [Tag { is_service: false, id: 30 }, Tag { is_service: true, id: 40 }, Tag { is_service: false, id: 41 }];

/// What makes a situation more than two networks and the rules between them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Twist {
    BothWays,
    NoMappings,
    OneWay,
    SeveralRules,
    SmallMtu,
    TinyMtu,
    OneInterface,
    Unresolved,
    NoDevice,
    UnknownEndpoint,
    Learning,
    TwoUnderlays,
    SameNumber,
    NothingShared,
}

const TWISTS: [Twist; 14] = [
    Twist::BothWays,
    Twist::NoMappings,
    Twist::OneWay,
    Twist::SeveralRules,
    Twist::SmallMtu,
    Twist::TinyMtu,
    Twist::OneInterface,
    Twist::Unresolved,
    Twist::NoDevice,
    Twist::UnknownEndpoint,
    Twist::Learning,
    Twist::TwoUnderlays,
    Twist::SameNumber,
    Twist::NothingShared,
];

/// How the forms are called, in the order of their numbers.
const FORMS: [&str; 8] = ["VXLAN", "group kept", "group set", "Geneve", "OVN", "VLAN", "port", "peer"];

/// What a situation's number says.
struct Choice {
    forms: [usize; 2],
    is_v6: [bool; 2],
    tags: [usize; 2],
    labels: bool,
    twist: Twist,
}

impl Choice {
    /// Reads a number digit by digit; the order of the digits is part of the targets' input.
    fn read(number: u16) -> Self {
        let mut rest = usize::from(number);
        let mut digit = |of: usize| {
            let digit = rest % of;
            rest /= of;
            digit
        };
        Self {
            forms: [digit(8), digit(8)],
            is_v6: [digit(2) == 1, digit(2) == 1],
            tags: [digit(3), digit(3)],
            labels: digit(2) == 1,
            twist: TWISTS[digit(TWISTS.len())],
        }
    }

    fn name(&self) -> String {
        let side = |side: usize| {
            let version = if self.is_v6[side] { 6 } else { 4 };
            format!("{} (IPv{version}, {} tags)", FORMS[self.forms[side]], self.tags[side])
        };
        let labels = if self.labels { ", labels" } else { "" };
        format!("{} to {}{labels}, {:?}", side(0), side(1), self.twist)
    }

    fn is(&self, any: &[Twist]) -> bool {
        any.contains(&self.twist)
    }

    fn underlays(&self) -> [u8; 2] {
        if self.is(&[Twist::TwoUnderlays, Twist::NothingShared]) { [1, 2] } else { [1, 1] }
    }

    /// A number for both networks, or one each, where one for both would make them the same network.
    fn numbers<T: Copy>(&self, numbers: [T; 2]) -> [T; 2] {
        let are_apart = self.underlays() == [1, 2];
        // Setting a group or not is no difference that a packet shows.
        let kinds = self.forms.map(|form| if form == 2 { 1 } else { form });
        if are_apart || self.twist == Twist::SameNumber && kinds[0] != kinds[1] {
            [numbers[0]; 2]
        } else {
            numbers
        }
    }

    fn form(&self, side: usize) -> Form {
        let vni = self.numbers([RED, BLUE])[side];
        match self.forms[side] {
            0 => Form::Vxlan(vni),
            1 => Form::Group(vni, None),
            2 => Form::Group(vni, Some(GROUP)),
            3 => Form::Geneve(vni),
            4 => Form::Ovn(vni, OVN_PORTS[side]),
            5 => Form::Vlan(self.numbers(VLANS)[side]),
            6 => Form::Port,
            _ => Form::Peer(vec![PEERS[side].into(), PEERS_V6[side].into()]),
        }
    }

    fn has_group(&self) -> bool {
        self.forms.iter().any(|form| matches!(form, 1 | 2))
    }

    fn interface(&self, side: usize) -> Interface {
        let second = if self.has_group() { Tunnel::Group } else { Tunnel::Vxlan };
        let mtus = match self.twist {
            Twist::SmallMtu => [64, 110],
            Twist::TinyMtu => [100, 40],
            _ => [1500, 1500],
        };
        let low = [5, 6][side];
        Interface {
            index: u32::from(low),
            underlay: self.underlays()[side],
            v4: GATEWAYS[side].to_vec(),
            v6: GATEWAYS_V6[side].to_vec(),
            stacks: vec![stack(1), stack(2)],
            mac: [2, 0, 0, 0, 0, low],
            mtu: mtus[side],
            ports: vec![
                (VXLAN_PORTS[0], Tunnel::Vxlan),
                (VXLAN_PORTS[1], second),
                (GENEVE_PORTS[0], Tunnel::Geneve),
                (GENEVE_PORTS[1], Tunnel::Geneve),
            ],
            is_egress: !(self.twist == Twist::NoDevice && side == 1),
        }
    }

    fn network(&self, side: usize) -> Network {
        let form = self.form(side);
        let port = match form {
            Form::Vxlan(_) if self.has_group() => VXLAN_PORTS[0],
            Form::Vxlan(_) => VXLAN_PORTS[side],
            Form::Group(..) => VXLAN_PORTS[1],
            Form::Geneve(_) | Form::Ovn(..) => GENEVE_PORTS[side],
            Form::Peer(_) => GENEVE_PORTS[0],
            Form::Vlan(_) | Form::Port => 0,
        };
        // A port belongs to one network only.
        let shares = self.twist == Twist::OneInterface && !self.forms.contains(&6);
        let interface = if shares { 0 } else { side };
        Network {
            port,
            interface,
            learns: self.is(&[Twist::Learning, Twist::NothingShared]) && !form.is_peer(),
            members: (0..3).map(|index| self.member(side, index, interface, &form)).collect(),
            form,
        }
    }

    fn member(&self, side: usize, index: u16, interface: usize, form: &Form) -> Member {
        let address = match index {
            2 => V6[side].into(),
            _ => V4[side][usize::from(index)].into(),
        };
        let is_unknown = self.twist == Twist::UnknownEndpoint && side == 1 && index == 0;
        let place = match form {
            _ if is_unknown => Place::Unknown,
            Form::Vlan(_) | Form::Port => Place::Here,
            _ => Place::Behind(self.hop(side, index, interface, form.is_peer())),
        };
        Member { address, mac: inner_mac(side, index), ovn_port: OVN_PORTS[side] + 1 + index, place }
    }

    /// The last endpoint is reached over the other IP version, and not through a VLAN subinterface.
    fn hop(&self, side: usize, index: u16, interface: usize, is_peer: bool) -> Hop {
        let is_v6 = self.is_v6[side] != (index == 2);
        let tags = if index == 2 { 0 } else { self.tags[side] };
        let own = usize::from(tags > 0);
        let (v4, v6) = if is_peer { (PEERS[side], PEERS_V6[side]) } else { (VTEPS[side], VTEPS_V6[side]) };
        // The second endpoint is a machine of its own.
        let further = u32::from(index == 1 && !is_peer);
        let (to, from): (IpAddr, IpAddr) = if is_v6 {
            (
                Ipv6Addr::from_bits(v6.to_bits() + u128::from(further)).into(),
                GATEWAYS_V6[interface][own].into(),
            )
        } else {
            (Ipv4Addr::from_bits(v4.to_bits() + further).into(), GATEWAYS[interface][own].into())
        };
        let is_resolved = !(self.twist == Twist::Unresolved && index == 0);
        Hop { to, from, tags: stack(tags), is_resolved }
    }

    fn mappings(&self) -> Vec<Mapping> {
        let needs_label = self.labels || self.forms.contains(&7);
        let mapping = |index: u32, source: usize, grants: Vec<Grant>| Mapping {
            number: index + 1,
            version: 0x0102_0304 + index,
            label: needs_label.then_some(LABEL + index),
            source,
            destination: 1 - source,
            grants,
        };
        match self.twist {
            Twist::NoMappings => Vec::new(),
            Twist::OneWay => vec![mapping(0, 0, one_way())],
            Twist::SeveralRules => vec![mapping(0, 0, strict()), mapping(1, 0, lax())],
            _ => vec![mapping(0, 0, there()), mapping(1, 1, back())],
        }
    }
}

/// How many situations there are with each twist; those of the first one come first.
pub const UNTWISTED: u16 = 8 * 8 * 2 * 2 * 3 * 3 * 2;

/// How many situations there are.
#[expect(clippy::cast_possible_truncation, reason = "64,512")]
pub const SITUATIONS: u16 = UNTWISTED * TWISTS.len() as u16;

/// The situation of a number.
#[must_use]
pub fn situation(number: u16) -> Situation {
    let choice = Choice::read(number % SITUATIONS);
    Situation {
        name: choice.name(),
        labels: choice.labels.then_some(LABELS),
        interfaces: vec![choice.interface(0), choice.interface(1)],
        networks: vec![choice.network(0), choice.network(1)],
        mappings: choice.mappings(),
    }
}

/// The tags of the subinterface with so many of them.
#[must_use]
pub fn stack(tags: usize) -> Vec<Tag> {
    match tags {
        0 => Vec::new(),
        1 => vec![TAGS[0]],
        _ => TAGS[1..].to_vec(),
    }
}

/// An endpoint's MAC.
#[must_use]
pub const fn inner_mac(side: usize, index: u16) -> [u8; 6] {
    let [_, low] = index.to_be_bytes();
    [0x0a, 0, 0, 0, if side == 0 { 1 } else { 2 }, low + 1]
}

fn grant(address: impl Into<IpAddr>, traffic: Traffic, level: Level) -> Grant {
    Grant { address: address.into(), traffic, level }
}

/// Blue for red: TCP port 80 and UDP ports 50 to 59.
fn one_way() -> Vec<Grant> {
    vec![
        grant(V4[1][0], Traffic::Tcp(Some((80, 80))), Level::Connect),
        grant(V4[1][0], Traffic::Udp(Some((50, 59))), Level::Connect),
        grant(V6[1], Traffic::Tcp(Some((80, 80))), Level::Connect),
    ]
}

/// More of blue for red.
fn there() -> Vec<Grant> {
    let more = [
        grant(V4[1][1], Traffic::Any, Level::Connect),
        grant(V4[1][1], Traffic::Icmp, Level::Full),
        grant(V6[1], Traffic::Icmp, Level::Connect),
    ];
    one_way().into_iter().chain(more).collect()
}

/// Red for blue.
fn back() -> Vec<Grant> {
    vec![
        grant(V4[0][0], Traffic::Any, Level::Full),
        grant(V4[0][1], Traffic::Tcp(None), Level::Connect),
        grant(V6[0], Traffic::Udp(Some((80, 80))), Level::Full),
    ]
}

/// Several rules on an address …
fn strict() -> Vec<Grant> {
    vec![
        grant(V4[1][0], Traffic::Any, Level::Observe),
        grant(V4[1][0], Traffic::Tcp(None), Level::Connect),
        grant(V4[1][0], Traffic::Tcp(Some((1, 1023))), Level::None),
        grant(V4[1][0], Traffic::Tcp(Some((80, 80))), Level::Full),
        grant(V4[1][1], Traffic::Any, Level::None),
        grant(V6[1], Traffic::Icmp, Level::Observe),
    ]
}

/// … and those of a second mapping with it.
fn lax() -> Vec<Grant> {
    vec![
        grant(V4[1][0], Traffic::Udp(None), Level::Connect),
        grant(V4[1][0], Traffic::Icmp, Level::Full),
        grant(V6[1], Traffic::Udp(Some((50, 65535))), Level::Connect),
        grant(V6[1], Traffic::Any, Level::Connect),
    ]
}
