//! Networks in force, and how frames get to them from here.

use std::collections::BTreeMap;
use std::net::IpAddr;

use isthmus_common::encapsulation::Encapsulation as Wire;
use isthmus_common::scope::{Scope, Underlay};
use isthmus_common::tables::{TUNNEL_PORTS, Target};

use super::super::plan::{Plan, PlannedScope, PlannedTarget, Refused, Way};
use super::super::replica::Replica;
use super::oldest_first;
use super::site::{Home, Site, declared_homes};
use crate::model::{Encapsulation, Gateway, GroupPolicy, Network, ObjectRef};

/// A network in force.
pub(super) struct Place<'a> {
    pub(super) network: &'a Network,
    /// Where its addresses live, those of which that is known. Worked out once, because every mapping asks.
    pub(super) homes: BTreeMap<IpAddr, Home>,
    underlay: Underlay,
    kind: Kind<'a>,
}

#[derive(Clone, Copy)]
enum Kind<'a> {
    /// Its frames travel in UDP.
    Tunnel { wire: Wire, vni: u32, port: u16 },
    /// Its frames are on an interface of ours.
    Device { wire: Wire, number: u32, ifindex: u32 },
    /// It is behind another gateway.
    Remote(&'a Gateway),
}

impl Place<'_> {
    /// Frames of the network never come here but from another gateway.
    pub(super) const fn is_remote(&self) -> bool {
        matches!(self.kind, Kind::Remote(_))
    }

    /// What frames of the network come with; `None` if they never do.
    pub(super) fn scope(&self) -> Option<Scope> {
        match self.kind {
            Kind::Tunnel { wire, vni, .. } => Some(Scope::network(self.underlay, wire, vni)),
            Kind::Device { wire: Wire::Port, ifindex, .. } => {
                Some(Scope::network(self.underlay, Wire::Port, ifindex))
            }
            Kind::Device { wire, number, .. } => Some(Scope::network(self.underlay, wire, number)),
            Kind::Remote(_) => None,
        }
    }

    /// Where packets for an address go, without anybody's permission yet.
    pub(super) fn target(&self, address: IpAddr) -> Result<PlannedTarget, String> {
        let name = &self.network.name;
        let home = self.homes.get(&address);
        if home.is_none() && !self.network.learning {
            return Err(format!(
                "network {name:?} declares no endpoint for {address}; declare where it lives, or let the network learn \
                 it with `learning: true`"
            ));
        }
        let target = PlannedTarget {
            network: name.clone(),
            way: None,
            number: 0,
            encapsulation: Wire::Geneve,
            port: 0,
            extra: 0,
            is_stamped: false,
            learns: false,
            forward: None,
            answers: None,
        };
        Ok(match self.kind {
            Kind::Remote(gateway) => PlannedTarget {
                way: Some(Way::Gateway {
                    name: gateway.name.clone(),
                    underlay: self.underlay,
                    addresses: gateway.addresses.clone(),
                }),
                port: gateway.udp_port,
                is_stamped: true,
                ..target
            },
            Kind::Device { wire, number, ifindex } => {
                PlannedTarget { way: Some(Way::Device { ifindex }), number, encapsulation: wire, ..target }
            }
            Kind::Tunnel { wire, vni, port } => PlannedTarget {
                way: home
                    .and_then(|home| home.vtep)
                    .map(|vtep| Way::Endpoint { underlay: self.underlay, vtep }),
                number: vni,
                encapsulation: wire,
                port,
                extra: extra(&self.network.encapsulation, home),
                ..target
            },
        })
    }
}

/// See [`Target::extra`].
fn extra(encapsulation: &Encapsulation, home: Option<&Home>) -> u32 {
    match encapsulation {
        Encapsulation::Vxlan { group_policy: Some(GroupPolicy::Set(group)), .. } => {
            Target::SET_GROUP | u32::from(group.get())
        }
        Encapsulation::Geneve { ovn_port: Some(ingress), .. } => {
            let egress = home.and_then(|home| home.ovn_port).unwrap_or_default();
            u32::from(*ingress) << 16 | u32::from(egress)
        }
        _ => 0,
    }
}

/// All networks that can be put into force, by name; enters their ports and scopes into the plan.
pub(super) fn all<'a>(replica: &'a Replica, site: &Site, plan: &mut Plan) -> BTreeMap<&'a str, Place<'a>> {
    if let Some(own) = replica.gateways.get(&site.name) {
        plan.ports.insert(own.spec.udp_port, Wire::Geneve);
    }
    let mut places: BTreeMap<&str, Place<'_>> = BTreeMap::new();
    let mut holders: BTreeMap<Scope, &Network> = BTreeMap::new();
    for declared in oldest_first(replica.networks.values()) {
        let network = &declared.spec;
        let place =
            place(network, replica, site).and_then(|place| match obstacle(&place, site, &holders, plan) {
                Some(obstacle) => Err(obstacle),
                None => Ok(place),
            });
        let place = match place {
            Ok(place) => place,
            Err(reason) => {
                plan.refused.push(Refused {
                    object: ObjectRef::network(&network.name),
                    version: declared.metadata.version,
                    reason,
                });
                continue;
            }
        };
        if let Some(scope) = place.scope() {
            let known =
                PlannedScope { mapping: None, network: Some(network.name.clone()), learns: network.learning };
            plan.scopes.insert(scope, known);
            holders.insert(scope, network);
        }
        match place.kind {
            Kind::Tunnel { wire, port, .. } => drop(plan.ports.insert(port, on_port(wire))),
            Kind::Device { wire: Wire::Port, ifindex, .. } => {
                plan.port_networks.insert(ifindex, place.underlay);
            }
            Kind::Device { number, ifindex, .. } => {
                let vlan_id = u16::try_from(number).unwrap_or_default();
                plan.vlans.entry(ifindex).or_default().insert(vlan_id);
            }
            Kind::Remote(_) => {}
        }
        places.insert(&network.name, place);
    }
    places
}

