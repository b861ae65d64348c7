//! What tells networks apart on the wire.

use std::{collections::BTreeMap, fmt};

use super::View;
use crate::model::{Encapsulation, Gateway, Network, ObjectRef, Violations};

/// Networks that share one have numbers of their own, within a provider.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum KeySpace {
    Vxlan,
    VxlanWithGroups,
    Geneve,
    Ovn,
    Vlan,
}

impl KeySpace {
    /// Where the network's number counts, and the number; a port carries one network and needs none.
    fn of(encapsulation: &Encapsulation) -> Option<(Self, u32)> {
        Some(match encapsulation {
            Encapsulation::Vxlan { vni, group_policy: None, .. } => (Self::Vxlan, vni.get()),
            Encapsulation::Vxlan { vni, group_policy: Some(_), .. } => (Self::VxlanWithGroups, vni.get()),
            Encapsulation::Geneve { vni, ovn_port: None, .. } => (Self::Geneve, vni.get()),
            Encapsulation::Geneve { vni, ovn_port: Some(_), .. } => (Self::Ovn, vni.get()),
            Encapsulation::Vlan { vlan_id } => (Self::Vlan, vlan_id.get().into()),
            Encapsulation::Port => return None,
        })
    }

    /// The number's field, what it is called, and for which networks it counts.
    const fn words(self) -> (&'static str, &'static str, &'static str) {
        match self {
            Self::Vxlan => ("vni", "VNI", "vxlan network"),
            Self::VxlanWithGroups => ("vni", "VNI", "vxlan network with a group policy"),
            Self::Geneve => ("vni", "VNI", "geneve network"),
            Self::Ovn => ("vni", "VNI", "geneve network with an OVN port"),
            Self::Vlan => ("vlan_id", "VLAN", "vlan network"),
        }
    }
}

/// Each network has its own number, and no mapping has it as its label.
pub(super) fn keys(view: &View<'_>, wrong: &mut Violations) {
    let mut owners: BTreeMap<_, &Network> = BTreeMap::new();
    for network in kept_first(view) {
        let kind = network.encapsulation.kind();
        let field = |name: &str| {
            view.field(&ObjectRef::network(&network.name), &format!("encapsulation.{kind}.{name}"))
        };
        let Some((space, number)) = KeySpace::of(&network.encapsulation) else { continue };
        let provider = &network.provider;
        let owner = *owners.entry((provider, space, number)).or_insert(network);
        if owner.name != network.name {
            let (name, what, whose) = space.words();
            wrong.add(
                field(name),
                format!(
                    "{number} is the {what} of network {} already; within provider {provider} each {whose} needs its own",
                    owner.name
                ),
            );
        }
        let range = view.federation.label_range();
        if let Some(vni) = network.encapsulation.vni()
            && view.network_changed(&network.name)
            && range.contains(vni.get())
        {
            wrong.add(
                field("vni"),
                format!("{vni} lies in the label range {range}, which names mappings; use a VNI outside it"),
            );
        }
    }
}

/// How packets to a UDP port are read. With a group policy, VXLAN is another encapsulation than
/// without, as in Linux, where a socket either has it or not; OVN's option is one of Geneve's.
#[derive(Clone, Copy, PartialEq, Eq)]
enum PortUse {
    Vxlan,
    VxlanWithGroups,
    Geneve,
}

impl PortUse {
    const fn of(encapsulation: &Encapsulation) -> Option<(u16, Self)> {
        match encapsulation {
            Encapsulation::Vxlan { udp_port, group_policy: None, .. } => Some((*udp_port, Self::Vxlan)),
            Encapsulation::Vxlan { udp_port, group_policy: Some(_), .. } => {
                Some((*udp_port, Self::VxlanWithGroups))
            }
            Encapsulation::Geneve { udp_port, .. } => Some((*udp_port, Self::Geneve)),
            Encapsulation::Vlan { .. } | Encapsulation::Port => None,
        }
    }
}

impl fmt::Display for PortUse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Vxlan => "vxlan",
            Self::VxlanWithGroups => "vxlan with a group policy",
            Self::Geneve => "geneve",
        })
    }
}

/// A UDP port in use: by what, and for which object.
#[derive(Clone, Copy)]
struct User<'a> {
    port: u16,
    carries: PortUse,
    object: Owner<'a>,
}

#[derive(Clone, Copy)]
enum Owner<'a> {
    Gateway(&'a Gateway),
    Network(&'a Network),
}

impl fmt::Display for Owner<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Gateway(gateway) => write!(f, "gateway {}", gateway.name),
            Self::Network(network) => write!(f, "network {}", network.name),
        }
    }
}

impl Owner<'_> {
    fn object_ref(&self) -> ObjectRef {
        match self {
            Self::Gateway(gateway) => ObjectRef::gateway(&gateway.name),
            Self::Network(network) => ObjectRef::network(&network.name),
        }
    }

    fn udp_port(&self) -> String {
        match self {
            Self::Gateway(_) => "udp_port".to_owned(),
            Self::Network(network) => format!("encapsulation.{}.udp_port", network.encapsulation.kind()),
        }
    }
}

/// One UDP port carries one encapsulation, whoever uses it.
pub(super) fn ports(view: &View<'_>, wrong: &mut Violations) {
    let networks = view.networks.values().filter_map(|network| {
        let (port, carries) = PortUse::of(&network.encapsulation)?;
        Some(User { port, carries, object: Owner::Network(network) })
    });
    let gateways = view.gateways.values().map(|gateway| User {
        port: gateway.udp_port,
        carries: PortUse::Geneve,
        object: Owner::Gateway(gateway),
    });
    let (changed, kept): (Vec<_>, Vec<_>) =
        networks.chain(gateways).partition(|user| view.is_changed(&user.object.object_ref()));
    let mut first: BTreeMap<u16, User<'_>> = BTreeMap::new();
    for user in kept.into_iter().chain(changed) {
        let User { port, carries, object } = user;
        let other = *first.entry(port).or_insert(user);
        if other.carries != carries {
            wrong.add(
                view.field(&object.object_ref(), &object.udp_port()),
                format!(
                    "{port} carries {} already, for {}; a port says how its packets are read, so {carries} needs another",
                    other.carries, other.object
                ),
            );
        }
    }
}

/// Networks that stay come first, so that the newcomer is the one to blame.
fn kept_first<'a>(view: &View<'a>) -> impl Iterator<Item = &'a Network> {
    let (changed, kept): (Vec<&Network>, Vec<&Network>) =
        view.networks.values().partition(|network| view.network_changed(&network.name));
    kept.into_iter().chain(changed)
}
