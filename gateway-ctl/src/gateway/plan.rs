//! What the tables should hold, before anything has a number.

use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;

use isthmus_common::address::Address;
use isthmus_common::id::{LabelRange, Vni};
use isthmus_common::scope::{Scope, Underlay};
use isthmus_common::tables::TargetKey;
use uuid::Uuid;

use crate::model::{AccessLevel, ObjectRef, PortRange, Protocol};

/// The wanted contents of the tables.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    /// VNIs that are labels.
    pub label_range: LabelRange,
    /// Tunnel ports to listen on.
    pub ports: BTreeSet<u16>,
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

/// Where packets for one address go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlannedTarget {
    /// The network that the address belongs to.
    pub network: String,
    /// The tunnel endpoint that holds it.
    pub vtep: Ipv4Addr,
    /// The network's VNI.
    pub vni: Vni,
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
