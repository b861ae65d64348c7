//! Lengths that contradict each other.

use isthmus_common::reason::Reason;

use super::{Attempt, tunnels};
use crate::frames::geneve::{Geneve, option};
use crate::inner::Inner;
use crate::row::{Carry, Packet, Row, Sum};
use crate::way::{Family, Kind};

pub(super) fn add(attempts: &mut Vec<Attempt>) {
    outer(attempts);
    options(attempts);
}

fn outer(attempts: &mut Vec<Attempt>) {
    for (from, to, carry) in tunnels() {
        let row = Row::new(from, to, carry, Inner::Udp, Sum::Right);
        let Packet::Tunnel(packet) = &row.packet else { unreachable!() };
        let frame = packet.build();
        let ip = ETHERNET + 4 * usize::from(from.tags);
        let (is_v4, udp) = if from.family == Family::V4 { (true, ip + 20) } else { (false, ip + 40) };
        let mut push = |what: &str, frame: Vec<u8>, reason| {
            attempts.push(Attempt::stopped(format!("{}: {what}", from.name()), from, frame, reason));
        };
        let whole = u16::try_from(frame.len() - udp).unwrap();
        for length in [0, 1, 7, 8, 15, 16, 17, whole - 1, whole + 1, 0x7fff, 0x8000, 0xffff] {
            let mut lying = frame.clone();
            lying[udp + 4..udp + 6].copy_from_slice(&length.to_be_bytes());
            push(&format!("UDP says {length} bytes"), lying, Reason::OuterLength);
        }
        // In IPv4 the header counts; in IPv6 a payload of 0 is a jumbogram's (RFC 2675).
        let (field, header) = if is_v4 { (ip + 2, 20) } else { (ip + 4, 0) };
        for length in [
            0,
            1,
            header,
            header + 7,
            header + 8,
            header + 15,
            header + whole - 1,
            header + whole + 1,
            0xffff,
        ] {
            let mut lying = frame.clone();
            lying[field..field + 2].copy_from_slice(&length.to_be_bytes());
            if is_v4 {
                right_again(&mut lying[ip..ip + 20]);
            }
            let reason = if !is_v4 && length == 0 { Reason::OuterMalformed } else { Reason::OuterLength };
            push(&format!("IP says {length} bytes"), lying, reason);
        }
        // UDP and IP agree on less than a tunnel header, or an inner Ethernet header, takes; the rest is padding.
        for length in [8, 9, 15, 16, 16 + 13] {
            let mut lying = frame.clone();
            lying[udp + 4..udp + 6].copy_from_slice(&u16::to_be_bytes(length));
            lying[field..field + 2].copy_from_slice(&u16::to_be_bytes(header + length));
            if is_v4 {
                right_again(&mut lying[ip..ip + 20]);
            }
            push(&format!("UDP and IP say {length} bytes"), lying, Reason::OuterLength);
        }
        if is_v4 {
            for (what, first) in
                [("version 6", 0x65), ("no length", 0x40), ("a length of 16", 0x44), ("version 0", 0x05)]
            {
                let mut lying = frame.clone();
                lying[ip] = first;
                push(&format!("an IPv4 header of {what}"), lying, Reason::OuterMalformed);
            }
            let mut lying = frame.clone();
            lying[ip] = 0x46;
            right_again(&mut lying[ip..ip + 24]);
            push("the UDP ports taken for options", lying, Reason::NotTunnel);
            let mut lying = frame.clone();
            lying[ip + 10] ^= 0x01;
            push("a wrong IPv4 checksum", lying, Reason::OuterChecksum);
        } else {
            for (what, first) in [("version 4", 0x45), ("version 0", 0x00), ("version 15", 0xf0)] {
                let mut lying = frame.clone();
                lying[ip] = first;
                push(&format!("an IPv6 header of {what}"), lying, Reason::OuterMalformed);
            }
        }
    }
}

