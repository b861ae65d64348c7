//! `cargo xtask bench`.

use std::process::ExitCode;

use anyhow::bail;

use crate::{packages, run, setup, tree};

/// Measure what the XDP program costs a packet
///
/// Runs frames through the program with `BPF_PROG_TEST_RUN`, in interleaved slices of one run, and prints medians.
/// Needs root. Writes the figures to target/bench.json as well.
#[derive(clap::Args)]
#[command(after_help = "Examples:
  sudo -E env PATH=\"$PATH\" cargo xtask bench
  sudo -E env PATH=\"$PATH\" cargo xtask bench --quick")]
pub(crate) struct Arguments {
    /// A tenth of the slices
    #[arg(long)]
    quick: bool,
}

pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    if !packages::is_root() {
        bail!("the bench loads an XDP program, which takes root: run it with sudo");
    }
    setup::ensure(setup::Purpose::Build)?;
    println!("Building Isthmus and the bench (minutes the first time, seconds after that) …");
    run::checked(run::cargo().args([
        "build",
        "--quiet",
        "--locked",
        "-p",
        "isthmus-tests",
        "--bin",
        "isthmus-bench",
    ]))?;
    let mut bench = std::process::Command::new(tree::target().join("debug/isthmus-bench"));
    bench.arg("--json").arg(tree::target().join("bench.json"));
    if arguments.quick {
        bench.arg("--quick");
    }
    Ok(run::exit_code(run::status(&mut bench)?))
}
