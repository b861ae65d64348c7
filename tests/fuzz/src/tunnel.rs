//! The oracle's reading of tunnel headers, from docs/wire-format.md.

use isthmus_common::reason::Reason;

use crate::model::Tunnel;

/// What a tunnel header says.
#[derive(Clone)]
pub struct Header {
    /// Where the packet says that it comes from.
    pub origin: Origin,
    /// Why it is not taken, if its origin is one of ours.
    pub fault: Option<Reason>,
    /// Its bytes, with options; the inner frame follows.
    pub bytes: Vec<u8>,
    /// Bytes of options, the first ones, that are for the gateway.
    pub own: usize,
}

/// Where a packet says that it comes from.
#[derive(Clone, Copy)]
pub enum Origin {
    /// The mapping of this label.
    Label(u32),
    /// The network of this number.
    Network {
        /// Virtual network identifier.
        vni: u32,
        /// With OVN's option.
        is_ovn: bool,
    },
}

/// Reads the header at the start of what a UDP datagram carries, 8 bytes at least.
///
/// # Errors
/// Why the packet is the host's, or can't be read.
pub fn read(tunnel: Tunnel, datagram: &[u8], labels: Option<(u32, u32)>) -> Result<Header, Reason> {
    match tunnel {
        Tunnel::Vxlan => vxlan(datagram, labels, 0xb7),
        Tunnel::Group => vxlan(datagram, labels, 0x37),
        Tunnel::Geneve => geneve(datagram),
    }
}

fn vxlan(datagram: &[u8], labels: Option<(u32, u32)>, extensions: u8) -> Result<Header, Reason> {
    if datagram.len() < 8 + 14 {
        return Err(Reason::OuterLength);
    }
    if datagram[0] & 0x08 == 0 {
        return Err(Reason::NoIdentifier);
    }
    let vni = number(datagram);
    let is_label = labels.is_some_and(|(first, last)| (first..=last).contains(&vni));
    Ok(Header {
        origin: if is_label { Origin::Label(vni) } else { Origin::Network { vni, is_ovn: false } },
        fault: (datagram[0] & extensions != 0).then_some(Reason::TunnelFlags),
        bytes: datagram[..8].to_vec(),
        own: 0,
    })
}

fn geneve(datagram: &[u8]) -> Result<Header, Reason> {
    // How long it is only a known version says, and what follows only the protocol type.
    if datagram[0] >= 0x40 {
        return Err(Reason::OuterMalformed);
    }
    if datagram[1] & 0x80 != 0 || datagram[2..4] != [0x65, 0x58] {
        return Err(Reason::TunnelPayload);
    }
    let length = 8 + usize::from(datagram[0]) * 4;
    if length + 14 > datagram.len() {
        return Err(Reason::OuterLength);
    }
    let vni = number(datagram);
    let is_critical = datagram[1] & 0x40 != 0;
    let options = if is_critical { options(&datagram[8..length]) } else { Options::default() };
    let (origin, own) = match options {
        Options { label: Some(label), .. } => (Origin::Label(label), 12),
        Options { is_ovn: true, .. } => (Origin::Network { vni, is_ovn: true }, 8),
        _ => (Origin::Network { vni, is_ovn: false }, 0),
    };
    Ok(Header { origin, fault: options.fault, bytes: datagram[..length].to_vec(), own })
}

fn number(header: &[u8]) -> u32 {
    u32::from_be_bytes([0, header[4], header[5], header[6]])
}

/// What options say of which some are critical.
#[derive(Default)]
struct Options {
    label: Option<u32>,
    /// OVN's option is among them.
    is_ovn: bool,
    /// The first thing that is wrong.
    fault: Option<Reason>,
}

fn options(all: &[u8]) -> Options {
    let mut said = Options::default();
    let mut rest = all;
    while let [class_high, class_low, kind, length, ..] = *rest {
        let length = 4 + usize::from(length % 32) * 4;
        let Some((option, behind)) = rest.split_at_checked(length) else {
            said.fault = Some(Reason::TunnelOptions);
            return said;
        };
        let is_first = rest.len() == all.len();
        // Only the first one may be an identifier or OVN's.
        said.fault = match ([class_high, class_low, kind], option.len()) {
            ([0xff, 0x49, 0x81], 12) => {
                let label = u32::from_be_bytes([0, option[4], option[5], option[6]]);
                let is_good = is_first && label != 0;
                if is_good {
                    said.label = Some(label);
                }
                (!is_good).then_some(Reason::TunnelOptions)
            }
            ([0x01, 0x02, 0x80], 8) => {
                said.is_ovn = true;
                (!is_first).then_some(Reason::TunnelOptions)
            }
            _ => (kind >= 0x80).then_some(Reason::CriticalOption),
        };
        if said.fault.is_some() {
            return said;
        }
        rest = behind;
    }
    said
}
