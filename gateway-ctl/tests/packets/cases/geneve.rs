//! Geneve: read, checked, and translated from and to VXLAN.

use isthmus_common::reason::Reason;
use isthmus_common::rules::Direction::{Forward, Return};

use super::Case;
use crate::federation::{
    BLUE, EAST, GOLD, GOLD_TO_GRAY, GOLD_TO_OVN, OVN, OVN_VTEP, RED_TO_BLUE, RED_TO_GOLD, RED_VTEP,
};
use crate::frames::geneve::{self, Travel, filler, harmless, option, ovn};
use crate::frames::inner::{Segment, ethernet_of, tcp, udp};
use crate::frames::{Checksum, Geneve, Outer};
use crate::objects::label;
use crate::oracle::{TO_BLUE, TO_GOLD, TO_GRAY, TO_OVN, TO_RED};

pub(super) fn add(cases: &mut Vec<Case>) {
    translations(cases);
    options(cases);
    identifiers(cases);
    refusals(cases);
    checksums(cases);
    truncations(cases);
    ovn_option(cases);
}

fn red_to_gold() -> Vec<u8> {
    tcp(("10.0.0.11", 40_000), ("10.4.0.60", 80), Segment::Syn)
}

fn gold_to_red() -> Vec<u8> {
    tcp(("10.4.0.60", 80), ("10.0.0.11", 40_000), Segment::SynAck)
}

fn gold_to_gray() -> Vec<u8> {
    udp(("10.4.0.60", 1000), ("10.5.0.70", 2000))
}

/// The identifier option.
fn stamp(label: u32) -> Vec<u8> {
    geneve::identifier(label, Travel::Forward, 9)
}

/// An option that must be understood, and is not.
fn unknown() -> Vec<u8> {
    option(0x0107, 0x80, &[0, 0, 0, 1])
}

fn translations(cases: &mut Vec<Case>) {
    cases.push(Case::forwarded(
        "VXLAN becomes Geneve",
        &Outer::from_red(red_to_gold()),
        (RED_TO_GOLD, Forward),
        TO_GOLD,
    ));
    cases.push(Case::forwarded(
        "reserved bits of VXLAN do not become anything in Geneve",
        &Outer {
            vxlan_flags: 0x48,
            vxlan_reserved: [1, 2, 3],
            vxlan_reserved_last: 4,
            ..Outer::from_red(red_to_gold())
        },
        (RED_TO_GOLD, Forward),
        TO_GOLD,
    ));
    cases.push(Case::forwarded(
        "Geneve becomes VXLAN",
        &Outer::from_gold(Geneve::plain(), gold_to_red()),
        (RED_TO_GOLD, Return),
        TO_RED,
    ));
    cases.push(Case::forwarded(
        "Geneve becomes Geneve of another VNI",
        &Outer::from_gold(Geneve::plain(), gold_to_gray()),
        (GOLD_TO_GRAY, Forward),
        TO_GRAY,
    ));
    cases.push(Case::forwarded(
        "reserved bits of Geneve stay between networks on Geneve",
        &Outer::from_gold(Geneve { flags: 0x15, reserved: 0x77, ..Geneve::plain() }, gold_to_gray()),
        (GOLD_TO_GRAY, Forward),
        TO_GRAY,
    ));
    cases.push(Case::forwarded(
        "reserved bits of Geneve do not become anything in VXLAN",
        &Outer::from_gold(Geneve { flags: 0x15, reserved: 0x77, ..Geneve::plain() }, gold_to_red()),
        (RED_TO_GOLD, Return),
        TO_RED,
    ));
}

fn options(cases: &mut Vec<Case>) {
    let many = vec![option(0x0105, 0x02, &[0xab; 124]); 1];
    let full = [many[0].clone(), option(0x0106, 0x03, &[0xcd; 120])].concat();
    assert_eq!(full.len(), 252, "the most there can be");
    for (name, geneve) in [
        ("two options", Geneve::with(&harmless())),
        ("252 bytes of options", Geneve { options: full, ..Geneve::plain() }),
        (
            "an option that the header does not call critical",
            Geneve { flags: 0, ..Geneve::with(&[unknown()]) },
        ),
    ] {
        cases.push(Case::forwarded(
            &format!("{name} go on into Geneve"),
            &Outer::from_gold(geneve.clone(), gold_to_gray()),
            (GOLD_TO_GRAY, Forward),
            TO_GRAY,
        ));
        cases.push(Case::forwarded(
            &format!("{name} do not go on into VXLAN"),
            &Outer::from_gold(geneve, gold_to_red()),
            (RED_TO_GOLD, Return),
            TO_RED,
        ));
    }
}

