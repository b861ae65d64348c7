//! Against links that a kernel described, and addresses in every state.
//!
//! The files in `recorded/` are what `rtmon file FILE link` wrote on Linux 6.1; `ip monitor file FILE`
//! shows them. They stand in for VLAN devices where a kernel has none.

use std::net::IpAddr;

use netlink_packet_route::RouteNetlinkMessage;
use netlink_packet_route::link::{LinkFlags, LinkMessage};
use rtnetlink::packet_core::{NetlinkBuffer, NetlinkMessage, NetlinkPayload};

use super::device::{Assigned, Device, Devices, State};
use super::route::Route;
use super::{Tag, source};
use crate::model::Mac;

/// `left` with `left.200` (802.1ad), `left.200.100`, `left.200.100.7` and `left.300` stacked on it,
/// and a bridge `br0` with `br0.5`.
const VLAN_STACK: &[u8] = include_bytes!("recorded/vlan-stack.rtnl");
/// `far`, a VLAN device on interface 3 of another namespace; here, 3 is `own`.
const MOVED_VLAN: &[u8] = include_bytes!("recorded/moved-vlan.rtnl");

const AD200: Tag = Tag { tpid: 0x88a8, vlan_id: 200 };
const Q100: Tag = Tag { tpid: 0x8100, vlan_id: 100 };
const Q300: Tag = Tag { tpid: 0x8100, vlan_id: 300 };

fn recorded(mut bytes: &[u8]) -> Vec<LinkMessage> {
    /// The kind of message by which rtmon(8) tells the time.
    const NLMSG_TSTAMP: u16 = 15;
    let mut links = Vec::new();
    while let Ok(message) = NetlinkBuffer::new_checked(bytes) {
        let (length, kind) = (message.length() as usize, message.message_type());
        if kind != NLMSG_TSTAMP {
            let message = NetlinkMessage::<RouteNetlinkMessage>::deserialize(&bytes[..length]).unwrap();
            match message.payload {
                NetlinkPayload::InnerMessage(RouteNetlinkMessage::NewLink(link)) => links.push(link),
                other => panic!("{other:?}"),
            }
        }
        bytes = bytes.get(length.next_multiple_of(4)..).unwrap_or_default();
    }
    assert!(bytes.is_empty(), "{} bytes are left over", bytes.len());
    links
}

fn devices(links: &[LinkMessage]) -> Devices {
    let mut devices = Devices::default();
    for link in links {
        devices.add_link(link);
    }
    devices
}

fn index(devices: &Devices, name: &str) -> u32 {
    devices.iter().find(|(_, device)| device.name == name).unwrap_or_else(|| panic!("no {name}")).0
}

/// The interface and the tags by which frames leave, or why they can't.
fn egress(devices: &Devices, device: &str, attached: &[&str]) -> Result<(String, Vec<Tag>), String> {
    let attached: Vec<u32> = attached.iter().map(|name| index(devices, name)).collect();
    let egress = devices.egress(index(devices, device), &attached)?;
    assert_eq!(egress.device.name, device);
    Ok((devices.get(egress.ifindex).unwrap().name.clone(), egress.tags))
}

#[test]
fn tags_are_those_of_the_devices_between_outermost_first() {
    let devices = devices(&recorded(VLAN_STACK));
    for (device, attached, interface, tags) in [
        ("left", "left", "left", &[][..]),
        ("left.300", "left", "left", &[Q300]),
        ("left.200", "left", "left", &[AD200]),
        ("left.200.100", "left", "left", &[AD200, Q100]),
        // Attached to a VLAN device, XDP sees no tag of that device.
        ("left.200", "left.200", "left.200", &[]),
        ("left.200.100", "left.200", "left.200", &[Q100]),
    ] {
        let expected = Ok((interface.to_owned(), tags.to_vec()));
        assert_eq!(egress(&devices, device, &[attached]), expected, "{device} on {attached}");
    }
    let both = egress(&devices, "left.200.100", &["left", "left.200"]);
    assert_eq!(both, Ok(("left.200".to_owned(), vec![Q100])), "the uppermost of two attached");
}

