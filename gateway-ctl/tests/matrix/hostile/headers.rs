//! Headers that are sound, but not what a tunnel packet has; and inner frames of every oddity.

use etherparse::IpNumber;
use isthmus_common::reason::Reason;

use super::{Attempt, tunnels};
use crate::frames::inner::{self, between};
use crate::frames::{Outer, Tag};
use crate::inner::Inner;
use crate::row::{Carry, Row, Sum};
use crate::way::{Family, Kind};

pub(super) fn add(attempts: &mut Vec<Attempt>) {
    for (from, to, carry) in tunnels() {
        let row = Row::new(from, to, carry, Inner::Tcp, Sum::Right);
        outer_ip(attempts, &row);
        tags(attempts, &row);
        if !from.kind.is_geneve() {
            flags(attempts, &row);
        }
        inner_frames(attempts, &row);
    }
}

fn stopped(
    attempts: &mut Vec<Attempt>,
    row: &Row,
    what: &str,
    reason: Reason,
    edit: impl FnOnce(&mut Outer),
) {
    let row = row.clone().with(what, edit);
    attempts.push(Attempt::stopped(row.name(), row.from, row.packet.build(), reason));
}

fn outer_ip(attempts: &mut Vec<Attempt>, row: &Row) {
    let mut stop = |what: &str, reason, edit: &dyn Fn(&mut Outer)| stopped(attempts, row, what, reason, edit);
    stop("another port", Reason::NotTunnel, &|outer| outer.destination_port = 53);
    stop("another protocol", Reason::NotTunnel, &|outer| outer.protocol = IpNumber::TCP);
    stop("UDP-Lite", Reason::NotTunnel, &|outer| outer.protocol = IpNumber(136));
    if row.from.family == Family::V4 {
        for length in [4, 8, 40] {
            stop(&format!("{length} bytes of IP options"), Reason::OuterOptions, &|outer| {
                outer.options = vec![1; length];
            });
        }
        stop("a first fragment", Reason::OuterFragment, &|outer| outer.more_fragments = true);
        stop("a middle fragment", Reason::OuterFragment, &|outer| {
            (outer.more_fragments, outer.fragment_offset) = (true, 1);
        });
        stop("a last fragment", Reason::OuterFragment, &|outer| outer.fragment_offset = 0x1fff);
        stop("a fragment with options", Reason::OuterFragment, &|outer| {
            (outer.more_fragments, outer.options) = (true, vec![1; 4]);
        });
        for last in [0, 255] {
            stop(&format!("another address .{last}"), Reason::NotForGateway, &|outer| {
                outer.destination = [192, 0, 77, last].into();
            });
        }
        stop("no address", Reason::NotForGateway, &|outer| outer.destination = [0; 4].into());
    } else {
        // A fragment header: next header, reserved, offset and M, identification.
        let fragment = [17, 0, 0, 1, 0, 0, 0, 9];
        stop("a fragment header", Reason::OuterFragment, &|outer| {
            (outer.protocol, outer.extensions) = (IpNumber(44), fragment.to_vec());
        });
        stop("an atomic fragment", Reason::OuterFragment, &|outer| {
            (outer.protocol, outer.extensions) = (IpNumber(44), vec![17, 0, 0, 0, 0, 0, 0, 9]);
        });
        for (what, next) in
            [("hop-by-hop", 0), ("routing", 43), ("destination", 60), ("mobility", 135), ("HIP", 139)]
        {
            stop(&format!("{what} options"), Reason::NotTunnel, &|outer| {
                (outer.protocol, outer.extensions) = (IpNumber(next), vec![17, 0, 1, 4, 0, 0, 0, 0]);
            });
        }
        stop("no next header", Reason::NotTunnel, &|outer| outer.protocol = IpNumber(59));
        stop("no address", Reason::NotForGateway, &|outer| outer.destination = [0_u16; 8].into());
        stop("a mapped address", Reason::NotForGateway, &|outer| {
            outer.destination = [0, 0, 0, 0, 0, 0xffff, 0xc000, 0x01fa].into();
        });
        stop("all nodes", Reason::NotForGateway, &|outer| {
            outer.destination = [0xff02, 0, 0, 0, 0, 0, 0, 1].into();
        });
    }
}

fn tags(attempts: &mut Vec<Attempt>, row: &Row) {
    let own = row.from.underlay_tags();
    let with = |more: &[Tag]| [&own[..], more].concat();
    let stack = |deep: usize| (0..deep).map(|_| Tag::customer(0)).collect::<Vec<_>>();
    for (what, tags) in [
        ("three priorities", stack(3)),
        ("a VLAN of nobody's", vec![Tag::customer(999)]),
        ("VLAN 4095", vec![Tag { tpid: Tag::SERVICE, priority: 0x0f, vid: 0xfff }]),
        ("a VLAN of nobody's behind the own ones", with(&[Tag::service(999)])),
        ("ten tags", stack(10)),
        ("the own tags, and three priorities", with(&stack(3))),
    ] {
        stopped(attempts, row, what, Reason::ForeignVlan, |outer| outer.tags = tags);
    }
    // A priority in front, where there is room for it.
    if own.len() < 2 {
        let tags = [&[Tag { tpid: Tag::CUSTOMER, priority: 7, vid: 0 }][..], &own].concat();
        attempts.push(Attempt::of(&row.clone().with("a priority in front", |outer| outer.tags = tags)));
    }
}

