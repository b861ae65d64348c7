//! How a network's frames travel.

/// How a network's frames travel, as a type.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Encapsulation {
    /// RFC 7348.
    Vxlan = number::VXLAN,
    /// VXLAN whose reserved bits carry a group (draft-smith-vxlan-group-policy).
    VxlanGroup = number::VXLAN_GROUP,
    /// RFC 8926.
    Geneve = number::GENEVE,
    /// Geneve with OVN's option.
    GeneveOvn = number::GENEVE_OVN,
    /// An IEEE 802.1Q tag.
    Vlan = number::VLAN,
    /// None: an interface that belongs to one network.
    Port = number::PORT,
}

/// Encapsulations as numbers in tables, 1 to 6; 0 is none.
pub mod number {
    /// RFC 7348.
    pub const VXLAN: u8 = 1;
    /// VXLAN with group policy.
    pub const VXLAN_GROUP: u8 = 2;
    /// RFC 8926.
    pub const GENEVE: u8 = 3;
    /// Geneve with OVN's option.
    pub const GENEVE_OVN: u8 = 4;
    /// IEEE 802.1Q.
    pub const VLAN: u8 = 5;
    /// Plain frames on an interface of their own.
    pub const PORT: u8 = 6;

    /// Whether frames travel in UDP.
    #[inline(always)]
    #[must_use]
    pub const fn is_tunnel(number: u8) -> bool {
        number <= GENEVE_OVN
    }

    /// Whether frames travel in Geneve.
    #[inline(always)]
    #[must_use]
    pub const fn is_geneve(number: u8) -> bool {
        number == GENEVE || number == GENEVE_OVN
    }
}

impl Encapsulation {
    /// As a number in tables.
    #[must_use]
    pub const fn number(self) -> u8 {
        self as u8
    }
}
