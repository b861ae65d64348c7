//! Good frames to start from: sound, with right checksums, and most of them meant for somebody.

use std::net::{Ipv4Addr, Ipv6Addr};
use std::sync::LazyLock;

use etherparse::{ArpOperation, ArpPacket, EtherType, IpFragOffset, IpHeaders, IpNumber, PacketBuilder};
use fastrand::Rng;

use crate::model::{
    BLUE, BLUE_V4, BLUE_V6, GATEWAYS, GENEVE_PORTS, LABEL, PORTS, RED, RED_V4, RED_V6, SITUATIONS, Situation,
    Tunnel, VTEPS, situations,
};

/// Inner TCP and UDP ports that some grant names, or that none does.
pub const INNER_PORTS: [u16; 7] = [80, 50, 59, 49, 443, 1023, 65_535];

static ALL: LazyLock<[Situation; SITUATIONS as usize]> = LazyLock::new(situations);

/// Which way a frame goes, seen from red.
#[derive(Clone, Copy)]
enum Way {
    ToBlue,
    ToRed,
}

/// An input with a sound frame in it.
#[must_use]
pub fn seed(rng: &mut Rng) -> Vec<u8> {
    let situation = rng.u8(..SITUATIONS);
    let way = if rng.bool() { Way::ToBlue } else { Way::ToRed };
    let side = match way {
        Way::ToBlue => 0,
        Way::ToRed => 1,
    };
    let network = &ALL[usize::from(situation)].networks[usize::from(side)];
    // In one situation both networks are behind one interface.
    let ingress = if rng.u8(..8) == 0 { 1 - side } else { side };
    let vni = match rng.u8(..16) {
        0..14 => network.vni,
        14 => RED,
        _ => BLUE,
    };
    let label = (rng.u8(..4) == 0).then(|| LABEL + rng.u32(..2));
    let inner = inner(way, rng);
    let (port, payload) = match if rng.u8(..16) == 0 { other(network.tunnel) } else { network.tunnel } {
        Tunnel::Vxlan => {
            let header = [&[8, 0, 0, 0][..], &(label.unwrap_or(vni) << 8).to_be_bytes()].concat();
            (PORTS[rng.usize(..PORTS.len())], [header, inner].concat())
        }
        Tunnel::Geneve => {
            (GENEVE_PORTS[rng.usize(..GENEVE_PORTS.len())], [geneve(vni, label, rng), inner].concat())
        }
    };
    [vec![situation, ingress], outer(ingress, port, &payload, rng)].concat()
}

fn other(tunnel: Tunnel) -> Tunnel {
    match tunnel {
        Tunnel::Vxlan => Tunnel::Geneve,
        Tunnel::Geneve => Tunnel::Vxlan,
    }
}

/// A Geneve header with options: the identifier, if there is a label, and others.
fn geneve(vni: u32, label: Option<u32>, rng: &mut Rng) -> Vec<u8> {
    let mut options = label.map(identifier).unwrap_or_default();
    for _ in 0..rng.usize(..4).saturating_sub(1) {
        options.extend(option(rng));
    }
    let words = u8::try_from(options.len() / 4).expect("few options");
    // Others are critical once in a while, and then it is not always said.
    let flags = if label.is_some() || rng.u8(..4) == 0 { 0x40 } else { 0 };
    [&[words, flags, 0x65, 0x58][..], &(vni << 8).to_be_bytes(), &options].concat()
}

fn identifier(label: u32) -> Vec<u8> {
    let [_, label @ ..] = label.to_be_bytes();
    [&[0xff, 0x49, 0x81, 2][..], &label, &[0, 0, 0, 0, 9]].concat()
}

/// A Geneve option with up to three words of data; now and then a critical one, or an identifier.
#[must_use]
pub fn option(rng: &mut Rng) -> Vec<u8> {
    let words = rng.u8(..4);
    let kind = match rng.u8(..16) {
        0 => return identifier(LABEL + rng.u32(..2)),
        1 => 0x81,
        _ => 0x01,
    };
    let data = std::iter::repeat_with(|| rng.u8(..)).take(usize::from(words) * 4);
    [0x01, 0x02, kind, words].into_iter().chain(data).collect()
}

