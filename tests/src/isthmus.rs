//! The product under test: broker, gateway and CLI, run as an operator runs them, inside one namespace.

use std::{
    net::{IpAddr, Ipv4Addr, SocketAddr, TcpStream},
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use anyhow::{Context as _, Result, bail, ensure};
use serde_json::Value;

use crate::{
    Federation, Namespace, Topology,
    command::{self, Output},
    process::Process,
    traffic, wait,
};

/// Where the broker listens, inside the gateway's namespace.
const BROKER: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 6190);

/// How long a role may take to start.
const START: Duration = Duration::from_secs(10);

/// How long a manifest may take to be in force, with every address to be resolved by everybody on the way.
const IN_FORCE: Duration = Duration::from_secs(5);

/// Environment variable that names the binary under test.
const BINARY_VARIABLE: &str = "ISTHMUS_BIN";

/// The binary under test: `$ISTHMUS_BIN`, or the one beside this executable in the target directory.
///
/// # Errors
///
/// If there is none.
pub fn binary() -> Result<PathBuf> {
    if let Some(path) = std::env::var_os(BINARY_VARIABLE) {
        let path = PathBuf::from(path);
        ensure!(path.is_file(), "{BINARY_VARIABLE} names {}, which is no file", path.display());
        return Ok(path);
    }
    let own = std::env::current_exe().context("find out where this program is")?;
    // Tests are in target/<profile>/deps, programs in target/<profile>.
    let beside = own.ancestors().skip(1).take(2).map(|directory| directory.join("isthmus"));
    beside.into_iter().find(|path| path.is_file()).with_context(|| {
        format!(
            "there is no isthmus binary beside {}: build it with `cargo xtask build`, or set {BINARY_VARIABLE}",
            own.display()
        )
    })
}

/// Where the roles run, and how to speak to them.
#[derive(Debug)]
pub struct Isthmus<'a> {
    topology: &'a Topology,
    namespace: &'a Namespace,
    binary: PathBuf,
    socket: PathBuf,
    state: PathBuf,
}

impl<'a> Isthmus<'a> {
    /// On the federation's gateway host. Nothing runs yet.
    ///
    /// # Errors
    ///
    /// If there is no binary to test.
    pub fn new(federation: &'a Federation) -> Result<Self> {
        Self::on(&federation.topology, &federation.gateway)
    }

    /// On any host of a topology, with a broker of its own. Nothing runs yet.
    ///
    /// # Errors
    ///
    /// If there is no binary to test.
    pub fn on(topology: &'a Topology, namespace: &'a Namespace) -> Result<Self> {
        let file = |name: &str| topology.directory().join(format!("{}.{name}", namespace.name()));
        Ok(Self {
            topology,
            namespace,
            binary: binary()?,
            socket: file("gateway.sock"),
            state: file("broker.redb"),
        })
    }

    /// The broker's URL.
    #[must_use]
    pub fn broker_url(&self) -> String {
        format!("http://{BROKER}")
    }

    /// The gateway's socket.
    #[must_use]
    pub fn socket(&self) -> &Path {
        &self.socket
    }

