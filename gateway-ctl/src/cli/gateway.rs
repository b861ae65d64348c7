//! `isthmus gateway`

use clap::{Args, Subcommand, ValueEnum};

use super::{
    Global, federation_gateway,
    logs::{self, LogFormat},
    stop,
};
use crate::gateway::{
    dataplane::Mode,
    interface::InterfaceArgument,
    run::{self, Options},
};

#[derive(Debug, Subcommand)]
#[command(after_help = "Examples:
  isthmus gateway run --interface eth1 --interface eth2
  isthmus gateway create gw-b --address 192.0.2.9
  isthmus gateway list")]
pub(super) enum Command {
    /// Attach to interfaces and translate between networks until told to end
    Run(Run),
    #[command(flatten)]
    Declared(federation_gateway::Command),
}

#[derive(Debug, Args)]
#[command(after_help = "Examples:
  isthmus gateway run --interface eth1 --interface eth2
  isthmus gateway run --interface eth1=on-prem --interface eth2=cloud-a --broker http://127.0.0.1:6190

It detaches when it ends, on SIGTERM or Ctrl-C; if it is killed, the kernel detaches for it.")]
pub(super) struct Run {
    /// An underlay interface; with =PROVIDER, the only one by which that provider's networks are reached
    #[arg(short, long = "interface", value_name = "IF[=PROVIDER]", required = true)]
    interfaces: Vec<InterfaceArgument>,
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
            Self::Declared(command) => return command.run(global).await,
        };
        logs::start(options.log_format);
        let stop = stop::on_signal()?;
        let options = Options {
            interfaces: options.interfaces,
            broker: global.broker.clone(),
            socket: global.socket.clone(),
            mode: match options.xdp_mode {
                XdpMode::Native => Mode::Native,
                XdpMode::Generic => Mode::Generic,
            },
            max_mappings: options.max_mappings,
        };
        Ok(run::run(options, stop).await?)
    }
}
