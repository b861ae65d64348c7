//! Layout of the tables that the controller fills and the pipeline reads, and access to them.
//!
//! Everything that crosses into BPF is `repr(C)`, has no padding (`IntoBytes` proves it), and is
//! defined here once.

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

use crate::address::Address;
use crate::pipeline::Packet;
use crate::reason::Reason;
use crate::rules::{Leg, RuleSet};
use crate::scope::Scope;

/// Slots for interfaces. An interface sits in slot `ifindex % INTERFACE_SLOTS` or one of the
/// [`INTERFACE_PROBES`] − 1 that follow.
pub const INTERFACE_SLOTS: u32 = 64;

/// Slots looked at for an interface.
pub const INTERFACE_PROBES: u32 = 4;

/// Addresses of the gateway that one interface takes tunnel packets for.
pub const INTERFACE_ADDRESSES: usize = 8;

/// Tunnel ports the gateway listens on.
pub const TUNNEL_PORTS: usize = 4;

/// How frames travel over an underlay.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Tunnel {
    /// RFC 7348.
    Vxlan,
    /// RFC 8926.
    Geneve,
}

impl Tunnel {
    /// As a number in tables; 0 is none.
    #[must_use]
    pub const fn number(self) -> u8 {
        match self {
            Self::Vxlan => tunnel::VXLAN,
            Self::Geneve => tunnel::GENEVE,
        }
    }
}

/// Numbers of tunnels in tables.
pub mod tunnel {
    /// RFC 7348.
    pub const VXLAN: u8 = 1;
    /// RFC 8926.
    pub const GENEVE: u8 = 2;
}

/// A UDP port that the gateway takes tunnel packets on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct TunnelPort {
    /// Host byte order; 0 marks an unused place.
    pub port: u16,
    /// How its packets are read; see [`tunnel`].
    pub tunnel: u8,
    /// Zero.
    pub reserved: u8,
}

/// One of the gateway's underlay interfaces.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct Interface {
    /// 0 marks an empty slot.
    pub ifindex: u32,
    /// Number of the [`crate::scope::Underlay`].
    pub underlay: u32,
    /// Tunnel ports.
    pub ports: [TunnelPort; TUNNEL_PORTS],
    /// IPv4 tunnel addresses; 0.0.0.0 marks an unused place.
    pub addresses: [[u8; 4]; INTERFACE_ADDRESSES],
}

/// One record for the whole data plane.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct Settings {
    /// Smallest label; 0 with `label_last` 0 means that no VNI is a label.
    pub label_first: u32,
    /// Largest label.
    pub label_last: u32,
}

/// Selects a target.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, FromBytes, IntoBytes, Immutable, KnownLayout,
)]
#[repr(C)]
pub struct TargetKey {
    /// Where the packet comes from, or its label.
    pub scope: Scope,
    /// Where it wants to go.
    pub address: Address,
}

/// Where a packet goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct Target {
    /// Index into the next hops.
    pub next_hop: u32,
    /// The rule set of the resource at this address; 0 if none is.
    pub rule_set: u32,
    /// The [`PolicyKey::peer`] if this address belongs to the source network of a mapping, to
    /// which resources may answer; 0 if it doesn't.
    pub peer: u32,
    /// The VNI it leaves with.
    pub vni: u32,
    /// Destination port it leaves with, host byte order.
    pub port: u16,
    /// The underlay a forward packet must come from; 0 with `rule_set` 0.
    pub forward_underlay: u8,
    /// The underlay a return packet must come from; 0 with `peer` 0.
    pub return_underlay: u8,
    /// How it leaves; see [`tunnel`].
    pub tunnel: u8,
    /// Zero.
    pub reserved: [u8; 3],
}

/// Selects the rules on a return packet.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, FromBytes, IntoBytes, Immutable, KnownLayout,
)]
#[repr(C)]
pub struct PolicyKey {
    /// Which network answers to which, or whose label it is; a number the controller gives.
    pub peer: u32,
    /// The resource's address: the packet's inner source.
    pub address: Address,
}

/// The rules on a return packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct Policy {
    /// Index into the rule sets.
    pub rule_set: u32,
}

/// How to reach a tunnel endpoint.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct NextHop {
    /// 0 while the route or the neighbour is not known.
    pub resolved: u32,
    /// Egress interface.
    pub ifindex: u32,
    /// The egress interface's slot in the devmap.
    pub slot: u32,
    /// Largest outer IP packet the egress interface takes, bytes.
    pub mtu: u32,
    /// Outer source address.
    pub source: [u8; 4],
    /// Outer destination address.
    pub destination: [u8; 4],
    /// Outer destination MAC.
    pub destination_mac: [u8; 6],
    /// Outer source MAC.
    pub source_mac: [u8; 6],
}

