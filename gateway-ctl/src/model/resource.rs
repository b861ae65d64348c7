//! What others may be given access to.

use std::{collections::BTreeSet, fmt, net::IpAddr, str::FromStr};

use super::{
    Violations, address, name,
    violation::{did_you_mean, quoted},
};
use crate::api;

/// Something in a network that others may be given access to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Resource {
    /// Unique.
    pub resource_id: String,
    /// Name of the network the addresses belong to.
    pub network: String,
    /// Inner addresses.
    pub addresses: Vec<IpAddr>,
    /// Which traffic belongs to it.
    pub protocol: Protocol,
    /// Destination ports; empty means all. Only with TCP and UDP.
    pub ports: Vec<PortRange>,
}

/// Which traffic belongs to a resource.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Protocol {
    /// All of it.
    Any,
    /// TCP.
    Tcp,
    /// UDP.
    Udp,
    /// ICMP and `ICMPv6`.
    Icmp,
}

/// Ports `first ..= last`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct PortRange {
    /// Smallest, at least 1.
    pub first: u16,
    /// Largest.
    pub last: u16,
}

impl Resource {
    /// Whether some packet to one address can belong to both resources.
    #[must_use]
    pub fn overlaps_traffic_of(&self, other: &Self) -> bool {
        let protocols = self.protocol == other.protocol
            || self.protocol == Protocol::Any
            || other.protocol == Protocol::Any;
        let ports = self.ports.is_empty()
            || other.ports.is_empty()
            || self.ports.iter().any(|ours| other.ports.iter().any(|theirs| ours.overlaps(*theirs)));
        protocols && ports
    }
}

impl Protocol {
    /// All of them, in the contract's order.
    pub const ALL: [Self; 4] = [Self::Any, Self::Tcp, Self::Udp, Self::Icmp];

    /// Whether its packets have ports.
    #[must_use]
    pub const fn has_ports(self) -> bool {
        matches!(self, Self::Tcp | Self::Udp)
    }

    const fn as_str(self) -> &'static str {
        match self {
            Self::Any => "any",
            Self::Tcp => "tcp",
            Self::Udp => "udp",
            Self::Icmp => "icmp",
        }
    }
}

impl fmt::Display for Protocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for Protocol {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Self::ALL.into_iter().find(|protocol| protocol.as_str() == text).ok_or_else(|| {
            let hint = did_you_mean(text, Self::ALL.map(Self::as_str));
            format!("{} is not a protocol; use any, tcp, udp or icmp{hint}", quoted(text))
        })
    }
}

impl From<api::Protocol> for Protocol {
    fn from(wire: api::Protocol) -> Self {
        match wire {
            api::Protocol::Any => Self::Any,
            api::Protocol::Tcp => Self::Tcp,
            api::Protocol::Udp => Self::Udp,
            api::Protocol::Icmp => Self::Icmp,
        }
    }
}

impl From<Protocol> for api::Protocol {
    fn from(protocol: Protocol) -> Self {
        match protocol {
            Protocol::Any => Self::Any,
            Protocol::Tcp => Self::Tcp,
            Protocol::Udp => Self::Udp,
            Protocol::Icmp => Self::Icmp,
        }
    }
}

impl PortRange {
    const fn overlaps(self, other: Self) -> bool {
        self.first <= other.last && other.first <= self.last
    }

    fn new(first: u32, last: u32) -> Result<Self, String> {
        match (u16::try_from(first), u16::try_from(last)) {
            (Ok(first), Ok(last)) if 1 <= first && first <= last => Ok(Self { first, last }),
            (Ok(1..), Ok(1..)) => Err(format!("{first}-{last} runs backwards; did you mean {last}-{first}?")),
            _ => Err(format!(
                "{} is not a port; use 1 to 65535",
                if (1..=65535).contains(&first) { last } else { first }
            )),
        }
    }
}

impl FromStr for PortRange {
    type Err = String;

    /// `8080` or `9000-9010`.
    fn from_str(text: &str) -> Result<Self, String> {
        let number = |part: &str| {
            let digits = !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
            digits.then(|| part.parse::<u32>().unwrap_or(u32::MAX)).ok_or_else(|| {
                format!("{} is neither a port nor a range of ports, e.g. 8080 or 9000-9010", quoted(text))
            })
        };
        let (first, last) = text.split_once('-').unwrap_or((text, text));
        Self::new(number(first.trim())?, number(last.trim())?)
    }
}

