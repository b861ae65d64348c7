//! A frame of the same flow: whatever its UDP source port is chosen by must be the flow's, not the packet's.

use crate::check::differ;

/// The same frame with another IPv4 identification or IPv6 flow label, if the inner frame is plainly IP.
pub(crate) fn of(frame: &[u8]) -> Vec<u8> {
    let mut twin = frame.to_vec();
    // From a VLAN there is a tag in front.
    let at = if frame.get(12..14) == Some(&[0x81, 0]) || frame.get(12..14) == Some(&[0x88, 0xa8]) {
        16
    } else {
        12
    };
    let changed = match frame.get(at..at + 2) {
        Some([0x08, 0x00]) => at + 6..at + 8,
        Some([0x86, 0xdd]) => at + 4..at + 5,
        _ => 0..0,
    };
    for byte in twin.get_mut(changed).unwrap_or_default() {
        *byte ^= 0xff;
    }
    twin
}

/// Both have the same source port.
///
/// # Errors
/// They don't.
pub(crate) fn agree(port_at: usize, one: &[u8], other: &[u8]) -> Result<(), String> {
    let port = port_at..port_at + 2;
    match (one.get(port.clone()), other.get(port)) {
        (Some(one), Some(other)) if one == other => Ok(()),
        (one, other) => Err(differ("UDP source port of another packet of the flow", one, other)),
    }
}
