//! What a gateway should have learned from a frame: where its sender lives, if it came from a network that learns.

use std::net::IpAddr;

use isthmus_common::address::Address;
use isthmus_common::host::Record;
use isthmus_common::tables::{Sighting, TargetKey};

use crate::check::{demand, differ};
use crate::inner;
use crate::model::{Name, Situation};
use crate::oracle::origin;
use crate::tables::scope;

/// A frame without an identifier, from a network that learns, tells where its IP or ARP sender lives, whatever
/// becomes of it; no other frame tells anything.
///
/// # Errors
/// What was learned otherwise.
pub(crate) fn examine(
    situation: &Situation,
    ingress: u32,
    frame: &[u8],
    record: &Record,
) -> Result<(), String> {
    let wanted = sighting(situation, ingress, frame);
    let mut learned = record.learned.iter();
    match (learned.next(), learned.next(), wanted) {
        (None, None, None) => Ok(()),
        (Some((key, sighting)), None, Some((wanted_key, wanted))) => {
            demand("learned of", wanted_key, *key)?;
            demand("learned", (wanted.vtep, wanted.mac), (sighting.vtep, sighting.mac))
        }
        (_, _, wanted) => Err(differ("learned", wanted, &record.learned)),
    }
}

fn sighting(situation: &Situation, ingress: u32, frame: &[u8]) -> Option<(TargetKey, Sighting)> {
    let interface = situation.interfaces.iter().find(|interface| interface.index == ingress)?;
    let (legs, source) = origin(situation, interface, frame).ok()?;
    let network = legs.network().filter(|network| situation.networks[*network].learns)?;
    let Name::Ip(address) = inner::read(&source.inner)?.source else { return None };
    if address.is_unspecified() {
        return None;
    }
    let vtep = source.tunnel.as_ref().map(|(outer, _)| outer.source);
    let key = TargetKey { scope: scope(situation, network)?, address: address.into() };
    let mac = source.inner.get(6..12)?.try_into().ok()?;
    let vtep = vtep.map_or(Address::UNSPECIFIED, |vtep: IpAddr| vtep.into());
    Some((key, Sighting { vtep, mac, ..Sighting::default() }))
}
