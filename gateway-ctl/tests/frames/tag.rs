//! VLAN tags (IEEE 802.1Q).

/// One tag, without the type behind it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Tag {
    /// 0x8100 or 0x88a8.
    pub(crate) tpid: u16,
    /// Priority and drop eligibility: the control information's first four bits.
    pub(crate) priority: u8,
    /// The VLAN identifier, 12 bits.
    pub(crate) vid: u16,
}

impl Tag {
    pub(crate) const CUSTOMER: u16 = 0x8100;
    pub(crate) const SERVICE: u16 = 0x88a8;

    /// A customer's tag of no priority.
    pub(crate) const fn customer(vid: u16) -> Self {
        Self { tpid: Self::CUSTOMER, priority: 0, vid }
    }

    /// A provider's tag of no priority.
    pub(crate) const fn service(vid: u16) -> Self {
        Self { tpid: Self::SERVICE, priority: 0, vid }
    }

    pub(crate) fn bytes(self) -> [u8; 4] {
        let [tpid_high, tpid_low] = self.tpid.to_be_bytes();
        let [high, low] = (u16::from(self.priority) << 12 | self.vid).to_be_bytes();
        [tpid_high, tpid_low, high, low]
    }

    /// Puts the tags behind the MACs, the first one outermost.
    pub(crate) fn put(tags: &[Self], frame: &[u8]) -> Vec<u8> {
        let tags: Vec<u8> = tags.iter().flat_map(|tag| tag.bytes()).collect();
        [&frame[..12], &tags, &frame[12..]].concat()
    }
}
