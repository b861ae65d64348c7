//! The federation that the packets of the table travel through.
//!
//! ```text
//!   red   VNI 42, vtep 192.0.2.1   ─┐ if 11            if 12 ┌─ blue  VNI 77, UDP port 8472, vtep 203.0.113.2
//!   pink  VNI 43, vtep 192.0.2.3   ─┤                          ├─ gold  Geneve VNI 42, vtep 203.0.113.4
//!   gray  Geneve VNI 43, 192.0.2.5 ─┴────── gateway ─────────┤
//!                                              │             ├─ ovn   Geneve VNI 44 of OVN's, vtep 203.0.113.5
//!                                              │             └─ open  VNI 78, learns its endpoints
//!                                              │ if 13, an underlay of its own
//!                                              ├─ green VNI 42 (again), vtep 198.51.100.3
//!                                              └─ lane  VLAN 5
//! ```
//!
//! Interface 11 has a VLAN subinterface besides, with VLAN identifier 100.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr};

use isthmus::gateway::compile::{Site, compile};
use isthmus::gateway::install::{Capacity, InstallError, Installed, TableWriter};
use isthmus::gateway::plan::{Plan, Way};
use isthmus::model::AccessLevel::{Connect, Full, None as Nothing, Observe};
use isthmus::model::Protocol::{Any, Icmp, Tcp, Udp};
use isthmus::model::{Encapsulation, Network, Spec, VlanId};
use isthmus_common::id::Vni;
use isthmus_common::scope::Underlay;
use isthmus_common::tables::{Interface, NextHop, TagStack, TunnelPort, hop};
use isthmus_common::wire::Tag;

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
pub(crate) const OPEN: u32 = 78;
pub(crate) const OVN: u32 = 44;
/// The gateway's own logical port in ovn, and its endpoint's.
pub(crate) const OVN_PORTS: (u16, u16) = (7, 8);
/// The VLAN that is lane.
pub(crate) const LANE: u16 = 5;
/// The VLAN subinterface of [`WEST`].
pub(crate) const WEST_VLAN: u16 = 100;
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
pub(crate) const OVN_VTEP: Ipv4Addr = Ipv4Addr::new(203, 0, 113, 5);
pub(crate) const GRAY_VTEP: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 5);
pub(crate) const GREEN_VTEP: Ipv4Addr = Ipv4Addr::new(198, 51, 100, 3);

/// Largest inner packet that lane takes, bytes.
pub(crate) const LANE_MTU: u16 = 1000;

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
pub(crate) const RED_TO_OPEN: u8 = 8;
pub(crate) const GOLD_TO_OVN: u8 = 9;
pub(crate) const RED_TO_LANE: u8 = 10;

/// The network of the spec, with something changed.
fn with(mut spec: Spec, edit: impl FnOnce(&mut Network)) -> Spec {
    let Spec::Network(network) = &mut spec else { panic!("{spec:?} is no network") };
    edit(network);
    spec
}

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
        with(network("open", "default", OPEN, PORT, &[]), |open| open.learning = true),
        with(geneve_network("ovn", OVN, &[("10.7.0.90", &OVN_VTEP.to_string())]), |ovn| {
            let Encapsulation::Geneve { ovn_port, .. } = &mut ovn.encapsulation else { unreachable!() };
            *ovn_port = Some(OVN_PORTS.0);
            ovn.endpoints[0].ovn_port = Some(OVN_PORTS.1);
        }),
        with(network("lane", "elsewhere", 1, PORT, &[("10.8.0.100", "192.0.2.1")]), |lane| {
            lane.encapsulation = Encapsulation::Vlan { vlan_id: VlanId::new(LANE).unwrap() };
            lane.endpoints[0].vtep = None;
        }),
        resource("open", "open", &["10.6.0.80"], Any, &[]),
        resource("ovn", "ovn", &["10.7.0.90"], Any, &[]),
        resource("lane", "lane", &["10.8.0.100"], Any, &[]),
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
        Spec::Mapping(mapping(RED_TO_OPEN, "red", "open", &[("open", Full)])),
        Spec::Mapping(mapping(GOLD_TO_OVN, "gold", "ovn", &[("ovn", Full)])),
        Spec::Mapping(mapping(RED_TO_LANE, "red", "lane", &[("lane", Full)])),
    ]
}

