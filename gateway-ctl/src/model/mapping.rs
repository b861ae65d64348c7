//! Namespace mappings.

use std::collections::BTreeMap;

use isthmus_common::id::Label;
use uuid::Uuid;

/// Who in the source network may reach what in the destination network.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mapping {
    /// Names the mapping everywhere but on the wire.
    pub unique_identifier: Uuid,
    /// Name of the network whose members ask.
    pub source_network: String,
    /// Name of the network that holds the resources.
    pub destination_network: String,
    /// `resource_id` → access level; what is not listed is refused.
    pub resource_mapping: BTreeMap<String, AccessLevel>,
    /// How packets are translated.
    pub mode: Mode,
    /// Names the mapping on the wire; `None` only before the broker has chosen one.
    pub label: Option<Label>,
}

/// What a mapping grants on one resource.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum AccessLevel {
    /// Refused.
    None,
    /// Receives mirrored copies, sends nothing.
    Observe,
    /// The source opens flows, the resource answers in them.
    Connect,
    /// Either side opens flows.
    Full,
}

/// How a mapping's packets are translated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Only outer headers and the namespace identifier change; the inner frame is untouched.
    Switched,
}
