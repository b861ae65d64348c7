//! The rules in `deny.toml`, as far as they are used here. The format is cargo-deny's.

use std::{fs, path::Path};

use anyhow::Context as _;
use serde::Deserialize;

/// What dependencies may be like.
#[derive(Deserialize)]
pub(crate) struct Rules {
    pub(crate) graph: Graph,
    pub(crate) licenses: Licenses,
    pub(crate) advisories: Advisories,
}

/// Which dependencies count.
#[derive(Deserialize)]
pub(crate) struct Graph {
    /// Those of builds for these targets.
    pub(crate) targets: Vec<String>,
}

/// Which licences may be used.
#[derive(Deserialize)]
pub(crate) struct Licenses {
    /// SPDX identifiers.
    pub(crate) allow: Vec<String>,
}

/// Which advisories do not concern us.
#[derive(Deserialize)]
pub(crate) struct Advisories {
    pub(crate) ignore: Vec<Ignored>,
}

/// An advisory that does not concern us.
#[derive(Deserialize)]
pub(crate) struct Ignored {
    pub(crate) id: String,
    /// Why not.
    pub(crate) reason: String,
}

impl Rules {
    pub(crate) fn read(file: &Path) -> anyhow::Result<Self> {
        let text = fs::read_to_string(file).with_context(|| format!("read {}", file.display()))?;
        toml::from_str(&text).with_context(|| format!("{} is not as expected", file.display()))
    }
}
