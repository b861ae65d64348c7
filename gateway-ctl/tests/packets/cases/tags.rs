//! Outer VLAN tags: the underlay's, a network's, somebody else's.

use isthmus_common::reason::Reason;
use isthmus_common::rules::Direction::{Forward, Return};

use super::{Case, request};
use crate::federation::{FAR, FAR_ADDRESS, LANE, LANE_MTU, RED_TO_BLUE, RED_TO_LANE, WEST_VLAN, gateway_mac};
use crate::frames::inner::{INNER_DESTINATION_MAC, between, mark, udp, udp_of};
use crate::frames::{Checksum, Outer, Tag};
use crate::oracle::{TO_BLUE, TO_RED, encapsulated};

const RED: &str = "10.0.0.11";
const LANE_ADDRESS: &str = "10.8.0.100";

pub(super) fn add(cases: &mut Vec<Case>) {
    underlay(cases);
    into_a_vlan(cases);
    out_of_a_vlan(cases);
}

fn underlay(cases: &mut Vec<Case>) {
    let tagged = |tags: &[Tag]| Outer { tags: tags.to_vec(), ..Outer::from_red(request()) };
    let own = Tag::customer(WEST_VLAN);
    let priority = |tpid, priority| Tag { tpid, priority, vid: 0 };
    for (name, tags) in [
        ("the tag of a VLAN subinterface", vec![own]),
        ("that tag with priority and drop eligibility", vec![Tag { priority: 0x0f, ..own }]),
        ("a tag that is only a priority", vec![priority(Tag::CUSTOMER, 7)]),
        ("a provider's tag that is only a priority", vec![priority(Tag::SERVICE, 7)]),
        ("two tags that are only priorities", vec![priority(Tag::SERVICE, 7), priority(Tag::CUSTOMER, 1)]),
        ("a priority in front of the tag of a VLAN subinterface", vec![priority(Tag::CUSTOMER, 7), own]),
        ("a priority behind the tag of a VLAN subinterface", vec![own, priority(Tag::CUSTOMER, 7)]),
    ] {
        cases.push(Case::forwarded(
            &format!("a packet behind {name} is taken"),
            &tagged(&tags),
            (RED_TO_BLUE, Forward),
            TO_BLUE,
        ));
    }
    for (name, tags) in [
        ("the tag of a VLAN of nobody's", vec![Tag::customer(WEST_VLAN + 1)]),
        ("the number of a VLAN subinterface in a provider's tag", vec![Tag::service(WEST_VLAN)]),
        ("the tag of a VLAN subinterface twice", vec![own, own]),
        ("a stack of tags that ends in a VLAN subinterface's", vec![Tag::service(7), own]),
        ("a network's VLAN on another interface", vec![Tag::customer(LANE)]),
        ("three tags", vec![priority(Tag::CUSTOMER, 0), priority(Tag::CUSTOMER, 0), own]),
        ("three tags of no VLAN", vec![priority(Tag::CUSTOMER, 0); 3]),
        ("a provider's tag as the third", vec![own, priority(Tag::CUSTOMER, 0), priority(Tag::SERVICE, 0)]),
        ("five tags", vec![own; 5]),
    ] {
        cases.push(Case::stays(
            &format!("a packet behind {name} is the host's"),
            &tagged(&tags),
            Reason::ForeignVlan,
        ));
    }
    let two = tagged(&[priority(Tag::CUSTOMER, 0), own]).build();
    for length in 14..22 {
        cases.push(Case::untouched(
            &format!("a frame that ends after {length} bytes, within its tags, is the host's"),
            crate::federation::WEST,
            two[..length].to_vec(),
            Reason::OuterMalformed,
        ));
    }
    let mut other = tagged(&[own]).build();
    other[16..18].copy_from_slice(&[0x88, 0xcc]);
    cases.push(Case::untouched(
        "another protocol than IP behind a tag is the host's",
        crate::federation::WEST,
        other,
        Reason::NotIp,
    ));
}

