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
use crate::wire::{EtherType, Tag};

/// Slots for interfaces. An interface sits in slot `ifindex % INTERFACE_SLOTS` or one of the
/// [`INTERFACE_PROBES`] − 1 that follow.
pub const INTERFACE_SLOTS: u32 = 64;

/// Slots looked at for an interface.
pub const INTERFACE_PROBES: u32 = 4;

/// Addresses of the gateway that one interface takes tunnel packets for.
pub const INTERFACE_ADDRESSES: usize = 8;

/// Tunnel ports the gateway listens on.
pub const TUNNEL_PORTS: usize = 4;

/// VLAN subinterfaces of one interface whose addresses the gateway takes tunnel packets for.
pub const INTERFACE_STACKS: usize = 4;

/// Addresses that one peer may send from.
pub const ORIGIN_ADDRESSES: usize = 4;

/// A UDP port that the gateway takes tunnel packets on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct TunnelPort {
    /// Host byte order; 0 marks an unused place.
    pub port: u16,
    /// How its packets are read; see [`crate::encapsulation::number`]. Never with OVN's option: that is
    /// found in the packet.
    pub encapsulation: u8,
    /// Zero.
    pub reserved: u8,
}

/// The VLAN tags in front of a packet, as one number: 0 if there is none that counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(transparent)]
pub struct TagStack(pub u32);

impl TagStack {
    /// With one more tag inside the others. A tag with VLAN identifier 0 carries only a priority and does not count.
    #[inline(always)]
    #[must_use]
    pub const fn with(self, tag: Tag) -> Self {
        if tag.vlan_id() == 0 {
            return self;
        }
        let service = if tag.tpid.get() == EtherType::SERVICE_VLAN { 0x8000 } else { 0 };
        Self(self.0 << 16 | service | tag.vlan_id() as u32)
    }
}

/// One of the gateway's interfaces.
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct Interface {
    /// 0 marks an empty slot.
    pub ifindex: u32,
    /// Number of the [`crate::scope::Underlay`].
    pub underlay: u32,
    /// 1 if the interface is a network's port, 0 if it is on an underlay.
    pub is_port: u32,
    /// Tunnel ports.
    pub ports: [TunnelPort; TUNNEL_PORTS],
    /// Tags that tunnel packets may have; 0 marks an unused place. None are always allowed.
    pub stacks: [TagStack; INTERFACE_STACKS],
    /// IPv4 tunnel addresses; 0.0.0.0 marks an unused place.
    pub v4: [[u8; 4]; INTERFACE_ADDRESSES],
    /// IPv6 tunnel addresses; `::` marks an unused place.
    pub v6: [Address; INTERFACE_ADDRESSES],
    /// Zero.
    pub reserved: u32,
    /// VLANs that are networks: bit `v % 64` of word `v / 64` for VLAN identifier `v`.
    pub vlans: [u64; 64],
}

impl Interface {
    /// An empty slot.
    pub const NONE: Self = Self {
        ifindex: 0,
        underlay: 0,
        is_port: 0,
        ports: [TunnelPort { port: 0, encapsulation: 0, reserved: 0 }; TUNNEL_PORTS],
        stacks: [TagStack(0); INTERFACE_STACKS],
        v4: [[0; 4]; INTERFACE_ADDRESSES],
        v6: [Address::UNSPECIFIED; INTERFACE_ADDRESSES],
        reserved: 0,
        vlans: [0; 64],
    };

    /// Whether the VLAN with this identifier is a network; what is above its 12 bits does not count.
    #[inline(always)]
    #[must_use]
    pub const fn has_vlan(&self, vlan_id: usize) -> bool {
        self.vlans[(vlan_id >> 6) & 63] >> (vlan_id & 63) & 1 != 0
    }

    /// Makes this VLAN a network.
    pub const fn add_vlan(&mut self, vlan_id: u16) {
        self.vlans[(vlan_id as usize >> 6) & 63] |= 1 << (vlan_id & 63);
    }
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
    /// Index into the next hops and the origins; 0 if nobody knows where the address lives.
    pub next_hop: u32,
    /// The rule set of the resource at this address; 0 if none is.
    pub rule_set: u32,
    /// The [`PolicyKey::peer`] if this address belongs to the source network of a mapping, to
    /// which resources may answer; 0 if it doesn't. In the scope of a label any number but 0.
    pub peer: u32,
    /// The number it leaves with: a VNI or a VLAN identifier.
    pub number: u32,
    /// VXLAN with group policy: [`Target::SET_GROUP`] and the group, or 0 to keep the packet's own.
    /// Geneve with OVN's option: the option's data.
    pub extra: u32,
    /// Destination port it leaves with, host byte order.
    pub port: u16,
    /// How it leaves; see [`crate::encapsulation::number`].
    pub encapsulation: u8,
    /// [`Target::STAMP`], [`Target::LEARN`].
    pub flags: u8,
}

