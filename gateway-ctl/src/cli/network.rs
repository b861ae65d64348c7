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
    model::{
        DEFAULT_PROVIDER, Encapsulation, EncapsulationField, EncapsulationKind, GroupPolicy, Kind, Mac,
        Network, Object, Spec, Unchecked, Violations, address, ovn_port,
    },
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
  isthmus network create green --encapsulation geneve --vni 42 --prefix 10.0.0.0/24
  isthmus network create tan --vni 42 --udp-port 4790 --group-policy keep --gateway gw-b \\
      --prefix 10.2.0.0/24
  isthmus network create ovn --encapsulation geneve --vni 5 --ovn-port 3 --prefix 10.3.0.0/24 \\
      --endpoint 10.3.0.10=192.0.2.30,ovn-port=5
  isthmus network create floor --encapsulation vlan --vlan-id 100 --prefix 10.4.0.0/24 --learning
  isthmus network create desk --encapsulation port --prefix 10.5.0.0/24 --endpoint 10.5.0.10")]
pub(super) struct Create {
    /// Unique: lower-case letters, digits, '-' and '.'
    name: String,
    /// Who owns the underlay it runs on
    #[arg(long, default_value = DEFAULT_PROVIDER)]
    provider: String,
    /// How its frames travel: vxlan, geneve, vlan or port
    #[arg(long, default_value_t = EncapsulationKind::Vxlan)]
    encapsulation: EncapsulationKind,
    /// With vxlan and geneve: its number on the wire, 1 to 16777215, outside the broker's label range
    #[arg(
        long,
        required_unless_present("encapsulation"),
        required_if_eq_any([("encapsulation", "vxlan"), ("encapsulation", "geneve")]),
        value_parser = clap::value_parser!(u32).range(1..=0x00ff_ffff),
    )]
    vni: Option<u32>,
    /// With vxlan and geneve: destination port [default: 4789 for vxlan, 6081 for geneve]
    #[arg(long, value_name = "PORT", value_parser = clap::value_parser!(u16).range(1..))]
    udp_port: Option<u16>,
    /// With vxlan: packets carry a group, the one they came with (keep) or this one (1 to 65535)
    #[arg(long, value_name = "keep|GROUP")]
    group_policy: Option<GroupPolicy>,
    /// With geneve: it is an OVN logical datapath, where the gateway's own port has this tunnel key
    #[arg(long, value_name = "KEY", value_parser = ovn_port_argument)]
    ovn_port: Option<u16>,
    /// With vlan: its VLAN on the interface bound to the provider, 1 to 4094
    #[arg(
        long,
        value_name = "VLAN",
        required_if_eq("encapsulation", "vlan"),
        value_parser = clap::value_parser!(u16).range(1..=4094),
    )]
    vlan_id: Option<u16>,
    /// Learn endpoints from traffic besides the declared ones
    #[arg(long)]
    learning: bool,
    /// The declared gateway it is behind
    #[arg(long, value_name = "NAME")]
    gateway: Option<String>,
    /// A prefix that belongs to it; may be repeated
    #[arg(long = "prefix", value_name = "PREFIX", required = true, value_delimiter = ',', value_parser = address::prefix)]
    prefixes: Vec<IpNet>,
    /// The gateway's own address inside it
    #[arg(long, value_name = "ADDRESS", value_parser = address::unicast)]
    gateway_address: Option<IpAddr>,
    /// An inner address and where it lives: with vxlan and geneve, behind which VTEP; in an OVN network, on
    /// which logical port; may be repeated
    #[arg(long = "endpoint", value_name = "ADDRESS[=VTEP][,MAC][,ovn-port=KEY]", value_parser = endpoint)]
    endpoints: Vec<api::Endpoint>,
}

fn ovn_port_argument(text: &str) -> Result<u16, String> {
    ovn_port(text.parse().map_err(|_| "write the key as a number, 1 to 32767".to_owned())?)
}

