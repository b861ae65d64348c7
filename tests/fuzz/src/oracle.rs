//! What should become of a frame, decided from the declarations and docs/wire-format.md.
//!
//! It shares no code with the pipeline but the names of the reasons: frames are read with etherparse, and instead
//! of tables there are searches through everything declared. Where the pipeline takes less of a frame than etherparse
//! asks for (a TCP header whose options are cut off), the oracle reads the bytes themselves.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use etherparse::{ArpPacketSlice, Ethernet2HeaderSlice, Ipv4HeaderSlice, Ipv6HeaderSlice, UdpHeaderSlice};
use isthmus_common::reason::Reason;
use isthmus_common::rules::Direction;

use crate::model::{Grant, Interface, Level, Mapping, Member, Network, Situation, Traffic, Tunnel};
use crate::tunnel::{self, Origin};

/// What becomes of a frame.
pub enum Fate<'s> {
    /// It is passed or dropped, for this reason.
    Stays(Reason),
    /// It is the host's; which of the reasons for that holds first is left open.
    Hosts,
    /// It is translated and leaves.
    Leaves(Way<'s>),
}

/// Where a translated frame goes.
pub struct Way<'s> {
    /// Forwarded or hairpinned.
    pub reason: Reason,
    /// Number of the mapping that lets it through.
    pub mapping: u32,
    /// Which way through the mapping.
    pub direction: Direction,
    /// The network it goes to.
    pub network: &'s Network,
    /// The endpoint there.
    pub member: &'s Member,
    /// The interface that leads there.
    pub egress: &'s Interface,
    /// The tunnel it came by.
    pub tunnel: Tunnel,
    /// Bytes of options, the first ones, that don't go on.
    pub lost: u16,
}

/// The inner packet, as far as access is concerned.
struct Inner {
    source: IpAddr,
    destination: IpAddr,
    kind: Kind,
}

/// What an inner packet is to its flow.
#[derive(Clone, Copy)]
enum Kind {
    /// ARP, neighbour discovery, ICMP errors.
    Control,
    /// No transport header in it.
    Fragment {
        protocol: u8,
    },
    Tcp {
        ports: [u16; 2],
        opens: bool,
    },
    Udp {
        ports: [u16; 2],
    },
    Icmp {
        opens: bool,
    },
    /// ICMP's number in the other IP version, or anything else.
    Other {
        protocol: u8,
    },
}

/// Decides over a frame that comes in by the interface of an index.
#[must_use]
pub fn decide<'s>(situation: &'s Situation, ingress: u32, frame: &[u8]) -> Fate<'s> {
    let (Ok(fate) | Err(fate)) = go(situation, ingress, frame);
    fate
}

fn stays<T>(reason: Reason) -> Result<T, Fate<'static>> {
    Err(Fate::Stays(reason))
}

