//! What the controller tells people: its state, counters, traces.

use std::collections::HashMap;
use std::net::IpAddr;

use isthmus_common::reason::Reason;
use isthmus_common::rules::{Direction, Leg};
use isthmus_common::tables::Count;
use uuid::Uuid;

use super::controller::{Attached, Controller, Role, nanos_since_boot};
use super::dataplane::DataPlaneError;
use super::describe::{Names, interface_names};
use super::next_hop::Reach;
use super::plan::Way;
use super::trace::trace;
use crate::api;

impl Controller {
    pub(super) fn status(&self) -> api::GatewayStatusResponse {
        let refused = self.plan.iter().flat_map(|plan| &plan.refused).chain(&self.unreadable);
        let replica = self.replica.as_ref();
        let count = |count: usize| count as u64;
        api::GatewayStatusResponse {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            broker: self.broker.clone(),
            connected: self.disconnected.is_none(),
            stale_seconds: self.disconnected.map_or(0, |since| since.elapsed().as_secs()),
            applied_revision: self.applied,
            epoch: replica.map_or_else(String::new, |replica| replica.epoch.clone()),
            interfaces: self.attached.iter().map(|attached| self.interface_status(attached)).collect(),
            refused: refused
                .map(|refused| api::Refusal {
                    kind: refused.object.kind.to_string(),
                    name: refused.object.name.clone(),
                    version: refused.version,
                    reason: refused.reason.clone(),
                })
                .collect(),
            networks: count(replica.map_or(0, |replica| replica.networks.len())),
            resources: count(replica.map_or(0, |replica| replica.resources.len())),
            mappings: count(self.plan.as_ref().map_or(0, |plan| plan.mappings.len())),
            uptime_seconds: self.started.elapsed().as_secs(),
            next_hops: self.installed.ways().map(|way| self.next_hop_status(way)).collect(),
            trouble: self.trouble.clone().unwrap_or_default(),
        }
    }

    fn interface_status(&self, attached: &Attached) -> api::Interface {
        let link = self.surroundings.links.get(&attached.ifindex);
        let (provider, network) = match &attached.role {
            Role::Underlay { provider, .. } => (provider.clone().unwrap_or_default(), String::new()),
            Role::Port { network } => (String::new(), network.clone()),
        };
        let vlan_addresses = link.iter().flat_map(|link| &link.vlans).flat_map(|vlan| &vlan.addresses);
        let addresses = link.iter().flat_map(|link| &link.addresses).chain(vlan_addresses);
        api::Interface {
            name: link.map_or_else(|| attached.name.clone(), |link| link.name.clone()),
            index: attached.ifindex,
            mode: attached.mode.as_str().to_owned(),
            provider,
            network,
            addresses: addresses.map(IpAddr::to_string).collect(),
            mtu: link.map_or(0, |link| link.mtu),
        }
    }

    fn next_hop_status(&self, way: &Way) -> api::NextHop {
        let hop = self.installed.next_hop(way);
        let link = hop.and_then(|hop| self.surroundings.links.get(&hop.ifindex));
        let mut status = api::NextHop {
            interface: link.map_or_else(String::new, |link| link.name.clone()),
            ..api::NextHop::default()
        };
        let address = match way {
            Way::Device { ifindex } => {
                let name = self.surroundings.links.get(ifindex).map(|link| link.name.clone());
                status.vtep = format!("device {}", name.unwrap_or_else(|| ifindex.to_string()));
                if link.is_some() { "reachable" } else { "down" }.clone_into(&mut status.state);
                return status;
            }
            Way::Endpoint { vtep, .. } => {
                status.vtep = vtep.to_string();
                Some(*vtep)
            }
            Way::Gateway { name, .. } => {
                let address = self.best_address(way);
                status.vtep = address.map_or_else(
                    || format!("gateway {name}"),
                    |address| format!("{address} (gateway {name})"),
                );
                address.or_else(|| way.addresses().first().copied())
            }
        };
        match address.and_then(|address| self.surroundings.reach.get(&address)) {
            Some(Reach::Via(via)) => {
                status.source = via.source.to_string();
                status.mac = via.destination_mac.to_string();
                status.tags = via.tags.iter().map(|tag| tag.vlan_id.into()).collect();
                "reachable".clone_into(&mut status.state);
            }
            Some(Reach::Unreachable(why)) => status.state.clone_from(why),
            None => "resolving".clone_into(&mut status.state),
        }
        status
    }

