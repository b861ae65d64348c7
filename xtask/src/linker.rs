//! Finds or builds `bpf-linker`, which turns LLVM bitcode into a BPF object with BTF.

use std::{
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, bail};

use crate::{packages, run, toolchain::LLVM, tree};

/// The release that goes with the pinned aya crates.
const VERSION: &str = "0.13.0";

/// The linker that is already there: the tree's own, else one on `PATH` of the right version.
pub(crate) fn find() -> Option<PathBuf> {
    [Some(installed()), run::find("bpf-linker")].into_iter().flatten().find(|linker| is_fit(linker))
}

/// Builds the linker into the tree, on the LLVM of the system's packages.
pub(crate) fn install() -> anyhow::Result<PathBuf> {
    let prefix = PathBuf::from(format!("/usr/lib/llvm-{LLVM}"));
    let development = [
        (prefix.join("bin/llvm-config"), format!("llvm-{LLVM}-dev"), "LLVM, for bpf-linker"),
        (prefix.join("lib/libPolly.a"), format!("libpolly-{LLVM}-dev"), "a part of LLVM that its users link"),
    ];
    let missing: Vec<(&str, &str)> = development
        .iter()
        .filter(|(file, ..)| !file.exists())
        .map(|(_, package, purpose)| (package.as_str(), *purpose))
        .collect();
    if !missing.is_empty() {
        packages::install(&missing).with_context(|| {
            format!("bpf-linker {VERSION} on PATH would do too (github.com/aya-rs/bpf-linker has binaries)")
        })?;
    }
    println!("installing  bpf-linker {VERSION} into .tools (compiles for about a minute)");
    run::checked(
        run::cargo()
            .args([
                "install",
                "--quiet",
                "--locked",
                "bpf-linker",
                "--version",
                VERSION,
                "--no-default-features",
            ])
            .arg(format!("--features=llvm-{LLVM}"))
            .arg("--root")
            .arg(tree::tools())
            .env("LLVM_PREFIX", &prefix),
    )?;
    let linker = installed();
    if !is_fit(&linker) {
        bail!("{} was built but does not run", tree::shown(&linker));
    }
    Ok(linker)
}

fn installed() -> PathBuf {
    tree::tools().join("bin/bpf-linker")
}

/// Whether the program runs (its LLVM may be gone) and has the right version.
fn is_fit(linker: &Path) -> bool {
    run::query(Command::new(linker).arg("--version")).is_some_and(|version| version.trim().ends_with(VERSION))
}
