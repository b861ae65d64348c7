//! What commands print.
//!
//! Results go to standard output through here and nowhere else, so that a reader who leaves early
//! (`| head`) is an ordinary error instead of a panic.

use std::io::{self, Write as _};

use clap::ValueEnum;
use comfy_table::{ContentArrangement, Table, presets};
use serde::Serialize;

/// How results look.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// For people
    #[default]
    Table,
    /// For machines
    Json,
    /// As a manifest, where objects are shown
    Yaml,
}

/// Writes text to standard output as it is.
///
/// # Errors
/// What the system says, e.g. that nobody reads any more.
pub fn print(text: &str) -> io::Result<()> {
    let mut stdout = io::stdout().lock();
    stdout.write_all(text.as_bytes())?;
    stdout.flush()
}

/// Writes a value in the chosen format; `table` makes the text for people.
///
/// # Errors
/// If it can't be written.
pub fn show<T: Serialize>(format: Format, value: &T, table: impl FnOnce(&T) -> String) -> anyhow::Result<()> {
    let text = match format {
        Format::Table => table(value),
        Format::Json => format!("{}\n", serde_json::to_string_pretty(value)?),
        Format::Yaml => serde_saphyr::to_string(value)?,
    };
    Ok(print(&text)?)
}

/// Columns without borders, like kubectl's.
#[must_use]
pub fn table(header: &[&str], rows: impl IntoIterator<Item = Vec<String>>) -> String {
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_content_arrangement(ContentArrangement::Disabled);
    table.set_header(header.iter().map(ToString::to_string).collect::<Vec<_>>());
    table.add_rows(rows);
    for column in table.column_iter_mut() {
        column.set_padding((0, 3));
    }
    lines(table.lines().map(|line| line.trim_end().to_owned()))
}

/// Each of them ended by a newline.
#[must_use]
pub fn lines(lines: impl IntoIterator<Item = String>) -> String {
    lines.into_iter().fold(String::new(), |text, line| text + &line + "\n")
}

/// Writes an error to standard error, where it can't be helped if nobody reads. Each line of it
/// says whose it is.
pub fn complain(message: &str) {
    let text = lines(message.lines().map(|line| format!("isthmus: {line}")));
    let _ = io::stderr().lock().write_all(text.as_bytes());
}
