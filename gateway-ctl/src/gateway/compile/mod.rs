//! From the broker's objects to the wanted contents of the tables.
//!
//! A pure function. What can't be put into force is refused with a reason, and the rest is in
//! force all the same: one bad mapping must not cut off the good ones.

mod draft;
mod place;
mod rules;
mod site;

pub use site::{Learned, Site};

use super::plan::{Plan, PlannedStamp, Refused};
use super::replica::{Declared, Replica};
use crate::model::ObjectRef;
use draft::Draft;

/// Compiles all objects.
#[must_use]
pub fn compile(replica: &Replica, site: &Site) -> Plan {
    let mut plan = Plan::empty(replica.label_range);
    let places = place::all(replica, site, &mut plan);
    for declared in oldest_first(replica.mappings.values()) {
        let mapping = &declared.spec;
        let entered = match Draft::new(mapping, replica, &places) {
            Ok(Some(draft)) => draft.enter(&mut plan),
            // It joins networks that are both behind other gateways.
            Ok(None) => continue,
            Err(reason) => Err(reason),
        };
        match entered {
            Ok(()) => {
                let epoch = declared.metadata.version & u64::from(u32::MAX);
                let stamp =
                    PlannedStamp { label: mapping.label, epoch: u32::try_from(epoch).unwrap_or_default() };
                plan.mappings.insert(mapping.unique_identifier, stamp);
            }
            Err(reason) => plan.refused.push(Refused {
                object: ObjectRef::mapping(mapping.unique_identifier),
                version: declared.metadata.version,
                reason,
            }),
        }
    }
    plan
}

/// Older revisions first: of two that exclude each other, the one that was there stays.
fn oldest_first<'a, T>(declared: impl Iterator<Item = &'a Declared<T>>) -> Vec<&'a Declared<T>> {
    let mut declared: Vec<_> = declared.collect();
    declared.sort_by_key(|declared| declared.metadata.revision);
    declared
}