#[test]
fn frames_have_the_mac_and_mtu_of_the_vlan_device() {
    let devices = devices(&recorded(VLAN_STACK));
    let attached = index(&devices, "left");
    let egress = devices.egress(index(&devices, "left.200.100"), &[attached]).unwrap();
    assert_eq!(egress.device.mac, Mac([2, 0, 0, 0, 2, 1]));
    assert_eq!(egress.device.mtu, 1400);
    assert_eq!(devices.get(attached).unwrap().mac, Mac([2, 0, 0, 0, 0, 1]));
}

#[test]
fn what_can_not_be_left_by_is_told_with_what_would_be_right() {
    let devices = devices(&recorded(VLAN_STACK));
    for (device, why) in [
        (
            "left.200.100.7",
            "the route leaves by left.200.100.7, which puts 3 VLAN tags on a frame: 2 at most are possible, \
             so it has to leave by left or a VLAN device at most 2 deep on it",
        ),
        (
            "br0",
            "the route leaves by br0, which is none of the gateway's interfaces (of type bridge): it has to \
             leave by left or a VLAN device on it",
        ),
        (
            "br0.5",
            "the route leaves by br0.5, a VLAN device on br0, which is none of the gateway's interfaces (of \
             type bridge): it has to leave by left or a VLAN device on it",
        ),
    ] {
        assert_eq!(egress(&devices, device, &["left"]), Err(why.to_owned()));
    }
}

#[test]
fn a_vlan_device_whose_parent_is_in_another_namespace_is_on_none_of_ours() {
    let devices = devices(&recorded(MOVED_VLAN));
    let own = index(&devices, "own");
    assert_eq!(own, 3, "the index that far's parent has in its namespace");
    assert_eq!(
        egress(&devices, "far", &["own"]),
        Err(
            "the route leaves by far, a VLAN device on an interface of another network namespace: it has to \
             leave by own or a VLAN device on it"
                .to_owned()
        )
    );
    assert_eq!(devices.link(own, &[own]).unwrap().vlans, []);
}

#[test]
fn a_link_lists_the_vlan_devices_that_it_can_be_spoken_to_by() {
    let devices = devices(&recorded(VLAN_STACK));
    let left = index(&devices, "left");
    let names = |attached: &[u32], of: u32| {
        let vlans = devices.link(of, attached).unwrap().vlans;
        vlans.into_iter().map(|vlan| (vlan.name, vlan.tags)).collect::<Vec<_>>()
    };
    assert_eq!(
        names(&[left], left),
        [
            ("left.200".to_owned(), vec![AD200]),
            ("left.200.100".to_owned(), vec![AD200, Q100]),
            ("left.300".to_owned(), vec![Q300]),
        ]
    );
    let outer = index(&devices, "left.200");
    assert_eq!(names(&[left, outer], left), [("left.300".to_owned(), vec![Q300])], "each only once");
}

#[test]
fn every_device_of_a_stack_has_to_be_up() {
    for (down, why) in [
        ("left", "left, below left.200.100, is down"),
        ("left.200", "left.200, below left.200.100, is down"),
        ("left.200.100", "left.200.100 is down"),
    ] {
        let mut links = recorded(VLAN_STACK);
        let index = index(&devices(&links), down);
        for link in links.iter_mut().filter(|link| link.header.index == index) {
            link.header.flags.remove(LinkFlags::LowerUp);
        }
        let devices = devices(&links);
        assert_eq!(egress(&devices, "left.200.100", &["left"]), Err(why.to_owned()));
        let left = self::index(&devices, "left");
        let vlans = devices.link(left, &[left]).unwrap().vlans;
        assert!(vlans.iter().all(|vlan| vlan.name != "left.200.100"), "{down} is down: {vlans:?}");
    }
}

