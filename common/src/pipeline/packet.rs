//! What is known of a packet so far.

use zerocopy::FromZeros;

use crate::address::Address;
use crate::event::Event;
use crate::reason::Reason;
use crate::rules::{Intent, Leg};
use crate::scope::Scope;
use crate::tables::{Tables, TargetKey};

/// The first 8 bytes of a tunnel header.
pub(super) type TunnelHeader = [[u8; 4]; 2];

/// What the steps have learned of a packet; zero where none has got to yet.
///
/// Aligned so that a program can clear it in words of 8 bytes.
#[derive(FromZeros)]
#[repr(align(8))]
pub struct Packet {
    /// Index of the interface it came in by.
    pub(super) ingress: u32,
    /// Index of the interface it leaves by.
    pub(super) egress: u32,
    /// Bytes in the frame.
    pub(super) length: u32,
    /// The mapping chosen, and the direction.
    pub(super) leg: Leg,
    /// How it came; see [`crate::encapsulation::number`].
    pub(super) encapsulation: u8,
    /// The outer packet is IPv6.
    pub(super) is_v6: bool,
    /// An outer IPv4 packet must not be fragmented; nobody fragments IPv6 on the way.
    pub(super) dont_fragment: bool,
    /// There is a valid identifier of a network or a mapping.
    pub(super) has_number: bool,
    /// Why the packet can't be taken if what it carries names something of ours; [`Packet::NO_FAULT`] if it can.
    pub(super) fault: Reason,
    /// Outer time to live or hop limit.
    pub(super) ttl: u8,
    /// Outer DSCP and ECN; the inner packet's where there is no outer one.
    pub(super) traffic_class: u8,
    /// Where the outer IP header starts.
    pub(super) ip_at: u8,
    /// Where the UDP header starts.
    pub(super) udp_at: u8,
    /// Outer IPv4 identification.
    pub(super) identification: u16,
    /// Outer source port, or the one that it will have.
    pub(super) udp_source: u16,
    /// Outer destination port.
    pub(super) udp_destination: u16,
    /// Length in the outer UDP header.
    pub(super) udp_length: u16,
    /// Outer UDP checksum; 0 if there is none.
    pub(super) udp_checksum: u16,
    /// Outer IPv6 flow label.
    pub(super) flow_label: u32,
    pub(super) tunnel_header: TunnelHeader,
    pub(super) outer_source: Address,
    pub(super) outer_destination: Address,
    /// Where what belongs to the packet ends in the frame; what follows is padding.
    pub(super) end: u32,
    /// VNI, label in a VNI, VLAN identifier or interface index.
    pub(super) number: u32,
    /// The label in the identifier option; 0 if there is none.
    pub(super) label: u32,
    /// Bytes of options in the tunnel header.
    pub(super) options_len: u32,
    /// Bytes of options, the first ones, that are for their receiver only.
    pub(super) own_options: u32,
    /// Where the inner frame starts. Behind a VLAN tag, where it will start once the MACs have moved there.
    pub(super) inner_at: u32,
    /// Where the inner frame's MACs are.
    pub(super) macs_at: u32,
    /// DSCP and ECN of the inner packet.
    pub(super) inner_traffic_class: u8,
    /// The inner packet is a part of a larger one.
    pub(super) is_fragment: bool,
    /// The inner packet is IP.
    pub(super) inner_is_ip: bool,
    /// Inner IP protocol; 0 if the inner packet isn't IP.
    pub(super) protocol: u8,
    pub(super) intent: Intent,
    pub(super) inner_source: Address,
    /// Whom the packet is for; the address asked for in ARP and neighbour solicitations, so that
    /// address resolution follows the same mappings as the traffic it prepares; the MAC in what is neither IP nor ARP.
    pub(super) inner_destination: Address,
    pub(super) ether_type: u16,
    pub(super) source_port: u16,
    pub(super) destination_port: u16,
    /// Bytes of options that go on.
    pub(super) kept_options: u16,
    /// Where the packet's source is learned; [`Scope::NONE`] if it isn't.
    pub(super) learns_in: Scope,
    /// The inner frame's source, if that is needed.
    pub(super) source_mac: [u8; 6],
}

impl Default for Packet {
    fn default() -> Self {
        Self::new_zeroed()
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

    /// Not a fault: the reason that is zero.
    pub(super) const NO_FAULT: Reason = Reason::Forwarded;

    #[inline(always)]
    pub(super) fn start(&mut self, ingress: u32, length: usize) {
        self.ingress = ingress;
        #[expect(clippy::cast_possible_truncation, reason = "frames are far shorter than 4 GiB")]
        {
            self.length = length as u32;
        }
    }

    /// Notes where the packet's source lives, where that is learned.
    #[inline(always)]
    pub(super) fn teach<T: Tables>(&self, tables: &T) {
        let (scope, address) = (self.learns_in, self.inner_source);
        if scope != Scope::NONE && !address.is_unspecified() && !address.is_mac() {
            tables.learn(&TargetKey { scope, address }, self.outer_source, self.source_mac);
        }
    }

    /// The record of this packet's end.
    #[inline(always)]
    #[must_use]
    pub fn describe(&self, reason: Reason) -> Event {
        Event {
            nanos: 0,
            reason: reason.index(),
            ingress: self.ingress,
            egress: self.egress,
            leg: self.leg,
            vni: if self.label == 0 { self.number } else { self.label },
            length: self.length,
            outer_source: self.outer_source,
            outer_destination: self.outer_destination,
            inner_source: self.inner_source,
            inner_destination: self.inner_destination,
            inner_ether_type: self.ether_type,
            inner_source_port: self.source_port,
            inner_destination_port: self.destination_port,
            inner_protocol: self.protocol,
            encapsulation: self.encapsulation,
        }
    }
}
