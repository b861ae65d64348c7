//! The federation that the packets of the table travel through.
//!
//! ```text
//!   red   VNI 42, vtep 192.0.2.1   ─┐ if 11            if 12 ┌─ blue  VNI 77, UDP port 8472, vtep 203.0.113.2
//!   pink  VNI 43, vtep 192.0.2.3   ─┤                          ├─ gold  Geneve VNI 42, vtep 203.0.113.4
//!   gray  Geneve VNI 43, 192.0.2.5 ─┴────── gateway ─────────┘
//!                                              │ if 13, an underlay of its own
//!                                              └─ green VNI 42 (again), vtep 198.51.100.3
//! ```

use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;

use isthmus::gateway::compile::{Site, compile};
use isthmus::gateway::dataplane::interface_record;
use isthmus::gateway::install::{Capacity, InstallError, Installed, TableWriter};
use isthmus::gateway::plan::Plan;
use isthmus::model::AccessLevel::{Connect, Full, None as Nothing, Observe};
use isthmus::model::Protocol::{Any, Icmp, Tcp, Udp};
use isthmus::model::{Encapsulation, Spec};
use isthmus_common::id::Vni;
use isthmus_common::scope::Underlay;
use isthmus_common::tables::{Interface, NextHop};

use crate::objects::{mapping, network, network_on, replica, resource};

pub(crate) const RED: u32 = 42;
pub(crate) const PINK: u32 = 43;
pub(crate) const BLUE: u32 = 77;
/// On another underlay, hence not red.
pub(crate) const GREEN: u32 = RED;
pub(crate) const PORT: u16 = 4789;
/// The same number as red's, in Geneve: another network.
pub(crate) const GOLD: u32 = RED;
pub(crate) const GRAY: u32 = PINK;
pub(crate) const GENEVE_PORT: u16 = 6081;
/// Blue listens on another port than the rest.
pub(crate) const BLUE_PORT: u16 = 8472;

/// Interface of red and pink.
pub(crate) const WEST: u32 = 11;
/// Interface of blue.
pub(crate) const EAST: u32 = 12;
/// Interface of green.
pub(crate) const FAR: u32 = 13;

/// A hop that the program can name but no device stands behind.
const VANISHED_SLOT: u32 = 40;

pub(crate) const RED_VTEP: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 1);
pub(crate) const PINK_VTEP: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 3);
pub(crate) const BLUE_VTEP: Ipv4Addr = Ipv4Addr::new(203, 0, 113, 2);
pub(crate) const LOST_VTEP: Ipv4Addr = Ipv4Addr::new(203, 0, 113, 7);
pub(crate) const NARROW_VTEP: Ipv4Addr = Ipv4Addr::new(203, 0, 113, 8);
pub(crate) const VANISHED_VTEP: Ipv4Addr = Ipv4Addr::new(203, 0, 113, 9);
pub(crate) const GOLD_VTEP: Ipv4Addr = Ipv4Addr::new(203, 0, 113, 4);
pub(crate) const GRAY_VTEP: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 5);
pub(crate) const GREEN_VTEP: Ipv4Addr = Ipv4Addr::new(198, 51, 100, 3);

/// Largest outer IP packet that the way to [`NARROW_VTEP`] takes, bytes.
pub(crate) const NARROW_MTU: u16 = 200;

pub(crate) const WEST_ADDRESS: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 254);
pub(crate) const WEST_SECOND_ADDRESS: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 253);
pub(crate) const EAST_ADDRESS: Ipv4Addr = Ipv4Addr::new(203, 0, 113, 254);
pub(crate) const FAR_ADDRESS: Ipv4Addr = Ipv4Addr::new(198, 51, 100, 254);

