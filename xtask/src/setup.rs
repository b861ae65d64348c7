//! `cargo xtask setup`: what eBPF builds and the tests need, found or installed.

use std::{fs, path::Path, process::ExitCode};

use anyhow::Context as _;

use crate::{
    host::{TOOLS, Tool},
    linker, packages,
    toolchain::Toolchain,
    tree,
};

/// Where the toolchain is recorded for `gateway-ctl/build.rs`, below the tools' folder.
const RECORD: &str = "ebpf-toolchain";

/// Find or install what eBPF builds and tests need
///
/// Looks for a Rust toolchain that can compile `core` for the BPF target, for bpf-linker, and for the programs
/// that tests drive; installs what is missing. Fetched tools go into the folder `.tools` of the tree; the
/// system's packages come through apt-get, as root or by `sudo -n`. Nothing else of your setup is changed:
/// your rustup and its toolchains stay as they are. Safe to run again at any time.
#[derive(clap::Args)]
#[command(after_help = "Examples:
  cargo xtask setup             everything
  cargo xtask setup --for build only what compiling takes; no programs for tests")]
pub(crate) struct Arguments {
    /// What to prepare for
    #[arg(long = "for", value_enum, default_value_t = Purpose::Test)]
    purpose: Purpose,
}

/// How much is needed.
#[derive(Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Purpose {
    /// Compiling
    Build,
    /// Compiling, and running tests and the demo
    Test,
}

/// Whether what is found is listed, or only what is installed.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Report {
    Everything,
    ChangesOnly,
}

impl Report {
    fn found(self, what: &str, purpose: &str) {
        if self == Self::Everything {
            println!("ok          {what}: {purpose}");
        }
    }
}

pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    prepare(arguments.purpose, Report::Everything)?;
    println!("Everything that is needed is there.");
    Ok(ExitCode::SUCCESS)
}

/// Makes sure that everything is there before another command starts; silent if it is.
pub(crate) fn ensure(purpose: Purpose) -> anyhow::Result<Toolchain> {
    prepare(purpose, Report::ChangesOnly)
}

fn prepare(purpose: Purpose, report: Report) -> anyhow::Result<Toolchain> {
    let toolchain = match Toolchain::find() {
        Some(toolchain) => toolchain,
        None => Toolchain::install()?,
    };
    report.found(
        &format!("{} {}", tree::shown(&toolchain.rustc), toolchain.version),
        "compiles for the BPF target",
    );
    let linker = match linker::find() {
        Some(linker) => linker,
        None => linker::install()?,
    };
    report.found(&tree::shown(&linker), "links BPF objects");
    record(&toolchain, &linker)?;

    if purpose == Purpose::Test {
        let (found, missing): (Vec<&Tool>, Vec<&Tool>) = TOOLS.iter().partition(|tool| tool.is_installed());
        for tool in found {
            report.found(tool.program, tool.purpose);
        }
        if !missing.is_empty() {
            let missing: Vec<_> = missing.iter().map(|tool| (tool.package, tool.purpose)).collect();
            packages::install(&missing)?;
        }
    }
    Ok(toolchain)
}

/// Tells `gateway-ctl/build.rs` what to use. The file changes only when its content does: cargo rebuilds the
/// XDP program whenever it is written.
fn record(toolchain: &Toolchain, linker: &Path) -> anyhow::Result<()> {
    let file = tree::tools().join(RECORD);
    let content = format!(
        "# Written by `cargo xtask setup`, read by gateway-ctl/build.rs.\ncargo={}\nrustc={}\nlinker={}\n",
        tree::shown(&toolchain.cargo),
        tree::shown(&toolchain.rustc),
        tree::shown(linker)
    );
    if fs::read_to_string(&file).is_ok_and(|old| old == content) {
        return Ok(());
    }
    fs::create_dir_all(tree::tools())
        .and_then(|()| fs::write(&file, content))
        .with_context(|| format!("write {}", file.display()))
}
