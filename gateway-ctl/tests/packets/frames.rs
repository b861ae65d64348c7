//! Frames, built by etherparse from the fields wanted.
//!
//! The expected frame is built the same way from the fields expected, its checksums computed from
//! nothing: this is the table's oracle, and it shares no line with the pipeline.

use std::net::{Ipv4Addr, Ipv6Addr};

use etherparse::{
    ArpHardwareId, ArpOperation, ArpPacket, EtherType, Ethernet2Header, Icmpv4Type, Icmpv6Type, IpDscp,
    IpEcn, IpFragOffset, IpHeaders, IpNumber, Ipv4Extensions, Ipv4Header, Ipv4Options, Ipv6Header,
    PacketBuilder, TcpHeader, UdpHeader,
};

use crate::federation::{
    BLUE, BLUE_PORT, BLUE_VTEP, EAST, EAST_ADDRESS, FAR, FAR_ADDRESS, GENEVE_PORT, GOLD, GOLD_VTEP, GREEN,
    GREEN_VTEP, PORT, RED, RED_VTEP, WEST, WEST_ADDRESS, gateway_mac, vtep_mac,
};

/// A checksum field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Checksum {
    /// What the RFC says.
    Right,
    /// Zero: none.
    Absent,
    /// As given.
    Wrong(u16),
}

/// The fields of a Geneve header, but for the VNI (RFC 8926 §3.4).
#[derive(Clone, Debug)]
pub(crate) struct Geneve {
    pub(crate) version: u8,
    /// O, C and the reserved bits.
    pub(crate) flags: u8,
    pub(crate) protocol: u16,
    pub(crate) reserved: u8,
    /// Whole options, one behind the other.
    pub(crate) options: Vec<u8>,
    /// The header's length says this many words more than there are.
    pub(crate) excess: u8,
}

impl Geneve {
    pub(crate) const CONTROL: u8 = 0x80;
    pub(crate) const CRITICAL: u8 = 0x40;

    /// In front of an Ethernet frame.
    pub(crate) const fn plain() -> Self {
        Self { version: 0, flags: 0, protocol: 0x6558, reserved: 0, options: Vec::new(), excess: 0 }
    }

    /// With these options; C is set if one of them is critical.
    pub(crate) fn with(options: &[Vec<u8>]) -> Self {
        let critical = options.iter().any(|option| option[2] & 0x80 != 0);
        Self { flags: if critical { Self::CRITICAL } else { 0 }, options: options.concat(), ..Self::plain() }
    }

    fn header(&self, vni: u32) -> Vec<u8> {
        let words = u8::try_from(self.options.len() / 4).unwrap() + self.excess;
        let mut header = vec![self.version << 6 | words, self.flags];
        header.extend(self.protocol.to_be_bytes());
        header.extend(&vni.to_be_bytes()[1..]);
        header.push(self.reserved);
        header.extend(&self.options);
        header
    }
}

/// A Geneve option.
pub(crate) fn option(class: u16, kind: u8, data: &[u8]) -> Vec<u8> {
    let [high, low] = class.to_be_bytes();
    [&[high, low, kind, u8::try_from(data.len() / 4).unwrap()], data].concat()
}

/// The option that carries a label: docs/wire-format.md.
pub(crate) fn identifier_option(label: u32) -> Vec<u8> {
    option(0xff49, 0x81, &[&label.to_be_bytes()[1..], &[0], &[0, 0, 0, 9]].concat())
}

