//! The `isthmus` command.

use std::process::ExitCode;

use clap::Parser as _;
use isthmus::cli::Cli;

#[tokio::main]
async fn main() -> ExitCode {
    Cli::parse().run().await
}
