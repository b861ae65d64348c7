//! A translated frame against what it should look like.

use crate::check::{demand, differ};
use crate::expect::{Expected, KeptChecksum};
use crate::sums::{datagram, residue};

/// Every byte is as expected; checksums that are kept are as right or as wrong as before, and a chosen source port
/// is an ephemeral one.
///
/// # Errors
/// What is otherwise.
pub(crate) fn translated(expected: &Expected, before: &[u8], after: &[u8]) -> Result<(), String> {
    let mut wanted = expected.bytes.clone();
    if wanted.len() != after.len() {
        return Err(format!("{}, so that it is {after:02x?}", differ("length", wanted.len(), after.len())));
    }
    if let Some((ip_at, at)) = expected.chosen_port {
        let port = u16::from_be_bytes([after[at], after[at + 1]]);
        if port < 49152 {
            return Err(differ("UDP source port", "49152 to 65535", port));
        }
        wanted[at..at + 2].copy_from_slice(&after[at..at + 2]);
        // Over IPv6 there must be a checksum, and a right one. It covers the port.
        if at - ip_at == 40 {
            wanted[at + 6..at + 8].copy_from_slice(&after[at + 6..at + 8]);
        }
        if at - ip_at == 40 && wanted[..at + 6] == after[..at + 6] {
            demand_sum("UDP datagram's sum", 0, &datagram(after, ip_at, at), &after[at + 6..at + 8])?;
        }
    }
    if let Some(KeptChecksum { before: (ip, udp), after: (new_ip, new_udp) }) = expected.kept_checksum {
        let range = new_udp + 6..new_udp + 8;
        wanted[range.clone()].copy_from_slice(&after[range.clone()]);
        // Lengths are not among the open bytes: only a frame that has the right ones has a datagram to sum up.
        if wanted[..new_udp + 6] == after[..new_udp + 6] {
            let sum = residue(&datagram(before, ip, udp));
            demand_sum("UDP datagram's sum", sum, &datagram(after, new_ip, new_udp), &after[range])?;
        }
    }
    if let Some(range) = &expected.inner_checksum {
        let both = [&wanted[range.clone()], &after[range.clone()]].map(residue);
        demand("inner IPv4 header's checksum", both[0], both[1])?;
        wanted[range.clone()].copy_from_slice(&after[range.clone()]);
    }
    match (0..wanted.len()).find(|&at| wanted[at] != after[at]) {
        None => Ok(()),
        Some(at) => Err(format!(
            "{}\n  expected:  {wanted:02x?}\n  got:       {after:02x?}",
            differ(&format!("byte {at}"), wanted[at], after[at])
        )),
    }
}

/// What is summed up has this remainder, and its checksum is not the zero that says that there is none.
fn demand_sum(what: &str, wanted: u32, covered: &[u8], field: &[u8]) -> Result<(), String> {
    if field == [0, 0] {
        return Err("the UDP checksum is zero, which means none".to_owned());
    }
    demand(what, wanted, residue(covered))
}
