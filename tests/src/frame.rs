//! VXLAN and Geneve frames by hand, to be injected, and the few facts tests want of those they catch.
//!
//! Built and parsed with `etherparse`, so that the product's own header code is not its own judge.

use std::net::{Ipv4Addr, SocketAddrV4};

use etherparse::{NetSlice, PacketBuilder, SlicedPacket, TransportSlice};

/// UDP destination port of VXLAN, RFC 7348 §5.
const VXLAN_PORT: u16 = 4789;

/// The VXLAN header: flags with the I bit, reserved, VNI, reserved (RFC 7348 §5).
const VXLAN_HEADER: usize = 8;

/// UDP destination port of Geneve, RFC 8926 §3.3.
const GENEVE_PORT: u16 = 6081;

/// The Geneve header's C bit: an option must be understood (RFC 8926 §3.4).
const GENEVE_CRITICAL: u8 = 0x40;

/// The type of a critical Geneve option has this bit (RFC 8926 §3.5).
const OPTION_CRITICAL: u8 = 0x80;

/// Outer headers of a tunnel frame.
#[derive(Clone, Copy, Debug)]
pub struct Outer {
    /// Who sends it.
    pub source_mac: [u8; 6],
    /// The next hop.
    pub destination_mac: [u8; 6],
    /// The sending tunnel endpoint.
    pub source: Ipv4Addr,
    /// The receiving tunnel endpoint.
    pub destination: Ipv4Addr,
    /// UDP source port: the flow's entropy.
    pub source_port: u16,
    /// Virtual network identifier.
    pub vni: u32,
}

impl Outer {
    /// The whole VXLAN frame around an inner one. Its outer UDP checksum is zero.
    ///
    /// # Panics
    ///
    /// If the inner frame does not fit an IP packet.
    #[must_use]
    pub fn wrap(&self, inner: &[u8]) -> Vec<u8> {
        let mut payload = vec![0x08, 0, 0, 0];
        payload.extend((self.vni << 8).to_be_bytes());
        payload.extend(inner);
        self.udp(VXLAN_PORT, &payload)
    }

    /// The whole Geneve frame around an inner one, with these options; C is set if one of them is critical.
    /// Its outer UDP checksum is zero.
    ///
    /// # Panics
    ///
    /// If the inner frame does not fit an IP packet, or the options not a Geneve header.
    #[must_use]
    pub fn wrap_geneve(&self, options: &[GeneveOption<'_>], inner: &[u8]) -> Vec<u8> {
        let critical = options.iter().any(|option| option.kind & OPTION_CRITICAL != 0);
        let options = options.iter().flat_map(GeneveOption::bytes).collect::<Vec<_>>();
        let words = u8::try_from(options.len() / 4).ok().filter(|&words| words < 64);
        let mut payload = vec![
            words.expect("at most 252 bytes of options"),
            if critical { GENEVE_CRITICAL } else { 0 },
            0x65,
            0x58,
        ];
        payload.extend((self.vni << 8).to_be_bytes());
        payload.extend(options);
        payload.extend(inner);
        self.udp(GENEVE_PORT, &payload)
    }

    fn udp(&self, port: u16, payload: &[u8]) -> Vec<u8> {
        let builder = PacketBuilder::ethernet2(self.source_mac, self.destination_mac)
            .ipv4(self.source.octets(), self.destination.octets(), 64)
            .udp(self.source_port, port);
        let mut frame = Vec::with_capacity(builder.size(payload.len()));
        builder.write(&mut frame, payload).expect("the payload fits an IP packet");
        let udp_checksum = 14 + 20 + 6;
        frame[udp_checksum..udp_checksum + 2].fill(0);
        frame
    }
}

/// A Geneve option (RFC 8926 §3.5).
#[derive(Clone, Copy, Debug)]
pub struct GeneveOption<'a> {
    /// Who defines the type.
    pub class: u16,
    /// The type; 0x80 is the critical bit.
    pub kind: u8,
    /// A multiple of four bytes.
    pub data: &'a [u8],
}

impl GeneveOption<'_> {
    fn bytes(&self) -> Vec<u8> {
        let words = u8::try_from(self.data.len() / 4).expect("at most 124 bytes of data");
        [&self.class.to_be_bytes(), &[self.kind, words][..], self.data].concat()
    }
}

/// An inner Ethernet frame with a UDP datagram, its checksums right.
///
/// # Panics
///
/// If the payload does not fit an IP packet.
#[must_use]
pub fn inner_udp(source: SocketAddrV4, destination: SocketAddrV4, payload: &[u8]) -> Vec<u8> {
    // Locally administered addresses that nobody else has.
    let builder = PacketBuilder::ethernet2([2, 0, 0, 0, 0, 0x10], [2, 0, 0, 0, 0, 0x20])
        .ipv4(source.ip().octets(), destination.ip().octets(), 64)
        .udp(source.port(), destination.port());
    let mut frame = Vec::with_capacity(builder.size(payload.len()));
    builder.write(&mut frame, payload).expect("the payload fits an IP packet");
    frame
}

/// What is in a VXLAN frame.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Vxlan {
    /// Outer source and destination.
    pub outer: (Ipv4Addr, Ipv4Addr),
    /// UDP source port.
    pub source_port: u16,
    /// VXLAN network identifier.
    pub vni: u32,
    /// The frame inside.
    pub inner: Vec<u8>,
}

/// Takes a VXLAN-over-IPv4 frame apart; `None` if it is something else.
#[must_use]
pub fn parse_vxlan(frame: &[u8]) -> Option<Vxlan> {
    let packet = SlicedPacket::from_ethernet(frame).ok()?;
    let Some(NetSlice::Ipv4(ip)) = &packet.net else { return None };
    let Some(TransportSlice::Udp(udp)) = &packet.transport else { return None };
    let (header, inner) = udp.payload().split_at_checked(VXLAN_HEADER)?;
    if udp.destination_port() != VXLAN_PORT {
        return None;
    }
    Some(Vxlan {
        outer: (ip.header().source_addr(), ip.header().destination_addr()),
        source_port: udp.source_port(),
        vni: u32::from_be_bytes([0, header[4], header[5], header[6]]),
        inner: inner.to_vec(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wrapped_frame_comes_apart_again() {
        let inner = inner_udp("10.0.0.10:4000".parse().unwrap(), "10.0.0.20:5000".parse().unwrap(), b"hello");
        let outer = Outer {
            source_mac: [2, 0, 0, 0, 0, 1],
            destination_mac: [2, 0, 0, 0, 0, 2],
            source: Ipv4Addr::new(192, 0, 2, 10),
            destination: Ipv4Addr::new(192, 0, 2, 1),
            source_port: 50_000,
            vni: 0x00ab_cdef,
        };
        let parsed = parse_vxlan(&outer.wrap(&inner)).unwrap();
        assert_eq!(
            parsed,
            Vxlan { outer: (outer.source, outer.destination), source_port: 50_000, vni: 0x00ab_cdef, inner }
        );
        assert_eq!(parse_vxlan(&parsed.inner), None, "the inner frame is no VXLAN");
    }
}
