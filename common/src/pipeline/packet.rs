//! What is known of a packet so far.

use crate::address::Address;
use crate::event::Event;
use crate::reason::Reason;
use crate::rules::{Intent, Leg};
use crate::wire::Identifier;

/// What the steps have learned of a packet; zero where none has got to yet.
pub struct Packet {
    /// Index of the interface it came in by.
    pub(super) ingress: u32,
    /// Index of the interface it leaves by.
    pub(super) egress: u32,
    /// Bytes in the frame.
    pub(super) length: u32,
    /// The mapping chosen, and the direction.
    pub(super) leg: Leg,
    pub(super) outer_source: [u8; 4],
    pub(super) outer_destination: [u8; 4],
    /// Outer time to live.
    pub(super) ttl: u8,
    /// Where the outer IP packet ends in the frame; what follows is padding.
    pub(super) outer_end: u32,
    /// Largest outer IP packet that it needs an interface to take.
    pub(super) outer_length: u32,
    /// How it came; see [`crate::tables::tunnel`].
    pub(super) tunnel: u8,
    /// The tunnel header has a valid identifier.
    pub(super) has_vni: bool,
    /// Why the packet can't be taken if its VNI is one of ours.
    pub(super) fault: Option<Reason>,
    pub(super) vni: u32,
    /// The label in the identifier option; 0 if there is none.
    pub(super) label: u32,
    /// Bytes of options in the tunnel header.
    pub(super) options_len: u32,
    /// Where the inner frame starts.
    pub(super) inner_at: usize,
    pub(super) inner_source: Address,
    /// Whom the packet is for; the address asked for in ARP and neighbour solicitations, so that
    /// address resolution follows the same mappings as the traffic it prepares.
    pub(super) inner_destination: Address,
    pub(super) ether_type: u16,
    pub(super) source_port: u16,
    pub(super) destination_port: u16,
    pub(super) protocol: u8,
    pub(super) intent: Intent,
}

impl Default for Packet {
    fn default() -> Self {
        Self::NONE
    }
}

impl Packet {
    /// Which leg the packet took, or tried to.
    #[inline(always)]
    #[must_use]
    pub const fn leg(&self) -> Leg {
        self.leg
    }

    /// Bytes in the frame, as it arrived.
    #[inline(always)]
    #[must_use]
    pub fn length(&self) -> u64 {
        u64::from(self.length)
    }

    /// Forgets the packet before.
    #[inline(always)]
    pub(super) fn start(&mut self, ingress: u32, length: usize) {
        *self = Self {
            ingress,
            #[expect(clippy::cast_possible_truncation, reason = "frames are far shorter than 4 GiB")]
            length: length as u32,
            ..Self::NONE
        };
    }

    /// No packet yet.
    const NONE: Self = Self {
        ingress: 0,
        egress: 0,
        length: 0,
        leg: Leg::NONE,
        outer_source: [0; 4],
        outer_destination: [0; 4],
        ttl: 0,
        outer_end: 0,
        outer_length: 0,
        tunnel: 0,
        has_vni: false,
        fault: None,
        vni: 0,
        label: 0,
        options_len: 0,
        inner_at: 0,
        inner_source: Address::UNSPECIFIED,
        inner_destination: Address::UNSPECIFIED,
        ether_type: 0,
        source_port: 0,
        destination_port: 0,
        protocol: 0,
        intent: Intent::Unknown,
    };

    /// Bytes of options that don't go on into a tunnel of this number: all of them into another kind of
    /// tunnel, only the identifier, which is for gateways, into the same.
    #[inline(always)]
    pub(super) const fn options_lost(&self, tunnel: u8) -> u32 {
        #[expect(clippy::cast_possible_truncation, reason = "12 fits")]
        const IDENTIFIER: u32 = Identifier::LEN as u32;
        if self.tunnel != tunnel {
            self.options_len
        } else if self.label != 0 {
            IDENTIFIER
        } else {
            0
        }
    }

    /// The record of this packet's end.
    #[inline(always)]
    #[must_use]
    pub fn describe(&self, reason: Reason) -> Event {
        let outer = |address: [u8; 4]| {
            if self.outer_end == 0 { Address::UNSPECIFIED } else { Address::v4(address) }
        };
        Event {
            nanos: 0,
            reason: reason.index(),
            ingress: self.ingress,
            egress: self.egress,
            leg: self.leg,
            vni: if self.label == 0 { self.vni } else { self.label },
            length: self.length,
            outer_source: outer(self.outer_source),
            outer_destination: outer(self.outer_destination),
            inner_source: self.inner_source,
            inner_destination: self.inner_destination,
            inner_ether_type: self.ether_type,
            inner_source_port: self.source_port,
            inner_destination_port: self.destination_port,
            inner_protocol: self.protocol,
            reserved: 0,
        }
    }
}
