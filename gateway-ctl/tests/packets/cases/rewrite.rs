//! The translation: what changes, and what must not.

use isthmus_common::reason::Reason;
use isthmus_common::rules::Direction::{Forward, Return};

use super::{Case, answer, request};
use crate::federation::RED_TO_BLUE;
use crate::frames::{Checksum, Outer};
use crate::oracle::{TO_BLUE, TO_RED, translated};

pub(super) fn add(cases: &mut Vec<Case>) {
    let good = Outer::from_red(request());
    let mut forward = |name: &str, packet: &Outer| {
        cases.push(Case::forwarded(name, packet, (RED_TO_BLUE, Forward), TO_BLUE));
    };
    for port in [0, 1, 49_152, 65_535] {
        forward(
            &format!("source port {port}, the sender's flow entropy, is kept"),
            &Outer { source_port: port, ..good.clone() },
        );
    }
    forward("DSCP is kept", &Outer { dscp: 46, ..good.clone() });
    for ecn in 1..4 {
        forward(&format!("ECN {ecn} is kept"), &Outer { ecn, ..good.clone() });
    }
    forward("the identification is kept", &Outer { identification: 0xbeef, ..good.clone() });
    forward("the don't-fragment bit is kept", &Outer { dont_fragment: true, ..good.clone() });
    forward("the bit in front of it is not", &Outer { reserved_flag: true, ..good.clone() });
    forward(
        "reserved bits of the tunnel header are kept",
        &Outer {
            vxlan_flags: 0x48,
            vxlan_reserved: [0xde, 0xad, 0x01],
            vxlan_reserved_last: 0xcc,
            udp_checksum: Checksum::Right,
            ..good.clone()
        },
    );

    forward("a UDP checksum of zero stays zero", &good);
    forward("a right UDP checksum stays right", &Outer { udp_checksum: Checksum::Right, ..good.clone() });
    let mut odd = request();
    odd.push(0x99);
    forward(
        "a right UDP checksum over an odd number of bytes stays right",
        &Outer { udp_checksum: Checksum::Right, ..Outer::from_red(odd) },
    );
    for field in [0x0001, 0x1234, 0xbeef, 0xfffe, 0xffff] {
        forward(
            &format!("UDP checksum {field:#06x} stays exactly as wrong"),
            &Outer { udp_checksum: Checksum::Wrong(field), ..good.clone() },
        );
    }
    // Sums that come out, or go in, as zero: one's complement has two of them.
    let udp_of = |packet: &Outer| packet.build()[40..42].to_vec();
    let ip_of = |packet: &Outer| packet.build()[24..26].to_vec();
    let with_port = |source_port| Outer { source_port, udp_checksum: Checksum::Right, ..good.clone() };
    let with_id = |identification| Outer { identification, ..good.clone() };
    let find = |make: &dyn Fn(u16) -> Outer, holds: &dyn Fn(&Outer) -> bool| {
        (1..=u16::MAX).map(make).find(holds).expect("some value makes the sum zero")
    };
    forward(
        "a UDP checksum that becomes zero is sent as all ones",
        &find(&with_port, &|packet| udp_of(&translated(packet, TO_BLUE)) == [0xff, 0xff]),
    );
    forward(
        "a UDP checksum that was sent as all ones is updated",
        &find(&with_port, &|packet| udp_of(packet) == [0xff, 0xff]),
    );
    forward(
        "an IPv4 checksum that becomes zero is zero",
        &find(&with_id, &|packet| ip_of(&translated(packet, TO_BLUE)) == [0, 0]),
    );
    forward("an IPv4 checksum of zero is updated", &find(&with_id, &|packet| ip_of(packet) == [0, 0]));

    for field in [0x0000, 0x0001, 0x1234, 0xfffe] {
        cases.push(Case::stays(
            &format!("IPv4 checksum {field:#06x}, where another is right, drops the packet"),
            &Outer { ip_checksum: Checksum::Wrong(field), ..good.clone() },
            Reason::OuterChecksum,
        ));
    }

    cases.push(Case::forwarded(
        "an answer keeps its checksum right as well",
        &Outer { udp_checksum: Checksum::Right, ..Outer::from_blue(answer()) },
        (RED_TO_BLUE, Return),
        TO_RED,
    ));
}
