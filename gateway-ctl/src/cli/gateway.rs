//! `isthmus gateway`

use std::time::Duration;

use anyhow::Context as _;
use clap::{Args, Subcommand, ValueEnum};

use super::{
    Global, endpoints, federation_gateway,
    logs::{self, LogFormat},
    stop,
};
use crate::gateway::{
    dataplane::Mode,
    interface::{InterfaceArgument, PortArgument},
    learned::Bounds,
    run::{self, Options},
};

#[derive(Debug, Subcommand)]
#[command(after_help = "Examples:
  isthmus gateway run --interface eth1 --interface eth2
  isthmus gateway endpoints
  isthmus gateway create gw-b --address 192.0.2.9
  isthmus gateway list")]
pub(super) enum Command {
    /// Attach to interfaces and translate between networks until told to end
    Run(Run),
    /// Where this host's gateway has learned that addresses live
    Endpoints(endpoints::Endpoints),
    #[command(flatten)]
    Declared(federation_gateway::Command),
}

#[derive(Debug, Args)]
#[command(after_help = "Examples:
  isthmus gateway run --interface eth1 --interface eth2
  isthmus gateway run --interface eth1=on-prem --interface eth2=cloud-a --broker http://127.0.0.1:6190
  isthmus gateway run --name gw-a --interface eth1 --port veth-lab=lab

It detaches when it ends, on SIGTERM or Ctrl-C; if it is killed, the kernel detaches for it.")]
pub(super) struct Run {
    /// An underlay interface; with =PROVIDER, the only one by which that provider's networks are reached
    #[arg(short, long = "interface", value_name = "IF[=PROVIDER]", required_unless_present = "ports")]
    interfaces: Vec<InterfaceArgument>,
    /// An interface that belongs to one network and carries its plain frames
    #[arg(long = "port", value_name = "IF=NETWORK")]
    ports: Vec<PortArgument>,
    /// This gateway's name: networks whose `gateway` it is are its own, those of others it reaches through them [default: the host's name]
    #[arg(long, value_name = "NAME")]
    name: Option<String>,
    /// Endpoints learned from traffic that one network can have
    #[arg(long, value_name = "N", default_value_t = 4096, value_parser = clap::value_parser!(u32).range(1..=65_536))]
    max_learned: u32,
    /// Seconds after which an endpoint that was learned and is not seen any more is forgotten
    #[arg(long, value_name = "SECONDS", default_value_t = 300, value_parser = clap::value_parser!(u64).range(1..=86_400))]
    learned_age: u64,
    /// Where XDP runs; never chosen silently
    #[arg(long, value_enum, default_value_t)]
    xdp_mode: XdpMode,
    /// Room for this many mappings
    #[arg(long, value_name = "N", default_value_t = 16_384, value_parser = clap::value_parser!(u32).range(1..=4_000_000))]
    max_mappings: u32,
    /// How log lines on standard error look
    #[arg(long, value_enum, default_value_t)]
    log_format: LogFormat,
}

#[derive(Clone, Copy, Debug, Default, ValueEnum)]
enum XdpMode {
    /// In the driver
    #[default]
    Native,
    /// After the driver, many times slower; for interfaces whose driver lacks XDP
    Generic,
}

impl Command {
    pub(super) async fn run(self, global: &Global) -> anyhow::Result<()> {
        let options = match self {
            Self::Run(options) => options,
            Self::Endpoints(command) => return command.run(global).await,
            Self::Declared(command) => return command.run(global).await,
        };
        logs::start(options.log_format);
        let stop = stop::on_signal()?;
        let options = Options {
            name: options.name.map_or_else(host_name, Ok)?,
            interfaces: options.interfaces,
            ports: options.ports,
            broker: global.broker.clone(),
            socket: global.socket.clone(),
            mode: match options.xdp_mode {
                XdpMode::Native => Mode::Native,
                XdpMode::Generic => Mode::Generic,
            },
            max_mappings: options.max_mappings,
            learning: Bounds {
                per_network: options.max_learned as usize,
                age: Duration::from_secs(options.learned_age),
            },
        };
        Ok(run::run(options, stop).await?)
    }
}

fn host_name() -> anyhow::Result<String> {
    let name = nix::unistd::gethostname().context("ask for the host's name")?;
    name.into_string().map_err(|name| {
        anyhow::anyhow!("the host's name {} is not text; give one with --name", name.display())
    })
}
