//! Gateways, their addresses, and the networks behind them.

use std::{collections::BTreeMap, net::IpAddr};

use super::View;
use crate::model::{
    Gateway, ObjectRef, Violations,
    violation::{did_you_mean, quoted},
};

/// A tunnel address tells gateways apart, so each belongs to one.
pub(super) fn addresses(view: &View<'_>, wrong: &mut Violations) {
    let mut owners: BTreeMap<IpAddr, &Gateway> = BTreeMap::new();
    // Those that stay come first, so that the newcomer is the one to blame.
    let (changed, kept): (Vec<&Gateway>, Vec<&Gateway>) =
        view.gateways.values().partition(|gateway| view.gateway_changed(&gateway.name));
    for gateway in kept.into_iter().chain(changed) {
        for (index, &address) in gateway.addresses.iter().enumerate() {
            let owner = *owners.entry(address).or_insert(gateway);
            if owner.name != gateway.name {
                wrong.add(
                    view.field(&ObjectRef::gateway(&gateway.name), &format!("addresses[{index}]")),
                    format!(
                        "{address} is an address of gateway {} already; each gateway needs its own",
                        owner.name
                    ),
                );
            }
        }
    }
}

/// The gateway that a network is behind exists.
pub(super) fn behind(view: &View<'_>, wrong: &mut Violations) {
    for network in view.networks.values().filter(|network| view.network_changed(&network.name)) {
        if let Some(name) = &network.gateway
            && !view.gateways.contains_key(name.as_str())
        {
            let hint = did_you_mean(name, view.gateways.keys().copied());
            wrong.add(
                view.field(&ObjectRef::network(&network.name), "gateway"),
                format!("there is no gateway {}{hint}", quoted(name)),
            );
        }
    }
}
