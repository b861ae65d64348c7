//! The identifier: a label, a network's VNI, or neither.

use isthmus_common::id::LabelRange;
use isthmus_common::reason::Reason;
use isthmus_common::rules::Direction::{Forward, Return};

use super::{Case, answer, request};
use crate::federation::{
    BLUE, BLUE_TO_RED, FAR, RED_TO_BLUE, RED_TO_BLUE_TOO, RED_TO_GREEN, RED_TO_PINK, RED_VTEP,
};
use crate::frames::Outer;
use crate::frames::inner::{Segment, ethernet_of, tcp, udp};
use crate::objects::label;
use crate::oracle::{TO_BLUE, TO_GREEN, TO_PINK, TO_RED};

pub(super) fn add(cases: &mut Vec<Case>) {
    vnis(cases);
    labels(cases);
    underlays(cases);
    extensions(cases);
}

fn vnis(cases: &mut Vec<Case>) {
    let good = Outer::from_red(request());
    cases.push(Case::forwarded(
        "the VNI and the inner destination select the mapping",
        &good,
        (RED_TO_BLUE, Forward),
        TO_BLUE,
    ));
    cases.push(Case::forwarded(
        "an answer finds its way back by the VNI and the inner destination",
        &Outer::from_blue(answer()),
        (RED_TO_BLUE, Return),
        TO_RED,
    ));
    cases.push(Case::forwarded(
        "a packet that leaves where it came is transmitted",
        &Outer::from_red(tcp(("10.0.0.11", 1), ("10.2.0.40", 2), Segment::Syn)),
        (RED_TO_PINK, Forward),
        TO_PINK,
    ));
    for vni in [0, 1, 999, LabelRange::DEFAULT.first().get() - 1] {
        cases.push(Case::stays(
            &format!("VNI {vni}, which nobody declared, is the host's"),
            &Outer { vni, ..good.clone() },
            Reason::LocalVni,
        ));
    }
    cases.push(Case::stays(
        "traffic inside a declared network is the host's",
        &Outer::from_red(tcp(("10.0.0.11", 1), ("10.0.0.99", 80), Segment::Syn)),
        Reason::NotMapped,
    ));
    cases.push(Case::stays(
        "an inner protocol that nobody could map is the host's",
        &Outer::from_red(ethernet_of(0x8847)),
        Reason::NotMapped,
    ));
    cases.push(Case::stays(
        "an inner tagged frame is the host's",
        &Outer::from_red(ethernet_of(0x8100)),
        Reason::NotMapped,
    ));
    let cut = |vni| {
        let mut inner = request();
        inner.truncate(40);
        Outer { vni, ..Outer::from_red(inner) }
    };
    cases.push(Case::stays(
        "a broken inner frame on a VNI that nobody declared is the host's",
        &cut(999),
        Reason::LocalVni,
    ));
    cases.push(Case::stays(
        "a broken inner frame with an unknown label is rejected for its label",
        &cut(label(200)),
        Reason::UnknownIdentifier,
    ));
    cases.push(Case::refused(
        "a broken inner frame with a label counts against the mapping",
        &cut(label(RED_TO_BLUE)),
        Reason::InnerMalformed,
        (RED_TO_BLUE, Forward),
    ));
    cases.push(Case::stays(
        "a tunnel header without an identifier is the host's",
        &Outer { vxlan_flags: 0, ..good.clone() },
        Reason::NoIdentifier,
    ));
    cases.push(Case::stays(
        "a label does not count unless the header says that it is valid",
        &Outer { vxlan_flags: 0x40, vni: label(RED_TO_BLUE), ..good },
        Reason::NoIdentifier,
    ));
}

