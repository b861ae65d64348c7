//! The data plane's records of interfaces and next hops, from what is known of them.

use std::net::IpAddr;

use isthmus_common::address::Address;
use isthmus_common::encapsulation::Encapsulation;
use isthmus_common::scope::Underlay;
use isthmus_common::tables::{Interface, NextHop, TagStack, TunnelPort, hop};
use isthmus_common::wire;

use super::interface::Tag;
use super::next_hop::Via;

/// What the gateway takes on an interface of an underlay.
#[derive(Clone, Debug, Default)]
pub struct Underside<'a> {
    /// Tunnel ports.
    pub ports: &'a [(u16, Encapsulation)],
    /// Tunnel addresses; of each family as many as [`isthmus_common::tables::INTERFACE_ADDRESSES`] count.
    pub addresses: &'a [IpAddr],
    /// Tags that tunnel packets may have, as many as [`isthmus_common::tables::INTERFACE_STACKS`] count.
    pub stacks: &'a [Vec<Tag>],
    /// VLANs that are networks.
    pub vlans: &'a [u16],
}

/// The record of an interface on an underlay.
#[must_use]
pub fn underlay_interface(ifindex: u32, underlay: Underlay, underside: &Underside<'_>) -> Interface {
    let mut record = Interface { ifindex, underlay: underlay.get().into(), ..Interface::NONE };
    for (place, (port, encapsulation)) in record.ports.iter_mut().zip(underside.ports) {
        *place = TunnelPort { port: *port, encapsulation: encapsulation.number(), reserved: 0 };
    }
    let (mut v4, mut v6) = (record.v4.iter_mut(), record.v6.iter_mut());
    for address in underside.addresses {
        match address {
            IpAddr::V4(address) => drop(v4.next().map(|place| *place = address.octets())),
            IpAddr::V6(address) => drop(v6.next().map(|place| *place = Address::from(*address))),
        }
    }
    for (place, stack) in record.stacks.iter_mut().zip(underside.stacks) {
        *place = stack.iter().fold(TagStack::default(), |stack, tag| stack.with(written(*tag)));
    }
    for vlan_id in underside.vlans {
        record.add_vlan(*vlan_id);
    }
    record
}

/// The record of an interface that is a network's port.
#[must_use]
pub const fn port_interface(ifindex: u32, underlay: Underlay) -> Interface {
    Interface { ifindex, underlay: underlay.get() as u32, is_port: 1, ..Interface::NONE }
}

/// The next hop to a tunnel endpoint; `slot` is the egress interface's.
#[must_use]
pub fn endpoint_hop(destination: IpAddr, via: &Via, slot: u32) -> NextHop {
    let mut tags = [wire::Tag::default(); 2];
    for (place, tag) in tags.iter_mut().zip(&via.tags) {
        *place = written(*tag);
    }
    NextHop {
        state: if destination.is_ipv4() { hop::V4 } else { hop::V6 },
        ifindex: via.ifindex,
        slot,
        mtu: via.mtu,
        source: via.source.into(),
        destination: destination.into(),
        destination_mac: via.destination_mac.0,
        source_mac: via.source_mac.0,
        tag_count: u32::try_from(via.tags.len().min(tags.len())).unwrap_or_default(),
        tags,
    }
}

/// The next hop to a device.
#[must_use]
pub fn device_hop(ifindex: u32, slot: u32, mtu: u32) -> NextHop {
    NextHop { state: hop::DEVICE, ifindex, slot, mtu, ..NextHop::default() }
}

fn written(tag: Tag) -> wire::Tag {
    wire::Tag::new(tag.tpid, tag.vlan_id)
}