fn into_a_vlan(cases: &mut Vec<Case>) {
    let leg = (RED_TO_LANE, Forward);
    let tag = Tag::customer(LANE);
    let request = |class| mark(udp((RED, 1), (LANE_ADDRESS, 2)), class);
    // Inner and outer ECN, and what RFC 6040 §4.2 makes of them.
    for (inner, outer, wanted) in
        [(0, 0, 0), (0, 1, 0), (0, 2, 0), (2, 0, 2), (2, 1, 1), (2, 3, 3), (1, 2, 1), (1, 3, 3), (3, 0, 3)]
    {
        let packet = Outer { ecn: outer, ..Outer::from_red(request(inner)) };
        let out = Tag::put(&[tag], &request(wanted));
        let name = format!("into a VLAN, inner ECN {inner} and outer {outer} become {wanted}");
        cases.push(Case::delivered(&name, &packet, leg, FAR, out));
    }
    cases.push(Case::refused(
        "congestion that the inner packet can't tell of drops it",
        &Outer { ecn: 3, ..Outer::from_red(request(0)) },
        Reason::EcnCongested,
        leg,
    ));
    let padded = Outer { padding: vec![0xa5; 30], ..Outer::from_red(request(0)) };
    let out = Tag::put(&[tag], &request(0));
    cases.push(Case::delivered("padding behind the outer packet stays here", &padded, leg, FAR, out));
    // Inner IPv4 and UDP.
    let of_length = |length: u16| udp_of((RED, 1), (LANE_ADDRESS, 2), &vec![7; usize::from(length) - 28]);
    let fits = of_length(LANE_MTU);
    let out = Tag::put(&[tag], &fits);
    cases.push(Case::delivered(
        "an inner packet as long as the VLAN's MTU fits, whatever was in front of it",
        &Outer::from_red(fits),
        leg,
        FAR,
        out,
    ));
    cases.push(Case::refused(
        "an inner packet one byte longer than the VLAN's MTU does not fit",
        &Outer::from_red(of_length(LANE_MTU + 1)),
        Reason::EgressMtu,
        leg,
    ));
}

fn out_of_a_vlan(cases: &mut Vec<Case>) {
    let answer = udp((LANE_ADDRESS, 2), (RED, 1));
    for (name, tag) in [
        ("a frame of a network's VLAN", Tag::customer(LANE)),
        ("a frame of a network's VLAN with a priority", Tag { priority: 0x0e, ..Tag::customer(LANE) }),
    ] {
        cases.push(Case::encapsulated(
            &format!("{name} goes into a tunnel"),
            Tag::put(&[tag], &answer),
            (RED_TO_LANE, Return),
            &encapsulated(&answer, TO_RED),
        ));
    }
    cases.push(Case::untouched(
        "the number of a network's VLAN in a provider's tag is another VLAN's",
        FAR,
        Tag::put(&[Tag::service(LANE)], &answer),
        Reason::ForeignVlan,
    ));
    let stranger = udp((LANE_ADDRESS, 2), ("10.8.0.101", 1));
    cases.push(Case::untouched(
        "traffic inside a network's VLAN is the host's",
        FAR,
        Tag::put(&[Tag::customer(LANE)], &stranger),
        Reason::NotMapped,
    ));
    // What looks like a tunnel packet is only an inner frame of the VLAN.
    let tunnel = Outer { source_mac: INNER_DESTINATION_MAC, ..Outer::from_green(request()) }.build();
    cases.push(Case::untouched(
        "a tunnel packet on a network's VLAN is a frame of that network",
        FAR,
        Tag::put(&[Tag::customer(LANE)], &between(tunnel, INNER_DESTINATION_MAC, gateway_mac(FAR))),
        Reason::NotMapped,
    ));
    let behind = Outer {
        tags: vec![Tag { tpid: Tag::CUSTOMER, priority: 3, vid: 0 }, Tag::customer(LANE)],
        udp_checksum: Checksum::Right,
        destination: FAR_ADDRESS.into(),
        ..Outer::from_green(request())
    };
    cases.push(Case::stays("a network's VLAN counts only as the first tag", &behind, Reason::ForeignVlan));
}
