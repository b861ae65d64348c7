//! What was on the wire, recorded by `tcpdump` and decoded by `tshark`: two programs that know nothing of us.

use std::{
    path::{Path, PathBuf},
    process::Command,
    sync::atomic::{AtomicU32, Ordering},
    thread,
    time::Duration,
};

use anyhow::{Context as _, Result, ensure};
use nix::sys::signal::Signal;

use crate::{Namespace, Topology, command, process::Process, wait};

/// How long `tcpdump` may take to open its interface, and to end.
const LIMIT: Duration = Duration::from_secs(5);

/// `tshark` takes a second or two to start.
const DECODE_LIMIT: Duration = Duration::from_secs(30);

/// Time for the last frames to get from the kernel to `tcpdump` before it is stopped.
const SETTLE: Duration = Duration::from_millis(200);

/// Bytes kept of a frame unless said otherwise: all of it, as `tcpdump` counts.
const WHOLE: u32 = 262_144;

/// What Wireshark calls a frame it can't make sense of, or whose checksum is wrong ("0" is "bad").
const FAULTY: &str = "_ws.malformed || ip.checksum.status == 0 || udp.checksum.status == 0 \
                      || tcp.checksum.status == 0 || icmp.checksum.status == 0";

/// A capture in progress.
#[derive(Debug)]
pub struct Capture {
    process: Process,
    file: PathBuf,
}

impl Capture {
    /// Starts capturing and returns once every further frame will be caught. `filter` is a pcap filter.
    ///
    /// # Errors
    ///
    /// If `tcpdump` is missing or refuses.
    pub fn start(topology: &Topology, namespace: &Namespace, interface: &str, filter: &str) -> Result<Self> {
        Self::start_truncated(topology, namespace, interface, filter, WHOLE)
    }

    /// Like [`Self::start`], but keeps only so many bytes of every frame: enough to see headers, not enough
    /// to check checksums.
    ///
    /// # Errors
    ///
    /// If `tcpdump` is missing or refuses.
    pub fn start_truncated(
        topology: &Topology,
        namespace: &Namespace,
        interface: &str,
        filter: &str,
        length: u32,
    ) -> Result<Self> {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let file = topology.directory().join(format!("capture-{number}-{interface}.pcap"));
        let mut tcpdump = namespace.command("tcpdump");
        // As root to the end: it may not write into our directory otherwise.
        tcpdump.args(["-n", "-U", "--immediate-mode", "-Z", "root"]);
        tcpdump.args(["-s", &length.to_string(), "-i", interface, "-w"]).arg(&file).arg(filter);
        let process = topology.spawn(&format!("tcpdump-{interface}"), &mut tcpdump)?;
        let started = wait::until_true(LIMIT, || {
            process.stderr().contains("listening on") || process.status().is_some()
        });
        ensure!(started.is_some() && process.status().is_none(), "tcpdump: {}", process.describe());
        Ok(Self { process, file })
    }

    /// Ends the capture.
    ///
    /// # Errors
    ///
    /// If `tcpdump` failed.
    pub fn stop(self) -> Result<Recording> {
        thread::sleep(SETTLE);
        self.process.signal(Signal::SIGINT);
        let status = self.process.wait(LIMIT);
        ensure!(status.is_some_and(|status| status.success()), "tcpdump: {}", self.process.describe());
        Ok(Recording::open(&self.file))
    }
}

/// A pcap file, to be decoded.
#[derive(Debug)]
pub struct Recording {
    file: PathBuf,
    vxlan_ports: Vec<u16>,
}

impl Recording {
    /// A file that something else has written.
    #[must_use]
    pub fn open(file: &Path) -> Self {
        Self { file: file.to_owned(), vxlan_ports: Vec::new() }
    }

    /// The same, with VXLAN on these UDP ports besides the usual one.
    #[must_use]
    pub fn with_vxlan_ports(self, ports: &[u16]) -> Self {
        Self { vxlan_ports: ports.to_vec(), ..self }
    }

    /// Where it is.
    #[must_use]
    pub fn file(&self) -> &Path {
        &self.file
    }

    /// The values of Wireshark's fields in every frame that its display filter lets through, e.g.
    /// `("icmp", &["vxlan.vni", "ip.src"])`. A field that occurs twice, such as an address outside and
    /// inside a tunnel, is given as "outer,inner".
    ///
    /// # Errors
    ///
    /// If `tshark` is missing or refuses.
    pub fn fields(&self, filter: &str, fields: &[&str]) -> Result<Vec<Vec<String>>> {
        let mut tshark = self.tshark(filter);
        tshark.args(["-T", "fields"]);
        for field in fields {
            tshark.args(["-e", field]);
        }
        let output = command::run(&mut tshark, DECODE_LIMIT)?.success().context("decode a capture")?;
        Ok(output.stdout.lines().map(|line| line.split('\t').map(str::to_owned).collect()).collect())
    }

    /// How many frames a display filter lets through.
    ///
    /// # Errors
    ///
    /// See [`Self::fields`].
    pub fn count(&self, filter: &str) -> Result<usize> {
        Ok(self.fields(filter, &["frame.number"])?.len())
    }

    /// The VNIs that occur, each once, in order.
    ///
    /// # Errors
    ///
    /// See [`Self::fields`].
    pub fn vnis(&self) -> Result<Vec<u32>> {
        let mut vnis = self
            .fields("vxlan", &["vxlan.vni"])?
            .iter()
            .map(|row| row[0].parse().with_context(|| format!("a VNI: {row:?}")))
            .collect::<Result<Vec<u32>>>()?;
        vnis.sort_unstable();
        vnis.dedup();
        Ok(vnis)
    }

    /// A line for every frame that is malformed or carries a wrong checksum, inside or outside.
    ///
    /// # Errors
    ///
    /// See [`Self::fields`].
    pub fn faults(&self) -> Result<Vec<String>> {
        let output =
            command::run(&mut self.tshark(FAULTY), DECODE_LIMIT)?.success().context("check a capture")?;
        Ok(output.stdout.lines().map(str::to_owned).collect())
    }

    fn tshark(&self, filter: &str) -> Command {
        let mut tshark = Command::new("tshark");
        tshark.arg("-n").arg("-r").arg(&self.file).args(["-Y", filter]);
        for protocol in ["ip", "udp", "tcp"] {
            tshark.args(["-o", &format!("{protocol}.check_checksum:TRUE")]);
        }
        for port in &self.vxlan_ports {
            tshark.args(["-d", &format!("udp.port=={port},vxlan")]);
        }
        tshark
    }
}
