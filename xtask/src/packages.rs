//! Installs the system's packages, on systems that have apt.

use std::{path::Path, process::Command};

use anyhow::bail;

use crate::run;

/// Installs packages, each given with what it is for. Never removes one: if a package of the user's is in the
/// way, apt's own message about it is shown.
pub(crate) fn install(packages: &[(&str, &str)]) -> anyhow::Result<()> {
    let names: Vec<&str> = packages.iter().map(|(name, _)| *name).collect();
    let list = names.join(" ");
    if run::find("apt-get").is_none() {
        bail!("this system has no apt-get: install the equivalents of {list} by hand, then run this again");
    }
    let Some(root) = Root::find() else {
        bail!("installing packages takes root: run `sudo apt-get install {list}`, then run this again");
    };
    for (name, purpose) in packages {
        println!("installing  {name}: {purpose}");
    }
    if !lists_are_there() {
        update(&root)?;
    }
    let first = apt(&root, &names)?;
    if first.status.success() {
        return Ok(());
    }
    // The lists may be older than what the mirror still has.
    update(&root)?;
    let second = apt(&root, &names)?;
    if !second.status.success() {
        bail!(
            "`apt-get install {list}` failed:\n{}{}",
            String::from_utf8_lossy(&second.stdout),
            String::from_utf8_lossy(&second.stderr)
        );
    }
    Ok(())
}

/// Whether apt knows of a package; false also where there is no apt.
pub(crate) fn is_available(package: &str) -> bool {
    let known = || {
        run::query(Command::new("apt-cache").args(["show", "--no-all-versions", package]))
            .is_some_and(|shown| !shown.is_empty())
    };
    run::find("apt-cache").is_some()
        && (known()
            || (!lists_are_there() && Root::find().is_some_and(|root| update(&root).is_ok()) && known()))
}

/// A way to run a command as root.
enum Root {
    AlreadyRoot,
    Sudo,
}

impl Root {
    fn find() -> Option<Self> {
        if is_root() {
            Some(Self::AlreadyRoot)
        } else {
            run::query(Command::new("sudo").args(["-n", "true"])).map(|_| Self::Sudo)
        }
    }

    fn apt_get(&self) -> Command {
        let mut command = match self {
            Self::AlreadyRoot => Command::new("env"),
            Self::Sudo => {
                let mut sudo = Command::new("sudo");
                sudo.args(["-n", "env"]);
                sudo
            }
        };
        // tshark would ask who may capture packets.
        command.args(["DEBIAN_FRONTEND=noninteractive", "apt-get", "-qq"]);
        command
    }
}

/// Whether this process runs as root.
pub(crate) fn is_root() -> bool {
    run::query(Command::new("id").arg("-u")).is_some_and(|id| id.trim() == "0")
}

fn apt(root: &Root, names: &[&str]) -> anyhow::Result<std::process::Output> {
    let arguments = ["install", "--yes", "--no-install-recommends", "--no-remove"];
    run::output(root.apt_get().args(arguments).args(names))
}

fn update(root: &Root) -> anyhow::Result<()> {
    println!("updating    apt's package lists");
    run::checked(root.apt_get().arg("update"))
}

/// Whether apt has any package list: fresh containers come without.
fn lists_are_there() -> bool {
    Path::new("/var/lib/apt/lists").read_dir().is_ok_and(|entries| {
        entries.flatten().any(|entry| entry.file_name().to_string_lossy().contains("_Packages"))
    })
}
