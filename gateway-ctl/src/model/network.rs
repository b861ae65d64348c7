//! Virtual networks and where their addresses live.

use std::{collections::BTreeMap, net::IpAddr};

use ipnet::IpNet;

use super::{Encapsulation, Mac, Violations, address, name};
use crate::api;

/// Who owns a network's underlay if the declaration names nobody.
pub const DEFAULT_PROVIDER: &str = "default";

/// One virtual network, built by its provider, with its own addressing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Network {
    /// Unique.
    pub name: String,
    /// Who owns the underlay the network runs on.
    pub provider: String,
    /// How its frames travel.
    pub encapsulation: Encapsulation,
    /// Prefixes that belong to it.
    pub prefixes: Vec<IpNet>,
    /// The gateway's own address inside it.
    pub gateway_address: Option<IpAddr>,
    /// Where its inner addresses live.
    pub endpoints: Vec<Endpoint>,
}

/// Where one inner address lives.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint {
    /// Inner address.
    pub address: IpAddr,
    /// Inner MAC, if known.
    pub mac: Option<Mac>,
    /// Underlay address of the tunnel endpoint that holds it.
    pub vtep: IpAddr,
}

impl Network {
    /// Whether the address lies in one of the network's prefixes.
    #[must_use]
    pub fn contains(&self, address: IpAddr) -> bool {
        self.prefixes.iter().any(|prefix| prefix.contains(&address))
    }

    /// Where the address lives, if it is declared.
    #[must_use]
    pub fn endpoint(&self, address: IpAddr) -> Option<&Endpoint> {
        self.endpoints.iter().find(|endpoint| endpoint.address == address)
    }
}

impl TryFrom<api::Network> for Network {
    type Error = Violations;

    fn try_from(wire: api::Network) -> Result<Self, Violations> {
        let mut wrong = Violations::default();
        wrong.check("name", name::check(&wire.name));
        let provider = if wire.provider.is_empty() { DEFAULT_PROVIDER.to_owned() } else { wire.provider };
        wrong.check("provider", name::check(&provider));
        let encapsulation = Encapsulation::read(wire.encapsulation, &mut wrong);
        let prefixes = prefixes(&wire.prefixes, &mut wrong);
        let endpoints = endpoints(&wire.endpoints, &prefixes, &mut wrong);
        let gateway_address = gateway_address(&wire.gateway_address, &prefixes, &endpoints, &mut wrong);
        match encapsulation {
            Some(encapsulation) => wrong.into_result(Self {
                name: wire.name,
                provider,
                encapsulation,
                prefixes,
                gateway_address,
                endpoints,
            }),
            None => Err(wrong),
        }
    }
}

fn prefixes(wire: &[String], wrong: &mut Violations) -> Vec<IpNet> {
    if wire.is_empty() {
        wrong.add("prefixes", "is empty; name at least one prefix of the network, e.g. 10.0.0.0/24");
    }
    let mut prefixes = Vec::with_capacity(wire.len());
    for (index, text) in wire.iter().enumerate() {
        let field = format!("prefixes[{index}]");
        if let Some(prefix) = wrong.check(&field, address::prefix(text)) {
            if prefixes.contains(&prefix) {
                wrong.add(field, format!("{prefix} is listed twice; remove one"));
            } else {
                prefixes.push(prefix);
            }
        }
    }
    prefixes
}

/// `address` must lie in one of the prefixes; silent if none could be read, that error is enough.
fn check_inside(field: &str, address: IpAddr, prefixes: &[IpNet], wrong: &mut Violations) {
    if !prefixes.is_empty() && !prefixes.iter().any(|prefix| prefix.contains(&address)) {
        let list: Vec<_> = prefixes.iter().map(ToString::to_string).collect();
        wrong.add(field, format!("{address} lies outside the network's prefixes ({})", list.join(", ")));
    }
}

fn endpoints(wire: &[api::Endpoint], prefixes: &[IpNet], wrong: &mut Violations) -> Vec<Endpoint> {
    let mut seen = BTreeMap::new();
    let mut endpoints = Vec::with_capacity(wire.len());
    for (index, endpoint) in wire.iter().enumerate() {
        let field = |name: &str| format!("endpoints[{index}].{name}");
        let address = wrong.check(&field("address"), address::unicast(&endpoint.address));
        if let Some(address) = address {
            check_inside(&field("address"), address, prefixes, wrong);
            if let Some(first) = seen.insert(address, index) {
                wrong.add(
                    field("address"),
                    format!("{address} has an endpoint already (endpoints[{first}]); an address lives in one place"),
                );
            }
        }
        let mac = if endpoint.mac.is_empty() {
            Some(None)
        } else {
            wrong.check(&field("mac"), endpoint.mac.parse::<Mac>()).map(Some)
        };
        if let Some(Some(mac)) = mac
            && !mac.is_unicast()
        {
            wrong.add(field("mac"), format!("{mac} is not a MAC address that one interface can have"));
        }
        let vtep = wrong.check(&field("vtep"), address::vtep(&endpoint.vtep));
        if let (Some(address), Some(mac), Some(vtep)) = (address, mac, vtep) {
            endpoints.push(Endpoint { address, mac, vtep });
        }
    }
    endpoints
}

fn gateway_address(
    wire: &str,
    prefixes: &[IpNet],
    endpoints: &[Endpoint],
    wrong: &mut Violations,
) -> Option<IpAddr> {
    if wire.is_empty() {
        return None;
    }
    let address = wrong.check("gateway_address", address::unicast(wire))?;
    check_inside("gateway_address", address, prefixes, wrong);
    if let Some(index) = endpoints.iter().position(|endpoint| endpoint.address == address) {
        wrong.add(
            "gateway_address",
            format!("{address} is the address of endpoints[{index}]; the gateway needs one of its own"),
        );
    }
    Some(address)
}

impl From<&Network> for api::Network {
    fn from(network: &Network) -> Self {
        Self {
            name: network.name.clone(),
            provider: network.provider.clone(),
            encapsulation: Some(network.encapsulation.into()),
            prefixes: network.prefixes.iter().map(ToString::to_string).collect(),
            gateway_address: network.gateway_address.map_or_else(String::new, |address| address.to_string()),
            endpoints: network.endpoints.iter().map(api::Endpoint::from).collect(),
        }
    }
}

impl From<&Endpoint> for api::Endpoint {
    fn from(endpoint: &Endpoint) -> Self {
        Self {
            address: endpoint.address.to_string(),
            mac: endpoint.mac.map_or_else(String::new, |mac| mac.to_string()),
            vtep: endpoint.vtep.to_string(),
        }
    }
}
