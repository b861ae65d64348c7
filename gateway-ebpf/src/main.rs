//! Isthmus' XDP programs.
//!
//! The packet's life is [`isthmus_common::pipeline::process`]; this crate only lends it frames and
//! tables. `isthmus` runs on interfaces; `isthmus_trace` is the same pipeline for
//! `BPF_PROG_TEST_RUN`: it reads the same tables, and writes nothing but its result.
#![no_std]
#![no_main]
#![feature(asm_experimental_arch)]
#![expect(
    clippy::inline_always,
    reason = "the verifier loses what it knows of packet pointers across calls, and a call costs more than most steps"
)]
#![expect(clippy::needless_pass_by_value, reason = "the xdp macro hands the context over by value")]

mod frame;
mod maps;
mod tables;

use aya_ebpf::{bindings::xdp_action, macros::xdp, programs::XdpContext};
use isthmus_common::{pipeline, reason::Verdict, tables::Tables};
use zerocopy::FromZeros;

use crate::frame::XdpFrame;
use crate::tables::{LiveTables, TraceTables};

/// The gateway.
#[xdp(frags)]
pub(crate) fn isthmus(ctx: XdpContext) -> u32 {
    #[expect(clippy::cast_possible_truncation, reason = "it was widened from 32 bits")]
    let ingress = ctx.ingress_ifindex() as u32;
    run(&ctx, &LiveTables, ingress)
}

/// The gateway, asked what it would do.
#[xdp(frags)]
pub(crate) fn isthmus_trace(ctx: XdpContext) -> u32 {
    let ingress = maps::TRACE_INGRESS.get(0).copied().unwrap_or(0);
    run(&ctx, &TraceTables, ingress)
}

#[inline(always)]
fn run(ctx: &XdpContext, tables: &impl Tables, ingress: u32) -> u32 {
    // The map has this element: the branch is the verifier's.
    let Some(packet) = maps::PACKET.get_ptr_mut(0) else { return xdp_action::XDP_ABORTED };
    // SAFETY: the pointer is to this CPU's copy, and nothing interrupts XDP on it to run XDP again; a packet may be
    // all zero.
    let packet = unsafe {
        clear(packet);
        &mut *packet
    };
    match pipeline::process(&mut XdpFrame::new(ctx), tables, packet, ingress) {
        Verdict::Passed => xdp_action::XDP_PASS,
        Verdict::Dropped => xdp_action::XDP_DROP,
        Verdict::Redirected => xdp_action::XDP_REDIRECT,
        Verdict::Transmitted => xdp_action::XDP_TX,
    }
}

/// Fills a value with zeros, word by word: LLVM's BPF backend would call a function that does it byte by byte.
///
/// # Safety
/// As for [`core::ptr::write_bytes`] with one element.
#[inline(always)]
unsafe fn clear<T: FromZeros>(value: *mut T) {
    const { assert!(align_of::<T>() == 8) }
    for word in 0..size_of::<T>() / 8 {
        // SAFETY: the caller's promise; the alignment makes the size a multiple of 8.
        unsafe { value.cast::<u64>().add(word).write_volatile(0) }
    }
}

#[cfg(not(test))]
#[panic_handler]
fn panic(_info: &core::panic::PanicInfo<'_>) -> ! {
    loop {}
}

#[unsafe(link_section = "license")]
#[unsafe(no_mangle)]
static LICENSE: [u8; 13] = *b"Dual MIT/GPL\0";
