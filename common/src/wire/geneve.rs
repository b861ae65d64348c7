//! Geneve (RFC 8926 §3.4, §3.5).
//!
//! ```text
//!  0                   1                   2                   3
//!  0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
//! +---+-----------+-+-+-----------+-------------------------------+
//! |Ver|  Opt Len  |O|C|   rsvd    |         protocol type         |
//! +---+-----------+-+-+-----------+---------------+---------------+
//! |       virtual network identifier (VNI)        |   reserved    |
//! +-----------------------------------------------+---------------+
//! |            options, Opt Len × 4 bytes                         |
//!
//! +-------------------------------+-+-------------+-----+---------+
//! |         option class          |C|    type     |rsvd | length  |   length × 4 bytes of data follow
//! +-------------------------------+-+-------------+-----+---------+
//! ```

use zerocopy::byteorder::network_endian::U16;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

/// A Geneve header without its options.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub struct Geneve {
    version_length: u8,
    flags: u8,
    protocol: U16,
    vni_reserved: [u8; 4],
}

impl Geneve {
    /// Bytes, without options.
    pub const LEN: usize = size_of::<Self>();
    /// The IANA port.
    pub const PORT: u16 = 6081;
    /// Most bytes of options there can be.
    pub const MAX_OPTIONS: usize = 0x3f * 4;

    const CONTROL: u8 = 0x80;
    const CRITICAL: u8 = 0x40;
    /// Transparent Ethernet bridging.
    const ETHERNET: u16 = 0x6558;

    /// A header in front of an Ethernet frame, without options.
    #[inline(always)]
    #[must_use]
    pub const fn new(vni: u32) -> Self {
        Self {
            version_length: 0,
            flags: 0,
            protocol: U16::new(Self::ETHERNET),
            vni_reserved: (vni << 8).to_be_bytes(),
        }
    }

    /// Version 0, the only one there is.
    #[inline(always)]
    #[must_use]
    pub const fn is_known_version(&self) -> bool {
        self.version_length >> 6 == 0
    }

    /// Carries data, in an Ethernet frame.
    #[inline(always)]
    #[must_use]
    pub const fn carries_ethernet(&self) -> bool {
        self.flags & Self::CONTROL == 0 && self.protocol.get() == Self::ETHERNET
    }

    /// Has options that must be understood.
    #[inline(always)]
    #[must_use]
    pub const fn has_critical(&self) -> bool {
        self.flags & Self::CRITICAL != 0
    }

    /// Bytes of options.
    #[inline(always)]
    #[must_use]
    pub const fn options_len(&self) -> usize {
        ((self.version_length & 0x3f) as usize) * 4
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

    /// Says that so many bytes of options follow (a multiple of 4), and whether one of them is critical.
    #[inline(always)]
    pub const fn set_options(&mut self, bytes: usize, has_critical: bool) {
        #[expect(clippy::cast_possible_truncation, reason = "six bits")]
        {
            self.version_length = (bytes / 4) as u8 & 0x3f;
        }
        self.flags = self.flags & !Self::CRITICAL | if has_critical { Self::CRITICAL } else { 0 };
    }
}

/// The head of an option.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub struct GeneveOption {
    class: U16,
    kind: u8,
    length: u8,
}

impl GeneveOption {
    /// Bytes of the head.
    pub const LEN: usize = size_of::<Self>();

    /// Bytes of the option, its head included.
    #[inline(always)]
    #[must_use]
    pub const fn total_len(&self) -> usize {
        Self::LEN + ((self.length & 0x1f) as usize) * 4
    }

    /// Who doesn't understand it must drop the packet.
    #[inline(always)]
    #[must_use]
    pub const fn is_critical(&self) -> bool {
        self.kind & 0x80 != 0
    }

    /// Isthmus' identifier option.
    #[inline(always)]
    #[must_use]
    pub const fn is_identifier(&self) -> bool {
        self.class.get() == Identifier::CLASS
            && self.kind == Identifier::KIND
            && self.total_len() == Identifier::LEN
    }

    /// OVN's option.
    #[inline(always)]
    #[must_use]
    pub const fn is_ovn_ports(&self) -> bool {
        self.class.get() == OvnPorts::CLASS
            && self.kind == OvnPorts::KIND
            && self.total_len() == OvnPorts::LEN
    }
}

/// Isthmus' identifier option: which mapping the packet belongs to.
///
/// ```text
/// +-------------------------------+---------------+-----+---------+
/// |        class = 0xff49         |  type = 0x81  |rsvd |    2    |
/// +-------------------------------+---------------+-----+---------+
/// |                     label                     |     flags     |
/// +-----------------------------------------------+---------------+
/// |                         mapping epoch                         |
/// +---------------------------------------------------------------+
/// ```
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub struct Identifier {
    head: GeneveOption,
    label_flags: [u8; 4],
    epoch: [u8; 4],
}

impl Identifier {
    /// Bytes, the option's head included.
    pub const LEN: usize = size_of::<Self>();
    /// From the range for experiments (RFC 8926 §7).
    const CLASS: u16 = 0xff49;
    /// Critical: who doesn't know Isthmus must not deliver the packet.
    const KIND: u8 = 0x81;

    const RETURN: u32 = 1;

    /// An identifier option.
    #[inline(always)]
    #[must_use]
    pub const fn new(label: u32, is_return: bool, epoch: u32) -> Self {
        let flags = if is_return { Self::RETURN } else { 0 };
        Self {
            head: GeneveOption { class: U16::new(Self::CLASS), kind: Self::KIND, length: 2 },
            label_flags: (label << 8 | flags).to_be_bytes(),
            epoch: epoch.to_be_bytes(),
        }
    }

    /// The mapping's label.
    #[inline(always)]
    #[must_use]
    pub const fn label(&self) -> u32 {
        u32::from_be_bytes(self.label_flags) >> 8
    }
}

/// OVN's option: between which logical ports of a datapath the packet travels (ovn-architecture(7)).
///
/// ```text
/// +-------------------------------+---------------+-----+---------+
/// |        class = 0x0102         |  type = 0x80  |rsvd |    1    |
/// +-+-----------------------------+---------------+-----+---------+
/// |0|       ingress port          |          egress port          |
/// +-+-----------------------------+-------------------------------+
/// ```
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub struct OvnPorts {
    head: GeneveOption,
    ports: [u8; 4],
}

impl OvnPorts {
    /// Bytes, the option's head included.
    pub const LEN: usize = size_of::<Self>();
    /// Open Virtual Networking (IANA).
    const CLASS: u16 = 0x0102;
    const KIND: u8 = 0x80;

    /// An option with this data: the ingress port's 15 bits above the egress port's 16.
    #[inline(always)]
    #[must_use]
    pub const fn new(ports: u32) -> Self {
        Self {
            head: GeneveOption { class: U16::new(Self::CLASS), kind: Self::KIND, length: 1 },
            ports: ports.to_be_bytes(),
        }
    }
}