fn identifiers(cases: &mut Vec<Case>) {
    let stamped = |number: u8, more: &[Vec<u8>]| Geneve::with(&[&[stamp(label(number))][..], more].concat());
    cases.push(Case::forwarded(
        "an identifier option selects its mapping, whatever the VNI, and does not go on",
        &Outer { vni: 4711, ..Outer::from_gold(stamped(GOLD_TO_GRAY, &[]), gold_to_gray()) },
        (GOLD_TO_GRAY, Forward),
        TO_GRAY,
    ));
    cases.push(Case::forwarded(
        "options behind the identifier go on into Geneve",
        &Outer::from_gold(stamped(GOLD_TO_GRAY, &harmless()), gold_to_gray()),
        (GOLD_TO_GRAY, Forward),
        TO_GRAY,
    ));
    cases.push(Case::forwarded(
        "an identifier option may select a mapping between networks on VXLAN",
        &Outer {
            vni: BLUE,
            source: RED_VTEP.into(),
            ..Outer::from_gold(
                stamped(RED_TO_BLUE, &harmless()),
                tcp(("10.0.0.11", 1), ("10.1.0.20", 443), Segment::Syn),
            )
        },
        (RED_TO_BLUE, Forward),
        TO_BLUE,
    ));
    cases.push(Case::stays(
        "an identifier option that names no mapping is rejected",
        &Outer::from_gold(stamped(99, &[]), gold_to_gray()),
        Reason::UnknownIdentifier,
    ));
    cases.push(Case::refused(
        "an identifier option grants only what its mapping lists",
        &Outer::from_gold(stamped(GOLD_TO_GRAY, &[]), gold_to_red()),
        Reason::Unlisted,
        (GOLD_TO_GRAY, Forward),
    ));
    let late = Geneve::with(&[&harmless()[..], &[stamp(label(GOLD_TO_GRAY))]].concat());
    cases.push(Case::stays(
        "an identifier behind another option is not one",
        &Outer::from_gold(late, gold_to_gray()),
        Reason::TunnelOptions,
    ));
    let twice = stamped(GOLD_TO_GRAY, &[stamp(label(GOLD_TO_GRAY))]);
    cases.push(Case::refused(
        "two identifiers are one too many, and count against the first one's mapping",
        &Outer::from_gold(twice, gold_to_gray()),
        Reason::TunnelOptions,
        (GOLD_TO_GRAY, Forward),
    ));
    cases.push(Case::stays(
        "label 0 is no identifier",
        &Outer::from_gold(Geneve::with(&[stamp(0)]), gold_to_gray()),
        Reason::TunnelOptions,
    ));
    cases.push(Case::stays(
        "a VNI in the label range is no label in Geneve",
        &Outer { vni: label(GOLD_TO_GRAY), ..Outer::from_gold(Geneve::plain(), gold_to_gray()) },
        Reason::LocalVni,
    ));
}

fn refusals(cases: &mut Vec<Case>) {
    let critical = [unknown()];
    cases.push(Case::stays(
        "a critical option that nobody knows drops the packet",
        &Outer::from_gold(Geneve::with(&critical), gold_to_gray()),
        Reason::CriticalOption,
    ));
    cases.push(Case::stays(
        "a critical option of a network that nobody declared is the host's",
        &Outer { vni: GOLD + 1000, ..Outer::from_gold(Geneve::with(&critical), gold_to_gray()) },
        Reason::LocalVni,
    ));
    let behind = [&harmless()[..], &critical].concat();
    cases.push(Case::stays(
        "a critical option behind others is found",
        &Outer::from_gold(Geneve::with(&behind), gold_to_gray()),
        Reason::CriticalOption,
    ));
    let mut overlong = option(0x0103, 0x81, &[0; 4]);
    overlong[3] = 9;
    cases.push(Case::stays(
        "an option longer than all of them is refused",
        &Outer::from_gold(Geneve::with(&[overlong]), gold_to_gray()),
        Reason::TunnelOptions,
    ));
    cases.push(Case::stays(
        "options longer than the packet are refused",
        &Outer::from_gold(Geneve { excess: 60, ..Geneve::plain() }, ethernet_of(0x88b5)),
        Reason::OuterLength,
    ));
    let mut in_padding = Outer::from_gold(Geneve::plain(), Vec::new()).build();
    // The datagram ends within the Geneve header; what would complete it is padding.
    in_padding[17] -= 4;
    in_padding[39] -= 4;
    in_padding.extend([0; 60]);
    cases.push(Case::untouched(
        "a Geneve header that padding would complete is cut short",
        EAST,
        in_padding,
        Reason::OuterLength,
    ));
    cases.push(Case::stays(
        "a control message is the host's",
        &Outer::from_gold(Geneve { flags: Geneve::CONTROL, ..Geneve::plain() }, gold_to_gray()),
        Reason::TunnelPayload,
    ));
    cases.push(Case::stays(
        "a payload that is not Ethernet is the host's",
        &Outer::from_gold(Geneve { protocol: 0x0800, ..Geneve::plain() }, gold_to_gray()),
        Reason::TunnelPayload,
    ));
    cases.push(Case::stays(
        "an unknown version of Geneve is the host's",
        &Outer::from_gold(Geneve { version: 1, ..Geneve::plain() }, gold_to_gray()),
        Reason::OuterMalformed,
    ));
}

