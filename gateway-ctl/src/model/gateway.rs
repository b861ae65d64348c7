//! Gateways of the federation, as the others see them.

use std::net::IpAddr;

use super::{
    Violations, address,
    encapsulation::{DEFAULT_GENEVE_PORT, udp_port},
    name,
    network::DEFAULT_PROVIDER,
};
use crate::api;

/// Most tunnel addresses of a gateway.
pub const GATEWAY_ADDRESSES: usize = 4;

/// A gateway of the federation: where to send what lies behind it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Gateway {
    /// Unique.
    pub name: String,
    /// Who owns the underlay that its addresses are on.
    pub provider: String,
    /// Tunnel addresses that other gateways send to and accept from; 1 to [`GATEWAY_ADDRESSES`].
    pub addresses: Vec<IpAddr>,
    /// UDP port on which it listens for other gateways, with Geneve.
    pub udp_port: u16,
}

impl TryFrom<api::FederationGateway> for Gateway {
    type Error = Violations;

    fn try_from(wire: api::FederationGateway) -> Result<Self, Violations> {
        let mut wrong = Violations::default();
        wrong.check("name", name::check(&wire.name));
        let provider = if wire.provider.is_empty() { DEFAULT_PROVIDER.to_owned() } else { wire.provider };
        wrong.check("provider", name::check(&provider));
        let addresses = addresses(&wire.addresses, &mut wrong);
        let udp_port = wrong.check("udp_port", udp_port(wire.udp_port, DEFAULT_GENEVE_PORT));
        match udp_port {
            Some(udp_port) => wrong.into_result(Self { name: wire.name, provider, addresses, udp_port }),
            None => Err(wrong),
        }
    }
}

fn addresses(wire: &[String], wrong: &mut Violations) -> Vec<IpAddr> {
    if wire.is_empty() {
        wrong.add("addresses", "is empty; name the gateway's tunnel address, e.g. 192.0.2.9");
    }
    let mut addresses = Vec::with_capacity(wire.len());
    if wire.len() > GATEWAY_ADDRESSES {
        wrong.add(
            format!("addresses[{GATEWAY_ADDRESSES}]"),
            format!("is one too many; a gateway has at most {GATEWAY_ADDRESSES} tunnel addresses"),
        );
    }
    for (index, text) in wire.iter().enumerate().take(GATEWAY_ADDRESSES) {
        let field = format!("addresses[{index}]");
        if let Some(address) = wrong.check(&field, address::underlay(text)) {
            if addresses.contains(&address) {
                wrong.add(field, format!("{address} is listed twice; remove one"));
            } else {
                addresses.push(address);
            }
        }
    }
    addresses
}

impl From<&Gateway> for api::FederationGateway {
    fn from(gateway: &Gateway) -> Self {
        Self {
            name: gateway.name.clone(),
            provider: gateway.provider.clone(),
            addresses: gateway.addresses.iter().map(ToString::to_string).collect(),
            udp_port: gateway.udp_port.into(),
        }
    }
}
