//! The ways that a frame may come and go: one network for each.
//!
//! ```text
//!                 ┌─ if 11, untagged and behind two VLAN subinterfaces ─┐         ┌─ if 12 ─┐
//!   west networks ┼─ if 13, a port ─────────────────────────────────────┼ gateway ┼─ if 14 ─┼ east networks
//!                 └─ if 15, a VLAN ─────────────────────────────────────┘         └─ if 16 ─┘
//! ```

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::frames::Tag;

/// Where a network is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Side {
    West,
    East,
}

impl Side {
    fn number(self) -> u8 {
        match self {
            Self::West => 1,
            Self::East => 2,
        }
    }

    /// The interface to the underlay.
    pub(crate) fn underlay(self) -> u32 {
        10 + u32::from(self.number())
    }

    /// The interface that is a network.
    pub(crate) fn port(self) -> u32 {
        12 + u32::from(self.number())
    }

    /// The interface on which a VLAN is a network.
    pub(crate) fn trunk(self) -> u32 {
        14 + u32::from(self.number())
    }
}

/// The family of an underlay.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Family {
    V4,
    V6,
}

impl Family {
    pub(crate) const ALL: [Self; 2] = [Self::V4, Self::V6];
}

/// How the frames of a network travel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Kind {
    Vxlan,
    /// With group policy, and the group kept.
    GroupKeep,
    /// With group policy, and [`GROUP`] set.
    GroupSet,
    Geneve,
    Ovn,
    /// Behind another gateway.
    Remote,
    Vlan,
    Port,
}

/// The group that is set.
pub(crate) const GROUP: u16 = 0x0a5c;

impl Kind {
    pub(crate) const ALL: [Self; 8] = [
        Self::Vxlan,
        Self::GroupKeep,
        Self::GroupSet,
        Self::Geneve,
        Self::Ovn,
        Self::Remote,
        Self::Vlan,
        Self::Port,
    ];

    pub(crate) fn is_tunnel(self) -> bool {
        !matches!(self, Self::Vlan | Self::Port)
    }

    pub(crate) fn is_geneve(self) -> bool {
        matches!(self, Self::Geneve | Self::Ovn | Self::Remote)
    }

    pub(crate) fn is_group(self) -> bool {
        matches!(self, Self::GroupKeep | Self::GroupSet)
    }

    pub(crate) fn port(self) -> u16 {
        match self {
            Self::Vxlan => 4789,
            Self::GroupKeep | Self::GroupSet => 4790,
            Self::Geneve | Self::Ovn | Self::Remote => 6081,
            Self::Vlan | Self::Port => panic!("{self:?} has no UDP port"),
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Vxlan => "vxlan",
            Self::GroupKeep => "group-keep",
            Self::GroupSet => "group-set",
            Self::Geneve => "geneve",
            Self::Ovn => "ovn",
            Self::Remote => "remote",
            Self::Vlan => "vlan",
            Self::Port => "port",
        }
    }
}

/// A network. VLANs and ports have neither family nor tags: theirs say IPv4 and 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Way {
    pub(crate) side: Side,
    pub(crate) kind: Kind,
    pub(crate) family: Family,
    /// How many tags the underlay puts in front: 0 to 2.
    pub(crate) tags: u8,
}

impl Way {
    /// Every way of one side.
    pub(crate) fn all(side: Side) -> Vec<Self> {
        let mut ways = Vec::new();
        for kind in Kind::ALL {
            if !kind.is_tunnel() {
                ways.push(Self { side, kind, family: Family::V4, tags: 0 });
                continue;
            }
            for family in Family::ALL {
                ways.extend((0..3).map(|tags| Self { side, kind, family, tags }));
            }
        }
        ways
    }

    /// Its place among all of its side, from 1.
    pub(crate) fn index(self) -> u8 {
        let place = self.kind as u8 * 6 + u8::from(self.family == Family::V6) * 3 + self.tags;
        place + 1
    }

    /// The network's name: `west-vxlan4-tags1`.
    pub(crate) fn name(self) -> String {
        let side = if self.side == Side::West { "west" } else { "east" };
        if !self.kind.is_tunnel() {
            return format!("{side}-{}", self.kind.name());
        }
        let family = if self.family == Family::V4 { 4 } else { 6 };
        format!("{side}-{}{family}-tags{}", self.kind.name(), self.tags)
    }

    /// VNI or VLAN identifier. One number means as many networks as there are encapsulations.
    pub(crate) fn number(self) -> u32 {
        let side = u32::from(self.side.number());
        match self.kind {
            Kind::Vlan => 300 + side,
            Kind::Port => panic!("a port has no number"),
            // Two networks with group policy, and a remote one beside a plain one, must differ.
            Kind::GroupSet | Kind::Remote => 2000 + side * 100 + u32::from(self.index() % 6),
            _ => 1000 + side * 100 + u32::from(self.index() % 6),
        }
    }

    /// The interface that its frames use.
    pub(crate) fn interface(self) -> u32 {
        match self.kind {
            Kind::Vlan => self.side.trunk(),
            Kind::Port => self.side.port(),
            _ => self.side.underlay(),
        }
    }

    /// The tags of the underlay.
    pub(crate) fn underlay_tags(self) -> Vec<Tag> {
        let side = u16::from(self.side.number());
        match self.tags {
            0 => vec![],
            1 => vec![Tag::customer(100 + side)],
            _ => vec![Tag::service(200 + side), Tag::customer(100 + side)],
        }
    }

    /// The tunnel endpoint or the other gateway.
    pub(crate) fn vtep(self) -> IpAddr {
        self.underlay_address(self.index())
    }

    /// The gateway's own address toward it.
    pub(crate) fn gateway(self) -> IpAddr {
        self.underlay_address(250 + self.tags)
    }

    fn underlay_address(self, last: u8) -> IpAddr {
        let side = self.side.number();
        match self.family {
            Family::V4 => Ipv4Addr::new(192, 0, side, last).into(),
            Family::V6 => {
                Ipv6Addr::new(0x2001, 0xdb8, side.into(), 0x1234, 0x5678, 0, 0x9abc, last.into()).into()
            }
        }
    }

    /// The MAC behind which the tunnel endpoint is.
    pub(crate) fn vtep_mac(self) -> [u8; 6] {
        [0x02, 0xee, self.side.number(), 0, 0, self.index()]
    }

    /// The inner address, of this family, of the network's only machine.
    pub(crate) fn endpoint(self, family: Family) -> IpAddr {
        let (side, index) = (self.side.number(), self.index());
        match family {
            Family::V4 => Ipv4Addr::new(10, side, index, 10).into(),
            Family::V6 => Ipv6Addr::new(0xfd00, side.into(), index.into(), 0, 0, 0, 0, 0x10).into(),
        }
    }

    /// The MAC of the machine that has both addresses.
    pub(crate) fn endpoint_mac(self) -> [u8; 6] {
        [0x02, 0xaa, self.side.number(), 0, self.index(), 1]
    }

    /// Its logical port in OVN.
    pub(crate) fn endpoint_port(self) -> u16 {
        0x7000 | u16::from(self.index())
    }

    /// The logical port by which the gateway sends into an OVN network.
    pub(crate) fn ovn_ingress(self) -> u16 {
        0x7f00 | u16::from(self.index())
    }
}

/// The gateway's MAC on an interface.
pub(crate) fn gateway_mac(ifindex: u32) -> [u8; 6] {
    [0x02, 0x1d, 0, 0, 0, u8::try_from(ifindex).unwrap()]
}
