//! `isthmus trace` tells what the data plane would do with a frame, and leaves no mark.

use std::{
    fs::File,
    path::{Path, PathBuf},
    thread,
    time::Duration,
};

use anyhow::{Context as _, Result, ensure};
use isthmus_common::reason::Reason;
use isthmus_tests::{
    Federation, Isthmus,
    capture::{Capture, Recording},
    command,
    federation::{BLUE, BLUE_VNI, GATEWAY_LEFT, LABEL, NETWORKS, RED_VNI, RED_VTEP, UNKNOWN_LABEL, mapping},
    frame::{Outer, inner_udp, parse_vxlan},
    isthmus::json_values,
    packet_socket::PacketSocket,
    traffic, wait,
};
use pcap_file::pcap::{PcapPacket, PcapReader, PcapWriter};
use serde_json::Value;
use uuid::Uuid;

/// How long a change may take.
const SOON: Duration = Duration::from_secs(3);

/// Time for frames under way to land.
const SETTLE: Duration = Duration::from_millis(100);

/// What is sent, and what is to become of it.
struct Row {
    frame: Vec<u8>,
    verdict: &'static str,
    reason: &'static str,
}

/// Frames from red for every kind of verdict.
fn rows(federation: &Federation) -> Result<Vec<Row>> {
    let outer = |vni| -> Result<Outer> {
        Ok(Outer {
            source_mac: federation.red.mac("uplink")?,
            destination_mac: federation.gateway.mac("left")?,
            source: RED_VTEP,
            destination: GATEWAY_LEFT,
            source_port: 51_000,
            vni,
        })
    };
    let to = |destination: &str, text: &str| -> Result<Vec<u8>> {
        Ok(inner_udp("10.0.0.10:4000".parse()?, destination.parse()?, text.as_bytes()))
    };
    let row = |frame, verdict, reason| Row { frame, verdict, reason };
    Ok(vec![
        row(outer(RED_VNI)?.wrap(&to("10.0.0.20:5000", "by network")?), "REDIRECT", "forwarded"),
        row(outer(LABEL)?.wrap(&to("10.0.0.20:5000", "by label")?), "REDIRECT", "forwarded"),
        row(outer(UNKNOWN_LABEL)?.wrap(&to("10.0.0.20:5000", "unknown")?), "DROP", "unknown-identifier"),
        row(outer(LABEL)?.wrap(&to("10.0.0.99:5000", "unlisted")?), "DROP", "unlisted"),
        row(outer(RED_VNI)?.wrap(&to("10.0.0.99:5000", "not mapped")?), "PASS", "not-mapped"),
        row(outer(4242)?.wrap(&to("10.0.0.20:5000", "local")?), "PASS", "local-vni"),
        row(to("10.0.0.20:5000", "no tunnel")?, "PASS", "not-for-gateway"),
    ])
}

fn write_pcap(path: &Path, frames: impl IntoIterator<Item = Vec<u8>>) -> Result<()> {
    let mut writer = PcapWriter::new(File::create(path)?)?;
    for (number, frame) in frames.into_iter().enumerate() {
        let time = Duration::from_millis(u64::try_from(number)?);
        writer.write_packet(&PcapPacket::new_owned(time, u32::try_from(frame.len())?, frame))?;
    }
    Ok(())
}

fn read_pcap(path: &Path) -> Result<Vec<Vec<u8>>> {
    let mut reader = PcapReader::new(File::open(path).with_context(|| format!("open {}", path.display()))?)?;
    let mut frames = Vec::new();
    while let Some(packet) = reader.next_packet() {
        frames.push(packet?.data.into_owned());
    }
    Ok(frames)
}

fn start_and_join(federation: &Federation, isthmus: &Isthmus<'_>) -> Result<String> {
    let identifier = Uuid::new_v4();
    isthmus.start()?;
    isthmus.apply_text(&format!("{NETWORKS}---\n{}", mapping(identifier, "full", Some(LABEL))))?;
    wait::until_true(SOON, || traffic::ping(&federation.red, BLUE).unwrap_or(false))
        .context("no ping crosses after the apply")?;
    Ok(identifier.to_string())
}

/// The files of a trace: what goes in, what comes out.
fn files(federation: &Federation) -> (PathBuf, PathBuf) {
    let directory = federation.topology.directory();
    (directory.join("in.pcap"), directory.join("out.pcap"))
}

