//! The Geneve header and its options (RFC 8926).

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

    /// The header and the options.
    pub(crate) fn header(&self, vni: u32) -> Vec<u8> {
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

/// Which way a packet with an identifier travels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Travel {
    Forward,
    Return,
}

/// The option that carries a label: docs/wire-format.md, "The unique identifier".
pub(crate) fn identifier(label: u32, travel: Travel, epoch: u32) -> Vec<u8> {
    let flags = u8::from(travel == Travel::Return);
    option(0xff49, 0x81, &[&label.to_be_bytes()[1..], &[flags], &epoch.to_be_bytes()].concat())
}

/// OVN's option: ovn-architecture(7), "Tunnel Encapsulations".
pub(crate) fn ovn(ingress: u16, egress: u16) -> Vec<u8> {
    option(0x0102, 0x80, &[ingress.to_be_bytes(), egress.to_be_bytes()].concat())
}

/// Not critical, in two sizes.
pub(crate) fn harmless() -> [Vec<u8>; 2] {
    [option(0x0103, 0x01, &[1, 2, 3, 4, 5, 6, 7, 8]), option(0x0104, 0x7f, &[])]
}

/// So many bytes of options that mean nothing: 0, or at least 4.
pub(crate) fn filler(length: usize) -> Vec<u8> {
    let mut options = Vec::new();
    while options.len() < length {
        let data = (length - options.len() - 4).min(124);
        options.extend(option(0x0105, 0x02, &vec![0xab; data]));
    }
    options
}
