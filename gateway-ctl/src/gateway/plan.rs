//! What the tables should hold, before anything has a number.

use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;

use isthmus_common::address::Address;
use isthmus_common::id::{LabelRange, Vni};
use isthmus_common::scope::{Scope, Underlay};
use isthmus_common::tables::{TUNNEL_PORTS, TargetKey, Tunnel};
use isthmus_common::wire::Vxlan;
use uuid::Uuid;

use crate::model::{AccessLevel, ObjectRef, PortRange, Protocol};

/// The wanted contents of the tables.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    /// VNIs that are labels.
    pub label_range: LabelRange,
    /// Tunnel ports to listen on.
    pub ports: BTreeMap<u16, Tunnel>,
    /// Mappings in force.
    pub mappings: BTreeSet<Uuid>,
    /// Known scopes; a label's with its mapping.
    pub scopes: BTreeMap<Scope, Option<Uuid>>,
    /// Where packets go.
    pub targets: BTreeMap<TargetKey, PlannedTarget>,
    /// Rules on return packets.
    pub policies: BTreeMap<(Peer, Address), Vec<PlannedRule>>,
    /// Objects that are not in force.
    pub refused: Vec<Refused>,
}

impl Plan {
    /// What interfaces listen on: the networks' ports, and VXLAN's own where there is room, so that
    /// labels are understood before any network is declared.
    #[must_use]
    pub fn tunnel_ports(&self) -> Vec<(u16, Tunnel)> {
        let mut ports = self.ports.clone();
        if ports.len() < TUNNEL_PORTS {
            ports.entry(Vxlan::PORT).or_insert(Tunnel::Vxlan);
        }
        ports.into_iter().collect()
    }
}

/// Where packets for one address go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlannedTarget {
    /// The network that the address belongs to.
    pub network: String,
    /// The tunnel endpoint that holds it.
    pub vtep: Ipv4Addr,
    /// The network's VNI.
    pub vni: Vni,
    /// How the network's frames travel.
    pub tunnel: Tunnel,
    /// The network's tunnel port.
    pub port: u16,
    /// Rules on requests to the address, and the underlay they come from.
    pub forward: Option<(Underlay, Vec<PlannedRule>)>,
    /// Who may answer to the address, and the underlay the answers come from.
    pub answers: Option<(Underlay, Peer)>,
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
