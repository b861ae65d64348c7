//! `isthmus counters`

use clap::Args;

use super::{Global, output, socket};
use crate::api::{CountersRequest, CountersResponse};

#[derive(Debug, Args)]
#[command(after_help = "Examples:
  isthmus counters
  isthmus counters -o json | jq '.reasons[] | select(.verdict == \"dropped\")'

Every packet is counted once, under one reason: received = passed + dropped + redirected + transmitted.")]
pub(super) struct Counters {}

impl Counters {
    pub(super) async fn run(self, global: &Global) -> anyhow::Result<()> {
        let counters =
            socket::connect(&global.socket).await?.counters(CountersRequest {}).await?.into_inner();
        output::show(global.output, &counters, text)
    }
}

fn text(counters: &CountersResponse) -> String {
    let reasons = output::table(
        &["REASON", "VERDICT", "PACKETS", "BYTES"],
        counters.reasons.iter().map(|row| {
            vec![row.reason.clone(), row.verdict.clone(), row.packets.to_string(), row.bytes.to_string()]
        }),
    );
    let mappings = output::table(
        &["MAPPING", "LEG", "REASON", "VERDICT", "PACKETS", "BYTES"],
        counters.mappings.iter().map(|row| {
            vec![
                row.unique_identifier.clone(),
                row.leg.clone(),
                row.reason.clone(),
                row.verdict.clone(),
                row.packets.to_string(),
                row.bytes.to_string(),
            ]
        }),
    );
    let of = |verdict: &str| -> u64 {
        counters.reasons.iter().filter(|row| row.verdict == verdict).map(|row| row.packets).sum()
    };
    let mut text = reasons;
    if !counters.mappings.is_empty() {
        text = text + "\n" + &mappings;
    }
    text + &format!(
        "\nreceived {} = passed {} + dropped {} + redirected {} + transmitted {}\nevents not reported {}\n",
        counters.received_packets,
        of("passed"),
        of("dropped"),
        of("redirected"),
        of("transmitted"),
        counters.events_suppressed,
    )
}
