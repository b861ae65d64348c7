//! When a long-running command ends: on SIGTERM or Ctrl-C.

use anyhow::Context as _;
use tokio::signal::unix::{SignalKind, signal};

/// Starts to listen for the signals; what it returns resolves at the first of them.
///
/// # Errors
/// If the system does not let us listen.
pub(super) fn on_signal() -> anyhow::Result<impl Future<Output = ()>> {
    let listen_for = |kind| signal(kind).context("listen for signals");
    let mut terminate = listen_for(SignalKind::terminate())?;
    let mut interrupt = listen_for(SignalKind::interrupt())?;
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    })
}
