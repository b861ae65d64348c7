//! What the tables should hold, before anything has a number.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use isthmus_common::address::Address;
use isthmus_common::encapsulation::Encapsulation;
use isthmus_common::id::{Label, LabelRange};
use isthmus_common::scope::{Scope, Underlay};
use isthmus_common::tables::{TUNNEL_PORTS, TargetKey};
use isthmus_common::wire::Vxlan;
use uuid::Uuid;

use crate::model::{AccessLevel, ObjectRef, PortRange, Protocol};

/// The wanted contents of the tables.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    /// VNIs that are labels.
    pub label_range: LabelRange,
    /// Tunnel ports to listen on.
    pub ports: BTreeMap<u16, Encapsulation>,
    /// VLANs that are networks, by the interface they are on.
    pub vlans: BTreeMap<u32, BTreeSet<u16>>,
    /// The underlay of the network whose port an interface is, by interface.
    pub port_networks: BTreeMap<u32, Underlay>,
    /// Mappings in force, and what is stamped for them.
    pub mappings: BTreeMap<Uuid, PlannedStamp>,
    /// Known scopes.
    pub scopes: BTreeMap<Scope, PlannedScope>,
    /// Where packets go.
    pub targets: BTreeMap<TargetKey, PlannedTarget>,
    /// MACs that would mean two things: nobody's.
    pub ambiguous_macs: BTreeSet<TargetKey>,
    /// Rules on return packets.
    pub policies: BTreeMap<(Peer, Address), Vec<PlannedRule>>,
    /// Objects that are not in force.
    pub refused: Vec<Refused>,
}

impl Plan {
    /// Nothing in force.
    #[must_use]
    pub const fn empty(label_range: LabelRange) -> Self {
        Self {
            label_range,
            ports: BTreeMap::new(),
            vlans: BTreeMap::new(),
            port_networks: BTreeMap::new(),
            mappings: BTreeMap::new(),
            scopes: BTreeMap::new(),
            targets: BTreeMap::new(),
            ambiguous_macs: BTreeSet::new(),
            policies: BTreeMap::new(),
            refused: Vec::new(),
        }
    }

    /// What interfaces listen on: the networks' ports, and VXLAN's own where there is room, so that
    /// labels are understood before any network is declared.
    #[must_use]
    pub fn tunnel_ports(&self) -> Vec<(u16, Encapsulation)> {
        let mut ports = self.ports.clone();
        if ports.len() < TUNNEL_PORTS {
            ports.entry(Vxlan::PORT).or_insert(Encapsulation::Vxlan);
        }
        ports.into_iter().collect()
    }

    /// The ways that targets name.
    #[must_use]
    pub fn ways(&self) -> BTreeSet<&Way> {
        self.targets.values().filter_map(|target| target.way.as_ref()).collect()
    }
}

/// What is written into the identifier option for a mapping.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PlannedStamp {
    /// The mapping's label, if it has one.
    pub label: Option<Label>,
    /// The mapping's version, its low 32 bits.
    pub epoch: u32,
}

/// What is known of a scope.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PlannedScope {
    /// The mapping, if it is a label's.
    pub mapping: Option<Uuid>,
    /// The network, if it is a network's.
    pub network: Option<String>,
    /// The network learns its endpoints.
    pub learns: bool,
}

/// How frames get to where an address lives, and who may send from there.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Way {
    /// A tunnel endpoint.
    Endpoint {
        /// The underlay it is on.
        underlay: Underlay,
        /// Its address there.
        vtep: IpAddr,
    },
    /// Another gateway.
    Gateway {
        /// Its name.
        name: String,
        /// The underlay it is on.
        underlay: Underlay,
        /// Its addresses there; the first that can be reached is used.
        addresses: Vec<IpAddr>,
    },
    /// An interface of this gateway: a VLAN trunk or a port.
    Device {
        /// Its index.
        ifindex: u32,
    },
}

impl Way {
    /// Where frames may be sent, in order of preference; nothing for a device.
    #[must_use]
    pub fn addresses(&self) -> &[IpAddr] {
        match self {
            Self::Endpoint { vtep, .. } => std::slice::from_ref(vtep),
            Self::Gateway { addresses, .. } => addresses,
            Self::Device { .. } => &[],
        }
    }
}

/// Where packets for one address go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlannedTarget {
    /// The network that the address belongs to.
    pub network: String,
    /// How they get there; `None` while nobody knows where the address lives.
    pub way: Option<Way>,
    /// The network's number: VNI or VLAN identifier; 0 for others.
    pub number: u32,
    /// How frames travel there.
    pub encapsulation: Encapsulation,
    /// The destination port of the tunnel.
    pub port: u16,
    /// See [`isthmus_common::tables::Target::extra`].
    pub extra: u32,
    /// Frames go with the mapping's label, to another gateway.
    pub is_stamped: bool,
    /// The network that frames come from learns its endpoints.
    pub learns: bool,
    /// Rules on requests to the address.
    pub forward: Option<Vec<PlannedRule>>,
    /// Who may answer to the address.
    pub answers: Option<Peer>,
}

/// Whose answers a policy concerns.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Peer {
    /// Resources of one network answer to members of another.
    Networks {
        /// The network of the resources.
        from: String,
        /// The network that asked.
        toward: String,
    },
    /// Resources answer with a mapping's label.
    Label(Uuid),
}

/// One access rule.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct PlannedRule {
    /// The mapping that grants or refuses.
    pub mapping: Uuid,
    /// Which traffic it speaks for.
    pub protocol: Protocol,
    /// The resource's ports; `None` means all.
    pub ports: Option<PortRange>,
    /// What it grants.
    pub level: AccessLevel,
}

impl PlannedRule {
    /// Whether it speaks for frames that are neither IP nor ARP.
    #[must_use]
    pub fn is_for_any_frame(&self) -> bool {
        self.protocol == Protocol::Any && self.ports.is_none()
    }
}

/// An object the gateway can't put into force.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused {
    /// Which.
    pub object: ObjectRef,
    /// In which version.
    pub version: u64,
    /// Why, and what would be right.
    pub reason: String,
}