fn checksums(cases: &mut Vec<Case>) {
    let identified = || Geneve::with(&[&[stamp(label(GOLD_TO_GRAY))][..], &harmless()].concat());
    for (name, checksum) in
        [("right", Checksum::Right), ("wrong", Checksum::Wrong(0x1234)), ("absent", Checksum::Absent)]
    {
        let with = |packet: Outer| Outer { udp_checksum: checksum, ..packet };
        cases.push(Case::forwarded(
            &format!("a UDP checksum that is {name} stays so from VXLAN to Geneve"),
            &with(Outer::from_red(red_to_gold())),
            (RED_TO_GOLD, Forward),
            TO_GOLD,
        ));
        cases.push(Case::forwarded(
            &format!("a UDP checksum that is {name} stays so when options are taken off"),
            &with(Outer::from_gold(Geneve::with(&harmless()), gold_to_red())),
            (RED_TO_GOLD, Return),
            TO_RED,
        ));
        cases.push(Case::forwarded(
            &format!("a UDP checksum that is {name} stays so when the identifier is taken off"),
            &with(Outer::from_gold(identified(), gold_to_gray())),
            (GOLD_TO_GRAY, Forward),
            TO_GRAY,
        ));
    }
}

/// Cut at every byte, with lengths that agree with what is left.
fn truncations(cases: &mut Vec<Case>) {
    let whole = Outer::from_gold(
        Geneve::with(&[&[stamp(label(GOLD_TO_GRAY))][..], &harmless()].concat()),
        gold_to_gray(),
    );
    for length in 0..whole.inner.len() {
        let mut packet = whole.clone();
        packet.inner.truncate(length);
        let name = format!("Geneve around the first {length} bytes of a frame");
        // Without a whole Ethernet header it isn't an inner frame at all.
        cases.push(if length < 14 {
            Case::stays(&name, &packet, Reason::OuterLength)
        } else {
            Case::refused(&name, &packet, Reason::InnerMalformed, (GOLD_TO_GRAY, Forward))
        });
    }
}

/// OVN's option: ovn-architecture(7).
fn ovn_option(cases: &mut Vec<Case>) {
    let gold_to_ovn = || udp(("10.4.0.60", 1000), ("10.7.0.90", 2000));
    let ovn_to_gold = || udp(("10.7.0.90", 1000), ("10.4.0.60", 2000));
    let from_ovn = |options: &[Vec<u8>]| Outer {
        vni: OVN,
        source: OVN_VTEP.into(),
        ..Outer::from_gold(Geneve::with(options), ovn_to_gold())
    };
    cases.push(Case::forwarded(
        "OVN's option is put in front of the others",
        &Outer::from_gold(Geneve::with(&harmless()), gold_to_ovn()),
        (GOLD_TO_OVN, Forward),
        TO_OVN,
    ));
    let most = 252 - ovn(0, 0).len();
    cases.push(Case::forwarded(
        "OVN's option fits behind which 244 bytes follow",
        &Outer::from_gold(Geneve { options: filler(most), ..Geneve::plain() }, gold_to_ovn()),
        (GOLD_TO_OVN, Forward),
        TO_OVN,
    ));
    cases.push(Case::refused(
        "more than 252 bytes of options don't fit",
        &Outer::from_gold(Geneve { options: filler(most + 4), ..Geneve::plain() }, gold_to_ovn()),
        Reason::OptionsFull,
        (GOLD_TO_OVN, Forward),
    ));
    cases.push(Case::stays(
        "a packet without OVN's option is none of OVN's network",
        &from_ovn(&[]),
        Reason::LocalVni,
    ));
    cases.push(Case::stays(
        "OVN's option on a network that is not OVN's is one that nobody knows",
        &Outer::from_gold(Geneve::with(&[ovn(1, 2)]), gold_to_gray()),
        Reason::CriticalOption,
    ));
    for (name, options) in [
        ("OVN's option behind another", vec![harmless()[0].clone(), ovn(1, 2)]),
        ("OVN's option twice", vec![ovn(1, 2), ovn(1, 2)]),
        ("OVN's option together with an identifier", vec![ovn(1, 2), stamp(label(GOLD_TO_OVN))]),
    ] {
        cases.push(Case::stays(&format!("{name} is refused"), &from_ovn(&options), Reason::TunnelOptions));
    }
    cases.push(Case::refused(
        "an identifier together with OVN's option is refused, and counts against the mapping",
        &from_ovn(&[stamp(label(GOLD_TO_OVN)), ovn(1, 2)]),
        Reason::TunnelOptions,
        (GOLD_TO_OVN, Forward),
    ));
}
