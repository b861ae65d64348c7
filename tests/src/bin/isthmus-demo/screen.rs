//! What the demo prints: numbered steps, commands as typed, their output as it came, and a table at the end.

use std::{
    io::{self, IsTerminal as _},
    process::Command,
    time::Duration,
};

use anyhow::Result;
use comfy_table::{Cell, Color, ContentArrangement, Table, presets::UTF8_FULL_CONDENSED};
use isthmus_tests::command::{self, Output};

/// Prints to standard output and remembers what was verified.
pub(crate) struct Screen {
    colour: bool,
    steps: u32,
    verified: Vec<Verified>,
}

struct Verified {
    what: String,
    measured: String,
    holds: bool,
}

impl Screen {
    pub(crate) fn new() -> Self {
        let colour = io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none();
        Self { colour, steps: 0, verified: Vec::new() }
    }

    /// Begins the next step.
    pub(crate) fn step(&mut self, title: &str) {
        self.steps += 1;
        println!("\n{}", self.bold(&format!("{}. {title}", self.steps)));
    }

    /// Shows a command line on a host's prompt.
    pub(crate) fn show(&self, host: &str, command: &Command) {
        println!("   {host} {}", self.bold(&format!("$ {}", typed(command))));
    }

    /// Shows a command, runs it and shows its output; any exit status will do.
    pub(crate) fn run(&self, host: &str, mut command: Command) -> Result<Output> {
        self.show(host, &command);
        let output = command::run(&mut command, command::LIMIT)?;
        for line in output.stdout.lines().chain(output.stderr.lines()) {
            println!("     {line}");
        }
        Ok(output)
    }

    /// Remembers a fact for the table, and tells it.
    pub(crate) fn verify(&mut self, what: &str, holds: bool, measured: impl Into<String>) {
        let measured = measured.into();
        println!("   {} {what}: {measured}", self.mark(holds));
        self.verified.push(Verified { what: what.to_owned(), measured, holds });
    }

    /// The table of all facts; whether every one of them holds.
    pub(crate) fn finish(&self, took: Duration) -> bool {
        let mut table = Table::new();
        table.load_style(UTF8_FULL_CONDENSED).set_content_arrangement(ContentArrangement::Dynamic);
        table.set_header(["", "verified", "measured"]);
        for Verified { what, measured, holds } in &self.verified {
            let mut mark = Cell::new(if *holds { "✓" } else { "✗" });
            if self.colour {
                mark = mark.fg(if *holds { Color::Green } else { Color::Red });
            }
            table.add_row([mark, Cell::new(what), Cell::new(measured)]);
        }
        let failed = self.verified.iter().filter(|fact| !fact.holds).count();
        println!("\n{table}");
        println!(
            "{} verified, {failed} failed, in {:.1} s",
            self.verified.len() - failed,
            took.as_secs_f64()
        );
        failed == 0
    }

    fn mark(&self, holds: bool) -> &'static str {
        match (holds, self.colour) {
            (true, true) => "\x1b[32m✓\x1b[0m",
            (false, true) => "\x1b[31m✗\x1b[0m",
            (true, false) => "✓",
            (false, false) => "✗",
        }
    }

    fn bold(&self, text: &str) -> String {
        if self.colour { format!("\x1b[1m{text}\x1b[0m") } else { text.to_owned() }
    }
}

/// Prints one line of explanation.
pub(crate) fn say(text: &str) {
    println!("   {text}");
}

/// The command line without the directories of the program.
fn typed(command: &Command) -> String {
    let line = command::line(command);
    let (program, arguments) = line.split_once(' ').unwrap_or((&line, ""));
    let name = program.rsplit('/').next().unwrap_or(program);
    format!("{name} {arguments}").trim_end().to_owned()
}