impl fmt::Display for PortRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.first == self.last {
            write!(f, "{}", self.first)
        } else {
            write!(f, "{}-{}", self.first, self.last)
        }
    }
}

impl TryFrom<api::Resource> for Resource {
    type Error = Violations;

    fn try_from(wire: api::Resource) -> Result<Self, Violations> {
        let mut wrong = Violations::default();
        wrong.check("resource_id", name::check(&wire.resource_id));
        wrong.check("network", name::check(&wire.network));
        let addresses = addresses(&wire.addresses, &mut wrong);
        let protocol = wrong.check(
            "protocol",
            api::Protocol::try_from(wire.protocol)
                .map_err(|_| format!("{} is not a protocol; use any, tcp, udp or icmp", wire.protocol)),
        );
        let protocol = protocol.map_or(Protocol::Any, Protocol::from);
        let ports = ports(&wire.ports, &mut wrong);
        if !wire.ports.is_empty() && !protocol.has_ports() {
            wrong.add(
                "ports",
                format!("protocol {protocol} has no ports; use tcp or udp, or leave the ports out"),
            );
        }
        wrong.into_result(Self {
            resource_id: wire.resource_id,
            network: wire.network,
            addresses,
            protocol,
            ports,
        })
    }
}

fn addresses(wire: &[String], wrong: &mut Violations) -> Vec<IpAddr> {
    if wire.is_empty() {
        wrong.add("addresses", "is empty; name at least one address of the resource");
    }
    let mut seen = BTreeSet::new();
    let mut addresses = Vec::with_capacity(wire.len());
    for (index, text) in wire.iter().enumerate() {
        let field = format!("addresses[{index}]");
        if let Some(address) = wrong.check(&field, address::unicast(text)) {
            if seen.insert(address) {
                addresses.push(address);
            } else {
                wrong.add(field, format!("{address} is listed twice; remove one"));
            }
        }
    }
    addresses
}

fn ports(wire: &[api::PortRange], wrong: &mut Violations) -> Vec<PortRange> {
    let mut ports: Vec<PortRange> = Vec::with_capacity(wire.len());
    for (index, range) in wire.iter().enumerate() {
        let field = format!("ports[{index}]");
        if let Some(range) = wrong.check(&field, PortRange::new(range.first, range.last)) {
            if let Some(other) = ports.iter().find(|other| other.overlaps(range)) {
                wrong.add(field, format!("{range} overlaps {other}; list a port once"));
            }
            ports.push(range);
        }
    }
    ports
}

impl From<&Resource> for api::Resource {
    fn from(resource: &Resource) -> Self {
        Self {
            resource_id: resource.resource_id.clone(),
            network: resource.network.clone(),
            addresses: resource.addresses.iter().map(ToString::to_string).collect(),
            protocol: api::Protocol::from(resource.protocol).into(),
            ports: resource.ports.iter().map(|&range| range.into()).collect(),
        }
    }
}

impl From<PortRange> for api::PortRange {
    fn from(range: PortRange) -> Self {
        Self { first: range.first.into(), last: range.last.into() }
    }
}

#[cfg(test)]
mod tests {
    use super::{PortRange, Protocol};

    #[test]
    fn ports_are_told_what_would_be_right() {
        assert_eq!("8080".parse(), Ok(PortRange { first: 8080, last: 8080 }));
        assert_eq!("1-65535".parse(), Ok(PortRange { first: 1, last: 65535 }));
        for (text, expected) in [
            ("0", "0 is not a port; use 1 to 65535"),
            ("65536", "65536 is not a port; use 1 to 65535"),
            ("80-70000", "70000 is not a port; use 1 to 65535"),
            ("90-80", "90-80 runs backwards; did you mean 80-90?"),
            ("http", "\"http\" is neither a port nor a range of ports, e.g. 8080 or 9000-9010"),
            ("22:30", "\"22:30\" is neither a port nor a range of ports, e.g. 8080 or 9000-9010"),
        ] {
            assert_eq!(text.parse::<PortRange>().unwrap_err(), expected);
        }
    }

    #[test]
    fn a_protocol_close_to_a_known_one_is_suggested() {
        assert_eq!(
            "TCP".parse::<Protocol>().unwrap_err(),
            "\"TCP\" is not a protocol; use any, tcp, udp or icmp; did you mean tcp?"
        );
    }
}
