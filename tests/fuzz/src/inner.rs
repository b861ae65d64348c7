//! The oracle's reading of inner frames. Where the pipeline takes less of a frame than etherparse asks for (a TCP
//! header whose options are cut off), it reads the bytes themselves.

use std::net::{Ipv4Addr, Ipv6Addr};

use etherparse::{ArpPacketSlice, Ipv4HeaderSlice, Ipv6HeaderSlice};

use crate::model::Name;

/// The inner packet, as far as access is concerned.
pub struct Inner {
    /// Whom it is from.
    pub source: Name,
    /// Whom it is for.
    pub destination: Name,
    /// What it is to its flow.
    pub kind: Kind,
}

/// What an inner packet is to its flow.
#[derive(Clone, Copy)]
pub enum Kind {
    /// ARP, neighbour discovery, ICMP errors.
    Control,
    /// No transport header in it.
    Fragment {
        /// IP protocol.
        protocol: u8,
    },
    /// TCP.
    Tcp {
        /// Source and destination.
        ports: [u16; 2],
        /// SYN without ACK.
        opens: bool,
    },
    /// UDP.
    Udp {
        /// Source and destination.
        ports: [u16; 2],
    },
    /// ICMP of its IP version.
    Icmp {
        /// Not a reply.
        opens: bool,
    },
    /// ICMP's number in the other IP version, or anything else.
    Other {
        /// IP protocol.
        protocol: u8,
    },
    /// Neither IP nor ARP.
    Foreign,
}

/// Reads an inner frame; `None` if it is malformed.
#[must_use]
pub fn read(frame: &[u8]) -> Option<Inner> {
    let header: [u8; 14] = frame.get(..14)?.try_into().ok()?;
    let [destination @ .., _, _, _, _, _, _, _, _] = header;
    let [_, _, _, _, _, _, source @ .., _, _] = header;
    let payload = &frame[14..];
    match [header[12], header[13]] {
        [0x08, 0x00] => v4(payload),
        [0x86, 0xdd] => v6(payload),
        [0x08, 0x06] => arp(payload),
        _ => Some(Inner {
            source: Name::Mac(source),
            destination: Name::Mac(destination),
            kind: Kind::Foreign,
        }),
    }
}

fn v4(packet: &[u8]) -> Option<Inner> {
    let ip = Ipv4HeaderSlice::from_slice(packet).ok()?;
    let payload = packet.get(ip.slice().len()..usize::from(ip.total_len()))?;
    let protocol = ip.protocol().0;
    let kind = match protocol {
        _ if ip.fragments_offset().value() != 0 => Kind::Fragment { protocol },
        1 => match payload.get(..4)?[0] {
            3 | 4 | 11 | 12 => Kind::Control,
            reply => Kind::Icmp { opens: !matches!(reply, 0 | 14 | 16 | 18) },
        },
        _ => transport(protocol, payload)?,
    };
    let name = |address: Ipv4Addr| Name::Ip(address.into());
    Some(Inner { source: name(ip.source_addr()), destination: name(ip.destination_addr()), kind })
}

fn v6(packet: &[u8]) -> Option<Inner> {
    let ip = Ipv6HeaderSlice::from_slice(packet).ok()?;
    let payload = packet.get(40..40 + usize::from(ip.payload_length()))?;
    let mut destination = ip.destination_addr();
    let is_reserved = |address: Ipv6Addr| address.to_bits() != 0 && address.to_bits() >> 64 == 0;
    if is_reserved(ip.source_addr()) || is_reserved(destination) {
        return None;
    }
    let kind = match ip.next_header().0 {
        58 => match payload.get(..4)?[0] {
            135 => {
                let target: [u8; 16] = payload.get(8..24)?.try_into().ok()?;
                // The one asked for is whom the packet is for.
                destination = Ipv6Addr::from(target);
                Kind::Control
            }
            0..128 | 136 => Kind::Control,
            other => Kind::Icmp { opens: other != 129 },
        },
        protocol => transport(protocol, payload)?,
    };
    if is_reserved(destination) {
        return None;
    }
    let name = |address: Ipv6Addr| Name::Ip(address.into());
    Some(Inner { source: name(ip.source_addr()), destination: name(destination), kind })
}

fn arp(packet: &[u8]) -> Option<Inner> {
    let arp = ArpPacketSlice::from_slice(packet).ok()?;
    if (arp.hw_addr_type().0, arp.proto_addr_type().0) != (1, 0x0800) || arp.hw_addr_size() != 6 {
        return None;
    }
    let source: [u8; 4] = arp.sender_protocol_addr().try_into().ok()?;
    let destination: [u8; 4] = arp.target_protocol_addr().try_into().ok()?;
    let name = |octets: [u8; 4]| Name::Ip(Ipv4Addr::from(octets).into());
    Some(Inner { source: name(source), destination: name(destination), kind: Kind::Control })
}

/// What TCP, UDP and others look like in both IP versions. `None` if the header is cut off.
fn transport(protocol: u8, payload: &[u8]) -> Option<Kind> {
    let ports = |header: &[u8]| {
        [u16::from_be_bytes([header[0], header[1]]), u16::from_be_bytes([header[2], header[3]])]
    };
    Some(match protocol {
        // Up to the flags; the rest is the receiver's.
        6 => {
            let header = payload.get(..14)?;
            Kind::Tcp { ports: ports(header), opens: header[13] & 0x12 == 0x02 }
        }
        17 => Kind::Udp { ports: ports(payload.get(..8)?) },
        _ => Kind::Other { protocol },
    })
}
