//! Commands that end: bounded in time, output captured, failures that show what was run and said.

use std::{
    fs::File,
    io::{Read as _, Seek as _},
    process::{Command, ExitStatus, Stdio},
    time::Duration,
};

use anyhow::{Context as _, Result, bail};
use wait_timeout::ChildExt as _;

/// How long a command may take unless said otherwise.
pub const LIMIT: Duration = Duration::from_secs(15);

/// What a command left behind.
#[derive(Debug)]
pub struct Output {
    /// The command line, for messages.
    pub command: String,
    /// How it ended.
    pub status: ExitStatus,
    /// What it wrote, as text.
    pub stdout: String,
    /// What it wrote, as text.
    pub stderr: String,
}

impl Output {
    /// Turns a non-zero exit status into an error that shows the output.
    ///
    /// # Errors
    ///
    /// If the command did not exit with 0.
    pub fn success(self) -> Result<Self> {
        if !self.status.success() {
            bail!(
                "`{}` failed: {}\n{}{}",
                self.command,
                self.status,
                indent(&self.stdout),
                indent(&self.stderr)
            );
        }
        Ok(self)
    }
}

/// Runs a command to its end and captures its output; standard input is empty.
///
/// # Errors
///
/// If it can't be started, or had to be killed after `limit`. A non-zero exit status is no error here.
pub fn run(command: &mut Command, limit: Duration) -> Result<Output> {
    let line = line(command);
    // Files, not pipes: a grandchild that keeps a pipe open would hold up the reader.
    let stdout = tempfile::tempfile().context("make a file for a command's output")?;
    let stderr = tempfile::tempfile().context("make a file for a command's output")?;
    let mut child = command
        .stdin(Stdio::null())
        .stdout(stdout.try_clone()?)
        .stderr(stderr.try_clone()?)
        .spawn()
        .with_context(|| format!("start `{line}`"))?;
    let status = child.wait_timeout(limit).with_context(|| format!("wait for `{line}`"))?;
    let Some(status) = status else {
        child.kill().ok();
        child.wait().ok();
        bail!(
            "`{line}` did not end within {limit:?} and was killed\n{}{}",
            indent(&read(stdout)?),
            indent(&read(stderr)?)
        );
    };
    Ok(Output { command: line, status, stdout: read(stdout)?, stderr: read(stderr)? })
}

/// The command line as one would type it, without the `nsenter` that [`crate::Namespace`] puts in front.
#[must_use]
pub fn line(command: &Command) -> String {
    let words = std::iter::once(command.get_program())
        .chain(command.get_args())
        .map(|word| word.to_string_lossy().into_owned())
        .collect::<Vec<_>>();
    let start = if words[0] == "nsenter" { words.len().min(2) } else { 0 };
    words[start..].join(" ")
}

fn read(mut file: File) -> Result<String> {
    let mut bytes = Vec::new();
    file.rewind()?;
    file.read_to_end(&mut bytes)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

fn indent(text: &str) -> String {
    text.lines().fold(String::new(), |all, line| all + "    " + line + "\n")
}
