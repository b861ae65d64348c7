//! A bounded run of the pipeline against the oracle: seeds and changes of them, the same ones every time.

use std::collections::BTreeSet;
use std::net::Ipv4Addr;

use fastrand::Rng;
use isthmus_common::reason::Reason;
use isthmus_fuzz::check::{Check, HEAD};
use isthmus_fuzz::mutate::mutate;
use isthmus_fuzz::places::places;
use isthmus_fuzz::seeds::{seed, seed_in};
use isthmus_fuzz::situations::UNTWISTED;
use isthmus_fuzz::sums::residue;

/// A few seconds in a debug build.
const RUNS: u32 = 200_000;

/// Reasons that sound tables never lead to.
const UNREACHABLE: [Reason; 1] = [Reason::Internal];

fn run(check: &Check, input: &[u8]) -> Reason {
    check.run(input).unwrap_or_else(|disagreement| panic!("{disagreement}"))
}

#[test]
fn the_pipeline_agrees_with_the_oracle_on_every_way_that_leads_out_of_it() {
    let check = Check::new();
    let mut rng = Rng::with_seed(0x0000_1574_6D05);
    let mut seen = BTreeSet::new();
    let mut input = Vec::new();
    for _ in 0..RUNS {
        if rng.u8(..3) == 0 {
            input = seed(&mut rng);
        } else {
            mutate(&mut input, &mut rng);
        }
        seen.insert(run(&check, &input));
    }
    let missed: Vec<&Reason> =
        Reason::ALL.iter().filter(|reason| !seen.contains(reason) && !UNREACHABLE.contains(reason)).collect();
    assert!(missed.is_empty(), "no frame ended for these reasons: {missed:?}");
}

/// The first situations are those without a twist: every form, IP version, number of tags, with labels and without.
#[test]
fn every_form_is_translated_into_every_other_both_ways() {
    let check = Check::new();
    let mut rng = Rng::with_seed(3);
    for number in 0..UNTWISTED {
        for interface in 0..2 {
            let is_translated = |input: Vec<u8>| {
                usize::from(input[2] % 3) == interface && run(&check, &input) == Reason::Forwarded
            };
            let some = (0..1000).any(|_| is_translated(seed_in(number, &mut rng)));
            assert!(some, "nothing is forwarded in situation {number} from interface {interface}");
        }
    }
}

#[test]
fn a_seed_cut_off_anywhere_agrees_too() {
    let check = Check::new();
    let mut rng = Rng::with_seed(1);
    for _ in 0..200 {
        let input = seed(&mut rng);
        for end in 0..=input.len() {
            run(&check, &input[..end]);
        }
    }
}

/// One of them becomes zero in the translation, which would say that there is none; from IPv4 and from IPv6, into
/// both.
#[test]
fn every_udp_checksum_agrees() {
    let check = Check::new();
    let mut rng = Rng::with_seed(2);
    for _ in 0..6 {
        let (mut input, at) = loop {
            let input = seed(&mut rng);
            if let (Reason::Forwarded, Some(outer)) = (run(&check, &input), places(&input[HEAD..]).outer) {
                break (input, HEAD + outer.udp_at + 6);
            }
        };
        for checksum in 0..=u16::MAX {
            input[at..at + 2].copy_from_slice(&checksum.to_be_bytes());
            assert_eq!(run(&check, &input), Reason::Forwarded);
        }
    }
}

/// RFC 1071 §3 has this sum: ddf2.
#[test]
fn the_residue_is_the_sum_in_ones_complement() {
    assert_eq!(residue(&[0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7]), 0xddf2);
    assert_eq!(residue(&[0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7, 0x22, 0x0d]), 0);
    assert_eq!(residue(&Ipv4Addr::new(1, 2, 3, 0).octets()[..3]), 0x0402);
}
