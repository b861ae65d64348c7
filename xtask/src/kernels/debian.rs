//! Debian's kernel, unpacked but never installed: nothing on this machine would boot into it.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, bail};

use super::output_of;
use crate::tree;

/// The package that depends on the kernel that Debian currently has.
const CURRENT: &str = "linux-image-amd64";

/// What the tests need beyond what is built in.
const MODULES: &[&str] = &["veth", "vxlan", "8021q"];

/// A kernel to start.
pub(super) struct Kernel {
    /// The package it comes from.
    pub(super) name: String,
    pub(super) image: PathBuf,
    /// Files in the order in which they have to be loaded.
    pub(super) modules: Vec<PathBuf>,
}

impl Kernel {
    /// The kernel in the tree's tools, fetched if it is not there.
    pub(super) fn find_or_fetch() -> anyhow::Result<Self> {
        let name = current_package()?;
        let kernels = tree::tools().join("kernels");
        let folder = kernels.join(&name);
        if !is_complete(&folder) {
            println!("fetching    {name} into {}", tree::shown(&kernels));
            // Its real name only once it is complete.
            let half = kernels.join("incomplete");
            if half.exists() {
                fs::remove_dir_all(&half).with_context(|| format!("remove {}", half.display()))?;
            }
            fetch(&name, &half).with_context(|| format!("fetch the kernel {name}"))?;
            if folder.exists() {
                fs::remove_dir_all(&folder).with_context(|| format!("remove {}", folder.display()))?;
            }
            fs::rename(half.join("kernel"), &folder)
                .with_context(|| format!("rename {} to {}", half.display(), folder.display()))?;
            fs::remove_dir_all(&half).with_context(|| format!("remove {}", half.display()))?;
        }
        let modules = folder.join("modules");
        let mut modules = fs::read_dir(&modules)
            .and_then(|entries| entries.map(|entry| Ok(entry?.path())).collect::<Result<Vec<_>, _>>())
            .with_context(|| format!("list {}", modules.display()))?;
        modules.sort();
        Ok(Self { image: folder.join("vmlinuz"), name, modules })
    }
}

/// The name of the package with the current kernel, e.g. `linux-image-6.1.0-50-amd64`.
fn current_package() -> anyhow::Result<String> {
    let shown = output_of(Command::new("apt-cache").args(["show", "--no-all-versions", CURRENT]))
        .context("this takes Debian on x86-64, with apt")?;
    let depends = shown.lines().find_map(|line| line.strip_prefix("Depends: ")).unwrap_or_default();
    let package = depends.split([',', ' ']).find(|word| word.starts_with("linux-image-"));
    package.map(str::to_owned).with_context(|| format!("{CURRENT} depends on no kernel, but on {depends:?}"))
}

/// Whether a kernel is there with every module: one that was fetched when fewer were needed is not.
fn is_complete(folder: &Path) -> bool {
    let names: Vec<_> = fs::read_dir(folder.join("modules"))
        .into_iter()
        .flatten()
        .flatten()
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .collect();
    // Named `03-vxlan.ko`.
    MODULES.iter().all(|module| {
        names.iter().any(|name| name.split_once('-').is_some_and(|(_, file)| file == format!("{module}.ko")))
    })
}

/// Leaves image and modules in `<folder>/kernel`.
fn fetch(package: &str, folder: &Path) -> anyhow::Result<()> {
    let (unpacked, kernel) = (folder.join("unpacked"), folder.join("kernel"));
    fs::create_dir_all(kernel.join("modules")).with_context(|| format!("create {}", kernel.display()))?;
    output_of(Command::new("apt-get").args(["-qq", "download", package]).current_dir(folder))?;
    let archive = fs::read_dir(folder)?
        .flatten()
        .map(|entry| entry.path())
        .find(|path| path.extension().is_some_and(|extension| extension == "deb"))
        .context("apt-get has downloaded nothing")?;
    output_of(Command::new("dpkg-deb").arg("--extract").arg(&archive).arg(&unpacked))?;

    let release = package.trim_start_matches("linux-image-");
    output_of(Command::new("depmod").arg("--basedir").arg(&unpacked).arg(release))?;
    let mut load: Vec<PathBuf> = Vec::new();
    for module in MODULES {
        let mut modprobe = Command::new("modprobe");
        modprobe.arg("--dirname").arg(&unpacked).args(["--set-version", release, "--show-depends", module]);
        // Lines like "insmod /path/udp_tunnel.ko ", dependencies first.
        for line in output_of(&mut modprobe)?.lines() {
            if let Some(path) = line.strip_prefix("insmod ").map(|path| PathBuf::from(path.trim()))
                && !load.contains(&path)
            {
                load.push(path);
            }
        }
    }
    for (index, from) in load.iter().enumerate() {
        if from.extension().is_none_or(|extension| extension != "ko") {
            bail!("{} is compressed; only plain modules can be loaded", from.display());
        }
        let name = from.file_name().unwrap_or_default().to_string_lossy();
        copy(from, &kernel.join(format!("modules/{index:02}-{name}")))?;
    }
    copy(&unpacked.join(format!("boot/vmlinuz-{release}")), &kernel.join("vmlinuz"))
}

fn copy(from: &Path, to: &Path) -> anyhow::Result<()> {
    fs::copy(from, to).with_context(|| format!("copy {} to {}", from.display(), to.display()))?;
    Ok(())
}
