//! The checksum of the Internet protocols (RFC 1071), by arithmetic modulo 0xffff.

/// A checksum field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Checksum {
    /// What the RFC says.
    Right,
    /// Zero: none.
    Absent,
    /// As given.
    Wrong(u16),
}

/// The 16-bit words of these bytes, the last one filled up with a zero.
pub(crate) fn words(bytes: &[u8]) -> Vec<u16> {
    bytes.chunks(2).map(|pair| u16::from_be_bytes([pair[0], pair.get(1).copied().unwrap_or(0)])).collect()
}

/// The field that is exactly as wrong over the new words as `field` is over the old ones: the sum of all, the
/// field included, is the same modulo 0xffff. Zero where that can be told from 0xffff, as no field is both.
pub(crate) fn as_wrong(field: u16, old: &[u16], new: &[u16]) -> u16 {
    const MODULUS: u64 = 0xffff;
    let sum = |words: &[u16]| words.iter().copied().map(u64::from).sum::<u64>();
    let residue = (sum(old) + u64::from(field)) % MODULUS;
    u16::try_from((residue + MODULUS - sum(new) % MODULUS) % MODULUS).unwrap()
}
