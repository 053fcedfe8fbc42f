use super::*;
use proptest::prelude::*;
use std::collections::BTreeMap;

const DAY_MS: u64 = 86_400_000;

impl<T> Wheel<T> {
    /// Checks what must hold between any two calls.
    fn assert_consistent(&self) {
        let mut timers = 0;
        for (slot, list, occupied) in self.levels.iter() {
            let ticks = self.timers.walk(list);
            assert_eq!(!ticks.is_empty(), occupied, "{slot:?} is marked as it is not");
            for due in &ticks {
                assert!(*due >= self.now, "a timer was passed");
                assert_eq!(Slot::of(self.now, *due), slot, "{due} is in a wrong slot");
            }
            timers += ticks.len();
        }
        assert_eq!(timers, self.len(), "a timer is in no slot, or in two");
    }

    fn advanced(&mut self, now: u64) -> Vec<T> {
        let mut due = Vec::new();
        self.advance(now, &mut due);
        due
    }
}

#[derive(Clone, Debug)]
enum Operation {
    /// Due this many ticks ahead.
    Insert(u64),
    /// Due this many ticks ago.
    InsertPast(u64),
    /// Cancels the n-th of all ids ever given, live or not.
    Cancel(prop::sample::Index),
    /// Moves now ahead.
    Advance(u64),
    /// The clock was set back.
    StepBack(u64),
    /// Moves now to the next tick that the wheel asks for.
    AdvanceToNext,
}

/// Distances evenly spread over magnitudes: from one tick to 90 days, and now and then beyond.
fn distance() -> impl Strategy<Value = u64> {
    prop_oneof![
        8 => 0..200_u64,
        4 => 0..100_000_u64,
        4 => 0..DAY_MS,
        2 => 0..90 * DAY_MS,
        1 => any::<u64>(),
    ]
}

fn operation() -> impl Strategy<Value = Operation> {
    prop_oneof![
        10 => distance().prop_map(Operation::Insert),
        1 => distance().prop_map(Operation::InsertPast),
        4 => any::<prop::sample::Index>().prop_map(Operation::Cancel),
        4 => (0..90 * DAY_MS).prop_map(|ticks| Operation::Advance(ticks.max(1))),
        4 => (1..5000_u64).prop_map(Operation::Advance),
        1 => distance().prop_map(Operation::StepBack),
        4 => Just(Operation::AdvanceToNext),
    ]
}

/// A sorted map that does what the wheel should, in the obvious way.
#[derive(Default)]
struct Model {
    now: u64,
    waiting: BTreeMap<(u64, usize), usize>,
}

impl Model {
    fn advance(&mut self, now: u64) -> Vec<usize> {
        self.now = self.now.max(now);
        let later = self.waiting.split_off(&(self.now.saturating_add(1), 0));
        let mut due = std::mem::replace(&mut self.waiting, later);
        if self.now == u64::MAX {
            due.append(&mut self.waiting);
        }
        due.into_values().collect()
    }
}

