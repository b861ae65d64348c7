//! The gateway's interfaces: what the operator names, and what the kernel says of them.

use std::net::IpAddr;
use std::str::FromStr;

use crate::model::Mac;

/// An interface as named on the command line: `eth1`, or `eth1=provider-a`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InterfaceArgument {
    /// The interface.
    pub name: String,
    /// The only provider whose networks are reached by it.
    pub provider: Option<String>,
}

impl FromStr for InterfaceArgument {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (name, provider) = match text.split_once('=') {
            Some((name, provider)) => (name, Some(provider)),
            None => (text, None),
        };
        if name.is_empty() || provider == Some("") {
            return Err("expected IF or IF=PROVIDER, e.g. eth1 or eth1=on-prem".to_owned());
        }
        Ok(Self { name: name.to_owned(), provider: provider.map(str::to_owned) })
    }
}

/// An interface that is a network's port, as named on the command line: `veth1=lab`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PortArgument {
    /// The interface.
    pub name: String,
    /// The network whose frames it carries.
    pub network: String,
}

impl FromStr for PortArgument {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.split_once('=') {
            Some((name, network)) if !name.is_empty() && !network.is_empty() => {
                Ok(Self { name: name.to_owned(), network: network.to_owned() })
            }
            _ => Err("expected IF=NETWORK, e.g. veth1=lab".to_owned()),
        }
    }
}

/// An interface as the kernel describes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Link {
    /// Its name now.
    pub name: String,
    /// Its MAC.
    pub mac: Mac,
    /// Largest IP packet it takes, bytes.
    pub mtu: u32,
    /// Administratively up, with carrier.
    pub is_up: bool,
    /// Its own addresses, IPv4 before IPv6, in each the oldest first. No IPv6 address that is
    /// link-local, or not (yet) known to be its alone.
    pub addresses: Vec<IpAddr>,
    /// VLAN devices on it, one or two tags deep, that are up.
    pub vlans: Vec<SubInterface>,
}

/// A VLAN device on one of the gateway's interfaces. XDP runs on the interface below, so it sees
/// this device's packets with their tags.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SubInterface {
    /// Its index.
    pub ifindex: u32,
    /// Its name now.
    pub name: String,
    /// The tags of its packets on the wire, the outermost first; at most [`Tag::MOST`].
    pub tags: Vec<Tag>,
    /// Its addresses, chosen and ordered as [`Link::addresses`].
    pub addresses: Vec<IpAddr>,
}

/// A VLAN tag, IEEE 802.1Q.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Tag {
    /// Its `EtherType`: 0x8100 for 802.1Q, 0x88a8 for 802.1ad.
    pub tpid: u16,
    /// The VLAN's number.
    pub vlan_id: u16,
}

impl Tag {
    /// Tags that the gateway can put on a frame, or take off it.
    pub const MOST: usize = 2;
}