/// Flags of VXLAN's extensions.
fn flags(attempts: &mut Vec<Attempt>, row: &Row) {
    for bit in 0..8 {
        let flag = 1_u8 << bit;
        let note = format!("flag {flag:#04x} besides");
        let with = |outer: &mut Outer| outer.vxlan_flags |= flag;
        match flag {
            // Reserved everywhere, or what says that there is a VNI; and, with group policy, what says that there is a group.
            0x40 | 0x08 => attempts.push(Attempt::of(&row.clone().with(&note, with))),
            0x80 if row.from.kind.is_group() => attempts.push(Attempt::of(&row.clone().with(&note, with))),
            _ => stopped(attempts, row, &note, Reason::TunnelFlags, with),
        }
    }
    stopped(attempts, row, "no VNI", Reason::NoIdentifier, |outer| outer.vxlan_flags &= !0x08);
    for (flag, vni) in [(0x04, 0), (0x01, 99), (0x30, 0x00ef_ffff)] {
        let what = format!("flag {flag:#04x} on VNI {vni} of nobody's");
        stopped(attempts, row, &what, Reason::LocalVni, |outer| {
            outer.vxlan_flags |= flag;
            outer.vni = vni;
        });
    }
}

fn inner_frames(attempts: &mut Vec<Attempt>, row: &Row) {
    let (from, to) = (row.from, row.to);
    let ends = |family| (from.endpoint(family).to_string(), to.endpoint(family).to_string());
    let (v4, v6) = (ends(Family::V4), ends(Family::V6));
    let mut carry = |inner: Inner, what: &str, frame: Vec<u8>| {
        let frame = between(frame, from.endpoint_mac(), to.endpoint_mac());
        let row = Row::new(from, to, row.carry, inner, Sum::None);
        attempts.push(Attempt::of(&row.with(what, |outer| outer.inner = frame)));
    };
    // A tunnel packet between two others, and between these two.
    let nested = Row::new(from, to, row.carry, Inner::Tcp6, Sum::Wrong).packet.build();
    for port in [4789, 4790, 6081] {
        let what = format!("a tunnel in UDP port {port}");
        carry(Inner::Udp, &what, inner::udp_of((&v4.0, port), (&v4.1, port), &nested[14..]));
        carry(Inner::Tcp6, &what, inner::udp_of((&v6.0, port), (&v6.1, port), &nested[14..]));
    }
    carry(Inner::Tcp, "IP options", inner::tcp_behind_options((&v4.0, 1), (&v4.1, 2)));
    for (offset, more) in [(0, true), (1, true), (100, false)] {
        let frame = inner::fragment(&v4.0, &v4.1, offset, more);
        carry(Inner::Tcp, &format!("a fragment at {offset}"), frame);
    }
    for (what, next, payload) in [
        ("a fragment header", 44, vec![6, 0, 0, 1, 0, 0, 0, 9, 1, 2, 3, 4]),
        ("hop-by-hop options", 0, vec![59, 0, 1, 4, 0, 0, 0, 0]),
        ("a routing header", 43, vec![59, 0, 0, 0, 0, 0, 0, 0]),
        ("extension headers that never end", 60, vec![60; 80]),
        ("no next header", 59, vec![]),
        ("an unknown protocol", 253, vec![1; 33]),
    ] {
        carry(Inner::Tcp6, what, inner::other(&v6.0, &v6.1, next, &payload));
    }
    let tagged = |deep: u16| {
        let tags: Vec<Tag> = (1..=deep).map(Tag::service).collect();
        Tag::put(&tags, &inner::udp((&v4.0, 1), (&v4.1, 2)))
    };
    for deep in [2, 3, 20] {
        carry(Inner::Tagged, &format!("{deep} inner tags"), tagged(deep));
    }
    let is_plain = row.carry == Carry::Own && row.from.kind != Kind::Remote;
    for reserved in ["::1", "::ffff:10.1.1.1", "::fffe:200:1", "::ffff:ffff:ffff:ffff"] {
        // Addresses of nobody: the gateway's tables keep IPv4 addresses and MACs there.
        for (source, destination) in [(reserved, v6.1.as_str()), (v6.0.as_str(), reserved)] {
            if is_plain {
                let what = format!("inner addresses {source} and {destination}");
                let frame = inner::udp((source, 1), (destination, 2));
                stopped(attempts, row, &what, Reason::InnerMalformed, |outer| outer.inner = frame);
            }
        }
    }
}