/// The underlay's headers around a tunnel header and what follows it.
fn outer(ingress: u8, port: u16, payload: &[u8], rng: &mut Rng) -> Vec<u8> {
    let side = usize::from(ingress);
    let mut frame = Vec::new();
    PacketBuilder::ethernet2([6; 6], [2, 0, 0, 0, 0, 5 + ingress])
        .ipv4(VTEPS[side].octets(), GATEWAYS[side].octets(), 64)
        .udp(rng.u16(49_152..), port)
        .write(&mut frame, payload)
        .expect("a vector takes everything");
    if rng.bool() {
        // Most senders leave it out (RFC 7348 §4.1).
        frame[40..42].fill(0);
    }
    debug_assert_eq!(frame.len(), 42 + payload.len());
    frame
}

fn inner(way: Way, rng: &mut Rng) -> Vec<u8> {
    let port = INNER_PORTS[rng.usize(..INNER_PORTS.len())];
    let (source_port, destination_port) = match way {
        Way::ToBlue => (40_000, port),
        Way::ToRed => (port, 40_000),
    };
    let ethernet = PacketBuilder::ethernet2([4; 6], [8; 6]);
    let (source, destination) = v4(way, rng);
    let payload = vec![0x5a; rng.usize(..24)];
    let mut frame = Vec::new();
    let kind = rng.u8(..13);
    let written = match kind {
        0..=4 => {
            let ip = ethernet.ipv4(source.octets(), destination.octets(), 64);
            match kind {
                0 => ip.tcp(source_port, destination_port, 1, 512).syn().write(&mut frame, &payload),
                1 => ip.tcp(source_port, destination_port, 1, 512).ack(1).write(&mut frame, &payload),
                2 => ip.udp(source_port, destination_port).write(&mut frame, &payload),
                3 => ip.icmpv4_raw([0, 3, 8, 11, 13][rng.usize(..5)], 0, [0; 4]).write(&mut frame, &payload),
                _ => ip.write(&mut frame, IpNumber([47, 58, 50][rng.usize(..3)]), &payload),
            }
        }
        5 => {
            let mut ip = etherparse::Ipv4Header {
                identification: 7,
                protocol: IpNumber([1, 6, 17][rng.usize(..3)]),
                source: source.octets(),
                destination: destination.octets(),
                time_to_live: 64,
                ..etherparse::Ipv4Header::default()
            };
            ip.fragment_offset = IpFragOffset::try_new(rng.u16(..3)).unwrap_or_default();
            ip.more_fragments = rng.bool();
            let protocol = ip.protocol;
            ethernet
                .ip(IpHeaders::Ipv4(ip, etherparse::Ipv4Extensions::default()))
                .write(&mut frame, protocol, &payload)
        }
        6..=10 => {
            let (source, destination) = v6(way);
            let ip = ethernet.ipv6(source.octets(), destination.octets(), 64);
            match kind {
                6 => ip.tcp(source_port, destination_port, 1, 512).syn().write(&mut frame, &payload),
                7 => ip.udp(source_port, destination_port).write(&mut frame, &payload),
                8 => ip.icmpv6_raw([1, 128, 129, 136][rng.usize(..4)], 0, [0; 4]).write(&mut frame, &payload),
                9 => {
                    // Neighbour discovery asks a multicast group for the target.
                    ip.icmpv6_raw(135, 0, [0; 4]).write(&mut frame, &destination.octets())
                }
                _ => {
                    // The builder refuses to name extension headers that it did not write.
                    let written = ip.write(&mut frame, IpNumber(59), &payload);
                    frame[14 + 6] = [44, 1, 0][rng.usize(..3)];
                    written
                }
            }
        }
        11 => ArpPacket::new(
            etherparse::ArpHardwareId::ETHERNET,
            EtherType::IPV4,
            ArpOperation::REQUEST,
            &[8; 6],
            &source.octets(),
            &[0; 6],
            &destination.octets(),
        )
        .map_or(Ok(()), |arp| ethernet.arp(arp).write(&mut frame)),
        _ => {
            frame = [&[4; 6][..], &[8; 6], &[0x88, 0xcc], &payload].concat();
            Ok(())
        }
    };
    written.expect("a vector takes everything");
    frame
}

fn v4(way: Way, rng: &mut Rng) -> (Ipv4Addr, Ipv4Addr) {
    let (red, blue) = (RED_V4[rng.usize(..2)], BLUE_V4[rng.usize(..2)]);
    match way {
        Way::ToBlue => (red, blue),
        Way::ToRed => (blue, red),
    }
}

fn v6(way: Way) -> (Ipv6Addr, Ipv6Addr) {
    match way {
        Way::ToBlue => (RED_V6, BLUE_V6),
        Way::ToRed => (BLUE_V6, RED_V6),
    }
}
