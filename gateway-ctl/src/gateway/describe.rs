//! Puts the data plane's numbers into people's words.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::{Duration, SystemTime};

use isthmus_common::address::Address;
use isthmus_common::encapsulation::number;
use isthmus_common::event::Event;
use isthmus_common::id::Label;
use isthmus_common::reason::Reason;
use isthmus_common::rules::Leg;
use isthmus_common::scope::Scope;
use isthmus_common::wire::{EtherType, protocol};
use nix::time::{ClockId, clock_gettime};

use super::install::Installed;
use super::next_hop::Surroundings;
use crate::{api, model::Mac};

/// Whatever has a number and a name.
pub struct Names<'a> {
    /// Mappings.
    pub installed: &'a Installed,
    /// Interfaces.
    pub interfaces: &'a BTreeMap<u32, String>,
}

impl Names<'_> {
    /// An event for people.
    #[must_use]
    pub fn event(&self, event: &Event) -> api::Event {
        let is_ip = matches!(event.inner_ether_type, EtherType::IPV4 | EtherType::IPV6);
        api::Event {
            time_unix_nanos: unix_nanos(event.nanos),
            reason: reason(event.reason),
            interface: self.interface(event.ingress),
            outer_source: address(event.outer_source),
            outer_destination: address(event.outer_destination),
            // A port's frames carry no number.
            vni: if event.encapsulation == number::PORT { 0 } else { event.vni },
            unique_identifier: self.mapping_of(event),
            inner_source: address(event.inner_source),
            inner_destination: address(event.inner_destination),
            inner_protocol: match event.inner_ether_type {
                0 => String::new(),
                EtherType::ARP => "arp".to_owned(),
                _ if is_ip => protocol_name(event.inner_protocol),
                other => format!("0x{other:04x}"),
            },
            inner_source_port: event.inner_source_port.into(),
            inner_destination_port: event.inner_destination_port.into(),
            length: event.length,
        }
    }

    /// An interface's name.
    #[must_use]
    pub fn interface(&self, ifindex: u32) -> String {
        match (ifindex, self.interfaces.get(&ifindex)) {
            (0, _) => String::new(),
            (_, Some(name)) => name.clone(),
            (_, None) => format!("if{ifindex}"),
        }
    }

    /// A mapping's identifier; empty for no mapping.
    #[must_use]
    pub fn mapping(&self, leg: Leg) -> String {
        leg.mapping()
            .and_then(|number| self.installed.mapping(number))
            .map_or_else(String::new, |mapping| mapping.to_string())
    }

    /// The mapping that was chosen, or else the one that the packet's label names.
    fn mapping_of(&self, event: &Event) -> String {
        let named = || Label::new(event.vni).and_then(|label| self.installed.scope(Scope::label(label)));
        let leg = if event.leg == Leg::NONE { named().unwrap_or(Leg::NONE) } else { event.leg };
        self.mapping(leg)
    }
}

/// The interfaces' names.
#[must_use]
pub fn interface_names(surroundings: &Surroundings) -> BTreeMap<u32, String> {
    surroundings.links.iter().map(|(ifindex, link)| (*ifindex, link.name.clone())).collect()
}

/// A reason's name.
#[must_use]
pub fn reason(index: u32) -> String {
    Reason::from_index(index).map_or_else(|| format!("reason-{index}"), |reason| reason.as_str().to_owned())
}

fn address(address: Address) -> String {
    match address.as_mac() {
        _ if address == Address::UNSPECIFIED => String::new(),
        Some(mac) => Mac(mac).to_string(),
        None => IpAddr::from(address).to_string(),
    }
}

fn protocol_name(number: u8) -> String {
    match number {
        protocol::ICMP => "icmp".to_owned(),
        protocol::TCP => "tcp".to_owned(),
        protocol::UDP => "udp".to_owned(),
        protocol::ICMPV6 => "icmpv6".to_owned(),
        other => format!("ip-{other}"),
    }
}

/// Converts nanoseconds of `CLOCK_MONOTONIC` to nanoseconds since the Unix epoch.
fn unix_nanos(monotonic: u64) -> u64 {
    let nanos = |duration: Duration| u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX);
    let wall = nanos(SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default());
    let now = clock_gettime(ClockId::CLOCK_MONOTONIC).map_or(monotonic, |time| nanos(time.into()));
    if monotonic == 0 { wall } else { wall.saturating_sub(now.saturating_sub(monotonic)) }
}