fn go<'s>(situation: &'s Situation, ingress: u32, frame: &[u8]) -> Result<Fate<'s>, Fate<'s>> {
    let Some(interface) = situation.interfaces.iter().find(|interface| interface.index == ingress) else {
        return stays(Reason::NoInterface);
    };
    let outer = outer(interface, frame)?;
    let end = 14 + usize::from(outer.total_length);
    let header = tunnel::read(outer.tunnel, &frame[42..end], situation.labels).map_err(Fate::Stays)?;
    let (network, labelled) = match header.origin {
        Origin::Label(label) => {
            (None, situation.mappings.iter().find(|mapping| mapping.label == Some(label)))
        }
        Origin::Network(vni) => {
            let declared = (interface.underlay, outer.tunnel, vni);
            let is_it = |network: &Network| (network.underlay, network.tunnel, network.vni) == declared;
            (situation.networks.iter().position(is_it), None)
        }
    };
    let is_label = matches!(header.origin, Origin::Label(_));
    if let Some(fault) = header.fault {
        return stays(if is_label || network.is_some() { fault } else { Reason::LocalVni });
    }
    let legs = match (labelled, network) {
        (Some(mapping), _) => Legs { labelled: true, forward: vec![mapping], back: vec![mapping] },
        (None, Some(network)) => Legs {
            labelled: false,
            forward: situation.mappings.iter().filter(|mapping| mapping.source == network).collect(),
            back: situation.mappings.iter().filter(|mapping| mapping.destination == network).collect(),
        },
        (None, None) => return stays(if is_label { Reason::UnknownIdentifier } else { Reason::LocalVni }),
    };
    let inner = match inner(&frame[42 + header.length..end]) {
        Ok(inner) => inner,
        Err(Reason::InnerUnsupported) if !is_label => return stays(Reason::NotMapped),
        Err(reason) => return stays(reason),
    };
    let permit = legs.judge(situation, interface, &inner)?;

    let network = &situation.networks[permit.network];
    let Some(member) = network.member(inner.destination) else { return stays(Reason::Internal) };
    let egress = &situation.interfaces[network.interface];
    if !member.is_resolved {
        return stays(Reason::NextHopUnresolved);
    }
    if outer.ttl < 2 {
        return stays(Reason::TtlExpired);
    }
    let lost = match (outer.tunnel == network.tunnel, header.origin) {
        (false, _) => header.options(),
        (true, Origin::Label(_)) if outer.tunnel == Tunnel::Geneve => tunnel::IDENTIFIER,
        (true, _) => 0,
    };
    if u32::from(outer.total_length - lost) > egress.mtu {
        return stays(Reason::EgressMtu);
    }
    let reason = match egress.index == ingress {
        true => Reason::Hairpinned,
        false if egress.is_egress => Reason::Forwarded,
        false => return stays(Reason::NoEgress),
    };
    let Permit { mapping, direction, .. } = permit;
    Ok(Fate::Leaves(Way { reason, mapping, direction, network, member, egress, tunnel: outer.tunnel, lost }))
}

struct Outer {
    tunnel: Tunnel,
    total_length: u16,
    ttl: u8,
}

fn outer(interface: &Interface, frame: &[u8]) -> Result<Outer, Fate<'static>> {
    let Ok(ethernet) = Ethernet2HeaderSlice::from_slice(frame) else { return stays(Reason::OuterMalformed) };
    if ethernet.ether_type().0 != 0x0800 {
        return stays(Reason::NotIp);
    }
    let rest = &frame[14..];
    let Ok(ip) = Ipv4HeaderSlice::from_slice(rest) else {
        // Options that are cut off concern only the gateway's own packets, and make those malformed.
        let has_options = rest.len() >= 20 && rest[0] > 0x45 && rest[0] <= 0x4f;
        return if has_options { Err(Fate::Hosts) } else { stays(Reason::OuterMalformed) };
    };
    if !interface.addresses.contains(&ip.destination_addr()) {
        return stays(Reason::NotForGateway);
    }
    if ip.protocol().0 != 17 {
        return stays(Reason::NotTunnel);
    }
    if ip.more_fragments() || ip.fragments_offset().value() != 0 {
        return stays(Reason::OuterFragment);
    }
    let Ok(udp) = UdpHeaderSlice::from_slice(&rest[ip.slice().len()..]) else {
        return stays(Reason::OuterMalformed);
    };
    let by = interface.ports.iter().find(|(port, _)| *port == udp.destination_port());
    let Some((_, tunnel)) = by else { return stays(Reason::NotTunnel) };
    if !ip.options().is_empty() {
        return stays(Reason::OuterOptions);
    }
    let (total_length, udp_length) = (u32::from(ip.total_len()), u32::from(udp.length()));
    if total_length != 20 + udp_length || (total_length as usize) > rest.len() {
        return stays(Reason::OuterLength);
    }
    // A Geneve header is judged before what follows it.
    let least = if *tunnel == Tunnel::Geneve { 8 + 8 } else { 8 + 8 + 14 };
    if udp_length < least {
        return stays(Reason::OuterLength);
    }
    Ok(Outer { tunnel: *tunnel, total_length: ip.total_len(), ttl: ip.ttl() })
}