fn trace(isthmus: &Isthmus<'_>, input: &Path, output: &Path, interface: &str) -> Result<Vec<Value>> {
    let (input, output) = (input.to_string_lossy(), output.to_string_lossy());
    isthmus.json(&["trace", "--pcap", &input, "--write", &output, "--interface", interface])
}

fn assert_verdicts(results: &[Value], rows: &[Row]) {
    let got = results.iter().map(|result| (result["verdict"].as_str(), result["reason"].as_str()));
    let expected = rows.iter().map(|row| (Some(row.verdict), Some(row.reason)));
    assert_eq!(got.collect::<Vec<_>>(), expected.collect::<Vec<_>>());
}

#[test]
fn trace_agrees_with_what_the_namespaces_do() -> Result<()> {
    Federation::test("trace_agrees_with_what_the_namespaces_do", |federation, isthmus| {
        let identifier = start_and_join(federation, isthmus)?;
        let rows = rows(federation)?;
        let (input, output) = files(federation);
        write_pcap(&input, rows.iter().map(|row| row.frame.clone()))?;
        let results = trace(isthmus, &input, &output, "left")?;
        assert_verdicts(&results, &rows);
        for result in results.iter().filter(|result| result["verdict"] == "REDIRECT") {
            assert_eq!(result["unique_identifier"], identifier);
            assert_eq!(result["leg"], "forward");
            assert_eq!(result["egress_interface"], "right");
        }
        let written = read_pcap(&output)?;

        // Now for real: each frame by itself, counted and caught.
        let sender = PacketSocket::open(&federation.red, "uplink")?;
        let listener = PacketSocket::open(&federation.blue, "uplink")?;
        let mut forwarded = Vec::new();
        for row in &rows {
            let before = isthmus.counters()?.reason(row.reason);
            sender.send(&row.frame)?;
            let inner = parse_vxlan(&row.frame).map(|vxlan| vxlan.inner);
            let crossed =
                |frame: &[u8]| inner.is_some() && parse_vxlan(frame).map(|vxlan| vxlan.inner) == inner;
            forwarded.extend(listener.receive(SETTLE, crossed)?);
            assert!(isthmus.counters()?.reason(row.reason) > before, "{}", row.reason);
        }
        assert_eq!(written, forwarded, "the frames written are the frames on the wire, byte for byte");
        Ok(())
    })
}

#[test]
fn trace_of_a_capture_of_real_traffic_is_what_arrived_on_the_other_side() -> Result<()> {
    Federation::test(
        "trace_of_a_capture_of_real_traffic_is_what_arrived_on_the_other_side",
        |federation, isthmus| {
            let Federation { red, blue, topology, .. } = federation;
            start_and_join(federation, isthmus)?;
            let from_red = Capture::start(topology, red, "uplink", "udp port 4789 and src host 192.0.2.10")?;
            let to_blue =
                Capture::start(topology, blue, "uplink", "udp port 4789 and src host 198.51.100.1")?;
            assert_eq!(traffic::pings(red, BLUE, 4)?, 4);
            assert_eq!(traffic::udp_exchange(red, blue, BLUE, b"traced")?, b"traced");
            let (sent, arrived) = (from_red.stop()?, to_blue.stop()?);
            let (_, output) = files(federation);
            let results = trace(isthmus, sent.file(), &output, "left")?;
            ensure!(results.len() >= 5, "{results:?}");
            assert!(results.iter().all(|result| result["reason"] == "forwarded"), "{results:?}");
            assert_eq!(read_pcap(&output)?, read_pcap(arrived.file())?);

            let written = Recording::open(&output);
            assert_eq!(written.vnis()?, [BLUE_VNI]);
            assert_eq!(written.faults()?, [""; 0]);
            Ok(())
        },
    )
}

