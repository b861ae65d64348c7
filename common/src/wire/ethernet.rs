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
}
