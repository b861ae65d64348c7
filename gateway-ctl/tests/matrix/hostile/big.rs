//! The biggest frames: those that IP can just carry, those that become too long on the way, and those of which the
//! kernel hands over no more than the beginning.

use isthmus_common::reason::Reason;

use super::{Attempt, tunnels};
use crate::federation::mtu;
use crate::frames::checksum;
use crate::frames::inner::{between, udp_of};
use crate::inner::Inner;
use crate::oracle::expected;
use crate::row::{Carry, Packet, Row, Sum};
use crate::way::{Family, Kind, Side, Way};

/// Big frames by every way, and between tunnels those of every size that has a limit near it.
pub(super) fn add(attempts: &mut Vec<Attempt>) {
    let untagged = |side| Way::all(side).into_iter().filter(|way: &Way| way.tags == 0);
    for from in untagged(Side::West).filter(|way| way.kind.is_tunnel()) {
        for to in untagged(Side::East) {
            let carry = if from.kind == Kind::Remote { Carry::Label } else { Carry::Own };
            if from.kind == Kind::Remote && to.kind == Kind::Remote {
                continue;
            }
            let sizes = [(8_950, Sum::None), (60_001, Sum::None), (60_000, Sum::Wrong)];
            let (length, sum) = sizes[usize::from(from.index() + to.index()) % sizes.len()];
            attempts.push(Attempt::of(&sized(from, to, carry, sum, length)));
            // Without a checksum, from IPv4 to IPv6: one over everything.
            if (from.kind, from.family, to.family) == (Kind::Vxlan, Family::V4, Family::V6) {
                attempts.push(Attempt::of(&sized(from, to, carry, Sum::None, 60_003)));
                attempts.push(Attempt::of(&sized(from, to, carry, Sum::None, 8_951)));
            }
        }
    }
    for (from, to, carry) in tunnels() {
        if to.kind == Kind::Remote || !to.kind.is_tunnel() {
            continue;
        }
        let headers = if from.family == Family::V4 { 20 } else { 0 };
        let row = sized(from, to, carry, Sum::None, 0);
        let Packet::Tunnel(outer) = &row.packet else { unreachable!() };
        let tunnel = 8 + 8 + outer.geneve.as_ref().map_or(0, |geneve| geneve.options.len());
        let most = 0xffff - headers - tunnel;
        for less in [0, 7, 8, 19, 20, 21, 28, 40] {
            let mut row = sized(from, to, carry, Sum::None, most - less);
            // An inner packet that is shorter than its frame, as IP can't say more.
            row = row.with(&format!("{less} bytes less than IP can carry"), |outer| {
                outer.padding = vec![0xa5; if less == 0 { 15_000 } else { 0 }];
            });
            attempts.push(limited(&row));
        }
    }
    without_tunnel(attempts);
}

/// An inner frame of this length, of which the inner packet may be less.
fn sized(from: Way, to: Way, carry: Carry, sum: Sum, length: usize) -> Row {
    let row = Row::new(from, to, carry, Inner::Udp, sum);
    let frame = of_length(from, to, length);
    row.with(&format!("an inner frame of {length} bytes"), |outer| outer.inner = frame)
}

fn of_length(from: Way, to: Way, length: usize) -> Vec<u8> {
    let ends = [from, to].map(|way| way.endpoint(Family::V4).to_string());
    let payload: Vec<u8> = (0..=250_u8).cycle().take(length.saturating_sub(14 + 28).min(65_000)).collect();
    let frame = udp_of((&ends[0], 1), (&ends[1], 2), &payload);
    let mut frame = between(frame, from.endpoint_mac(), to.endpoint_mac());
    frame.resize(length.max(frame.len()), 0x5a);
    frame
}

/// What becomes of a row whose outer packet may have no room for its length.
fn limited(row: &Row) -> Attempt {
    let Packet::Tunnel(outer) = &row.packet else { unreachable!() };
    let own = match row.to.kind {
        Kind::Ovn => 8,
        _ => 0,
    };
    let options = match (&outer.geneve, row.to.kind.is_geneve()) {
        (Some(geneve), true) if row.from.kind == Kind::Geneve => geneve.options.len(),
        _ => 0,
    };
    let udp = 16 + own + options + outer.inner.len();
    // IPv4 counts its header, IPv6 doesn't.
    let (said, packet) = if row.to.family == Family::V4 { (20 + udp, 20 + udp) } else { (udp, 40 + udp) };
    if said > 0xffff || packet > mtu(row.to) as usize {
        Attempt::stopped(row.name(), row.from, row.packet.build(), Reason::EgressMtu)
    } else {
        Attempt::of(row)
    }
}

/// From VLANs and ports, where a driver may hand over several packets as one.
fn without_tunnel(attempts: &mut Vec<Attempt>) {
    for from in Way::all(Side::West).into_iter().filter(|way| !way.kind.is_tunnel()) {
        for to in Way::all(Side::East) {
            let packet = |length| {
                let mut row = Row::new(from, to, Carry::Own, Inner::Udp, Sum::None);
                if let Packet::Vlan { inner, .. } | Packet::Port { inner } = &mut row.packet {
                    *inner = of_length(from, to, length);
                }
                row
            };
            // The source port is the gateway's to choose; what goes without tunnel has none.
            let row = packet(80_000);
            let name = format!("{} of 80,000 bytes", row.name());
            attempts.push(Attempt::stopped(name, from, row.packet.build(), Reason::EgressMtu));
            if !to.kind.is_tunnel() {
                let row = packet(60_000);
                let Ok(out) = expected(&row, 0) else { unreachable!() };
                let (frame, out) = (row.packet.build(), Some(out.build()));
                let name = format!("{} of 60,000 bytes", row.name());
                attempts.push(Attempt {
                    name,
                    ingress: from.interface(),
                    frame,
                    reason: Reason::Forwarded,
                    out,
                });
            }
        }
    }
}

/// One's complement sum of everything, to be sure that the oracle itself sums up long frames rightly.
#[test]
fn the_oracle_sums_long_frames_like_etherparse() {
    let from = Way { side: Side::West, kind: Kind::Vxlan, family: Family::V6, tags: 0 };
    let to = Way { side: Side::East, ..from };
    for length in [59_999, 60_000] {
        let row = sized(from, to, Carry::Own, Sum::Right, length);
        let Packet::Tunnel(outer) = &row.packet else { unreachable!() };
        let frame = outer.build();
        let field = u16::from_be_bytes([frame[60], frame[61]]);
        assert_eq!(checksum::as_wrong(0, &[], &outer.udp_words()), field);
    }
}