/// How a port's packets are read: OVN's option is found in the packet.
const fn on_port(wire: Wire) -> Wire {
    match wire {
        Wire::GeneveOvn => Wire::Geneve,
        other => other,
    }
}

/// What a port carries, for messages.
const fn in_words(listens: Wire) -> &'static str {
    match listens {
        Wire::Vxlan => "VXLAN",
        Wire::VxlanGroup => "VXLAN with group policy",
        _ => "Geneve",
    }
}

fn place<'a>(network: &'a Network, replica: &'a Replica, site: &Site) -> Result<Place<'a>, String> {
    let underlay = site.underlay(&network.provider);
    if let Some(name) = network.gateway.as_ref().filter(|name| **name != site.name) {
        let gateway = replica.gateways.get(name).ok_or_else(|| {
            format!(
                "gateway {name:?} does not exist; declare it, or name another one in the network's `gateway`"
            )
        })?;
        let underlay = site.underlay(&gateway.spec.provider);
        let homes = declared_homes(network);
        return Ok(Place { network, homes, underlay, kind: Kind::Remote(&gateway.spec) });
    }
    let kind = match network.encapsulation {
        Encapsulation::Vxlan { vni, udp_port, group_policy } => {
            let wire = if group_policy.is_some() { Wire::VxlanGroup } else { Wire::Vxlan };
            Kind::Tunnel { wire, vni: vni.get(), port: udp_port }
        }
        Encapsulation::Geneve { vni, udp_port, ovn_port } => {
            let wire = if ovn_port.is_some() { Wire::GeneveOvn } else { Wire::Geneve };
            Kind::Tunnel { wire, vni: vni.get(), port: udp_port }
        }
        Encapsulation::Vlan { vlan_id } => {
            let ifindex = trunk(network, underlay, site)?;
            Kind::Device { wire: Wire::Vlan, number: vlan_id.get().into(), ifindex }
        }
        Encapsulation::Port => {
            let ifindex = *site.ports.get(&network.name).ok_or_else(|| {
                format!(
                    "no interface here is a port of it; start the gateway that has one with --port IF={}, and \
                     name that gateway in the network's `gateway`",
                    network.name
                )
            })?;
            Kind::Device { wire: Wire::Port, number: 0, ifindex }
        }
    };
    Ok(Place { network, homes: site.homes(network), underlay, kind })
}

/// The interface that a provider's VLANs are on.
fn trunk(network: &Network, underlay: Underlay, site: &Site) -> Result<u32, String> {
    match site.interfaces_on(underlay)[..] {
        [ifindex] => Ok(ifindex),
        [] => Err(format!(
            "no interface of this gateway could carry its VLAN; start the gateway with --interface IF={}",
            network.provider
        )),
        _ => Err(format!(
            "more than one interface could carry its VLAN; say which one with --interface IF={}",
            network.provider
        )),
    }
}

fn obstacle(
    place: &Place<'_>,
    site: &Site,
    holders: &BTreeMap<Scope, &Network>,
    plan: &Plan,
) -> Option<String> {
    if let Some(other) = place.scope().and_then(|scope| holders.get(&scope)) {
        let number = match place.kind {
            Kind::Tunnel { vni, .. } => format!("VNI {vni}"),
            Kind::Device { wire: Wire::Vlan, number, .. } => format!("VLAN {number}"),
            Kind::Device { .. } | Kind::Remote(_) => {
                return Some(format!(
                    "its port is that of network {:?} already; give it an interface of its own with --port IF={}",
                    other.name, place.network.name
                ));
            }
        };
        return Some(format!(
            "network {:?} of provider {:?} already uses {number} on the same underlay; give one of the two \
             providers an interface of its own with --interface IF=PROVIDER",
            other.name, other.provider
        ));
    }
    if let Kind::Tunnel { wire, port, .. } = place.kind {
        if let Some(other) = plan.ports.get(&port).filter(|other| **other != on_port(wire)) {
            return Some(format!(
                "UDP port {port} carries {} already; choose another udp_port",
                in_words(*other)
            ));
        }
        if plan.ports.len() == TUNNEL_PORTS && !plan.ports.contains_key(&port) {
            let used: Vec<String> = plan.ports.keys().map(u16::to_string).collect();
            return Some(format!(
                "UDP port {port} would be one too many: a gateway listens on at most {TUNNEL_PORTS} ports; choose a \
                 udp_port out of those in use: {}",
                used.join(", ")
            ));
        }
    }
    if let Kind::Remote(gateway) = place.kind {
        let own = gateway.addresses.iter().find(|address| site.addresses.contains(address))?;
        return Some(format!(
            "gateway {:?} has {own}, which is this gateway's own address; start this gateway with --name {}, or \
             correct the addresses of {:?}",
            gateway.name, gateway.name, gateway.name
        ));
    }
    place.network.endpoints.iter().find_map(|endpoint| {
        let vtep = endpoint.vtep.filter(|vtep| site.addresses.contains(vtep))?;
        Some(format!(
            "the vtep {vtep} of endpoint {} is this gateway's own address; give that of the host that has the endpoint",
            endpoint.address
        ))
    })
}
