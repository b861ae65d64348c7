//! `isthmus broker`

use std::{net::SocketAddr, path::PathBuf};

use anyhow::Context as _;
use clap::{Args, Subcommand};
use isthmus_common::id::{Label, LabelRange};
use nix::sys::signal::Signal;
use tokio::signal::unix::{SignalKind, signal};

use super::{
    logs::{self, LogFormat},
    output, stop,
};
use crate::broker::{redb::DEFAULT_KEPT_REVISIONS, server};

#[derive(Debug, Subcommand)]
#[command(after_help = "Examples:
  isthmus broker run
  isthmus broker run --listen 127.0.0.1:0 --state ./broker.redb")]
pub(super) enum Command {
    /// Run the broker until it is told to end
    Run(Run),
}

#[derive(Debug, Args)]
#[command(after_help = "Examples:
  isthmus broker run
  isthmus broker run --listen 127.0.0.1:0 --state ./broker.redb
  isthmus broker run --label-range 15728640-16777215 --log-format json

It prints `isthmus broker listens on http://ADDRESS` once it answers, and ends on SIGTERM or Ctrl-C.")]
pub(super) struct Run {
    /// Loopback address and port to listen on; port 0 lets the system choose
    #[arg(long, value_name = "ADDRESS:PORT", default_value = "127.0.0.1:6190")]
    listen: SocketAddr,
    /// The file that keeps everything; made if it does not exist
    #[arg(long, value_name = "FILE", default_value = "/var/lib/isthmus/broker.redb")]
    state: PathBuf,
    /// VNIs that name mappings and never networks [default: what the state file says, at first 15728640-16777215]
    #[arg(long, value_name = "FIRST-LAST", value_parser = label_range)]
    label_range: Option<LabelRange>,
    /// How many revisions a watch can resume over before it needs a snapshot
    #[arg(long, value_name = "N", default_value_t = DEFAULT_KEPT_REVISIONS)]
    keep_revisions: u64,
    /// How log lines on standard error look
    #[arg(long, value_enum, default_value_t)]
    log_format: LogFormat,
}

fn label_range(text: &str) -> Result<LabelRange, String> {
    let wrong = || "write FIRST-LAST, both from 1 to 16777215, e.g. 15728640-16777215".to_owned();
    let label = |text: &str| text.parse().ok().and_then(Label::new).ok_or_else(wrong);
    let (first, last) = text.split_once('-').ok_or_else(wrong)?;
    LabelRange::new(label(first)?, label(last)?).ok_or_else(|| format!("{first} is greater than {last}"))
}

impl Command {
    pub(super) async fn run(self) -> anyhow::Result<()> {
        let Self::Run(run) = self;
        run.run().await
    }
}

impl Run {
    async fn run(self) -> anyhow::Result<()> {
        logs::start(self.log_format);
        let stop = stop::on_signal()?;
        // A file size limit is to fail a write, not to kill the broker.
        let _size_limit =
            signal(SignalKind::from_raw(Signal::SIGXFSZ as i32)).context("listen for signals")?;
        let options = server::Options {
            listen: self.listen,
            state: self.state,
            label_range: self.label_range,
            kept_revisions: self.keep_revisions,
        };
        let ready = |address| {
            // Nobody has to read it.
            let _ = output::print(&format!("isthmus broker listens on http://{address}\n"));
        };
        Ok(server::run(options, ready, stop).await?)
    }
}
