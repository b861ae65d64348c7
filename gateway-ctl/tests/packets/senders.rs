//! What the tunnel endpoints of the federation send.

use std::net::Ipv4Addr;

use crate::federation::{
    BLUE, BLUE_PORT, BLUE_VTEP, EAST, EAST_ADDRESS, FAR, FAR_ADDRESS, GENEVE_PORT, GOLD, GOLD_VTEP, GREEN,
    GREEN_VTEP, PORT, RED, RED_VTEP, WEST, WEST_ADDRESS, gateway_mac, vtep_mac,
};
use crate::frames::{Geneve, Outer};

impl Outer {
    fn from(vtep: Ipv4Addr, gateway: (u32, Ipv4Addr), vni: u32, port: u16, inner: Vec<u8>) -> Self {
        Self {
            destination_mac: gateway_mac(gateway.0),
            source_mac: vtep_mac(vtep.into()),
            destination_port: port,
            vni,
            ..Self::blank(vtep.into(), gateway.1.into(), inner)
        }
    }

    /// What a kernel VXLAN device in red sends to the gateway.
    pub(crate) fn from_red(inner: Vec<u8>) -> Self {
        Self::from(RED_VTEP, (WEST, WEST_ADDRESS), RED, PORT, inner)
    }

    /// The same from blue.
    pub(crate) fn from_blue(inner: Vec<u8>) -> Self {
        Self::from(BLUE_VTEP, (EAST, EAST_ADDRESS), BLUE, BLUE_PORT, inner)
    }

    /// The same from green.
    pub(crate) fn from_green(inner: Vec<u8>) -> Self {
        Self::from(GREEN_VTEP, (FAR, FAR_ADDRESS), GREEN, PORT, inner)
    }

    /// The same from gold, in Geneve.
    pub(crate) fn from_gold(geneve: Geneve, inner: Vec<u8>) -> Self {
        let packet = Self::from(GOLD_VTEP, (EAST, EAST_ADDRESS), GOLD, GENEVE_PORT, inner);
        Self { geneve: Some(geneve), ..packet }
    }
}
