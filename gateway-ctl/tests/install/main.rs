//! The installer, watched at every single write.
#![expect(clippy::unwrap_used, reason = "a test that can't be set up has failed")]

#[path = "../packets/objects.rs"]
mod objects;
mod recorder;
mod world;

use isthmus::gateway::install::{Capacity, InstallError, Installed};
use isthmus::gateway::numbers::Numbers;
use isthmus::gateway::plan::Way;
use isthmus_common::rules::{Direction, Leg};
use isthmus_common::tables::{NextHop, hop};
use proptest::prelude::*;

use recorder::Recorder;
use world::{World, world};

/// What happens between two looks at the tables.
#[derive(Clone, Debug)]
enum Step {
    /// Other objects are declared; after so many writes, the kernel refuses one.
    Declare(World, Option<usize>),
    /// A neighbour becomes known, or another one.
    Resolve(Way, u8, Option<usize>),
}

fn step() -> impl Strategy<Value = Step> {
    let failure = || prop_oneof![3 => Just(None), 2 => (0..30usize).prop_map(Some)];
    prop_oneof![
        4 => (world(), failure()).prop_map(|(world, failure)| Step::Declare(world, failure)),
        1 => (world::way(), any::<u8>(), prop_oneof![Just(None), Just(Some(0)), Just(Some(1))])
            .prop_map(|(way, mac, failure)| Step::Resolve(way, mac, failure)),
    ]
}

/// Far more than the worlds need.
fn ample() -> Capacity {
    Capacity { mappings: 100_000, rule_sets: 100_000, next_hops: 10_000, entries: 100_000 }
}

fn resolved(mac: u8) -> NextHop {
    NextHop { state: hop::V4, ifindex: 2, destination_mac: [mac; 6], ..NextHop::default() }
}

/// Mappings that rules in the tables name are mappings that the installer knows by that number.
fn check_numbers(installed: &Installed, recorder: &Recorder) -> Result<(), TestCaseError> {
    for leg in recorder.legs_in_use() {
        let number = leg.mapping();
        prop_assert!(
            number.is_some_and(|number| installed.mapping(number).is_some()),
            "a rule in force names mapping number {number:?}, which is nobody's"
        );
    }
    Ok(())
}

fn run(steps: Vec<Step>, last: &World) -> Result<(), TestCaseError> {
    let mut installed = Installed::new(&ample());
    let mut recorder = Recorder::default();
    for step in steps {
        match step {
            Step::Declare(world, failure) => {
                recorder.fail_after(failure);
                let result = installed.install(&mut recorder, &world.plan());
                prop_assert_eq!(result.is_err(), recorder.has_failed());
            }
            Step::Resolve(way, mac, failure) => {
                recorder.fail_after(failure);
                let result = installed.set_next_hop(&mut recorder, &way, &resolved(mac));
                prop_assert_eq!(result.is_err(), recorder.has_failed());
            }
        }
        check_numbers(&installed, &recorder)?;
    }
    recorder.fail_after(None);
    let plan = last.plan();
    installed.install(&mut recorder, &plan).unwrap();
    check_numbers(&installed, &recorder)?;

    let mut fresh = Installed::new(&ample());
    let mut fresh_recorder = Recorder::default();
    fresh.install(&mut fresh_recorder, &plan).unwrap();
    // Resolution came on the way; it is no part of the plan.
    for way in plan.ways() {
        installed.set_next_hop(&mut recorder, way, &resolved(1)).unwrap();
        fresh.set_next_hop(&mut fresh_recorder, way, &resolved(1)).unwrap();
    }
    prop_assert_eq!(recorder.contents(&installed), fresh_recorder.contents(&fresh));

    let writes = recorder.writes;
    installed.install(&mut recorder, &plan).unwrap();
    prop_assert_eq!(recorder.writes, writes, "what is installed already needs no write");
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]
    #[test]
    fn no_write_names_what_is_not_there_and_all_ways_lead_to_the_same_tables(
        steps in proptest::collection::vec(step(), 1..8),
        last in world(),
    ) {
        run(steps, &last)?;
    }
}

