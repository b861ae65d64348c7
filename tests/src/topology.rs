//! Owns namespaces, processes and files under one unique name, and removes them whatever happens.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    sync::{
        Arc, Mutex, MutexGuard, Once, PoisonError, Weak,
        atomic::{AtomicU32, Ordering},
    },
};

use anyhow::{Context as _, Result, bail};
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};

use crate::{command, namespace::Namespace, process::Process};

/// Every name made here starts with this, then the maker's process id.
const PREFIX: &str = "isth-";

/// Where a topology keeps its files.
const DIRECTORIES: &str = "/tmp";

/// The topologies of this process that a signal must remove.
static ALIVE: Mutex<Vec<Weak<Inner>>> = Mutex::new(Vec::new());

/// Namespaces, links, processes and files that live and end together.
#[derive(Debug)]
pub struct Topology {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    prefix: String,
    directory: PathBuf,
    owned: Mutex<Owned>,
}

#[derive(Debug, Default)]
struct Owned {
    namespaces: Vec<Namespace>,
    processes: Vec<Process>,
    removed: bool,
}

impl Topology {
    /// An empty topology. The first one of a process removes what dead processes have left behind.
    ///
    /// # Errors
    ///
    /// If its directory can't be made.
    pub fn new() -> Result<Self> {
        static SWEEP: Once = Once::new();
        static NEXT: AtomicU32 = AtomicU32::new(0);
        SWEEP.call_once(sweep);
        let prefix = format!("{PREFIX}{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        let directory = Path::new(DIRECTORIES).join(&prefix);
        fs::create_dir(&directory).with_context(|| format!("create {}", directory.display()))?;
        let inner = Arc::new(Inner { prefix, directory, owned: Mutex::default() });
        lock(&ALIVE).push(Arc::downgrade(&inner));
        Ok(Self { inner })
    }

    /// What every name in this topology starts with.
    #[must_use]
    pub fn prefix(&self) -> &str {
        &self.inner.prefix
    }

    /// A directory for the topology's files.
    #[must_use]
    pub fn directory(&self) -> &Path {
        &self.inner.directory
    }

    /// Writes a file into the topology's directory and returns where it is.
    ///
    /// # Errors
    ///
    /// If the file can't be written.
    pub fn write(&self, name: &str, text: &str) -> Result<PathBuf> {
        let path = self.directory().join(name);
        fs::write(&path, text).with_context(|| format!("write {}", path.display()))?;
        Ok(path)
    }

    /// A new namespace with its loopback up.
    ///
    /// # Errors
    ///
    /// If `ip` refuses, or the topology was removed by a signal.
    pub fn namespace(&self, role: &str) -> Result<Namespace> {
        let namespace = Namespace::named(format!("{}-{role}", self.inner.prefix));
        {
            let mut owned = self.owned()?;
            let mut add = Command::new("ip");
            add.args(["netns", "add", namespace.name()]);
            command::run(&mut add, command::LIMIT)?.success()?;
            owned.namespaces.push(namespace.clone());
        }
        namespace.run("ip link set lo up")?;
        // No router solicitations and no duplicate address detection in the captures.
        namespace.set_sysctl("ipv6.conf.default.disable_ipv6", "1")?;
        Ok(namespace)
    }

    /// Joins two namespaces by a veth pair: (namespace, interface, address with prefix length or "" for none).
    ///
    /// Both ends receive by NAPI, without which `XDP_REDIRECT` and `XDP_TX` into them lose every frame
    /// silently, and compute checksums themselves, for XDP sees a frame before anybody else would.
    ///
    /// # Errors
    ///
    /// If `ip` or `ethtool` refuses.
    pub fn veth(&self, a: (&Namespace, &str, &str), b: (&Namespace, &str, &str)) -> Result<()> {
        // Made inside, not moved there: the host never sees them, and names need not be unique on it.
        a.0.run(&format!("ip link add {} type veth peer name {} netns {}", a.1, b.1, b.0.name()))?;
        for (namespace, interface, address) in [a, b] {
            if !address.is_empty() {
                namespace.add_address(interface, address)?;
            }
            namespace.run(&format!("ip link set {interface} up"))?;
        }
        for (namespace, interface, _) in [a, b] {
            // With both ends up: veth marks its peer as a target for redirects when GRO is turned on, but
            // only on a device that is up (veth_set_features in drivers/net/veth.c).
            namespace.set_features(interface, "gro on tx off")?;
        }
        Ok(())
    }

    /// Starts a command in the background and keeps its output in files named after `name`.
    ///
    /// # Errors
    ///
    /// If it can't be started, or the topology was removed by a signal.
    pub fn spawn(&self, name: &str, command: &mut Command) -> Result<Process> {
        let mut owned = self.owned()?;
        let name = format!("{:02}-{name}", owned.processes.len());
        let process = Process::start(command, &self.inner.directory, &name)?;
        owned.processes.push(process.clone());
        Ok(process)
    }

    /// What the background processes are and have said, for messages.
    #[must_use]
    pub fn describe_processes(&self) -> String {
        let owned = lock(&self.inner.owned);
        owned.processes.iter().map(Process::describe).collect::<Vec<_>>().join("\n")
    }

    fn owned(&self) -> Result<MutexGuard<'_, Owned>> {
        let owned = lock(&self.inner.owned);
        if owned.removed {
            bail!("topology {} has been removed", self.inner.prefix);
        }
        Ok(owned)
    }
}

