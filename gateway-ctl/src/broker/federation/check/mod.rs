//! What objects owe each other.
//!
//! The federation is consistent before a change, so only what a change touches, or what refers
//! to it, can be wrong afterwards; a mistake is always laid at the door of a change.

mod encapsulations;
mod gateways;
mod mappings;
mod overlaps;
mod references;
mod resources;

use std::collections::BTreeMap;

pub(super) use self::references::references;
use super::{Changed, Federation};
use crate::model::{
    Gateway, Mapping, Network, ObjectRef, Resource, Spec, Violations,
    violation::{did_you_mean, quoted},
};

/// A federation as it would be after a change.
pub(super) struct View<'a> {
    federation: &'a Federation,
    changed: &'a Changed,
    places: &'a BTreeMap<ObjectRef, usize>,
    gateways: BTreeMap<&'a str, &'a Gateway>,
    networks: BTreeMap<&'a str, &'a Network>,
    resources: BTreeMap<&'a str, &'a Resource>,
    mappings: Vec<&'a Mapping>,
}

impl<'a> View<'a> {
    pub(super) fn new(
        federation: &'a Federation,
        changed: &'a Changed,
        places: &'a BTreeMap<ObjectRef, usize>,
    ) -> Self {
        let mut view = Self {
            federation,
            changed,
            places,
            gateways: BTreeMap::new(),
            networks: BTreeMap::new(),
            resources: BTreeMap::new(),
            mappings: Vec::new(),
        };
        let kept =
            federation.objects.iter().filter(|(key, _)| !changed.contains_key(key)).map(|(_, object)| object);
        for object in kept.chain(changed.values().flatten()) {
            match &object.spec {
                Spec::Gateway(gateway) => {
                    view.gateways.insert(&gateway.name, gateway);
                }
                Spec::Network(network) => {
                    view.networks.insert(&network.name, network);
                }
                Spec::Resource(resource) => {
                    view.resources.insert(&resource.resource_id, resource);
                }
                Spec::Mapping(mapping) => view.mappings.push(mapping),
            }
        }
        view
    }

    fn is_changed(&self, object_ref: &ObjectRef) -> bool {
        self.changed.contains_key(object_ref)
    }

    fn gateway_changed(&self, name: &str) -> bool {
        self.is_changed(&ObjectRef::gateway(name))
    }

    fn network_changed(&self, name: &str) -> bool {
        self.is_changed(&ObjectRef::network(name))
    }

    fn resource_changed(&self, resource_id: &str) -> bool {
        self.is_changed(&ObjectRef::resource(resource_id))
    }

    fn mapping_changed(&self, mapping: &Mapping) -> bool {
        self.is_changed(&ObjectRef::mapping(mapping.unique_identifier))
    }

    /// The name of a field of a change.
    fn field(&self, object_ref: &ObjectRef, field: &str) -> String {
        let index = self.places.get(object_ref).copied().unwrap_or_default();
        format!("changes[{index}].{}.{field}", object_ref.kind)
    }

    /// The field of the first of these objects that is changed.
    fn blame<'f>(&self, candidates: impl IntoIterator<Item = (ObjectRef, &'f str)>) -> String {
        candidates
            .into_iter()
            .find(|(object_ref, _)| self.is_changed(object_ref))
            .map_or_else(String::new, |(object_ref, field)| self.field(&object_ref, field))
    }

    fn unknown_network(&self, name: &str) -> String {
        let hint = did_you_mean(name, self.networks.keys().copied());
        format!("there is no network {}{hint}", quoted(name))
    }
}

/// Everything but dangling references of what stays.
pub(super) fn all(view: &View<'_>, wrong: &mut Violations) {
    gateways::addresses(view, wrong);
    encapsulations::keys(view, wrong);
    encapsulations::ports(view, wrong);
    gateways::behind(view, wrong);
    resources::all(view, wrong);
    mappings::labels(view, wrong);
    mappings::all(view, wrong);
    overlaps::all(view, wrong);
}
