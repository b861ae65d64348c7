//! Namespace mappings.

use std::{collections::BTreeMap, fmt, str::FromStr};

use isthmus_common::id::Label;
use uuid::Uuid;

use super::{
    Violations, name,
    violation::{did_you_mean, quoted},
};
use crate::api;

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
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
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
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Mode {
    /// Only outer headers and the namespace identifier change; the inner frame is untouched.
    Switched,
}

impl AccessLevel {
    /// All of them, from least to most.
    pub const ALL: [Self; 4] = [Self::None, Self::Observe, Self::Connect, Self::Full];

    const fn as_str(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Observe => "observe",
            Self::Connect => "connect",
            Self::Full => "full",
        }
    }
}

impl fmt::Display for AccessLevel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for AccessLevel {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Self::ALL.into_iter().find(|level| level.as_str() == text).ok_or_else(|| {
            let hint = match text.to_lowercase().as_str() {
                "no" | "off" | "false" | "deny" => "; did you mean none?".to_owned(),
                "yes" | "on" | "true" | "allow" => "; did you mean connect?".to_owned(),
                _ => did_you_mean(text, Self::ALL.map(Self::as_str)),
            };
            format!("{} is not an access level; use none, observe, connect or full{hint}", quoted(text))
        })
    }
}

impl From<api::AccessLevel> for AccessLevel {
    fn from(wire: api::AccessLevel) -> Self {
        match wire {
            api::AccessLevel::None => Self::None,
            api::AccessLevel::Observe => Self::Observe,
            api::AccessLevel::Connect => Self::Connect,
            api::AccessLevel::Full => Self::Full,
        }
    }
}

impl From<AccessLevel> for api::AccessLevel {
    fn from(level: AccessLevel) -> Self {
        match level {
            AccessLevel::None => Self::None,
            AccessLevel::Observe => Self::Observe,
            AccessLevel::Connect => Self::Connect,
            AccessLevel::Full => Self::Full,
        }
    }
}

impl fmt::Display for Mode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Switched => f.pad("switched"),
        }
    }
}

impl FromStr for Mode {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "switched" => Ok(Self::Switched),
            _ => Err(format!(
                "{} is not a mode; use switched{}",
                quoted(text),
                did_you_mean(text, ["switched"])
            )),
        }
    }
}

/// Reads a mapping's identifier.
///
/// # Errors
/// A sentence that says what would be right.
pub fn parse_identifier(text: &str) -> Result<Uuid, String> {
    match Uuid::try_parse(text) {
        Ok(uuid) if uuid.is_nil() => Err("is the nil UUID; make one with uuidgen".to_owned()),
        Ok(uuid) => Ok(uuid),
        Err(_) => Err(format!(
            "{} is not a UUID, e.g. 7b0d6f0e-8a1c-4c53-9d0e-2f6a4f6d9a11; make one with uuidgen",
            quoted(text)
        )),
    }
}

impl TryFrom<api::Mapping> for Mapping {
    type Error = Violations;

    fn try_from(wire: api::Mapping) -> Result<Self, Violations> {
        let mut wrong = Violations::default();
        let unique_identifier = wrong.check("unique_identifier", parse_identifier(&wire.unique_identifier));
        let source = wrong.check("source_network", name::check(&wire.source_network));
        wrong.check("destination_network", name::check(&wire.destination_network));
        if source.is_some() && wire.source_network == wire.destination_network {
            wrong.add(
                "destination_network",
                format!(
                    "{} is the source network too; a mapping joins two different networks",
                    wire.destination_network
                ),
            );
        }
        let resource_mapping = resource_mapping(wire.resource_mapping, &mut wrong);
        if api::Mode::try_from(wire.mode).is_err() {
            wrong.add("mode", format!("{} is not a mode; use switched", wire.mode));
        }
        let label = Label::new(wire.label);
        if wire.label != 0 && label.is_none() {
            wrong.add(
                "label",
                format!("{} does not fit 24 bits; leave it out to let the broker choose", wire.label),
            );
        }
        match unique_identifier {
            Some(unique_identifier) => wrong.into_result(Self {
                unique_identifier,
                source_network: wire.source_network,
                destination_network: wire.destination_network,
                resource_mapping,
                mode: Mode::Switched,
                label,
            }),
            None => Err(wrong),
        }
    }
}

fn resource_mapping(
    wire: std::collections::HashMap<String, i32>,
    wrong: &mut Violations,
) -> BTreeMap<String, AccessLevel> {
    let mut levels = BTreeMap::new();
    // In name order, so that the same request always gets the same answer.
    for (resource_id, level) in BTreeMap::from_iter(wire) {
        let field = format!("resource_mapping[{resource_id}]");
        wrong.check(&field, name::check(&resource_id));
        match api::AccessLevel::try_from(level) {
            Ok(level) => {
                levels.insert(resource_id, level.into());
            }
            Err(_) => wrong
                .add(field, format!("{level} is not an access level; use none, observe, connect or full")),
        }
    }
    levels
}

impl From<&Mapping> for api::Mapping {
    fn from(mapping: &Mapping) -> Self {
        Self {
            unique_identifier: mapping.unique_identifier.to_string(),
            source_network: mapping.source_network.clone(),
            destination_network: mapping.destination_network.clone(),
            resource_mapping: mapping
                .resource_mapping
                .iter()
                .map(|(resource_id, &level)| (resource_id.clone(), api::AccessLevel::from(level).into()))
                .collect(),
            mode: match mapping.mode {
                Mode::Switched => api::Mode::Switched.into(),
            },
            label: mapping.label.map_or(0, Label::get),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::AccessLevel;

    #[test]
    fn yaml_booleans_are_told_which_level_they_may_mean() {
        for (text, hint) in
            [("no", "none"), ("off", "none"), ("yes", "connect"), ("Connect", "connect"), ("ful", "full")]
        {
            assert_eq!(
                text.parse::<AccessLevel>().unwrap_err(),
                format!(
                    "{text:?} is not an access level; use none, observe, connect or full; did you mean {hint}?"
                )
            );
        }
    }
}
