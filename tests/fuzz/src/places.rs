//! Where the headers of a frame are, as far as one can follow them, and mending what holds them together.

use std::ops::Range;

use crate::situations::{GENEVE_PORTS, VXLAN_PORTS};
use crate::sums::{datagram, header_checksum, udp_checksum};

/// Offsets in a frame. What is not in a tunnel has only an inner frame.
#[derive(Clone, Copy)]
pub struct Places {
    /// Bytes of VLAN tags.
    pub tags: usize,
    /// The outer headers, if it is in a tunnel.
    pub outer: Option<OuterPlaces>,
    /// The inner frame; behind a tag its Ethernet type is.
    pub inner_at: usize,
    /// The inner Ethernet type.
    pub inner_type_at: usize,
}

/// Offsets of the headers in front of an inner frame.
#[derive(Clone, Copy)]
pub struct OuterPlaces {
    /// The IP header.
    pub ip_at: usize,
    /// It is IPv6.
    pub is_v6: bool,
    /// The UDP header.
    pub udp_at: usize,
    /// The tunnel header.
    pub tunnel_at: usize,
    /// Bytes of Geneve options; `None` in VXLAN.
    pub options: Option<usize>,
}

fn word(frame: &[u8], at: usize) -> u16 {
    match frame.get(at..at + 2) {
        Some(word) => u16::from_be_bytes([word[0], word[1]]),
        None => 0,
    }
}

/// Finds the headers of a frame.
#[must_use]
pub fn places(frame: &[u8]) -> Places {
    let mut type_at = 12;
    while matches!(word(frame, type_at), 0x8100 | 0x88a8) && type_at < 20 {
        type_at += 4;
    }
    let tags = type_at - 12;
    let without = Places { tags, outer: None, inner_at: 0, inner_type_at: type_at };
    let ip_at = type_at + 2;
    let first = frame.get(ip_at).copied().unwrap_or_default();
    let (is_v6, udp_at) = match word(frame, type_at) {
        0x0800 => (false, ip_at + 4 * usize::from(first & 0xf)),
        0x86dd => (true, ip_at + 40),
        _ => return without,
    };
    let port = word(frame, udp_at + 2);
    let tunnel_at = udp_at + 8;
    let options = if GENEVE_PORTS.contains(&port) {
        Some(4 * usize::from(frame.get(tunnel_at).copied().unwrap_or_default() & 0x3f))
    } else if VXLAN_PORTS.contains(&port) {
        None
    } else {
        return without;
    };
    let inner_at = tunnel_at + 8 + options.unwrap_or(0);
    let outer = OuterPlaces { ip_at, is_v6, udp_at, tunnel_at, options };
    Places { tags, outer: Some(outer), inner_at, inner_type_at: inner_at + 12 }
}

/// Outer and inner lengths that fit the frame.
pub fn mend_lengths(frame: &mut [u8]) {
    let places = places(frame);
    let from = |at: usize| frame.len().saturating_sub(at);
    if let Some(outer) = places.outer {
        let (ip, udp) = (from(outer.ip_at), from(outer.udp_at));
        if outer.is_v6 {
            put(frame, outer.ip_at + 4..outer.ip_at + 6, udp);
        } else {
            put(frame, outer.ip_at + 2..outer.ip_at + 4, ip);
        }
        put(frame, outer.udp_at + 4..outer.udp_at + 6, udp);
    }
    let at = places.inner_type_at + 2;
    let left = frame.len().saturating_sub(at);
    match word(frame, at - 2) {
        0x0800 => put(frame, at + 2..at + 4, left),
        0x86dd => put(frame, at + 4..at + 6, left.saturating_sub(40)),
        _ => {}
    }
}

/// A right outer IPv4 header checksum, and, if it is asked for, a right UDP checksum where there is one.
pub fn mend_checksums(frame: &mut [u8], with_udp: bool) {
    let Some(outer) = places(frame).outer else { return };
    let ip = outer.ip_at..outer.udp_at;
    if !outer.is_v6 && frame.len() >= outer.udp_at && ip.len() >= 20 {
        frame[outer.ip_at + 10..outer.ip_at + 12].fill(0);
        let sum = header_checksum(&frame[ip]);
        frame[outer.ip_at + 10..outer.ip_at + 12].copy_from_slice(&sum);
    }
    let length = usize::from(word(frame, outer.udp_at + 4));
    let sum_at = outer.udp_at + 6;
    if !with_udp || word(frame, sum_at) == 0 || length < 8 || outer.udp_at + length > frame.len() {
        return;
    }
    if outer.is_v6 || outer.udp_at - outer.ip_at == 20 {
        frame[sum_at..sum_at + 2].fill(0);
        let sum = udp_checksum(&datagram(frame, outer.ip_at, outer.udp_at));
        frame[sum_at..sum_at + 2].copy_from_slice(&sum);
    }
}

fn put(frame: &mut [u8], field: Range<usize>, value: usize) {
    if let (Some(field), Ok(value)) = (frame.get_mut(field), u16::try_from(value)) {
        field.copy_from_slice(&value.to_be_bytes());
    }
}
