//! What should become of a frame, decided from the declarations and docs/wire-format.md.
//!
//! It shares no code with the pipeline but the names of the reasons: frames are read with etherparse, and instead
//! of tables there are searches through everything declared.

use isthmus_common::reason::Reason;
use isthmus_common::rules::Direction;

use crate::access::Legs;
use crate::ecn;
use crate::expect::{self, Expected, Source};
use crate::inner::{self, Inner};
use crate::model::{Form, Interface, Mapping, Member, Name, Network, Place, Situation};
use crate::outer::{Arrival, Outer, arrive};
use crate::tunnel::{self, Header, Origin};

/// What becomes of a frame.
pub enum Fate<'s> {
    /// It is passed or dropped, for this reason.
    Stays(Reason),
    /// It is the host's; which of the reasons for that holds first is left open.
    Hosts,
    /// It is translated and leaves.
    Leaves(Box<Way<'s>>),
}

/// Where a translated frame goes.
pub struct Way<'s> {
    /// Forwarded or hairpinned.
    pub reason: Reason,
    /// The mapping that lets it through.
    pub mapping: &'s Mapping,
    /// Which way through the mapping.
    pub direction: Direction,
    /// Index of the interface it leaves by.
    pub egress: u32,
    /// Whom it is from, and whom it is for.
    pub names: [Name; 2],
    /// What it looks like then.
    pub expected: Expected,
}

/// A target and the way to it.
pub(crate) struct Goal<'s> {
    pub(crate) network: &'s Network,
    pub(crate) member: &'s Member,
    pub(crate) egress: &'s Interface,
    pub(crate) mapping: &'s Mapping,
    pub(crate) direction: Direction,
}

/// Decides over a frame that comes in by the interface of an index, with so much room in front of it.
#[must_use]
pub fn decide<'s>(situation: &'s Situation, ingress: u32, headroom: usize, frame: &[u8]) -> Fate<'s> {
    let (Ok(fate) | Err(fate)) = go(situation, ingress, headroom, frame);
    fate
}

pub(crate) fn stays<T>(reason: Reason) -> Result<T, Fate<'static>> {
    Err(Fate::Stays(reason))
}

fn go<'s>(
    situation: &'s Situation,
    ingress: u32,
    headroom: usize,
    frame: &[u8],
) -> Result<Fate<'s>, Fate<'s>> {
    let Some(interface) = situation.interfaces.iter().find(|interface| interface.index == ingress) else {
        return stays(Reason::NoInterface);
    };
    let (legs, source) = origin(situation, interface, frame)?;
    let Some(inner) = inner::read(&source.inner) else { return stays(Reason::InnerMalformed) };
    let goal = goal(situation, &legs, &inner).map_err(Fate::Stays)?;
    let names = [inner.source, inner.destination];
    leave(&goal, names, &source, ingress, headroom, frame)
        .map(|way| Fate::Leaves(Box::new(way)))
        .map_err(Fate::Stays)
}

