//! Virtual networks and where their addresses live.

use std::{collections::BTreeMap, net::IpAddr};

use ipnet::IpNet;

use super::{Encapsulation, Mac, Violations, address, encapsulation::ovn_port, name};
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
    /// Endpoints are learned from traffic besides the declared ones.
    pub learning: bool,
    /// Name of the gateway it is behind; the others reach it through that one.
    pub gateway: Option<String>,
}

/// Where one inner address lives.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint {
    /// Inner address.
    pub address: IpAddr,
    /// Inner MAC, if known.
    pub mac: Option<Mac>,
    /// Underlay address of the tunnel endpoint that holds it; `None` if the network is not
    /// tunnelled, and only then.
    pub vtep: Option<IpAddr>,
    /// In an OVN network, and only there, the tunnel key of the logical port it is on.
    pub ovn_port: Option<u16>,
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
        let endpoints = endpoints(&wire.endpoints, encapsulation, &prefixes, &mut wrong);
        let gateway_address = gateway_address(&wire.gateway_address, &prefixes, &endpoints, &mut wrong);
        if !wire.gateway.is_empty() {
            wrong.check("gateway", name::check(&wire.gateway));
        }
        match encapsulation {
            Some(encapsulation) => wrong.into_result(Self {
                name: wire.name,
                provider,
                encapsulation,
                prefixes,
                gateway_address,
                endpoints,
                learning: wire.learning,
                gateway: Some(wire.gateway).filter(|gateway| !gateway.is_empty()),
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

fn endpoints(
    wire: &[api::Endpoint],
    encapsulation: Option<Encapsulation>,
    prefixes: &[IpNet],
    wrong: &mut Violations,
) -> Vec<Endpoint> {
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
        let vtep = wrong.check(&field("vtep"), vtep(&endpoint.vtep, encapsulation));
        let ovn_port = wrong.check(&field("ovn_port"), endpoint_ovn_port(endpoint.ovn_port, encapsulation));
        if let (Some(address), Some(mac), Some(vtep), Some(ovn_port)) = (address, mac, vtep, ovn_port) {
            endpoints.push(Endpoint { address, mac, vtep, ovn_port });
        }
    }
    endpoints
}

/// Without an encapsulation, which is an error of its own, only the address itself is judged.
fn vtep(wire: &str, encapsulation: Option<Encapsulation>) -> Result<Option<IpAddr>, String> {
    let kind = encapsulation.map(|encapsulation| encapsulation.kind());
    match (wire, kind) {
        ("", Some(kind)) if kind.is_tunnel() => Err(format!(
            "is missing; a {kind} network's endpoints are behind tunnel endpoints, e.g. vtep: 192.0.2.10"
        )),
        ("", _) => Ok(None),
        (_, Some(kind)) if !kind.is_tunnel() => {
            Err(format!("a {kind} network has no tunnel endpoints; remove it"))
        }
        _ => address::underlay(wire).map(Some),
    }
}

/// Like a vtep, it goes with the encapsulation.
fn endpoint_ovn_port(wire: u32, encapsulation: Option<Encapsulation>) -> Result<Option<u16>, String> {
    let Some(encapsulation) = encapsulation else { return Ok(None) };
    match (wire, encapsulation.ovn_port()) {
        (0, None) => Ok(None),
        (0, Some(_)) => {
            Err("is missing; give the tunnel key of the logical port that has the address".to_owned())
        }
        (_, None) => {
            Err("the network is none of OVN's; remove it, or give the network an ovn_port too".to_owned())
        }
        (number, Some(own)) => match ovn_port(number)? {
            port if port == own => {
                Err(format!("{port} is the gateway's own port; give that of the port that has the address"))
            }
            port => Ok(Some(port)),
        },
    }
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
            learning: network.learning,
            gateway: network.gateway.clone().unwrap_or_default(),
        }
    }
}

impl From<&Endpoint> for api::Endpoint {
    fn from(endpoint: &Endpoint) -> Self {
        Self {
            address: endpoint.address.to_string(),
            mac: endpoint.mac.map_or_else(String::new, |mac| mac.to_string()),
            vtep: endpoint.vtep.map_or_else(String::new, |vtep| vtep.to_string()),
            ovn_port: endpoint.ovn_port.map_or(0, Into::into),
        }
    }
}
