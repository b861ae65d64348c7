//! Frames that nobody honest sends, by every way: cut, lying about their lengths, nested, stacked, oversized.

mod big;
mod cuts;
mod headers;
mod lengths;
mod peers;

use std::sync::LazyLock;

use isthmus_common::reason::Reason;

use crate::gateway::{HostGateway, KernelGateway, Outcome};
use crate::oracle::expected;
use crate::part;
use crate::root::is_root;
use crate::row::{Carry, Packet, Row};
use crate::rows::is_joined;
use crate::way::{Kind, Side, Way};

/// The longest frame that `BPF_PROG_TEST_RUN` takes: what fits into a socket buffer's 17 fragments of a page each.
const LONGEST: usize = 17 * 4096;

/// A frame, and what must become of it.
struct Attempt {
    name: String,
    ingress: u32,
    frame: Vec<u8>,
    /// Why it leaves; in the form it came, unless it is forwarded as `out` says.
    reason: Reason,
    out: Option<Vec<u8>>,
}

impl Attempt {
    /// A frame that is left as it is.
    fn stopped(name: String, from: Way, frame: Vec<u8>, reason: Reason) -> Self {
        Self { name, ingress: from.interface(), frame, reason, out: None }
    }

    /// What the oracle says of the row.
    fn of(row: &Row) -> Self {
        let (frame, name) = (row.packet.build(), row.name());
        match expected(row, row_port(row)) {
            Ok(packet) => {
                let out = Some(packet.build());
                Self { name, ingress: row.from.interface(), frame, reason: Reason::Forwarded, out }
            }
            Err(reason) => Self::stopped(name, row.from, frame, reason),
        }
    }

    fn check(&self, outcome: &Outcome) -> Result<(), String> {
        let reason = Reason::from_index(outcome.event.reason).ok_or("no such reason")?;
        if (reason, outcome.verdict) != (self.reason, self.reason.verdict()) {
            return Err(format!(
                "it was {:?} as {}, not {}",
                outcome.verdict,
                reason.as_str(),
                self.reason.as_str()
            ));
        }
        let wanted = self.out.as_ref().unwrap_or(&self.frame);
        if outcome.frame == *wanted {
            return Ok(());
        }
        let at = outcome.frame.iter().zip(wanted).take_while(|(one, other)| one == other).count();
        Err(format!(
            "what came out has {} bytes, not {}, and differs from byte {at} on: {:02x?}, not {:02x?}",
            outcome.frame.len(),
            wanted.len(),
            &outcome.frame[at..outcome.frame.len().min(at + 32)],
            &wanted[at..wanted.len().min(at + 32)]
        ))
    }
}

/// The rows here come from tunnels, and keep their source port; others say what they expect themselves.
fn row_port(row: &Row) -> u16 {
    assert!(matches!(row.packet, Packet::Tunnel(_)), "{}: the port is the gateway's to choose", row.name());
    0
}

/// Every way in, and one to go out by that is as different as can be.
fn journeys() -> Vec<(Way, Way, Carry)> {
    let east = Way::all(Side::East);
    let mut journeys = Vec::new();
    for (place, from) in Way::all(Side::West).into_iter().enumerate() {
        let start = (place * 7 + 11) % east.len();
        let to = east.iter().cycle().skip(start).take(east.len()).find(|to| is_joined(from, **to));
        let carry = if from.kind == Kind::Remote { Carry::Label } else { Carry::Own };
        journeys.push((from, *to.unwrap(), carry));
    }
    journeys
}

/// The same without VLANs and ports.
fn tunnels() -> impl Iterator<Item = (Way, Way, Carry)> {
    journeys().into_iter().filter(|(from, ..)| from.kind.is_tunnel())
}

fn all() -> &'static [Attempt] {
    static ATTEMPTS: LazyLock<Vec<Attempt>> = LazyLock::new(make);
    &ATTEMPTS
}

fn make() -> Vec<Attempt> {
    let mut attempts = Vec::new();
    cuts::add(&mut attempts);
    lengths::add(&mut attempts);
    headers::add(&mut attempts);
    peers::add(&mut attempts);
    big::add(&mut attempts);
    attempts
}

fn report(failures: &[String], total: usize) {
    let shown = failures.iter().take(crate::SHOWN).cloned().collect::<Vec<_>>().join("\n\n");
    assert!(failures.is_empty(), "{} of {total} frames:\n\n{shown}", failures.len());
}

#[test]
fn nothing_hostile_gets_through_on_the_host() {
    let host = HostGateway::new();
    let attempts = all();
    let run = |attempt: &Attempt| {
        let checked = attempt.check(&host.run(&attempt.frame, attempt.ingress));
        checked.err().map(|error| format!("{}: {error}", attempt.name))
    };
    report(&attempts.iter().filter_map(run).collect::<Vec<_>>(), attempts.len());
}

#[test]
fn nothing_hostile_gets_through_in_the_kernel() {
    if !is_root("nothing_hostile_gets_through_in_the_kernel") {
        return;
    }
    let host = HostGateway::new();
    let mut kernel = KernelGateway::new();
    let lengths = KernelGateway::SHORTEST..=LONGEST;
    let fits = |attempt: &&Attempt| lengths.contains(&attempt.frame.len());
    let attempts = part::of("hostile frames", all().iter().filter(fits));
    let mut run = |attempt: &Attempt| {
        let outcome = kernel.run(&attempt.frame, attempt.ingress);
        let checked = attempt.check(&outcome).and_then(|()| {
            let on_host = host.run(&attempt.frame, attempt.ingress);
            if outcome == on_host { Ok(()) } else { Err(format!("the host says {:?}", on_host.event)) }
        });
        checked.err().map(|error| format!("{}: {error}", attempt.name))
    };
    report(&attempts.iter().filter_map(|attempt| run(attempt)).collect::<Vec<_>>(), attempts.len());
}
