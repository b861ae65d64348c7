//! `cargo xtask lint`.

use std::{env::consts::ARCH, process::Command, process::ExitCode};

use anyhow::bail;

use crate::{run, setup, toolchain::Toolchain, tree};

/// Check formatting, lints (clippy pedantic, the XDP program too), and dependencies' licences and advisories
#[derive(clap::Args)]
#[command(after_help = "Examples:
  cargo xtask lint                               everything
  cargo xtask lint && cargo xtask test           what continuous integration runs
  ADVISORY_DB=~/advisory-db cargo xtask lint     with your own copy of the RustSec database")]
pub(crate) struct Arguments {}

pub(crate) fn run(_: &Arguments) -> anyhow::Result<ExitCode> {
    let toolchain = setup::ensure(setup::Purpose::Build)?;
    for component in ["fmt", "clippy"] {
        if run::query(run::cargo().args([component, "--version"])).is_none() {
            bail!("cargo has no {component}: run `rustup component add rustfmt clippy`");
        }
    }
    let steps: [(&str, Command); 4] = [
        ("formatting", formatting()),
        ("clippy on the host's crates", host()),
        ("clippy on the XDP program", program(&toolchain)?),
        ("dependencies", dependencies()),
    ];
    let mut failed = Vec::new();
    for (name, mut command) in steps {
        println!("lint: {name} …");
        if !run::status(&mut command)?.success() {
            failed.push(name);
        }
    }
    if !failed.is_empty() {
        bail!("lint found faults in: {}", failed.join(", "));
    }
    println!("lint: all clean");
    Ok(ExitCode::SUCCESS)
}

fn formatting() -> Command {
    let mut cargo = run::cargo();
    cargo.args(["fmt", "--all", "--check"]);
    cargo
}

fn host() -> Command {
    let mut cargo = run::cargo();
    cargo
        .args(["clippy", "--quiet", "--locked", "--workspace", "--exclude=isthmus-ebpf", "--all-targets"])
        .args(["--", "--deny=warnings"]);
    cargo
}

/// Clippy for the target that the program is for, so that it reads what is compiled. That takes the clippy of
/// the compiler that builds `core`: the host's would not understand its metadata.
fn program(toolchain: &Toolchain) -> anyhow::Result<Command> {
    let mut clippy = Command::new(toolchain.clippy()?);
    clippy
        .current_dir(tree::root())
        .args(["clippy", "--quiet", "--locked", "--package=isthmus-ebpf", "--bins"])
        .args(["-Z", "build-std=core", "--target=bpfel-unknown-none", "--target-dir"])
        .arg(tree::target().join("ebpf-lint"))
        .args(["--", "--deny=warnings"])
        .env("CARGO", &toolchain.cargo)
        .env("RUSTC", &toolchain.rustc)
        .env("RUSTC_BOOTSTRAP", "1")
        .env("CARGO_ENCODED_RUSTFLAGS", format!("--cfg=bpf_target_arch=\"{ARCH}\""))
        .env_remove("RUSTUP_TOOLCHAIN");
    Ok(clippy)
}

fn dependencies() -> Command {
    let mut cargo = run::cargo();
    cargo.args(["run", "--quiet", "--locked", "--package=isthmus-audit"]);
    cargo
}
