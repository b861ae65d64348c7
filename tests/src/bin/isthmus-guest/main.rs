//! The first and only process of a virtual machine that `cargo xtask kernels` starts: checks Isthmus on the
//! kernel that it finds itself on, and turns the machine off.
//!
//! It tells what it does on the second serial port; the first one has the kernel's own messages. The last line
//! is [`VERDICT_HOLDS`] only if every check held.

mod checks;
mod machine;
mod suites;
mod vlan;

use std::{
    fs::{File, OpenOptions},
    io::{self, Write as _},
    process::ExitCode,
    time::Instant,
};

use comfy_table::{Table, presets::NOTHING};

/// Where it tells what it does.
const REPORT: &str = "/dev/ttyS1";

/// The last line if every check held; `cargo xtask kernels` waits for it.
const VERDICT_HOLDS: &str = "isthmus-guest: every check holds";

/// The last line otherwise.
const VERDICT_FAILED: &str = "isthmus-guest: failed";

/// What is told, and what was found.
pub(crate) struct Report {
    to: File,
    facts: Vec<Fact>,
}

struct Fact {
    what: String,
    measured: String,
    holds: bool,
}

impl Report {
    fn open() -> io::Result<Self> {
        Ok(Self { to: OpenOptions::new().write(true).open(REPORT)?, facts: Vec::new() })
    }

    /// Tells something that is no fact to be checked.
    pub(crate) fn say(&mut self, text: &str) {
        // There is nobody to tell that telling failed.
        let _ = writeln!(self.to, "{text}");
    }

    /// Remembers a fact for the table, and tells it.
    pub(crate) fn verify(&mut self, what: &str, holds: bool, measured: impl Into<String>) {
        let measured = measured.into();
        self.say(&format!("{} {what}: {measured}", if holds { "ok    " } else { "FAILED" }));
        self.facts.push(Fact { what: what.to_owned(), measured, holds });
    }

    /// The table of all facts, and the verdict.
    fn finish(mut self, started: Instant) {
        let mut table = Table::new();
        table.load_style(NOTHING);
        table.set_header(["", "CHECK", "MEASURED"]);
        for fact in &self.facts {
            table.add_row([if fact.holds { "ok" } else { "FAILED" }, &fact.what, &fact.measured]);
        }
        let failed = self.facts.iter().filter(|fact| !fact.holds).count();
        self.say(&format!("\n{table}\n"));
        self.say(&format!(
            "{} of {} checks hold, in {:.0} s inside the machine",
            self.facts.len() - failed,
            self.facts.len(),
            started.elapsed().as_secs_f64()
        ));
        self.say(if failed == 0 { VERDICT_HOLDS } else { VERDICT_FAILED });
    }
}

fn main() -> ExitCode {
    if std::process::id() != 1 {
        eprintln!(
            "isthmus-guest is the first process of a virtual machine; `cargo xtask kernels` starts one for it"
        );
        return ExitCode::from(2);
    }
    let started = Instant::now();
    if let Err(error) = machine::prepare() {
        // To the kernel's console: the other port may not be there yet.
        eprintln!("isthmus-guest: {error:#}");
        machine::turn_off();
    }
    match Report::open() {
        Ok(mut report) => {
            if let Err(error) = checks::run(&mut report) {
                report.verify("the checks come to their end", false, format!("{error:#}"));
            }
            report.finish(started);
        }
        Err(error) => eprintln!("isthmus-guest: open {REPORT}: {error}"),
    }
    machine::turn_off()
}
