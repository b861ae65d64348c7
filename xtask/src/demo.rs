//! `cargo xtask demo`.

use std::{
    os::unix::process::CommandExt as _,
    process::{Command, ExitCode},
};

use anyhow::{Context as _, bail};

use crate::{packages, run, setup, tree};

/// Watch packets cross two virtual networks, in namespaces on this machine
///
/// Builds Isthmus, makes two networks with different VNIs and a gateway between them out of network
/// namespaces, and shows step by step with real traffic what crosses when. Needs root. Cleans up after
/// itself, also on Ctrl-C; exits with 0 if everything that it checked held.
#[derive(clap::Args)]
#[command(after_help = "Example:
  sudo -E env PATH=\"$PATH\" cargo xtask demo")]
pub(crate) struct Arguments {}

pub(crate) fn run(_: &Arguments) -> anyhow::Result<ExitCode> {
    if !packages::is_root() {
        bail!(
            "the demo makes network namespaces and loads an XDP program, which takes root: run it with sudo"
        );
    }
    setup::ensure(setup::Purpose::Test)?;
    println!("Building Isthmus and the demo (minutes the first time, seconds after that) …");
    run::checked(run::cargo().args([
        "build",
        "--quiet",
        "--locked",
        "-p",
        "isthmus",
        "-p",
        "isthmus-tests",
        "--bins",
    ]))?;
    let built = tree::target().join("debug");
    // In our place, so that whoever interrupts or kills us reaches the one that cleans up.
    let error = Command::new(built.join("isthmus-demo")).env("ISTHMUS_BIN", built.join("isthmus")).exec();
    Err(error).context("start the demo")
}
