//! A real broker process with a state file of its own.

use std::{
    io::{BufRead as _, BufReader, Write as _},
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Output, Stdio},
    time::{Duration, Instant},
};

use isthmus::api::{self, broker_client::BrokerClient};
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use tonic::transport::{Channel, Endpoint};

/// Two networks, a resource and a mapping.
pub(crate) const MANIFEST: &str = "
kind: Network
name: red
encapsulation: vxlan
vni: 42
prefixes: [10.0.0.0/24]
endpoints: [{address: 10.0.0.10, mac: 02:00:00:00:00:10, vtep: 192.0.2.10}]
---
kind: Network
name: blue
encapsulation: vxlan
vni: 77
prefixes: [10.0.0.0/24]
endpoints: [{address: 10.0.0.20, vtep: 192.0.2.20}]
---
kind: Resource
resource_id: inference
network: blue
addresses: [10.0.0.20]
protocol: tcp
ports: [8080, 9000-9010]
---
kind: Mapping
unique_identifier: 7b0d6f0e-8a1c-4c53-9d0e-2f6a4f6d9a11
source_network: red
destination_network: blue
resource_mapping: {inference: connect}
";

/// Killed when dropped.
pub(crate) struct Broker {
    child: Child,
    pub(crate) url: String,
}

/// The command under test.
pub(crate) fn isthmus() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_isthmus"));
    command.env_remove("ISTHMUS_BROKER").env_remove("RUST_LOG");
    command
}

/// Runs the command to its end.
pub(crate) fn run(args: &[&str]) -> Output {
    isthmus().args(args).stdin(Stdio::null()).output().unwrap()
}

pub(crate) fn stdout(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

pub(crate) fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

/// A network that differs from others by its number.
pub(crate) fn network(number: u32, endpoints: u32) -> api::Object {
    let vxlan = api::Vxlan { vni: number + 1, udp_port: 0, group_policy: None };
    let endpoint = |n: u32| api::Endpoint {
        address: format!("10.{}.{}.{}", 1 + n / 62500, n / 250 % 250, 1 + n % 250),
        mac: "02:00:00:00:00:01".to_owned(),
        vtep: "192.0.2.1".to_owned(),
        ovn_port: 0,
    };
    let network = api::Network {
        name: format!("n{number}"),
        provider: String::new(),
        encapsulation: Some(api::Encapsulation { kind: Some(api::encapsulation::Kind::Vxlan(vxlan)) }),
        prefixes: vec!["10.0.0.0/8".to_owned()],
        gateway_address: String::new(),
        endpoints: (0..endpoints).map(endpoint).collect(),
        learning: false,
        gateway: String::new(),
    };
    api::Object { metadata: None, spec: Some(api::object::Spec::Network(network)) }
}

pub(crate) fn put(object: api::Object) -> api::Change {
    api::Change { op: Some(api::change::Op::Put(object)), expected_version: None }
}

pub(crate) fn delete_network(name: &str) -> api::Change {
    let object_ref = api::ObjectRef { kind: api::Kind::Network.into(), name: name.to_owned() };
    api::Change { op: Some(api::change::Op::Delete(object_ref)), expected_version: None }
}

pub(crate) fn apply(changes: Vec<api::Change>) -> api::ApplyRequest {
    api::ApplyRequest { changes }
}

impl Broker {
    /// Starts one and waits until it answers.
    pub(crate) fn start(state: &Path, more: &[&str]) -> Self {
        let mut child = isthmus()
            .args(["broker", "run", "--listen", "127.0.0.1:0", "--state"])
            .arg(state)
            .args(more)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let Some(url) = line.trim_end().strip_prefix("isthmus broker listens on ") else {
            panic!("broker says {line:?} and ends with {:?}", child.wait())
        };
        Self { url: url.to_owned(), child }
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    pub(crate) async fn client(&self) -> BrokerClient<Channel> {
        BrokerClient::new(self.channel().await)
    }

    pub(crate) async fn channel(&self) -> Channel {
        Endpoint::from_shared(self.url.clone()).unwrap().connect().await.unwrap()
    }

    /// Runs a command against it.
    pub(crate) fn run(&self, args: &[&str]) -> Output {
        let mut all = vec!["--broker", &self.url];
        all.extend(args);
        run(&all)
    }

    /// Applies a manifest; the command's output says how that went.
    pub(crate) fn apply(&self, manifest: &str) -> Output {
        let mut child = isthmus()
            .args(["--broker", &self.url, "apply", "-f", "-"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        child.stdin.take().unwrap().write_all(manifest.as_bytes()).unwrap();
        child.wait_with_output().unwrap()
    }

    /// Asks it to end and waits for that.
    pub(crate) fn stop(mut self) -> ExitStatus {
        self.signal(Signal::SIGTERM);
        let started = Instant::now();
        while started.elapsed() < Duration::from_secs(10) {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        panic!("the broker did not end within 10 s of SIGTERM");
    }

    pub(crate) fn signal(&self, signal: Signal) {
        kill(Pid::from_raw(self.child.id().try_into().unwrap()), signal).unwrap();
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A directory that goes away, and a state file in a directory that doesn't exist yet.
pub(crate) fn state() -> (tempfile::TempDir, PathBuf) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("lib/broker.redb");
    (dir, path)
}
