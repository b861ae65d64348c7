//! The translation itself: new outer headers in place, checksums updated incrementally.
//!
//! The source port stays as it is: it carries the sender's flow entropy (RFC 7348 §5). So do
//! DSCP, ECN, identification and the don't-fragment bit. The TTL counts down instead of starting
//! anew, so that two gateways that point at each other can't keep a packet alive for ever.

use super::outer::{IP_AT, UDP_AT, VXLAN_AT};
use crate::checksum::Delta;
use crate::frame::Frame;
use crate::reason::Reason;
use crate::tables::{NextHop, Target};
use crate::wire::{EtherType, Ethernet, Ipv4, Udp, Vxlan};

/// Fails with [`Reason::Internal`] only: everything has been read at the same places before.
#[inline(always)]
pub(super) fn translate<F: Frame>(frame: &mut F, target: &Target, hop: &NextHop) -> Result<(), Reason> {
    let ethernet = Ethernet {
        destination: hop.destination_mac,
        source: hop.source_mac,
        ether_type: EtherType::IPV4.into(),
    };
    frame.write(0, &ethernet).ok_or(Reason::Internal)?;

    let mut ip: Ipv4 = frame.read(IP_AT).ok_or(Reason::Internal)?;
    let addresses =
        Delta::default().replace32(ip.source, hop.source).replace32(ip.destination, hop.destination);
    let ttl = ip.ttl - 1;
    let old = u16::from_be_bytes([ip.ttl, ip.protocol]);
    let new = u16::from_be_bytes([ttl, ip.protocol]);
    ip.checksum = addresses.replace16(old, new).apply(ip.checksum.get()).into();
    ip.ttl = ttl;
    ip.source = hop.source;
    ip.destination = hop.destination;
    frame.write(IP_AT, &ip).ok_or(Reason::Internal)?;

    let mut vxlan: Vxlan = frame.read(VXLAN_AT).ok_or(Reason::Internal)?;
    let old_vni = vxlan.vni_word();
    vxlan.set_vni(target.vni);
    frame.write(VXLAN_AT, &vxlan).ok_or(Reason::Internal)?;

    let mut udp: Udp = frame.read(UDP_AT).ok_or(Reason::Internal)?;
    udp.checksum = addresses
        .replace32(old_vni, vxlan.vni_word())
        .replace16(udp.destination.get(), target.port)
        .apply_udp(udp.checksum.get())
        .into();
    udp.destination = target.port.into();
    frame.write(UDP_AT, &udp).ok_or(Reason::Internal)
}
