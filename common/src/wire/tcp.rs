//! TCP (RFC 9293 §3.1), as much of it as access control needs.
//!
//! ```text
//! +-------------------------------+-------------------------------+
//! |          source port          |       destination port        |
//! +-------------------------------+-------------------------------+
//! |                        sequence number                        |
//! +---------------------------------------------------------------+
//! |                    acknowledgement number                     |
//! +-------+-------+---------------+-------------------------------+
//! |offset | rsvd  |CWR…ACK…SYN FIN|
//! +-------+-------+---------------+
//! ```

use zerocopy::byteorder::network_endian::U16;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

/// A TCP header up to its flags.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub struct Tcp {
    /// Source port.
    pub source: U16,
    /// Destination port.
    pub destination: U16,
    sequence: [u8; 4],
    acknowledgement: [u8; 4],
    offset: u8,
    flags: u8,
}

impl Tcp {
    const SYN: u8 = 0x02;
    const ACK: u8 = 0x10;

    /// Whether the segment asks for a new connection.
    #[inline(always)]
    #[must_use]
    pub const fn opens(&self) -> bool {
        self.flags & (Self::SYN | Self::ACK) == Self::SYN
    }
}
