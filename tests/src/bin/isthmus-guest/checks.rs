//! What has to hold on every kernel: the verifier accepts the programs, every packet of the packet tests comes
//! to the same end as on the host, and real traffic crosses between the kernel's own VXLAN devices, also behind
//! its VLAN devices.

use std::{
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result};
use isthmus_tests::{
    Federation, Isthmus,
    federation::{self, BLUE, GATEWAY_LEFT, NETWORKS, RED, RED_VTEP, UNKNOWN_LABEL},
    frame::{self, Outer},
    isthmus,
    packet_socket::PacketSocket,
    traffic, wait,
};
use nix::sys::{signal::Signal, utsname::uname};

use crate::{Report, suites, vlan};

/// How long a change may take to show on an emulated processor.
pub(crate) const SOON: Duration = Duration::from_secs(10);

/// The mapping of the traffic test.
const MAPPING: &str = "8c4f1f0e-1d8a-4c7e-9d62-2b1a5a3f9c01";

/// Payload of each TCP transfer.
const TRANSFER: usize = 1 << 20;

/// Runs everything; an error is what kept it from coming to its end.
pub(crate) fn run(report: &mut Report) -> Result<()> {
    let system = uname().context("ask for the kernel's version")?;
    let release = system.release().to_string_lossy();
    report.verify("the kernel starts", true, release);
    suites::run(report);
    in_federation(report, traffic_crosses)?;
    in_federation(report, vlan::traffic_crosses)
}

/// A check in a federation of its own.
fn in_federation(report: &mut Report, check: fn(&mut Report, &Federation) -> Result<()>) -> Result<()> {
    let federation = Federation::new()?;
    check(report, &federation).inspect_err(|_| {
        // Said here, while the topology still has it.
        report.say(&federation.topology.describe_processes());
    })
}

fn traffic_crosses(report: &mut Report, federation: &Federation) -> Result<()> {
    let Federation { red, gateway, .. } = federation;
    let product = Isthmus::new(federation)?;
    let (_, running) = product.start()?;
    let mut attached = product.attached()?;
    attached.sort();
    report.verify("XDP is attached to both underlays", attached == ["left", "right"], attached.join(", "));

    product.apply_text(NETWORKS)?;
    let answered = traffic::pings(red, BLUE, 3)?;
    report.verify("nothing crosses before a mapping exists", answered == 0, format!("{answered} answers"));

    product.apply_text(&federation::mapping(MAPPING.parse()?, "full", None))?;
    let start = Instant::now();
    let crosses = wait::until_true(SOON, || traffic::ping(red, BLUE).unwrap_or(false)).is_some();
    report.verify("a mapping takes effect", crosses, format!("after {} ms", start.elapsed().as_millis()));
    let answered = traffic::pings(red, BLUE, 20)?;
    report.verify(
        "ping crosses between VNI 42 and VNI 77",
        answered == 20,
        format!("{answered} of 20 answers"),
    );
    tcp_crosses(report, federation, "")?;
    unknown_identifier(report, federation, &product)?;

    product.delete_mapping(MAPPING)?;
    let stopped = wait::until_true(SOON, || !traffic::ping(red, BLUE).unwrap_or(true)).is_some();
    let answered = traffic::pings(red, BLUE, 3)?;
    report.verify(
        "nothing crosses after the mapping's deletion",
        stopped && answered == 0,
        format!("{answered} answers"),
    );

    // What is under way must have landed, or it is counted while we read.
    thread::sleep(Duration::from_millis(500));
    let counters = product.counters()?;
    let (received, accounted) = (counters.received(), counters.accounted());
    report.verify(
        "every packet is counted in once and out once",
        received > 0 && received == accounted,
        format!("{received} = {accounted}"),
    );

    running.signal(Signal::SIGTERM);
    let status = running.wait(SOON).context("the gateway does not end after SIGTERM")?;
    let attached = isthmus::attached(gateway)?;
    report.verify(
        "the gateway leaves nothing attached",
        status.success() && attached.is_empty(),
        format!("{status}, {} programs attached", attached.len()),
    );
    Ok(())
}

/// TCP between both tenants, and no checksum that their kernel found wrong; `which` is what the checks' names
/// start with.
pub(crate) fn tcp_crosses(report: &mut Report, federation: &Federation, which: &str) -> Result<()> {
    let Federation { red, blue, .. } = federation;
    for (name, from, to, address) in [("red to blue", red, blue, BLUE), ("blue to red", blue, red, RED)] {
        let transfer = traffic::tcp_transfer(from, to, address, TRANSFER)?;
        report.verify(
            &format!("{which}TCP crosses, {name}"),
            transfer.bytes == TRANSFER && transfer.sent == transfer.received,
            format!("{} bytes, CRC-32 {:08x} = {:08x}", transfer.bytes, transfer.sent, transfer.received),
        );
    }
    let wrong =
        traffic::checksum_errors(red)?.values().chain(traffic::checksum_errors(blue)?.values()).sum::<u64>();
    report.verify(
        &format!("{which}the tenants' kernel saw no wrong checksum"),
        wrong == 0,
        format!("{wrong} errors"),
    );
    Ok(())
}

fn unknown_identifier(report: &mut Report, federation: &Federation, product: &Isthmus<'_>) -> Result<()> {
    let outer = Outer {
        source_mac: federation.red.mac("uplink")?,
        destination_mac: federation.gateway.mac("left")?,
        source: RED_VTEP,
        destination: GATEWAY_LEFT,
        source_port: 50_000,
        vni: UNKNOWN_LABEL,
    };
    let inner = frame::inner_udp("10.0.0.10:4000".parse()?, "10.0.0.20:5000".parse()?, b"let me in");
    PacketSocket::open(&federation.red, "uplink")?.send(&outer.wrap(&inner))?;
    let event =
        wait::until(SOON, || product.events().ok()?.into_iter().find(|event| event["vni"] == UNKNOWN_LABEL));
    let told = event.map_or_else(|| "no event".to_owned(), |(event, _)| event["reason"].to_string());
    let counted = product.counters()?.reason("unknown-identifier");
    report.verify(
        "an unknown identifier is rejected and reported",
        told == "\"unknown-identifier\"" && counted == 1,
        format!("{told}, counted {counted}"),
    );
    Ok(())
}
