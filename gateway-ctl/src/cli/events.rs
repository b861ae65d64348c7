//! `isthmus events`

use std::time::{Duration, SystemTime};

use clap::Args;

use super::{
    Global,
    output::{self, Format},
    socket,
};
use crate::api::{Event, EventsRequest};

#[derive(Debug, Args)]
#[command(after_help = "Examples:
  isthmus events
  isthmus events --follow
  isthmus events --follow -o json | jq -r .reason

One line a rejected packet; the data plane reports at most 200 a second and CPU, and counts them all.")]
pub(super) struct Events {
    /// Go on with those to come
    #[arg(short, long)]
    follow: bool,
    /// How many recent ones to start with
    #[arg(long, value_name = "N", default_value_t = 20)]
    last: u32,
}

impl Events {
    pub(super) async fn run(self, global: &Global) -> anyhow::Result<()> {
        let request = EventsRequest { last: self.last, no_follow: !self.follow };
        let mut events = socket::connect(&global.socket).await?.events(request).await?.into_inner();
        if global.output == Format::Table {
            output::print(HEADER)?;
        }
        while let Some(event) = events.message().await? {
            let line = match global.output {
                Format::Table => line(&event),
                Format::Json => serde_json::to_string(&event)? + "\n",
                Format::Yaml => "---\n".to_owned() + &serde_saphyr::to_string(&event)?,
            };
            output::print(&line)?;
        }
        Ok(())
    }
}

// Fixed widths, because lines are shown as they come.
const HEADER: &str = "TIME                     REASON               INTERFACE  VNI       OUTER                             \
                      INNER                                      PROTOCOL  MAPPING\n";

fn line(event: &Event) -> String {
    let time = SystemTime::UNIX_EPOCH + Duration::from_nanos(event.time_unix_nanos);
    let text = format!(
        "{:<24} {:<20} {:<10} {:<9} {:<33} {:<42} {:<9} {}",
        humantime::format_rfc3339_millis(time),
        event.reason,
        event.interface,
        event.vni,
        flow(&event.outer_source, 0, &event.outer_destination, 0),
        inner(event),
        event.inner_protocol,
        event.unique_identifier,
    );
    text.trim_end().to_owned() + "\n"
}

/// Inner source and destination, with their ports if there are any.
pub(super) fn inner(event: &Event) -> String {
    flow(&event.inner_source, event.inner_source_port, &event.inner_destination, event.inner_destination_port)
}

pub(super) fn flow(source: &str, source_port: u32, destination: &str, destination_port: u32) -> String {
    let with_port = |address: &str, port: u32| match port {
        0 => address.to_owned(),
        _ if address.contains(':') => format!("[{address}]:{port}"),
        _ => format!("{address}:{port}"),
    };
    if source.is_empty() && destination.is_empty() {
        return "-".to_owned();
    }
    format!("{} > {}", with_port(source, source_port), with_port(destination, destination_port))
}
