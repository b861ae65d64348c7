//! Resources, their networks and their addresses.

use std::{collections::BTreeSet, net::IpAddr};

use super::View;
use crate::model::{Network, ObjectRef, Resource, Violations};

/// A resource's network exists and knows, or can learn, where its addresses live.
pub(super) fn all(view: &View<'_>, wrong: &mut Violations) {
    for resource in view.resources.values() {
        if view.resource_changed(&resource.resource_id) || view.network_changed(&resource.network) {
            check(view, resource, wrong);
        }
    }
}

fn check(view: &View<'_>, resource: &Resource, wrong: &mut Violations) {
    let this = ObjectRef::resource(&resource.resource_id);
    let Some(network) = view.networks.get(resource.network.as_str()) else {
        if view.is_changed(&this) {
            wrong.add(view.field(&this, "network"), view.unknown_network(&resource.network));
        }
        return;
    };
    let declared: BTreeSet<IpAddr> = network.endpoints.iter().map(|endpoint| endpoint.address).collect();
    for (index, &address) in resource.addresses.iter().enumerate() {
        if declared.contains(&address) {
            continue;
        }
        if !network.learning {
            undeclared(view, network, resource, (index, address), wrong);
        } else if !network.contains(address) {
            outside(view, network, resource, (index, address), wrong);
        }
    }
}

/// Where an address lives is said by nobody.
fn undeclared(
    view: &View<'_>,
    network: &Network,
    resource: &Resource,
    (index, address): (usize, IpAddr),
    wrong: &mut Violations,
) {
    let this = ObjectRef::resource(&resource.resource_id);
    if view.is_changed(&this) {
        wrong.add(
            view.field(&this, &format!("addresses[{index}]")),
            format!(
                "network {} has no endpoint with address {address}; declare where it lives first",
                network.name
            ),
        );
    } else {
        wrong.add(
            view.field(&ObjectRef::network(&network.name), "endpoints"),
            format!("{this} needs an endpoint with address {address}; keep it, or change the resource first"),
        );
    }
}

/// An address can never be learned, because it is none of the network's.
fn outside(
    view: &View<'_>,
    network: &Network,
    resource: &Resource,
    (index, address): (usize, IpAddr),
    wrong: &mut Violations,
) {
    let this = ObjectRef::resource(&resource.resource_id);
    let prefixes: Vec<_> = network.prefixes.iter().map(ToString::to_string).collect();
    let prefixes = prefixes.join(", ");
    if view.is_changed(&this) {
        wrong.add(
            view.field(&this, &format!("addresses[{index}]")),
            format!(
                "{address} lies outside the prefixes of network {} ({prefixes}), so it is never learned there",
                network.name
            ),
        );
    } else {
        wrong.add(
            view.field(&ObjectRef::network(&network.name), "prefixes"),
            format!(
                "{this} has the address {address}, which lies outside of {prefixes}; keep its prefix, or change the resource first"
            ),
        );
    }
}
