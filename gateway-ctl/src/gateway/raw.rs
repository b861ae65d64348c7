//! Table keys and values on their way into the kernel.

use zerocopy::{FromZeros, Immutable, IntoBytes};

/// A value that BPF programs read byte for byte.
///
/// `aya` asks for its own marker trait on such types; they are defined in `isthmus-common`, which
/// knows nothing of `aya`, hence the wrapper.
#[derive(Clone, Copy, Debug)]
#[repr(transparent)]
pub struct Raw<T>(pub T);

// SAFETY: `IntoBytes` proves that every byte is initialised and that there is no padding, `FromZeros` and the
// kernel's copying back of what was written that the bytes read are a valid value.
unsafe impl<T: IntoBytes + FromZeros + Immutable + Copy + 'static> aya::Pod for Raw<T> {}
