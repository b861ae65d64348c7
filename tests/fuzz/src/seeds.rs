//! Good frames to start from: sound, with right checksums, and most of them meant for somebody.

use std::net::IpAddr;

use etherparse::{IpNumber, Ipv4Header, Ipv6FlowLabel, Ipv6Header, UdpHeader};
use fastrand::Rng;

use crate::model::{Form, Hop, Member, Network, Place, Situation, Tag, Tunnel};
use crate::senders::{self, class};
use crate::situations::{
    BLUE, GATEWAYS, GATEWAYS_V6, GENEVE_PORTS, LABEL, OVN_PORTS, RED, SITUATIONS, VLANS, VTEPS, VXLAN_PORTS,
    situation, stack,
};

/// An input with a sound frame in it.
#[must_use]
pub fn seed(rng: &mut Rng) -> Vec<u8> {
    seed_in(rng.u16(..SITUATIONS), rng)
}

/// An input with a sound frame in it, in the situation of a number.
#[must_use]
pub fn seed_in(number: u16, rng: &mut Rng) -> Vec<u8> {
    let situation = situation(number);
    let side = rng.usize(..2);
    let (network, other) = (&situation.networks[side], &situation.networks[1 - side]);
    let pick = |network: &Network, rng: &mut Rng| rng.usize(..network.members.len());
    let index = pick(network, rng);
    let from = &network.members[index];
    // Of the same IP version, mostly.
    let to = match (index, rng.u8(..8)) {
        (_, 0) => pick(other, rng),
        (2, _) => 2,
        _ => rng.usize(..2),
    };
    let asks = rng.bool();
    let inner = senders::frame(from, &other.members[to], asks, rng);
    // Once in a while it comes by the other interface, over another underlay perhaps, from the same sender.
    let by = if rng.u8(..12) == 0 { 1 - network.interface } else { network.interface };
    let frame = wrap(&situation, side, by, from, &inner, rng);
    let interface = if rng.u8(..48) == 0 { rng.usize(..3) } else { by };
    let room = if rng.u8(..6) == 0 { rng.u8(..60) } else { 60 + rng.u8(..24) };
    let choice = room * 3 + [0, 1, 2][interface];
    let [high, low] = number.to_be_bytes();
    [vec![high, low, choice], frame].concat()
}

/// What goes around an inner frame in its network, or once in a while in another.
fn wrap(
    situation: &Situation,
    side: usize,
    by: usize,
    from: &Member,
    inner: &[u8],
    rng: &mut Rng,
) -> Vec<u8> {
    let network = &situation.networks[side];
    let vni = match rng.u8(..24) {
        0 => RED,
        1 => BLUE,
        2 => LABEL,
        _ => network.form.tunnel().map_or(RED, |(_, vni)| vni),
    };
    let label = match &network.form {
        Form::Peer(_) => Some(LABEL),
        _ if situation.mappings.iter().any(|mapping| mapping.label.is_some()) => {
            (rng.u8(..3) == 0).then_some(LABEL)
        }
        _ => (rng.u8(..32) == 0).then_some(LABEL),
    };
    let label = label.map(|label| label + rng.u32(..2));
    let tunnel = match rng.u8(..20) {
        0 => [Tunnel::Vxlan, Tunnel::Group, Tunnel::Geneve][rng.usize(..3)],
        _ => match &network.form {
            Form::Vlan(id) => return tagged(*id, inner, rng),
            Form::Port => return inner.to_vec(),
            Form::Vxlan(_) => Tunnel::Vxlan,
            Form::Group(..) => Tunnel::Group,
            Form::Geneve(_) | Form::Ovn(..) | Form::Peer(_) => Tunnel::Geneve,
        },
    };
    let is_ovn = matches!(network.form, Form::Ovn(..)) != (rng.u8(..24) == 0);
    let (header, port) = match tunnel {
        Tunnel::Vxlan | Tunnel::Group => {
            let group = tunnel == Tunnel::Group && rng.bool();
            let first = if group { [0x88, [0, 8, 0x40, 0x48][rng.usize(..4)], 0, 9] } else { [8, 0, 0, 0] };
            let port = VXLAN_PORTS[usize::from(tunnel == Tunnel::Group)];
            ([first, (label.unwrap_or(vni) << 8).to_be_bytes()].concat(), port)
        }
        Tunnel::Geneve => (geneve(vni, label, is_ovn, rng), GENEVE_PORTS[rng.usize(..2)]),
    };
    let port = if network.port != 0 && rng.u8(..8) > 0 { network.port } else { port };
    let payload = [&header[..], inner].concat();
    let (to, tags) = match &from.place {
        Place::Behind(hop) => (hop.to, hop.tags.clone()),
        Place::Here | Place::Unknown => (VTEPS[side].into(), Vec::new()),
    };
    let own = usize::from(!tags.is_empty());
    let from = if to.is_ipv6() { GATEWAYS_V6[by][own].into() } else { GATEWAYS[by][own].into() };
    outer(&Hop { to, from, tags, is_resolved: true }, by, port, &payload, rng)
}

fn tagged(id: u16, inner: &[u8], rng: &mut Rng) -> Vec<u8> {
    let id = if rng.u8(..24) == 0 { VLANS[rng.usize(..2)] } else { id };
    let control = id | rng.u16(..16) << 12;
    let kind = if rng.u8(..8) == 0 { [0x88, 0xa8] } else { [0x81, 0x00] };
    [&inner[..12], &kind, &control.to_be_bytes(), &inner[12..]].concat()
}

