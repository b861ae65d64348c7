//! What a translated frame looks like, built from docs/wire-format.md: every byte in front of the inner frame anew.

use std::net::IpAddr;
use std::ops::Range;

use isthmus_common::rules::Direction;

use crate::ecn::traffic_class;
use crate::model::{Form, Hop, Place, Tunnel};
use crate::oracle::Goal;
use crate::outer::Outer;
use crate::sums::{datagram, header_checksum, udp_checksum};
use crate::tables::hop_mac;
use crate::tunnel::Header;

/// Where an inner frame came from.
pub struct Source {
    /// The headers in front of it, if it came in a tunnel.
    pub tunnel: Option<(Outer, Header)>,
    /// The inner frame.
    pub inner: Vec<u8>,
    /// What was behind the outer packet.
    pub padding: Vec<u8>,
}

/// What a frame should look like.
pub struct Expected {
    /// Its bytes, but for what is named below.
    pub bytes: Vec<u8>,
    /// Bytes in front of the inner frame.
    pub in_front: usize,
    /// Where its UDP checksum is, if it is as wrong as the packet's before: its value, if it is right or none,
    /// is among the bytes.
    pub kept_checksum: Option<KeptChecksum>,
    /// Where its IP header and its UDP header are, if the source port is the gateway's to choose. The checksum is then
    /// right over IPv6, and none over IPv4.
    pub chosen_port: Option<(usize, usize)>,
    /// Where the inner IPv4 header's checksum is, if it had to change: one of two zeros is as good as the other.
    pub inner_checksum: Option<Range<usize>>,
}

/// A UDP checksum that is as wrong as before.
#[derive(Clone, Copy)]
pub struct KeptChecksum {
    /// Where the IP header and the UDP header were in the frame.
    pub before: (usize, usize),
    /// Where they are.
    pub after: (usize, usize),
}

/// The tunnel header with its options; empty if it goes to a VLAN or a port.
pub(crate) fn tunnel_header(goal: &Goal, source: &Source) -> Vec<u8> {
    let form = &goal.network.form;
    let old = source.tunnel.as_ref().map(|(outer, header)| (outer.tunnel, header));
    let bytes = source.before();
    match form {
        Form::Vlan(_) | Form::Port => Vec::new(),
        Form::Vxlan(vni) => {
            let first = match old {
                Some((Tunnel::Vxlan, _)) => [bytes[0], bytes[1], bytes[2], bytes[3]],
                _ => [8, 0, 0, 0],
            };
            let reserved = if matches!(old, Some((Tunnel::Vxlan, _))) { bytes[7] } else { 0 };
            [&first[..], &number(*vni), &[reserved]].concat()
        }
        Form::Group(vni, group) => {
            let (mut first, reserved) = match old {
                Some((Tunnel::Group, _)) => ([bytes[0], bytes[1], bytes[2], bytes[3]], bytes[7]),
                _ => ([8, 0, 0, 0], 0),
            };
            if let Some(group) = group {
                let [high, low] = group.to_be_bytes();
                first = [first[0] | 0x80, first[1], high, low];
            }
            [&first[..], &number(*vni), &[reserved]].concat()
        }
        Form::Geneve(vni) => geneve(&source.geneve(), *vni, &[]),
        Form::Ovn(vni, ingress) => {
            let ports = [ingress.to_be_bytes(), goal.member.ovn_port.to_be_bytes()].concat();
            geneve(&source.geneve(), *vni, &[&[1, 2, 0x80, 1][..], &ports].concat())
        }
        Form::Peer(_) => {
            let label = goal.mapping.label.unwrap_or_default();
            let is_return = u8::from(goal.direction == Direction::Return);
            let epoch = goal.mapping.version.to_be_bytes();
            let option = [&[0xff, 0x49, 0x81, 2][..], &number(label), &[is_return], &epoch].concat();
            geneve(&source.geneve(), label, &option)
        }
    }
}

fn number(vni: u32) -> [u8; 3] {
    let [_, number @ ..] = vni.to_be_bytes();
    number
}

/// What goes on of a Geneve header.
#[derive(Default)]
struct Kept {
    reserved: [u8; 2],
    options: Vec<u8>,
}

fn geneve(kept: &Kept, vni: u32, own: &[u8]) -> Vec<u8> {
    let options = [own, &kept.options].concat();
    // More than 63 words are refused before anybody looks at this.
    let words = u8::try_from(options.len() / 4).unwrap_or(u8::MAX);
    let critical = if own.is_empty() { 0 } else { 0x40 };
    let first = [words, kept.reserved[0] & 0x3f | critical, 0x65, 0x58];
    [&first[..], &number(vni), &[kept.reserved[1]], &options].concat()
}

impl Source {
    /// The tunnel header that it came with.
    fn before(&self) -> &[u8] {
        self.tunnel.as_ref().map_or(&[], |(_, header)| &header.bytes)
    }

