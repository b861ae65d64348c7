//! How a network's frames travel.

mod field;
mod group_policy;
mod ids;

use std::{fmt, str::FromStr};

use isthmus_common::id::Vni;

pub use self::{
    field::{EncapsulationField, Unchecked},
    group_policy::GroupPolicy,
    ids::{VlanId, ovn_port},
};
use super::{
    Violations,
    violation::{did_you_mean, quoted},
};
use crate::api;

/// VXLAN's destination port as IANA assigned it (RFC 7348 §8).
pub const DEFAULT_VXLAN_PORT: u16 = 4789;

/// Geneve's destination port as IANA assigned it (RFC 8926 §3.3).
pub const DEFAULT_GENEVE_PORT: u16 = 6081;

/// How a network's frames travel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Encapsulation {
    /// RFC 7348.
    Vxlan {
        /// Selects the network among its provider's with VXLAN.
        vni: Vni,
        /// Destination port.
        udp_port: u16,
        /// What becomes of the group in each packet; without, packets carry none.
        group_policy: Option<GroupPolicy>,
    },
    /// RFC 8926.
    Geneve {
        /// Selects the network among its provider's with Geneve.
        vni: Vni,
        /// Destination port.
        udp_port: u16,
        /// In an OVN logical datapath, the tunnel key of the gateway's own logical port there;
        /// then the VNI is the datapath's tunnel key and packets carry OVN's option.
        ovn_port: Option<u16>,
    },
    /// IEEE 802.1Q, on the interface bound to the provider.
    Vlan {
        /// Selects the network among its provider's with VLAN.
        vlan_id: VlanId,
    },
    /// Plain frames on an interface that belongs to the network alone.
    Port,
}

/// An encapsulation without its numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum EncapsulationKind {
    /// RFC 7348.
    Vxlan,
    /// RFC 8926.
    Geneve,
    /// IEEE 802.1Q.
    Vlan,
    /// Plain frames.
    Port,
}

impl Encapsulation {
    /// Which of the encapsulations it is.
    #[must_use]
    pub const fn kind(&self) -> EncapsulationKind {
        match self {
            Self::Vxlan { .. } => EncapsulationKind::Vxlan,
            Self::Geneve { .. } => EncapsulationKind::Geneve,
            Self::Vlan { .. } => EncapsulationKind::Vlan,
            Self::Port => EncapsulationKind::Port,
        }
    }

    /// Its name in manifests and on the command line: `vxlan`, `geneve`, `vlan` or `port`.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        self.kind().name()
    }

    /// Selects the network among its provider's with the same encapsulation; only tunnels have one.
    #[must_use]
    pub const fn vni(&self) -> Option<Vni> {
        match self {
            Self::Vxlan { vni, .. } | Self::Geneve { vni, .. } => Some(*vni),
            Self::Vlan { .. } | Self::Port => None,
        }
    }

    /// Destination port; only tunnels have one.
    #[must_use]
    pub const fn udp_port(&self) -> Option<u16> {
        match self {
            Self::Vxlan { udp_port, .. } | Self::Geneve { udp_port, .. } => Some(*udp_port),
            Self::Vlan { .. } | Self::Port => None,
        }
    }

    /// What becomes of the group in each packet, if packets carry one.
    #[must_use]
    pub const fn group_policy(&self) -> Option<GroupPolicy> {
        match self {
            Self::Vxlan { group_policy, .. } => *group_policy,
            _ => None,
        }
    }

    /// The tunnel key of the gateway's own logical port, if the network is one of OVN's.
    #[must_use]
    pub const fn ovn_port(&self) -> Option<u16> {
        match self {
            Self::Geneve { ovn_port, .. } => *ovn_port,
            _ => None,
        }
    }

    /// The VLAN, if it is one.
    #[must_use]
    pub const fn vlan_id(&self) -> Option<VlanId> {
        match self {
            Self::Vlan { vlan_id } => Some(*vlan_id),
            _ => None,
        }
    }

    /// Reads the contract's form, noting what is wrong with it.
    pub(super) fn read(wire: Option<api::Encapsulation>, wrong: &mut Violations) -> Option<Self> {
        let Some(wire) = wire.and_then(|wire| wire.kind) else {
            wrong.add("encapsulation", "is missing; use vxlan, geneve, vlan or port");
            return None;
        };
        match wire {
            api::encapsulation::Kind::Vxlan(vxlan) => {
                let kind = EncapsulationKind::Vxlan;
                let vni = kind.read_vni(vxlan.vni, wrong);
                let udp_port = kind.read_port(vxlan.udp_port, DEFAULT_VXLAN_PORT, wrong);
                let group_policy = match vxlan.group_policy.map(GroupPolicy::from_wire) {
                    Some(policy) => Some(wrong.check("encapsulation.vxlan.group_policy", policy)?),
                    None => None,
                };
                Some(Self::Vxlan { vni: vni?, udp_port: udp_port?, group_policy })
            }
            api::encapsulation::Kind::Geneve(geneve) => {
                let kind = EncapsulationKind::Geneve;
                let vni = kind.read_vni(geneve.vni, wrong);
                let udp_port = kind.read_port(geneve.udp_port, DEFAULT_GENEVE_PORT, wrong);
                let ovn_port = match geneve.ovn_port {
                    0 => None,
                    number => Some(wrong.check("encapsulation.geneve.ovn_port", ovn_port(number))?),
                };
                Some(Self::Geneve { vni: vni?, udp_port: udp_port?, ovn_port })
            }
            api::encapsulation::Kind::Vlan(vlan) => {
                let vlan_id = u16::try_from(vlan.vlan_id)
                    .ok()
                    .and_then(VlanId::new)
                    .ok_or_else(|| format!("{} is not a VLAN; use 1 to 4094", vlan.vlan_id));
                let vlan_id = wrong.check("encapsulation.vlan.vlan_id", vlan_id)?;
                Some(Self::Vlan { vlan_id })
            }
            api::encapsulation::Kind::Port(api::Port {}) => Some(Self::Port),
        }
    }
}