const ETHERNET: usize = 14;

/// Computes an IPv4 header's checksum from nothing.
fn right_again(header: &mut [u8]) {
    header[10..12].fill(0);
    let field = crate::frames::checksum::as_wrong(0, &[], &crate::frames::checksum::words(header));
    header[10..12].copy_from_slice(&field.to_be_bytes());
}

/// Geneve options whose lengths lie.
fn options(attempts: &mut Vec<Attempt>) {
    for (from, to, carry) in tunnels().filter(|(from, ..)| from.kind.is_geneve()) {
        let row = Row::new(from, to, carry, Inner::Udp, Sum::Right);
        let Packet::Tunnel(packet) = &row.packet else { unreachable!() };
        let base = packet.geneve.clone().unwrap();
        let own = base.options.clone();
        let mut stopped = |what: &str, geneve: Geneve, reason| {
            let row = row.clone().with(what, |outer| outer.geneve = Some(geneve));
            attempts.push(Attempt::stopped(row.name(), from, row.packet.build(), reason));
        };
        let behind = |more: &[u8]| [&own[..], more].concat();
        for (what, options) in [
            ("an option one word too long", behind(&[0x01, 0x05, 0x81, 1])),
            ("an option of 31 words that are not there", behind(&[0x01, 0x05, 0x01, 31])),
            (
                "an option that reaches past the last one",
                behind(&[&option(0x0103, 0x01, &[0; 8])[..], &[0x01, 0x05, 0x01, 2, 0, 0, 0, 0]].concat()),
            ),
        ] {
            let geneve = Geneve { flags: Geneve::CRITICAL, options, ..Geneve::plain() };
            stopped(what, geneve, Reason::TunnelOptions);
        }
        let critical = behind(&option(0x0107, 0x80, &[]));
        stopped(
            "a critical option that nobody knows",
            Geneve { flags: Geneve::CRITICAL, options: critical, ..Geneve::plain() },
            Reason::CriticalOption,
        );
        // More options than the packet has bytes, before anything is read in them.
        let excess = u8::try_from(63 - own.len() / 4).unwrap();
        stopped("options past the packet", Geneve { excess, ..base.clone() }, Reason::OuterLength);
        for version in 1..4 {
            let geneve = Geneve { version, ..base.clone() };
            stopped(&format!("Geneve's version {version}"), geneve, Reason::OuterMalformed);
        }
        for protocol in [0x0000, 0x0800, 0x86dd, 0x6559, 0xffff] {
            let geneve = Geneve { protocol, ..base.clone() };
            stopped(&format!("payload {protocol:#06x}"), geneve, Reason::TunnelPayload);
        }
        let control = Geneve { flags: base.flags | Geneve::CONTROL, ..base.clone() };
        stopped("a control message", control, Reason::TunnelPayload);
        if from.kind == Kind::Geneve && carry == Carry::Own {
            // Nobody looks at options that are not said to be critical: they go on, or not, as they are.
            let geneve = Geneve { options: vec![0x01, 0x05, 0x81, 31], ..Geneve::plain() };
            attempts.push(Attempt::of(&row.clone().with("a lie that is not critical", |outer| {
                outer.geneve = Some(geneve);
            })));
        }
        if from.kind == Kind::Remote {
            for (what, words) in [("shorter", 1), ("longer", 3)] {
                let mut options = own.clone();
                options[3] = words;
                options.resize(4 + 4 * usize::from(words), 0);
                let geneve = Geneve { flags: Geneve::CRITICAL, options, ..Geneve::plain() };
                let row = row.clone().with(&format!("an identifier {what} than one"), |outer| {
                    outer.geneve = Some(geneve);
                });
                // Its VNI, the label, is no network's in Geneve; an identifier it has not.
                attempts.push(Attempt::stopped(row.name(), from, row.packet.build(), Reason::LocalVni));
            }
        }
    }
}