/// Where a frame came from.
pub(crate) fn origin<'s>(
    situation: &'s Situation,
    interface: &Interface,
    frame: &[u8],
) -> Result<(Legs<'s>, Source), Fate<'static>> {
    match arrive(situation, interface, frame)? {
        Arrival::Device { network, inner } => {
            let legs = Legs::of_network(situation, network);
            Ok((legs, Source { tunnel: None, inner, padding: Vec::new() }))
        }
        Arrival::Tunnel(outer) => {
            let datagram = &frame[outer.udp_at + 8..outer.end];
            let header = tunnel::read(outer.tunnel, datagram, situation.labels).map_err(Fate::Stays)?;
            let legs = select(situation, interface, &outer, &header).map_err(Fate::Stays)?;
            let inner = datagram[header.bytes.len()..].to_vec();
            let padding = frame[outer.end..].to_vec();
            Ok((legs, Source { tunnel: Some((outer, header)), inner, padding }))
        }
    }
}

/// Which mappings may concern a packet.
fn select<'s>(
    situation: &'s Situation,
    interface: &Interface,
    outer: &Outer,
    header: &Header,
) -> Result<Legs<'s>, Reason> {
    let (vni, is_ovn) = match header.origin {
        Origin::Label(label) => {
            if let Some(fault) = header.fault {
                return Err(fault);
            }
            let mut mappings = situation.mappings.iter();
            let mapping = mappings.find(|mapping| mapping.label == Some(label));
            let mapping = mapping.ok_or(Reason::UnknownIdentifier)?;
            return Ok(Legs::of_mapping(situation, mapping, (interface.underlay, outer.source)));
        }
        Origin::Network { vni, is_ovn } => (vni, is_ovn),
    };
    let declared = |wanted_ovn: bool| {
        (0..situation.networks.len()).find(|&index| {
            let form = &situation.networks[index].form;
            situation.interface_of(index).underlay == interface.underlay
                && form.tunnel() == Some((outer.tunnel, vni))
                && matches!(form, Form::Ovn(..)) == wanted_ovn
        })
    };
    // Without OVN's option a packet is not of OVN's network; with it, it is not of another, which refuses it.
    match (declared(is_ovn), header.fault) {
        (Some(_), Some(fault)) => Err(fault),
        (Some(network), None) => Ok(Legs::of_network(situation, network)),
        (None, fault) if is_ovn && declared(false).is_some() => Err(fault.unwrap_or(Reason::CriticalOption)),
        (None, _) => Err(Reason::LocalVni),
    }
}

/// Where a packet may go.
fn goal<'s>(situation: &'s Situation, legs: &Legs<'s>, inner: &Inner) -> Result<Goal<'s>, Reason> {
    let permit = legs.judge(inner)?;
    let network = &situation.networks[permit.network];
    let member = network.member(inner.destination).ok_or(Reason::UnknownEndpoint)?;
    if matches!(&member.place, Place::Behind(hop) if !hop.is_resolved) {
        return Err(Reason::NextHopUnresolved);
    }
    let egress = situation.interface_of(permit.network);
    Ok(Goal { network, member, egress, mapping: permit.mapping, direction: permit.direction })
}

/// How a packet leaves, if nothing is in its way.
fn leave<'s>(
    goal: &Goal<'s>,
    names: [Name; 2],
    source: &Source,
    ingress: u32,
    headroom: usize,
    frame: &[u8],
) -> Result<Way<'s>, Reason> {
    let is_to_device = goal.network.form.is_device();
    if let Some((outer, _)) = &source.tunnel
        && outer.ttl < 2
        && !is_to_device
    {
        return Err(Reason::TtlExpired);
    }
    let header = expect::tunnel_header(goal, source);
    if header.len() > 8 + 252 {
        return Err(Reason::OptionsFull);
    }
    let length = match &goal.member.place {
        Place::Behind(hop) => {
            let ip = if hop.to.is_ipv6() { 40 } else { 20 };
            ip + 8 + header.len() + source.inner.len()
        }
        Place::Here | Place::Unknown => source.inner.len() - 14,
    };
    if length > goal.egress.mtu as usize {
        return Err(Reason::EgressMtu);
    }
    let inner = match &source.tunnel {
        Some((outer, _)) if is_to_device => ecn::combine(outer.traffic_class, &source.inner)?,
        _ => source.inner.clone(),
    };
    let reason = match goal.egress.index == ingress {
        true => Reason::Hairpinned,
        false if goal.egress.is_egress => Reason::Forwarded,
        false => return Err(Reason::NoEgress),
    };
    let expected = expect::frame(goal, source, &header, &inner, frame);
    let in_front_before = frame.len() - source.inner.len() - source.padding.len();
    if expected.in_front.saturating_sub(in_front_before) > headroom {
        return Err(Reason::NoHeadroom);
    }
    let Goal { mapping, direction, egress, .. } = *goal;
    Ok(Way { reason, mapping, direction, egress: egress.index, names, expected })
}
