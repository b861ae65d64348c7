//! IPv4 (RFC 791 §3.1).
//!
//! ```text
//!  0                   1                   2                   3
//!  0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
//! +-------+-------+---------------+-------------------------------+
//! |version|  IHL  |   DSCP  | ECN |         total length          |
//! +-------+-------+---------------+-----+-------------------------+
//! |         identification        |flags|    fragment offset      |
//! +---------------+---------------+-----+-------------------------+
//! |      TTL      |   protocol    |        header checksum        |
//! +---------------+---------------+-------------------------------+
//! |                         source address                        |
//! +---------------------------------------------------------------+
//! |                      destination address                      |
//! +---------------------------------------------------------------+
//! ```

use crate::checksum::Sum;

use zerocopy::byteorder::network_endian::U16;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

/// An IPv4 header without its options.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub struct Ipv4 {
    version_ihl: u8,
    /// DSCP and ECN.
    pub traffic_class: u8,
    /// Header and payload, bytes.
    pub total_length: U16,
    /// Groups fragments.
    pub identification: U16,
    flags_offset: U16,
    /// Hops left.
    pub ttl: u8,
    /// What follows; see [`super::protocol`].
    pub protocol: u8,
    /// Over this header and its options.
    pub checksum: U16,
    /// Source address.
    pub source: [u8; 4],
    /// Destination address.
    pub destination: [u8; 4],
}

impl Ipv4 {
    /// Bytes, without options.
    pub const LEN: usize = size_of::<Self>();

    const DONT_FRAGMENT: u16 = 0x4000;
    const MORE_FRAGMENTS: u16 = 0x2000;
    const OFFSET: u16 = 0x1fff;

    /// A header without options in front of UDP; its checksum is right.
    #[inline(always)]
    #[must_use]
    pub fn udp(
        [source, destination]: [[u8; 4]; 2],
        total_length: u16,
        traffic_class: u8,
        ttl: u8,
        identification: u16,
        dont_fragment: bool,
    ) -> Self {
        let mut header = Self {
            version_ihl: 0x45,
            traffic_class,
            total_length: U16::new(total_length),
            identification: U16::new(identification),
            flags_offset: U16::new(if dont_fragment { Self::DONT_FRAGMENT } else { 0 }),
            ttl,
            protocol: super::protocol::UDP,
            checksum: U16::ZERO,
            source,
            destination,
        };
        header.checksum = U16::new(!header.sum());
        header
    }

    /// The one's complement sum of the 20 bytes: 0xffff if there are no options and the checksum is right.
    #[inline(always)]
    #[must_use]
    pub fn sum(&self) -> u16 {
        let words: [[u8; 4]; 5] = zerocopy::transmute!(*self);
        words.into_iter().fold(Sum::default(), Sum::add32).fold()
    }

    /// Must not be fragmented.
    #[inline(always)]
    #[must_use]
    pub const fn is_unfragmentable(&self) -> bool {
        self.flags_offset.get() & Self::DONT_FRAGMENT != 0
    }

    /// Version 4 and a header length that can hold the header.
    #[inline(always)]
    #[must_use]
    pub const fn is_valid(&self) -> bool {
        // One comparison of the nibbles: 0x45..=0x4f.
        self.version_ihl >= 0x45 && self.version_ihl <= 0x4f
    }

    /// Bytes in the header, options included: 20 to 60 in a valid one.
    #[inline(always)]
    #[must_use]
    pub const fn header_len(&self) -> usize {
        ((self.version_ihl & 0x0f) as usize) * 4
    }

    /// Whether the packet is a part of a larger one.
    #[inline(always)]
    #[must_use]
    pub const fn is_fragment(&self) -> bool {
        self.flags_offset.get() & (Self::MORE_FRAGMENTS | Self::OFFSET) != 0
    }

    /// Whether the payload starts in the middle of the larger packet's.
    #[inline(always)]
    #[must_use]
    pub const fn is_later_fragment(&self) -> bool {
        self.flags_offset.get() & Self::OFFSET != 0
    }
}