proptest! {
    // Fewer of these: numbers that were given back rest for a while before they are given again.
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]
    #[test]
    fn a_world_that_fits_comes_into_force_whatever_was_there(
        worlds in proptest::collection::vec(world(), 2..5),
    ) {
        let mut capacity = Capacity { mappings: 1, rule_sets: 1, next_hops: 1, entries: 0 };
        for world in &worlds {
            let mut alone = Recorder::default();
            Installed::new(&ample()).install(&mut alone, &world.plan()).unwrap();
            let need = alone.capacity(world.plan().mappings.len());
            capacity = Capacity {
                mappings: capacity.mappings.max(need.mappings),
                rule_sets: capacity.rule_sets.max(need.rule_sets),
                next_hops: capacity.next_hops.max(need.next_hops),
                entries: capacity.entries.max(need.entries),
            };
        }
        let mut installed = Installed::new(&capacity);
        let mut recorder = Recorder::default();
        for world in &worlds {
            installed.install(&mut recorder, &world.plan()).unwrap();
            check_numbers(&installed, &recorder)?;
            let mut fresh = Installed::new(&ample());
            let mut alone = Recorder::default();
            fresh.install(&mut alone, &world.plan()).unwrap();
            prop_assert_eq!(recorder.contents(&installed), alone.contents(&fresh));
            prop_assert!(recorder.most_entries() <= capacity.entries as usize);
        }
    }

    #[test]
    fn numbers_are_unique_and_never_zero(
        slots in 1..8u32,
        acts in proptest::collection::vec((any::<bool>(), 0..8u8), 0..16),
    ) {
        let mut numbers = Numbers::new("things", slots);
        for (gives, key) in acts {
            if gives {
                let before = numbers.get(&key);
                if let Ok((number, is_new)) = numbers.give(&key) {
                    prop_assert!(0 < number && number < slots);
                    prop_assert_eq!(is_new, before.is_none());
                    prop_assert!(before.is_none_or(|before| before == number));
                } else {
                    prop_assert_eq!(numbers.iter().count(), slots as usize - 1);
                }
            } else {
                numbers.withdraw(&key);
                prop_assert_eq!(numbers.get(&key), None);
            }
            let mut given: Vec<u32> = numbers.iter().map(|(_, number)| number).collect();
            given.sort_unstable();
            let count = given.len();
            given.dedup();
            prop_assert_eq!(given.len(), count);
        }
    }
}

/// Two worlds that each fit, but not at the same time.
#[test]
fn a_world_that_fits_replaces_another_one_that_filled_the_tables() {
    let all = World::of_mappings(1..=6);
    let other = World::of_mappings(7..=12);
    let mut probe = Installed::new(&ample());
    let mut recorder = Recorder::default();
    probe.install(&mut recorder, &all.plan()).unwrap();
    let capacity = Capacity {
        mappings: 6 + 1,
        rule_sets: u32::try_from(recorder.rule_sets_in_use()).unwrap() + 1,
        ..ample()
    };
    let mut installed = Installed::new(&capacity);
    let mut recorder = Recorder::default();
    for world in [&all, &other, &all] {
        installed.install(&mut recorder, &world.plan()).unwrap();
        let mappings: Vec<u8> = (1..=12)
            .filter(|n| installed.mappings().any(|(mapping, _)| mapping == objects::identifier(*n)))
            .collect();
        assert_eq!(mappings, world.mappings());
    }
}

#[test]
fn what_does_not_fit_is_said_and_what_was_there_stays() {
    let mut installed = Installed::new(&Capacity { mappings: 3 + 1, ..ample() });
    let mut recorder = Recorder::default();
    installed.install(&mut recorder, &World::of_mappings(1..=3).plan()).unwrap();
    let before = recorder.contents(&installed);
    let error = installed.install(&mut recorder, &World::of_mappings(1..=4).plan()).unwrap_err();
    assert!(matches!(error, InstallError::Full(_)));
    assert_eq!(
        error.to_string(),
        "the table of mappings is full: it holds 3; start the gateway with a larger --max-mappings"
    );
    assert_eq!(recorder.contents(&installed), before);
    installed.install(&mut recorder, &World::of_mappings(2..=4).plan()).unwrap();
}

#[test]
fn a_failed_attempt_leaves_no_numbers_behind() {
    let capacity = Capacity { mappings: 4 + 1, ..ample() };
    let mut installed = Installed::new(&capacity);
    let mut recorder = Recorder::default();
    installed.install(&mut recorder, &World::of_mappings(1..=2).plan()).unwrap();
    // Numbers for 3 and 4 are given, and then nothing can be written any more.
    recorder.fail_after(Some(5));
    installed.install(&mut recorder, &World::of_mappings(1..=4).plan()).unwrap_err();
    recorder.fail_after(None);
    let mut other = World::of_mappings(1..=2);
    other.mappings.extend([5, 6]);
    let plan = other.plan();
    installed.install(&mut recorder, &plan).unwrap();
}

#[test]
fn a_mapping_that_gets_a_used_number_counts_from_zero() {
    let mut installed = Installed::new(&Capacity { mappings: 2 + 1, ..ample() });
    let mut recorder = Recorder::default();
    let mut worlds = [World::of_mappings(1..=2), World::of_mappings(1..=1), World::of_mappings(1..=1)];
    worlds[2].mappings.insert(3);
    for world in &worlds {
        installed.install(&mut recorder, &world.plan()).unwrap();
    }
    let number = |mapping: u8| {
        installed.mappings().find(|(present, _)| *present == objects::identifier(mapping)).unwrap().1
    };
    for direction in [Direction::Forward, Direction::Return] {
        assert_eq!(recorder.clears(Leg::new(number(1), direction)), 1);
        assert_eq!(recorder.clears(Leg::new(number(3), direction)), 2, "once for mapping 2, once for 3");
    }
}
