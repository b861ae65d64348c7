//! The gateway's interfaces: what the operator names, and what the kernel says of them.

use std::net::{IpAddr, Ipv4Addr};
use std::str::FromStr;

use futures::TryStreamExt as _;
use netlink_packet_route::address::AddressAttribute;
use netlink_packet_route::link::{LinkAttribute, LinkFlags};
use rtnetlink::Handle;

use super::next_hop::NetlinkError;
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
    /// Its IPv4 addresses, the oldest first.
    pub addresses: Vec<Ipv4Addr>,
}

/// The interface of this index; `None` if it is gone.
///
/// # Errors
/// If netlink fails.
pub async fn link(handle: &Handle, ifindex: u32) -> Result<Option<Link>, NetlinkError> {
    let failed = |error| NetlinkError::Request { act: format!("ask for interface {ifindex}"), error };
    let message = match handle.link().get().match_index(ifindex).execute().try_next().await {
        Ok(Some(message)) => message,
        Ok(None) | Err(rtnetlink::Error::NetlinkError(_)) => return Ok(None),
        Err(error) => return Err(failed(error)),
    };
    let mut link = Link {
        name: String::new(),
        mac: Mac([0; 6]),
        mtu: 0,
        is_up: message.header.flags.contains(LinkFlags::Up | LinkFlags::LowerUp),
        addresses: Vec::new(),
    };
    for attribute in message.attributes {
        match attribute {
            LinkAttribute::IfName(name) => link.name = name,
            LinkAttribute::Address(bytes) => {
                link.mac = Mac(<[u8; 6]>::try_from(bytes.as_slice()).unwrap_or_default());
            }
            LinkAttribute::Mtu(mtu) => link.mtu = mtu,
            _ => {}
        }
    }
    let mut addresses = handle.address().get().set_link_index_filter(ifindex).execute();
    while let Some(message) = addresses.try_next().await.map_err(failed)? {
        for attribute in message.attributes {
            if let AddressAttribute::Local(IpAddr::V4(address)) = attribute {
                link.addresses.push(address);
            }
        }
    }
    Ok(Some(link))
}

/// An interface's name, or its index where it has gone.
///
/// # Errors
/// If netlink fails.
pub async fn name(handle: &Handle, ifindex: u32) -> Result<String, NetlinkError> {
    Ok(link(handle, ifindex).await?.map_or_else(|| format!("interface {ifindex}"), |link| link.name))
}
