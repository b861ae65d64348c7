//! Incremental checksums are the ones that a computation from nothing gives, and sums are the ones of RFC 1071.

use isthmus_common::checksum::Sum;
use isthmus_common::frame::Frame;
use isthmus_common::host::BufferFrame;
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

/// Bytes as words; what lacks a second byte gets a zero (RFC 1071 §1).
fn words(bytes: &[u8]) -> Vec<u16> {
    bytes.chunks(2).map(|pair| u16::from_be_bytes([pair[0], pair.get(1).copied().unwrap_or(0)])).collect()
}

/// Zero and all ones are the same number in one's complement; which of the two comes out is the
/// subject of its own test.
fn same_number(one: u16, other: u16) -> bool {
    one % 0xffff == other % 0xffff
}

fn replace(sum: Sum, old: u16, new: u16) -> Sum {
    sum.remove16(old).add16(new)
}

/// Bytes that a header could have.
fn header() -> impl Strategy<Value = Vec<u8>> {
    proptest::collection::vec(any::<u8>(), 0..300)
}

proptest! {
    #[test]
    fn an_update_equals_a_computation_from_nothing(
        words in proptest::collection::vec(any::<u16>(), 2..40),
        edits in proptest::collection::vec((any::<proptest::sample::Index>(), any::<u16>()), 0..20),
    ) {
        let mut edited = words.clone();
        let mut change = Sum::default();
        for (at, new) in edits {
            let word = at.get_mut(&mut edited);
            change = replace(change, *word, new);
            *word = new;
        }
        let updated = change.update(checksum(&words));
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
        let once = Sum::default().remove32(old).add32(new);
        let twice = replace(replace(Sum::default(), word(old, 0), word(new, 0)), word(old, 2), word(new, 2));
        prop_assert_eq!(once.update(field), twice.update(field));
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
        let updated = replace(Sum::default(), old, new).update(field);
        prop_assert_eq!(error(updated, &edited), error(field, &words));
    }

    #[test]
    fn a_udp_checksum_that_is_there_stays_there(old: u16, new: u16, field in 1..=u16::MAX) {
        let change = replace(Sum::default(), old, new);
        prop_assert_ne!(change.update_udp(field), 0);
        prop_assert!(same_number(change.update_udp(field), change.update(field)));
    }

    #[test]
    fn a_fresh_sum_is_that_of_rfc_1071_from_any_offset_and_of_any_length(
        frame in header(),
        from: proptest::sample::Index,
        to: proptest::sample::Index,
    ) {
        let (from, to) = (from.index(frame.len() + 1), to.index(frame.len() + 1));
        let (from, to) = (from.min(to), from.max(to));
        let sum = BufferFrame::new(&frame).sum(from, to - from).expect("it is all there");
        let truth = checksum(&words(&frame[from..to]));
        prop_assert!(same_number(!sum.fold(), truth));
        prop_assert!(same_number(sum.udp(), truth));
        prop_assert_ne!(sum.udp(), 0);
        // Only nothing but zeros sums up to zero.
        prop_assert_eq!(sum.fold() == 0, frame[from..to].iter().all(|byte| *byte == 0));
    }

    #[test]
    fn nothing_is_summed_beyond_the_frame(frame in header(), offset in 0..400usize, bytes in 0..400usize) {
        let is_there = offset + bytes <= frame.len();
        prop_assert_eq!(BufferFrame::new(&frame).sum(offset, bytes).is_some(), is_there);
    }

    #[test]
    fn the_room_in_front_of_a_frame_is_no_part_of_its_sum(frame in header(), room in 0..9usize) {
        let fold = |frame: &BufferFrame| frame.sum(0, frame.len()).expect("it is all there").fold();
        let roomy = BufferFrame::with_headroom(&frame, room);
        prop_assert_eq!(fold(&roomy), fold(&BufferFrame::with_headroom(&frame, 0)));
    }

    #[test]
    fn sums_of_parts_add_up(front in header(), back in header()) {
        // A part that ends within a word would shift those behind it.
        let front = [&front[..], &[0][..front.len() % 2]].concat();
        let whole = BufferFrame::new(&[&front[..], &back].concat());
        let all = whole.sum(0, front.len() + back.len()).expect("it is all there");
        let first = whole.sum(0, front.len()).expect("it is all there");
        let second = whole.sum(front.len(), back.len()).expect("it is all there");
        prop_assert!(same_number(first.and(second).fold(), all.fold()));
        prop_assert!(same_number(all.without(first).fold(), second.fold()));
        prop_assert!(same_number(all.without(second).fold(), first.fold()));
    }

    #[test]
    fn the_kernel_s_way_to_give_a_sum_is_understood(bytes in header()) {
        // bpf_csum_diff: 32-bit words as they lie in memory.
        let padded = [&bytes[..], &[0; 3][..(4 - bytes.len() % 4) % 4]].concat();
        let sum = padded.chunks_exact(4).fold(0u64, |sum, word| {
            sum + u64::from(u32::from_ne_bytes(word.try_into().expect("four bytes")))
        });
        let truth = checksum(&words(&bytes));
        prop_assert!(same_number(!Sum::from_memory_order(sum).fold(), truth));
    }

    #[test]
    fn a_packet_with_its_checksum_sums_up_to_all_ones(mut bytes in header(), at: proptest::sample::Index) {
        bytes.extend([0x45, 0]);
        let at = at.index(bytes.len() / 2) * 2;
        bytes[at..at + 2].fill(0);
        prop_assume!(bytes.iter().any(|byte| *byte != 0));
        let frame = BufferFrame::new(&bytes);
        let field = frame.sum(0, bytes.len()).expect("it is all there").udp();
        bytes[at..at + 2].copy_from_slice(&field.to_be_bytes());
        let frame = BufferFrame::new(&bytes);
        prop_assert_eq!(frame.sum(0, bytes.len()).expect("it is all there").fold(), 0xffff);
    }
}

#[test]
fn an_offset_that_overflows_is_beyond_the_frame() {
    assert!(BufferFrame::new(&[0; 64]).sum(1, usize::MAX).is_none());
}

#[test]
fn as_many_words_as_promised_fit() {
    // 2³¹ of the largest that there are, by doubling.
    let mut sum = Sum::default().add32([0xff; 4]);
    for _ in 0..31 {
        sum = sum.and(sum);
    }
    // Each of them is a multiple of 0xffff, which is nothing.
    assert_eq!(sum.fold(), 0xffff);
    assert!(same_number(sum.update(0x1234), 0x1234));
}
