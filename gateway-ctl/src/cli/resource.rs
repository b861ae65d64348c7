//! `isthmus resource`

use std::net::IpAddr;

use clap::{Args, Subcommand};

use super::{
    Global,
    objects::{self, Columns, join},
};
use crate::{
    api,
    model::{Kind, Object, PortRange, Protocol, Resource, Spec, address},
};

#[derive(Debug, Subcommand)]
#[command(after_help = "Examples:
  isthmus resource create inference --network blue --address 10.0.0.20 --protocol tcp --ports 8080
  isthmus resource list
  isthmus resource delete inference")]
pub(super) enum Command {
    /// Declare a resource that does not exist yet
    Create(Create),
    /// Show one resource
    #[command(after_help = "Examples:
  isthmus resource get inference
  isthmus resource get inference -o yaml > inference.yaml")]
    Get {
        /// The resource's identifier
        resource_id: String,
    },
    /// Show all resources
    #[command(after_help = "Examples:
  isthmus resource list
  isthmus resource list -o json")]
    List,
    /// Remove a resource that no mapping lists any more
    #[command(after_help = "Examples:
  isthmus resource delete inference
  isthmus resource delete inference --version 3")]
    Delete {
        /// The resource's identifier
        resource_id: String,
        /// Only if it is at this version
        #[arg(long, value_name = "N")]
        version: Option<u64>,
    },
}

#[derive(Debug, Args)]
#[command(after_help = "Examples:
  isthmus resource create inference --network blue --address 10.0.0.20
  isthmus resource create web --network blue --address 10.0.0.20,10.0.0.21 --protocol tcp --ports 80,8000-8100")]
pub(super) struct Create {
    /// Unique: lower-case letters, digits, '-' and '.'
    resource_id: String,
    /// The network its addresses belong to
    #[arg(long)]
    network: String,
    /// An inner address that has an endpoint in the network, or gets one by learning; may be repeated
    #[arg(long = "address", value_name = "ADDRESS", required = true, value_delimiter = ',', value_parser = address::unicast)]
    addresses: Vec<IpAddr>,
    /// Which traffic belongs to it: any, tcp, udp or icmp
    #[arg(long, default_value_t = Protocol::Any)]
    protocol: Protocol,
    /// Destination ports, e.g. 8080 or 9000-9010; may be repeated; all if left out
    #[arg(long, value_name = "PORTS", value_delimiter = ',')]
    ports: Vec<PortRange>,
}

impl Create {
    fn into_resource(self) -> api::Resource {
        api::Resource {
            resource_id: self.resource_id,
            network: self.network,
            addresses: self.addresses.iter().map(ToString::to_string).collect(),
            protocol: api::Protocol::from(self.protocol).into(),
            ports: self.ports.into_iter().map(Into::into).collect(),
        }
    }
}

const COLUMNS: Columns = Columns {
    kind: Kind::Resource,
    header: &["RESOURCE", "NETWORK", "ADDRESSES", "PROTOCOL", "PORTS", "VERSION"],
    row,
};

fn row(object: &Object) -> Vec<String> {
    let Spec::Resource(resource) = &object.spec else { return Vec::new() };
    vec![
        resource.resource_id.clone(),
        resource.network.clone(),
        join(&resource.addresses),
        resource.protocol.to_string(),
        join(&resource.ports),
        object.metadata.version.to_string(),
    ]
}

impl Command {
    pub(super) async fn run(self, global: &Global) -> anyhow::Result<()> {
        match self {
            Self::Create(create) => {
                let resource = Resource::try_from(create.into_resource());
                objects::create(global, resource.map(Spec::Resource)).await
            }
            Self::Get { resource_id } => objects::get(global, &COLUMNS, &resource_id).await,
            Self::List => objects::list(global, &COLUMNS).await,
            Self::Delete { resource_id, version } => {
                objects::delete(global, Kind::Resource, &resource_id, version).await
            }
        }
    }
}
