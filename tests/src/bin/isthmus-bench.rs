//! What the XDP program costs a packet, by `BPF_PROG_TEST_RUN`.
//!
//! Every slice runs one frame many times in the kernel; the slices of all rows are interleaved, so that
//! whatever else the machine does meets all of them alike. Only ratios within one run mean anything.

use std::net::{IpAddr, Ipv4Addr};
use std::path::PathBuf;

use anyhow::{Context as _, bail, ensure};
use comfy_table::{CellAlignment, Table, presets};
use etherparse::PacketBuilder;
use isthmus::gateway::offline::Offline;
use isthmus::gateway::replica::Replica;
use isthmus::model::{
    AccessLevel, Encapsulation, Endpoint, Mapping, Metadata, Mode, Network, Object, Protocol, Resource, Spec,
};
use isthmus_common::id::{LabelRange, Vni};
use isthmus_common::reason::Reason;
use serde_json::json;
use uuid::Uuid;

const GATEWAY: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 1);
const INNER: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 20);
/// A translated frame meets the program again, with its TTL one less: 255 would run out in the next slice.
const RUNS: u32 = 250;
const SLICES: usize = 4000;

struct Row {
    name: &'static str,
    frame: Vec<u8>,
    /// How each run must end, or the figure is of something else.
    reason: Reason,
    nanos: Vec<u64>,
}

fn main() -> anyhow::Result<()> {
    let (slices, json) = arguments()?;
    let mut gateway = Offline::new(&federation()?, &[GATEWAY.into()])?;
    let mut rows = [
        row("not IP: the shortest way out", not_ip(), Reason::NotIp),
        row(
            "unknown identifier: rejected",
            vxlan(LabelRange::DEFAULT.last().get())?,
            Reason::UnknownIdentifier,
        ),
        row("no mapping: to the host", vxlan(50)?, Reason::LocalVni),
        row("VXLAN to VXLAN, by inner destination", vxlan(42)?, Reason::Forwarded),
    ];
    for row in &mut rows {
        check(&mut gateway, row)?;
    }
    for _ in 0..slices {
        for row in &mut rows {
            row.nanos.push(gateway.cost(&row.frame, RUNS)?);
        }
    }
    for row in &mut rows {
        row.nanos.sort_unstable();
    }
    print(&rows);
    if let Some(path) = json {
        std::fs::write(&path, serde_json::to_string_pretty(&figures(&rows))? + "\n")
            .with_context(|| format!("write {}", path.display()))?;
    }
    Ok(())
}

fn arguments() -> anyhow::Result<(usize, Option<PathBuf>)> {
    let mut slices = SLICES;
    let mut json = None;
    let mut arguments = std::env::args_os().skip(1);
    while let Some(argument) = arguments.next() {
        match argument.to_str() {
            Some("--quick") => slices = SLICES / 10,
            Some("--json") => json = Some(arguments.next().context("--json needs a file")?.into()),
            _ => bail!("usage: isthmus-bench [--quick] [--json FILE]"),
        }
    }
    Ok((slices, json))
}

fn row(name: &'static str, frame: Vec<u8>, reason: Reason) -> Row {
    Row { name, frame, reason, nanos: Vec::new() }
}

/// Runs a row once and looks at the counters: a frame that leaves for another reason would be measured
/// just as well, and mean nothing.
fn check(gateway: &mut Offline, row: &Row) -> anyhow::Result<()> {
    let count = |gateway: &Offline| -> anyhow::Result<u64> {
        let counters = gateway.counters()?;
        Ok(counters.iter().find(|(reason, _)| *reason == row.reason).map_or(0, |(_, count)| count.packets))
    };
    let before = count(gateway)?;
    gateway.cost(&row.frame, RUNS)?;
    let counted = count(gateway)? - before;
    ensure!(
        counted == u64::from(RUNS),
        "{}: {counted} of {RUNS} runs ended as {}",
        row.name,
        row.reason.as_str()
    );
    Ok(())
}