fn elsewhere() -> Underlay {
    Underlay::new(2).unwrap()
}

/// What the tables should hold.
pub(crate) fn plan() -> Plan {
    let gateway = [WEST_ADDRESS, WEST_SECOND_ADDRESS, EAST_ADDRESS, FAR_ADDRESS];
    let site = Site {
        name: "here".to_owned(),
        bound_providers: BTreeMap::from([("elsewhere".to_owned(), elsewhere())]),
        interfaces: BTreeMap::from([(WEST, Underlay::SHARED), (EAST, Underlay::SHARED), (FAR, elsewhere())]),
        ports: BTreeMap::new(),
        addresses: gateway.into_iter().map(IpAddr::from).collect::<BTreeSet<_>>(),
        learned: BTreeMap::new(),
    };
    let plan = compile(&replica(objects()), &site);
    assert_eq!(plan.refused, [], "the federation of the table must be in force as a whole");
    plan
}

pub(crate) fn capacity() -> Capacity {
    Capacity::for_mappings(64)
}

/// Pairs of devices, by index.
pub(crate) fn devices() -> Vec<(u32, u32)> {
    vec![(WEST, EAST), (FAR, FAR + 1)]
}

/// The gateway's interfaces; each takes packets for all addresses of its underlay, its own first.
pub(crate) fn interfaces(plan: &Plan) -> Vec<Interface> {
    let interface = |ifindex, underlay: Underlay, addresses: &[Ipv4Addr]| {
        let mut interface = Interface { ifindex, underlay: underlay.get().into(), ..Interface::NONE };
        for (place, (port, encapsulation)) in interface.ports.iter_mut().zip(plan.tunnel_ports()) {
            *place = TunnelPort { port, encapsulation: encapsulation.number(), reserved: 0 };
        }
        for (place, address) in interface.v4.iter_mut().zip(addresses) {
            *place = address.octets();
        }
        for vlan_id in plan.vlans.get(&ifindex).into_iter().flatten() {
            interface.add_vlan(*vlan_id);
        }
        interface
    };
    let mut west = interface(WEST, Underlay::SHARED, &[WEST_ADDRESS, WEST_SECOND_ADDRESS, EAST_ADDRESS]);
    west.stacks[0] = TagStack::default().with(Tag::new(0x8100, WEST_VLAN));
    vec![
        west,
        interface(EAST, Underlay::SHARED, &[EAST_ADDRESS, WEST_ADDRESS, WEST_SECOND_ADDRESS]),
        interface(FAR, elsewhere(), &[FAR_ADDRESS]),
    ]
}

/// The MAC of the gateway on an interface.
pub(crate) fn gateway_mac(ifindex: u32) -> [u8; 6] {
    [0x02, 0x1d, 0, 0, 0, u8::try_from(ifindex).unwrap()]
}

/// The MAC of the router or host that leads to a tunnel endpoint.
pub(crate) fn vtep_mac(vtep: IpAddr) -> [u8; 6] {
    let IpAddr::V4(vtep) = vtep else { panic!("{vtep} is on no underlay here") };
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
        (OVN_VTEP, EAST, EAST_ADDRESS),
    ];
    for (vtep, ifindex, source) in ways {
        let hop = NextHop {
            state: hop::V4,
            ifindex,
            slot: if vtep == VANISHED_VTEP { VANISHED_SLOT } else { slot(ifindex) },
            mtu: if vtep == NARROW_VTEP { NARROW_MTU.into() } else { 9000 },
            source: source.into(),
            destination: vtep.into(),
            destination_mac: vtep_mac(vtep.into()),
            source_mac: gateway_mac(ifindex),
            ..NextHop::default()
        };
        let underlay = if ifindex == FAR { elsewhere() } else { Underlay::SHARED };
        let way = Way::Endpoint { underlay, vtep: vtep.into() };
        installed.set_next_hop(writer, &way, &hop)?;
    }
    let lane = NextHop {
        state: hop::DEVICE,
        ifindex: FAR,
        slot: slot(FAR),
        mtu: LANE_MTU.into(),
        ..NextHop::default()
    };
    installed.set_next_hop(writer, &Way::Device { ifindex: FAR }, &lane)?;
    Ok(installed)
}
