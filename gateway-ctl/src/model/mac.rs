//! IEEE 802 MAC addresses.

/// A unicast or multicast MAC address, in transmission order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Mac(pub [u8; 6]);
