//! The event ring is never flooded.

use isthmus_common::tables::{EVENTS_PER_SECOND, EventBudget};
use proptest::prelude::*;

const SECOND: u64 = 1_000_000_000;

/// Pauses between drops, nanoseconds: floods, steady traffic, silence, and a clock that stands still.
fn pauses() -> impl Strategy<Value = Vec<u64>> {
    let pause = prop_oneof![
        4 => 0..1_000u64,
        4 => 1_000_000..10_000_000u64,
        1 => Just(SECOND / EVENTS_PER_SECOND),
        1 => 0..3 * SECOND,
    ];
    proptest::collection::vec(pause, 1..3000)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]
    #[test]
    fn in_no_stretch_of_time_more_than_the_rate_and_one_burst(start in 1..u64::from(u32::MAX), pauses in pauses()) {
        let mut budget = EventBudget::default();
        let mut now = start;
        let mut sent = Vec::new();
        for pause in &pauses {
            now += pause;
            if budget.take(now) {
                sent.push(now);
            }
        }
        prop_assert_eq!(budget.suppressed, (pauses.len() - sent.len()) as u64);
        let mut first = 0;
        for (index, at) in sent.iter().enumerate() {
            // The busiest stretches end with an event and start with one a second before, or with the first.
            while sent[first] + SECOND < *at {
                first += 1;
            }
            for begin in [0, first] {
                let elapsed = at - sent[begin];
                let allowed = EVENTS_PER_SECOND + elapsed.saturating_mul(EVENTS_PER_SECOND) / SECOND + 1;
                prop_assert!((index - begin + 1) as u64 <= allowed);
            }
        }
    }

    #[test]
    fn a_quiet_second_restores_the_whole_burst(start in 1..u64::from(u32::MAX), spent in 0..1000u64) {
        let mut budget = EventBudget::default();
        for _ in 0..spent {
            budget.take(start);
        }
        let later = start + SECOND;
        for _ in 0..EVENTS_PER_SECOND {
            prop_assert!(budget.take(later));
        }
        prop_assert!(!budget.take(later));
    }

    #[test]
    fn a_clock_that_goes_back_grants_nothing(start in SECOND..u64::from(u32::MAX), back in 0..SECOND) {
        let mut budget = EventBudget::default();
        while budget.take(start) {}
        prop_assert!(!budget.take(start - back));
    }
}
