//! Scopes: what, together with the inner destination, selects a target.

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

use crate::encapsulation::Encapsulation;
use crate::id::Label;

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
    pub const MAX: u8 = 30;

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

/// The encapsulation's number in the highest three bits, the underlay's in the next five, the network's number
/// within that encapsulation (VNI, VLAN identifier, interface index) in the other 24. Labels have 0xff in the
/// top byte.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, FromBytes, IntoBytes, Immutable, KnownLayout,
)]
#[repr(transparent)]
pub struct Scope(u32);

impl Scope {
    /// Nobody's: no encapsulation has the number 0.
    pub const NONE: Self = Self(0);

    const LABEL: u32 = 0xff << 24;

    /// A network's scope on one underlay.
    #[must_use]
    pub const fn network(underlay: Underlay, encapsulation: Encapsulation, number: u32) -> Self {
        Self::on_wire(underlay.0 as u32, encapsulation.number(), number)
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

    /// What a packet with this number selects, arriving on the underlay of this number.
    #[inline(always)]
    #[must_use]
    pub const fn on_wire(underlay: u32, encapsulation: u8, number: u32) -> Self {
        Self((encapsulation as u32) << 29 | underlay << 24 | (number & 0x00ff_ffff))
    }
}

#[cfg(test)]
mod tests {
    use super::{Scope, Underlay};
    use crate::encapsulation::number;

    #[test]
    fn no_network_has_the_scope_of_a_label() {
        let largest = Scope::on_wire(u32::from(Underlay::MAX), number::PORT, 0x00ff_ffff);
        assert!(largest < Scope::labelled(0));
    }
}