/// The fields of a tunnel packet.
#[derive(Clone, Debug)]
pub(crate) struct Outer {
    pub(crate) destination_mac: [u8; 6],
    pub(crate) source_mac: [u8; 6],
    pub(crate) dscp: u8,
    pub(crate) ecn: u8,
    pub(crate) identification: u16,
    pub(crate) dont_fragment: bool,
    pub(crate) more_fragments: bool,
    /// In units of 8 bytes.
    pub(crate) fragment_offset: u16,
    pub(crate) ttl: u8,
    pub(crate) protocol: IpNumber,
    pub(crate) ip_checksum: Checksum,
    pub(crate) source: Ipv4Addr,
    pub(crate) destination: Ipv4Addr,
    pub(crate) options: Vec<u8>,
    pub(crate) source_port: u16,
    pub(crate) destination_port: u16,
    pub(crate) udp_checksum: Checksum,
    /// The UDP header's length says this much more than there is.
    pub(crate) udp_excess: i16,
    pub(crate) vxlan_flags: u8,
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
    /// What a kernel VXLAN device in red sends to the gateway.
    pub(crate) fn from_red(inner: Vec<u8>) -> Self {
        Self {
            destination_mac: gateway_mac(WEST),
            source_mac: vtep_mac(RED_VTEP),
            dscp: 0,
            ecn: 0,
            identification: 0,
            dont_fragment: false,
            more_fragments: false,
            fragment_offset: 0,
            ttl: 64,
            protocol: IpNumber::UDP,
            ip_checksum: Checksum::Right,
            source: RED_VTEP,
            destination: WEST_ADDRESS,
            options: Vec::new(),
            source_port: 51_234,
            destination_port: PORT,
            udp_checksum: Checksum::Absent,
            udp_excess: 0,
            vxlan_flags: 0x08,
            vxlan_reserved: [0; 3],
            vni: RED,
            vxlan_reserved_last: 0,
            geneve: None,
            inner,
            padding: Vec::new(),
        }
    }

    /// The same from blue.
    pub(crate) fn from_blue(inner: Vec<u8>) -> Self {
        Self {
            destination_mac: gateway_mac(EAST),
            source_mac: vtep_mac(BLUE_VTEP),
            source: BLUE_VTEP,
            destination: EAST_ADDRESS,
            destination_port: BLUE_PORT,
            vni: BLUE,
            ..Self::from_red(inner)
        }
    }

    /// The same from green.
    pub(crate) fn from_green(inner: Vec<u8>) -> Self {
        Self {
            destination_mac: gateway_mac(FAR),
            source_mac: vtep_mac(GREEN_VTEP),
            source: GREEN_VTEP,
            destination: FAR_ADDRESS,
            vni: GREEN,
            ..Self::from_red(inner)
        }
    }

    /// The same from gold, in Geneve.
    pub(crate) fn from_gold(geneve: Geneve, inner: Vec<u8>) -> Self {
        Self {
            source: GOLD_VTEP,
            source_mac: vtep_mac(GOLD_VTEP),
            destination_port: GENEVE_PORT,
            vni: GOLD,
            geneve: Some(geneve),
            ..Self::from_blue(inner)
        }
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

    fn ip_header(&self) -> Ipv4Header {
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
            source: self.source.octets(),
            destination: self.destination.octets(),
            options: Ipv4Options::try_from(&self.options[..]).unwrap(),
        };
        header.set_payload_len(UdpHeader::LEN + self.udp_payload().len()).unwrap();
        header.header_checksum = match self.ip_checksum {
            Checksum::Right => header.calc_header_checksum(),
            Checksum::Absent => 0,
            Checksum::Wrong(field) => field,
        };
        header
    }

    fn udp_header(&self) -> UdpHeader {
        let payload = self.udp_payload();
        let mut header = UdpHeader::with_ipv4_checksum(
            self.source_port,
            self.destination_port,
            &self.ip_header(),
            &payload,
        )
        .unwrap();
        header.length = header.length.wrapping_add_signed(self.udp_excess);
        match self.udp_checksum {
            Checksum::Right => {}
            Checksum::Absent => header.checksum = 0,
            Checksum::Wrong(field) => header.checksum = field,
        }
        header
    }

    /// The whole frame.
    pub(crate) fn build(&self) -> Vec<u8> {
        let ethernet = Ethernet2Header {
            source: self.source_mac,
            destination: self.destination_mac,
            ether_type: EtherType::IPV4,
        };
        let mut frame = Vec::new();
        ethernet.write(&mut frame).unwrap();
        self.ip_header().write_raw(&mut frame).unwrap();
        self.udp_header().write(&mut frame).unwrap();
        frame.extend(self.udp_payload());
        frame.extend(&self.padding);
        frame
    }

