//! ICMP (RFC 792) and `ICMPv6` (RFC 4443, RFC 4861), as much of them as access control needs.
//!
//! ```text
//! +---------------+---------------+-------------------------------+
//! |     type      |     code      |           checksum            |
//! +---------------+---------------+-------------------------------+
//! ```

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

use crate::address::WireAddress;

/// The first bytes of an ICMP or `ICMPv6` message.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub struct Icmp {
    /// Message type.
    pub kind: u8,
    /// Message code.
    pub code: u8,
    checksum: [u8; 2],
}

impl Icmp {
    /// Destination unreachable, source quench, time exceeded, parameter problem (RFC 792, RFC 1812 §4.3).
    #[inline(always)]
    #[must_use]
    pub const fn is_v4_error(&self) -> bool {
        matches!(self.kind, 3 | 4 | 11 | 12)
    }

    /// Echo, timestamp, information and address mask replies (RFC 792, RFC 950).
    #[inline(always)]
    #[must_use]
    pub const fn is_v4_reply(&self) -> bool {
        matches!(self.kind, 0 | 14 | 16 | 18)
    }

    /// Types below 128 are errors (RFC 4443 §2.1).
    #[inline(always)]
    #[must_use]
    pub const fn is_v6_error(&self) -> bool {
        self.kind < 128
    }

    /// Echo reply (RFC 4443 §4.2).
    #[inline(always)]
    #[must_use]
    pub const fn is_v6_reply(&self) -> bool {
        self.kind == 129
    }

    /// RFC 4861 §4.3.
    #[inline(always)]
    #[must_use]
    pub const fn is_neighbour_solicitation(&self) -> bool {
        self.kind == 135
    }

    /// RFC 4861 §4.4.
    #[inline(always)]
    #[must_use]
    pub const fn is_neighbour_advertisement(&self) -> bool {
        self.kind == 136
    }
}

/// A neighbour solicitation (RFC 4861 §4.3) without its options.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub struct NeighbourSolicitation {
    icmp: Icmp,
    reserved: [u8; 4],
    /// Whose MAC is asked for.
    pub target: WireAddress,
}
