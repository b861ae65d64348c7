//! Compiles `gateway-ebpf` for the BPF target and leaves the object in `OUT_DIR`.
//!
//! `aya-build` does the same for people with a rustup nightly only: it insists on `rustup run`. Here the
//! toolchain is whichever one `cargo xtask setup` found or installed, named by path in
//! `.tools/ebpf-toolchain`, so that Debian's works too and the user's own rustup stays as it is.

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, bail};

/// The package that holds the XDP programs.
const PACKAGE: &str = "isthmus-ebpf";
/// Its binary, and the name of the object in `OUT_DIR`.
const OBJECT: &str = "isthmus-gateway";
/// Where setup recorded the toolchain, from the root of the tree.
const RECORD: &str = ".tools/ebpf-toolchain";

/// Builds the object and copies it to `out/isthmus-gateway`.
pub(crate) fn compile(out: &Path) -> anyhow::Result<()> {
    let manifest_dir = PathBuf::from(cargo_variable("CARGO_MANIFEST_DIR")?);
    let tree = manifest_dir.parent().context("gateway-ctl lies in no workspace")?;
    for input in [RECORD, "gateway-ebpf", "common/src", "common/Cargo.toml", "Cargo.toml", "Cargo.lock"] {
        println!("cargo::rerun-if-changed={}", tree.join(input).display());
    }
    let toolchain = Toolchain::read(tree)?;
    let target = match cargo_variable("CARGO_CFG_TARGET_ENDIAN")?.as_str() {
        "big" => "bpfeb-unknown-none",
        _ => "bpfel-unknown-none",
    };
    // A directory of its own: the outer cargo holds the lock of the usual one while this runs.
    let target_dir = out.join("ebpf-target");

    let mut cargo = Command::new(&toolchain.cargo);
    cargo
        .current_dir(tree)
        .args(["build", "--quiet", "--locked", "--release", "--package", PACKAGE, "--bin", OBJECT])
        .args(["-Z", "build-std=core", "--target", target, "--target-dir"])
        .arg(&target_dir)
        .env("RUSTC", &toolchain.rustc)
        // A stable compiler builds `core` only when told so; a nightly does not mind.
        .env("RUSTC_BOOTSTRAP", "1")
        .env("CARGO_ENCODED_RUSTFLAGS", toolchain.rustflags(&cargo_variable("CARGO_CFG_TARGET_ARCH")?))
        // What the outer cargo, rustup's proxy and `cargo clippy` mean for the host's compiler.
        .env_remove("CARGO")
        .env_remove("RUSTDOC")
        .env_remove("RUSTUP_TOOLCHAIN")
        .env_remove("RUSTC_WORKSPACE_WRAPPER");

    let output =
        cargo.output().with_context(|| format!("run {} to build {PACKAGE}", toolchain.cargo.display()))?;
    let said = String::from_utf8_lossy(&output.stderr);
    if !output.status.success() {
        // Cargo shows a build script's stderr when the script fails.
        eprintln!("{said}");
        bail!("{PACKAGE} does not compile for {target} ({}); its errors are above", output.status);
    }
    for line in said.lines() {
        println!("cargo::warning={line}");
    }

    let built = target_dir.join(target).join("release").join(OBJECT);
    fs::copy(&built, out.join(OBJECT)).with_context(|| format!("copy {} to OUT_DIR", built.display()))?;
    Ok(())
}

/// The compiler and the linker for the BPF target.
struct Toolchain {
    cargo: PathBuf,
    rustc: PathBuf,
    linker: PathBuf,
}

impl Toolchain {
    /// Reads what `cargo xtask setup` recorded: `key=value` lines, paths absolute or from the tree's root.
    fn read(tree: &Path) -> anyhow::Result<Self> {
        let record = fs::read_to_string(tree.join(RECORD)).with_context(|| {
            format!("no toolchain for eBPF is recorded in {RECORD}: run `cargo xtask setup` first")
        })?;
        let value = |key: &str| {
            record
                .lines()
                .find_map(|line| line.strip_prefix(key)?.strip_prefix('='))
                .with_context(|| format!("{RECORD} has no `{key}=` line: run `cargo xtask setup` again"))
        };
        let tool = |key: &str| -> anyhow::Result<PathBuf> {
            let path = tree.join(value(key)?);
            if !path.exists() {
                bail!("{} (`{key}` in {RECORD}) is gone: run `cargo xtask setup` again", path.display());
            }
            Ok(path)
        };
        Ok(Self { cargo: tool("cargo")?, rustc: tool("rustc")?, linker: tool("linker")? })
    }

    /// The compiler's flags in cargo's encoded form, for the kernel of machines with this architecture.
    fn rustflags(&self, arch: &str) -> String {
        [
            format!("--cfg=bpf_target_arch=\"{arch}\""),
            // BTF is made out of the debug information.
            "-Cdebuginfo=2".to_owned(),
            "-Clink-arg=--btf".to_owned(),
            // Atomics that return a value; in kernels since 5.12.
            "-Ctarget-cpu=v3".to_owned(),
            format!("-Clinker={}", self.linker.display()),
        ]
        .join("\x1f")
    }
}

/// A variable that cargo sets for build scripts.
fn cargo_variable(name: &str) -> anyhow::Result<String> {
    env::var(name).with_context(|| format!("{name} is not set: this runs under cargo only"))
}
