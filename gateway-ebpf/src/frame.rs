//! The frame behind an XDP context.

use core::{
    arch::asm,
    mem::{MaybeUninit, transmute_copy},
};

use aya_ebpf::{
    helpers::generated::{bpf_xdp_adjust_head, bpf_xdp_get_buff_len},
    programs::XdpContext,
};
use isthmus_common::frame::{Frame, Header};

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
        let mut byte = u64::from(unsafe { transmute_copy::<T, u8>(&value) });
        // SAFETY: the exclusive or with the same number twice leaves the byte as it was, which the verifier,
        // for which the number is any, doesn't see; nothing but the two registers is touched.
        unsafe {
            asm!("{0} ^= {1}", "{0} ^= {1}", inout(reg) byte, in(reg) self.len, options(pure, nomem, nostack));
        }
        #[expect(clippy::cast_possible_truncation, reason = "it was widened from 8 bits")]
        let byte = byte as u8;
        // SAFETY: the byte is the one that was taken from a `T`.
        unsafe { transmute_copy(&byte) }
    }

    #[inline(always)]
    fn forget(&self, mut number: usize) -> usize {
        // SAFETY: it moves a register to itself. (No instruction at all would leave two lines of source at one
        // instruction, which the kernel refuses.)
        unsafe { asm!("{0} = {0}", inout(reg) number, options(pure, nomem, nostack, preserves_flags)) }
        number
    }

    #[inline(always)]
    fn trim_front(&mut self, bytes: usize) -> Option<()> {
        let delta = i32::try_from(bytes).ok()?;
        // SAFETY: the context is the one the kernel gave this program; no pointer into the frame is kept.
        if unsafe { bpf_xdp_adjust_head(self.ctx.ctx, delta) } != 0 {
            return None;
        }
        self.len -= bytes as u64;
        Some(())
    }
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