/// Mappings by the number that ends their identifier.
pub(crate) const RED_TO_BLUE: u8 = 1;
pub(crate) const RED_TO_BLUE_TOO: u8 = 2;
pub(crate) const BLUE_TO_RED: u8 = 3;
pub(crate) const RED_TO_PINK: u8 = 4;
pub(crate) const RED_TO_GREEN: u8 = 5;
pub(crate) const RED_TO_GOLD: u8 = 6;
pub(crate) const GOLD_TO_GRAY: u8 = 7;

/// A network on Geneve and its usual port.
fn geneve_network(name: &str, vni: u32, endpoints: &[(&str, &str)]) -> Spec {
    let encapsulation =
        Encapsulation::Geneve { vni: Vni::new(vni).unwrap(), udp_port: GENEVE_PORT, ovn_port: None };
    network_on(encapsulation, name, "default", endpoints)
}

fn objects() -> Vec<Spec> {
    let [red, pink, blue, green] = [RED_VTEP, PINK_VTEP, BLUE_VTEP, GREEN_VTEP].map(|vtep| vtep.to_string());
    let [gold, gray] = [GOLD_VTEP, GRAY_VTEP].map(|vtep| vtep.to_string());
    let [lost, narrow, vanished] = [LOST_VTEP, NARROW_VTEP, VANISHED_VTEP].map(|vtep| vtep.to_string());
    vec![
        network(
            "red",
            "default",
            RED,
            PORT,
            &[("10.0.0.10", &red), ("10.0.0.11", &red), ("fd00:a::11", &red)],
        ),
        network("pink", "default", PINK, PORT, &[("10.2.0.40", &pink)]),
        network(
            "blue",
            "default",
            BLUE,
            BLUE_PORT,
            &[
                ("10.1.0.20", &blue),
                ("10.1.0.21", &blue),
                ("10.1.0.22", &blue),
                ("10.1.0.23", &blue),
                ("10.1.0.24", &blue),
                ("10.1.0.25", &blue),
                ("10.1.0.30", &lost),
                ("10.1.0.31", &narrow),
                ("10.1.0.32", &vanished),
                ("fd00:b::20", &blue),
                ("fd00:b::21", &blue),
            ],
        ),
        network("green", "elsewhere", GREEN, PORT, &[("10.3.0.50", &green)]),
        geneve_network("gold", GOLD, &[("10.4.0.60", &gold)]),
        geneve_network("gray", GRAY, &[("10.5.0.70", &gray)]),
        resource("gold", "gold", &["10.4.0.60"], Any, &[]),
        resource("gray", "gray", &["10.5.0.70"], Any, &[]),
        resource("web", "blue", &["10.1.0.20", "fd00:b::20"], Tcp, &[(80, 80), (440, 450)]),
        resource("ping", "blue", &["10.1.0.20", "fd00:b::20"], Icmp, &[]),
        resource("dns", "blue", &["10.1.0.20"], Udp, &[(53, 53)]),
        resource("anything", "blue", &["10.1.0.21", "fd00:b::21"], Any, &[]),
        resource("vault", "blue", &["10.1.0.22"], Any, &[]),
        resource("tap", "blue", &["10.1.0.23"], Any, &[]),
        resource("tcp", "blue", &["10.1.0.24"], Tcp, &[]),
        resource("unready", "blue", &["10.1.0.30", "10.1.0.31", "10.1.0.32"], Any, &[]),
        resource("ssh", "red", &["10.0.0.10"], Tcp, &[(22, 22)]),
        resource("pink", "pink", &["10.2.0.40"], Any, &[]),
        resource("green", "green", &["10.3.0.50"], Tcp, &[(80, 80)]),
        Spec::Mapping(mapping(
            RED_TO_BLUE,
            "red",
            "blue",
            &[
                ("web", Connect),
                ("ping", Connect),
                ("anything", Connect),
                ("vault", Nothing),
                ("tap", Observe),
                ("unready", Full),
            ],
        )),
        Spec::Mapping(mapping(RED_TO_BLUE_TOO, "red", "blue", &[("dns", Connect), ("tcp", Full)])),
        Spec::Mapping(mapping(BLUE_TO_RED, "blue", "red", &[("ssh", Connect)])),
        Spec::Mapping(mapping(RED_TO_PINK, "red", "pink", &[("pink", Full)])),
        Spec::Mapping(mapping(RED_TO_GREEN, "red", "green", &[("green", Connect)])),
        Spec::Mapping(mapping(RED_TO_GOLD, "red", "gold", &[("gold", Full)])),
        Spec::Mapping(mapping(GOLD_TO_GRAY, "gold", "gray", &[("gray", Full)])),
    ]
}

