//! An underlay behind a VLAN device: red's tunnel endpoint is an address of a VLAN subinterface.
//!
//! ```text
//!    vxlan42
//!    uplink.100 203.0.113.10     left.100 203.0.113.1
//!        │                           │
//!      uplink ───── tagged 100 ───── left      right ───── blue
//! ```

use anyhow::Result;
use isthmus_tests::{
    Federation, Isthmus, Namespace,
    federation::{self, BLUE, NETWORKS, RED_VTEP, RED_VXLAN},
    frame,
    namespace::{Vlan, Vxlan},
    packet_socket::PacketSocket,
    traffic, wait,
};
use nix::sys::signal::Signal;

use crate::{
    Report,
    checks::{SOON, tcp_crosses},
};

/// The VLAN's number.
const VLAN_ID: u16 = 100;

/// What a frame has behind its MAC addresses: a customer's tag with that number and no priority.
const TAGGED: &[u8] = &[0x81, 0x00, 0x00, 100];

/// The same in front of IPv4 without a tag.
const UNTAGGED: &[u8] = &[0x08, 0x00];

/// Red's tunnel endpoint in the VLAN.
const ENDPOINT: &str = "203.0.113.10";

/// The gateway's address in the VLAN.
const GATEWAY: &str = "203.0.113.1";

/// The mapping of this test.
const MAPPING: &str = "8c4f1f0e-1d8a-4c7e-9d62-2b1a5a3f9c02";

/// Gives an end of the link a VLAN device.
fn add_vlan(namespace: &Namespace, parent: &str, address: &str) -> Result<()> {
    // With offload a tag travels beside the frame from one end of a veth pair to the other, and XDP sees none.
    namespace.set_features(parent, "txvlan off rxvlan off")?;
    let name = &format!("{parent}.{VLAN_ID}");
    namespace.add_vlan(&Vlan { parent, name, protocol: "802.1Q", id: VLAN_ID })?;
    namespace.add_address(name, &format!("{address}/24"))
}

/// Puts red's VXLAN device on a VLAN device.
fn move_red(federation: &Federation) -> Result<()> {
    let Federation { red, gateway, .. } = federation;
    add_vlan(gateway, "left", GATEWAY)?;
    add_vlan(red, "uplink", ENDPOINT)?;
    red.run("ip link delete vxlan42")?;
    red.add_vxlan(&Vxlan { local: ENDPOINT, remote: GATEWAY, ..RED_VXLAN })
}

/// Whether this is a VXLAN packet between these tunnel endpoints; `tag` is what it has behind its MAC addresses.
fn is_tunnel_packet(frame: &[u8], tag: &[u8], (source, destination): (&str, &str)) -> bool {
    frame.get(12..).is_some_and(|rest| rest.starts_with(tag))
        && frame::parse_vxlan(frame).is_some_and(|packet| {
            let (from, to) = packet.outer;
            (from.to_string(), to.to_string()) == (source.to_owned(), destination.to_owned())
        })
}

/// Ping and TCP by way of the VLAN, and tags on the wire both ways.
pub(crate) fn traffic_crosses(report: &mut Report, federation: &Federation) -> Result<()> {
    let Federation { red, gateway, .. } = federation;
    move_red(federation)?;
    let product = Isthmus::new(federation)?;
    let (_, running) = product.start()?;
    // What red sends is seen here as it goes onto the wire.
    let sent = PacketSocket::open(red, "uplink")?;
    // What comes in has lost its tag before anybody sees it, but only what had it gets to this device.
    let received = PacketSocket::open(red, "uplink.100")?;
    let networks = NETWORKS.replace(&RED_VTEP.to_string(), ENDPOINT);
    let mapping = federation::mapping(MAPPING.parse()?, "full", None);
    product.apply_text(&format!("{networks}---\n{mapping}"))?;

    let crosses = wait::until_true(SOON, || traffic::ping(red, BLUE).unwrap_or(false)).is_some();
    let answered = traffic::pings(red, BLUE, 20)?;
    report.verify(
        "behind a VLAN device: ping crosses",
        crosses && answered == 20,
        format!("{answered} of 20 answers"),
    );
    let out = |frame: &[u8]| is_tunnel_packet(frame, TAGGED, (ENDPOINT, GATEWAY));
    let back = |frame: &[u8]| is_tunnel_packet(frame, UNTAGGED, (GATEWAY, ENDPOINT));
    let (is_sent, is_received) =
        (sent.receive(SOON, out)?.is_some(), received.receive(SOON, back)?.is_some());
    report.verify(
        "behind a VLAN device: packets have the tag both ways",
        is_sent && is_received,
        format!("sent {is_sent}, received {is_received}"),
    );
    tcp_crosses(report, federation, "behind a VLAN device: ")?;

    running.signal(Signal::SIGTERM);
    let ended = running.wait(SOON).is_some_and(|status| status.success());
    let left = isthmus_tests::isthmus::attached(gateway)?;
    report.verify(
        "behind a VLAN device: the gateway leaves nothing attached",
        ended && left.is_empty(),
        format!("{} programs attached", left.len()),
    );
    Ok(())
}
