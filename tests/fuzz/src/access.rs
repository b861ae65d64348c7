//! Who may let an inner packet through, by search through everything that is declared.

use std::net::IpAddr;

use isthmus_common::reason::Reason;
use isthmus_common::rules::Direction;

use crate::inner::{Inner, Kind};
use crate::model::{Form, Grant, Level, Mapping, Place, Situation, Traffic};

/// Mappings that a packet may go by.
pub struct Legs<'s> {
    situation: &'s Situation,
    /// By which it may be a request.
    forward: Vec<&'s Mapping>,
    /// By which it may be an answer.
    back: Vec<&'s Mapping>,
    /// The network that it is from, if it carries no identifier.
    network: Option<usize>,
    /// Who sent it and over which underlay, if it carries the mapping's identifier.
    sender: Option<(u8, IpAddr)>,
}

/// A grant that lets a packet through.
pub struct Permit<'s> {
    /// Of this mapping.
    pub mapping: &'s Mapping,
    /// Which way through it.
    pub direction: Direction,
    /// Index of the network that it goes to.
    pub network: usize,
}

impl<'s> Legs<'s> {
    /// For packets that carry the mapping's identifier, from this sender.
    #[must_use]
    pub fn of_mapping(situation: &'s Situation, mapping: &'s Mapping, sender: (u8, IpAddr)) -> Self {
        Self { situation, forward: vec![mapping], back: vec![mapping], network: None, sender: Some(sender) }
    }

    /// For packets from the network of this index.
    #[must_use]
    pub fn of_network(situation: &'s Situation, network: usize) -> Self {
        let by = |end: fn(&Mapping) -> usize| {
            situation.mappings.iter().filter(|mapping| end(mapping) == network).collect()
        };
        let (forward, back) = (by(|mapping| mapping.source), by(|mapping| mapping.destination));
        Self { situation, forward, back, network: Some(network), sender: None }
    }

    /// Index of the network that says by itself which mappings; none if an identifier does.
    #[must_use]
    pub fn network(&self) -> Option<usize> {
        self.network
    }

    /// A packet passes as a request to a resource or as a resource's answer. If it can be both and passes as
    /// neither, what is said to the request is the reason.
    ///
    /// # Errors
    /// The reason why it doesn't pass.
    pub fn judge(&self, inner: &Inner) -> Result<Permit<'s>, Reason> {
        let asked = self.granted(&self.forward, inner, Direction::Forward);
        let answered: Vec<&Mapping> = (self.back.iter())
            .filter(|mapping| self.situation.networks[mapping.source].member(inner.destination).is_some())
            .copied()
            .collect();
        let request = asked.first().map(|(mapping, _)| {
            self.admit(mapping.source, inner)?;
            let mapping = judge(&asked, inner.kind, Direction::Forward)?;
            Ok(Permit { mapping, direction: Direction::Forward, network: mapping.destination })
        });
        let answer = || {
            answered.first().map(|mapping| {
                let grants = self.granted(&answered, inner, Direction::Return);
                // Nobody but a resource answers, least of all with an identifier.
                match (grants.is_empty(), self.sender) {
                    (true, None) => return Err(Reason::Unlisted),
                    (true, Some(_)) => return Err(Reason::ForeignIdentifier),
                    (false, _) => self.admit(mapping.destination, inner)?,
                }
                let mapping = judge(&grants, inner.kind, Direction::Return)?;
                Ok(Permit { mapping, direction: Direction::Return, network: mapping.source })
            })
        };
        match request {
            Some(Ok(permit)) => Ok(permit),
            Some(Err(refusal)) => match answer() {
                Some(Ok(permit)) => Ok(permit),
                _ => Err(refusal),
            },
            None => answer().unwrap_or(Err(match self.sender {
                Some(_) => Reason::Unlisted,
                None => Reason::NotMapped,
            })),
        }
    }

    /// An identifier is good only from whoever stands behind the inner source in the network it goes out from.
    fn admit(&self, network: usize, inner: &Inner) -> Result<(), Reason> {
        let Some((underlay, sender)) = self.sender else { return Ok(()) };
        let is_there = underlay == self.situation.interface_of(network).underlay;
        let network = &self.situation.networks[network];
        let is_good = match (network.member(inner.source), &network.form) {
            (None, _) => false,
            (Some(_), Form::Peer(addresses)) => addresses.contains(&sender),
            (Some(member), _) => matches!(&member.place, Place::Behind(hop) if hop.to == sender),
        };
        if is_there && is_good { Ok(()) } else { Err(Reason::ForeignIdentifier) }
    }

    /// Everything granted on a packet's destination, or on the source of an answer.
    fn granted(
        &self,
        mappings: &[&'s Mapping],
        inner: &Inner,
        direction: Direction,
    ) -> Vec<(&'s Mapping, &'s Grant)> {
        let name = match direction {
            Direction::Forward => inner.destination,
            Direction::Return => inner.source,
        };
        let on = |mapping: &'s Mapping| {
            self.situation.granted(mapping, name).into_iter().map(move |grant| (mapping, grant))
        };
        mappings.iter().copied().flat_map(on).collect()
    }
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
        (Level::Connect, Direction::Return, Kind::Other { .. } | Kind::Foreign) => Err(Reason::ReturnUnknown),
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