    /// An `isthmus` command line that will run on the gateway host.
    #[must_use]
    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = self.namespace.command(&self.binary.to_string_lossy());
        command.args(arguments);
        command
    }

    /// The command line of the broker.
    #[must_use]
    pub fn broker_command(&self) -> Command {
        let mut command = self.command(&["broker", "run", "--listen", &BROKER.to_string(), "--state"]);
        command.arg(&self.state);
        command
    }

    /// The command line of a gateway on these interfaces.
    #[must_use]
    pub fn gateway_command(&self, interfaces: &[&str]) -> Command {
        let mut command = self.command(&["gateway", "run", "--broker", &self.broker_url(), "--socket"]);
        command.arg(&self.socket);
        command.args(interfaces.iter().flat_map(|interface| ["--interface", interface]));
        command
    }

    /// Starts the broker and waits until it accepts connections.
    ///
    /// # Errors
    ///
    /// If it ends, or does not listen in time.
    pub fn start_broker(&self) -> Result<Process> {
        let process = self.topology.spawn("broker", &mut self.broker_command())?;
        await_ready(&process, || {
            self.namespace.enter(|| TcpStream::connect_timeout(&BROKER, START).is_ok()).unwrap_or(false)
        })?;
        Ok(process)
    }

    /// Starts a gateway and waits until it answers `isthmus status`.
    ///
    /// # Errors
    ///
    /// If it ends, or does not answer in time.
    pub fn start_gateway(&self, interfaces: &[&str]) -> Result<Process> {
        self.start_gateway_with(interfaces, &[])
    }

    /// Like [`Self::start_gateway`], with more arguments for `isthmus gateway run`.
    ///
    /// # Errors
    ///
    /// If it ends, or does not answer in time.
    pub fn start_gateway_with(&self, interfaces: &[&str], arguments: &[&str]) -> Result<Process> {
        let process = self.topology.spawn("gateway", self.gateway_command(interfaces).args(arguments))?;
        await_ready(&process, || self.status().is_ok())?;
        Ok(process)
    }

    /// Broker, gateway on `left` and `right`, both ready.
    ///
    /// # Errors
    ///
    /// See [`Self::start_broker`] and [`Self::start_gateway`].
    pub fn start(&self) -> Result<(Process, Process)> {
        Ok((self.start_broker()?, self.start_gateway(&["left", "right"])?))
    }

    /// Runs a command that speaks to the broker; any exit status will do.
    ///
    /// # Errors
    ///
    /// If it can't be run to its end.
    pub fn try_broker(&self, arguments: &[&str]) -> Result<Output> {
        let mut command = self.command(arguments);
        command::run(command.args(["--broker", &self.broker_url()]), command::LIMIT)
    }

    /// Runs a command that speaks to the gateway; any exit status will do.
    ///
    /// # Errors
    ///
    /// If it can't be run to its end.
    pub fn try_gateway(&self, arguments: &[&str]) -> Result<Output> {
        let mut command = self.command(arguments);
        command::run(command.arg("--socket").arg(&self.socket), command::LIMIT)
    }

    /// Applies a manifest file.
    ///
    /// # Errors
    ///
    /// If it is refused.
    pub fn apply(&self, file: &Path) -> Result<Output> {
        self.try_broker(&["apply", "-f", &file.to_string_lossy()])?.success()
    }

    /// Writes and applies a manifest.
    ///
    /// # Errors
    ///
    /// If it is refused.
    pub fn apply_text(&self, text: &str) -> Result<Output> {
        self.apply(&self.topology.write("manifest.yaml", text)?)
    }

    /// Writes and applies a manifest, and waits until one host can ping another.
    ///
    /// # Errors
    ///
    /// If it is refused, or no ping crosses in time.
    pub fn join(&self, manifest: &str, from: &Namespace, to: impl Into<IpAddr>) -> Result<()> {
        self.apply_text(manifest)?;
        self.await_ping(from, to)
    }

    /// Waits until one host can ping another.
    ///
    /// # Errors
    ///
    /// If no ping crosses in time: what the gateway says of itself.
    pub fn await_ping(&self, from: &Namespace, to: impl Into<IpAddr>) -> Result<()> {
        let to = to.into();
        wait::until_true(IN_FORCE, || traffic::ping(from, to).unwrap_or(false)).with_context(|| {
            let name = from.name();
            format!("no ping crosses from {name} to {to}: {:?} {:?}", self.counters(), self.status())
        })?;
        Ok(())
    }

    /// Deletes a mapping.
    ///
    /// # Errors
    ///
    /// If there is none.
    pub fn delete_mapping(&self, identifier: &str) -> Result<Output> {
        self.try_broker(&["mapping", "delete", identifier])?.success()
    }

    /// The answers of a command that speaks to the gateway.
    ///
    /// # Errors
    ///
    /// If it fails, or prints something that isn't JSON.
    pub fn json(&self, arguments: &[&str]) -> Result<Vec<Value>> {
        let output = self.try_gateway(&[arguments, &["-o", "json"]].concat())?.success()?;
        json_values(&output.stdout).with_context(|| format!("output of `{}`", output.command))
    }

    fn one_json(&self, arguments: &[&str]) -> Result<Value> {
        let mut values = self.json(arguments)?;
        ensure!(values.len() == 1, "{} JSON values from {arguments:?}, not one", values.len());
        Ok(values.remove(0))
    }

    /// What the gateway says of itself, whether or not the broker says anything.
    ///
    /// # Errors
    ///
    /// If it does not answer.
    pub fn status(&self) -> Result<Value> {
        // Fails without a broker, but tells what there is to tell.
        let output = self.try_gateway(&["status", "-o", "json"])?;
        let mut status: Value = serde_json::from_str(&output.stdout)
            .with_context(|| format!("`{}`: {}{}", output.command, output.stdout, output.stderr))?;
        let gateway = status["gateway"].take();
        ensure!(gateway["version"].is_string(), "the gateway does not answer: {gateway}");
        Ok(gateway)
    }

    /// The gateway's counters.
    ///
    /// # Errors
    ///
    /// If it does not answer.
    pub fn counters(&self) -> Result<Counters> {
        Ok(Counters(self.one_json(&["counters"])?))
    }

    /// The most recent events, oldest first.
    ///
    /// # Errors
    ///
    /// If the gateway does not answer.
    pub fn events(&self) -> Result<Vec<Value>> {
        self.json(&["events"])
    }

    /// The names of interfaces on the gateway host that an XDP program is attached to, as the kernel says.
    ///
    /// # Errors
    ///
    /// If `ip` fails.
    pub fn attached(&self) -> Result<Vec<String>> {
        attached(self.namespace)
    }
}

