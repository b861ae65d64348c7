//! What the event tells of a packet: what people see in `trace` and in the log.

use std::net::IpAddr;

use isthmus_common::address::Address;
use isthmus_common::encapsulation::Encapsulation;
use isthmus_common::event::Event;

use crate::inner::Inner;
use crate::row::{Carry, Row, label};
use crate::way::{Kind, Way};

/// How it came.
fn encapsulation(row: &Row) -> Encapsulation {
    match (row.from.kind, row.carry) {
        (Kind::Vxlan, _) => Encapsulation::Vxlan,
        (Kind::GroupKeep | Kind::GroupSet, _) => Encapsulation::VxlanGroup,
        (Kind::Ovn, Carry::Own) => Encapsulation::GeneveOvn,
        (Kind::Geneve | Kind::Remote | Kind::Ovn, _) => Encapsulation::Geneve,
        (Kind::Vlan, _) => Encapsulation::Vlan,
        (Kind::Port, _) => Encapsulation::Port,
    }
}

/// The inner address that stands for an end.
fn end(row: &Row, way: Way) -> Address {
    let family = row.inner.family();
    match row.inner {
        Inner::Other | Inner::Tagged => Address::mac(way.endpoint_mac()),
        _ => way.endpoint(family).into(),
    }
}

/// What the event says that is not so.
pub(crate) fn check(row: &Row, event: &Event) -> Result<(), String> {
    let number = match (row.from.kind, row.carry) {
        (_, Carry::Label) => label(row.from, row.to),
        // It carried none; the interface's index is what its scope is made of.
        (Kind::Port, _) => row.from.interface(),
        _ => row.from.number(),
    };
    let is_tunnel = row.from.kind.is_tunnel();
    let outer = |address: IpAddr| if is_tunnel { address.into() } else { Address::UNSPECIFIED };
    let inner = row.packet.inner();
    let ether_type = u16::from_be_bytes([inner[12], inner[13]]);
    let wanted = (
        (encapsulation(row).number(), number, outer(row.from.vtep()), outer(row.from.gateway())),
        (end(row, row.from), end(row, row.to), ether_type),
    );
    let told = (
        (event.encapsulation, event.vni, event.outer_source, event.outer_destination),
        (event.inner_source, event.inner_destination, event.inner_ether_type),
    );
    if told == wanted { Ok(()) } else { Err(format!("the event tells {told:?}, not {wanted:?}")) }
}
