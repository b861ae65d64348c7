//! Every way in × every way out, through the pipeline on the host and through the program in the kernel.
//!
//! The frames that go in, and those that must come out, are built from docs/wire-format.md alone: by an oracle
//! that shares no line with the pipeline, and computes every checksum from nothing. The rows that hold make
//! `docs/support.md`.
#![expect(clippy::unwrap_used, reason = "a test that can't be set up has failed")]

mod builder;
mod entropy;
mod federation;
#[path = "../frames/mod.rs"]
#[expect(dead_code, reason = "the table of packets needs the rest")]
mod frames;
#[path = "../packets/gateway.rs"]
mod gateway;
mod headroom;
mod hostile;
mod inner;
mod oracle;
mod part;
mod products;
#[path = "../packets/root.rs"]
mod root;
mod row;
mod rows;
mod support;
mod told;
mod way;

use std::path::Path;

use isthmus_common::reason::{Reason, Verdict};
use isthmus_common::rules::Direction;

use frames::geneve::Travel;
use gateway::{HostGateway, KernelGateway, Outcome};
use oracle::expected;
use root::is_root;
use row::{Packet, Row};

/// How many of the rows that don't hold are shown.
const SHOWN: usize = 20;

/// Where a tunnel packet of the row's destination has its UDP source port.
fn chosen_port(row: &Row, frame: &[u8]) -> Option<u16> {
    let is_chosen = row.to.kind.is_tunnel() && !row.from.kind.is_tunnel();
    let ip = if row.to.family == way::Family::V4 { 20 } else { 40 };
    let at = 14 + 4 * usize::from(row.to.tags) + ip;
    is_chosen.then(|| u16::from_be_bytes([frame[at], frame[at + 1]]))
}

fn check(row: &Row, frame: &[u8], outcome: &Outcome, host: &HostGateway) -> Result<(), String> {
    let reason = Reason::from_index(outcome.event.reason).ok_or("no such reason")?;
    let is_forwarded = outcome.verdict == Verdict::Redirected;
    let port = if is_forwarded { chosen_port(row, &outcome.frame) } else { None };
    if port.is_some_and(|port| port < 49_152) {
        return Err(format!("the source port is {port:?}"));
    }
    let (wanted_reason, wanted_frame, egress) = match expected(row, port.unwrap_or_default()) {
        Ok(packet) => (Reason::Forwarded, packet.build(), row.to.interface()),
        Err(reason) => (reason, frame.to_vec(), 0),
    };
    if (reason, outcome.verdict) != (wanted_reason, wanted_reason.verdict()) {
        return Err(format!(
            "it was {:?} as {}, not {:?} as {}",
            outcome.verdict,
            reason.as_str(),
            wanted_reason.verdict(),
            wanted_reason.as_str()
        ));
    }
    if outcome.frame != wanted_frame {
        return Err(format!(
            "of\n  {frame:02x?} became\n  {:02x?}, not\n  {wanted_frame:02x?}",
            outcome.frame
        ));
    }
    let event = &outcome.event;
    let mapping = event.leg.mapping().and_then(|number| host.installed.mapping(number));
    let direction = match row.travel() {
        Travel::Forward => Direction::Forward,
        Travel::Return => Direction::Return,
    };
    if (mapping, event.leg.direction()) != (Some(federation::identifier(row.from, row.to)), direction) {
        return Err(format!("the mapping is {mapping:?}, {:?}", event.leg.direction()));
    }
    if (event.ingress, event.egress, event.length as usize) != (row.from.interface(), egress, frame.len()) {
        return Err(format!("the event says {event:?}"));
    }
    told::check(row, event)
}

fn report(failures: &[(&Row, String)], total: usize) {
    let shown: Vec<String> =
        failures.iter().take(SHOWN).map(|(row, error)| format!("{}: {error}", row.name())).collect();
    assert!(failures.is_empty(), "{} of {total} rows:\n\n{}", failures.len(), shown.join("\n\n"));
}

/// Rows that don't hold on the host.
fn on_host(rows: &[Row]) -> Vec<(&Row, String)> {
    let host = HostGateway::new();
    let run = |row: &Row| {
        let frame = row.packet.build();
        check(row, &frame, &host.run(&frame, row.from.interface()), &host)
    };
    rows.iter().filter_map(|row| run(row).err().map(|error| (row, error))).collect()
}

#[test]
fn every_way_leads_to_every_other_on_the_host() {
    let rows = rows::all();
    report(&on_host(rows), rows.len());
}

/// Rows that don't hold in the kernel, or not as on the host.
fn in_kernel<'a>(rows: &[&'a Row]) -> Vec<(&'a Row, String)> {
    let host = HostGateway::new();
    let mut kernel = KernelGateway::new();
    let mut run = |row: &Row| {
        let frame = row.packet.build();
        let outcome = kernel.run(&frame, row.from.interface());
        check(row, &frame, &outcome, &host)?;
        let on_host = host.run(&frame, row.from.interface());
        if outcome == on_host {
            Ok(())
        } else {
            Err(format!("the kernel says\n  {outcome:02x?}, the host\n  {on_host:02x?}"))
        }
    };
    let failures = rows.iter().filter_map(|row| run(row).err().map(|error| (*row, error))).collect();
    assert_eq!(kernel.counted(), 0, "traces must leave the live counters alone");
    failures
}

#[test]
fn every_way_leads_to_every_other_in_the_kernel_and_is_documented() {
    if !is_root("every_way_leads_to_every_other_in_the_kernel_and_is_documented") {
        return;
    }
    let rows = part::of("rows", rows::all().iter());
    let failures = in_kernel(&rows);
    report(&failures, rows.len());
    if !part::is_all() {
        // The document counts all of them.
        return;
    }
    // A refusal is no support.
    let supported: Vec<&Row> = rows.into_iter().filter(|row| expected(row, 0).is_ok()).collect();
    let document = support::document(&supported);
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/support.md");
    if std::env::var_os("ISTHMUS_BLESS").is_some() {
        std::fs::write(&path, &document).unwrap();
    }
    let present = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        present == document,
        "docs/support.md differs from what the rows yield; ISTHMUS_BLESS=1 writes it"
    );
}

#[test]
fn every_row_has_a_name_of_its_own() {
    let rows = rows::all();
    let names: std::collections::BTreeSet<String> = rows.iter().map(Row::name).collect();
    assert_eq!(names.len(), rows.len());
    assert!(rows.iter().any(|row| matches!(row.packet, Packet::Port { .. })));
}
