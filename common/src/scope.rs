//! Scopes: what, together with the inner destination, selects a target.

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

use crate::id::{Label, Vni};

/// Which of the gateway's underlays a packet travels on.
///
/// VNIs are unique within an underlay. Usually there is one; a provider whose VNIs collide with
/// another's gets its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Underlay(u8);

impl Underlay {
    /// The underlay of everything that is not bound to one.
    pub const SHARED: Self = Self(1);

    /// `None` for 0, which is no underlay, and 255, which marks labels.
    #[must_use]
    pub const fn new(number: u8) -> Option<Self> {
        match number {
            0 | 0xff => None,
            _ => Some(Self(number)),
        }
    }

    /// The number, 1 to 254.
    #[must_use]
    pub const fn get(self) -> u8 {
        self.0
    }
}

/// An underlay's number (or 0xff for labels) in the top byte, the VNI or label below.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, FromBytes, IntoBytes, Immutable, KnownLayout,
)]
#[repr(transparent)]
pub struct Scope(u32);

impl Scope {
    const LABEL: u32 = 0xff << 24;

    /// A network's scope on one underlay.
    #[must_use]
    pub const fn network(underlay: Underlay, vni: Vni) -> Self {
        Self((underlay.0 as u32) << 24 | vni.get())
    }

    /// A mapping's scope, for packets that carry its label.
    #[must_use]
    pub const fn label(label: Label) -> Self {
        Self(Self::LABEL | label.get())
    }

    /// What a packet with this VNI selects, arriving on the underlay of this number.
    #[inline(always)]
    #[must_use]
    pub const fn on_wire(underlay: u32, vni: u32, is_label: bool) -> Self {
        if is_label { Self(Self::LABEL | vni) } else { Self(underlay << 24 | vni) }
    }
}
