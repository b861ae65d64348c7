//! Manifests, driven by libFuzzer.
#![no_main]

use fastrand::Rng;
use isthmus_fuzz::manifest;
use libfuzzer_sys::{fuzz_mutator, fuzz_target, fuzzer_mutate};

fuzz_target!(|input: &[u8]| {
    if let Err(fault) = manifest::run(&String::from_utf8_lossy(input)) {
        panic!("{fault}");
    }
});

fuzz_mutator!(|data: &mut [u8], size: usize, max_size: usize, seed: u32| {
    // One in two is the engine's own.
    if seed.is_multiple_of(2) {
        return fuzzer_mutate(data, size, max_size);
    }
    let mut text = String::from_utf8_lossy(&data[..size]).into_owned();
    manifest::mutate(&mut text, &mut Rng::with_seed(seed.into()));
    let length = manifest::boundary(&text, max_size);
    data[..length].copy_from_slice(&text.as_bytes()[..length]);
    length
});
