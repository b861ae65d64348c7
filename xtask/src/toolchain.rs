//! Finds or installs the Rust toolchain that compiles for the BPF target.
//!
//! Rust ships no `core` for BPF, so it has to be compiled along with the program, which takes the library's
//! source (`rust-src`) of exactly the compiler's version. Most toolchains lack it. Two sources are known to
//! work: rustup's nightly, and Debian's `rustc-web`. Neither rustup's settings nor its toolchains are touched:
//! what is fetched through it lives in a home of its own inside the tree.

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, bail};

use crate::{packages, run, tree};

/// A nightly whose LLVM is the linker's, and whose language the pinned aya crates were written for.
const NIGHTLY: &str = "nightly-2026-05-20";
/// Bitcode can be read by an LLVM of the same or a later version: the linker is built with this one.
pub(crate) const LLVM: u32 = 22;
/// Debian's toolchain and the source of its library.
const DEBIAN: &[(&str, &str)] = &[
    ("rustc-web", "Rust compiler for the BPF target"),
    ("cargo-web", "its cargo"),
    ("rust-web-src", "source of `core`, compiled for the BPF target"),
];
/// What lints with it.
const DEBIAN_CLIPPY: (&str, &str) =
    ("rust-web-clippy", "lints the XDP program with its own compiler's version");

/// A compiler that can build `core` for BPF, and its cargo.
pub(crate) struct Toolchain {
    pub(crate) cargo: PathBuf,
    pub(crate) rustc: PathBuf,
    /// The compiler's version, as people write it.
    pub(crate) version: String,
}

impl Toolchain {
    /// The toolchain that is already there: Debian's, else the one fetched into the tree.
    pub(crate) fn find() -> Option<Self> {
        Self::in_folder(Path::new("/usr/bin")).or_else(|| Self::in_folder(&nightly_folder()?.join("bin")))
    }

    /// Fetches a toolchain: rustup's nightly where rustup can, Debian's otherwise.
    pub(crate) fn install() -> anyhow::Result<Self> {
        let failure = match fetch_nightly() {
            Ok(toolchain) => return Ok(toolchain),
            Err(failure) => failure,
        };
        println!("            {failure:#}; trying the system's packages");
        if !DEBIAN.iter().all(|(name, _)| packages::is_available(name)) {
            bail!(
                "no Rust toolchain for eBPF: {failure:#}, and apt does not offer rustc-web; install rustup \
                 (https://rustup.rs) and run this again with access to its downloads"
            );
        }
        packages::install(DEBIAN)?;
        Self::in_folder(Path::new("/usr/bin")).with_context(|| {
            format!("Debian's rustc-web is installed but is not fit: it takes one with LLVM {LLVM} or older")
        })
    }

    /// The folder's toolchain, if it has the library's source and an LLVM that the linker can follow.
    fn in_folder(folder: &Path) -> Option<Self> {
        let (cargo, rustc) = (folder.join("cargo"), folder.join("rustc"));
        if !cargo.is_file() {
            return None;
        }
        let told = run::query(Command::new(&rustc).arg("-vV"))?;
        let field = |name: &str| told.lines().find_map(|line| line.strip_prefix(name)).map(str::trim);
        let sysroot = run::query(Command::new(&rustc).arg("--print=sysroot"))?;
        let source = Path::new(sysroot.trim()).join("lib/rustlib/src/rust/library/core");
        let llvm: u32 = field("LLVM version:")?.split('.').next()?.parse().ok()?;
        let version = field("release:")?.to_owned();
        (source.is_dir() && llvm <= LLVM).then_some(Self { cargo, rustc, version })
    }

    /// The toolchain's own clippy, installed if it is Debian's and lacks it.
    pub(crate) fn clippy(&self) -> anyhow::Result<PathBuf> {
        let clippy = self.rustc.with_file_name("cargo-clippy");
        if !clippy.is_file() {
            packages::install(&[DEBIAN_CLIPPY])?;
        }
        if !clippy.is_file() {
            bail!("{} has no clippy beside it", tree::shown(&self.rustc));
        }
        Ok(clippy)
    }
}

/// The home of the toolchains that rustup fetches for this tree.
fn rustup_home() -> PathBuf {
    tree::tools().join("rustup")
}

/// Where the nightly lies, if it was fetched.
fn nightly_folder() -> Option<PathBuf> {
    let toolchains = fs::read_dir(rustup_home().join("toolchains")).ok()?;
    toolchains
        .flatten()
        .find(|entry| entry.file_name().to_string_lossy().starts_with(NIGHTLY))
        .map(|entry| entry.path())
}

fn fetch_nightly() -> anyhow::Result<Toolchain> {
    if run::find("rustup").is_none() {
        bail!("rustup is not installed");
    }
    println!("installing  {NIGHTLY} with rust-src and clippy into .tools/rustup");
    let status = run::status(
        Command::new("rustup")
            // Without --no-self-update, rustup would replace the user's own rustup.
            .args(["--quiet", "toolchain", "install", NIGHTLY, "--profile=minimal", "--no-self-update"])
            .args(["--component=rust-src", "--component=clippy"])
            .env("RUSTUP_HOME", rustup_home())
            // A mirror that is not there should be known in seconds.
            .env("RUSTUP_MAX_RETRIES", "1")
            .env("RUSTUP_DOWNLOAD_TIMEOUT", "20")
            .env_remove("RUSTUP_TOOLCHAIN"),
    )?;
    if !status.success() {
        bail!("rustup could not fetch {NIGHTLY}");
    }
    nightly_folder().and_then(|folder| Toolchain::in_folder(&folder.join("bin"))).with_context(|| {
        format!("{NIGHTLY} was fetched but its compiler does not run on this {}", env::consts::ARCH)
    })
}
