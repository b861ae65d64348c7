//! How a network's frames travel over the underlay.

use std::{fmt, str::FromStr};

use isthmus_common::id::Vni;

use super::{
    Violations,
    violation::{did_you_mean, quoted},
};
use crate::api;

/// VXLAN's destination port as IANA assigned it (RFC 7348 §8).
pub const DEFAULT_VXLAN_PORT: u16 = 4789;

/// Geneve's destination port as IANA assigned it (RFC 8926 §3.3).
pub const DEFAULT_GENEVE_PORT: u16 = 6081;

/// How a network's frames travel over the underlay.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Encapsulation {
    /// RFC 7348.
    Vxlan {
        /// Selects the network among its provider's with VXLAN.
        vni: Vni,
        /// Destination port.
        udp_port: u16,
    },
    /// RFC 8926.
    Geneve {
        /// Selects the network among its provider's with Geneve.
        vni: Vni,
        /// Destination port.
        udp_port: u16,
    },
}

/// An encapsulation without its numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum EncapsulationKind {
    /// RFC 7348.
    Vxlan,
    /// RFC 8926.
    Geneve,
}

impl Encapsulation {
    /// Which of the encapsulations it is.
    #[must_use]
    pub const fn kind(&self) -> EncapsulationKind {
        match self {
            Self::Vxlan { .. } => EncapsulationKind::Vxlan,
            Self::Geneve { .. } => EncapsulationKind::Geneve,
        }
    }

    /// Its name in manifests and on the command line: `vxlan` or `geneve`.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        self.kind().name()
    }

    /// Selects the network among its provider's with the same encapsulation.
    #[must_use]
    pub const fn vni(&self) -> Vni {
        match self {
            Self::Vxlan { vni, .. } | Self::Geneve { vni, .. } => *vni,
        }
    }

    /// Destination port.
    #[must_use]
    pub const fn udp_port(&self) -> u16 {
        match self {
            Self::Vxlan { udp_port, .. } | Self::Geneve { udp_port, .. } => *udp_port,
        }
    }

    /// Reads the contract's form, noting what is wrong with it.
    pub(super) fn read(wire: Option<api::Encapsulation>, wrong: &mut Violations) -> Option<Self> {
        let Some(wire) = wire.and_then(|wire| wire.kind) else {
            wrong.add("encapsulation", "is missing; give vxlan or geneve with its VNI");
            return None;
        };
        let (kind, number, port) = match wire {
            api::encapsulation::Kind::Vxlan(vxlan) => (EncapsulationKind::Vxlan, vxlan.vni, vxlan.udp_port),
            api::encapsulation::Kind::Geneve(geneve) => {
                (EncapsulationKind::Geneve, geneve.vni, geneve.udp_port)
            }
        };
        let vni = Vni::new(number);
        if vni.is_none() {
            wrong.add(
                format!("encapsulation.{kind}.vni"),
                format!("{number} is not a VNI; use 1 to 16777215"),
            );
        }
        let udp_port = match u16::try_from(port) {
            Ok(0) => Some(kind.default_port()),
            Ok(port) => Some(port),
            Err(_) => {
                wrong.add(format!("encapsulation.{kind}.udp_port"), kind.no_port(port));
                None
            }
        };
        Some(kind.with(vni?, udp_port?))
    }
}

impl EncapsulationKind {
    /// All of them, in the contract's order.
    pub const ALL: [Self; 2] = [Self::Vxlan, Self::Geneve];

    /// Its name in manifests, on the command line and in the contract.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Vxlan => "vxlan",
            Self::Geneve => "geneve",
        }
    }

    /// The destination port of a network that names none.
    #[must_use]
    pub const fn default_port(self) -> u16 {
        match self {
            Self::Vxlan => DEFAULT_VXLAN_PORT,
            Self::Geneve => DEFAULT_GENEVE_PORT,
        }
    }

    /// The encapsulation of this kind with these numbers.
    #[must_use]
    pub const fn with(self, vni: Vni, udp_port: u16) -> Encapsulation {
        match self {
            Self::Vxlan => Encapsulation::Vxlan { vni, udp_port },
            Self::Geneve => Encapsulation::Geneve { vni, udp_port },
        }
    }

    /// The contract's form, whose numbers nobody has checked yet.
    #[must_use]
    pub fn unchecked(self, vni: u32, udp_port: u32) -> api::Encapsulation {
        let kind = match self {
            Self::Vxlan => api::encapsulation::Kind::Vxlan(api::Vxlan { vni, udp_port }),
            Self::Geneve => api::encapsulation::Kind::Geneve(api::Geneve { vni, udp_port }),
        };
        api::Encapsulation { kind: Some(kind) }
    }

    /// What to say about a number that is no UDP port.
    pub(crate) fn no_port(self, port: u32) -> String {
        format!("{port} is not a UDP port; use 1 to 65535, or leave it out for {}", self.default_port())
    }
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
        encapsulation.kind().unchecked(encapsulation.vni().get(), encapsulation.udp_port().into())
    }
}
