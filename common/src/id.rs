//! Identifiers as types: numbers that mean different things don't mix.

use core::fmt;

/// Largest value of a 24-bit identifier.
const MAX_24_BIT: u32 = 0x00ff_ffff;

/// A VXLAN network identifier or Geneve virtual network identifier: 24 bits, not zero.
///
/// Source: RFC 7348 §5, RFC 8926 §3.4. Zero is legal on the wire, but no network may use it:
/// an empty header must never select one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Vni(u32);

impl Vni {
    /// `None` for 0 and for what doesn't fit 24 bits.
    #[must_use]
    pub const fn new(value: u32) -> Option<Self> {
        match value {
            1..=MAX_24_BIT => Some(Self(value)),
            _ => None,
        }
    }

    /// The number, 1 to 2²⁴−1.
    #[must_use]
    pub const fn get(self) -> u32 {
        self.0
    }
}

impl fmt::Display for Vni {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A mapping's identifier on the wire: 24 bits, not zero, inside the broker's label range.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Label(u32);

impl Label {
    /// `None` for 0 and for what doesn't fit 24 bits.
    #[must_use]
    pub const fn new(value: u32) -> Option<Self> {
        match value {
            1..=MAX_24_BIT => Some(Self(value)),
            _ => None,
        }
    }

    /// The number, 1 to 2²⁴−1.
    #[must_use]
    pub const fn get(self) -> u32 {
        self.0
    }
}

impl fmt::Display for Label {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// VNIs that are labels of mappings, never networks: `first ..= last`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LabelRange {
    first: Label,
    last: Label,
}

impl LabelRange {
    /// What a broker uses unless told otherwise: the top sixteenth, 15,728,640 to 16,777,215.
    pub const DEFAULT: Self = Self { first: Label(0x00f0_0000), last: Label(MAX_24_BIT) };

    /// `None` if `first > last`.
    #[must_use]
    pub const fn new(first: Label, last: Label) -> Option<Self> {
        if first.0 <= last.0 { Some(Self { first, last }) } else { None }
    }

    /// Smallest label.
    #[must_use]
    pub const fn first(self) -> Label {
        self.first
    }

    /// Largest label.
    #[must_use]
    pub const fn last(self) -> Label {
        self.last
    }

    /// Whether a VNI of this value is a label.
    #[must_use]
    pub const fn contains(self, value: u32) -> bool {
        self.first.0 <= value && value <= self.last.0
    }
}

impl fmt::Display for LabelRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.first, self.last)
    }
}
