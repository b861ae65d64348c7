//! No locked dependency may have a `RustSec` advisory about a vulnerability or unsoundness.
//!
//! The database is a git repository. A copy is kept beside the other tools and brought up to date on every
//! run; where it can be had at all is not up to this program, so its absence is said and not an error.
//! `ADVISORY_DB` names a copy that somebody else keeps up to date.

use std::{
    env,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, bail};
use rustsec::{Collection, Database, Lockfile, Vulnerability, advisory::Informational, database::Query};

use crate::rules::{Ignored, Rules};

const REPOSITORY: &str = "https://github.com/RustSec/advisory-db";

/// Checks the tree's `Cargo.lock`, and prints how many advisories it was held against.
pub(crate) fn check(tree: &Path, rules: &Rules) -> anyhow::Result<()> {
    let Some(folder) = database(tree)? else {
        println!(
            "advisories: SKIPPED, because {REPOSITORY} cannot be fetched from here (ADVISORY_DB may name a copy)"
        );
        return Ok(());
    };
    let found = search(&folder, &tree.join("Cargo.lock"))?;
    let (ignored, rest): (Vec<_>, Vec<_>) =
        found.advisories.iter().partition(|advisory| ignoring(advisory, &rules.advisories.ignore).is_some());
    for advisory in ignored {
        let reason = ignoring(advisory, &rules.advisories.ignore).map_or("", |ignored| &ignored.reason);
        println!("advisories: {} ignored: {reason}", shown(advisory));
    }
    let (harmful, notices): (Vec<_>, Vec<_>) = rest.into_iter().partition(|advisory| is_harmful(advisory));
    for notice in notices {
        println!("advisories: {} (for your information)", shown(notice));
    }
    if !harmful.is_empty() {
        let list: Vec<String> = harmful.into_iter().map(shown).collect();
        bail!(
            "dependencies with security advisories (see https://rustsec.org/advisories):\n  {}",
            list.join("\n  ")
        );
    }
    println!("advisories: {} known, none stands against a dependency", found.known);
    Ok(())
}

/// What a search came to.
struct Found {
    /// How many advisories the database has.
    known: usize,
    /// Those about locked dependencies.
    advisories: Vec<Vulnerability>,
}

fn search(database: &Path, lockfile: &Path) -> anyhow::Result<Found> {
    let database =
        Database::open(database).with_context(|| format!("read the advisories in {}", database.display()))?;
    let lockfile = Lockfile::load(lockfile).with_context(|| format!("read {}", lockfile.display()))?;
    let query = Query::new().collection(Collection::Crates).withdrawn(false);
    Ok(Found {
        known: database.iter().count(),
        advisories: database.query_vulnerabilities(&lockfile, &query),
    })
}

/// Whether an advisory is about a fault, not merely a notice that a package is no longer maintained.
fn is_harmful(advisory: &Vulnerability) -> bool {
    matches!(advisory.advisory.informational, None | Some(Informational::Unsound))
}

fn ignoring<'rules>(advisory: &Vulnerability, ignored: &'rules [Ignored]) -> Option<&'rules Ignored> {
    ignored.iter().find(|ignored| ignored.id == advisory.advisory.id.as_str())
}

fn shown(advisory: &Vulnerability) -> String {
    let Vulnerability { advisory, package, .. } = advisory;
    format!("{} {}: {} ({})", package.name, package.version, advisory.title, advisory.id)
}

/// A folder with the database; `None` if it cannot be had.
fn database(tree: &Path) -> anyhow::Result<Option<PathBuf>> {
    if let Some(folder) = env::var_os("ADVISORY_DB").map(PathBuf::from) {
        if !folder.join("crates").is_dir() {
            bail!("ADVISORY_DB={} is not a RustSec database: it has no folder `crates`", folder.display());
        }
        return Ok(Some(folder));
    }
    let copy = tree.join(".tools/advisory-db");
    let mut git = Command::new("git");
    if copy.is_dir() {
        git.arg("-C").arg(&copy).args([
            "pull",
            "--quiet",
            "--ff-only",
            "--depth=1",
            "--allow-unrelated-histories",
        ]);
    } else {
        git.args(["clone", "--quiet", "--depth=1", REPOSITORY]).arg(&copy);
    }
    // Give up in seconds on a host that does not answer, and never ask for a password.
    git.env("GIT_TERMINAL_PROMPT", "0")
        .env("GIT_HTTP_LOW_SPEED_LIMIT", "1000")
        .env("GIT_HTTP_LOW_SPEED_TIME", "15");
    let fetched = git.output().is_ok_and(|output| output.status.success());
    match (fetched, copy.is_dir()) {
        (true, _) => Ok(Some(copy)),
        (false, true) => {
            println!(
                "advisories: the copy of {REPOSITORY} could not be brought up to date; using it as it is"
            );
            Ok(Some(copy))
        }
        (false, false) => Ok(None),
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::{is_harmful, search};

    #[test]
    fn an_advisory_stands_against_the_versions_it_names_only() {
        let folder = tempfile::tempdir().unwrap();
        let crates = folder.path().join("crates/leaky");
        fs::create_dir_all(&crates).unwrap();
        let advisory = |id: &str, extra: &str| {
            format!(
                "```toml\n[advisory]\nid = \"{id}\"\npackage = \"leaky\"\ndate = \"2026-01-01\"\n{extra}\n\
                 [versions]\npatched = [\">= 1.2.0\"]\n```\n\n# It leaks\n\nWords.\n"
            )
        };
        fs::write(crates.join("RUSTSEC-2026-0001.md"), advisory("RUSTSEC-2026-0001", "")).unwrap();
        let unmaintained = advisory("RUSTSEC-2026-0002", "informational = \"unmaintained\"");
        fs::write(crates.join("RUSTSEC-2026-0002.md"), unmaintained).unwrap();

        for (version, ids) in
            [("1.1.9", vec![("RUSTSEC-2026-0001", true), ("RUSTSEC-2026-0002", false)]), ("1.2.0", vec![])]
        {
            let lockfile = folder.path().join("Cargo.lock");
            let text = format!(
                "version = 4\n\n[[package]]\nname = \"leaky\"\nversion = \"{version}\"\n\
                 source = \"registry+https://github.com/rust-lang/crates.io-index\"\n"
            );
            fs::write(&lockfile, text).unwrap();
            let found = search(folder.path(), &lockfile).unwrap();
            assert_eq!(found.known, 2);
            let mut against: Vec<_> = found
                .advisories
                .iter()
                .map(|advisory| (advisory.advisory.id.as_str(), is_harmful(advisory)))
                .collect();
            against.sort_unstable();
            assert_eq!(against, ids, "version {version}");
        }
    }
}
