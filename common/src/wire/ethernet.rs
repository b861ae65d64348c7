//! Ethernet II (IEEE 802.3 §3.2.6).
//!
//! ```text
//!  0                   6                   12      14
//! +-------------------+-------------------+-------+
//! | destination       | source            | type  |
//! +-------------------+-------------------+-------+
//! ```

use zerocopy::byteorder::network_endian::U16;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

/// An Ethernet header without tags.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub struct Ethernet {
    /// Destination MAC.
    pub destination: [u8; 6],
    /// Source MAC.
    pub source: [u8; 6],
    /// What follows; see [`EtherType`].
    pub ether_type: U16,
}

impl Ethernet {
    /// Bytes.
    pub const LEN: usize = size_of::<Self>();
}

/// Ethernet type numbers (IEEE).
pub struct EtherType;

impl EtherType {
    /// RFC 894.
    pub const IPV4: u16 = 0x0800;
    /// RFC 826.
    pub const ARP: u16 = 0x0806;
    /// RFC 2464.
    pub const IPV6: u16 = 0x86dd;
    /// A customer VLAN tag (IEEE 802.1Q §9.5).
    pub const VLAN: u16 = 0x8100;
    /// A service VLAN tag.
    pub const SERVICE_VLAN: u16 = 0x88a8;

    /// Whether a VLAN tag's other half follows.
    #[inline(always)]
    #[must_use]
    pub const fn is_tag(number: u16) -> bool {
        number == Self::VLAN || number == Self::SERVICE_VLAN
    }
}

/// A frame's two MACs.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub struct Macs {
    /// Destination MAC.
    pub destination: [u8; 6],
    /// Source MAC.
    pub source: [u8; 6],
}

impl Macs {
    /// Bytes.
    pub const LEN: usize = size_of::<Self>();
}

/// A VLAN tag, between the MACs and the type (IEEE 802.1Q §9.6).
///
/// ```text
/// +-------------------------------+-----+-+-----------------------+
/// |             TPID              | PCP |D|   VLAN identifier     |
/// +-------------------------------+-----+-+-----------------------+
/// ```
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, Hash, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned,
)]
#[repr(C)]
pub struct Tag {
    /// Says that this is a tag, and of which kind; see [`EtherType::is_tag`].
    pub tpid: U16,
    control: U16,
}

impl Tag {
    /// Bytes.
    pub const LEN: usize = size_of::<Self>();

    /// A tag of priority 0.
    #[inline(always)]
    #[must_use]
    pub const fn new(tpid: u16, vlan_id: u16) -> Self {
        Self { tpid: U16::new(tpid), control: U16::new(vlan_id) }
    }

    /// The VLAN identifier, 12 bits; 0 in a tag that only carries a priority.
    #[inline(always)]
    #[must_use]
    pub const fn vlan_id(&self) -> u16 {
        self.control.get() & 0x0fff
    }
}
