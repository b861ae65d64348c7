//! A row: what comes in, by which way, and where it is meant to go.

use crate::frames::geneve::{self, Geneve, Travel};
use crate::frames::{Checksum, Outer, Tag};
use crate::inner::Inner;
use crate::way::{Kind, Side, Way, gateway_mac};

/// How a packet says what it belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Carry {
    /// As the network's own do.
    Own,
    /// With the mapping's label: the VNI in VXLAN, the identifier option in Geneve.
    Label,
}

/// What the sender wrote into the UDP checksum.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Sum {
    None,
    Right,
    Wrong,
}

impl Sum {
    pub(crate) const ALL: [Self; 3] = [Self::None, Self::Right, Self::Wrong];

    fn checksum(self) -> Checksum {
        match self {
            Self::None => Checksum::Absent,
            Self::Right => Checksum::Right,
            Self::Wrong => Checksum::Wrong(0x1234),
        }
    }
}

/// A frame on its way into the gateway, or out of it.
#[derive(Clone, Debug)]
pub(crate) enum Packet {
    Tunnel(Box<Outer>),
    Vlan { tag: Tag, inner: Vec<u8> },
    Port { inner: Vec<u8> },
}

impl Packet {
    pub(crate) fn build(&self) -> Vec<u8> {
        match self {
            Self::Tunnel(outer) => outer.build(),
            Self::Vlan { tag, inner } => Tag::put(&[*tag], inner),
            Self::Port { inner } => inner.clone(),
        }
    }

    pub(crate) fn inner(&self) -> &[u8] {
        match self {
            Self::Tunnel(outer) => &outer.inner,
            Self::Vlan { inner, .. } | Self::Port { inner } => inner,
        }
    }
}

/// One row.
#[derive(Clone, Debug)]
pub(crate) struct Row {
    pub(crate) from: Way,
    pub(crate) to: Way,
    pub(crate) carry: Carry,
    pub(crate) inner: Inner,
    /// `None` where there is no UDP.
    pub(crate) sum: Option<Sum>,
    /// What else is special about it.
    pub(crate) note: String,
    pub(crate) packet: Packet,
}

impl Row {
    /// As a sender would make it.
    pub(crate) fn new(from: Way, to: Way, carry: Carry, inner: Inner, sum: Sum) -> Self {
        let salt = u16::from(from.index()) * 53 + u16::from(to.index());
        let frame = inner.frame(from, to, salt);
        let packet = arriving(from, to, carry, sum, frame);
        let sum = from.kind.is_tunnel().then_some(sum);
        Self { from, to, carry, inner, sum, note: String::new(), packet }
    }

    /// The same with something changed.
    pub(crate) fn with(mut self, note: &str, edit: impl FnOnce(&mut Outer)) -> Self {
        let Packet::Tunnel(outer) = &mut self.packet else { panic!("{note}: no tunnel packet") };
        edit(outer);
        note.clone_into(&mut self.note);
        self
    }

    /// The same with this DSCP and ECN in the inner header.
    pub(crate) fn marked(mut self, class: u8) -> Self {
        let marked = self.inner.marked(self.from, self.to, 1, class);
        match &mut self.packet {
            Packet::Tunnel(outer) => outer.inner = marked,
            Packet::Vlan { inner, .. } | Packet::Port { inner } => *inner = marked,
        }
        self
    }

    pub(crate) fn name(&self) -> String {
        let (from, to) = (self.from.name(), self.to.name());
        format!("{from} → {to}, {:?}, {:?}, checksum {:?} {}", self.carry, self.inner, self.sum, self.note)
    }

    /// Which way the packet travels in the mapping of its two networks, whose source is in the west.
    pub(crate) fn travel(&self) -> Travel {
        if self.from.side == Side::West { Travel::Forward } else { Travel::Return }
    }
}

/// The label of the mapping between two networks.
pub(crate) fn label(from: Way, to: Way) -> u32 {
    let (west, east) = if from.side == Side::West { (from, to) } else { (to, from) };
    0x00f0_0000 + u32::from(west.index()) * 0x100 + u32::from(east.index())
}

fn arriving(from: Way, to: Way, carry: Carry, sum: Sum, inner: Vec<u8>) -> Packet {
    match from.kind {
        Kind::Vlan => {
            // Who sends may ask for a priority.
            let vid = u16::try_from(from.number()).unwrap();
            Packet::Vlan { tag: Tag { priority: 0x0b, ..Tag::customer(vid) }, inner }
        }
        Kind::Port => Packet::Port { inner },
        _ => Packet::Tunnel(Box::new(tunnel(from, to, carry, sum, inner))),
    }
}

fn tunnel(from: Way, to: Way, carry: Carry, sum: Sum, inner: Vec<u8>) -> Outer {
    let priority = |tag: Tag| Tag { priority: 0x05, ..tag };
    let label = label(from, to);
    let identifier = || geneve::identifier(label, Travel::Forward, 0x0102_0304);
    let (vni, options) = match (from.kind, carry) {
        (Kind::Vxlan | Kind::GroupKeep | Kind::GroupSet, Carry::Own) => (from.number(), None),
        (Kind::Vxlan | Kind::GroupKeep | Kind::GroupSet, Carry::Label) => (label, None),
        (Kind::Geneve, Carry::Own) => (from.number(), Some(Geneve::plain())),
        (Kind::Ovn, Carry::Own) => (from.number(), Some(Geneve::with(&[geneve::ovn(0x1234, 0x4321)]))),
        // The identifier alone decides: the VNI is another network's.
        (Kind::Geneve | Kind::Ovn, Carry::Label) => (from.number() + 1, Some(Geneve::with(&[identifier()]))),
        (Kind::Remote, _) => (label, Some(Geneve::with(&[identifier()]))),
        (Kind::Vlan | Kind::Port, _) => panic!("{from:?} is no tunnel"),
    };
    Outer {
        destination_mac: gateway_mac(from.interface()),
        source_mac: from.vtep_mac(),
        tags: from.underlay_tags().into_iter().map(priority).collect(),
        dscp: 10,
        ecn: 2,
        identification: 0xbeef,
        flow_label: 0xf_00d5,
        ttl: 61,
        destination_port: from.kind.port(),
        udp_checksum: sum.checksum(),
        // With group policy: the group, and A.
        vxlan_flags: if from.kind.is_group() { 0x88 } else { 0x08 },
        vxlan_reserved: if from.kind.is_group() { [0x08, 0x77, 0x66] } else { [0; 3] },
        vni,
        geneve: options,
        ..Outer::blank(from.vtep(), from.gateway(), inner)
    }
}
