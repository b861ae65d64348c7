//! The table.

mod access;
mod egress;
mod geneve;
mod identify;
mod inner;
mod outer;
mod rewrite;
mod tags;

use isthmus_common::reason::Reason;
use isthmus_common::rules::Direction;

use crate::federation::{EAST, FAR, WEST};
use crate::frames::Outer;
use crate::frames::inner::{Segment, tcp};
use crate::oracle::{Way, translated};

/// One row.
pub(crate) struct Case {
    /// The rule that it shows.
    pub(crate) name: String,
    /// The interface it comes in by.
    pub(crate) ingress: u32,
    /// The frame in.
    pub(crate) frame: Vec<u8>,
    /// Why it leaves, which implies the verdict.
    pub(crate) reason: Reason,
    /// Number of the mapping that speaks, and the direction.
    pub(crate) leg: Option<(u8, Direction)>,
    /// The interface it leaves by; 0 if it doesn't.
    pub(crate) egress: u32,
    /// The frame out; the frame in unless it is forwarded.
    pub(crate) out: Vec<u8>,
    /// Whether the UDP source port of the frame out is the gateway's to choose.
    pub(crate) chooses_port: bool,
}

impl Case {
    /// A frame of whatever content that is left as it is.
    fn untouched(name: &str, ingress: u32, frame: Vec<u8>, reason: Reason) -> Self {
        Self {
            name: name.to_owned(),
            ingress,
            out: frame.clone(),
            frame,
            reason,
            leg: None,
            egress: 0,
            chooses_port: false,
        }
    }

    /// A packet that is left as it is.
    fn stays(name: &str, packet: &Outer, reason: Reason) -> Self {
        Self::untouched(name, ingress(packet), packet.build(), reason)
    }

    /// A packet that a mapping refuses.
    fn refused(name: &str, packet: &Outer, reason: Reason, leg: (u8, Direction)) -> Self {
        Self { leg: Some(leg), ..Self::stays(name, packet, reason) }
    }

    /// A packet that a mapping forwards.
    fn forwarded(name: &str, packet: &Outer, leg: (u8, Direction), way: Way) -> Self {
        let ingress = ingress(packet);
        Self {
            name: name.to_owned(),
            ingress,
            frame: packet.build(),
            reason: if ingress == way.ifindex { Reason::Hairpinned } else { Reason::Forwarded },
            leg: Some(leg),
            egress: way.ifindex,
            out: translated(packet, way).build(),
            chooses_port: false,
        }
    }

    /// A packet whose inner frame is forwarded into a VLAN.
    fn delivered(name: &str, packet: &Outer, leg: (u8, Direction), egress: u32, out: Vec<u8>) -> Self {
        let reason = if ingress(packet) == egress { Reason::Hairpinned } else { Reason::Forwarded };
        Self { leg: Some(leg), egress, out, ..Self::stays(name, packet, reason) }
    }

    /// A frame of a VLAN that is forwarded into a tunnel; the UDP source port is the gateway's to choose.
    fn encapsulated(name: &str, frame: Vec<u8>, leg: (u8, Direction), packet: &Outer) -> Self {
        let egress = ingress_of(packet.source_mac);
        Self {
            leg: Some(leg),
            egress,
            out: packet.build(),
            chooses_port: true,
            ..Self::untouched(name, FAR, frame, Reason::Forwarded)
        }
    }

    fn arriving_on(self, ingress: u32) -> Self {
        Self { ingress, ..self }
    }
}

/// The interface whose MAC the packet is sent to.
fn ingress(packet: &Outer) -> u32 {
    ingress_of(packet.destination_mac)
}

fn ingress_of(mac: [u8; 6]) -> u32 {
    [WEST, EAST, FAR].into_iter().find(|ifindex| crate::federation::gateway_mac(*ifindex) == mac).unwrap()
}

/// A SYN from a red address to the web server in blue: what a connect mapping is for.
fn request() -> Vec<u8> {
    tcp(("10.0.0.11", 40_000), ("10.1.0.20", 80), Segment::Syn)
}

/// The web server's answer.
fn answer() -> Vec<u8> {
    tcp(("10.1.0.20", 80), ("10.0.0.11", 40_000), Segment::SynAck)
}

/// Every row.
pub(crate) fn all() -> Vec<Case> {
    let mut cases = Vec::new();
    outer::add(&mut cases);
    identify::add(&mut cases);
    inner::add(&mut cases);
    access::add(&mut cases);
    egress::add(&mut cases);
    rewrite::add(&mut cases);
    geneve::add(&mut cases);
    tags::add(&mut cases);
    cases
}
