//! Scopes: what, together with the inner destination, selects a target.

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

use crate::id::{Label, Vni};
use crate::tables::Tunnel;

/// Which of the gateway's underlays a packet travels on.
///
/// VNIs are unique within an underlay. Usually there is one; a provider whose VNIs collide with
/// another's gets its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Underlay(u8);

impl Underlay {
    /// The underlay of everything that is not bound to one.
    pub const SHARED: Self = Self(1);

    /// Largest number of an underlay.
    pub const MAX: u8 = 126;

    /// `None` for 0, which is no underlay, and for more than [`Self::MAX`].
    #[must_use]
    pub const fn new(number: u8) -> Option<Self> {
        match number {
            1..=Self::MAX => Some(Self(number)),
            _ => None,
        }
    }

    /// The number, 1 to [`Self::MAX`].
    #[must_use]
    pub const fn get(self) -> u8 {
        self.0
    }
}

/// An underlay's number in the top byte, with its highest bit set for Geneve; or 0xff there for
/// labels. The VNI or label below.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, FromBytes, IntoBytes, Immutable, KnownLayout,
)]
#[repr(transparent)]
pub struct Scope(u32);

impl Scope {
    const LABEL: u32 = 0xff << 24;
    const GENEVE: u32 = 0x80 << 24;

    /// A network's scope on one underlay.
    #[must_use]
    pub const fn network(underlay: Underlay, tunnel: Tunnel, vni: Vni) -> Self {
        Self::on_wire(underlay.0 as u32, matches!(tunnel, Tunnel::Geneve), vni.get())
    }

    /// A mapping's scope, for packets that carry its label.
    #[must_use]
    pub const fn label(label: Label) -> Self {
        Self(Self::LABEL | label.get())
    }

    /// What a packet that carries this label selects.
    #[inline(always)]
    #[must_use]
    pub const fn labelled(label: u32) -> Self {
        Self(Self::LABEL | label)
    }

    /// What a packet with this VNI selects, arriving on the underlay of this number.
    #[inline(always)]
    #[must_use]
    pub const fn on_wire(underlay: u32, is_geneve: bool, vni: u32) -> Self {
        Self(if is_geneve { Self::GENEVE } else { 0 } | underlay << 24 | vni)
    }
}
