//! A bounded run of manifests: seeds and changes of them, the same ones every time.
#![cfg(feature = "manifest")]

use fastrand::Rng;
use isthmus_fuzz::manifest::{mutate, run, seed};

/// A few seconds in a debug build.
const RUNS: u32 = 4_000;

#[test]
fn whatever_stands_in_a_manifest_is_taken_as_it_is_or_refused_with_its_line() {
    let mut rng = Rng::with_seed(0x0000_1574_6D05);
    let (mut taken, mut refused) = (0, 0);
    let mut text = String::new();
    for _ in 0..RUNS {
        if rng.u8(..4) == 0 {
            text = seed(&mut rng);
        } else {
            mutate(&mut text, &mut rng);
        }
        match run(&text) {
            Ok(true) => taken += 1,
            Ok(false) => refused += 1,
            Err(fault) => panic!("{fault}"),
        }
    }
    assert!(taken > RUNS / 20 && refused > RUNS / 20, "{taken} taken, {refused} refused");
}
