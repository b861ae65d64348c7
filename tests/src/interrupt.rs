//! Ctrl-C must not leave namespaces behind.
//!
//! A thread waits for signals, so that cleaning up is ordinary code and not a signal handler's. They are not
//! blocked to that end: programs that we start would inherit that and be deaf to SIGTERM.

use std::{
    io,
    sync::atomic::{AtomicBool, Ordering},
    thread,
};

use anyhow::{Context as _, Result};
use signal_hook::{
    consts::{SIGHUP, SIGINT, SIGTERM},
    iterator::Signals,
    low_level::signal_name,
};

/// A signal came, and the signal thread will end the process.
static INTERRUPTED: AtomicBool = AtomicBool::new(false);

/// From now on SIGINT, SIGTERM and SIGHUP remove every topology of this process and end it with 128 plus
/// the signal's number.
///
/// # Errors
///
/// If the signals can't be caught or the thread can't be started.
pub fn clean_up_on_signals() -> Result<()> {
    let mut signals = Signals::new([SIGINT, SIGTERM, SIGHUP]).context("catch signals")?;
    let wait = move || {
        let Some(signal) = signals.forever().next() else { return };
        INTERRUPTED.store(true, Ordering::SeqCst);
        let name = signal_name(signal).unwrap_or("signal");
        // Not eprintln!: that panics when the terminal is gone.
        let _ = io::Write::write_all(&mut io::stderr(), format!("\n{name}: cleaning up\n").as_bytes());
        crate::topology::remove_all();
        std::process::exit(128 + signal);
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
