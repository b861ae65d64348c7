//! The packet pipeline against the oracle, driven by libFuzzer.
#![no_main]

use fastrand::Rng;
use isthmus_fuzz::{check::Check, mutate::mutate};
use libfuzzer_sys::{fuzz_mutator, fuzz_target, fuzzer_mutate};

thread_local! {
    static CHECK: Check = Check::new();
}

fuzz_target!(|input: &[u8]| {
    if let Err(disagreement) = CHECK.with(|check| check.run(input)) {
        panic!("{disagreement}");
    }
});

fuzz_mutator!(|data: &mut [u8], size: usize, max_size: usize, seed: u32| {
    // One in four is the engine's own, which knows what the code compared input with.
    if seed.is_multiple_of(4) {
        return fuzzer_mutate(data, size, max_size);
    }
    let mut input = data[..size].to_vec();
    mutate(&mut input, &mut Rng::with_seed(seed.into()));
    input.truncate(max_size);
    data[..input.len()].copy_from_slice(&input);
    input.len()
});