    /// Endpoints learned from traffic.
    pub(super) fn endpoints(&self) -> api::EndpointsResponse {
        let endpoint = |(network, address, learned, ago): (
            &str,
            IpAddr,
            super::compile::Learned,
            std::time::Duration,
        )| {
            api::LearnedEndpoint {
                network: network.to_owned(),
                address: address.to_string(),
                mac: learned.mac.to_string(),
                vtep: learned.vtep.map(|vtep| vtep.to_string()).unwrap_or_default(),
                seen_seconds_ago: ago.as_secs(),
            }
        };
        api::EndpointsResponse {
            learned: self.learned.list(nanos_since_boot()).map(endpoint).collect(),
            moves: self.learned.moves(),
            turned_away: self.learned.turned_away(),
        }
    }

    pub(super) fn counters(&self) -> Result<api::CountersResponse, DataPlaneError> {
        let mut mappings = self.mapping_counters()?;
        mappings.sort_by(|a, b| {
            (&a.unique_identifier, &a.leg, &a.reason).cmp(&(&b.unique_identifier, &b.leg, &b.reason))
        });
        let (received, reasons) = self.dataplane.counters()?;
        Ok(api::CountersResponse {
            received_packets: received.packets,
            received_bytes: received.bytes,
            reasons: reasons
                .into_iter()
                .filter(|(_, count)| count.packets > 0)
                .map(|(reason, count)| api::ReasonCounter {
                    reason: reason.as_str().to_owned(),
                    verdict: reason.verdict().as_str().to_owned(),
                    packets: count.packets,
                    bytes: count.bytes,
                })
                .collect(),
            mappings,
            events_suppressed: self.dataplane.events_suppressed()?,
        })
    }

    fn mapping_counters(&self) -> Result<Vec<api::MappingCounter>, DataPlaneError> {
        // Once for all rows: the other way round, each row would search through all mappings.
        let names: HashMap<u32, Uuid> =
            self.installed.mappings().map(|(mapping, number)| (number, mapping)).collect();
        let name = |leg: Leg| leg.mapping().and_then(|number| names.get(&number)).map(Uuid::to_string);
        let row = |leg: Leg, reason: Reason, count: Count| api::MappingCounter {
            unique_identifier: name(leg).unwrap_or_default(),
            leg: leg.direction().as_str().to_owned(),
            reason: reason.as_str().to_owned(),
            verdict: reason.verdict().as_str().to_owned(),
            packets: count.packets,
            bytes: count.bytes,
        };
        let mut rows = Vec::new();
        for (_, number) in self.installed.mappings() {
            for direction in [Direction::Forward, Direction::Return] {
                let leg = Leg::new(number, direction);
                let count = self.dataplane.leg_counter(leg)?;
                rows.push(row(leg, Reason::Forwarded, count.redirected));
                rows.push(row(leg, Reason::Hairpinned, count.transmitted));
            }
        }
        for (key, count) in self.dataplane.leg_drops()? {
            if let Some(reason) = Reason::from_index(key.reason) {
                rows.push(row(key.leg, reason, count));
            }
        }
        // A drop may have been counted for a mapping that has gone meanwhile.
        rows.retain(|row| row.packets > 0 && !row.unique_identifier.is_empty());
        Ok(rows)
    }

    pub(super) fn trace(&mut self, frame: &[u8], interface: &str) -> Result<api::TraceResponse, String> {
        let interfaces = interface_names(&self.surroundings);
        let attached = self
            .attached
            .iter()
            .find(|attached| {
                interface.is_empty()
                    || interfaces.get(&attached.ifindex).is_some_and(|name| name == interface)
            })
            .ok_or_else(|| {
                let names: Vec<_> = interfaces.values().map(String::as_str).collect();
                format!("{interface:?} is none of the gateway's interfaces: {}", names.join(", "))
            })?;
        let names = Names { installed: &self.installed, interfaces: &interfaces };
        trace(&mut self.dataplane, &names, frame, attached.ifindex).map_err(|error| error.to_string())
    }
}
