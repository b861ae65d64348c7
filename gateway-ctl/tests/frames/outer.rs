//! Tunnel packets.

use std::net::IpAddr;

use etherparse::{
    EtherType, Ethernet2Header, IpDscp, IpEcn, IpFragOffset, IpNumber, Ipv4Header, Ipv4Options,
    Ipv6FlowLabel, Ipv6Header, UdpHeader,
};

use super::checksum::{self, Checksum};
use super::{Geneve, Tag};

/// The fields of a tunnel packet. Its family is that of its addresses; the other one's fields don't count.
#[derive(Clone, Debug)]
pub(crate) struct Outer {
    pub(crate) destination_mac: [u8; 6],
    pub(crate) source_mac: [u8; 6],
    /// The first one outermost.
    pub(crate) tags: Vec<Tag>,
    pub(crate) dscp: u8,
    pub(crate) ecn: u8,
    /// IPv4.
    pub(crate) identification: u16,
    /// IPv4: the bit in front of the other flags.
    pub(crate) reserved_flag: bool,
    /// IPv4.
    pub(crate) dont_fragment: bool,
    /// IPv4.
    pub(crate) more_fragments: bool,
    /// IPv4; in units of 8 bytes.
    pub(crate) fragment_offset: u16,
    /// IPv6; 20 bits.
    pub(crate) flow_label: u32,
    pub(crate) ttl: u8,
    pub(crate) protocol: IpNumber,
    /// IPv4.
    pub(crate) ip_checksum: Checksum,
    pub(crate) source: IpAddr,
    pub(crate) destination: IpAddr,
    /// IPv4.
    pub(crate) options: Vec<u8>,
    /// IPv6: extension headers, of which `protocol` is the first.
    pub(crate) extensions: Vec<u8>,
    pub(crate) source_port: u16,
    pub(crate) destination_port: u16,
    pub(crate) udp_checksum: Checksum,
    /// The UDP header's length says this much more than there is.
    pub(crate) udp_excess: i16,
    pub(crate) vxlan_flags: u8,
    /// With group policy: D and A in the first byte, the group in the other two.
    pub(crate) vxlan_reserved: [u8; 3],
    pub(crate) vni: u32,
    pub(crate) vxlan_reserved_last: u8,
    /// Geneve instead of VXLAN.
    pub(crate) geneve: Option<Geneve>,
    pub(crate) inner: Vec<u8>,
    /// After the outer IP packet.
    pub(crate) padding: Vec<u8>,
}

impl Outer {
    /// A VXLAN packet like those of the kernel's devices, from nowhere to nowhere.
    pub(crate) fn blank(source: IpAddr, destination: IpAddr, inner: Vec<u8>) -> Self {
        Self {
            destination_mac: [0; 6],
            source_mac: [0; 6],
            tags: Vec::new(),
            dscp: 0,
            ecn: 0,
            identification: 0,
            reserved_flag: false,
            dont_fragment: false,
            more_fragments: false,
            fragment_offset: 0,
            flow_label: 0,
            ttl: 64,
            protocol: IpNumber::UDP,
            ip_checksum: Checksum::Right,
            source,
            destination,
            options: Vec::new(),
            extensions: Vec::new(),
            source_port: 51_234,
            destination_port: 4789,
            udp_checksum: Checksum::Absent,
            udp_excess: 0,
            vxlan_flags: 0x08,
            vxlan_reserved: [0; 3],
            vni: 0,
            vxlan_reserved_last: 0,
            geneve: None,
            inner,
            padding: Vec::new(),
        }
    }

    pub(crate) fn is_v4(&self) -> bool {
        self.destination.is_ipv4()
    }

    fn tunnel(&self) -> Vec<u8> {
        self.geneve.as_ref().map_or_else(|| self.vxlan().to_vec(), |geneve| geneve.header(self.vni))
    }

    /// The VXLAN header's 8 bytes (RFC 7348 §5).
    fn vxlan(&self) -> [u8; 8] {
        let mut header = [0; 8];
        header[0] = self.vxlan_flags;
        header[1..4].copy_from_slice(&self.vxlan_reserved);
        header[4..7].copy_from_slice(&self.vni.to_be_bytes()[1..]);
        header[7] = self.vxlan_reserved_last;
        header
    }

    fn udp_payload(&self) -> Vec<u8> {
        [&self.tunnel()[..], &self.inner].concat()
    }

    fn ip_header(&self, payload: usize) -> Vec<u8> {
        match (self.source, self.destination) {
            (IpAddr::V4(source), IpAddr::V4(destination)) => {
                self.ipv4(source.octets(), destination.octets(), payload)
            }
            (IpAddr::V6(source), IpAddr::V6(destination)) => {
                let header = self.ipv6(source.octets(), destination.octets(), payload);
                [&header.to_bytes()[..], &self.extensions].concat()
            }
            other => panic!("{other:?} are of two families"),
        }
    }

