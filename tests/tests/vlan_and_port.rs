//! Networks without tunnels: a VLAN of Open vSwitch's and a host on a port, joined with tunnels and each other.
//!
//! The VLAN is Open vSwitch's because not every kernel has VLAN devices.

use std::{net::Ipv4Addr, thread, time::Duration};

use anyhow::{Context as _, Result};
use isthmus_tests::{
    Federation, Isthmus, Namespace,
    capture::Capture,
    federation::{
        BLUE, BLUE_VTEP, BLUE_VXLAN, GATEWAY_LEFT, GATEWAY_RIGHT, RED, RED_VTEP, RED_VXLAN, mapping,
    },
    open_vswitch::{OpenVswitch, TENANT, Tunnel, VlanAccess},
    packet_socket::PacketSocket,
    traffic,
};
use uuid::Uuid;

/// How long a frame may take to cross.
const SOON: Duration = Duration::from_secs(2);

/// Time for frames under way to land before counters are read.
const SETTLE: Duration = Duration::from_millis(100);

/// The VLAN's number, and the VNI of Geneve.
const NUMBER: u32 = 100;

/// How a tenant's frames travel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Wire {
    Vxlan,
    Geneve,
    Vlan,
    Port,
}

impl Wire {
    /// A display filter for its frames.
    fn filter(self) -> &'static str {
        match self {
            Self::Vxlan => "vxlan && !vlan",
            Self::Geneve => "geneve && !vlan",
            Self::Vlan => "vlan.id == 100 && vlan.priority == 0 && !udp.port == 4789 && !udp.port == 6081",
            Self::Port => "!vlan && !vxlan && !geneve",
        }
    }
}

/// One side of the gateway.
#[derive(Clone, Copy)]
struct Side<'a> {
    host: &'a Namespace,
    name: &'static str,
    /// The gateway's interface and address.
    gateway: (&'static str, Ipv4Addr),
    address: Ipv4Addr,
    vtep: Ipv4Addr,
}

/// A tenant that is ready to talk.
struct Tenant {
    /// The interface that has its address.
    device: &'static str,
    /// What declares its network.
    manifest: String,
    _switch: Option<OpenVswitch>,
}

impl Side<'_> {
    fn set_up(&self, federation: &Federation, wire: Wire) -> Result<Tenant> {
        let Side { host, name, gateway, address, vtep } = self;
        let address = &format!("{address}/24");
        let switch = matches!(wire, Wire::Geneve | Wire::Vlan)
            .then(|| OpenVswitch::start(&federation.topology, host))
            .transpose()?;
        let device = match (wire, &switch) {
            (Wire::Geneve, Some(switch)) => {
                switch.add_tunnel(&Tunnel {
                    uplink: "uplink",
                    local: &format!("{vtep}/24"),
                    remote: gateway.1.into(),
                    vni: NUMBER,
                    address,
                    mtu: 1450,
                    udp_checksum: true,
                })?;
                TENANT
            }
            (Wire::Vlan, Some(switch)) => {
                switch.add_vlan(&VlanAccess { uplink: "uplink", vlan_id: 100, address })?;
                TENANT
            }
            (Wire::Port, _) => {
                host.add_address("uplink", address)?;
                "uplink"
            }
            _ => {
                let vxlan = if *name == "red" { RED_VXLAN } else { BLUE_VXLAN };
                host.add_vxlan(&vxlan)?;
                vxlan.name
            }
        };
        let mac = mac_text(host.mac(device)?);
        let (encapsulation, endpoint) = match wire {
            Wire::Vxlan if *name == "red" => ("vxlan\nvni: 42".to_owned(), format!(", vtep: {vtep}")),
            Wire::Vxlan => ("vxlan\nvni: 77".to_owned(), format!(", vtep: {vtep}")),
            Wire::Geneve => (format!("geneve\nvni: {NUMBER}"), format!(", vtep: {vtep}")),
            Wire::Vlan => (format!("vlan\nvlan_id: {NUMBER}"), String::new()),
            Wire::Port => ("port".to_owned(), String::new()),
        };
        let manifest = format!(
            "kind: Network\nname: {name}\nprovider: {name}-underlay\nencapsulation: {encapsulation}\n\
             prefixes: [10.0.0.0/24]\nendpoints:\n  - {{address: {}, mac: \"{mac}\"{endpoint}}}\n---\n",
            self.address
        );
        Ok(Tenant { device, manifest, _switch: switch })
    }

    /// What makes the gateway take the side's frames.
    fn arguments(&self, wire: Wire) -> [String; 2] {
        let (interface, name) = (self.gateway.0, self.name);
        match wire {
            Wire::Port => ["--port".to_owned(), format!("{interface}={name}")],
            _ => ["--interface".to_owned(), format!("{interface}={name}-underlay")],
        }
    }
}

fn mac_text(mac: [u8; 6]) -> String {
    mac.map(|byte| format!("{byte:02x}")).join(":")
}

/// A test with red and blue on these wires, and a mapping that gives either full access, in force.
fn test(
    name: &str,
    wires: [Wire; 2],
    body: impl FnOnce(&Federation, &Isthmus<'_>, [&'static str; 2]) -> Result<()>,
) -> Result<()> {
    Federation::test_without_tunnels(name, |federation, isthmus| {
        let Federation { red, blue, .. } = federation;
        let sides = [
            Side { host: red, name: "red", gateway: ("left", GATEWAY_LEFT), address: RED, vtep: RED_VTEP },
            Side {
                host: blue,
                name: "blue",
                gateway: ("right", GATEWAY_RIGHT),
                address: BLUE,
                vtep: BLUE_VTEP,
            },
        ];
        let [red_side, blue_side] = [0, 1].map(|side: usize| sides[side].set_up(federation, wires[side]));
        let (red_side, blue_side) = (red_side?, blue_side?);
        isthmus.start_broker()?;
        let arguments = [0, 1].map(|side: usize| sides[side].arguments(wires[side])).concat();
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        isthmus.start_gateway_with(&[], &arguments)?;
        let manifest = format!(
            "{}{}kind: Resource\nresource_id: inference\nnetwork: blue\naddresses: [10.0.0.20]\n---\n{}",
            red_side.manifest,
            blue_side.manifest,
            mapping(Uuid::new_v4(), "full", None)
        );
        isthmus.join(&manifest, red, BLUE)?;
        body(federation, isthmus, [red_side.device, blue_side.device]).with_context(|| format!("{wires:?}"))
    })
}