    fn geneve(&self) -> Kept {
        match &self.tunnel {
            Some((outer, header)) if outer.tunnel == Tunnel::Geneve => Kept {
                reserved: [header.bytes[1], header.bytes[7]],
                options: header.bytes[8 + header.own..].to_vec(),
            },
            _ => Kept::default(),
        }
    }
}

/// The whole frame; `inner` is the inner frame with the mark that it leaves with, `before` the frame that came.
pub(crate) fn frame(goal: &Goal, source: &Source, header: &[u8], inner: &[u8], before: &[u8]) -> Expected {
    match (&goal.member.place, &goal.network.form) {
        (Place::Behind(hop), _) => tunnelled(goal, hop, source, header, before),
        (_, Form::Vlan(id)) => {
            let tag = [&[0x81, 0][..], &id.to_be_bytes()].concat();
            let bytes = [&inner[..12], &tag, &inner[12..]].concat();
            Expected { inner_checksum: mended(inner, source, 4), ..Expected::plain(bytes, 4) }
        }
        _ => Expected { inner_checksum: mended(inner, source, 0), ..Expected::plain(inner.to_vec(), 0) },
    }
}

/// Where an inner IPv4 header's checksum is that is not what it was.
fn mended(inner: &[u8], source: &Source, in_front: usize) -> Option<Range<usize>> {
    (inner != source.inner && inner[12] == 0x08).then_some(in_front + 24..in_front + 26)
}

impl Expected {
    fn plain(bytes: Vec<u8>, in_front: usize) -> Self {
        Self { bytes, in_front, kept_checksum: None, chosen_port: None, inner_checksum: None }
    }
}

fn tunnelled(goal: &Goal, hop: &Hop, source: &Source, header: &[u8], before: &[u8]) -> Expected {
    let payload = [header, &source.inner].concat();
    let udp_length = short(8 + payload.len());
    let outer = source.tunnel.as_ref().map(|(outer, _)| outer);
    let mut frame = [hop_mac(hop.to), goal.egress.mac].concat();
    for tag in &hop.tags {
        frame.extend(if tag.is_service { [0x88, 0xa8] } else { [0x81, 0] });
        frame.extend(tag.id.to_be_bytes());
    }
    let class = outer.map_or_else(|| traffic_class(&source.inner), |outer| outer.traffic_class);
    let ttl = outer.map_or(64, |outer| outer.ttl - 1);
    let ip_at = frame.len() + 2;
    match (hop.from, hop.to) {
        (IpAddr::V4(from), IpAddr::V4(to)) => {
            let (identification, is_whole) =
                outer.and_then(|outer| outer.identification).unwrap_or((0, true));
            let total = short(20 + 8 + payload.len());
            frame.extend([0x08, 0x00, 0x45, class]);
            frame.extend([total, identification.to_be_bytes()].concat());
            frame.extend([if is_whole { 0x40 } else { 0 }, 0, ttl, 17, 0, 0]);
            frame.extend([from.octets(), to.octets()].concat());
            let sum = header_checksum(&frame[ip_at..]);
            frame[ip_at + 10..ip_at + 12].copy_from_slice(&sum);
        }
        (from, to) => {
            let octets = |address: IpAddr| match address {
                IpAddr::V6(address) => address.octets(),
                IpAddr::V4(address) => address.to_ipv6_mapped().octets(),
            };
            let flow_label = outer.map_or(0, |outer| outer.flow_label);
            let first = 6 << 28 | u32::from(class) << 20 | flow_label;
            frame.extend([0x86, 0xdd]);
            frame.extend(first.to_be_bytes());
            frame.extend(udp_length);
            frame.extend([17, ttl]);
            frame.extend([octets(from), octets(to)].concat());
        }
    }
    let udp_at = frame.len();
    // Source port and checksum, if it came in UDP.
    let old = outer.map(|outer| &before[outer.udp_at..]);
    frame.extend(old.map_or([0, 0], |udp| [udp[0], udp[1]]));
    frame.extend(goal.network.port.to_be_bytes());
    frame.extend(udp_length);
    frame.extend([0, 0]);
    let in_front = frame.len() + header.len();
    frame.extend(&payload);
    let had_checksum = old.is_some_and(|udp| udp[6..8] != [0, 0]);
    let computes = hop.to.is_ipv6() && !had_checksum;
    if computes && old.is_some() {
        let sum = udp_checksum(&datagram(&frame, ip_at, udp_at));
        frame[udp_at + 6..udp_at + 8].copy_from_slice(&sum);
    }
    frame.extend(&source.padding);
    Expected {
        bytes: frame,
        in_front,
        kept_checksum: outer
            .filter(|_| had_checksum)
            .map(|outer| KeptChecksum { before: (outer.ip_at, outer.udp_at), after: (ip_at, udp_at) }),
        chosen_port: outer.is_none().then_some((ip_at, udp_at)),
        inner_checksum: None,
    }
}

/// A length as it stands in headers; frames here are far shorter than that.
fn short(length: usize) -> [u8; 2] {
    u16::try_from(length).unwrap_or(u16::MAX).to_be_bytes()
}
