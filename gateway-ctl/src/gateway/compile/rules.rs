//! The rules on each address that a mapping lists.

use std::collections::BTreeMap;
use std::net::IpAddr;

use isthmus_common::address::Address;
use isthmus_common::rules::MAX_RULES;
use uuid::Uuid;

use super::super::plan::PlannedRule;
use super::super::replica::Replica;
use crate::model::{AccessLevel, Mapping, Protocol, Resource};

/// The rules on each address the mapping lists, the most specific first.
pub(super) fn of(mapping: &Mapping, replica: &Replica) -> Result<BTreeMap<IpAddr, Vec<PlannedRule>>, String> {
    let mut rules: BTreeMap<IpAddr, Vec<PlannedRule>> = BTreeMap::new();
    for (resource_id, level) in &mapping.resource_mapping {
        let resource = &replica
            .resources
            .get(resource_id)
            .ok_or_else(|| {
                format!("resource {resource_id:?} does not exist; declare it, or take it out of the mapping")
            })?
            .spec;
        if resource.network != mapping.destination_network {
            return Err(format!(
                "resource {resource_id:?} belongs to network {:?}, not to the destination network {:?}; list \
                 only resources of the latter",
                resource.network, mapping.destination_network
            ));
        }
        for address in &resource.addresses {
            let of_address = rules.entry(*address).or_default();
            *of_address = merge(of_address, &of_resource(mapping, resource, *level), (*address).into())?;
        }
    }
    Ok(rules)
}

fn of_resource(mapping: &Mapping, resource: &Resource, level: AccessLevel) -> Vec<PlannedRule> {
    let rule =
        |ports| PlannedRule { mapping: mapping.unique_identifier, protocol: resource.protocol, ports, level };
    if resource.ports.is_empty() {
        vec![rule(None)]
    } else {
        resource.ports.iter().map(|ports| rule(Some(*ports))).collect()
    }
}

/// Both lists as one.
pub(super) fn merge(
    present: &[PlannedRule],
    added: &[PlannedRule],
    address: Address,
) -> Result<Vec<PlannedRule>, String> {
    let mut rules: Vec<_> = present.iter().chain(added).cloned().collect();
    rules.sort_by_key(specificity);
    rules.dedup();
    if address.is_mac() {
        // All of them speak for every frame, so that only the first is ever asked.
        rules.truncate(1);
    }
    if rules.len() > MAX_RULES {
        return Err(format!(
            "address {} would have {} rules; {MAX_RULES} fit: join port ranges, or use more addresses",
            IpAddr::from(address),
            rules.len()
        ));
    }
    Ok(rules)
}

/// The rule on the frames of a MAC that two rules speak for: the stricter.
pub(super) fn merge_for_mac(present: &[PlannedRule], added: &PlannedRule) -> Vec<PlannedRule> {
    present.iter().chain([added]).min_by_key(|rule| specificity(rule)).cloned().into_iter().collect()
}

/// Fewer ports before more, one protocol before all, and between equals the stricter level.
fn specificity(rule: &PlannedRule) -> (u32, bool, AccessLevel, Uuid) {
    let ports = rule.ports.map_or(u32::from(u16::MAX) + 1, |ports| u32::from(ports.last - ports.first));
    (ports, rule.protocol == Protocol::Any, rule.level, rule.mapping)
}
