//! Ctrl-C must not leave namespaces behind.
//!
//! Signals are blocked in every thread and one thread waits for them, so that cleaning up is ordinary code
//! and not a signal handler's.

use std::{
    io,
    sync::atomic::{AtomicBool, Ordering},
    thread,
};

use anyhow::{Context as _, Result};
use nix::sys::signal::{SigSet, Signal};

/// A signal came, and the signal thread will end the process.
static INTERRUPTED: AtomicBool = AtomicBool::new(false);

/// From now on SIGINT, SIGTERM and SIGHUP remove every topology of this process and end it with 128 plus
/// the signal's number. Call it before any other thread is started: they inherit what is blocked.
/// (Programs that we start do not: the standard library clears the mask for them.)
///
/// # Errors
///
/// If the signals can't be blocked or the thread can't be started.
pub fn clean_up_on_signals() -> Result<()> {
    let signals = SigSet::from_iter([Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP]);
    signals.thread_block().context("block signals")?;
    let wait = move || {
        let Ok(signal) = signals.wait() else { return };
        INTERRUPTED.store(true, Ordering::SeqCst);
        let _ = io::Write::write_all(&mut io::stderr(), format!("\n{signal}: cleaning up\n").as_bytes());
        crate::topology::remove_all();
        std::process::exit(128 + signal as i32);
    };
    thread::Builder::new().name("signals".into()).spawn(wait).context("start the signal thread")?;
    Ok(())
}

/// Does not return if a signal came: what the caller failed with is that its topology was taken away, and
/// the process is about to end.
pub fn end_if_interrupted() {
    while INTERRUPTED.load(Ordering::SeqCst) {
        thread::park();
    }
}
