//! The UDP source port of packets that came without one (RFC 7348 §5, RFC 6335 §6): the sender's flows, spread.

use std::collections::BTreeSet;

use crate::chosen_port;
use crate::gateway::HostGateway;
use crate::inner::Inner;
use crate::row::{Carry, Row, Sum};
use crate::way::{Family, Kind, Side, Way};

const FROM: Way = Way { side: Side::West, kind: Kind::Port, family: Family::V4, tags: 0 };
const TO: Way = Way { side: Side::East, kind: Kind::Vxlan, family: Family::V4, tags: 0 };

/// The port that a frame leaves with.
fn port_of(host: &HostGateway, frame: &[u8]) -> u16 {
    let row = Row::new(FROM, TO, Carry::Own, Inner::Udp, Sum::None);
    chosen_port(&row, &host.run(frame, FROM.interface()).frame).unwrap()
}

#[test]
fn one_flow_has_one_port_and_many_flows_have_many() {
    let host = HostGateway::new();
    for inner in [Inner::Udp, Inner::Tcp, Inner::Tcp6] {
        let mut ports = Vec::new();
        for flow in 0..1000 {
            let frame = inner.frame(FROM, TO, flow * 7);
            let port = port_of(&host, &frame);
            assert!(port >= 49_152, "{inner:?}: {port}");
            // Another packet of the same flow: other length, other payload, other DSCP.
            let mut longer = inner.marked(FROM, TO, flow * 7, 0x88);
            *longer.last_mut().unwrap() ^= 0x55;
            longer.extend([0; 40]);
            assert_eq!(port_of(&host, &longer), port, "{inner:?}");
            ports.push(port);
        }
        // 1,000 balls into 16,384 bins leave about 970 of them hit, if they fall by chance.
        let different = ports.iter().collect::<BTreeSet<_>>().len();
        assert!(different > 940, "{inner:?}: only {different} ports");
        // Each half of the range, and of the even and odd ones, gets its share.
        for (what, in_it) in [
            ("upper", ports.iter().filter(|port| **port >= 57_344).count()),
            ("odd", ports.iter().filter(|port| **port % 2 == 1).count()),
        ] {
            assert!((420..580).contains(&in_it), "{inner:?}: {in_it} of 1000 are {what}");
        }
    }
}

#[test]
fn every_inner_field_that_tells_flows_apart_tells_ports_apart() {
    let host = HostGateway::new();
    let base = Inner::Udp.frame(FROM, TO, 0);
    let port = port_of(&host, &base);
    let changed = |at: usize| {
        // Many values: one of them may fall on the same port by chance.
        (1..=8u8)
            .filter(|flip| {
                let mut frame = base.clone();
                frame[at] ^= flip;
                port_of(&host, &frame) != port
            })
            .count()
    };
    // The UDP ports; addresses and protocol select the target, and can't be changed at will.
    for at in [34, 35, 36, 37] {
        assert!(changed(at) >= 7, "byte {at} does not count");
    }
    let between = |inner: Inner| port_of(&host, &inner.frame(FROM, TO, 0));
    let kinds = [Inner::Udp, Inner::Tcp, Inner::Icmp, Inner::Tcp6, Inner::Icmp6].map(between);
    assert!(kinds.iter().collect::<BTreeSet<_>>().len() >= 4, "{kinds:?}");
}

#[test]
fn a_frame_without_ip_has_a_port_too() {
    let host = HostGateway::new();
    for inner in [Inner::Arp, Inner::Other, Inner::Tagged] {
        let frame = inner.frame(FROM, TO, 0);
        let port = port_of(&host, &frame);
        assert!(port >= 49_152);
        assert_eq!(port_of(&host, &frame), port);
    }
}
