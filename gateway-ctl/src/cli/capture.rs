//! Capture files: Ethernet frames in pcap or pcapng.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{BufReader, BufWriter, Read, Seek as _, SeekFrom, Write as _};
use std::net::IpAddr;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, bail, ensure};
use isthmus_common::frame::Frame as _;
use isthmus_common::host::BufferFrame;
use isthmus_common::wire::{EtherType, Ethernet, Ipv4, Ipv6, Tag, Udp, protocol};
use pcap_file::DataLink;
use pcap_file::pcap::{PcapHeader, PcapPacket, PcapReader, PcapWriter};
use pcap_file::pcapng::{Block, PcapNgReader};

/// A frame and when it was captured.
pub(super) struct Frame {
    /// Since the Unix epoch.
    pub(super) time: Duration,
    pub(super) bytes: Vec<u8>,
}

/// A capture file's frames.
pub(super) struct Capture {
    pub(super) frames: Vec<Frame>,
    /// How many of them are not whole.
    pub(super) cut: usize,
}

impl Capture {
    /// Reads a capture file.
    ///
    /// # Errors
    /// If it can't be read, is neither pcap nor pcapng, or does not hold Ethernet frames.
    pub(super) fn read(path: &Path) -> anyhow::Result<Self> {
        let context = || format!("read capture {}", path.display());
        let mut file = File::open(path).with_context(context)?;
        let mut magic = [0; 4];
        file.read_exact(&mut magic)
            .with_context(|| format!("{}: too short for a capture", path.display()))?;
        file.seek(SeekFrom::Start(0)).with_context(context)?;
        let mut capture = Self { frames: Vec::new(), cut: 0 };
        match magic {
            [0x0a, 0x0d, 0x0d, 0x0a] => capture.read_pcapng(BufReader::new(file)).with_context(context)?,
            [0xd4, 0xc3, 0xb2, 0xa1]
            | [0xa1, 0xb2, 0xc3, 0xd4]
            | [0x4d, 0x3c, 0xb2, 0xa1]
            | [0xa1, 0xb2, 0x3c, 0x4d] => capture.read_pcap(BufReader::new(file)).with_context(context)?,
            _ => bail!("{} is neither a pcap nor a pcapng file", path.display()),
        }
        Ok(capture)
    }

    fn read_pcap(&mut self, file: impl Read) -> anyhow::Result<()> {
        let mut reader = PcapReader::new(file)?;
        ensure_ethernet(reader.header().datalink)?;
        while let Some(packet) = reader.next_packet() {
            let packet = packet.with_context(|| format!("after frame {}", self.frames.len()))?;
            self.push(packet.timestamp, packet.orig_len, packet.data.into_owned());
        }
        Ok(())
    }

    fn read_pcapng(&mut self, file: impl Read) -> anyhow::Result<()> {
        let mut reader = PcapNgReader::new(file)?;
        let mut last = Duration::ZERO;
        while let Some(block) = reader.next_block() {
            let block = block.with_context(|| format!("after frame {}", self.frames.len()))?.into_owned();
            match block {
                Block::InterfaceDescription(interface) => ensure_ethernet(interface.linktype)?,
                Block::EnhancedPacket(packet) => {
                    last = packet.timestamp;
                    self.push(last, packet.original_len, packet.data.into_owned());
                }
                // Has no time of its own.
                Block::SimplePacket(packet) => self.push(last, packet.original_len, packet.data.into_owned()),
                _ => {}
            }
        }
        Ok(())
    }

    fn push(&mut self, time: Duration, original_length: u32, bytes: Vec<u8>) {
        if bytes.len() < original_length as usize {
            self.cut += 1;
        }
        self.frames.push(Frame { time, bytes });
    }

    /// Destinations of the UDP packets in the capture to one of the usual ports of VXLAN and Geneve.
    pub(super) fn tunnel_destinations(&self) -> BTreeSet<IpAddr> {
        self.frames.iter().filter_map(|frame| tunnel_destination(&frame.bytes)).collect()
    }
}

fn tunnel_destination(bytes: &[u8]) -> Option<IpAddr> {
    const TUNNEL_PORTS: [u16; 3] = [4789, 8472, 6081];
    let frame = BufferFrame::with_headroom(bytes, 0);
    let ethernet: Ethernet = frame.read(0)?;
    let (mut at, mut ether_type) = (Ethernet::LEN, ethernet.ether_type);
    while EtherType::is_tag(ether_type.get()) {
        ether_type = frame.read(at + 2)?;
        at += Tag::LEN;
    }
    let (destination, next, header_len) = match ether_type.get() {
        EtherType::IPV4 => {
            let ip: Ipv4 = frame.read(at)?;
            (IpAddr::from(ip.destination), ip.protocol, ip.header_len())
        }
        EtherType::IPV6 => {
            let ip: Ipv6 = frame.read(at)?;
            (IpAddr::from(ip.destination), ip.next_header, Ipv6::LEN)
        }
        _ => return None,
    };
    let udp: Udp = frame.read(at + header_len).filter(|_| next == protocol::UDP)?;
    TUNNEL_PORTS.contains(&udp.destination.get()).then_some(destination)
}

fn ensure_ethernet(link: DataLink) -> anyhow::Result<()> {
    ensure!(
        link == DataLink::ETHERNET,
        "its link type is {link:?}; only Ethernet can be traced (capture on an interface, not on `any`)"
    );
    Ok(())
}

/// Longest frame that a file says it holds, bytes: as tcpdump has it.
const SNAPLEN: u32 = 262_144;

/// Writes frames as pcap with nanosecond times.
///
/// # Errors
/// If the file can't be written.
pub(super) fn write<'f>(
    path: &Path,
    frames: impl Iterator<Item = (Duration, &'f [u8])>,
) -> anyhow::Result<()> {
    let context = || format!("write capture {}", path.display());
    let file = File::create(path).with_context(context)?;
    let header = PcapHeader {
        snaplen: SNAPLEN,
        ts_resolution: pcap_file::TsResolution::NanoSecond,
        ..PcapHeader::default()
    };
    let mut writer = PcapWriter::with_header(BufWriter::new(file), header).with_context(context)?;
    for (time, bytes) in frames {
        let length = u32::try_from(bytes.len()).with_context(context)?;
        writer.write_packet(&PcapPacket::new(time, length, bytes)).with_context(context)?;
    }
    writer.into_writer().flush().with_context(context)
}
