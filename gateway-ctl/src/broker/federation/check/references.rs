//! What is deleted though something else still refers to it.

use std::collections::BTreeMap;

use super::View;
use crate::model::{Kind, ObjectRef, Violations};

/// What stays and still refers to something that goes.
pub(in super::super) fn references(view: &View<'_>) -> Violations {
    let mut users: BTreeMap<ObjectRef, Vec<ObjectRef>> = BTreeMap::new();
    let mut note = |used: ObjectRef, user: &ObjectRef| {
        if view.changed.get(&used).is_some_and(Option::is_none) {
            users.entry(used).or_default().push(user.clone());
        }
    };
    for network in view.networks.values() {
        if let Some(gateway) = &network.gateway {
            note(ObjectRef::gateway(gateway), &ObjectRef::network(&network.name));
        }
    }
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
