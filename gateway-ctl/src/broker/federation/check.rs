//! What objects owe each other.
//!
//! The federation is consistent before a change, so only what a change touches, or what refers
//! to it, can be wrong afterwards; a mistake is always laid at the door of a change.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::IpAddr,
};

use super::{Changed, Federation};
use crate::model::{
    AccessLevel, Kind, Mapping, Mode, Network, ObjectRef, Resource, Spec, Violations,
    violation::{did_you_mean, quoted},
};

/// A federation as it would be after a change.
pub(super) struct View<'a> {
    federation: &'a Federation,
    changed: &'a Changed,
    places: &'a BTreeMap<ObjectRef, usize>,
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
            networks: BTreeMap::new(),
            resources: BTreeMap::new(),
            mappings: Vec::new(),
        };
        let kept =
            federation.objects.iter().filter(|(key, _)| !changed.contains_key(key)).map(|(_, object)| object);
        for object in kept.chain(changed.values().flatten()) {
            match &object.spec {
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
    encapsulations(view, wrong);
    for resource in view.resources.values() {
        if view.resource_changed(&resource.resource_id) || view.network_changed(&resource.network) {
            check_resource(view, resource, wrong);
        }
    }
    labels(view, wrong);
    for mapping in &view.mappings {
        check_mapping(view, mapping, wrong);
    }
    overlaps(view, wrong);
}

fn encapsulations(view: &View<'_>, wrong: &mut Violations) {
    let mut owners: BTreeMap<_, &Network> = BTreeMap::new();
    let mut users: BTreeMap<u16, &Network> = BTreeMap::new();
    // Those that stay come first, so that the newcomer is the one to blame.
    let (changed, kept): (Vec<&Network>, Vec<&Network>) =
        view.networks.values().partition(|network| view.network_changed(&network.name));
    for network in kept.into_iter().chain(changed) {
        let (kind, vni) = (network.encapsulation.kind(), network.encapsulation.vni());
        let field = |name: &str| {
            view.field(&ObjectRef::network(&network.name), &format!("encapsulation.{kind}.{name}"))
        };
        let provider = &network.provider;
        let owner = *owners.entry((provider, kind, vni)).or_insert(network);
        if owner.name != network.name {
            wrong.add(
                field("vni"),
                format!(
                    "{vni} is the VNI of network {} already; within provider {provider} each {kind} network needs its own",
                    owner.name
                ),
            );
        }
        let range = view.federation.label_range();
        if view.network_changed(&network.name) && range.contains(vni.get()) {
            wrong.add(
                field("vni"),
                format!("{vni} lies in the label range {range}, which names mappings; use a VNI outside it"),
            );
        }
        let port = network.encapsulation.udp_port();
        let user = *users.entry(port).or_insert(network);
        if user.encapsulation.kind() != kind {
            wrong.add(
                field("udp_port"),
                format!(
                    "{port} carries {} already, for network {}; a port says how its packets are read, so {kind} needs another",
                    user.encapsulation.name(),
                    user.name
                ),
            );
        }
    }
}

fn check_resource(view: &View<'_>, resource: &Resource, wrong: &mut Violations) {
    let this = ObjectRef::resource(&resource.resource_id);
    let changed = view.is_changed(&this);
    let Some(network) = view.networks.get(resource.network.as_str()) else {
        if changed {
            wrong.add(view.field(&this, "network"), view.unknown_network(&resource.network));
        }
        return;
    };
    let declared: BTreeSet<IpAddr> = network.endpoints.iter().map(|endpoint| endpoint.address).collect();
    for (index, address) in
        resource.addresses.iter().enumerate().filter(|(_, address)| !declared.contains(address))
    {
        if changed {
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
                format!(
                    "{this} needs an endpoint with address {address}; keep it, or change the resource first"
                ),
            );
        }
    }
}

fn labels(view: &View<'_>, wrong: &mut Violations) {
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

fn check_mapping(view: &View<'_>, mapping: &Mapping, wrong: &mut Violations) {
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
fn overlaps(view: &View<'_>, wrong: &mut Violations) {
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

/// What stays and still refers to something that goes.
pub(super) fn references(view: &View<'_>) -> Violations {
    let mut users: BTreeMap<ObjectRef, Vec<ObjectRef>> = BTreeMap::new();
    let mut note = |used: ObjectRef, user: &ObjectRef| {
        if view.changed.get(&used).is_some_and(Option::is_none) {
            users.entry(used).or_default().push(user.clone());
        }
    };
    for resource in view.resources.values() {
        note(ObjectRef::network(&resource.network), &ObjectRef::resource(&resource.resource_id));
    }
    for mapping in &view.mappings {
        let this = ObjectRef::mapping(mapping.unique_identifier);
        note(ObjectRef::network(&mapping.source_network), &this);
        note(ObjectRef::network(&mapping.destination_network), &this);
        for resource_id in mapping.resource_mapping.keys() {
            note(ObjectRef::resource(resource_id), &this);
        }
    }
    let mut wrong = Violations::default();
    for (used, users) in users {
        let index = view.places.get(&used).copied().unwrap_or_default();
        wrong.add(format!("changes[{index}]"), still_used(&used, &users));
    }
    wrong
}

fn still_used(used: &ObjectRef, users: &[ObjectRef]) -> String {
    const SHOWN: usize = 5;
    let mut names: Vec<_> = users.iter().take(SHOWN).map(ToString::to_string).collect();
    if users.len() > SHOWN {
        names.push(format!("{} more", users.len() - SHOWN));
    }
    let whom = if users.len() == 1 { "it" } else { "them" };
    debug_assert_ne!(used.kind, Kind::Mapping, "nothing refers to a mapping");
    format!("{used} is still used by {}; delete {whom} first", names.join(", "))
}
