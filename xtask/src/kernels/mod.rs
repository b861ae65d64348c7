//! `cargo xtask kernels`.

mod debian;
mod initramfs;
mod machine;

use std::{
    path::PathBuf,
    process::{Command, ExitCode},
    time::{Duration, Instant},
};

use anyhow::{Context as _, bail};

use crate::{host::Tool, packages, run, setup, tree};

/// Check Isthmus on another kernel: Debian's, in a virtual machine
///
/// Boots the kernel of Debian's package linux-image-amd64 (6.1 on Debian 12) on an emulated processor, has its
/// verifier judge the XDP programs, runs the packet tests and a part of the matrix there, and lets traffic cross
/// between its own VXLAN devices, also behind its VLAN devices. Needs no root, except for installing packages that
/// are missing; the kernel itself is only unpacked, into .tools. Exits with 0 if everything that was checked held.
#[derive(clap::Args)]
#[command(after_help = "Examples:
  cargo xtask kernels
  cargo xtask kernels --timeout 600    on a slow machine")]
pub(crate) struct Arguments {
    /// Seconds that the virtual machine may run
    #[arg(long, value_name = "SECONDS", default_value_t = 300, value_parser = clap::value_parser!(u64).range(1..))]
    timeout: u64,
}

/// What only this command uses.
const TOOLS: &[Tool] = &[
    Tool { program: machine::QEMU, package: "qemu-system-x86", purpose: "runs another kernel" },
    Tool { program: "cpio", package: "cpio", purpose: "packs that kernel's file system" },
    Tool { program: "modprobe", package: "kmod", purpose: "tells which kernel modules need which" },
];

/// Programs of the host that the checks run inside the machine.
const PROGRAMS: &[&str] = &["ip", "nsenter", "ping", "ethtool"];

/// Test executables that need no other program than those. `isthmus-guest` knows which of their tests it runs.
const TESTS: &[&str] = &["programs", "packets", "matrix", "next_hops"];

pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    setup::ensure(setup::Purpose::Test)?;
    let missing: Vec<_> =
        TOOLS.iter().filter(|tool| !tool.is_installed()).map(|tool| (tool.package, tool.purpose)).collect();
    if !missing.is_empty() {
        packages::install(&missing)?;
    }
    let kernel = debian::Kernel::find_or_fetch()?;

    println!("Building Isthmus and the tests (minutes the first time, seconds after that) …");
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
    let mut content = initramfs::Content::default();
    content.program(&built.join("isthmus-guest"), "init")?;
    // Where the test library looks for it: beside its own executable.
    content.program(&built.join("isthmus"), "isthmus")?;
    for (name, executable) in test_executables()? {
        content.program(&executable, &format!("tests/{name}"))?;
    }
    for name in PROGRAMS {
        let program = run::find(name).with_context(|| format!("{name} is not installed"))?;
        content.program(&program, &format!("usr/bin/{name}"))?;
    }
    for module in &kernel.modules {
        let name = module.file_name().unwrap_or_default().to_string_lossy();
        content.file(module, &format!("modules/{name}"));
    }
    let folder = tree::target().join("kernels");
    let initramfs = content.pack(&folder)?;

    println!("Starting {} on an emulated processor …", kernel.name);
    let started = Instant::now();
    let console = folder.join("console.log");
    let holds =
        machine::run(&kernel.image, &initramfs, &console, Duration::from_secs(arguments.timeout), |line| {
            println!("  {line}");
        })?;
    println!("The machine ran for {:.0} s.", started.elapsed().as_secs_f64());
    Ok(if holds { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Builds the tests and asks cargo where it has put them.
fn test_executables() -> anyhow::Result<Vec<(String, PathBuf)>> {
    let mut cargo = run::cargo();
    cargo.args(["test", "--quiet", "--locked", "--no-run", "--message-format=json"]);
    // Both packages as in the build of their programs, or what they depend on would be built once more.
    cargo.args(["-p", "isthmus", "-p", "isthmus-tests"]);
    for name in TESTS {
        cargo.args(["--test", name]);
    }
    let messages = output_of(&mut cargo)?;
    let mut found = Vec::new();
    for message in serde_json::Deserializer::from_str(&messages).into_iter::<serde_json::Value>() {
        let message = message.context("read cargo's messages")?;
        let (name, executable) = (message["target"]["name"].as_str(), message["executable"].as_str());
        if let (Some(name), Some(executable)) = (name, executable)
            && TESTS.contains(&name)
        {
            found.push((name.to_owned(), PathBuf::from(executable)));
        }
    }
    if found.len() != TESTS.len() {
        bail!("cargo built {} of the tests {}", found.len(), TESTS.join(", "));
    }
    Ok(found)
}

/// The standard output of a command that has to succeed.
fn output_of(command: &mut Command) -> anyhow::Result<String> {
    let output = run::output(command)?;
    if !output.status.success() {
        bail!(
            "`{}` failed: {}\n{}",
            run::line(command),
            output.status,
            String::from_utf8_lossy(&output.stderr)
        );
    }
    String::from_utf8(output.stdout).with_context(|| format!("`{}` wrote no UTF-8", run::line(command)))
}