/// A Geneve header with options: the identifier if there is a label, or else OVN's, and others.
fn geneve(vni: u32, label: Option<u32>, is_ovn: bool, rng: &mut Rng) -> Vec<u8> {
    let mut options = match label {
        Some(label) => identifier(label),
        None if is_ovn => ovn(rng),
        None => Vec::new(),
    };
    let is_critical = !options.is_empty();
    let others = match rng.u8(..16) {
        // So many that one more does not fit.
        0 => 40,
        1..5 => rng.usize(1..4),
        _ => 0,
    };
    for _ in 0..others {
        let next = option(rng);
        if options.len() + next.len() <= 252 {
            options.extend(next);
        }
    }
    let words = u8::try_from(options.len() / 4).expect("63 at most");
    // Others are critical once in a while, and then it is not always said.
    let flags = if is_critical || rng.u8(..8) == 0 { 0x40 } else { 0 };
    [&[words, flags, 0x65, 0x58][..], &(vni << 8).to_be_bytes(), &options].concat()
}

/// The identifier option.
#[must_use]
pub fn identifier(label: u32) -> Vec<u8> {
    let [_, label @ ..] = label.to_be_bytes();
    [&[0xff, 0x49, 0x81, 2][..], &label, &[0, 0, 0, 0, 9]].concat()
}

/// OVN's option.
#[must_use]
pub fn ovn(rng: &mut Rng) -> Vec<u8> {
    let ports = [OVN_PORTS[rng.usize(..2)].to_be_bytes(), rng.u16(..).to_be_bytes()].concat();
    [&[0x01, 0x02, 0x80, 1][..], &ports].concat()
}

/// A Geneve option with up to three words of data; now and then a critical one, an identifier or OVN's.
#[must_use]
pub fn option(rng: &mut Rng) -> Vec<u8> {
    let words = rng.u8(..4);
    let kind = match rng.u8(..48) {
        0 => return identifier(LABEL + rng.u32(..2)),
        1 => return ovn(rng),
        2 => 0x81,
        3 => 0x80,
        _ => 0x01,
    };
    let data = std::iter::repeat_with(|| rng.u8(..)).take(usize::from(words) * 4);
    [0x01, 0x02, kind, words].into_iter().chain(data).collect()
}

/// The underlay's headers around a tunnel header and what follows it, as whoever is at the end of a hop sends them.
fn outer(hop: &Hop, side: usize, port: u16, payload: &[u8], rng: &mut Rng) -> Vec<u8> {
    let low = [5, 6][side];
    let mut frame = vec![2, 0, 0, 0, 0, low, 6, 6, 6, 6, 6, 6];
    let tags = match rng.u8(..16) {
        0 => stack(rng.usize(..3)),
        1 => vec![Tag { is_service: false, id: 0 }],
        2 => [vec![Tag { is_service: rng.bool(), id: 0 }], hop.tags.clone()].concat(),
        _ => hop.tags.clone(),
    };
    for tag in tags {
        frame.extend(if tag.is_service { [0x88, 0xa8] } else { [0x81, 0x00] });
        frame.extend((tag.id | rng.u16(..16) << 12).to_be_bytes());
    }
    let ttl = [64, 64, 64, 64, 255, 2, 1, 0][rng.usize(..8)];
    let source_port = rng.u16(49_152..);
    // Most senders leave the checksum out (RFC 7348 §4.1).
    let has_checksum = rng.u8(..3) > 0;
    let udp = match (hop.to, hop.from) {
        (IpAddr::V4(from), IpAddr::V4(to)) => {
            let mut ip =
                Ipv4Header::new(0, ttl, IpNumber::UDP, from.octets(), to.octets()).expect("no options");
            ip.set_payload_len(8 + payload.len()).expect("short");
            ip.identification = rng.u16(..);
            ip.dont_fragment = rng.bool();
            frame.extend([0x08, 0x00]);
            let at = frame.len();
            ip.write(&mut frame).expect("a vector takes everything");
            frame[at + 1] = class(rng);
            frame[at + 10..at + 12].fill(0);
            let sum = crate::sums::header_checksum(&frame[at..]);
            frame[at + 10..at + 12].copy_from_slice(&sum);
            UdpHeader::with_ipv4_checksum(source_port, port, &ip, payload)
        }
        (from, to) => {
            let octets = |address: IpAddr| match address {
                IpAddr::V6(address) => address.octets(),
                IpAddr::V4(address) => address.to_ipv6_mapped().octets(),
            };
            let ip = Ipv6Header {
                traffic_class: class(rng),
                flow_label: Ipv6FlowLabel::try_new(rng.u32(..1 << 20)).unwrap_or_default(),
                payload_length: u16::try_from(8 + payload.len()).expect("short"),
                next_header: IpNumber::UDP,
                hop_limit: ttl,
                source: octets(from),
                destination: octets(to),
            };
            frame.extend([0x86, 0xdd]);
            ip.write(&mut frame).expect("a vector takes everything");
            UdpHeader::with_ipv6_checksum(source_port, port, &ip, payload)
        }
    };
    let mut udp = udp.expect("short").to_bytes();
    if !has_checksum {
        udp[6..8].fill(0);
    }
    frame.extend(udp);
    frame.extend(payload);
    if rng.u8(..16) == 0 {
        // Padding.
        frame.extend(std::iter::repeat_n(0, rng.usize(1..12)));
    }
    frame
}
