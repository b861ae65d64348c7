//! The command line: one file a noun.

mod apply;
mod broker;
mod capture;
pub mod client;
mod counters;
mod endpoints;
mod events;
mod federation_gateway;
mod gateway;
pub mod logs;
mod mapping;
mod network;
mod objects;
pub mod output;
mod resource;
mod socket;
mod status;
mod stop;
mod trace;

use std::{io, path::PathBuf, process::ExitCode};

use clap::{Args, Parser, Subcommand};

use self::output::Format;

/// Joins virtual networks that were built apart.
#[derive(Debug, Parser)]
#[command(
    name = "isthmus",
    version,
    max_term_width = 110,
    after_help = "Examples:
  isthmus broker run --state /var/lib/isthmus/broker.redb
  isthmus apply -f networks.yaml -f mappings.yaml
  isthmus gateway run --interface eth1 --interface eth2
  isthmus mapping create --from red --to blue --allow inference=connect
  isthmus counters -o json

Exit codes: 0 done, 1 refused or failed, 2 wrong usage."
)]
pub struct Cli {
    #[command(flatten)]
    global: Global,
    #[command(subcommand)]
    command: Command,
}

/// What every command understands.
#[derive(Clone, Debug, Args)]
pub struct Global {
    /// The broker to talk to
    #[arg(
        long,
        global = true,
        env = "ISTHMUS_BROKER",
        value_name = "URL",
        default_value = "http://127.0.0.1:6190"
    )]
    pub broker: String,
    /// The local socket of the gateway to talk to
    #[arg(
        long,
        global = true,
        env = "ISTHMUS_GATEWAY_SOCKET",
        value_name = "PATH",
        default_value = "/run/isthmus/gateway.sock"
    )]
    pub socket: PathBuf,
    /// How to print results
    #[arg(short, long, global = true, value_enum, default_value_t)]
    pub output: Format,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Virtual networks: where they run and where their addresses live
    #[command(subcommand)]
    Network(network::Command),
    /// Things in a network that others may be given access to
    #[command(subcommand)]
    Resource(resource::Command),
    /// Who in a source network may reach what in a destination network
    #[command(subcommand)]
    Mapping(mapping::Command),
    /// Declare everything that manifests hold, in one step or not at all
    Apply(apply::Apply),
    /// How the broker and this host's gateway are doing
    Status(status::Status),
    /// How many packets this host's gateway has passed, dropped and forwarded, and why
    Counters(counters::Counters),
    /// Packets that this host's gateway has rejected
    Events(events::Events),
    /// What the gateway would do with the frames of a capture
    Trace(trace::Trace),
    /// The service that owns gateways, networks, resources and mappings
    #[command(subcommand)]
    Broker(broker::Command),
    /// The program that translates packets on this host, and the gateways that networks are behind
    #[command(subcommand)]
    Gateway(gateway::Command),
}

impl Cli {
    /// Runs the command and reports its failure, if any, on standard error.
    pub async fn run(self) -> ExitCode {
        let global = &self.global;
        let result = match self.command {
            Command::Network(command) => command.run(global).await,
            Command::Resource(command) => command.run(global).await,
            Command::Mapping(command) => command.run(global).await,
            Command::Apply(command) => command.run(global).await,
            Command::Status(command) => command.run(global).await,
            Command::Counters(command) => command.run(global).await,
            Command::Events(command) => command.run(global).await,
            Command::Trace(command) => command.run(global).await,
            Command::Broker(command) => command.run().await,
            Command::Gateway(command) => command.run(global).await,
        };
        match result {
            Ok(()) => ExitCode::SUCCESS,
            // Whoever reads our output has seen enough: nothing to complain about.
            Err(error) if is_broken_pipe(&error) => ExitCode::SUCCESS,
            Err(error) => {
                output::complain(&format!("{error:#}"));
                ExitCode::FAILURE
            }
        }
    }
}

fn is_broken_pipe(error: &anyhow::Error) -> bool {
    error.downcast_ref::<io::Error>().is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe)
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::Cli;

    #[test]
    fn every_command_shows_examples_in_its_help() {
        fn check(command: &clap::Command, path: &str) {
            let path = format!("{path} {}", command.get_name());
            let help = command.get_after_help().map(ToString::to_string).unwrap_or_default();
            assert!(help.starts_with("Examples:\n  isthmus "), "{path} has no examples");
            for sub in command.get_subcommands().filter(|sub| sub.get_name() != "help") {
                check(sub, &path);
            }
        }
        let command = Cli::command();
        command.clone().debug_assert();
        check(&command, "");
    }
}
