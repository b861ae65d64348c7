//! ARP for IPv4 over Ethernet (RFC 826).
//!
//! ```text
//! +-------------------------------+-------------------------------+
//! |      hardware type = 1        |    protocol type = 0x0800     |
//! +---------------+---------------+-------------------------------+
//! |  hlen = 6     |   plen = 4    |           operation           |
//! +---------------+---------------+-------------------------------+
//! |  sender MAC (6), sender address (4), target MAC (6), target address (4)
//! ```

use zerocopy::byteorder::network_endian::U16;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

/// An ARP packet.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub struct Arp {
    hardware: U16,
    protocol: U16,
    lengths: [u8; 2],
    /// 1 asks, 2 answers.
    pub operation: U16,
    /// Sender's MAC.
    pub sender_mac: [u8; 6],
    /// Sender's address.
    pub sender: [u8; 4],
    /// Target's MAC; meaningless in a request.
    pub target_mac: [u8; 6],
    /// Target's address.
    pub target: [u8; 4],
}

impl Arp {
    /// Ethernet, IPv4, and the address lengths that go with them.
    #[inline(always)]
    #[must_use]
    pub fn is_valid(&self) -> bool {
        self.hardware.get() == 1 && self.protocol.get() == 0x0800 && self.lengths == [6, 4]
    }
}
