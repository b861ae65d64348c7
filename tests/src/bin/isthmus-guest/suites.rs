//! Test executables that need no more than a kernel and root.

use std::{path::Path, process::Command, time::Duration};

use isthmus_tests::command;

use crate::Report;

/// Where `cargo xtask kernels` has put them.
const FOLDER: &str = "/tests";

/// How long one may take on an emulated processor.
const LIMIT: Duration = Duration::from_secs(200);

/// What a test says past libtest's capture if it could not run (`isthmus_tests::privilege`).
const SKIPPED: &str = "SKIPPED, NOT PASSED";

/// A test executable and what is run of it.
struct Suite {
    name: &'static str,
    /// Part of the names of the tests that are run.
    only: &'static str,
    environment: &'static [(&'static str, &'static str)],
}

const SUITES: &[Suite] = &[
    Suite { name: "programs", only: "", environment: &[] },
    Suite { name: "packets", only: "", environment: &[] },
    // The host's build does the same here as anywhere, and these compare it with the kernel. All of it would take
    // an emulated processor several minutes.
    Suite { name: "matrix", only: "in_the_kernel", environment: &[("ISTHMUS_MATRIX_EVERY", "11")] },
    // The other tests there capture with tcpdump.
    Suite { name: "next_hops", only: "an_endpoint_behind_", environment: &[] },
];

/// Runs all of them.
pub(crate) fn run(report: &mut Report) {
    for suite in SUITES {
        suite.run(report);
    }
}

impl Suite {
    /// The result line is what was measured.
    fn run(&self, report: &mut Report) {
        let mut tests = Command::new(Path::new(FOLDER).join(self.name));
        // Nothing may be skipped here.
        tests.arg(self.only).env("CI", "true").envs(self.environment.iter().copied());
        let what = format!("tests: {} {}", self.name, self.only);
        let output = match command::run(&mut tests, LIMIT) {
            Ok(output) => output,
            // The others may still tell something.
            Err(error) => {
                report.verify(what.trim_end(), false, format!("{error:#}"));
                return;
            }
        };
        // What is written past libtest's capture is for people to see.
        report.say(output.stderr.trim_end());
        let result = output.stdout.lines().find_map(|line| line.strip_prefix("test result: "));
        // A filter that fits no test any more would let nothing pass for everything.
        let ran = result.is_some_and(|result| result.starts_with("ok. ") && !result.starts_with("ok. 0 "));
        let holds = output.status.success() && ran && !output.stderr.contains(SKIPPED);
        if !holds {
            report.say(&output.stdout);
        }
        let measured = result.map_or_else(|| format!("no result, {}", output.status), str::to_owned);
        report.verify(what.trim_end(), holds, measured);
    }
}