/// Everything between two tenants that an ordinary host does.
fn talk(name: &str, wires: [Wire; 2]) -> Result<()> {
    test(name, wires, |federation, isthmus, devices| {
        let Federation { red, blue, topology, .. } = federation;
        let captures =
            [Capture::start(topology, red, "uplink", "")?, Capture::start(topology, blue, "uplink", "")?];
        for (host, address) in [(red, BLUE), (blue, RED)] {
            // Each has to find the other anew.
            red.run(&format!("ip neighbour flush dev {}", devices[0]))?;
            blue.run(&format!("ip neighbour flush dev {}", devices[1]))?;
            assert!(traffic::ping(host, address)?);
        }
        traffic::converse((red, RED), (blue, BLUE))?;
        let recordings = captures.map(Capture::stop);
        for ((recording, wire), other) in recordings.into_iter().zip(wires).zip([BLUE, RED]) {
            let recording = recording?;
            assert_eq!(recording.faults()?, [""; 0], "{wire:?}");
            let from_other = format!("(arp.src.proto_ipv4 == {other} || ip.src == {other})");
            let rows = recording.fields(
                &format!("{from_other} && ({})", wire.filter()),
                &["arp.opcode", "icmp.type", "tcp.srcport"],
            )?;
            assert_eq!(rows.len(), recording.count(&from_other)?, "{wire:?}: some came another way");
            for (what, is_it, at_least) in [
                ("ARP requests", &(|row: &[String]| row[0] == "1") as &dyn Fn(&[String]) -> bool, 1),
                ("ARP replies", &|row| row[0] == "2", 1),
                ("echo requests", &|row| row[1] == "8", 3),
                ("echo replies", &|row| row[1] == "0", 3),
                ("segments", &|row| !row[2].is_empty(), 8),
            ] {
                let count = rows.iter().filter(|row| is_it(row)).count();
                assert!(count >= at_least, "{wire:?}: {count} {what} from {other}");
            }
        }
        let ways = [(red, blue, BLUE.into()), (blue, red, RED.into())];
        traffic::arrives_whole(&ways, 2 << 20)?;
        thread::sleep(SETTLE);
        isthmus.counters()?.assert_balanced();
        Ok(())
    })
}

#[test]
fn a_vlan_and_vxlan_talk_both_ways() -> Result<()> {
    talk("a_vlan_and_vxlan_talk_both_ways", [Wire::Vxlan, Wire::Vlan])
}

#[test]
fn a_port_and_geneve_talk_both_ways() -> Result<()> {
    talk("a_port_and_geneve_talk_both_ways", [Wire::Port, Wire::Geneve])
}

#[test]
fn a_port_and_a_vlan_talk_both_ways() -> Result<()> {
    talk("a_port_and_a_vlan_talk_both_ways", [Wire::Port, Wire::Vlan])
}

/// IEEE's first type for local experiments: neither IP nor ARP.
const EXPERIMENT: [u8; 2] = [0x88, 0xb5];

#[test]
fn frames_that_are_not_ip_reach_the_endpoint_with_their_mac_and_no_other() -> Result<()> {
    let name = "frames_that_are_not_ip_reach_the_endpoint_with_their_mac_and_no_other";
    for wires in [[Wire::Vxlan, Wire::Vlan], [Wire::Port, Wire::Geneve], [Wire::Port, Wire::Vlan]] {
        test(name, wires, |federation, isthmus, devices| {
            const COUNT: u64 = 11;
            let sides = [(&federation.red, devices[0]), (&federation.blue, devices[1])];
            let [red, blue] = sides.map(|(host, device)| -> Result<_> {
                Ok((PacketSocket::open(host, device)?, host.mac(device)?))
            });
            let (red, blue) = (red?, blue?);
            let frame = |to: [u8; 6], from: [u8; 6]| -> Vec<u8> {
                [&to[..], &from, &EXPERIMENT, &[0xa5; 100]].concat()
            };
            for ((sender, from), (receiver, to)) in [(&red, &blue), (&blue, &red)] {
                let sent = frame(*to, *from);
                sender.send(&sent)?;
                let got = receiver.receive(SOON, |frame| frame[12..14] == EXPERIMENT)?;
                assert_eq!(got.with_context(|| format!("{:?}", isthmus.counters()))?, sent, "as it was sent");

                for stranger in [[2, 0, 0, 0, 0, 0x99], [0xff; 6]] {
                    thread::sleep(SETTLE);
                    let before = isthmus.counters()?.reason("not-mapped");
                    for _ in 0..COUNT {
                        sender.send(&frame(stranger, *from))?;
                    }
                    let got = receiver.receive(SETTLE, |frame| frame[12..14] == EXPERIMENT)?;
                    assert_eq!(got, None, "to {stranger:02x?}");
                    assert_eq!(
                        isthmus.counters()?.reason("not-mapped") - before,
                        COUNT,
                        "to {stranger:02x?}"
                    );
                }
            }
            Ok(())
        })?;
    }
    Ok(())
}
