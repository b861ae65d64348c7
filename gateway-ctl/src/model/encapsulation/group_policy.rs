//! VXLAN's group policy: a number in each packet that names the group its sender is in.

use std::{fmt, num::NonZeroU16, str::FromStr};

use crate::model::violation::{did_you_mean, quoted};

/// Which group the packets to a network carry.
///
/// Source: draft-smith-vxlan-group-policy-05, <https://datatracker.ietf.org/doc/html/draft-smith-vxlan-group-policy-05>
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum GroupPolicy {
    /// The one the packet came with.
    Keep,
    /// This one.
    Set(NonZeroU16),
}

impl GroupPolicy {
    /// The contract's form: the group, 0 for "keep".
    #[must_use]
    pub fn to_wire(self) -> u32 {
        match self {
            Self::Keep => 0,
            Self::Set(group) => group.get().into(),
        }
    }

    /// Reads the contract's form.
    pub(super) fn from_wire(number: u32) -> Result<Self, String> {
        if number == 0 { Ok(Self::Keep) } else { Self::of_group(number) }
    }

    /// Gives packets a group.
    ///
    /// # Errors
    /// A sentence that says what would be right.
    pub fn of_group(group: u32) -> Result<Self, String> {
        let number = u16::try_from(group).ok().and_then(NonZeroU16::new);
        number.map(Self::Set).ok_or_else(|| {
            format!("{group} is not a group; use 1 to 65535, or keep to let packets keep their own")
        })
    }
}

impl fmt::Display for GroupPolicy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Keep => f.pad("keep"),
            Self::Set(group) => group.fmt(f),
        }
    }
}

impl FromStr for GroupPolicy {
    type Err = String;

    /// `keep` or a group.
    fn from_str(text: &str) -> Result<Self, String> {
        if text == "keep" {
            return Ok(Self::Keep);
        }
        if text.is_empty() || !text.bytes().all(|b| b.is_ascii_digit()) {
            let hint = did_you_mean(text, ["keep"]);
            return Err(format!(
                "{} is not a group policy; use keep, or a group from 1 to 65535{hint}",
                quoted(text)
            ));
        }
        Self::of_group(text.parse().unwrap_or(u32::MAX))
    }
}

#[cfg(test)]
mod tests {
    use super::GroupPolicy;

    #[test]
    fn group_policies_are_told_what_would_be_right() {
        assert_eq!("keep".parse(), Ok(GroupPolicy::Keep));
        for group in ["1", "65535"] {
            assert_eq!(group.parse::<GroupPolicy>().unwrap().to_string(), group);
        }
        for (text, expected) in [
            ("0", "0 is not a group; use 1 to 65535, or keep to let packets keep their own"),
            ("65536", "65536 is not a group; use 1 to 65535, or keep to let packets keep their own"),
            (
                "Keep",
                "\"Keep\" is not a group policy; use keep, or a group from 1 to 65535; did you mean keep?",
            ),
            ("", "\"\" is not a group policy; use keep, or a group from 1 to 65535"),
        ] {
            assert_eq!(text.parse::<GroupPolicy>().unwrap_err(), expected);
        }
    }
}
