//! `cargo xtask build`.

use std::process::ExitCode;

use crate::{run, setup};

/// Build everything: the `isthmus` binary with the XDP program inside, the tests' library, the demo
#[derive(clap::Args)]
#[command(after_help = "Examples:
  cargo xtask build             for development, into target/debug
  cargo xtask build --release   optimised, into target/release")]
pub(crate) struct Arguments {
    /// Build optimised
    #[arg(long)]
    release: bool,
}

pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    setup::ensure(setup::Purpose::Build)?;
    let mut cargo = run::cargo();
    cargo.args(["build", "--locked", "--workspace", "--exclude=isthmus-ebpf"]);
    if arguments.release {
        cargo.arg("--release");
    }
    Ok(run::exit_code(run::status(&mut cargo)?))
}
