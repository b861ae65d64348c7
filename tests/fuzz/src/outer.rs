//! The oracle's reading of what is in front of a tunnel header: whose is the frame, and how did it come?

use std::net::IpAddr;

use etherparse::{Ipv4HeaderSlice, Ipv6HeaderSlice, UdpHeaderSlice};
use isthmus_common::reason::Reason;

use crate::model::{Form, Interface, Situation, Tag, Tunnel};
use crate::oracle::{Fate, stays};
use crate::sums::residue;

/// How a frame came.
pub enum Arrival {
    /// On the interface or the VLAN of the network of this index.
    Device {
        /// The network's index.
        network: usize,
        /// The inner frame.
        inner: Vec<u8>,
    },
    /// In a tunnel.
    Tunnel(Outer),
}

/// The headers around a tunnel header.
#[derive(Clone)]
pub struct Outer {
    /// What the port says that follows.
    pub tunnel: Tunnel,
    /// Who sent it.
    pub source: IpAddr,
    /// DSCP and ECN.
    pub traffic_class: u8,
    /// TTL or hop limit.
    pub ttl: u8,
    /// IPv4 identification, and whether it must not be fragmented; `None` in IPv6.
    pub identification: Option<(u16, bool)>,
    /// IPv6 flow label; 0 in IPv4.
    pub flow_label: u32,
    /// Where the IP header is in the frame.
    pub ip_at: usize,
    /// Where the UDP header is in the frame.
    pub udp_at: usize,
    /// Where the packet ends; padding follows.
    pub end: usize,
}

/// What an IP header says of its packet.
struct Ip {
    outer: Outer,
    destination: IpAddr,
    protocol: u8,
    is_fragment: bool,
    has_options: bool,
    /// It has no checksum, or a right one.
    is_right: bool,
}

/// Finds out how a frame came by an interface.
///
/// # Errors
/// The fate of a frame that did not come for the gateway, or can't be read.
pub fn arrive(situation: &Situation, interface: &Interface, frame: &[u8]) -> Result<Arrival, Fate<'static>> {
    let here = |form: &Form| {
        (0..situation.networks.len()).find(|&index| {
            situation.networks[index].form == *form && situation.interface_of(index).index == interface.index
        })
    };
    if let Some(network) = here(&Form::Port) {
        return Ok(Arrival::Device { network, inner: frame.to_vec() });
    }
    let Some(mut ether_type) = word(frame, 12) else { return stays(Reason::OuterMalformed) };
    let mut at = 14;
    let mut tags = Vec::new();
    while is_tag(ether_type) {
        if at == 22 {
            // A third one.
            return stays(Reason::ForeignVlan);
        }
        let (Some(control), Some(next)) = (word(frame, at), word(frame, at + 2)) else {
            return stays(Reason::OuterMalformed);
        };
        let tag = Tag { is_service: ether_type == 0x88a8, id: control & 0xfff };
        // Service VLANs (IEEE 802.1Q's S-VLANs) are numbered apart.
        if at == 14
            && !tag.is_service
            && let Some(network) = here(&Form::Vlan(tag.id))
        {
            return Ok(Arrival::Device { network, inner: [&frame[..12], &frame[16..]].concat() });
        }
        tags.extend((tag.id != 0).then_some(tag));
        (ether_type, at) = (next, at + 4);
    }
    if !tags.is_empty() && !interface.stacks.contains(&tags) {
        return stays(Reason::ForeignVlan);
    }
    let ip = match ether_type {
        0x0800 => v4(frame, at)?,
        0x86dd => v6(frame, at)?,
        _ => return stays(Reason::NotIp),
    };
    tunnelled(interface, frame, ip).map(Arrival::Tunnel)
}

fn is_tag(ether_type: u16) -> bool {
    matches!(ether_type, 0x8100 | 0x88a8)
}

fn word(frame: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_be_bytes([*frame.get(at)?, *frame.get(at + 1)?]))
}

fn v4(frame: &[u8], at: usize) -> Result<Ip, Fate<'static>> {
    let rest = &frame[at..];
    let Ok(ip) = Ipv4HeaderSlice::from_slice(rest) else {
        // Options that are cut off concern only the gateway's own packets, and make those malformed.
        let has_options = rest.len() >= 20 && rest[0] > 0x45 && rest[0] <= 0x4f;
        return if has_options { Err(Fate::Hosts) } else { stays(Reason::OuterMalformed) };
    };
    let outer = Outer {
        tunnel: Tunnel::Vxlan,
        source: ip.source_addr().into(),
        traffic_class: rest[1],
        ttl: ip.ttl(),
        identification: Some((ip.identification(), ip.dont_fragment())),
        flow_label: 0,
        ip_at: at,
        udp_at: at + ip.slice().len(),
        end: at + usize::from(ip.total_len()),
    };
    Ok(Ip {
        outer,
        destination: ip.destination_addr().into(),
        protocol: ip.protocol().0,
        is_fragment: ip.more_fragments() || ip.fragments_offset().value() != 0,
        has_options: !ip.options().is_empty(),
        is_right: residue(ip.slice()) == 0,
    })
}

fn v6(frame: &[u8], at: usize) -> Result<Ip, Fate<'static>> {
    let Ok(ip) = Ipv6HeaderSlice::from_slice(&frame[at..]) else { return stays(Reason::OuterMalformed) };
    if ip.payload_length() == 0 {
        return stays(Reason::OuterMalformed);
    }
    let outer = Outer {
        tunnel: Tunnel::Vxlan,
        source: ip.source_addr().into(),
        traffic_class: ip.traffic_class(),
        ttl: ip.hop_limit(),
        identification: None,
        flow_label: ip.flow_label().value(),
        ip_at: at,
        udp_at: at + 40,
        end: at + 40 + usize::from(ip.payload_length()),
    };
    Ok(Ip {
        outer,
        destination: ip.destination_addr().into(),
        protocol: ip.next_header().0,
        is_fragment: ip.next_header().0 == 44,
        has_options: false,
        is_right: true,
    })
}

fn tunnelled(interface: &Interface, frame: &[u8], ip: Ip) -> Result<Outer, Fate<'static>> {
    let is_ours = match ip.destination {
        IpAddr::V4(address) => interface.v4.contains(&address),
        IpAddr::V6(address) => interface.v6.contains(&address),
    };
    if !is_ours {
        return stays(Reason::NotForGateway);
    }
    // In IPv6 the fragment header stands in UDP's place.
    let is_v6_fragment = ip.is_fragment && ip.destination.is_ipv6();
    if ip.protocol != 17 && !is_v6_fragment {
        return stays(Reason::NotTunnel);
    }
    if ip.is_fragment {
        return stays(Reason::OuterFragment);
    }
    let mut outer = ip.outer;
    let Ok(udp) = UdpHeaderSlice::from_slice(&frame[outer.udp_at..]) else {
        return stays(Reason::OuterMalformed);
    };
    let by = interface.ports.iter().find(|(port, _)| *port == udp.destination_port());
    let Some((_, tunnel)) = by else { return stays(Reason::NotTunnel) };
    outer.tunnel = *tunnel;
    if ip.has_options {
        return stays(Reason::OuterOptions);
    }
    let udp_length = usize::from(udp.length());
    if outer.end != outer.udp_at + udp_length || outer.end > frame.len() || udp_length < 8 + 8 {
        return stays(Reason::OuterLength);
    }
    if !ip.is_right {
        return stays(Reason::OuterChecksum);
    }
    Ok(outer)
}