/// The source chosen on a device with these addresses, where the kernel has chosen `kernel`.
fn chosen(own: &[(&str, State)], kernel: Option<&str>, vtep: &str) -> Result<String, String> {
    let address = |text: &str| text.parse::<IpAddr>().unwrap();
    let device = Device {
        name: "eth1".to_owned(),
        mac: Mac([0; 6]),
        mtu: 1500,
        is_up: true,
        kind: None,
        vlan: None,
        addresses: own
            .iter()
            .map(|(text, state)| Assigned { address: address(text), state: *state })
            .collect(),
    };
    let vtep = address(vtep);
    let route = Route { ifindex: 1, neighbour: vtep, source: kernel.map(address) };
    source::choose(&device, &Devices::default(), &route, vtep).map(|source| source.to_string())
}

#[test]
fn the_kernels_choice_of_source_is_taken_where_it_is_fit() {
    use State::{Deprecated, Preferred, Tentative};
    for (name, own, kernel, vtep, expected) in [
        ("IPv4", &[][..], Some("192.0.2.1"), "192.0.2.9", "192.0.2.1"),
        (
            "of another device",
            &[("2001:db8::1", Preferred)],
            Some("2001:db8:f::1"),
            "2001:db8::9",
            "2001:db8:f::1",
        ),
        (
            "deprecated, but named by a route",
            &[("2001:db8::1", Deprecated)],
            Some("2001:db8::1"),
            "2001:db8::9",
            "2001:db8::1",
        ),
        ("link-local to link-local", &[("fe80::1", Preferred)], Some("fe80::1"), "fe80::9", "fe80::1"),
        (
            "link-local to further away",
            &[("fe80::1", Preferred), ("2001:db8::1", Preferred)],
            Some("fe80::1"),
            "2001:db8::9",
            "2001:db8::1",
        ),
        (
            "tentative",
            &[("2001:db8::1", Tentative), ("2001:db8::2", Preferred)],
            Some("2001:db8::1"),
            "2001:db8::9",
            "2001:db8::2",
        ),
    ] {
        assert_eq!(chosen(own, kernel, vtep), Ok(expected.to_owned()), "{name}");
    }
}

#[test]
fn without_a_choice_of_the_kernel_the_best_address_is_taken() {
    use State::{Deprecated, Duplicate, Preferred, Tentative};
    for (name, own, vtep, expected) in [
        (
            "longest prefix",
            &[("2001:db8:1::1", Preferred), ("2001:db8:2::1", Preferred)][..],
            "2001:db8:2::9",
            "2001:db8:2::1",
        ),
        (
            "the oldest",
            &[("2001:db8:8::1", Preferred), ("2001:db8:8::2", Preferred)],
            "2001:db8:1::9",
            "2001:db8:8::1",
        ),
        (
            "never deprecated",
            &[("2001:db8::8", Deprecated), ("2001:db8:1::1", Preferred)],
            "2001:db8::9",
            "2001:db8:1::1",
        ),
        (
            "never tentative",
            &[("2001:db8::8", Tentative), ("2001:db8:1::1", Preferred)],
            "2001:db8::9",
            "2001:db8:1::1",
        ),
        (
            "never a duplicate",
            &[("2001:db8::8", Duplicate), ("2001:db8:1::1", Preferred)],
            "2001:db8::9",
            "2001:db8:1::1",
        ),
        (
            "link-local for link-local",
            &[("2001:db8::1", Preferred), ("fe80::1", Preferred)],
            "fe80::9",
            "fe80::1",
        ),
    ] {
        assert_eq!(chosen(own, None, vtep), Ok(expected.to_owned()), "{name}");
    }
    assert_eq!(
        chosen(
            &[
                ("192.0.2.1", Preferred),
                ("fe80::1", Preferred),
                ("2001:db8::8", Tentative),
                ("2001:db8::7", Deprecated)
            ],
            Some("fe80::1"),
            "2001:db8::9"
        ),
        Err("eth1 has no IPv6 address to send from: fe80::1 is link-local, 2001:db8::8 is tentative, \
             2001:db8::7 is deprecated"
            .to_owned())
    );
    assert_eq!(chosen(&[], None, "192.0.2.9"), Err("eth1 has no IPv4 address to send from".to_owned()));
}
