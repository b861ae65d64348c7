//! Internet checksums (RFC 1071), judged by what they cover.

/// The sum of big-endian words in one's complement: 0 if a checksum among them is right, and otherwise by how
/// much it is wrong (one's complement addition is addition modulo 2¹⁶ − 1).
#[must_use]
pub fn residue(bytes: &[u8]) -> u32 {
    let words =
        bytes.chunks(2).map(|word| u64::from(word[0]) << 8 | word.get(1).map_or(0, |low| u64::from(*low)));
    u32::try_from(words.sum::<u64>() % 0xffff).unwrap_or(u32::MAX)
}

/// The checksum of an IPv4 header in which its own is zero. (It can be zero, but never 0xffff: no header is all
/// zeros.)
#[must_use]
pub fn header_checksum(header: &[u8]) -> [u8; 2] {
    match udp_checksum(header) {
        [0xff, 0xff] => [0, 0],
        checksum => checksum,
    }
}

/// The checksum of a UDP pseudo-header and datagram in which its own is zero; never zero itself, which means none.
#[must_use]
pub fn udp_checksum(datagram: &[u8]) -> [u8; 2] {
    let [_, _, high, low] = (0xffff - residue(datagram)).to_be_bytes();
    [high, low]
}

/// Pseudo-header and datagram of the UDP packet whose IP header and UDP header are at these places (RFC 768,
/// RFC 8200 §8.1).
///
/// # Panics
/// If the frame ends before the datagram does.
#[must_use]
pub fn datagram(frame: &[u8], ip_at: usize, udp_at: usize) -> Vec<u8> {
    let length = [frame[udp_at + 4], frame[udp_at + 5]];
    let addresses =
        if udp_at - ip_at == 40 { &frame[ip_at + 8..ip_at + 40] } else { &frame[ip_at + 12..ip_at + 20] };
    let end = udp_at + usize::from(u16::from_be_bytes(length));
    [addresses, &[0, 17], &length, &frame[udp_at..end]].concat()
}
