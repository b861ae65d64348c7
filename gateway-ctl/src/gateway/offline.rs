//! A gateway in a box: the real programs and tables, filled from manifests, attached to nothing.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;

use isthmus_common::reason::Reason;
use isthmus_common::scope::Underlay;
use isthmus_common::tables::{Count, NextHop};

use super::compile::{Site, compile};
use super::dataplane::{DataPlane, DataPlaneError, interface_record};
use super::describe::Names;
use super::install::{Capacity, InstallError, Installed};
use super::plan::Refused;
use super::replica::Replica;
use super::trace::trace;
use crate::api;

/// The box's only interface; no packet ever leaves by it.
const IFINDEX: u32 = 1;
const NAME: &str = "offline";
/// A MAC for those that only the kernel's neighbours would tell: locally administered, all zero.
const UNKNOWN_MAC: [u8; 6] = [0x02, 0, 0, 0, 0, 0];

/// Programs and tables of their own.
pub struct Offline {
    dataplane: DataPlane,
    installed: Installed,
    interfaces: BTreeMap<u32, String>,
    refused: Vec<Refused>,
}

impl Offline {
    /// Loads the programs and fills their tables. The box answers to the tunnel addresses
    /// `addresses` (up to [`isthmus_common::tables::INTERFACE_ADDRESSES`]), and every tunnel endpoint is reachable from the
    /// first of them.
    ///
    /// # Errors
    /// If the kernel refuses, or the tables are too small.
    pub fn new(replica: &Replica, addresses: &[Ipv4Addr]) -> Result<Self, InstallError<DataPlaneError>> {
        let mappings = u32::try_from(replica.mappings.len()).unwrap_or(u32::MAX).max(64);
        let capacity = Capacity::for_mappings(mappings);
        let mut dataplane = DataPlane::load(&capacity).map_err(InstallError::Write)?;
        let mut installed = Installed::new(&capacity);
        let plan = compile(replica, &Site::default());
        installed.install(&mut dataplane, &plan)?;
        let record = interface_record(IFINDEX, Underlay::SHARED.get(), &plan.tunnel_ports(), addresses);
        // Loopback is a device every namespace has; the trace program never sends to it.
        let slot = dataplane.set_interface(&record).map_err(InstallError::Write)?;
        let source = addresses.first().copied().unwrap_or(Ipv4Addr::UNSPECIFIED);
        let vteps: Vec<Ipv4Addr> = installed.vteps().collect();
        let hops = vteps.into_iter().map(|vtep| {
            let hop = NextHop {
                resolved: 1,
                ifindex: IFINDEX + 1,
                slot,
                mtu: 65_535,
                source: source.octets(),
                destination: vtep.octets(),
                destination_mac: UNKNOWN_MAC,
                source_mac: UNKNOWN_MAC,
            };
            (vtep, hop)
        });
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
