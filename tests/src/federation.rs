//! The standard federation: two tenants' networks, one gateway host between them, and their manifest.
//!
//! ```text
//!    red                          gw                            blue
//!    vxlan VNI 42                                       vxlan VNI 77
//!    10.0.0.10/24                                       10.0.0.20/24
//!        │                                                   │
//!      uplink ───────────── left    right ──────────────── uplink
//!    192.0.2.10       192.0.2.1      198.51.100.1       198.51.100.20
//! ```
//!
//! Both tenants are in 10.0.0.0/24, each in its own VXLAN network on its own underlay. Nothing but the
//! gateway joins them: it does not forward IP, so every packet that crosses went through Isthmus.

use std::{net::Ipv4Addr, path::PathBuf};

use anyhow::{Context as _, Result, anyhow};
use uuid::Uuid;

use crate::{Isthmus, Namespace, Topology, namespace::Vxlan, privilege::require_root};

/// VNI of the red network.
pub const RED_VNI: u32 = 42;
/// VNI of the blue network.
pub const BLUE_VNI: u32 = 77;
/// Inner address of the red tenant.
pub const RED: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 10);
/// Inner address of the blue tenant.
pub const BLUE: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 20);
/// Underlay address of the red tenant.
pub const RED_VTEP: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 10);
/// Underlay address of the blue tenant.
pub const BLUE_VTEP: Ipv4Addr = Ipv4Addr::new(198, 51, 100, 20);
/// The gateway's address on the red side.
pub const GATEWAY_LEFT: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 1);
/// The gateway's address on the blue side.
pub const GATEWAY_RIGHT: Ipv4Addr = Ipv4Addr::new(198, 51, 100, 1);
/// A label inside the broker's default range, for tests that choose one.
pub const LABEL: u32 = 15_728_641;
/// A label inside the range that no mapping has.
pub const UNKNOWN_LABEL: u32 = 16_777_001;

/// The two tenants and the gateway host.
#[derive(Debug)]
pub struct Federation {
    /// Tenant on the left underlay; interfaces `uplink` and `vxlan42`.
    pub red: Namespace,
    /// Tenant on the right underlay; interfaces `uplink` and `vxlan77`.
    pub blue: Namespace,
    /// Gateway host; interfaces `left` and `right`.
    pub gateway: Namespace,
    /// Owns the namespaces.
    pub topology: Topology,
}

impl Federation {
    /// Makes namespaces, links and VXLAN devices. No part of Isthmus runs yet.
    ///
    /// # Errors
    ///
    /// If any of it can't be made.
    pub fn new() -> Result<Self> {
        let topology = Topology::new()?;
        let gateway = topology.namespace("gw")?;
        let red = topology.namespace("red")?;
        let blue = topology.namespace("blue")?;
        topology.veth((&gateway, "left", "192.0.2.1/24"), (&red, "uplink", "192.0.2.10/24"))?;
        topology.veth((&gateway, "right", "198.51.100.1/24"), (&blue, "uplink", "198.51.100.20/24"))?;
        // One sends outer UDP checksums, the other doesn't: both must come through right.
        red.add_vxlan(&Vxlan {
            name: "vxlan42",
            vni: RED_VNI,
            local: "192.0.2.10",
            remote: "192.0.2.1",
            address: "10.0.0.10/24",
            udp_checksum: false,
        })?;
        blue.add_vxlan(&Vxlan {
            name: "vxlan77",
            vni: BLUE_VNI,
            local: "198.51.100.20",
            remote: "198.51.100.1",
            address: "10.0.0.20/24",
            udp_checksum: true,
        })?;
        Ok(Self { red, blue, gateway, topology })
    }

    /// A test with a federation of its own: `body` gets it and the product, of which nothing runs yet.
    /// Where namespaces can't be made the test is skipped, see [`require_root`].
    ///
    /// # Errors
    ///
    /// What `body` fails with, and what the background processes have said.
    pub fn test(name: &str, body: impl FnOnce(&Self, &Isthmus<'_>) -> Result<()>) -> Result<()> {
        if !require_root(name) {
            return Ok(());
        }
        let federation = Self::new()?;
        body(&federation, &Isthmus::new(&federation)?).map_err(|error| {
            anyhow!("{error:?}\n--- processes\n{}", federation.topology.describe_processes())
        })
    }

    /// Writes a manifest into the topology's directory and returns where it is.
    ///
    /// # Errors
    ///
    /// If the file can't be written.
    pub fn write(&self, name: &str, text: &str) -> Result<PathBuf> {
        let path = self.topology.directory().join(name);
        std::fs::write(&path, text).with_context(|| format!("write {}", path.display()))?;
        Ok(path)
    }
}

/// The manifest of both networks and of the resource `inference`, blue's host.
pub const NETWORKS: &str = "\
kind: Network
name: red
encapsulation: vxlan
vni: 42
prefixes: [10.0.0.0/24]
endpoints:
  - {address: 10.0.0.10, vtep: 192.0.2.10}
---
kind: Network
name: blue
encapsulation: vxlan
vni: 77
prefixes: [10.0.0.0/24]
endpoints:
  - {address: 10.0.0.20, vtep: 198.51.100.20}
---
kind: Resource
resource_id: inference
network: blue
addresses: [10.0.0.20]
protocol: any
";

/// The manifest of a mapping that gives red `access` to the resource `inference`.
#[must_use]
pub fn mapping(identifier: Uuid, access: &str, label: Option<u32>) -> String {
    let label = label.map(|label| format!("label: {label}\n")).unwrap_or_default();
    format!(
        "kind: Mapping\nunique_identifier: {identifier}\nsource_network: red\ndestination_network: blue\n\
         resource_mapping: {{inference: {access}}}\n{label}"
    )
}
