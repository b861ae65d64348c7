//! The oracle's reading of tunnel headers, from docs/wire-format.md.

use isthmus_common::reason::Reason;

use crate::model::Tunnel;

/// Bytes of the identifier option.
pub const IDENTIFIER: u16 = 12;

/// What a tunnel header says.
pub struct Header {
    /// Where the packet says that it comes from.
    pub origin: Origin,
    /// Why it is not taken, if its origin is one of ours.
    pub fault: Option<Reason>,
    /// Bytes, with options; the inner frame follows.
    pub length: usize,
}

/// Where a packet says that it comes from.
#[derive(Clone, Copy)]
pub enum Origin {
    /// The mapping of this label.
    Label(u32),
    /// The network of this number.
    Network(u32),
}

impl Header {
    /// Bytes of options.
    ///
    /// # Panics
    /// Never: there are 252 at most.
    #[must_use]
    pub fn options(&self) -> u16 {
        u16::try_from(self.length - 8).expect("252 at most")
    }
}

/// Reads the header at the start of what a UDP datagram carries: 8 bytes at least, and with VXLAN an Ethernet header.
///
/// # Errors
/// Why the packet is the host's.
pub fn read(tunnel: Tunnel, datagram: &[u8], labels: Option<(u32, u32)>) -> Result<Header, Reason> {
    let number = u32::from_be_bytes([0, datagram[4], datagram[5], datagram[6]]);
    match tunnel {
        Tunnel::Vxlan => {
            if datagram[0] & 0x08 == 0 {
                return Err(Reason::NoIdentifier);
            }
            let is_label = labels.is_some_and(|(first, last)| (first..=last).contains(&number));
            Ok(Header {
                origin: if is_label { Origin::Label(number) } else { Origin::Network(number) },
                fault: (datagram[0] & 0xb7 != 0).then_some(Reason::TunnelFlags),
                length: 8,
            })
        }
        Tunnel::Geneve => {
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
            let is_critical = datagram[1] & 0x40 != 0;
            let (label, fault) = if is_critical { options(&datagram[8..length]) } else { (None, None) };
            Ok(Header { origin: label.map_or(Origin::Network(number), Origin::Label), fault, length })
        }
    }
}

/// The label in the identifier option, and the first thing that is wrong with the options.
fn options(all: &[u8]) -> (Option<u32>, Option<Reason>) {
    let (mut label, mut rest) = (None, all);
    while let [class_high, class_low, kind, length, ..] = *rest {
        let length = 4 + usize::from(length % 32) * 4;
        let Some((option, behind)) = rest.split_at_checked(length) else {
            return (label, Some(Reason::TunnelOptions));
        };
        if ([class_high, class_low, kind], option.len()) == ([0xff, 0x49, 0x81], 12) {
            let number = u32::from_be_bytes([0, option[4], option[5], option[6]]);
            // Only the first one may be the identifier, and no label is zero.
            if rest.len() != all.len() || number == 0 {
                return (label, Some(Reason::TunnelOptions));
            }
            label = Some(number);
        } else if kind >= 0x80 {
            return (label, Some(Reason::CriticalOption));
        }
        rest = behind;
    }
    (label, None)
}
