//! IPv6 (RFC 8200 §3).
//!
//! ```text
//! +-------+---------------+---------------------------------------+
//! |version| traffic class |              flow label               |
//! +-------+---------------+-------+---------------+---------------+
//! |         payload length        |  next header  |   hop limit   |
//! +-------------------------------+---------------+---------------+
//! |                     source address, 16 bytes                  |
//! |                  destination address, 16 bytes                |
//! +---------------------------------------------------------------+
//! ```

use zerocopy::byteorder::network_endian::U16;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

use crate::address::WireAddress;

/// An IPv6 header.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub struct Ipv6 {
    version_class_label: [u8; 4],
    /// What follows the header, bytes.
    pub payload_length: U16,
    /// What follows; see [`super::protocol`].
    pub next_header: u8,
    /// Hops left.
    pub hop_limit: u8,
    /// Source address.
    pub source: WireAddress,
    /// Destination address.
    pub destination: WireAddress,
}

impl Ipv6 {
    /// Bytes.
    pub const LEN: usize = size_of::<Self>();

    /// Version 6.
    #[inline(always)]
    #[must_use]
    pub const fn is_valid(&self) -> bool {
        self.version_class_label[0] >> 4 == 6
    }
}
