//! What the data plane tells about one packet.

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

use crate::address::Address;
use crate::rules::Leg;

/// One packet's fate: a record in the event ring, and the result of a trace.
///
/// What the parser did not get to is zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct Event {
    /// Nanoseconds since boot (`CLOCK_MONOTONIC`).
    pub nanos: u64,
    /// Number of the [`crate::reason::Reason`].
    pub reason: u32,
    /// Index of the interface it came in by.
    pub ingress: u32,
    /// Index of the interface it leaves by; 0 if it doesn't.
    pub egress: u32,
    /// The mapping chosen and the direction.
    pub leg: Leg,
    /// VNI, label or VLAN identifier it carried; the interface's index for a frame on a port.
    pub vni: u32,
    /// Frame length, bytes.
    pub length: u32,
    /// Outer source.
    pub outer_source: Address,
    /// Outer destination.
    pub outer_destination: Address,
    /// Inner source.
    pub inner_source: Address,
    /// Inner destination; the address asked for in ARP and neighbour solicitations. The MAC of what is neither
    /// IP nor ARP; the same in the source.
    pub inner_destination: Address,
    /// Inner Ethernet type, host byte order.
    pub inner_ether_type: u16,
    /// Inner source port, host byte order.
    pub inner_source_port: u16,
    /// Inner destination port, host byte order.
    pub inner_destination_port: u16,
    /// Inner IP protocol.
    pub inner_protocol: u8,
    /// How it came; see [`crate::encapsulation::number`].
    pub encapsulation: u8,
}

const _: () = assert!(size_of::<Event>() == 104);
