//! Every dependency's licence expression must hold with the allowed licences alone.

use std::path::Path;

use anyhow::{Context as _, bail};
use cargo_metadata::{MetadataCommand, Package};
use spdx::{Expression, ParseMode};

use crate::rules::Rules;

/// Checks all dependencies of the workspace in the tree, and prints how many there are.
pub(crate) fn check(tree: &Path, rules: &Rules) -> anyhow::Result<()> {
    let mut options = vec!["--locked".to_owned()];
    options.extend(rules.graph.targets.iter().map(|target| format!("--filter-platform={target}")));
    let metadata = MetadataCommand::new()
        .current_dir(tree)
        .other_options(options)
        .exec()
        .context("list the dependencies with `cargo metadata`")?;

    let dependencies: Vec<&Package> =
        metadata.packages.iter().filter(|package| package.source.is_some()).collect();
    let refused: Vec<String> = dependencies
        .iter()
        .filter_map(|package| {
            let reason = refusal(package.license.as_deref(), &rules.licenses.allow)?;
            Some(format!("\n  {} {}: {reason}", package.name, package.version))
        })
        .collect();
    if !refused.is_empty() {
        bail!("dependencies with licences that deny.toml does not allow:{}", refused.concat());
    }
    println!("licences: all {} dependencies may be used", dependencies.len());
    Ok(())
}

/// Why a licence expression does not hold with the allowed licences; `None` if it does.
fn refusal(expression: Option<&str>, allowed: &[String]) -> Option<String> {
    let Some(text) = expression else {
        return Some("it states no licence expression".to_owned());
    };
    // Old packages write `MIT/Apache-2.0`.
    let Ok(parsed) = Expression::parse_mode(text, ParseMode::LAX) else {
        return Some(format!("`{text}` is no SPDX licence expression"));
    };
    let holds = parsed.evaluate(|required| allowed.contains(&required.to_string()));
    (!holds).then(|| format!("`{text}`"))
}

#[cfg(test)]
mod tests {
    use super::refusal;

    #[test]
    fn an_expression_must_hold_with_the_allowed_licences_alone() {
        let allowed = ["MIT", "Apache-2.0", "Unicode-3.0"].map(str::to_owned);
        for fine in [
            "MIT",
            "MIT/Apache-2.0",
            "GPL-3.0-only OR MIT",
            "(MIT OR Apache-2.0) AND Unicode-3.0",
            "Unlicense OR MIT",
        ] {
            assert_eq!(refusal(Some(fine), &allowed), None, "{fine}");
        }
        for refused in ["GPL-3.0-only", "MIT AND BSD-3-Clause", "Apache-2.0 WITH LLVM-exception", "MIT or so"]
        {
            assert!(refusal(Some(refused), &allowed).is_some(), "{refused}");
        }
        assert!(refusal(None, &allowed).is_some());
    }
}
