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

    /// A header in front of UDP. The flow label has 20 bits.
    #[inline(always)]
    #[must_use]
    pub const fn udp(
        [source, destination]: [WireAddress; 2],
        payload_length: u16,
        traffic_class: u8,
        hop_limit: u8,
        flow_label: u32,
    ) -> Self {
        let first = 6 << 28 | (traffic_class as u32) << 20 | flow_label & 0x000f_ffff;
        Self {
            version_class_label: first.to_be_bytes(),
            payload_length: U16::new(payload_length),
            next_header: super::protocol::UDP,
            hop_limit,
            source,
            destination,
        }
    }

    /// DSCP and ECN.
    #[inline(always)]
    #[must_use]
    pub const fn traffic_class(&self) -> u8 {
        self.version_class_label[0] << 4 | self.version_class_label[1] >> 4
    }

    /// Replaces DSCP and ECN.
    #[inline(always)]
    pub const fn set_traffic_class(&mut self, class: u8) {
        self.version_class_label[0] = 6 << 4 | class >> 4;
        self.version_class_label[1] = class << 4 | self.version_class_label[1] & 0x0f;
    }

    /// The flow label, 20 bits.
    #[inline(always)]
    #[must_use]
    pub const fn flow_label(&self) -> u32 {
        u32::from_be_bytes(self.version_class_label) & 0x000f_ffff
    }

    /// Version 6.
    #[inline(always)]
    #[must_use]
    pub const fn is_valid(&self) -> bool {
        self.version_class_label[0] >> 4 == 6
    }
}
