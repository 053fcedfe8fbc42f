//! Events of an application and of an endpoint, newest first.

use crate::world::*;
use hookwheel::model::{EventId, Order, SkipReason};
use hookwheel::store::{Owner, Place, Store};
use uuid::Uuid;

/// Everything that `owner` has, read in pages of `limit`.
fn all_in_pages(store: &dyn Store, owner: Owner, limit: usize) -> Vec<EventId> {
    let (mut events, mut before) = (Vec::new(), EventId::from_uuid(Uuid::max()));
    loop {
        let least = EventId::from_uuid(Uuid::nil());
        let page = store.events_of(owner, least..before, Order::NewestFirst, limit).unwrap();
        assert!(page.len() <= limit);
        let Some(last) = page.last() else { return events };
        before = *last;
        events.extend(page);
    }
}

pub fn events_are_listed_newest_first_in_pages(store: &dyn Store) {
    let skipped = Place::Skipped(SkipReason::EndpointDisabled);
    for n in 1..30 {
        let mut to = vec![];
        if n % 2 == 0 {
            to.push((endpoint(1), Place::Fresh));
        }
        if n % 3 == 0 {
            to.push((endpoint(2), skipped));
        }
        store.accept(&[accepted_with(n, &to, |event| event.application = application(n % 2))]);
        // What was kept back is written at some time; it must not matter when.
        if n == 20 {
            store.close().unwrap();
        }
    }
    let numbers = |step: u64, from: u64, before: u64| -> Vec<EventId> {
        (from..before).rev().filter(|n| n % step == 0).map(event).collect()
    };
    let (first, second) = (Owner::Endpoint(endpoint(1)), Owner::Endpoint(endpoint(2)));
    let even = Owner::Application(application(0));
    for (owner, step) in [(first, 2), (second, 3), (even, 2)] {
        let list = |from, before, limit| {
            store.events_of(owner, event(from)..event(before), Order::NewestFirst, limit).unwrap()
        };
        for (from, before) in [(0, 99), (6, 24), (7, 23), (19, 22), (21, 29), (2, 4), (5, 5)] {
            assert_eq!(list(from, before, 99), numbers(step, from.max(1), before.min(30)));
        }
        assert_eq!(list(9, 3, 99), []);
        assert_eq!(list(0, 99, 0), []);
        assert_eq!(list(0, 99, 4), numbers(step, 1, 30)[..4]);
        for limit in [1, 2, 7, 100] {
            assert_eq!(all_in_pages(store, owner, limit), numbers(step, 1, 30));
        }
    }
    assert_eq!(all_in_pages(store, Owner::Endpoint(endpoint(3)), 10), []);
}

pub fn ten_thousand_events_are_listed_over_all_pages(store: &dyn Store) {
    for thousand in 0..10 {
        let numbers = thousand * 1000..(thousand + 1) * 1000;
        let to = [(endpoint(1), Place::Skipped(SkipReason::EndpointDisabled))];
        store.accept(&numbers.map(|n| accepted(n + 1, &to)).collect::<Vec<_>>());
        if thousand == 8 {
            store.close().unwrap();
        }
    }
    let expected: Vec<_> = (1..=10_000).rev().map(event).collect();
    for owner in [Owner::Application(application(1)), Owner::Endpoint(endpoint(1))] {
        assert_eq!(all_in_pages(store, owner, 777), expected);
        let part =
            store.events_of(owner, event(3_990)..event(4_010), Order::NewestFirst, 99).unwrap();
        assert_eq!(part, expected[5_991..6_011]);
    }
}
