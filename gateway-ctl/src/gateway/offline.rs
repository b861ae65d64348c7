//! A gateway in a box: the real programs and tables, filled from manifests, attached to nothing.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use isthmus_common::reason::Reason;
use isthmus_common::scope::Underlay;
use isthmus_common::tables::{Count, NextHop};

use super::compile::{Site, compile};
use super::dataplane::{DataPlane, DataPlaneError};
use super::describe::Names;
use super::install::{Capacity, InstallError, Installed};
use super::next_hop::Via;
use super::plan::{Refused, Way};
use super::record::{Underside, device_hop, endpoint_hop, underlay_interface};
use super::replica::Replica;
use super::trace::trace;
use crate::{
    api,
    model::{Encapsulation, Mac},
};

/// The box's only interface; no packet ever leaves by it.
const IFINDEX: u32 = 1;
const NAME: &str = "offline";
/// A MAC for those that only the kernel's neighbours would tell: locally administered, all zero.
const UNKNOWN_MAC: Mac = Mac([0x02, 0, 0, 0, 0, 0]);
/// Larger than any packet.
const MTU: u32 = 65_535;

/// Programs and tables of their own.
pub struct Offline {
    dataplane: DataPlane,
    installed: Installed,
    interfaces: BTreeMap<u32, String>,
    refused: Vec<Refused>,
}

impl Offline {
    /// Loads the programs and fills their tables. The box answers to the tunnel addresses
    /// `addresses` (up to [`isthmus_common::tables::INTERFACE_ADDRESSES`] of each family), and every tunnel endpoint is
    /// reachable from the first of its family. All VLANs are on the one interface, ports are on others.
    ///
    /// # Errors
    /// If the kernel refuses, or the tables are too small.
    pub fn new(replica: &Replica, addresses: &[IpAddr]) -> Result<Self, InstallError<DataPlaneError>> {
        let mappings = u32::try_from(replica.mappings.len()).unwrap_or(u32::MAX).max(64);
        let capacity = Capacity::for_mappings(mappings);
        let mut dataplane = DataPlane::load(&capacity).map_err(InstallError::Write)?;
        let mut installed = Installed::new(&capacity);
        let is_port =
            |network: &&String| replica.networks[*network].spec.encapsulation == Encapsulation::Port;
        let ports = replica.networks.keys().filter(is_port).cloned().zip(IFINDEX + 2..);
        let site = Site {
            interfaces: BTreeMap::from([(IFINDEX, Underlay::SHARED)]),
            ports: ports.collect(),
            ..Site::default()
        };
        let plan = compile(replica, &site);
        installed.install(&mut dataplane, &plan)?;
        let vlans: Vec<u16> = plan.vlans.values().flatten().copied().collect();
        let underside = Underside { ports: &plan.tunnel_ports(), addresses, stacks: &[], vlans: &vlans };
        let record = underlay_interface(IFINDEX, Underlay::SHARED, &underside);
        // Loopback is a device every namespace has; the trace program never sends to it.
        let slot = dataplane.set_interface(&record).map_err(InstallError::Write)?;
        let hops: Vec<(Way, NextHop)> =
            installed.ways().map(|way| (way.clone(), hop(way, addresses, slot))).collect();
        installed.set_next_hops(&mut dataplane, hops)?;
        let interfaces = BTreeMap::from([(IFINDEX, NAME.to_owned()), (IFINDEX + 1, NAME.to_owned())]);
        Ok(Self { dataplane, installed, interfaces, refused: plan.refused })
    }

    /// Objects that could not be put into force.
    #[must_use]
    pub fn refused(&self) -> &[Refused] {
        &self.refused
    }

    /// What would become of a frame.
    ///
    /// # Errors
    /// If the tables can't be read or written.
    pub fn trace(&mut self, frame: &[u8]) -> Result<api::TraceResponse, DataPlaneError> {
        let names = Names { installed: &self.installed, interfaces: &self.interfaces };
        trace(&mut self.dataplane, &names, frame, IFINDEX)
    }

    /// Nanoseconds the live program takes for a frame, averaged by the kernel over `repeat` runs, each
    /// on what the one before left of the frame. Counts the runs in the box's own counters.
    ///
    /// # Errors
    /// If the kernel can't run it.
    pub fn cost(&mut self, frame: &[u8], repeat: u32) -> Result<u64, DataPlaneError> {
        self.dataplane.cost(frame, repeat)
    }

    /// What the box has counted.
    ///
    /// # Errors
    /// If the counters can't be read.
    pub fn counters(&self) -> Result<Vec<(Reason, Count)>, DataPlaneError> {
        Ok(self.dataplane.counters()?.1)
    }
}

/// A next hop as if everything could be reached.
fn hop(way: &Way, addresses: &[IpAddr], slot: u32) -> NextHop {
    let Some(destination) = way.addresses().first() else {
        return device_hop(IFINDEX + 1, slot, MTU);
    };
    let unknown: IpAddr =
        if destination.is_ipv4() { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() };
    let same_family = |address: &&IpAddr| address.is_ipv4() == destination.is_ipv4();
    let via = Via {
        ifindex: IFINDEX + 1,
        mtu: MTU,
        source_mac: UNKNOWN_MAC,
        destination_mac: UNKNOWN_MAC,
        source: addresses.iter().find(same_family).copied().unwrap_or(unknown),
        tags: Vec::new(),
    };
    endpoint_hop(*destination, &via, slot)
}
