//! Checks the licences and security advisories of the dependencies against `deny.toml`; a step of
//! `cargo xtask lint`.
//!
//! cargo-deny does this and more, but takes minutes to compile, brings its own git and TLS, and stops where
//! the advisory database cannot be fetched. This does the two checks with the same file of rules and the
//! same libraries (`spdx`, `rustsec`), and says so when it had to go without the database. It is a package
//! of its own so that the other commands of `cargo xtask` compile in seconds.

use std::{path::Path, process::ExitCode};

use anyhow::Context as _;

mod advisories;
mod licences;
mod rules;

fn main() -> ExitCode {
    match audit() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn audit() -> anyhow::Result<()> {
    let tree = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).context("the tree has no root")?;
    let rules = rules::Rules::read(&tree.join("deny.toml"))?;
    licences::check(tree, &rules)?;
    advisories::check(tree, &rules)
}
