//! VXLAN (RFC 7348 §5).
//!
//! ```text
//!  0                   1                   2                   3
//!  0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
//! +-+-+-+-+-+-+-+-+-----------------------------------------------+
//! |R|R|R|R|I|R|R|R|                   reserved                    |
//! +-+-+-+-+-+-+-+-+-------------------------------+---------------+
//! |         VXLAN network identifier (VNI)        |   reserved    |
//! +-----------------------------------------------+---------------+
//! ```
//!
//! With group policy (draft-smith-vxlan-group-policy) the first four bytes are
//!
//! ```text
//! +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-------------------------------+
//! |G|R|R|R|I|R|R|R|R|D|R|R|A|R|R|R|        group policy id        |
//! +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-------------------------------+
//! ```
//!
//! Reserved bits are ignored and kept, except those that extensions use to change what follows
//! the header or what it means: such frames are not plain VXLAN.

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

/// A VXLAN header.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub struct Vxlan {
    flags: u8,
    reserved: [u8; 3],
    vni_reserved: [u8; 4],
}

impl Vxlan {
    /// Bytes.
    pub const LEN: usize = size_of::<Self>();
    /// The IANA port.
    pub const PORT: u16 = 4789;

    const VNI_VALID: u8 = 0x08;
    /// GBP's G: the group is valid.
    const GROUP: u8 = 0x80;
    /// GPE's version, P, B and O bits (draft-ietf-nvo3-vxlan-gpe).
    const GPE: u8 = 0x30 | 0x04 | 0x02 | 0x01;

    /// A header with a network identifier and nothing else.
    #[inline(always)]
    #[must_use]
    pub const fn new(vni: u32) -> Self {
        Self { flags: Self::VNI_VALID, reserved: [0; 3], vni_reserved: (vni << 8).to_be_bytes() }
    }

    /// Whether the header carries a network identifier at all.
    #[inline(always)]
    #[must_use]
    pub const fn has_vni(&self) -> bool {
        self.flags & Self::VNI_VALID != 0
    }

    /// Whether a flag says that this is an extension of VXLAN, other than group policy where that is known.
    #[inline(always)]
    #[must_use]
    pub const fn is_extended(&self, group_is_known: bool) -> bool {
        let known = if group_is_known { Self::GROUP } else { 0 };
        self.flags & (Self::GROUP | Self::GPE) & !known != 0
    }

    /// Says that the packet belongs to this group. The bits that tell what has been done with it stay.
    #[inline(always)]
    pub const fn set_group(&mut self, group: u16) {
        self.flags |= Self::GROUP;
        let [high, low] = group.to_be_bytes();
        (self.reserved[1], self.reserved[2]) = (high, low);
    }

    /// The network identifier, 24 bits.
    #[inline(always)]
    #[must_use]
    pub const fn vni(&self) -> u32 {
        u32::from_be_bytes(self.vni_reserved) >> 8
    }

    /// Replaces the network identifier; the reserved byte stays.
    #[inline(always)]
    pub const fn set_vni(&mut self, vni: u32) {
        self.vni_reserved = (vni << 8 | self.vni_reserved[3] as u32).to_be_bytes();
    }
}
