//! Background processes of a topology: their output is kept in files, their end is never left to chance.

use std::{
    fs::{self, File},
    os::unix::process::CommandExt as _,
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use anyhow::{Context as _, Result};
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use wait_timeout::ChildExt as _;

use crate::command;

/// How long a process may take to end after SIGTERM before it is killed.
const GRACE: Duration = Duration::from_secs(3);

/// A running program that its [`crate::Topology`] ends. Clones name the same one.
#[derive(Clone, Debug)]
pub struct Process {
    line: String,
    pid: Pid,
    child: Arc<Mutex<Child>>,
    stdout: PathBuf,
    stderr: PathBuf,
}

impl Process {
    /// Starts a command with its output in `<directory>/<name>.stdout` and `.stderr`.
    pub(crate) fn start(command: &mut Command, directory: &Path, name: &str) -> Result<Self> {
        let line = command::line(command);
        let create = |path: &Path| File::create(path).with_context(|| format!("create {}", path.display()));
        let (stdout, stderr) =
            (directory.join(format!("{name}.stdout")), directory.join(format!("{name}.stderr")));
        let child = command
            .stdin(Stdio::null())
            .stdout(create(&stdout)?)
            .stderr(create(&stderr)?)
            // Its own group: a Ctrl-C at the terminal is for us, and we end it in order.
            .process_group(0)
            .spawn()
            .with_context(|| format!("start `{line}`"))?;
        let pid = Pid::from_raw(child.id().cast_signed());
        Ok(Self { line, pid, child: Arc::new(Mutex::new(child)), stdout, stderr })
    }

    /// The program's process id.
    #[must_use]
    pub fn pid(&self) -> i32 {
        self.pid.as_raw()
    }

    /// Everything it has written to standard output so far.
    #[must_use]
    pub fn stdout(&self) -> String {
        read(&self.stdout)
    }

    /// Everything it has written to standard error so far.
    #[must_use]
    pub fn stderr(&self) -> String {
        read(&self.stderr)
    }

    /// How it ended; `None` while it runs.
    #[must_use]
    pub fn status(&self) -> Option<ExitStatus> {
        self.lock().try_wait().ok().flatten()
    }

    /// Waits for its end; `None` if it still runs after `limit`.
    #[must_use]
    pub fn wait(&self, limit: Duration) -> Option<ExitStatus> {
        self.lock().wait_timeout(limit).ok().flatten()
    }

    /// Sends a signal. Does nothing once the process has ended.
    pub fn signal(&self, signal: Signal) {
        // Held so that nobody reaps the child and the id can't come to name another process.
        let mut child = self.lock();
        if matches!(child.try_wait(), Ok(None)) {
            let _ = kill(self.pid, signal);
        }
    }

    /// Ends it: SIGTERM, and SIGKILL if that did not help within three seconds.
    pub fn stop(&self) {
        self.signal(Signal::SIGTERM);
        if self.wait(GRACE).is_none() {
            self.signal(Signal::SIGKILL);
            let _ = self.wait(GRACE);
        }
    }

    /// What it is and has said, for messages.
    #[must_use]
    pub fn describe(&self) -> String {
        let state = self.status().map_or_else(|| "running".to_owned(), |status| status.to_string());
        format!("`{}` ({state})\n{}{}", self.line, self.stdout(), self.stderr())
    }

    fn lock(&self) -> MutexGuard<'_, Child> {
        self.child.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn read(path: &Path) -> String {
    fs::read(path).map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).unwrap_or_default()
}
