//! The frame behind an XDP context.

use core::{
    arch::asm,
    mem::{MaybeUninit, transmute_copy},
};

use aya_ebpf::{
    bindings::xdp_md,
    helpers::generated::{
        bpf_csum_diff, bpf_xdp_adjust_head, bpf_xdp_adjust_tail, bpf_xdp_get_buff_len, bpf_xdp_load_bytes,
    },
    programs::XdpContext,
};
use isthmus_common::checksum::Sum;
use isthmus_common::frame::{Frame, Header};

use crate::maps::{SCRATCH, SCRATCH_BYTES};

/// A frame in the driver's buffer; only its linear part can be read and written.
pub(crate) struct XdpFrame<'a> {
    ctx: &'a XdpContext,
    len: u64,
}

impl<'a> XdpFrame<'a> {
    #[inline(always)]
    pub(crate) fn new(ctx: &'a XdpContext) -> Self {
        // SAFETY: the context is the one the kernel gave this program.
        let len = unsafe { bpf_xdp_get_buff_len(ctx.ctx) };
        Self { ctx, len }
    }

    #[inline(always)]
    fn at<T>(&self, offset: usize) -> Option<*mut T> {
        let start = self.ctx.data() + offset;
        (start + size_of::<T>() <= self.ctx.data_end()).then_some(start as *mut T)
    }
}

impl Frame for XdpFrame<'_> {
    #[inline(always)]
    fn len(&self) -> usize {
        #[expect(clippy::cast_possible_truncation, reason = "BPF has 64-bit words only")]
        let len = self.len as usize;
        len
    }

    #[inline(always)]
    fn read<T: Header>(&self, offset: usize) -> Option<T> {
        let from = self.at::<T>(offset)?;
        let mut header = MaybeUninit::<T>::uninit();
        // SAFETY: `at` has checked the bounds, the copy fills every byte, and any bytes make a `Header`.
        unsafe {
            copy(from, header.as_mut_ptr());
            Some(header.assume_init())
        }
    }

    #[inline(always)]
    fn write<T: Header>(&mut self, offset: usize, header: &T) -> Option<()> {
        let to = self.at::<T>(offset)?;
        // SAFETY: `at` has checked the bounds; nobody else holds a reference into the frame.
        unsafe { copy(header, to) }
        Some(())
    }

    #[inline(always)]
    fn obscure<T: Copy>(&self, value: T) -> T {
        const { assert!(size_of::<T>() == 1) }
        // SAFETY: it is one byte, and a byte may have any value.
        let byte = usize::from(unsafe { transmute_copy::<T, u8>(&value) });
        #[expect(clippy::cast_possible_truncation, reason = "it was widened from 8 bits")]
        let byte = forget(byte, self.len) as u8;
        // SAFETY: the byte is the one that was taken from a `T`.
        unsafe { transmute_copy(&byte) }
    }

    #[inline(always)]
    fn forget(&self, number: usize) -> usize {
        forget(number, self.len)
    }

    #[inline(always)]
    fn move_front(&mut self, bytes: isize) -> Option<()> {
        let delta = i32::try_from(bytes).ok()?;
        // SAFETY: the context is the one the kernel gave this program; no pointer into the frame is kept.
        (unsafe { bpf_xdp_adjust_head(self.ctx.ctx, delta) } == 0).then_some(())
    }

    #[inline(always)]
    fn trim_back(&mut self, bytes: usize) -> Option<()> {
        let delta = i32::try_from(bytes).ok()?;
        // SAFETY: as above.
        (unsafe { bpf_xdp_adjust_tail(self.ctx.ctx, -delta) } == 0).then_some(())
    }

    #[inline(always)]
    fn sum(&self, offset: usize, bytes: usize) -> Option<Sum> {
        let (offset, bytes) = (u32::try_from(offset).ok()?, u32::try_from(bytes).ok()?);
        match sum(self.ctx.ctx, offset, bytes) {
            NO_SUM => None,
            sum => Some(Sum::from_memory_order(sum)),
        }
    }
}

/// The exclusive or with the same number twice leaves a number as it was, which neither the compiler nor the verifier,
/// for which the other number is any, can see. Not `pure`: the compiler must not take two of them for one.
#[inline(always)]
fn forget(mut number: usize, any: u64) -> usize {
    // SAFETY: nothing but the two registers is touched.
    unsafe {
        asm!("{0} ^= {1}", "{0} ^= {1}", inout(reg) number, in(reg) any, options(nomem, nostack));
    }
    number
}