proptest! {
    #[test]
    fn the_wheel_does_what_a_sorted_map_does(
        start in prop_oneof![0..DAY_MS, any::<u64>()],
        operations in prop::collection::vec(operation(), 1..256),
    ) {
        let mut wheel = Wheel::new(start);
        let mut model = Model { now: start, ..Model::default() };
        let mut given: Vec<(TimerId, (u64, usize))> = Vec::new();
        for operation in operations {
            match operation {
                Operation::Insert(_) | Operation::InsertPast(_) => {
                    let due = match operation {
                        Operation::Insert(ahead) => model.now.saturating_add(ahead),
                        Operation::InsertPast(ago) => model.now.saturating_sub(ago),
                        _ => unreachable!(),
                    };
                    let number = given.len();
                    let key = (due.max(model.now), number);
                    model.waiting.insert(key, number);
                    given.push((wheel.insert(due, number), key));
                }
                Operation::Cancel(index) if !given.is_empty() => {
                    let (id, key) = given[index.index(given.len())];
                    prop_assert_eq!(wheel.cancel(id), model.waiting.remove(&key));
                }
                Operation::Cancel(_) => {}
                Operation::Advance(ticks) => {
                    let now = model.now.saturating_add(ticks);
                    prop_assert_eq!(wheel.advanced(now), model.advance(now));
                }
                Operation::StepBack(ticks) => {
                    let now = model.now.saturating_sub(ticks);
                    prop_assert_eq!(wheel.advanced(now), model.advance(now));
                }
                Operation::AdvanceToNext => {
                    let earliest = model.waiting.keys().next().map(|(due, _)| *due);
                    prop_assert!(wheel.next_due() <= earliest);
                    prop_assert_eq!(wheel.next_due().is_some(), earliest.is_some());
                    if let Some(now) = wheel.next_due() {
                        prop_assert_eq!(wheel.advanced(now), model.advance(now));
                    }
                }
            }
            wheel.assert_consistent();
            prop_assert_eq!(wheel.len(), model.waiting.len());
            prop_assert_eq!(wheel.now(), model.now);
        }
        prop_assert_eq!(wheel.advanced(u64::MAX), model.advance(u64::MAX));
        prop_assert!(wheel.is_empty());
    }
}

#[test]
fn nothing_is_early_and_nothing_is_lost_at_any_tick() {
    let mut wheel = Wheel::new(4090);
    for due in (4000..9000).rev() {
        wheel.insert(due, due);
    }
    let past: Vec<u64> = (4000..=4090).rev().collect();
    assert_eq!(wheel.advanced(4090), past, "what is past goes out as inserted");
    for now in 4091..9000 {
        assert_eq!(wheel.advanced(now), [now]);
    }
    assert!(wheel.is_empty());
}

#[test]
fn an_id_names_its_own_timer_only() {
    let mut wheel = Wheel::new(0);
    let first = wheel.insert(10, 'a');
    assert_eq!(wheel.cancel(first), Some('a'));
    let second = wheel.insert(10, 'b');
    assert_eq!(second.index, first.index, "the place is used again");
    assert_eq!(wheel.cancel(first), None, "by another timer");
    assert_eq!(wheel.advanced(10), ['b']);
    assert_eq!(wheel.cancel(second), None, "which was handed out");
}

#[test]
fn the_next_due_tick_is_reached_in_few_rounds() {
    let mut wheel = Wheel::new(1);
    wheel.insert(u64::MAX, ());
    let mut rounds = 0;
    let mut due = Vec::new();
    while let Some(next) = wheel.next_due() {
        wheel.advance(next, &mut due);
        rounds += 1;
    }
    assert_eq!(wheel.now(), u64::MAX);
    assert!(rounds <= 11, "{rounds} rounds");
}

#[test]
fn a_jump_costs_what_is_due_and_not_the_ticks_passed() {
    // Tick by tick, either jump would outlast any test run.
    let mut wheel = Wheel::new(0);
    wheel.insert(30_000, "ladder");
    wheel.insert(u64::MAX, "never");
    assert_eq!(wheel.advanced(400 * DAY_MS), ["ladder"]);
    assert_eq!(wheel.advanced(u64::MAX), ["never"]);
    wheel.insert(u64::MAX, "at the end of time");
    assert_eq!(wheel.advanced(u64::MAX), ["at the end of time"]);
}

#[test]
fn places_are_used_again() {
    let mut wheel = Wheel::new(0);
    for round in 0..100_u64 {
        for ahead in 0..10 {
            wheel.insert(round * 100 + ahead, ());
        }
        wheel.advance(round * 100 + 50, &mut Vec::new());
        assert_eq!(wheel.timers.places(), 10);
    }
}

#[test]
fn a_timer_fits_in_64_bytes() {
    assert_eq!(Slab::<u64>::NODE_BYTES, 40);
}