impl Target {
    /// In [`Target::flags`]: it goes to another gateway, with the identifier option and its label as VNI.
    pub const STAMP: u8 = 1;
    /// In [`Target::flags`]: the network that the packet comes from learns its endpoints.
    pub const LEARN: u8 = 2;
    /// In [`Target::extra`]: the group in the low 16 bits is set.
    pub const SET_GROUP: u32 = 1 << 16;
}

/// What is known of a scope.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct ScopeEntry {
    /// [`Leg::NONE`] if it is a network's; a label's mapping, on its forward leg.
    pub leg: Leg,
    /// 1 if the network learns its endpoints.
    pub learns: u32,
}

/// What is written into the identifier option for a mapping.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct Stamp {
    /// The mapping's label; 0 for no mapping.
    pub label: u32,
    /// The mapping's version.
    pub epoch: u32,
}

/// Whose packets may carry an identifier: who stands behind the next hop of the same index.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct Origin {
    /// Number of the underlay they come by; 0 for nobody.
    pub underlay: u32,
    /// Their outer sources; `::` marks an unused place.
    pub addresses: [Address; ORIGIN_ADDRESSES],
}

impl Origin {
    /// Whether a packet from there, by this underlay, is one of theirs.
    #[inline(always)]
    #[must_use]
    pub fn admits(&self, underlay: u32, address: Address) -> bool {
        self.underlay == underlay && address != Address::UNSPECIFIED && self.addresses.contains(&address)
    }
}

/// An endpoint as last seen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct Sighting {
    /// When, nanoseconds since boot; may be [`Self::RESOLUTION_NANOS`] too early.
    pub seen: u64,
    /// Outer source of its packets; `::` on VLANs and ports.
    pub vtep: Address,
    /// Its MAC.
    pub mac: [u8; 6],
    /// Zero.
    pub reserved: [u8; 2],
}

impl Sighting {
    /// How much older a sighting gets before it is renewed: a write for every packet would move the cache line from
    /// CPU to CPU.
    pub const RESOLUTION_NANOS: u64 = 1_000_000_000;
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

/// How to reach a tunnel endpoint or a device.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct NextHop {
    /// See [`hop`].
    pub state: u32,
    /// Egress interface.
    pub ifindex: u32,
    /// The egress interface's slot in the devmap.
    pub slot: u32,
    /// Largest IP packet the egress interface takes, bytes.
    pub mtu: u32,
    /// Outer source address.
    pub source: Address,
    /// Outer destination address.
    pub destination: Address,
    /// Outer destination MAC.
    pub destination_mac: [u8; 6],
    /// Outer source MAC.
    pub source_mac: [u8; 6],
    /// How many of `tags` it leaves with: 0 to 2.
    pub tag_count: u32,
    /// Outer VLAN tags, the outermost first.
    pub tags: [Tag; 2],
}

/// States of next hops.
pub mod hop {
    /// The route or the neighbour is not known.
    pub const UNRESOLVED: u32 = 0;
    /// A tunnel endpoint with an IPv4 address.
    pub const V4: u32 = 1;
    /// A tunnel endpoint with an IPv6 address.
    pub const V6: u32 = 2;
    /// The device itself: a VLAN trunk or a port.
    pub const DEVICE: u32 = 3;
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
    /// Whether the scope is a declared network's or a mapping's label. Off the hit path.
    fn knows(&self, scope: Scope) -> Option<&ScopeEntry>;
    /// Who stands behind the next hop at this index.
    fn origin(&self, index: u32) -> Option<&Origin>;
    /// What is stamped for the mapping of this number.
    fn stamp(&self, mapping: u32) -> Option<&Stamp>;
    /// Notes where an endpoint was seen.
    fn learn(&self, key: &TargetKey, vtep: Address, mac: [u8; 6]);
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
