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

use std::net::{Ipv4Addr, Ipv6Addr};

use anyhow::{Result, anyhow};
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
/// Underlay address of the red tenant, see [`Federation::add_ipv6_underlay`].
pub const RED_VTEP_V6: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 1, 0, 0, 0, 0, 0x10);
/// Underlay address of the blue tenant, see [`Federation::add_ipv6_underlay`].
pub const BLUE_VTEP_V6: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 2, 0, 0, 0, 0, 0x20);
/// The gateway's address on the red side, see [`Federation::add_ipv6_underlay`].
pub const GATEWAY_LEFT_V6: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 1, 0, 0, 0, 0, 1);
/// The gateway's address on the blue side, see [`Federation::add_ipv6_underlay`].
pub const GATEWAY_RIGHT_V6: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 2, 0, 0, 0, 0, 1);
/// A label inside the broker's default range, for tests that choose one.
pub const LABEL: u32 = 15_728_641;
/// A label inside the range that no mapping has.
pub const UNKNOWN_LABEL: u32 = 16_777_001;

/// Red's tunnel device. It sends no outer UDP checksums.
pub const RED_VXLAN: Vxlan<'_> = Vxlan {
    name: "vxlan42",
    vni: RED_VNI,
    port: 4789,
    local: "192.0.2.10",
    remote: "192.0.2.1",
    address: "10.0.0.10/24",
    mtu: 1450,
    udp_checksum: false,
    group_policy: false,
};
/// Blue's tunnel device. It sends outer UDP checksums: both must come through right.
pub const BLUE_VXLAN: Vxlan<'_> = Vxlan {
    name: "vxlan77",
    vni: BLUE_VNI,
    port: 4789,
    local: "198.51.100.20",
    remote: "198.51.100.1",
    address: "10.0.0.20/24",
    mtu: 1450,
    udp_checksum: true,
    group_policy: false,
};

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
        let federation = Self::without_tunnels()?;
        federation.red.add_vxlan(&RED_VXLAN)?;
        federation.blue.add_vxlan(&BLUE_VXLAN)?;
        Ok(federation)
    }

    /// Makes namespaces and links, for tenants that tunnel in other ways.
    ///
    /// # Errors
    ///
    /// If any of it can't be made.
    pub fn without_tunnels() -> Result<Self> {
        let topology = Topology::new()?;
        let gateway = topology.namespace("gw")?;
        let red = topology.namespace("red")?;
        let blue = topology.namespace("blue")?;
        topology.veth((&gateway, "left", "192.0.2.1/24"), (&red, "uplink", "192.0.2.10/24"))?;
        topology.veth((&gateway, "right", "198.51.100.1/24"), (&blue, "uplink", "198.51.100.20/24"))?;
        Ok(Self { red, blue, gateway, topology })
    }

    /// Puts IPv6 addresses beside the IPv4 ones of the underlays.
    ///
    /// # Errors
    ///
    /// If `ip` refuses.
    pub fn add_ipv6_underlay(&self) -> Result<()> {
        for (host, interface, address) in [
            (&self.gateway, "left", GATEWAY_LEFT_V6),
            (&self.red, "uplink", RED_VTEP_V6),
            (&self.gateway, "right", GATEWAY_RIGHT_V6),
            (&self.blue, "uplink", BLUE_VTEP_V6),
        ] {
            host.add_address(interface, &format!("{address}/64"))?;
        }
        Ok(())
    }

    /// A test with a federation of its own: `body` gets it and the product, of which nothing runs yet.
    /// Where namespaces can't be made the test is skipped, see [`require_root`].
    ///
    /// # Errors
    ///
    /// What `body` fails with, and what the background processes have said.
    pub fn test(name: &str, body: impl FnOnce(&Self, &Isthmus<'_>) -> Result<()>) -> Result<()> {
        Self::test_of(name, Self::new, body)
    }

    /// The same with tenants that have links, but no tunnel devices yet.
    ///
    /// # Errors
    ///
    /// See [`Self::test`].
    pub fn test_without_tunnels(
        name: &str,
        body: impl FnOnce(&Self, &Isthmus<'_>) -> Result<()>,
    ) -> Result<()> {
        Self::test_of(name, Self::without_tunnels, body)
    }

    fn test_of(
        name: &str,
        make: impl FnOnce() -> Result<Self>,
        body: impl FnOnce(&Self, &Isthmus<'_>) -> Result<()>,
    ) -> Result<()> {
        if !require_root(name) {
            return Ok(());
        }
        let federation = make()?;
        body(&federation, &Isthmus::new(&federation)?).map_err(|error| {
            anyhow!("{error:?}\n--- processes\n{}", federation.topology.describe_processes())
        })
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
    mapping_between(identifier, ("red", "blue"), &format!("inference: {access}"), label)
}

/// The manifest of a mapping from one network to another that gives access to `resources`, e.g.
/// `"inference: full, ledger: none"`.
#[must_use]
pub fn mapping_between(
    identifier: Uuid,
    (source, destination): (&str, &str),
    resources: &str,
    label: Option<u32>,
) -> String {
    let label = label.map(|label| format!("label: {label}\n")).unwrap_or_default();
    format!(
        "kind: Mapping\nunique_identifier: {identifier}\nsource_network: {source}\n\
         destination_network: {destination}\nresource_mapping: {{{resources}}}\n{label}"
    )
}
