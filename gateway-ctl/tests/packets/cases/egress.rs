//! The next hop: known, near enough, wide enough, there.

use isthmus_common::reason::Reason;
use isthmus_common::rules::Direction::Forward;

use super::{Case, request};
use crate::federation::{NARROW_MTU, RED_TO_BLUE, RED_TO_OPEN};
use crate::frames::Outer;
use crate::frames::inner::{udp, udp_of};
use crate::oracle::{TO_BLUE, TO_NARROW};

/// Outer IPv4, UDP and VXLAN, inner Ethernet, IPv4 and UDP.
const HEADERS: usize = 20 + 8 + 8 + 14 + 20 + 8;

pub(super) fn add(cases: &mut Vec<Case>) {
    let leg = (RED_TO_BLUE, Forward);
    for ttl in [0, 1] {
        cases.push(Case::refused(
            &format!("outer TTL {ttl} ends here"),
            &Outer { ttl, ..Outer::from_red(request()) },
            Reason::TtlExpired,
            leg,
        ));
    }
    for ttl in [2, 255] {
        cases.push(Case::forwarded(
            &format!("outer TTL {ttl} counts down by one"),
            &Outer { ttl, ..Outer::from_red(request()) },
            leg,
            TO_BLUE,
        ));
    }
    cases.push(Case::refused(
        "a next hop that is not resolved gets nothing",
        &Outer::from_red(udp(("10.0.0.11", 1), ("10.1.0.30", 2))),
        Reason::NextHopUnresolved,
        leg,
    ));
    cases.push(Case::refused(
        "an address that nobody has declared or been heard from gets nothing",
        &Outer::from_red(udp(("10.0.0.11", 1), ("10.6.0.80", 2))),
        Reason::UnknownEndpoint,
        (RED_TO_OPEN, Forward),
    ));
    cases.push(Case::refused(
        "a device that is gone gets nothing",
        &Outer::from_red(udp(("10.0.0.11", 1), ("10.1.0.32", 2))),
        Reason::NoEgress,
        leg,
    ));
    let of_length = |length: usize| {
        let payload = vec![0; length - HEADERS];
        Outer::from_red(udp_of(("10.0.0.11", 1), ("10.1.0.31", 2), &payload))
    };
    let fits = of_length(NARROW_MTU.into());
    cases.push(Case::forwarded("an outer packet as long as the MTU fits", &fits, leg, TO_NARROW));
    cases.push(Case::forwarded(
        "padding does not count against the MTU",
        &Outer { padding: vec![0; 20], ..fits },
        leg,
        TO_NARROW,
    ));
    cases.push(Case::refused(
        "an outer packet one byte longer than the MTU does not fit",
        &of_length(usize::from(NARROW_MTU) + 1),
        Reason::EgressMtu,
        leg,
    ));
}
