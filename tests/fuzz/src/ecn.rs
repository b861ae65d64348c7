//! Congestion marks where a tunnel ends (RFC 6040 §4.2).

use isthmus_common::reason::Reason;

use crate::sums::residue;

const NOT_ECT: u8 = 0b00;
const ECT_1: u8 = 0b01;
const ECT_0: u8 = 0b10;
const CE: u8 = 0b11;

/// The ECN field of an inner frame, if it has one.
fn field(inner: &[u8]) -> Option<u8> {
    match [inner[12], inner[13]] {
        [0x08, 0x00] => Some(inner[15] & CE),
        [0x86, 0xdd] => Some(inner[15] >> 4 & CE),
        _ => None,
    }
}

/// The inner IP packet's DSCP and ECN; 0 if it is no IP packet.
#[must_use]
pub fn traffic_class(inner: &[u8]) -> u8 {
    match [inner[12], inner[13]] {
        [0x08, 0x00] => inner[15],
        [0x86, 0xdd] => inner[14] << 4 | inner[15] >> 4,
        _ => 0,
    }
}

/// A well-formed inner frame with the mark that comes out of the outer packet's and its own.
///
/// # Errors
/// The outer packet says that there was congestion, and the inner one can't.
pub fn combine(outer: u8, inner: &[u8]) -> Result<Vec<u8>, Reason> {
    let mut frame = inner.to_vec();
    let Some(old) = field(inner) else { return Ok(frame) };
    let new = match (old, outer & CE) {
        (NOT_ECT, CE) => return Err(Reason::EcnCongested),
        (ECT_0 | ECT_1, CE) => CE,
        (ECT_0, ECT_1) => ECT_1,
        _ => return Ok(frame),
    };
    if new == old {
        return Ok(frame);
    }
    if inner[12] == 0x08 {
        frame[15] = frame[15] & !CE | new;
        let length = 4 * usize::from(frame[14] & 0xf);
        mend(&mut frame[14..14 + length], residue(&inner[14..14 + length]));
    } else {
        frame[15] = frame[15] & !(CE << 4) | new << 4;
    }
    Ok(frame)
}

/// Gives an IPv4 header a checksum that is as wrong as the one before.
fn mend(header: &mut [u8], wanted: u32) {
    header[10..12].fill(0);
    let [_, _, high, low] = ((wanted + 0xffff - residue(header)) % 0xffff).to_be_bytes();
    header[10..12].copy_from_slice(&[high, low]);
}