impl Drop for Topology {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("{}", self.describe_processes());
        }
        self.inner.remove();
    }
}

impl Inner {
    fn remove(&self) {
        let mut owned = lock(&self.owned);
        if std::mem::replace(&mut owned.removed, true) {
            return;
        }
        // All at once first, so that the slow ones end side by side.
        for process in &owned.processes {
            process.signal(Signal::SIGTERM);
        }
        for process in owned.processes.drain(..).rev() {
            process.stop();
        }
        for namespace in owned.namespaces.drain(..) {
            remove_namespace(namespace.name());
        }
        if let Err(error) = fs::remove_dir_all(&self.directory) {
            eprintln!("cannot remove {}: {error}", self.directory.display());
        }
    }
}

/// Removes every topology of this process, from whichever thread; making more of one fails from then on.
pub fn remove_all() {
    let alive = lock(&ALIVE).iter().filter_map(Weak::upgrade).collect::<Vec<_>>();
    for topology in alive {
        topology.remove();
    }
}

/// Removes what processes that no longer exist have left behind.
fn sweep() {
    for name in stale("/run/netns") {
        remove_namespace(&name);
    }
    for name in stale(DIRECTORIES) {
        // Two processes may sweep at once; whoever comes second finds nothing.
        let _ = fs::remove_dir_all(Path::new(DIRECTORIES).join(name));
    }
}

/// Names in a directory that carry the id of a process that no longer exists.
fn stale(directory: &str) -> Vec<String> {
    let Ok(entries) = fs::read_dir(directory) else { return Vec::new() };
    entries
        .flatten()
        .filter_map(|entry| entry.file_name().into_string().ok())
        .filter(|name| is_stale(name))
        .collect()
}

fn is_stale(name: &str) -> bool {
    let maker = name.strip_prefix(PREFIX).and_then(|rest| rest.split('-').next());
    maker
        .and_then(|pid| pid.parse::<u32>().ok())
        .is_some_and(|pid| !Path::new("/proc").join(pid.to_string()).exists())
}

/// Kills what still runs in a namespace and deletes it, and with it its interfaces.
fn remove_namespace(name: &str) {
    let ip = |verb| {
        let mut ip = Command::new("ip");
        command::run(ip.args(["netns", verb, name]), command::LIMIT).and_then(command::Output::success)
    };
    if let Ok(pids) = ip("pids") {
        for pid in pids.stdout.split_whitespace().filter_map(|pid| pid.parse().ok()) {
            let _ = kill(Pid::from_raw(pid), Signal::SIGKILL);
        }
    }
    if let Err(error) = ip("delete")
        && Path::new("/run/netns").join(name).exists()
    {
        eprintln!("cannot remove namespace {name}: {error:#}");
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // A panic elsewhere must not keep the cleaning from being done.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_names_of_dead_processes_are_stale() {
        assert!(!is_stale(&format!("isth-{}-0-gw", std::process::id())));
        assert!(is_stale("isth-4194305-0-gw"), "beyond the largest process id");
        for foreign in ["other-1-0", "isth-", "isth-x-0", "isth"] {
            assert!(!is_stale(foreign), "{foreign}");
        }
    }
}
