//! Mappings, their labels, and what they lead to.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::IpAddr,
};

use super::View;
use crate::model::{
    Mapping, Mode, ObjectRef, Violations,
    violation::{did_you_mean, quoted},
};

/// Labels lie in the range, and each names one mapping.
pub(super) fn labels(view: &View<'_>, wrong: &mut Violations) {
    let mut owners: BTreeMap<_, &Mapping> = BTreeMap::new();
    let (changed, kept): (Vec<&Mapping>, Vec<&Mapping>) =
        view.mappings.iter().partition(|mapping| view.mapping_changed(mapping));
    for mapping in kept.into_iter().chain(changed) {
        let Some(label) = mapping.label else { continue };
        let field = || view.field(&ObjectRef::mapping(mapping.unique_identifier), "label");
        let range = view.federation.label_range();
        if !range.contains(label.get()) {
            wrong.add(
                field(),
                format!(
                    "{label} lies outside the label range {range}; leave it out to let the broker choose"
                ),
            );
        }
        if let Some(owner) = owners.insert(label, mapping) {
            wrong.add(
                field(),
                format!(
                    "{label} is the label of mapping/{} already; leave it out to let the broker choose",
                    owner.unique_identifier
                ),
            );
        }
    }
}

/// Networks and resources exist, and belong together.
pub(super) fn all(view: &View<'_>, wrong: &mut Violations) {
    for mapping in &view.mappings {
        check(view, mapping, wrong);
    }
}

fn check(view: &View<'_>, mapping: &Mapping, wrong: &mut Violations) {
    let this = ObjectRef::mapping(mapping.unique_identifier);
    let changed = view.is_changed(&this);
    if changed {
        for (field, name) in [
            ("source_network", &mapping.source_network),
            ("destination_network", &mapping.destination_network),
        ] {
            if !view.networks.contains_key(name.as_str()) {
                wrong.add(view.field(&this, field), view.unknown_network(name));
            }
        }
    }
    let source = view.networks.get(mapping.source_network.as_str());
    let source_changed = view.network_changed(&mapping.source_network);
    // Read once a mapping, and only if something below can have changed.
    let own: BTreeSet<IpAddr> = match source {
        Some(source)
            if changed
                || source_changed
                || mapping.resource_mapping.keys().any(|resource_id| view.resource_changed(resource_id)) =>
        {
            source.endpoints.iter().map(|endpoint| endpoint.address).collect()
        }
        _ => BTreeSet::new(),
    };
    for resource_id in mapping.resource_mapping.keys() {
        let entry = format!("resource_mapping[{resource_id}]");
        let Some(resource) = view.resources.get(resource_id.as_str()) else {
            if changed {
                let names =
                    view.resources.values().filter(|known| known.network == mapping.destination_network);
                let hint = did_you_mean(resource_id, names.map(|known| known.resource_id.as_str()));
                wrong.add(
                    view.field(&this, &entry),
                    format!("there is no resource {}{hint}", quoted(resource_id)),
                );
            }
            continue;
        };
        let resource_ref = ObjectRef::resource(resource_id);
        if resource.network != mapping.destination_network && (changed || view.is_changed(&resource_ref)) {
            wrong.add(
                view.blame([(this.clone(), entry.as_str()), (resource_ref.clone(), "network")]),
                format!(
                    "{resource_ref} belongs to network {}, but {this} leads to network {}",
                    resource.network, mapping.destination_network
                ),
            );
        }
        let twice = resource.addresses.iter().find(|address| own.contains(address));
        if let (Some(address), Mode::Switched) = (twice, mapping.mode) {
            wrong.add(
                view.blame([
                    (this.clone(), entry.as_str()),
                    (resource_ref.clone(), "addresses"),
                    (ObjectRef::network(&mapping.source_network), "endpoints"),
                ]),
                format!(
                    "{address} of {resource_ref} is also the address of an endpoint in the source network {}; \
                     a switched mapping does not translate addresses",
                    mapping.source_network
                ),
            );
        }
    }
}