    fn ipv4(&self, source: [u8; 4], destination: [u8; 4], payload: usize) -> Vec<u8> {
        let mut header = Ipv4Header {
            dscp: IpDscp::try_new(self.dscp).unwrap(),
            ecn: IpEcn::try_new(self.ecn).unwrap(),
            total_len: 0,
            identification: self.identification,
            dont_fragment: self.dont_fragment,
            more_fragments: self.more_fragments,
            fragment_offset: IpFragOffset::try_new(self.fragment_offset).unwrap(),
            time_to_live: self.ttl,
            protocol: self.protocol,
            header_checksum: 0,
            source,
            destination,
            options: Ipv4Options::try_from(&self.options[..]).unwrap(),
        };
        header.set_payload_len(payload).unwrap();
        let mut bytes = header.to_bytes().to_vec();
        // etherparse has no name for this bit.
        bytes[6] |= u8::from(self.reserved_flag) << 7;
        let field = match self.ip_checksum {
            Checksum::Right => checksum::as_wrong(0, &[], &checksum::words(&bytes)),
            Checksum::Absent => 0,
            Checksum::Wrong(field) => field,
        };
        bytes[10..12].copy_from_slice(&field.to_be_bytes());
        bytes
    }

    fn ipv6(&self, source: [u8; 16], destination: [u8; 16], payload: usize) -> Ipv6Header {
        Ipv6Header {
            traffic_class: self.dscp << 2 | self.ecn,
            flow_label: Ipv6FlowLabel::try_new(self.flow_label).unwrap(),
            payload_length: u16::try_from(payload + self.extensions.len()).unwrap(),
            next_header: self.protocol,
            hop_limit: self.ttl,
            source,
            destination,
        }
    }

    fn udp_header(&self, payload: &[u8]) -> UdpHeader {
        let length = u16::try_from(UdpHeader::LEN + payload.len()).unwrap();
        let mut header = UdpHeader {
            source_port: self.source_port,
            destination_port: self.destination_port,
            length,
            checksum: 0,
        };
        header.checksum = match (self.udp_checksum, self.source, self.destination) {
            (Checksum::Absent, ..) => 0,
            (Checksum::Wrong(field), ..) => field,
            (Checksum::Right, IpAddr::V4(source), IpAddr::V4(destination)) => {
                header.calc_checksum_ipv4_raw(source.octets(), destination.octets(), payload).unwrap()
            }
            (Checksum::Right, IpAddr::V6(source), IpAddr::V6(destination)) => {
                header.calc_checksum_ipv6_raw(source.octets(), destination.octets(), payload).unwrap()
            }
            (.., source, destination) => panic!("{source} and {destination} are of two families"),
        };
        header.length = length.wrapping_add_signed(self.udp_excess);
        header
    }

    /// The whole frame.
    pub(crate) fn build(&self) -> Vec<u8> {
        let ether_type = if self.is_v4() { EtherType::IPV4 } else { EtherType::IPV6 };
        let ethernet =
            Ethernet2Header { source: self.source_mac, destination: self.destination_mac, ether_type };
        let payload = self.udp_payload();
        let mut frame = Tag::put(&self.tags, &ethernet.to_bytes());
        frame.extend(self.ip_header(UdpHeader::LEN + payload.len()));
        frame.extend(self.udp_header(&payload).to_bytes());
        frame.extend(payload);
        frame.extend(&self.padding);
        frame
    }

    /// Bytes in front of the tunnel header.
    pub(crate) fn up_to_tunnel(&self) -> usize {
        self.build().len() - self.udp_payload().len() - self.padding.len()
    }

    /// The 16-bit words that the UDP checksum covers, pseudo-header included (RFC 768, RFC 8200 §8.1).
    pub(crate) fn udp_words(&self) -> Vec<u16> {
        let payload = self.udp_payload();
        let mut header = self.udp_header(&payload);
        header.checksum = 0;
        let mut covered = match (self.source, self.destination) {
            (IpAddr::V4(source), IpAddr::V4(destination)) => [source.octets(), destination.octets()].concat(),
            (IpAddr::V6(source), IpAddr::V6(destination)) => [source.octets(), destination.octets()].concat(),
            other => panic!("{other:?} are of two families"),
        };
        covered.extend([0, IpNumber::UDP.0]);
        covered.extend(header.length.to_be_bytes());
        covered.extend(header.to_bytes());
        covered.extend(payload);
        checksum::words(&covered)
    }
}