fn inner(frame: &[u8]) -> Result<Inner, Reason> {
    let ethernet = Ethernet2HeaderSlice::from_slice(frame).map_err(|_| Reason::InnerMalformed)?;
    let payload = &frame[14..];
    let read = match ethernet.ether_type().0 {
        0x0800 => inner_v4(payload),
        0x86dd => inner_v6(payload),
        0x0806 => arp(payload),
        _ => return Err(Reason::InnerUnsupported),
    };
    read.ok_or(Reason::InnerMalformed)
}

fn inner_v4(packet: &[u8]) -> Option<Inner> {
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
    Some(Inner { source: ip.source_addr().into(), destination: ip.destination_addr().into(), kind })
}

fn inner_v6(packet: &[u8]) -> Option<Inner> {
    let ip = Ipv6HeaderSlice::from_slice(packet).ok()?;
    let payload = packet.get(40..40 + usize::from(ip.payload_length()))?;
    let mut destination = ip.destination_addr();
    let kind = match ip.next_header().0 {
        58 => match payload.get(..4)?[0] {
            135 => {
                let target: [u8; 16] = payload.get(8..24)?.try_into().ok()?;
                // The one asked for is whom the packet is for, but a wrong header is wrong all the same.
                if destination.to_ipv4_mapped().is_some() {
                    return None;
                }
                destination = Ipv6Addr::from(target);
                Kind::Control
            }
            0..128 | 136 => Kind::Control,
            other => Kind::Icmp { opens: other != 129 },
        },
        protocol => transport(protocol, payload)?,
    };
    if ip.source_addr().to_ipv4_mapped().is_some() || destination.to_ipv4_mapped().is_some() {
        return None;
    }
    Some(Inner { source: ip.source_addr().into(), destination: destination.into(), kind })
}

fn arp(packet: &[u8]) -> Option<Inner> {
    let arp = ArpPacketSlice::from_slice(packet).ok()?;
    if (arp.hw_addr_type().0, arp.proto_addr_type().0) != (1, 0x0800) || arp.hw_addr_size() != 6 {
        return None;
    }
    let source: [u8; 4] = arp.sender_protocol_addr().try_into().ok()?;
    let destination: [u8; 4] = arp.target_protocol_addr().try_into().ok()?;
    Some(Inner {
        source: Ipv4Addr::from(source).into(),
        destination: Ipv4Addr::from(destination).into(),
        kind: Kind::Control,
    })
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

/// Who may let a packet through.
struct Legs<'s> {
    /// It carries the mapping's identifier.
    labelled: bool,
    /// Mappings by which it may be a request.
    forward: Vec<&'s Mapping>,
    /// Mappings by which it may be an answer.
    back: Vec<&'s Mapping>,
}

/// A grant that lets a packet through.
struct Permit {
    mapping: u32,
    direction: Direction,
    /// Index of the network that it goes to.
    network: usize,
}

