//! What an ordinary system's init does before anything else can run, and after everything has.

use std::{
    convert::Infallible,
    ffi::CStr,
    fs::{self, File},
    path::Path,
    thread,
    time::Duration,
};

use anyhow::{Context as _, Result};
use nix::{
    kmod::{ModuleInitFlags, finit_module},
    mount::{MsFlags, mount},
    sys::{
        reboot::{RebootMode, reboot},
        termios::{SetArg, cfmakeraw, tcgetattr, tcsetattr},
    },
    unistd::sync,
};

/// Kernel modules, in the order in which they have to be loaded.
const MODULES: &str = "/modules";

/// File systems that programs expect: type, and where.
const FILE_SYSTEMS: &[(&str, &str)] = &[
    ("proc", "/proc"),
    ("sysfs", "/sys"),
    ("devtmpfs", "/dev"),
    ("bpf", "/sys/fs/bpf"),
    ("tmpfs", "/run"),
    ("tmpfs", "/tmp"),
];

/// Mounts file systems and loads modules.
pub(crate) fn prepare() -> Result<()> {
    for (kind, target) in FILE_SYSTEMS {
        fs::create_dir_all(target).with_context(|| format!("create {target}"))?;
        mount(Some(*kind), *target, Some(*kind), MsFlags::empty(), None::<&CStr>)
            .with_context(|| format!("mount {kind} on {target}"))?;
    }
    let port = File::options().read(true).write(true).open(super::REPORT).context("open the second port")?;
    let mut settings = tcgetattr(&port)?;
    cfmakeraw(&mut settings);
    tcsetattr(&port, SetArg::TCSANOW, &settings)?;

    for name in files(Path::new(MODULES))? {
        let path = Path::new(MODULES).join(&name);
        let module = File::open(&path).with_context(|| format!("open {}", path.display()))?;
        finit_module(&module, c"", ModuleInitFlags::empty())
            .with_context(|| format!("load kernel module {name}"))?;
    }
    Ok(())
}

/// The names of the files in a folder, sorted.
fn files(folder: &Path) -> Result<Vec<String>> {
    let entries = fs::read_dir(folder).with_context(|| format!("list {}", folder.display()))?;
    let mut names = entries
        .map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned()))
        .collect::<Result<Vec<_>>>()?;
    names.sort();
    Ok(names)
}

/// Turns the machine off.
pub(crate) fn turn_off() -> ! {
    sync();
    let Err(error): Result<Infallible, _> = reboot(RebootMode::RB_POWER_OFF);
    eprintln!("isthmus-guest: turn the machine off: {error}");
    loop {
        // Whoever started the machine has a time limit; ending would only make the kernel panic.
        thread::sleep(Duration::from_secs(60));
    }
}
