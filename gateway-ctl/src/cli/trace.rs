//! `isthmus trace`

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::path::PathBuf;

use clap::Args;
use isthmus_common::id::LabelRange;
use isthmus_common::tables::INTERFACE_ADDRESSES;
use serde_json::json;

use super::{
    Global,
    capture::{self, Capture},
    events::{flow, inner},
    output::{self, Format},
    socket,
};
use crate::api::{TraceRequest, TraceResponse};
use crate::broker::federation::{Change, Federation};
use crate::gateway::{offline::Offline, replica::Replica};
use crate::manifest;

#[derive(Debug, Args)]
#[command(after_help = "Examples:
  isthmus trace --pcap in.pcap
  isthmus trace --pcap in.pcap --interface eth1 --write out.pcap
  isthmus trace --pcap in.pcap --manifest federation.yaml -o json

Each frame goes through the gateway's XDP program with BPF_PROG_TEST_RUN and the live tables; counters, events and
traffic stay untouched. With --manifest no gateway is needed: a private copy of program and tables is filled from
the file, every tunnel endpoint counts as reachable, and MACs that only neighbours know are 02:00:00:00:00:00.")]
pub(super) struct Trace {
    /// Ethernet frames to run, as pcap or pcapng
    #[arg(long, value_name = "IN")]
    pcap: PathBuf,
    /// Write the frames that would leave the gateway, as pcap
    #[arg(long, value_name = "OUT")]
    write: Option<PathBuf>,
    /// The interface the frames are taken to arrive on [default: the gateway's first]
    #[arg(long, value_name = "IF", conflicts_with = "manifest")]
    interface: Option<String>,
    /// Use these manifests instead of a running gateway; may be repeated
    #[arg(long, value_name = "FILE")]
    manifest: Vec<PathBuf>,
    /// With --manifest: the gateway's tunnel addresses [default: where the capture's tunnel packets go]
    #[arg(long, value_name = "ADDRESS", requires = "manifest")]
    gateway_address: Vec<IpAddr>,
}

impl Trace {
    pub(super) async fn run(self, global: &Global) -> anyhow::Result<()> {
        let capture = Capture::read(&self.pcap)?;
        if capture.cut > 0 {
            output::complain(&format!(
                "{} of {} frames were cut short when they were captured; they are run as they are",
                capture.cut,
                capture.frames.len()
            ));
        }
        let traced = if self.manifest.is_empty() {
            self.live(&capture, global).await?
        } else {
            self.offline(&capture)?
        };
        if let Some(path) = &self.write {
            let leaving = capture
                .frames
                .iter()
                .zip(&traced)
                .filter(|(_, traced)| !traced.frame.is_empty())
                .map(|(frame, traced)| (frame.time, traced.frame.as_slice()));
            capture::write(path, leaving)?;
        }
        Ok(output::print(&text(&traced, global.output)?)?)
    }

    async fn live(&self, capture: &Capture, global: &Global) -> anyhow::Result<Vec<TraceResponse>> {
        let interface = self.interface.clone().unwrap_or_default();
        let requests: Vec<TraceRequest> = capture
            .frames
            .iter()
            .map(|frame| TraceRequest { frame: frame.bytes.clone(), interface: interface.clone() })
            .collect();
        let mut gateway = socket::connect(&global.socket).await?;
        let fail = |status: tonic::Status| anyhow::anyhow!("{}", status.message());
        let mut responses = gateway.trace(tokio_stream::iter(requests)).await.map_err(fail)?.into_inner();
        let mut traced = Vec::with_capacity(capture.frames.len());
        while let Some(response) = responses.message().await.map_err(fail)? {
            traced.push(response);
        }
        Ok(traced)
    }

    fn offline(&self, capture: &Capture) -> anyhow::Result<Vec<TraceResponse>> {
        let replica = self.replica()?;
        let addresses = if self.gateway_address.is_empty() {
            let found: BTreeSet<IpAddr> = capture.tunnel_destinations();
            anyhow::ensure!(
                found.len() <= INTERFACE_ADDRESSES,
                "the tunnel packets go to {} addresses: name the gateway's with --gateway-address",
                found.len()
            );
            found.into_iter().collect()
        } else {
            anyhow::ensure!(
                self.gateway_address.len() <= INTERFACE_ADDRESSES,
                "a gateway has at most {INTERFACE_ADDRESSES} tunnel addresses on an interface"
            );
            self.gateway_address.clone()
        };
        let mut gateway = Offline::new(&replica, &addresses)?;
        for refused in gateway.refused() {
            output::complain(&format!("not in force: {}: {}", refused.object, refused.reason));
        }
        let traced = capture.frames.iter().map(|frame| gateway.trace(&frame.bytes));
        Ok(traced.collect::<Result<_, _>>()?)
    }

    /// What a gateway would hear from a broker that was given the manifests.
    fn replica(&self) -> anyhow::Result<Replica> {
        let manifest = manifest::load_all(self.manifest.iter().map(PathBuf::as_path))?;
        let changes: Vec<Change> =
            manifest.documents().iter().map(|document| Change::put(document.spec.clone())).collect();
        let mut federation = Federation::new(LabelRange::DEFAULT);
        federation.apply(&changes).map_err(|refusal| manifest.explain(&refusal.violations))?;
        let mut replica = Replica::new(1, "offline".to_owned(), federation.label_range());
        for object in federation.objects() {
            replica.put(object.as_ref().clone());
        }
        Ok(replica)
    }
}

fn text(traced: &[TraceResponse], format: Format) -> anyhow::Result<String> {
    if format == Format::Table {
        return Ok(output::table(
            &["#", "VERDICT", "REASON", "OUTER", "VNI", "INNER", "PROTOCOL", "LEG", "MAPPING", "EGRESS"],
            traced.iter().enumerate().map(|(index, traced)| row(index + 1, traced)),
        ));
    }
    let mut text = String::new();
    for (index, traced) in traced.iter().enumerate() {
        let value = json!({
            "frame": index + 1,
            "verdict": traced.verdict,
            "reason": traced.reason,
            "parsed": traced.parsed,
            "unique_identifier": traced.unique_identifier,
            "leg": traced.leg,
            "egress_interface": traced.egress_interface,
        });
        match format {
            Format::Yaml => text = text + "---\n" + &serde_saphyr::to_string(&value)?,
            _ => text = text + &serde_json::to_string(&value)? + "\n",
        }
    }
    Ok(text)
}

fn row(number: usize, traced: &TraceResponse) -> Vec<String> {
    let or_dash = |text: &str| if text.is_empty() { "-".to_owned() } else { text.to_owned() };
    let parsed = traced.parsed.clone().unwrap_or_default();
    vec![
        number.to_string(),
        traced.verdict.clone(),
        traced.reason.clone(),
        flow(&parsed.outer_source, 0, &parsed.outer_destination, 0),
        if parsed.vni == 0 { "-".to_owned() } else { parsed.vni.to_string() },
        inner(&parsed),
        or_dash(&parsed.inner_protocol),
        or_dash(&traced.leg),
        or_dash(&traced.unique_identifier),
        or_dash(&traced.egress_interface),
    ]
}