/// Waits until a role is ready, or has ended, which is an error.
fn await_ready(process: &Process, mut ready: impl FnMut() -> bool) -> Result<()> {
    let answer =
        wait::until(START, || if process.status().is_some() { Some(false) } else { ready().then_some(true) });
    match answer {
        Some((true, _)) => Ok(()),
        Some((false, _)) => bail!("it ended: {}", process.describe()),
        None => bail!("it is not ready after {START:?}: {}", process.describe()),
    }
}

/// The names of interfaces in a namespace that an XDP program is attached to, in any mode.
///
/// # Errors
///
/// If `ip` fails.
pub fn attached(namespace: &Namespace) -> Result<Vec<String>> {
    let output = namespace.run("ip -json -details link show")?;
    let links: Vec<Value> = serde_json::from_str(&output.stdout).context("output of ip -json")?;
    let names =
        links.iter().filter(|link| link.get("xdp").is_some()).filter_map(|link| link["ifname"].as_str());
    Ok(names.map(str::to_owned).collect())
}

/// The values in a text of JSON values, one after the other.
///
/// # Errors
///
/// If there is anything else in it.
pub fn json_values(text: &str) -> Result<Vec<Value>> {
    serde_json::Deserializer::from_str(text)
        .into_iter()
        .collect::<Result<_, _>>()
        .with_context(|| format!("not JSON: {text}"))
}

/// A reading of a gateway's counters.
#[derive(Clone, Debug)]
pub struct Counters(Value);

impl Counters {
    /// Packets that arrived.
    #[must_use]
    pub fn received(&self) -> u64 {
        self.0["received_packets"].as_u64().unwrap_or_default()
    }

    /// Packets that left by a reason, e.g. `"forwarded"`.
    #[must_use]
    pub fn reason(&self, reason: &str) -> u64 {
        self.sum("reasons", |entry| entry["reason"] == reason)
    }

    /// Packets by a verdict: `"passed"`, `"dropped"`, `"redirected"` or `"transmitted"`.
    #[must_use]
    pub fn verdict(&self, verdict: &str) -> u64 {
        self.sum("reasons", |entry| entry["verdict"] == verdict)
    }

    /// Packets of a mapping's leg by a reason.
    #[must_use]
    pub fn mapping(&self, identifier: &str, leg: &str, reason: &str) -> u64 {
        self.sum("mappings", |entry| {
            entry["unique_identifier"] == identifier && entry["leg"] == leg && entry["reason"] == reason
        })
    }

    /// Passed + dropped + redirected + transmitted: by the invariant, what was received.
    #[must_use]
    pub fn accounted(&self) -> u64 {
        ["passed", "dropped", "redirected", "transmitted"].map(|verdict| self.verdict(verdict)).iter().sum()
    }

    /// Checks the invariant: every packet is counted in once and out once. Whatever was sent must have landed.
    ///
    /// # Panics
    ///
    /// If it does not hold, or nothing was received at all.
    pub fn assert_balanced(&self) {
        assert!(self.received() > 0);
        assert_eq!(self.received(), self.accounted(), "{self:?}");
    }

    fn sum(&self, list: &str, wanted: impl Fn(&Value) -> bool) -> u64 {
        let entries = self.0[list].as_array().map_or(&[][..], Vec::as_slice);
        entries.iter().filter(|entry| wanted(entry)).filter_map(|entry| entry["packets"].as_u64()).sum()
    }
}