    /// The 16-bit words that the IPv4 header's checksum covers.
    pub(crate) fn ip_words(&self) -> Vec<u16> {
        let mut header = self.ip_header();
        header.header_checksum = 0;
        words(&header.to_bytes())
    }

    /// The 16-bit words that the UDP checksum covers, pseudo-header included (RFC 768).
    pub(crate) fn udp_words(&self) -> Vec<u16> {
        let mut header = self.udp_header();
        header.checksum = 0;
        let length = header.length.to_be_bytes();
        let pseudo =
            [&self.source.octets()[..], &self.destination.octets(), &[0, self.protocol.0], &length].concat();
        words(&[&pseudo[..], &header.to_bytes(), &self.udp_payload()].concat())
    }
}

fn words(bytes: &[u8]) -> Vec<u16> {
    bytes.chunks(2).map(|pair| u16::from_be_bytes([pair[0], pair.get(1).copied().unwrap_or(0)])).collect()
}

const INNER_SOURCE_MAC: [u8; 6] = [0x02, 0xaa, 0, 0, 0, 1];
const INNER_DESTINATION_MAC: [u8; 6] = [0x02, 0xaa, 0, 0, 0, 2];

fn v4(text: &str) -> [u8; 4] {
    text.parse::<Ipv4Addr>().unwrap().octets()
}

fn v6(text: &str) -> [u8; 16] {
    text.parse::<Ipv6Addr>().unwrap().octets()
}

fn ethernet() -> etherparse::PacketBuilderStep<Ethernet2Header> {
    PacketBuilder::ethernet2(INNER_SOURCE_MAC, INNER_DESTINATION_MAC)
}

fn ethernet_header(ether_type: EtherType) -> Ethernet2Header {
    Ethernet2Header { source: INNER_SOURCE_MAC, destination: INNER_DESTINATION_MAC, ether_type }
}

fn ip(source: &str, destination: &str) -> etherparse::PacketBuilderStep<etherparse::IpHeaders> {
    if source.contains(':') {
        ethernet().ipv6(v6(source), v6(destination), 7)
    } else {
        ethernet().ipv4(v4(source), v4(destination), 7)
    }
}

/// What a TCP segment's flags say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Segment {
    Syn,
    SynAck,
    Ack,
    Rst,
}

/// An inner TCP segment; `"address"` of either version, and port.
pub(crate) fn tcp(source: (&str, u16), destination: (&str, u16), segment: Segment) -> Vec<u8> {
    tcp_of(source, destination, segment, b"tcp payload")
}

/// The same with this payload.
pub(crate) fn tcp_of(
    source: (&str, u16),
    destination: (&str, u16),
    segment: Segment,
    payload: &[u8],
) -> Vec<u8> {
    let mut header = TcpHeader::new(source.1, destination.1, 1000, 64_000);
    header.syn = matches!(segment, Segment::Syn | Segment::SynAck);
    header.ack = matches!(segment, Segment::SynAck | Segment::Ack);
    header.rst = segment == Segment::Rst;
    let mut frame = Vec::new();
    ip(source.0, destination.0).tcp_header(header).write(&mut frame, payload).unwrap();
    frame
}

/// An inner UDP datagram.
pub(crate) fn udp(source: (&str, u16), destination: (&str, u16)) -> Vec<u8> {
    udp_of(source, destination, b"udp payload")
}

/// An inner UDP datagram with this payload.
pub(crate) fn udp_of(source: (&str, u16), destination: (&str, u16), payload: &[u8]) -> Vec<u8> {
    let mut frame = Vec::new();
    ip(source.0, destination.0).udp(source.1, destination.1).write(&mut frame, payload).unwrap();
    frame
}

/// An inner ICMP message of this type.
pub(crate) fn icmp(source: &str, destination: &str, type_u8: u8) -> Vec<u8> {
    let kind = Icmpv4Type::Unknown { type_u8, code_u8: 0, bytes5to8: [0, 1, 0, 2] };
    let mut frame = Vec::new();
    ip(source, destination).icmpv4(kind).write(&mut frame, b"icmp payload").unwrap();
    frame
}