/// What the tables should hold.
pub(crate) fn plan() -> Plan {
    let gateway = [WEST_ADDRESS, WEST_SECOND_ADDRESS, EAST_ADDRESS, FAR_ADDRESS];
    let site = Site {
        bound_providers: BTreeMap::from([("elsewhere".to_owned(), Underlay::new(2).unwrap())]),
        addresses: BTreeSet::from(gateway),
    };
    let plan = compile(&replica(objects()), &site);
    assert_eq!(plan.refused, [], "the federation of the table must be in force as a whole");
    plan
}

pub(crate) fn capacity() -> Capacity {
    Capacity::for_mappings(64)
}

/// The gateway's interfaces; each takes packets for all addresses of its underlay, its own first.
pub(crate) fn interfaces(plan: &Plan) -> [Interface; 3] {
    let ports = plan.tunnel_ports();
    let shared = Underlay::SHARED.get();
    [
        interface_record(WEST, shared, &ports, &[WEST_ADDRESS, WEST_SECOND_ADDRESS, EAST_ADDRESS]),
        interface_record(EAST, shared, &ports, &[EAST_ADDRESS, WEST_ADDRESS, WEST_SECOND_ADDRESS]),
        interface_record(FAR, 2, &ports, &[FAR_ADDRESS]),
    ]
}

/// The MAC of the gateway on an interface.
pub(crate) fn gateway_mac(ifindex: u32) -> [u8; 6] {
    [0x02, 0x1d, 0, 0, 0, u8::try_from(ifindex).unwrap()]
}

/// The MAC of the router or host that leads to a tunnel endpoint.
pub(crate) fn vtep_mac(vtep: Ipv4Addr) -> [u8; 6] {
    let [a, b, c, d] = vtep.octets();
    [0x02, 0xee, a, b, c, d]
}

/// Installs the plan and resolves the next hops; `slot` tells an interface's slot.
pub(crate) fn fill<W: TableWriter>(
    writer: &mut W,
    plan: &Plan,
    slot: impl Fn(u32) -> u32,
) -> Result<Installed, InstallError<W::Error>> {
    let mut installed = Installed::new(&capacity());
    installed.install(writer, plan)?;
    let ways = [
        (RED_VTEP, WEST, WEST_ADDRESS),
        (PINK_VTEP, WEST, WEST_ADDRESS),
        (BLUE_VTEP, EAST, EAST_ADDRESS),
        (NARROW_VTEP, EAST, EAST_ADDRESS),
        (VANISHED_VTEP, EAST, EAST_ADDRESS),
        (GREEN_VTEP, FAR, FAR_ADDRESS),
        (GOLD_VTEP, EAST, EAST_ADDRESS),
        (GRAY_VTEP, WEST, WEST_ADDRESS),
    ];
    for (vtep, ifindex, source) in ways {
        let hop = NextHop {
            resolved: 1,
            ifindex,
            slot: if vtep == VANISHED_VTEP { VANISHED_SLOT } else { slot(ifindex) },
            mtu: if vtep == NARROW_VTEP { NARROW_MTU.into() } else { 9000 },
            source: source.octets(),
            destination: vtep.octets(),
            destination_mac: vtep_mac(vtep),
            source_mac: gateway_mac(ifindex),
        };
        installed.set_next_hop(writer, vtep, &hop)?;
    }
    Ok(installed)
}
