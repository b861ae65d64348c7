//! Access to a frame's bytes.

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

use crate::checksum::Sum;

/// A header that can be copied out of a frame and back at any offset.
pub trait Header: FromBytes + IntoBytes + Immutable + KnownLayout + Unaligned + Copy {}

impl<T: FromBytes + IntoBytes + Immutable + KnownLayout + Unaligned + Copy> Header for T {}

/// A frame in flight, from its Ethernet destination address on.
///
/// A header that `read` returns has been bounds-checked; there is no other way to the bytes.
pub trait Frame {
    /// Bytes in the whole frame, those beyond the directly readable part included.
    fn len(&self) -> usize;

    /// Whether the frame has no bytes at all.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// A copy of the header at `offset`; `None` if the readable part ends before the header does.
    fn read<T: Header>(&self, offset: usize) -> Option<T>;

    /// Overwrites the header at `offset`; `None`, and nothing written, if it does not fit.
    fn write<T: Header>(&mut self, offset: usize, header: &T) -> Option<()>;

    /// The same value, of one byte, but so that neither the compiler nor the kernel's verifier can know it.
    ///
    /// The verifier walks every way through a program, and takes two ways that meet for one only if it knows
    /// the same of both. A constant that each of them has left in a variable keeps them apart up to the end,
    /// and every branch from there on is walked once for each. So constants are hidden where many ways meet.
    #[must_use]
    fn obscure<T: Copy>(&self, value: T) -> T {
        value
    }

    /// The same number, hidden likewise. A bound checked after that is checked by the program as well, where the
    /// verifier can see it.
    #[must_use]
    fn forget(&self, number: usize) -> usize {
        number
    }

    /// Moves the frame's start by so many bytes: forward, so that it loses them, or backward, so that it has more in
    /// front, whose values are anything. `None`, and nothing moved, if there is not that much room.
    fn move_front(&mut self, bytes: isize) -> Option<()>;

    /// Cuts so many bytes off the end; `None`, and nothing cut, if it can't be done.
    fn trim_back(&mut self, bytes: usize) -> Option<()>;

    /// The sum of so many bytes from an offset on, wherever in the frame they lie; `None` if they are not all there.
    fn sum(&self, offset: usize, bytes: usize) -> Option<Sum>;
}
