//! `isthmus network`

use std::net::IpAddr;

use clap::{Args, Subcommand};
use ipnet::IpNet;

use super::{
    Global,
    objects::{self, Columns, join},
};
use crate::{
    api,
    model::{DEFAULT_PROVIDER, EncapsulationKind, Kind, Mac, Network, Object, Spec, Unchecked, address},
};

#[derive(Debug, Subcommand)]
#[command(after_help = "Examples:
  isthmus network create red --vni 42 --prefix 10.0.0.0/24 --endpoint 10.0.0.10=192.0.2.10
  isthmus network list
  isthmus network get red -o yaml
  isthmus network delete red")]
pub(super) enum Command {
    /// Declare a network that does not exist yet
    Create(Create),
    /// Show one network
    #[command(after_help = "Examples:
  isthmus network get red
  isthmus network get red -o yaml > red.yaml")]
    Get {
        /// The network's name
        name: String,
    },
    /// Show all networks
    #[command(after_help = "Examples:
  isthmus network list
  isthmus network list -o json")]
    List,
    /// Remove a network that nothing uses any more
    #[command(after_help = "Examples:
  isthmus network delete red
  isthmus network delete red --version 3")]
    Delete {
        /// The network's name
        name: String,
        /// Only if it is at this version
        #[arg(long, value_name = "N")]
        version: Option<u64>,
    },
}

#[derive(Debug, Args)]
#[command(after_help = "Examples:
  isthmus network create red --vni 42 --prefix 10.0.0.0/24 --endpoint 10.0.0.10=192.0.2.10
  isthmus network create blue --vni 77 --provider on-prem --prefix 10.0.0.0/24 --prefix fd00::/64 \\
      --gateway-address 10.0.0.1 --endpoint 10.0.0.20=192.0.2.20,02:00:00:00:00:20
  isthmus network create green --encapsulation geneve --vni 42 --prefix 10.0.0.0/24")]
pub(super) struct Create {
    /// Unique: lower-case letters, digits, '-' and '.'
    name: String,
    /// Who owns the underlay it runs on
    #[arg(long, default_value = DEFAULT_PROVIDER)]
    provider: String,
    /// How its frames travel: vxlan or geneve
    #[arg(long, default_value_t = EncapsulationKind::Vxlan)]
    encapsulation: EncapsulationKind,
    /// Its number on the wire, 1 to 16777215, outside the broker's label range
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=0x00ff_ffff))]
    vni: u32,
    /// Destination port of its encapsulation [default: 4789 for vxlan, 6081 for geneve]
    #[arg(long, value_name = "PORT", value_parser = clap::value_parser!(u16).range(1..))]
    udp_port: Option<u16>,
    /// A prefix that belongs to it; may be repeated
    #[arg(long = "prefix", value_name = "PREFIX", required = true, value_delimiter = ',', value_parser = address::prefix)]
    prefixes: Vec<IpNet>,
    /// The gateway's own address inside it
    #[arg(long, value_name = "ADDRESS", value_parser = address::unicast)]
    gateway_address: Option<IpAddr>,
    /// Where an inner address lives; may be repeated
    #[arg(long = "endpoint", value_name = "ADDRESS=VTEP[,MAC]", value_parser = endpoint)]
    endpoints: Vec<api::Endpoint>,
}

fn endpoint(text: &str) -> Result<api::Endpoint, String> {
    let (address, rest) =
        text.split_once('=').ok_or("write ADDRESS=VTEP or ADDRESS=VTEP,MAC, e.g. 10.0.0.10=192.0.2.10")?;
    let (vtep, mac) = match rest.split_once(',') {
        Some((vtep, mac)) => (vtep, Some(mac.parse::<Mac>().map_err(|error| error.to_string())?)),
        None => (rest, None),
    };
    Ok(api::Endpoint {
        address: address::unicast(address)?.to_string(),
        mac: mac.map_or_else(String::new, |mac| mac.to_string()),
        vtep: address::underlay(vtep)?.to_string(),
        ovn_port: 0,
    })
}

impl Create {
    fn into_network(self) -> api::Network {
        api::Network {
            name: self.name,
            provider: self.provider,
            encapsulation: Some(self.encapsulation.unchecked(Unchecked {
                vni: self.vni,
                udp_port: self.udp_port.unwrap_or_default().into(),
                ..Unchecked::default()
            })),
            prefixes: self.prefixes.iter().map(ToString::to_string).collect(),
            gateway_address: self.gateway_address.map_or_else(String::new, |address| address.to_string()),
            endpoints: self.endpoints,
            learning: false,
            gateway: String::new(),
        }
    }
}

const COLUMNS: Columns = Columns {
    kind: Kind::Network,
    header: &["NAME", "PROVIDER", "ENCAPSULATION", "VNI", "PREFIXES", "GATEWAY", "ENDPOINTS", "VERSION"],
    row,
};

fn row(object: &Object) -> Vec<String> {
    let Spec::Network(network) = &object.spec else { return Vec::new() };
    vec![
        network.name.clone(),
        network.provider.clone(),
        network.encapsulation.name().to_owned(),
        join(network.encapsulation.vni()),
        join(&network.prefixes),
        join(network.gateway_address),
        network.endpoints.len().to_string(),
        object.metadata.version.to_string(),
    ]
}

impl Command {
    pub(super) async fn run(self, global: &Global) -> anyhow::Result<()> {
        match self {
            Self::Create(create) => {
                let network = Network::try_from(create.into_network());
                objects::create(global, network.map(Spec::Network)).await
            }
            Self::Get { name } => objects::get(global, &COLUMNS, &name).await,
            Self::List => objects::list(global, &COLUMNS).await,
            Self::Delete { name, version } => objects::delete(global, Kind::Network, &name, version).await,
        }
    }
}
