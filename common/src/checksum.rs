//! The Internet checksum, computed and updated incrementally.
//!
//! An update keeps a wrong checksum exactly as wrong: the gateway never hides somebody else's
//! corruption. Source: RFC 1071, RFC 1624 (equation 3).

/// A one's complement sum in the making, or what a change does to one.
///
/// Words are added in memory order, which only swaps the bytes of the result (RFC 1071 §2 B). Up to 2³¹ fit before
/// the sum could overflow.
#[derive(Clone, Copy, Debug, Default)]
pub struct Sum(u64);

impl Sum {
    /// A 16-bit number appears, at an even offset.
    #[inline(always)]
    #[must_use]
    pub const fn add16(self, number: u16) -> Self {
        Self(self.0 + number.to_be() as u64)
    }

    /// A 16-bit number goes.
    #[inline(always)]
    #[must_use]
    pub const fn remove16(self, number: u16) -> Self {
        self.add16(!number)
    }

    /// Four bytes appear, at an even offset.
    #[inline(always)]
    #[must_use]
    pub const fn add32(self, bytes: [u8; 4]) -> Self {
        Self(self.0 + u32::from_ne_bytes(bytes) as u64)
    }

    /// Four bytes go.
    #[inline(always)]
    #[must_use]
    pub const fn remove32(self, bytes: [u8; 4]) -> Self {
        Self(self.0 + !u32::from_ne_bytes(bytes) as u64)
    }

    /// Everything in another sum appears.
    #[inline(always)]
    #[must_use]
    pub const fn and(self, other: Self) -> Self {
        Self(self.0 + other.0)
    }

    /// Everything in another sum goes.
    #[inline(always)]
    #[must_use]
    pub const fn without(self, other: Self) -> Self {
        self.remove16(other.fold())
    }

    /// A sum folded to 16 bits in memory order, as the kernel computes them.
    #[inline(always)]
    #[must_use]
    pub const fn from_memory_order(sum: u64) -> Self {
        Self(sum)
    }

    /// The sum: 0xffff over bytes among which there is a right checksum.
    #[inline(always)]
    #[must_use]
    pub const fn fold(self) -> u16 {
        let sum = self.0;
        let sum = (sum & 0xffff_ffff) + (sum >> 32);
        let sum = (sum & 0xffff) + (sum >> 16 & 0xffff) + (sum >> 32);
        let sum = (sum & 0xffff) + (sum >> 16);
        let sum = (sum & 0xffff) + (sum >> 16);
        #[expect(clippy::cast_possible_truncation, reason = "folded to 16 bits just above")]
        let folded = sum as u16;
        u16::from_be(folded)
    }

    /// A checksum field after the change that this is.
    #[inline(always)]
    #[must_use]
    pub const fn update(self, checksum: u16) -> u16 {
        !self.remove16(checksum).fold()
    }

    /// A UDP checksum field after the change. A computed zero is sent as all ones, because zero means "none"
    /// (RFC 768).
    #[inline(always)]
    #[must_use]
    pub const fn update_udp(self, checksum: u16) -> u16 {
        match self.update(checksum) {
            0 => 0xffff,
            updated => updated,
        }
    }

    /// The UDP checksum over what this is the sum of.
    #[inline(always)]
    #[must_use]
    pub const fn udp(self) -> u16 {
        match !self.fold() {
            0 => 0xffff,
            checksum => checksum,
        }
    }
}