#[test]
fn trace_leaves_counters_events_and_the_wire_alone() -> Result<()> {
    Federation::test("trace_leaves_counters_events_and_the_wire_alone", |federation, isthmus| {
        start_and_join(federation, isthmus)?;
        let rows = rows(federation)?;
        let (input, output) = files(federation);
        let repeated = std::iter::repeat_n(&rows, 20).flatten();
        write_pcap(&input, repeated.map(|row| row.frame.clone()))?;
        let listener = PacketSocket::open(&federation.blue, "uplink")?;
        thread::sleep(SETTLE);
        let before = (isthmus.counters()?, isthmus.events()?);
        let results = trace(isthmus, &input, &output, "left")?;
        assert_eq!(results.len(), 20 * rows.len());
        thread::sleep(SETTLE);
        let after = (isthmus.counters()?, isthmus.events()?);
        for reason in ["forwarded", "unknown-identifier", "unlisted", "local-vni"] {
            assert_eq!(after.0.reason(reason), before.0.reason(reason), "{reason}");
        }
        assert_eq!(after.1, before.1, "events");
        let traced =
            |frame: &[u8]| parse_vxlan(frame).is_some_and(|vxlan| vxlan.inner.ends_with(b"by network"));
        assert_eq!(listener.receive(SETTLE, traced)?, None, "on the wire");
        Ok(())
    })
}

#[test]
fn a_manifest_can_be_tried_offline() -> Result<()> {
    Federation::test("a_manifest_can_be_tried_offline", |federation, isthmus| {
        // No broker, no gateway, only a file.
        let identifier = Uuid::new_v4();
        let text = format!("{NETWORKS}---\n{}", mapping(identifier, "full", Some(LABEL)));
        let manifest = federation.topology.write("policy.yaml", &text)?;
        let rows = rows(federation)?;
        let (input, output) = files(federation);
        write_pcap(&input, rows.iter().map(|row| row.frame.clone()))?;
        let mut trace = isthmus.command(&["trace", "-o", "json", "--manifest"]);
        trace.arg(manifest).arg("--pcap").arg(input).arg("--write").arg(&output);
        let said = command::run(&mut trace, command::LIMIT)?.success()?.stdout;
        assert_verdicts(&json_values(&said)?, &rows);
        assert_eq!(Recording::open(&output).vnis()?, [BLUE_VNI]);
        assert_eq!(isthmus.attached()?, [""; 0]);
        Ok(())
    })
}

#[test]
fn every_frame_of_any_capture_gets_a_reason() -> Result<()> {
    Federation::test("every_frame_of_any_capture_gets_a_reason", |federation, isthmus| {
        let manifest = federation.topology.write("networks.yaml", NETWORKS)?;
        let (input, output) = files(federation);
        // Every length up to a sound frame's, of its beginning and of noise; and longer than any interface takes.
        let sound = rows(federation)?.swap_remove(0).frame;
        let noise = |length: usize| -> Vec<u8> {
            let bytes = (0..length as u64).map(|at| (at + length as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15));
            bytes.map(|word| word.to_be_bytes()[0]).collect()
        };
        let lengths = || 1..sound.len();
        let long = [9_014, 40_000, 65_535].map(noise);
        let frames: Vec<Vec<u8>> = lengths()
            .map(|length| sound[..length].to_vec())
            .chain(lengths().map(noise))
            .chain(long)
            .collect();
        write_pcap(&input, frames.iter().cloned())?;
        let mut trace = isthmus.command(&["trace", "-o", "json", "--manifest"]);
        trace.arg(manifest).arg("--pcap").arg(input).arg("--write").arg(&output);
        let said = command::run(&mut trace, command::LIMIT)?.success()?.stdout;
        let results = json_values(&said)?;
        assert_eq!(results.len(), frames.len());
        for (frame, result) in frames.iter().zip(&results) {
            let (verdict, reason) =
                (result["verdict"].as_str().unwrap_or(""), result["reason"].as_str().unwrap_or(""));
            if frame.len() < 14 {
                assert_eq!(verdict, "ERROR", "{frame:02x?}: {result}");
                assert!(reason.starts_with("too-short: "), "{frame:02x?}: {result}");
            } else {
                assert!(["PASS", "DROP"].contains(&verdict), "{} bytes: {result}", frame.len());
                assert!(Reason::from_name(reason).is_some(), "{} bytes: {result}", frame.len());
            }
        }
        Ok(())
    })
}

#[test]
fn a_file_that_is_no_capture_is_refused_by_name() -> Result<()> {
    Federation::test("a_file_that_is_no_capture_is_refused_by_name", |federation, isthmus| {
        isthmus.start()?;
        let file = federation.topology.write("prose.pcap", "this is no capture")?;
        let output = isthmus.try_gateway(&["trace", "--pcap", &file.to_string_lossy()])?;
        assert_eq!(output.status.code(), Some(1), "{output:?}");
        assert!(output.stderr.contains("prose.pcap"), "{}", output.stderr);
        Ok(())
    })
}