impl Legs<'_> {
    /// A packet passes as a request to a resource or as a resource's answer. If it can be both and passes as
    /// neither, what is said to the request is the reason.
    fn judge(&self, situation: &Situation, from: &Interface, inner: &Inner) -> Result<Permit, Fate<'static>> {
        let underlay = |network: usize| situation.networks[network].underlay;
        let asked: Vec<(&Mapping, &Grant)> = granted(&self.forward, inner.destination);
        let answered: Vec<&Mapping> = (self.back.iter())
            .filter(|mapping| situation.networks[mapping.source].member(inner.destination).is_some())
            .copied()
            .collect();
        let request = asked.first().map(|(mapping, _)| {
            if underlay(mapping.source) != from.underlay {
                return Err(Reason::ForeignIdentifier);
            }
            let mapping = judge(&asked, inner.kind, Direction::Forward)?;
            Ok(Permit {
                mapping: mapping.number,
                direction: Direction::Forward,
                network: mapping.destination,
            })
        });
        let answer = || {
            answered.first().map(|mapping| {
                if underlay(mapping.destination) != from.underlay {
                    return Err(Reason::ForeignIdentifier);
                }
                let grants = granted(&answered, inner.source);
                if grants.is_empty() {
                    return Err(Reason::Unlisted);
                }
                let mapping = judge(&grants, inner.kind, Direction::Return)?;
                Ok(Permit { mapping: mapping.number, direction: Direction::Return, network: mapping.source })
            })
        };
        match request {
            Some(Ok(permit)) => Ok(permit),
            Some(Err(refusal)) => match answer() {
                Some(Ok(permit)) => Ok(permit),
                _ => stays(refusal),
            },
            None => match answer() {
                Some(answer) => answer.map_err(Fate::Stays),
                None => stays(if self.labelled { Reason::Unlisted } else { Reason::NotMapped }),
            },
        }
    }
}

fn granted<'s>(mappings: &[&'s Mapping], address: IpAddr) -> Vec<(&'s Mapping, &'s Grant)> {
    mappings.iter().flat_map(|mapping| mapping.on(address).map(move |grant| (*mapping, grant))).collect()
}

/// The most specific grant that is meant speaks.
fn judge<'s>(
    grants: &[(&'s Mapping, &Grant)],
    kind: Kind,
    direction: Direction,
) -> Result<&'s Mapping, Reason> {
    let meant = grants.iter().filter(|(_, grant)| means(grant, kind, direction));
    let Some((mapping, grant)) = meant.min_by_key(|(_, grant)| grant.order()) else {
        return Err(match kind {
            Kind::Fragment { .. } => Reason::InnerFragment,
            _ => Reason::PortRefused,
        });
    };
    match (grant.level, direction, kind) {
        (_, _, Kind::Control) | (Level::Full, ..) => Ok(mapping),
        (Level::None, ..) => Err(Reason::AccessNone),
        (Level::Observe, ..) => Err(Reason::AccessObserve),
        (Level::Connect, Direction::Return, Kind::Tcp { opens: true, .. } | Kind::Icmp { opens: true }) => {
            Err(Reason::ReturnOpens)
        }
        // A declared source port is what makes an answer of a datagram.
        (Level::Connect, Direction::Return, Kind::Udp { .. })
            if !matches!(grant.traffic, Traffic::Udp(Some(_))) =>
        {
            Err(Reason::ReturnUnknown)
        }
        (Level::Connect, Direction::Return, Kind::Other { .. }) => Err(Reason::ReturnUnknown),
        (Level::Connect, ..) => Ok(mapping),
    }
}

/// Whether a grant speaks of a packet. The resource's port is the destination on the way forward, and the source on
/// the way back.
fn means(grant: &Grant, kind: Kind, direction: Direction) -> bool {
    let within = |range: Option<(u16, u16)>, [source, destination]: [u16; 2]| {
        let port = if direction == Direction::Forward { destination } else { source };
        range.is_none_or(|(first, last)| first <= port && port <= last)
    };
    match (kind, grant.traffic) {
        (Kind::Control, _) => grant.level >= Level::Connect,
        (_, Traffic::Any) | (Kind::Icmp { .. }, Traffic::Icmp) => true,
        (Kind::Tcp { ports, .. }, Traffic::Tcp(range)) | (Kind::Udp { ports }, Traffic::Udp(range)) => {
            within(range, ports)
        }
        (Kind::Fragment { protocol: 6 }, Traffic::Tcp(range))
        | (Kind::Fragment { protocol: 17 }, Traffic::Udp(range)) => range.is_none(),
        (Kind::Fragment { protocol } | Kind::Other { protocol }, Traffic::Icmp) => {
            // The other IP version's ICMP number counts as ICMP.
            protocol == 1 || protocol == 58
        }
        _ => false,
    }
}