/// An inner `ICMPv6` message of this type; `body` follows its first 8 bytes.
pub(crate) fn icmp6(source: &str, destination: &str, type_u8: u8, body: &[u8]) -> Vec<u8> {
    let kind = Icmpv6Type::Unknown { type_u8, code_u8: 0, bytes5to8: [0; 4] };
    let mut frame = Vec::new();
    ip(source, destination).icmpv6(kind).write(&mut frame, body).unwrap();
    frame
}

/// An inner neighbour solicitation for `target`, sent to its solicited-node group (RFC 4861 §4.3).
pub(crate) fn solicitation(source: &str, target: &str) -> Vec<u8> {
    let target = v6(target);
    let mut group = v6("ff02::1:ff00:0");
    group[13..].copy_from_slice(&target[13..]);
    icmp6(source, &Ipv6Addr::from(group).to_string(), 135, &target)
}

/// An inner ARP packet; operation 1 asks, 2 answers.
pub(crate) fn arp(sender: &str, target: &str, operation: u16) -> Vec<u8> {
    let packet = ArpPacket::new(
        ArpHardwareId::ETHERNET,
        EtherType::IPV4,
        ArpOperation(operation),
        &INNER_SOURCE_MAC,
        &v4(sender),
        &[0; 6],
        &v4(target),
    )
    .unwrap();
    let mut frame = Vec::new();
    ethernet().arp(packet).write(&mut frame).unwrap();
    frame
}

/// An inner IP packet of this protocol, whatever its payload says.
pub(crate) fn other(source: &str, destination: &str, protocol: u8, payload: &[u8]) -> Vec<u8> {
    let mut frame = Vec::new();
    if source.contains(':') {
        ethernet_header(EtherType::IPV6).write(&mut frame).unwrap();
        let header = Ipv6Header {
            payload_length: u16::try_from(payload.len()).unwrap(),
            next_header: IpNumber(protocol),
            hop_limit: 7,
            source: v6(source),
            destination: v6(destination),
            ..Ipv6Header::default()
        };
        header.write(&mut frame).unwrap();
        frame.extend(payload);
    } else {
        ip(source, destination).write(&mut frame, IpNumber(protocol), payload).unwrap();
    }
    frame
}

/// An inner TCP segment behind 8 bytes of IPv4 options.
pub(crate) fn tcp_behind_options(source: (&str, u16), destination: (&str, u16)) -> Vec<u8> {
    let header = Ipv4Header {
        source: v4(source.0),
        destination: v4(destination.0),
        time_to_live: 7,
        protocol: IpNumber::TCP,
        options: Ipv4Options::try_from(&[1; 8][..]).unwrap(),
        ..Ipv4Header::default()
    };
    let mut segment = TcpHeader::new(source.1, destination.1, 1000, 64_000);
    segment.syn = true;
    let mut frame = Vec::new();
    let headers = IpHeaders::Ipv4(header, Ipv4Extensions::default());
    ethernet().ip(headers).tcp_header(segment).write(&mut frame, b"tcp payload").unwrap();
    frame
}

/// An inner IPv4 fragment of a TCP packet; the offset counts 8 bytes.
pub(crate) fn fragment(source: &str, destination: &str, offset: u16, more: bool) -> Vec<u8> {
    let payload = [0x5a; 24];
    let mut header = Ipv4Header::new(24, 7, IpNumber::TCP, v4(source), v4(destination)).unwrap();
    header.identification = 99;
    header.fragment_offset = IpFragOffset::try_new(offset).unwrap();
    header.more_fragments = more;
    let mut frame = Vec::new();
    ethernet_header(EtherType::IPV4).write(&mut frame).unwrap();
    header.write(&mut frame).unwrap();
    frame.extend(payload);
    frame
}

/// An inner frame of an Ethernet type that is not IP.
pub(crate) fn ethernet_of(ether_type: u16) -> Vec<u8> {
    let mut frame = Vec::new();
    ethernet_header(EtherType(ether_type)).write(&mut frame).unwrap();
    frame.extend([0; 46]);
    frame
}
