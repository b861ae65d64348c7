//! One 16-byte form for IPv4 and IPv6 addresses in map keys.

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// An IP address in network byte order; IPv4 as `::ffff:a.b.c.d` (RFC 4291 §2.5.5.2).
///
/// A MAC, for frames that are neither IP nor ARP, as `::fffe:` and its six bytes. An inner IPv6 packet
/// with an address in `::/64` on the wire is refused by the parser (there is nobody there: RFC 4291 §2.5.2,
/// §2.5.3, RFC 4038 §4.2), so the three can't be confused.
///
/// Words rather than bytes, because LLVM's BPF backend keeps each byte of an array in a register
/// or a stack slot of its own.
#[derive(
    Clone,
    Copy,
    Debug,
    Default,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    FromBytes,
    IntoBytes,
    Immutable,
    KnownLayout,
)]
#[repr(transparent)]
pub struct Address([u32; 4]);

/// The 16 bytes of an IPv6 address in a header.
pub type WireAddress = [u8; 16];

impl Address {
    /// `::`, for what has no address.
    pub const UNSPECIFIED: Self = Self([0; 4]);

    const MAPPED: u32 = u32::from_be(0x0000_ffff);

    /// From the 4 bytes of an IPv4 address.
    #[inline(always)]
    #[must_use]
    pub const fn v4(octets: [u8; 4]) -> Self {
        Self([0, 0, Self::MAPPED, u32::from_ne_bytes(octets)])
    }

    /// From the 16 bytes of an IPv6 address.
    #[inline(always)]
    #[must_use]
    pub fn v6(octets: WireAddress) -> Self {
        zerocopy::transmute!(octets)
    }

    /// From the bytes of a MAC.
    #[inline(always)]
    #[must_use]
    pub const fn mac(mac: [u8; 6]) -> Self {
        let high = u32::from_ne_bytes([0xff, 0xfe, mac[0], mac[1]]);
        Self([0, 0, high, u32::from_ne_bytes([mac[2], mac[3], mac[4], mac[5]])])
    }

    /// Whether it is in the form of a MAC.
    #[inline(always)]
    #[must_use]
    pub const fn is_mac(&self) -> bool {
        let [high, low, ..] = self.0[2].to_ne_bytes();
        self.0[0] | self.0[1] == 0 && high == 0xff && low == 0xfe
    }

    /// The MAC, if it is in the form of one.
    #[must_use]
    pub fn as_mac(&self) -> Option<[u8; 6]> {
        match self.octets() {
            [_, _, _, _, _, _, _, _, _, _, mac @ ..] if self.is_mac() => Some(mac),
            _ => None,
        }
    }

    /// Whether it lies in `::/64`, where IPv6 has no addresses of hosts, and is not `::`.
    #[inline(always)]
    #[must_use]
    pub const fn is_reserved(&self) -> bool {
        self.0[0] | self.0[1] == 0 && self.0[2] | self.0[3] != 0
    }

    /// Whether it is `::` or 0.0.0.0.
    #[inline(always)]
    #[must_use]
    pub const fn is_unspecified(&self) -> bool {
        self.0[0] | self.0[1] | self.0[3] == 0 && (self.0[2] == 0 || self.0[2] == Self::MAPPED)
    }

    /// The words, in memory order.
    #[inline(always)]
    #[must_use]
    pub const fn words(&self) -> [u32; 4] {
        self.0
    }

    /// The last four bytes: all of an IPv4 address.
    #[inline(always)]
    #[must_use]
    pub const fn low(&self) -> [u8; 4] {
        self.0[3].to_ne_bytes()
    }

    /// The 16 bytes.
    #[must_use]
    pub fn octets(self) -> WireAddress {
        zerocopy::transmute!(self.0)
    }
}

impl From<Ipv4Addr> for Address {
    fn from(address: Ipv4Addr) -> Self {
        Self::v4(address.octets())
    }
}

impl From<Ipv6Addr> for Address {
    fn from(address: Ipv6Addr) -> Self {
        Self::v6(address.octets())
    }
}

impl From<IpAddr> for Address {
    fn from(address: IpAddr) -> Self {
        match address {
            IpAddr::V4(v4) => v4.into(),
            IpAddr::V6(v6) => v6.into(),
        }
    }
}

impl From<Address> for IpAddr {
    fn from(address: Address) -> Self {
        Ipv6Addr::from(address.octets()).to_canonical()
    }
}
