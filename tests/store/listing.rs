//! Events of an application and of an endpoint, in both directions.

use crate::world::*;
use hookwheel::model::{DeliveryId, QueueItem};
use hookwheel::model::{EventId, Order, SkipReason};
use hookwheel::store::{Change, Expiry, Happened, Owner, Place, Store, ledger};
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

pub fn events_are_listed_oldest_first_in_pages(store: &dyn Store) {
    let mut listed: Vec<EventId> = Vec::new();
    for n in 1..400 {
        store.accept(&[accepted(n, &[(endpoint(1), Place::Queued)])]);
        if n % 90 == 0 {
            store.close().unwrap();
        }
        // One is read for three that come: the walk goes on while they do.
        if n % 3 == 0 {
            let from = listed.last().map_or(0, |last| last.as_u128() + 1);
            let range = EventId::from_uuid(Uuid::from_u128(from))..EventId::all().end;
            let owner = Owner::Endpoint(endpoint(1));
            listed.extend(store.events_of(owner, range, Order::OldestFirst, 1).unwrap());
        }
    }
    assert_eq!(listed, (1..134).map(event).collect::<Vec<_>>());
    let owner = Owner::Application(application(1));
    let list = |from, before, limit| {
        store.events_of(owner, event(from)..event(before), Order::OldestFirst, limit).unwrap()
    };
    for (from, before, limit) in [(0, 999, 999), (80, 100, 999), (90, 91, 9), (350, 999, 20)] {
        let expected = (from.max(1)..before.min(400)).take(limit).map(event);
        assert_eq!(list(from, before, limit), expected.collect::<Vec<_>>());
    }
    assert_eq!(list(9, 3, 99), []);
    let none = store.exhausted(endpoint(1), EventId::all(), Order::OldestFirst, 9).unwrap();
    assert_eq!(none, []);
}

pub fn what_happened_is_told_for_many_events_at_once(store: &dyn Store) {
    // Several pages of the store, some events with a history of their own.
    for part in 0..5 {
        let numbers = part * 150 + 1..(part + 1) * 150 + 1;
        let events: Vec<_> =
            numbers.map(|n| accepted(n, &[(endpoint(1), Place::Queued)])).collect();
        store.accept(&events);
        let tried = events.iter().step_by(7);
        let tried = tried.map(|held| first_attempt(endpoint(1), held, 2000, succeeded(2000)));
        store.record(&tried.collect::<Vec<_>>());
    }
    let missing = event(9_999);
    for step in [1, 40, 300] {
        let mut asked: Vec<_> = (1..751).rev().step_by(step).map(event).collect();
        asked.insert(asked.len() / 2, missing);
        let told = store.happened(&asked, usize::MAX).unwrap();
        assert_eq!(told.len(), asked.len() - 1);
        asked.retain(|event| *event != missing);
        for (event, happened) in asked.iter().zip(told) {
            assert_eq!(happened.acceptance, store.acceptance(*event).unwrap().unwrap());
            assert_eq!(happened.entries, store.entries(event.as_u128(), false).unwrap());
        }
    }
    // No more than fills so many bytes: one at least, and across pages of the store.
    let asked: Vec<_> = std::iter::once(missing).chain((1..751).map(event)).collect();
    let all = store.happened(&asked, usize::MAX).unwrap();
    for count in [1, 40, 150, 151, 300] {
        let most: usize = all[..count].iter().map(Happened::bytes).sum();
        assert_eq!(store.happened(&asked, most).unwrap(), all[..count]);
        assert_eq!(store.happened(&asked, most + 1).unwrap().len(), count + 1);
    }
}

pub fn a_delivery_that_is_added_later_is_like_the_others(store: &dyn Store) {
    let (one, late) = (endpoint(1), endpoint(2));
    store.put_endpoints(&[one, late]);
    let to_late = [(late, Place::Queued)];
    let events: Vec<_> =
        (1..40).map(|n| accepted(n, if n % 2 == 0 { &to_late } else { &[] })).collect();
    store.accept(&events);
    store.close().unwrap();
    let deliver = |n| Change::Deliver {
        delivery: DeliveryId { event: event(n), endpoint: late },
        enqueue: place(n, 100 + n),
    };
    store.change(&[deliver(7), deliver(3)]);
    store.change(&[deliver(39)]);
    let listed = |from, before, order, limit| {
        let range = event(from)..event(before);
        store.events_of(Owner::Endpoint(late), range, order, limit).unwrap()
    };
    let ids = |numbers: &[u64]| numbers.iter().map(|n| event(*n)).collect::<Vec<_>>();
    assert_eq!(listed(2, 9, Order::OldestFirst, 9), ids(&[2, 3, 4, 6, 7, 8]));
    assert_eq!(listed(2, 9, Order::OldestFirst, 2), ids(&[2, 3]));
    assert_eq!(listed(2, 9, Order::NewestFirst, 3), ids(&[8, 7, 6]));
    assert_eq!(listed(36, 99, Order::NewestFirst, 9), ids(&[39, 38, 36]));
    assert_eq!(store.due(late, 107), {
        let mut due: Vec<_> = (2..39).step_by(2).map(|n| place(n, n)).collect();
        due.extend([place(3, 103), place(7, 107)]);
        due
    });
    let (_, deliveries) = ledger::deliveries_of(store, event(7)).unwrap().unwrap();
    assert_eq!((deliveries[0].id.endpoint, deliveries[0].state), (late, waiting_until(107)));
    let owner = Owner::Endpoint(one);
    assert_eq!(store.events_of(owner, EventId::all(), Order::NewestFirst, 9).unwrap(), []);

    // It is tried, and keeps its event until it is finished; then it goes with all that is its.
    let expire = || {
        let mut gone = 0;
        loop {
            let expired = store
                .expire(&Expiry {
                    cutoff: &|_| time(10),
                    newest_cutoff: time(10),
                    idempotency_cutoff: time(0),
                    step: 3,
                })
                .unwrap();
            gone += expired.events;
            if expired.round_over {
                return gone;
            }
        }
    };
    assert_eq!(expire(), 3, "1, 5 and 9 went to nobody");
    let mut done = first_attempt(late, &events[6], 200, exhausted(200));
    done.dequeue = vec![QueueItem { due: time(107), webhook: webhook(7), manual: false }];
    store.record(&[done]);
    let exhausted = || store.exhausted(late, EventId::all(), Order::NewestFirst, 9).unwrap();
    assert_eq!(exhausted(), ids(&[7]));
    let (_, deliveries) = ledger::deliveries_of(store, event(7)).unwrap().unwrap();
    assert_eq!(deliveries[0].state.as_str(), "exhausted");
    let id = DeliveryId { event: event(7), endpoint: late };
    assert_eq!(ledger::attempts(store, id).unwrap().unwrap().attempts.len(), 1);
    store.reopen().unwrap();
    assert_eq!(listed(2, 9, Order::NewestFirst, 9), ids(&[8, 7, 6, 4, 3, 2]));
    assert_eq!(expire(), 1);
    assert_eq!(listed(2, 9, Order::NewestFirst, 9), ids(&[8, 6, 4, 3, 2]));
    assert_eq!(exhausted(), []);
}