/// What [`sum`] gives for bytes that are not there: no sum of 32 bits.
const NO_SUM: u64 = u64::MAX;

/// The kernel's checksum over bytes wherever they lie in a frame of one or more buffers.
///
/// A function of its own, so that the verifier walks its loop once and not on every way to it. The kernel sums up at most 512
/// bytes at a time before Linux 6.13.
#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn sum(ctx: *mut xdp_md, offset: u32, bytes: u32) -> u64 {
    /// As many as the longest IP packet needs.
    const BLOCKS: u32 = 0x1_0000 / SCRATCH_BYTES;
    let Some(scratch) = SCRATCH.get_ptr_mut(0) else { return NO_SUM };
    // SAFETY: the pointer is to this CPU's copy, and nothing interrupts XDP on it to run XDP again.
    let scratch = unsafe { &mut *scratch };
    let start = scratch.as_mut_ptr();
    let (mut at, mut left, mut sum) = (offset, bytes, 0_u32);
    for _ in 0..BLOCKS {
        if left < SCRATCH_BYTES {
            break;
        }
        // SAFETY: the buffer has room for the block, and the helpers check the frame's bounds.
        unsafe {
            if bpf_xdp_load_bytes(ctx, at, start.cast(), SCRATCH_BYTES) != 0 {
                return NO_SUM;
            }
            sum = block(start, SCRATCH_BYTES, sum);
        }
        at += SCRATCH_BYTES;
        left -= SCRATCH_BYTES;
    }
    if left >= SCRATCH_BYTES {
        return NO_SUM;
    }
    if left > 0 {
        // Counted from the last byte: from a comparison with zero, the verifier of Linux 6.1 does not learn that there is one.
        #[expect(clippy::cast_possible_truncation, reason = "it was widened from 32 bits")]
        let last = forget(left as usize - 1, sum.into()) as u32 & (SCRATCH_BYTES - 1);
        // What the last bytes don't fill of their word counts as zeros.
        if let Some(word) = scratch.get_mut(last as usize / 8) {
            *word = 0;
        }
        // SAFETY: as above; the last byte is one of a block.
        unsafe {
            if bpf_xdp_load_bytes(ctx, at, start.cast(), last + 1) != 0 {
                return NO_SUM;
            }
            sum = block(start, (last | 3) + 1, sum);
        }
    }
    sum.into()
}

/// # Safety
/// There are so many bytes, a multiple of 4 and at most 512.
#[inline(always)]
unsafe fn block(start: *mut u64, bytes: u32, seed: u32) -> u32 {
    // SAFETY: the caller's promise.
    let sum = unsafe { bpf_csum_diff(core::ptr::null_mut(), 0, start.cast(), bytes, seed) };
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a 32-bit sum")]
    let sum = sum as u32;
    sum
}

/// Copies a header in the largest words that divide its size, whatever its alignment.
///
/// `read_unaligned` would make LLVM's BPF backend load byte by byte and shift the bytes together:
/// several times the instructions, and more than the stack can hold. Its switch for machines that
/// don't mind (`allows-misaligned-mem-access`) makes it merge stores to the stack at odd offsets
/// as well, which the verifier refuses. So this claims alignment that packets do not have, as C
/// programs for XDP do. Where the machine does mind, the verifier checks packet access strictly
/// and refuses to load the program, so that the claim can't do harm at run time.
///
/// # Safety
/// As for [`core::ptr::copy_nonoverlapping`] with one element, except for the alignment.
#[inline(always)]
unsafe fn copy<T>(from: *const T, to: *mut T) {
    // SAFETY: the caller's promise; the words cover exactly one element.
    unsafe {
        if size_of::<T>().is_multiple_of(4) {
            copy_words::<u32>(from.cast(), to.cast(), size_of::<T>() / 4);
        } else if size_of::<T>().is_multiple_of(2) {
            copy_words::<u16>(from.cast(), to.cast(), size_of::<T>() / 2);
        } else {
            copy_words::<u8>(from.cast(), to.cast(), size_of::<T>());
        }
    }
}

#[inline(always)]
unsafe fn copy_words<W: Copy>(from: *const W, to: *mut W, count: usize) {
    for index in 0..count {
        // SAFETY: the caller's promise.
        unsafe { *to.add(index) = *from.add(index) }
    }
}
