//! Which of the host's addresses a tunnel packet comes from.

use std::net::IpAddr;

use super::device::{Assigned, Device, Devices, State, is_link_local};
use super::route::Route;

/// The kernel's choice where that is fit to use, else the best address of the route's device; the
/// error says why none is fit.
///
/// For IPv4 the kernel always chooses. For IPv6 it may choose nothing, or, for want of anything
/// better, a link-local address, to which an endpoint behind a router could never answer.
pub(super) fn choose(
    device: &Device,
    devices: &Devices,
    route: &Route,
    vtep: IpAddr,
) -> Result<IpAddr, String> {
    let reaches = |address: IpAddr| !is_link_local(address) || is_link_local(vtep);
    // A deprecated address is chosen only if a route names it, or if there is no other: then it is right.
    let is_valid = |address| {
        let own = device.addresses.iter().find(|own| own.address == address).map(|own| own.state);
        !matches!(own.or_else(|| devices.state(address)), Some(State::Tentative | State::Duplicate))
    };
    if let Some(chosen) = route.source.filter(|chosen| reaches(*chosen) && is_valid(*chosen)) {
        return Ok(chosen);
    }
    let of_family = || device.addresses.iter().filter(|own| own.address.is_ipv4() == vtep.is_ipv4());
    let fit =
        |own: &&Assigned| own.state == State::Preferred && is_link_local(own.address) == is_link_local(vtep);
    // RFC 6724, section 5, rule 8: the longest common prefix; among equals the oldest.
    let best = of_family().filter(fit).rev().max_by_key(|own| common_prefix(own.address, vtep));
    best.map(|own| own.address).ok_or_else(|| {
        let unfit: Vec<String> =
            of_family().map(|own| format!("{} is {}", own.address, why_unfit(own))).collect();
        let unfit = if unfit.is_empty() { String::new() } else { format!(": {}", unfit.join(", ")) };
        let family = if vtep.is_ipv4() { "IPv4" } else { "IPv6" };
        format!("{} has no {family} address to send from{unfit}", device.name)
    })
}

fn why_unfit(own: &Assigned) -> &'static str {
    match own.state {
        State::Tentative => "tentative",
        State::Duplicate => "a duplicate",
        State::Deprecated => "deprecated",
        State::Preferred if own.is_link_local() => "link-local",
        State::Preferred => "not link-local",
    }
}

fn common_prefix(a: IpAddr, b: IpAddr) -> u32 {
    match (a, b) {
        (IpAddr::V4(a), IpAddr::V4(b)) => (a.to_bits() ^ b.to_bits()).leading_zeros(),
        (IpAddr::V6(a), IpAddr::V6(b)) => (a.to_bits() ^ b.to_bits()).leading_zeros(),
        _ => 0,
    }
}
