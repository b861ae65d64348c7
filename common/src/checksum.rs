//! The Internet checksum, updated incrementally.
//!
//! An update keeps a wrong checksum exactly as wrong: the gateway never hides somebody else's
//! corruption. Source: RFC 1071, RFC 1624 (equation 3).

/// What a set of replaced 16-bit words does to a checksum that covers them.
///
/// Accumulates `~old + new` a word; up to 2¹⁵ words fit before the sum could overflow.
#[derive(Clone, Copy, Debug, Default)]
pub struct Delta(u32);

impl Delta {
    /// Replaces one big-endian word.
    #[inline(always)]
    #[must_use]
    pub const fn replace16(self, old: u16, new: u16) -> Self {
        Self(self.0 + (!old as u32) + new as u32)
    }

    /// Replaces two consecutive words at an even offset.
    #[inline(always)]
    #[must_use]
    pub const fn replace32(self, old: [u8; 4], new: [u8; 4]) -> Self {
        self.replace16(u16::from_be_bytes([old[0], old[1]]), u16::from_be_bytes([new[0], new[1]]))
            .replace16(u16::from_be_bytes([old[2], old[3]]), u16::from_be_bytes([new[2], new[3]]))
    }

    /// Both replacements.
    #[inline(always)]
    #[must_use]
    pub const fn and(self, other: Self) -> Self {
        Self(self.0 + other.0)
    }

    /// Removes two consecutive words at an even offset.
    #[inline(always)]
    #[must_use]
    pub const fn remove32(self, old: [u8; 4]) -> Self {
        self.replace32(old, [0; 4])
    }

    /// The checksum field after the replacement.
    #[inline(always)]
    #[must_use]
    pub const fn apply(self, checksum: u16) -> u16 {
        let sum = self.0 + (!checksum as u32);
        let sum = (sum & 0xffff) + (sum >> 16);
        let sum = (sum & 0xffff) + (sum >> 16);
        #[expect(clippy::cast_possible_truncation, reason = "folded to 16 bits just above")]
        let folded = sum as u16;
        !folded
    }

    /// The UDP checksum field after the replacement.
    ///
    /// Zero means "none" and stays zero; a computed zero is sent as all ones (RFC 768).
    #[inline(always)]
    #[must_use]
    pub const fn apply_udp(self, checksum: u16) -> u16 {
        if checksum == 0 {
            return 0;
        }
        match self.apply(checksum) {
            0 => 0xffff,
            sum => sum,
        }
    }
}
