//! What the frames carry.

use etherparse::EtherType;

use crate::frames::inner::{self, Segment, between, mark};
use crate::frames::{Tag, inner::ethernet_of};
use crate::way::{Family, Way};

/// A kind of inner frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Inner {
    Udp,
    Tcp,
    Icmp,
    Tcp6,
    Icmp6,
    Arp,
    Solicitation,
    /// An Ethernet type that is neither IP nor ARP.
    Other,
    /// IPv4 behind an 802.1Q tag: to the gateway, just another Ethernet type.
    Tagged,
}

impl Inner {
    pub(crate) const ALL: [Self; 9] = [
        Self::Udp,
        Self::Tcp,
        Self::Icmp,
        Self::Tcp6,
        Self::Icmp6,
        Self::Arp,
        Self::Solicitation,
        Self::Other,
        Self::Tagged,
    ];

    /// Which of a network's endpoints it is between.
    pub(crate) fn family(self) -> Family {
        match self {
            Self::Tcp6 | Self::Icmp6 | Self::Solicitation => Family::V6,
            _ => Family::V4,
        }
    }

    /// Whether it has DSCP and ECN that the gateway reads.
    pub(crate) fn is_ip(self) -> bool {
        !matches!(self, Self::Arp | Self::Other | Self::Tagged)
    }

    /// The frame from one network's endpoint to another's. `salt` tells flows apart, and changes the length.
    pub(crate) fn frame(self, from: Way, to: Way, salt: u16) -> Vec<u8> {
        let family = self.family();
        let (source, destination) = (from.endpoint(family).to_string(), to.endpoint(family).to_string());
        let payload = b"some payload".repeat(3)[..5 + usize::from(salt % 7)].to_vec();
        let ends = ((source.as_str(), 20_000 + salt), (destination.as_str(), 80));
        let frame = match self {
            Self::Udp => inner::udp_of(ends.0, ends.1, &payload),
            Self::Tcp | Self::Tcp6 => inner::tcp_of(ends.0, ends.1, Segment::Syn, &payload),
            Self::Icmp => inner::icmp(&source, &destination, 8),
            Self::Icmp6 => inner::icmp6(&source, &destination, 128, &payload),
            Self::Arp => inner::arp(&source, &destination, 1),
            Self::Solicitation => inner::solicitation(&source, &destination),
            Self::Other => ethernet_of(0x88b5),
            Self::Tagged => Tag::put(&[Tag::customer(7)], &inner::udp_of(ends.0, ends.1, &payload)),
        };
        between(frame, from.endpoint_mac(), to.endpoint_mac())
    }

    /// The same with this DSCP and ECN, if it has them.
    pub(crate) fn marked(self, from: Way, to: Way, salt: u16, class: u8) -> Vec<u8> {
        let frame = self.frame(from, to, salt);
        if self.is_ip() { mark(frame, class) } else { frame }
    }
}

/// DSCP and ECN of an inner frame; 0 if it is no IP packet.
pub(crate) fn class_of(frame: &[u8]) -> u8 {
    inner::traffic_class(frame).unwrap_or(0)
}

/// Whether the frame has an IP header that the gateway reads.
pub(crate) fn is_ip(frame: &[u8]) -> bool {
    let ether_type = EtherType(u16::from_be_bytes([frame[12], frame[13]]));
    matches!(ether_type, EtherType::IPV4 | EtherType::IPV6)
}
