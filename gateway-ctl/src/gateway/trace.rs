//! What would become of a frame, told to people.

use isthmus_common::rules::Leg;
use isthmus_common::wire::Ethernet;

use super::dataplane::{DataPlane, DataPlaneError};
use super::describe::{Names, reason};
use crate::api;

/// Runs a frame through the trace program as if it came in by `ingress`.
///
/// A frame that the kernel does not run, because no driver would hand it over like that, has the
/// verdict `ERROR` and the kernel's words as its reason.
///
/// # Errors
/// If the tables can't be read or written.
pub fn trace(
    dataplane: &mut DataPlane,
    names: &Names<'_>,
    frame: &[u8],
    ingress: u32,
) -> Result<api::TraceResponse, DataPlaneError> {
    let traced = match dataplane.trace(frame, ingress) {
        Ok(traced) => traced,
        Err(error @ DataPlaneError::TestRun { .. }) => {
            return Ok(api::TraceResponse {
                verdict: "ERROR".to_owned(),
                reason: if frame.len() < Ethernet::LEN {
                    "too-short: no driver hands over less than an Ethernet header".to_owned()
                } else {
                    error.to_string()
                },
                ..api::TraceResponse::default()
            });
        }
        Err(error) => return Err(error),
    };
    let event = &traced.event;
    let (verdict, leaves) = match traced.action {
        0 => ("ABORTED", false),
        1 => ("DROP", false),
        2 => ("PASS", false),
        3 => ("TX", true),
        4 => ("REDIRECT", true),
        _ => ("UNKNOWN", false),
    };
    let parsed = names.event(event);
    Ok(api::TraceResponse {
        verdict: verdict.to_owned(),
        reason: reason(event.reason),
        unique_identifier: parsed.unique_identifier.clone(),
        leg: if event.leg == Leg::NONE { String::new() } else { event.leg.direction().as_str().to_owned() },
        parsed: Some(parsed),
        egress_interface: names.interface(event.egress),
        frame: if leaves { traced.frame } else { Vec::new() },
    })
}
