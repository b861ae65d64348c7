//! The virtual machine: one run, bounded in time, its report read line by line.

use std::{
    fs,
    io::{BufRead as _, BufReader},
    path::Path,
    process::{Command, Stdio},
    sync::mpsc::{self, RecvTimeoutError},
    thread,
    time::{Duration, Instant},
};

use anyhow::Context as _;

use crate::tree;

/// The emulator.
pub(super) const QEMU: &str = "qemu-system-x86_64";

/// The last line of `isthmus-guest` if every check held.
const VERDICT_HOLDS: &str = "isthmus-guest: every check holds";

/// Lines of the kernel's messages that are shown if something went wrong.
const CONSOLE_LINES: usize = 40;

/// Starts the machine, hands every line of the report to `tell`, and waits until the machine turns itself off.
/// Whether every check held; if not, the end of the kernel's messages is shown too.
pub(super) fn run(
    image: &Path,
    initramfs: &Path,
    console: &Path,
    limit: Duration,
    tell: impl Fn(&str),
) -> anyhow::Result<bool> {
    let mut machine = Command::new(QEMU)
        // Emulation works everywhere, inside other virtual machines too, and the same everywhere.
        .args(["-accel", "tcg", "-cpu", "max", "-smp", "2", "-m", "2048"])
        .args(["-nodefaults", "-no-user-config", "-display", "none", "-no-reboot"])
        .arg("-kernel")
        .arg(image)
        .arg("-initrd")
        .arg(initramfs)
        // A panic reboots, which ends this machine.
        .args(["-append", "console=ttyS0 quiet panic=-1"])
        .arg("-serial")
        .arg(format!("file:{}", console.display()))
        .args(["-serial", "stdio"])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .with_context(|| format!("start {QEMU}"))?;
    let report = machine.stdout.take().context("the machine has no output")?;
    let (sender, lines) = mpsc::channel();
    thread::spawn(move || {
        for line in BufReader::new(report).split(b'\n').map_while(Result::ok) {
            let line = String::from_utf8_lossy(&line).trim_end().to_owned();
            if sender.send(line).is_err() {
                break;
            }
        }
    });

    let deadline = Instant::now() + limit;
    let mut holds = false;
    let in_time = loop {
        match lines.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
            Ok(line) => {
                holds |= line == VERDICT_HOLDS;
                tell(&line);
            }
            Err(RecvTimeoutError::Disconnected) => break true,
            Err(RecvTimeoutError::Timeout) => break false,
        }
    };
    if !in_time {
        machine.kill().context("end the machine")?;
        println!("The machine did not turn itself off within {} s and was ended.", limit.as_secs());
    }
    machine.wait().context("wait for the machine")?;
    if !(holds && in_time) {
        show_end(console);
    }
    Ok(holds && in_time)
}

/// Shows the last lines of the kernel's messages.
fn show_end(console: &Path) {
    let text = fs::read(console).unwrap_or_default();
    let text = String::from_utf8_lossy(&text);
    let lines: Vec<&str> = text.lines().collect();
    println!("The kernel's last messages, from {}:", tree::shown(console));
    for line in &lines[lines.len().saturating_sub(CONSOLE_LINES)..] {
        println!("  {line}");
    }
}
