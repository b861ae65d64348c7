//! Numbers by which encapsulations other than VXLAN and plain Geneve tell things apart.

use std::fmt;

/// A VLAN identifier, 1 to 4094.
///
/// Source: IEEE 802.1Q-2022 §9.6; 0 means "no VLAN" and 4095 is reserved.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct VlanId(u16);

impl VlanId {
    /// `None` for what is not 1 to 4094.
    #[must_use]
    pub const fn new(value: u16) -> Option<Self> {
        match value {
            1..=4094 => Some(Self(value)),
            _ => None,
        }
    }

    /// The number.
    #[must_use]
    pub const fn get(self) -> u16 {
        self.0
    }
}

impl fmt::Display for VlanId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Largest tunnel key of an OVN logical port: the ingress key has 15 bits, and 0 names none.
///
/// Source: ovn-architecture(7), "Tunnel Encapsulations".
const LARGEST_OVN_PORT: u16 = 0x7fff;

/// Reads the tunnel key of an OVN logical port.
///
/// # Errors
/// A sentence that says what would be right.
pub fn ovn_port(number: u32) -> Result<u16, String> {
    match u16::try_from(number) {
        Ok(port @ 1..=LARGEST_OVN_PORT) => Ok(port),
        _ => {
            Err(format!("{number} is not the tunnel key of an OVN logical port; use 1 to {LARGEST_OVN_PORT}"))
        }
    }
}
