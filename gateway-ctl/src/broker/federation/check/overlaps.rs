//! Where two mappings lead, or two resources of one, when they lead to the same address.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::IpAddr,
};

use super::View;
use crate::model::{AccessLevel, Mapping, ObjectRef, Resource, Violations};

/// One address that a source network is given through a mapping.
#[derive(Clone, Copy)]
struct Grant<'a> {
    mapping: &'a Mapping,
    resource: &'a Resource,
    level: AccessLevel,
}

impl Grant<'_> {
    /// Whether some packet would have two answers.
    fn contradicts(&self, other: &Self) -> bool {
        if self.mapping.unique_identifier != other.mapping.unique_identifier {
            return self.resource.overlaps_traffic_of(other.resource);
        }
        // Within one mapping the more specific resource wins; equals have to agree.
        self.level != other.level
            && self.resource.protocol == other.resource.protocol
            && self.resource.ports == other.resource.ports
    }
}

/// What a source network sends to one address must belong to one mapping.
pub(super) fn all(view: &View<'_>, wrong: &mut Violations) {
    let touched = |mapping: &Mapping| {
        view.mapping_changed(mapping)
            || mapping.resource_mapping.keys().any(|resource_id| view.resource_changed(resource_id))
    };
    let sources: BTreeSet<&str> = view
        .mappings
        .iter()
        .filter(|mapping| touched(mapping))
        .map(|mapping| mapping.source_network.as_str())
        .collect();
    let mut grants: BTreeMap<(&str, IpAddr), Vec<Grant<'_>>> = BTreeMap::new();
    for mapping in view.mappings.iter().filter(|mapping| sources.contains(mapping.source_network.as_str())) {
        for (resource_id, &level) in &mapping.resource_mapping {
            let Some(resource) = view.resources.get(resource_id.as_str()) else { continue };
            for &address in &resource.addresses {
                let grant = Grant { mapping, resource, level };
                let others = grants.entry((&mapping.source_network, address)).or_default();
                if let Some(other) = others.iter().find(|other| grant.contradicts(other)) {
                    overlap(view, address, &grant, other, wrong);
                }
                others.push(grant);
            }
        }
    }
}

fn overlap(view: &View<'_>, address: IpAddr, one: &Grant<'_>, other: &Grant<'_>, wrong: &mut Violations) {
    let mapping_ref = |grant: &Grant<'_>| ObjectRef::mapping(grant.mapping.unique_identifier);
    let resource_ref = |grant: &Grant<'_>| ObjectRef::resource(&grant.resource.resource_id);
    let entry = |grant: &Grant<'_>| format!("resource_mapping[{}]", grant.resource.resource_id);
    // The message speaks of the changed one first.
    let (one, other) = if view.is_changed(&mapping_ref(one)) || !view.is_changed(&mapping_ref(other)) {
        (one, other)
    } else {
        (other, one)
    };
    let entry = entry(one);
    let field = view.blame([
        (mapping_ref(one), entry.as_str()),
        (resource_ref(one), "addresses"),
        (resource_ref(other), "addresses"),
    ]);
    let what = if one.mapping.unique_identifier == other.mapping.unique_identifier {
        format!(
            "{} and {} are the same traffic to {address}, but {} gives them different levels",
            resource_ref(one),
            resource_ref(other),
            mapping_ref(one)
        )
    } else {
        format!(
            "{} and {} both lead from network {} to {address} ({} and {}) with overlapping protocol and ports",
            mapping_ref(one),
            mapping_ref(other),
            one.mapping.source_network,
            resource_ref(one),
            resource_ref(other)
        )
    };
    wrong.add(field, what);
}