fn endpoint(text: &str) -> Result<api::Endpoint, String> {
    let mut parts = text.split(',');
    let place = parts.next().unwrap_or_default();
    let (address, vtep) = match place.split_once('=') {
        Some((address, vtep)) => (address, address::underlay(vtep)?.to_string()),
        None => (place, String::new()),
    };
    let mut endpoint =
        api::Endpoint { address: address::unicast(address)?.to_string(), vtep, ..api::Endpoint::default() };
    for part in parts {
        match part.strip_prefix("ovn-port=") {
            Some(key) if endpoint.ovn_port == 0 => endpoint.ovn_port = ovn_port_argument(key)?.into(),
            None if endpoint.mac.is_empty() => {
                endpoint.mac = part.parse::<Mac>().map_err(|error| error.to_string())?.to_string();
            }
            _ => return Err(format!("{part} is one too many; an endpoint has one MAC and one ovn-port")),
        }
    }
    Ok(endpoint)
}

impl Create {
    fn into_network(self) -> Result<api::Network, Violations> {
        let mut wrong = Violations::default();
        for field in EncapsulationField::ALL {
            if self.gives(field) && !field.belongs_to(self.encapsulation) {
                wrong.add(field.name(), field.foreign_to(self.encapsulation));
            }
        }
        let encapsulation = self.encapsulation.unchecked(Unchecked {
            vni: self.vni.unwrap_or_default(),
            udp_port: self.udp_port.unwrap_or_default().into(),
            group_policy: self.group_policy.map(GroupPolicy::to_wire),
            ovn_port: self.ovn_port.unwrap_or_default().into(),
            vlan_id: self.vlan_id.unwrap_or_default().into(),
        });
        wrong.into_result(api::Network {
            name: self.name,
            provider: self.provider,
            encapsulation: Some(encapsulation),
            prefixes: self.prefixes.iter().map(ToString::to_string).collect(),
            gateway_address: self.gateway_address.map_or_else(String::new, |address| address.to_string()),
            endpoints: self.endpoints,
            learning: self.learning,
            gateway: self.gateway.unwrap_or_default(),
        })
    }

    const fn gives(&self, field: EncapsulationField) -> bool {
        match field {
            EncapsulationField::Vni => self.vni.is_some(),
            EncapsulationField::UdpPort => self.udp_port.is_some(),
            EncapsulationField::GroupPolicy => self.group_policy.is_some(),
            EncapsulationField::OvnPort => self.ovn_port.is_some(),
            EncapsulationField::VlanId => self.vlan_id.is_some(),
        }
    }
}

const COLUMNS: Columns = Columns {
    kind: Kind::Network,
    header: &[
        "NAME",
        "PROVIDER",
        "ENCAPSULATION",
        "VNI",
        "VLAN",
        "PREFIXES",
        "GATEWAY ADDRESS",
        "BEHIND",
        "ENDPOINTS",
        "VERSION",
    ],
    row,
};

fn row(object: &Object) -> Vec<String> {
    let Spec::Network(network) = &object.spec else { return Vec::new() };
    let declared = network.endpoints.len();
    vec![
        network.name.clone(),
        network.provider.clone(),
        encapsulation(&network.encapsulation),
        join(network.encapsulation.vni()),
        join(network.encapsulation.vlan_id()),
        join(&network.prefixes),
        join(network.gateway_address),
        join(network.gateway.as_ref()),
        if network.learning { format!("{declared}+learned") } else { declared.to_string() },
        object.metadata.version.to_string(),
    ]
}

/// Its name, with what makes it another encapsulation on the wire.
fn encapsulation(encapsulation: &Encapsulation) -> String {
    let name = encapsulation.name();
    match (encapsulation.group_policy(), encapsulation.ovn_port()) {
        (Some(policy), _) => format!("{name},group={policy}"),
        (None, Some(port)) => format!("{name},ovn-port={port}"),
        (None, None) => name.to_owned(),
    }
}

impl Command {
    pub(super) async fn run(self, global: &Global) -> anyhow::Result<()> {
        match self {
            Self::Create(create) => {
                let network = create.into_network().and_then(Network::try_from);
                objects::create(global, network.map(Spec::Network)).await
            }
            Self::Get { name } => objects::get(global, &COLUMNS, &name).await,
            Self::List => objects::list(global, &COLUMNS).await,
            Self::Delete { name, version } => objects::delete(global, Kind::Network, &name, version).await,
        }
    }
}