/// Two copies of a next hop, and which one is in force.
///
/// The kernel copies array values while programs read them. A change therefore goes into the copy
/// that nobody reads, and then a second write changes the one byte that says which to read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct NextHopPair {
    /// 0 or 1.
    pub active: u32,
    /// The copies.
    pub copies: [NextHop; 2],
}

impl NextHopPair {
    /// The copy in force.
    #[inline(always)]
    #[must_use]
    pub const fn current(&self) -> &NextHop {
        if self.active & 1 == 0 { &self.copies[0] } else { &self.copies[1] }
    }

    /// Which copy is not in force.
    #[must_use]
    pub const fn spare(&self) -> usize {
        if self.active & 1 == 0 { 1 } else { 0 }
    }
}

/// Packets and bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct Count {
    /// Packets.
    pub packets: u64,
    /// Bytes of whole frames, as they arrived.
    pub bytes: u64,
}

impl Count {
    /// Adds one frame.
    #[inline(always)]
    pub const fn add(&mut self, bytes: u64) {
        self.packets += 1;
        self.bytes += bytes;
    }
}

/// What a leg has forwarded.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct LegCount {
    /// Out of another interface.
    pub redirected: Count,
    /// Out of the same interface.
    pub transmitted: Count,
}

/// What a leg has dropped, and why.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, FromBytes, IntoBytes, Immutable, KnownLayout,
)]
#[repr(C)]
pub struct LegDrop {
    /// The leg.
    pub leg: Leg,
    /// Number of the reason.
    pub reason: u32,
}

/// Slot of the received packets among the counters; reason `r` is in slot `r + 1`.
pub const RECEIVED: u32 = 0;

/// Counter slots.
#[expect(clippy::cast_possible_truncation, reason = "there are fewer than 256 reasons")]
pub const COUNTERS: u32 = Reason::COUNT as u32 + 1;

/// Token bucket of the event ring, one a CPU.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct EventBudget {
    /// When it was last filled, nanoseconds since boot.
    pub filled: u64,
    /// Events that may be sent now.
    pub tokens: u64,
    /// Events that were not sent.
    pub suppressed: u64,
}

/// Events a CPU may send a second, and at once.
pub const EVENTS_PER_SECOND: u64 = 200;

impl EventBudget {
    /// Takes a token, if there is one. `now` is in nanoseconds since boot.
    #[inline(always)]
    pub const fn take(&mut self, now: u64) -> bool {
        const NANOS: u64 = 1_000_000_000;
        let elapsed = now.saturating_sub(self.filled);
        if self.filled == 0 || elapsed >= NANOS {
            self.tokens = EVENTS_PER_SECOND;
            self.filled = now;
        } else {
            let earned = elapsed * EVENTS_PER_SECOND / NANOS;
            if earned > 0 {
                let tokens = self.tokens + earned;
                self.tokens = if tokens > EVENTS_PER_SECOND { EVENTS_PER_SECOND } else { tokens };
                self.filled += earned * NANOS / EVENTS_PER_SECOND;
            }
        }
        if self.tokens == 0 {
            self.suppressed += 1;
            return false;
        }
        self.tokens -= 1;
        true
    }
}

/// The pipeline's view of the tables.
///
/// What look-ups return stays readable until the packet has left, even if the controller replaces
/// it meanwhile.
pub trait Tables {
    /// The settings; all zero if there are none yet.
    fn settings(&self) -> Settings;
    /// The interface of this index.
    fn interface(&self, ifindex: u32) -> Option<&Interface>;
    /// Where a packet goes.
    fn target(&self, key: &TargetKey) -> Option<&Target>;
    /// Which rules hold for a return packet.
    fn policy(&self, key: &PolicyKey) -> Option<&Policy>;
    /// Whether the scope is a declared network's ([`Leg::NONE`]) or a mapping's label (its forward
    /// leg). Off the hit path.
    fn knows(&self, scope: Scope) -> Option<&Leg>;
    /// The rule set at this index.
    fn rule_set(&self, index: u32) -> Option<&RuleSet>;
    /// The next hop in force at this index.
    fn next_hop(&self, index: u32) -> Option<&NextHop>;
    /// Makes the device in this slot the packet's egress; false if there is none.
    fn redirect(&self, slot: u32) -> bool;
    /// Counts a packet in.
    fn received(&self, bytes: u64);
    /// Counts a packet out, and reports it where that is due.
    fn account(&self, reason: Reason, packet: &Packet);
}
