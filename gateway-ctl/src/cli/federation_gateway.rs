//! `isthmus gateway create`, `get`, `list` and `delete`: gateways as the federation knows them.

use std::net::IpAddr;

use clap::{Args, Subcommand};

use super::{
    Global,
    objects::{self, Columns, join},
};
use crate::{
    api,
    model::{DEFAULT_GENEVE_PORT, DEFAULT_PROVIDER, Gateway, Kind, Object, Spec, address},
};

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Declare a gateway that does not exist yet, for networks that are behind it
    Create(Create),
    /// Show one declared gateway
    #[command(after_help = "Examples:
  isthmus gateway get gw-b
  isthmus gateway get gw-b -o yaml > gw-b.yaml")]
    Get {
        /// The gateway's name
        name: String,
    },
    /// Show all declared gateways
    #[command(after_help = "Examples:
  isthmus gateway list
  isthmus gateway list -o json")]
    List,
    /// Remove a gateway that no network is behind any more
    #[command(after_help = "Examples:
  isthmus gateway delete gw-b
  isthmus gateway delete gw-b --version 3")]
    Delete {
        /// The gateway's name
        name: String,
        /// Only if it is at this version
        #[arg(long, value_name = "N")]
        version: Option<u64>,
    },
}

#[derive(Debug, Args)]
#[command(after_help = "Examples:
  isthmus gateway create gw-b --address 192.0.2.9
  isthmus gateway create gw-b --address 192.0.2.9,2001:db8::9 --udp-port 7081")]
pub(super) struct Create {
    /// Unique among gateways: lower-case letters, digits, '-' and '.'
    name: String,
    /// Who owns the underlay that its addresses are on
    #[arg(long, value_name = "NAME", default_value = DEFAULT_PROVIDER)]
    provider: String,
    /// A tunnel address that other gateways send to and accept from; up to 4, IPv4 or IPv6
    #[arg(long = "address", value_name = "ADDRESS", required = true, value_delimiter = ',', value_parser = address::underlay)]
    addresses: Vec<IpAddr>,
    /// UDP port on which it listens for other gateways, with Geneve
    #[arg(long, value_name = "PORT", default_value_t = DEFAULT_GENEVE_PORT, value_parser = clap::value_parser!(u16).range(1..))]
    udp_port: u16,
}

impl Create {
    fn into_gateway(self) -> api::FederationGateway {
        api::FederationGateway {
            name: self.name,
            provider: self.provider,
            addresses: self.addresses.iter().map(ToString::to_string).collect(),
            udp_port: self.udp_port.into(),
        }
    }
}

const COLUMNS: Columns =
    Columns { kind: Kind::Gateway, header: &["NAME", "PROVIDER", "ADDRESSES", "UDP PORT", "VERSION"], row };

fn row(object: &Object) -> Vec<String> {
    let Spec::Gateway(gateway) = &object.spec else { return Vec::new() };
    vec![
        gateway.name.clone(),
        gateway.provider.clone(),
        join(&gateway.addresses),
        gateway.udp_port.to_string(),
        object.metadata.version.to_string(),
    ]
}

impl Command {
    pub(super) async fn run(self, global: &Global) -> anyhow::Result<()> {
        match self {
            Self::Create(create) => {
                let gateway = Gateway::try_from(create.into_gateway());
                objects::create(global, gateway.map(Spec::Gateway)).await
            }
            Self::Get { name } => objects::get(global, &COLUMNS, &name).await,
            Self::List => objects::list(global, &COLUMNS).await,
            Self::Delete { name, version } => objects::delete(global, Kind::Gateway, &name, version).await,
        }
    }
}
