//! Incremental checksums are the ones that a computation from nothing gives.

use isthmus_common::checksum::Delta;
use proptest::prelude::*;

/// RFC 1071, word by word.
fn checksum(words: &[u16]) -> u16 {
    let mut sum = 0u32;
    for word in words {
        sum += u32::from(*word);
        sum = (sum & 0xffff) + (sum >> 16);
    }
    !u16::try_from(sum).expect("folded after every word")
}

/// Zero and all ones are the same number in one's complement; which of the two comes out is the
/// subject of its own test.
fn same_number(one: u16, other: u16) -> bool {
    one % 0xffff == other % 0xffff
}

proptest! {
    #[test]
    fn an_update_equals_a_computation_from_nothing(
        words in proptest::collection::vec(any::<u16>(), 2..40),
        edits in proptest::collection::vec((any::<proptest::sample::Index>(), any::<u16>()), 0..20),
    ) {
        let mut edited = words.clone();
        let mut delta = Delta::default();
        for (at, new) in edits {
            let word = at.get_mut(&mut edited);
            delta = delta.replace16(*word, new);
            *word = new;
        }
        let updated = delta.apply(checksum(&words));
        if edited.iter().any(|word| *word != 0) {
            prop_assert!(same_number(updated, checksum(&edited)));
        }
        if words != edited && edited.iter().any(|word| *word != 0) {
            prop_assert_eq!(updated, checksum(&edited));
        }
    }

    #[test]
    fn a_double_word_is_two_words(old: [u8; 4], new: [u8; 4], field: u16) {
        let word = |bytes: [u8; 4], at: usize| u16::from_be_bytes([bytes[at], bytes[at + 1]]);
        let twice = Delta::default()
            .replace16(word(old, 0), word(new, 0))
            .replace16(word(old, 2), word(new, 2));
        prop_assert_eq!(Delta::default().replace32(old, new).apply(field), twice.apply(field));
    }

    #[test]
    fn a_wrong_checksum_stays_as_wrong(
        words in proptest::collection::vec(any::<u16>(), 2..40),
        at: proptest::sample::Index,
        new: u16,
        field: u16,
    ) {
        let old = *at.get(&words);
        prop_assume!(old != new);
        let mut edited = words.clone();
        *at.get_mut(&mut edited) = new;
        // How far the field is from the truth, in one's complement.
        let error = |field: u16, words: &[u16]| {
            (u32::from(field) + u32::from(!checksum(words))) % 0xffff
        };
        let updated = Delta::default().replace16(old, new).apply(field);
        prop_assert_eq!(error(updated, &edited), error(field, &words));
    }

    #[test]
    fn an_absent_udp_checksum_stays_absent_and_a_present_one_present(old: u16, new: u16, field: u16) {
        let delta = Delta::default().replace16(old, new);
        prop_assert_eq!(delta.apply_udp(field) == 0, field == 0);
        if field != 0 {
            prop_assert!(same_number(delta.apply_udp(field), delta.apply(field)));
        }
    }
}

#[test]
fn as_many_words_as_promised_fit() {
    let mut delta = Delta::default();
    for _ in 0..1 << 15 {
        delta = delta.replace16(0, 0xffff);
    }
    // Each replacement adds a multiple of 0xffff, which is nothing.
    assert!(same_number(delta.apply(0x1234), 0x1234));
}
