//! One 16-byte form for IPv4 and IPv6 addresses in map keys.

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// An IP address in network byte order; IPv4 as `::ffff:a.b.c.d` (RFC 4291 §2.5.5.2).
///
/// An inner IPv6 packet that carries an IPv4-mapped address on the wire is refused by the parser
/// (RFC 4038 §4.2), so the two families can't be confused.
///
/// Words rather than bytes, because LLVM's BPF backend keeps each byte of an array in a register
/// or a stack slot of its own.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, FromBytes, IntoBytes, Immutable, KnownLayout,
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

    /// Whether it is in the IPv4-mapped form.
    #[inline(always)]
    #[must_use]
    pub const fn is_v4(&self) -> bool {
        self.0[0] | self.0[1] == 0 && self.0[2] == Self::MAPPED
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
