//! Logs of the long-running commands: structured, on standard error.

use std::io;

use clap::ValueEnum;
use tracing_subscriber::EnvFilter;

/// How log lines look.
#[derive(Clone, Copy, Debug, Default, ValueEnum)]
pub enum LogFormat {
    /// For people
    #[default]
    Text,
    /// For machines, one object a line
    Json,
}

/// Starts logging; `RUST_LOG` chooses what, e.g. `isthmus=debug`.
pub fn start(format: LogFormat) {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info"));
    let logs = tracing_subscriber::fmt().with_env_filter(filter).with_writer(io::stderr);
    // Fails only if logs were started before, and then there are logs.
    let _ = match format {
        LogFormat::Text => logs.with_ansi(io::IsTerminal::is_terminal(&io::stderr())).try_init(),
        LogFormat::Json => logs.json().try_init(),
    };
}
