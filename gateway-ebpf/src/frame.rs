//! The frame behind an XDP context.

use aya_ebpf::{helpers::generated::bpf_xdp_get_buff_len, programs::XdpContext};
use isthmus_common::frame::{Frame, Header};

/// A frame in the driver's buffer; only its linear part can be read and written.
pub(crate) struct XdpFrame<'a>(pub(crate) &'a XdpContext);

impl XdpFrame<'_> {
    #[inline(always)]
    fn at<T>(&self, offset: usize) -> Option<*mut T> {
        let start = self.0.data() + offset;
        (start + size_of::<T>() <= self.0.data_end()).then_some(start as *mut T)
    }
}

impl Frame for XdpFrame<'_> {
    #[inline(always)]
    fn len(&self) -> usize {
        // SAFETY: the context is the one the kernel gave this program.
        unsafe { bpf_xdp_get_buff_len(self.0.ctx) as usize }
    }

    #[inline(always)]
    fn read<T: Header>(&self, offset: usize) -> Option<T> {
        // SAFETY: `at` has checked the bounds, and any bytes make a `Header`.
        self.at::<T>(offset).map(|header| unsafe { header.read_unaligned() })
    }

    #[inline(always)]
    fn write<T: Header>(&mut self, offset: usize, header: &T) -> Option<()> {
        // SAFETY: `at` has checked the bounds; nobody else holds a reference into the frame.
        self.at::<T>(offset).map(|place| unsafe { place.write_unaligned(*header) })
    }
}
