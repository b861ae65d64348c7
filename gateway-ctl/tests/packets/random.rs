//! Frames that nobody sends on purpose.

use std::cell::RefCell;
use std::collections::BTreeSet;

use isthmus_common::host::Record;
use isthmus_common::reason::{Reason, Verdict};
use proptest::prelude::*;
use proptest::sample::Index;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};

use crate::cases::{self, Case};
use crate::federation::{EAST, FAR, GENEVE_PORT, WEST};
use crate::frames::Tag;
use crate::gateway::{HostGateway, KernelGateway, Outcome};

/// What happens to a good frame.
#[derive(Clone, Debug)]
enum Mutation {
    FlipBit(Index, u8),
    /// Numbers near the edges of fields break more than arbitrary ones.
    SetByte(Index, u8),
    Truncate(Index),
    Extend(Vec<u8>),
    Swap(Index, Index),
}

impl Mutation {
    fn apply(&self, frame: &mut Vec<u8>) {
        if frame.is_empty() {
            return;
        }
        match self {
            Self::FlipBit(at, bit) => *at.get_mut(frame) ^= 1 << bit,
            Self::SetByte(at, value) => *at.get_mut(frame) = *value,
            Self::Truncate(at) => frame.truncate(at.index(frame.len() + 1)),
            Self::Extend(bytes) => frame.extend(bytes),
            Self::Swap(one, other) => {
                let length = frame.len();
                frame.swap(one.index(length), other.index(length));
            }
        }
    }
}

fn mutation() -> impl Strategy<Value = Mutation> {
    let edge = prop_oneof![Just(0u8), Just(1), Just(0x7f), Just(0x80), Just(0xff), any::<u8>()];
    prop_oneof![
        4 => (any::<Index>(), 0..8u8).prop_map(|(at, bit)| Mutation::FlipBit(at, bit)),
        3 => (any::<Index>(), edge).prop_map(|(at, value)| Mutation::SetByte(at, value)),
        1 => any::<Index>().prop_map(Mutation::Truncate),
        1 => proptest::collection::vec(any::<u8>(), 0..100).prop_map(Mutation::Extend),
        1 => (any::<Index>(), any::<Index>()).prop_map(|(one, other)| Mutation::Swap(one, other)),
    ]
}

/// A frame, and where it comes in.
fn arrival() -> impl Strategy<Value = (Vec<u8>, u32)> {
    // Rows that are forwarded: mutations of refused ones would be refused for the same reason.
    let good: Vec<(Vec<u8>, u32)> = cases::all()
        .into_iter()
        .filter(|case: &Case| case.egress != 0 && case.frame.len() < 1500)
        .map(|case| (case.frame, case.ingress))
        .collect();
    let mutated =
        (any::<Index>(), proptest::collection::vec(mutation(), 0..4)).prop_map(move |(which, mutations)| {
            let (mut frame, ingress) = which.get(&good).clone();
            for mutation in mutations {
                mutation.apply(&mut frame);
            }
            (frame, ingress)
        });
    let noise = (
        proptest::collection::vec(any::<u8>(), 0..300),
        prop_oneof![Just(WEST), Just(EAST), Just(FAR), any::<u32>()],
    );
    prop_oneof![9 => mutated, 1 => noise]
}

/// The inner frame of one that is on a VLAN that is a network, or else in a tunnel.
fn inner(frame: &[u8], is_lane: bool) -> Vec<u8> {
    if is_lane {
        return [&frame[..12], &frame[16..]].concat();
    }
    let field = |at: usize| u16::from_be_bytes([frame[at], frame[at + 1]]);
    let mut ether_type = 12;
    while matches!(field(ether_type), Tag::CUSTOMER | Tag::SERVICE) {
        ether_type += 4;
    }
    let udp = ether_type + 2 + if field(ether_type) == 0x0800 { 20 } else { 40 };
    let options = if field(udp + 2) == GENEVE_PORT { usize::from(frame[udp + 8] & 0x3f) * 4 } else { 0 };
    frame[udp + 16 + options..udp + usize::from(field(udp + 4))].to_vec()
}

/// Without what a decapsulator may change: ECN, and the IPv4 checksum that covers it.
fn without_ecn(mut frame: Vec<u8>) -> Vec<u8> {
    match frame[12..14] {
        [0x08, 0x00] => {
            frame[15] &= !0x03;
            frame[24..26].fill(0);
        }
        [0x86, 0xdd] => frame[15] &= !0x30,
        _ => {}
    }
    frame
}

fn check_frame(before: &[u8], outcome: &Outcome) -> Result<(), TestCaseError> {
    let Outcome { verdict, frame: after, event } = outcome;
    prop_assert_eq!(event.length as usize, before.len());
    if !matches!(verdict, Verdict::Redirected | Verdict::Transmitted) {
        prop_assert!(before == after, "a packet that was {:?} has changed", verdict);
        return Ok(());
    }
    let is_lane = |interface, frame: &[u8]| interface == FAR && frame[12..14] == [0x81, 0x00];
    let (came, went) = (is_lane(event.ingress, before), is_lane(event.egress, after));
    let (came, went) = (inner(before, came), (inner(after, went), went));
    match went {
        (inner, true) => prop_assert_eq!(without_ecn(came), without_ecn(inner)),
        (inner, false) => prop_assert_eq!(came, inner),
    }
    Ok(())
}

/// Always the same frames, so that a failure in CI is a failure at home.
fn runner(cases: u32) -> TestRunner {
    let config = Config { cases, failure_persistence: None, ..Config::default() };
    TestRunner::new_with_rng(config, TestRng::deterministic_rng(RngAlgorithm::ChaCha))
}

#[test]
fn any_frame_leaves_once_with_one_reason_and_nothing_else_changed() {
    let mut runner = TestRunner::new(Config { cases: 4000, failure_persistence: None, ..Config::default() });
    let reasons = RefCell::new(BTreeSet::new());
    let host = HostGateway::new();
    let result = runner.run(&arrival(), |(frame, ingress)| {
        *host.tables.record.borrow_mut() = Record::default();
        let outcome = host.run(&frame, ingress);
        let record = host.tables.record.borrow();
        prop_assert_eq!((record.received.packets, record.received.bytes), (1, frame.len() as u64));
        prop_assert_eq!(record.reasons.len(), 1);
        let (reason, count) = record.reasons.first_key_value().unwrap();
        prop_assert_eq!(*count, record.received);
        prop_assert_eq!((reason.index(), reason.verdict()), (outcome.event.reason, outcome.verdict));
        prop_assert!(*reason != Reason::Internal);
        reasons.borrow_mut().insert(*reason);
        check_frame(&frame, &outcome)
    });
    if let Err(error) = result {
        panic!("{error}");
    }
    assert!(reasons.borrow().len() > 12, "the frames are too much alike: only {reasons:?}");
}

#[test]
fn kernel_and_host_agree_on_any_frame() {
    if !crate::root::is_root("kernel_and_host_agree_on_any_frame") {
        return;
    }
    let host = HostGateway::new();
    let kernel = RefCell::new(KernelGateway::new());
    let frames = arrival()
        .prop_filter("too short for a test run", |(frame, _)| frame.len() >= KernelGateway::SHORTEST);
    let result = runner(1500).run(&frames, |(frame, ingress)| {
        let outcome = kernel.borrow_mut().run(&frame, ingress);
        check_frame(&frame, &outcome)?;
        prop_assert_eq!(outcome, host.run(&frame, ingress));
        Ok(())
    });
    if let Err(error) = result {
        panic!("{error}");
    }
}