impl EncapsulationKind {
    /// All of them, in the contract's order.
    pub const ALL: [Self; 4] = [Self::Vxlan, Self::Geneve, Self::Vlan, Self::Port];

    /// Its name in manifests, on the command line and in the contract.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Vxlan => "vxlan",
            Self::Geneve => "geneve",
            Self::Vlan => "vlan",
            Self::Port => "port",
        }
    }

    /// Whether frames travel between tunnel endpoints, over UDP.
    #[must_use]
    pub const fn is_tunnel(self) -> bool {
        matches!(self, Self::Vxlan | Self::Geneve)
    }

    /// The destination port of a network that names none; only tunnels have one.
    #[must_use]
    pub const fn default_port(self) -> Option<u16> {
        match self {
            Self::Vxlan => Some(DEFAULT_VXLAN_PORT),
            Self::Geneve => Some(DEFAULT_GENEVE_PORT),
            Self::Vlan | Self::Port => None,
        }
    }

    fn read_vni(self, number: u32, wrong: &mut Violations) -> Option<Vni> {
        let vni = Vni::new(number).ok_or_else(|| format!("{number} is not a VNI; use 1 to 16777215"));
        wrong.check(&format!("encapsulation.{self}.vni"), vni)
    }

    fn read_port(self, number: u32, default: u16, wrong: &mut Violations) -> Option<u16> {
        wrong.check(&format!("encapsulation.{self}.udp_port"), udp_port(number, default))
    }
}

/// Reads the contract's form of a UDP port, where 0 stands for the default.
pub(super) fn udp_port(number: u32, default: u16) -> Result<u16, String> {
    match u16::try_from(number) {
        Ok(0) => Ok(default),
        Ok(port) => Ok(port),
        Err(_) => Err(no_udp_port(number, default)),
    }
}

/// What to say about a number that is no UDP port.
pub(crate) fn no_udp_port(number: u32, default: u16) -> String {
    format!("{number} is not a UDP port; use 1 to 65535, or leave it out for {default}")
}

impl fmt::Display for EncapsulationKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl FromStr for EncapsulationKind {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Self::ALL.into_iter().find(|kind| kind.name() == text).ok_or_else(|| {
            let names = Self::ALL.map(Self::name);
            let hint = did_you_mean(text, names);
            format!("{} is not an encapsulation; use one of {}{hint}", quoted(text), names.join(", "))
        })
    }
}

impl From<Encapsulation> for api::Encapsulation {
    fn from(encapsulation: Encapsulation) -> Self {
        encapsulation.kind().unchecked(Unchecked {
            vni: encapsulation.vni().map_or(0, Vni::get),
            udp_port: encapsulation.udp_port().map_or(0, Into::into),
            group_policy: encapsulation.group_policy().map(GroupPolicy::to_wire),
            ovn_port: encapsulation.ovn_port().map_or(0, Into::into),
            vlan_id: encapsulation.vlan_id().map_or(0, |vlan_id| vlan_id.get().into()),
        })
    }
}