/// Two networks that lead to each other, with the gateway itself as every tunnel endpoint: a translated
/// frame can be translated again.
fn federation() -> anyhow::Result<Replica> {
    let mut replica = Replica::new(1, "bench".to_owned(), LabelRange::DEFAULT);
    let mut declare = |spec| replica.put(Object { metadata: Metadata { version: 1, revision: 1 }, spec });
    for (name, vni) in [("red", 42), ("blue", 77)] {
        declare(Spec::Network(Network {
            name: name.to_owned(),
            provider: "default".to_owned(),
            encapsulation: Encapsulation::Vxlan {
                vni: Vni::new(vni).context("a VNI")?,
                udp_port: 4789,
                group_policy: None,
            },
            prefixes: vec!["10.0.0.0/24".parse()?],
            gateway_address: None,
            endpoints: vec![Endpoint {
                address: INNER.into(),
                mac: None,
                vtep: Some(IpAddr::V4(GATEWAY)),
                ovn_port: None,
            }],
            learning: false,
            gateway: None,
        }));
        declare(Spec::Resource(Resource {
            resource_id: format!("in-{name}"),
            network: name.to_owned(),
            addresses: vec![INNER.into()],
            protocol: Protocol::Any,
            ports: Vec::new(),
        }));
    }
    for (from, to) in [("red", "blue"), ("blue", "red")] {
        declare(Spec::Mapping(Mapping {
            unique_identifier: Uuid::new_v4(),
            source_network: from.to_owned(),
            destination_network: to.to_owned(),
            resource_mapping: [(format!("in-{to}"), AccessLevel::Full)].into(),
            mode: Mode::Switched,
            label: None,
        }));
    }
    Ok(replica)
}

fn not_ip() -> Vec<u8> {
    let mut frame = vec![0; 110];
    frame[12..14].copy_from_slice(&0x88cc_u16.to_be_bytes());
    frame
}

/// A UDP packet in VXLAN, 110 bytes in all.
fn vxlan(vni: u32) -> anyhow::Result<Vec<u8>> {
    let mut inner = Vec::new();
    PacketBuilder::ethernet2([2; 6], [4; 6])
        .ipv4([10, 0, 0, 10], INNER.octets(), 64)
        .udp(4000, 5000)
        .write(&mut inner, &[0; 18])?;
    let mut payload = vec![0x08, 0, 0, 0];
    payload.extend_from_slice(&(vni << 8).to_be_bytes());
    payload.extend_from_slice(&inner);
    let mut frame = Vec::new();
    PacketBuilder::ethernet2([2; 6], [4; 6])
        .ipv4([192, 0, 2, 10], GATEWAY.octets(), 255)
        .udp(50_000, 4789)
        .write(&mut frame, &payload)?;
    Ok(frame)
}

fn median(row: &Row) -> u64 {
    row.nanos[row.nanos.len() / 2]
}

fn print(rows: &[Row]) {
    let mut table = Table::new();
    table.load_style(presets::NOTHING);
    table.set_header(["PACKET", "NS, MEDIAN", "MIN", "MAX", "RATIO"]);
    for row in rows {
        table.add_row([
            row.name.to_owned(),
            median(row).to_string(),
            row.nanos[0].to_string(),
            row.nanos[row.nanos.len() - 1].to_string(),
            format!("{:.2}", ratio(row, &rows[0])),
        ]);
    }
    for column in table.column_iter_mut().skip(1) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    println!("{table}");
    println!(
        "Nanoseconds a frame of {} bytes, {} slices of {RUNS} runs each; ratio to the first row.",
        rows[1].frame.len(),
        rows[0].nanos.len()
    );
}

fn figures(rows: &[Row]) -> serde_json::Value {
    rows.iter()
        .map(|row| {
            json!({
                "packet": row.name,
                "median_ns": median(row),
                "min_ns": row.nanos[0],
                "max_ns": row.nanos[row.nanos.len() - 1],
                "ratio": ratio(row, &rows[0]),
            })
        })
        .collect()
}

#[expect(clippy::cast_precision_loss, reason = "a few thousand nanoseconds at most")]
fn ratio(row: &Row, base: &Row) -> f64 {
    median(row) as f64 / median(base).max(1) as f64
}