fn labels(cases: &mut Vec<Case>) {
    let labelled = |number: u8, inner: Vec<u8>| Outer { vni: label(number), ..Outer::from_red(inner) };
    let back = |number: u8, inner: Vec<u8>| Outer { vni: label(number), ..Outer::from_blue(inner) };
    let dns = || udp(("10.0.0.11", 5353), ("10.1.0.20", 53));

    cases.push(Case::forwarded(
        "a label selects its mapping",
        &labelled(RED_TO_BLUE, request()),
        (RED_TO_BLUE, Forward),
        TO_BLUE,
    ));
    cases.push(Case::forwarded(
        "an answer may carry the label",
        &back(RED_TO_BLUE, answer()),
        (RED_TO_BLUE, Return),
        TO_RED,
    ));
    cases.push(Case::forwarded(
        "a label may arrive on any interface of its underlay",
        &Outer {
            source: RED_VTEP.into(),
            ..back(RED_TO_BLUE, tcp(("10.0.0.11", 1), ("10.1.0.20", 443), Segment::Syn))
        },
        (RED_TO_BLUE, Forward),
        TO_BLUE,
    ));
    cases.push(Case::stays(
        "a label is good only from the tunnel endpoint of the inner source",
        &back(RED_TO_BLUE, tcp(("10.0.0.11", 1), ("10.1.0.20", 443), Segment::Syn)),
        Reason::ForeignIdentifier,
    ));
    cases.push(Case::stays(
        "a label is not good from an inner source that nobody declared",
        &labelled(RED_TO_BLUE, tcp(("10.0.0.12", 1), ("10.1.0.20", 443), Segment::Syn)),
        Reason::ForeignIdentifier,
    ));
    cases.push(Case::forwarded(
        "a label grants what its own mapping lists",
        &labelled(RED_TO_BLUE_TOO, dns()),
        (RED_TO_BLUE_TOO, Forward),
        TO_BLUE,
    ));
    cases.push(Case::refused(
        "a label does not grant what another mapping on the same address lists",
        &labelled(RED_TO_BLUE, dns()),
        Reason::PortRefused,
        (RED_TO_BLUE, Forward),
    ));
    cases.push(Case::refused(
        "a label's mapping answers only from the resources it lists",
        &back(RED_TO_BLUE, udp(("10.1.0.20", 53), ("10.0.0.11", 5353))),
        Reason::PortRefused,
        (RED_TO_BLUE, Return),
    ));
    cases.push(Case::refused(
        "a label does not open other mappings' resources",
        &labelled(RED_TO_BLUE, tcp(("10.0.0.11", 1), ("10.2.0.40", 80), Segment::Syn)),
        Reason::Unlisted,
        (RED_TO_BLUE, Forward),
    ));
    // Its tunnel endpoint is that of resources, but it is none of the addresses that the mapping joins.
    cases.push(Case::stays(
        "an address that is no resource may not use a label to answer",
        &back(RED_TO_BLUE, tcp(("10.1.0.25", 80), ("10.0.0.11", 1), Segment::SynAck)),
        Reason::ForeignIdentifier,
    ));
    cases.push(Case::stays(
        "an address that nobody declared may not use a label to answer",
        &back(RED_TO_BLUE, tcp(("10.1.0.99", 80), ("10.0.0.11", 1), Segment::SynAck)),
        Reason::ForeignIdentifier,
    ));
    for number in [0, 200, 255] {
        cases.push(Case::stays(
            &format!("label {} of no mapping is rejected", label(number)),
            &labelled(number, request()),
            Reason::UnknownIdentifier,
        ));
    }
    cases.push(Case::stays(
        "the largest label is one",
        &Outer { vni: LabelRange::DEFAULT.last().get(), ..Outer::from_red(request()) },
        Reason::UnknownIdentifier,
    ));
    cases.push(Case::refused(
        "a MAC that nobody declared is no resource of a label's",
        &labelled(RED_TO_BLUE, ethernet_of(0x8847)),
        Reason::Unlisted,
        (RED_TO_BLUE, Forward),
    ));
    cases.push(Case::forwarded(
        "the label of the mapping from blue carries an ssh session into red",
        &back(BLUE_TO_RED, tcp(("10.1.0.25", 1), ("10.0.0.10", 22), Segment::Syn)),
        (BLUE_TO_RED, Forward),
        TO_RED,
    ));
}

fn underlays(cases: &mut Vec<Case>) {
    let to_green = || tcp(("10.0.0.11", 1), ("10.3.0.50", 80), Segment::Syn);
    let from_green = || tcp(("10.3.0.50", 80), ("10.0.0.11", 1), Segment::SynAck);
    cases.push(Case::forwarded(
        "a mapping leads to another underlay",
        &Outer::from_red(to_green()),
        (RED_TO_GREEN, Forward),
        TO_GREEN,
    ));
    cases.push(Case::forwarded(
        "and answers lead back",
        &Outer::from_green(from_green()),
        (RED_TO_GREEN, Return),
        TO_RED,
    ));
    cases.push(Case::forwarded(
        "answers with a label come from the destination's underlay",
        &Outer { vni: label(RED_TO_GREEN), ..Outer::from_green(from_green()) },
        (RED_TO_GREEN, Return),
        TO_RED,
    ));
    cases.push(Case::stays(
        "the same VNI on another underlay is another network",
        &Outer::from_green(request()),
        Reason::NotMapped,
    ));
    cases.push(Case::stays(
        "a VNI of the shared underlay means nothing on a provider's own",
        &Outer { vni: BLUE, ..Outer::from_green(answer()) },
        Reason::LocalVni,
    ));
    cases.push(Case::stays(
        "a label from an underlay that its mapping does not concern is refused",
        &Outer { vni: label(RED_TO_BLUE), ..Outer::from_green(request()) },
        Reason::ForeignIdentifier,
    ));
    cases.push(Case::stays(
        "requests with a label come from the source's underlay only",
        &Outer { vni: label(RED_TO_GREEN), ..Outer::from_green(to_green()) },
        Reason::ForeignIdentifier,
    ));
    cases.push(Case::stays(
        "answers with a label come from the destination's underlay only",
        &Outer { vni: label(RED_TO_GREEN), ..Outer::from_red(from_green()) },
        Reason::ForeignIdentifier,
    ));
    cases.push(
        Case::stays(
            "a packet to the gateway's address on another underlay is not for it",
            &Outer::from_red(request()),
            Reason::NotForGateway,
        )
        .arriving_on(FAR),
    );
}

fn extensions(cases: &mut Vec<Case>) {
    for flag in [0x80, 0x20, 0x10, 0x04, 0x02, 0x01] {
        let extended = |vni| Outer { vni, vxlan_flags: 0x08 | flag, ..Outer::from_red(request()) };
        cases.push(Case::stays(
            &format!("extension flag {flag:#04x} on a declared VNI is dropped"),
            &extended(42),
            Reason::TunnelFlags,
        ));
        cases.push(Case::refused(
            &format!("extension flag {flag:#04x} on a label is dropped, and counts against the mapping"),
            &extended(label(RED_TO_BLUE)),
            Reason::TunnelFlags,
            (RED_TO_BLUE, Forward),
        ));
        cases.push(Case::stays(
            &format!("extension flag {flag:#04x} on the host's own VNI is the host's"),
            &extended(999),
            Reason::LocalVni,
        ));
    }
}
