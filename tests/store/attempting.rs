//! Attempts as a list: by endpoint in the order in which they were recorded, by event, and gone
//! with their events.

use crate::world::*;
use hookwheel::model::{AttemptId, AttemptPosition, EndpointId, Order};
use hookwheel::store::{Acceptance, Change, Entry, Place, Record, Store};
use std::sync::Arc;

/// The ids of the attempts at `positions`.
fn ids_at(store: &dyn Store, positions: &[AttemptPosition]) -> Vec<AttemptId> {
    let entries = store.attempts_at(positions, usize::MAX).unwrap();
    entries.into_iter().flatten().map(|entry| entry.attempt.unwrap().id).collect()
}

/// Every attempt to an endpoint, read in pages of `limit`.
fn listed(store: &dyn Store, to: EndpointId, order: Order, limit: usize) -> Vec<AttemptId> {
    let (mut attempts, mut after) = (Vec::new(), None);
    loop {
        let page = store.attempts_to(to, after, order, limit).unwrap();
        assert!(page.len() <= limit);
        let Some(last) = page.last() else { return attempts };
        after = Some(*last);
        attempts.extend(ids_at(store, &page));
    }
}

fn ids(numbers: impl IntoIterator<Item = u64>) -> Vec<AttemptId> {
    numbers.into_iter().map(attempt_id).collect()
}

/// The attempt numbered `n` at an event, which leaves it waiting.
fn tried(to: EndpointId, held: &Acceptance, n: u64) -> Record {
    first_attempt(to, held, n, waiting_until(9_000))
}

pub fn attempts_are_listed_in_the_order_they_were_recorded(store: &dyn Store) {
    let both = [(endpoint(1), Place::Queued), (endpoint(2), Place::Queued)];
    let events: Vec<_> = (1..300).map(|n| accepted(n, &both)).collect();
    store.accept(&events);
    let (mut walked, mut after) = (Vec::new(), None);
    for n in 1..300_u64 {
        // Later events before earlier ones: the order of recording is not that of events.
        let held = &events[usize::try_from(299 - n).unwrap()];
        store.record(&[tried(endpoint(n % 2 + 1), held, n)]);
        if n % 80 == 0 {
            store.close().unwrap();
        }
        // One is read for four that come: the walk goes on while they do.
        if n % 4 == 0 {
            let page = store.attempts_to(endpoint(1), after, Order::OldestFirst, 1).unwrap();
            after = page.last().copied();
            walked.extend(ids_at(store, &page));
        }
    }
    assert_eq!(walked, ids((2..150).step_by(2)));
    for limit in [1, 7, 999] {
        for (to, odd) in [(endpoint(1), 0), (endpoint(2), 1)] {
            let expected: Vec<_> = (1..300).filter(|n| n % 2 == odd).collect();
            let newest_first = expected.iter().rev().copied();
            assert_eq!(listed(store, to, Order::NewestFirst, limit), ids(newest_first));
            assert_eq!(listed(store, to, Order::OldestFirst, limit), ids(expected));
        }
    }
    let page = store.attempts_to(endpoint(1), None, Order::NewestFirst, 1).unwrap();
    let entry = store.attempts_at(&page, usize::MAX).unwrap().remove(0).unwrap();
    assert_eq!(entry.endpoint, endpoint(1));
    assert_eq!(entry.attempt.unwrap(), tried(endpoint(1), &events[1], 298).attempt);
    assert_eq!(store.attempts_to(endpoint(3), None, Order::NewestFirst, 9).unwrap(), []);
    let page = store.attempts_to(endpoint(1), None, Order::NewestFirst, 99).unwrap();
    let most = entry_bytes(store, &page[..20]);
    for (bytes_max, count) in [(1, 1), (most, 20), (most + 1, 21), (usize::MAX, 99)] {
        let told = store.attempts_at(&page, bytes_max).unwrap();
        assert_eq!(told, store.attempts_at(&page[..count], usize::MAX).unwrap());
    }
}

fn entry_bytes(store: &dyn Store, positions: &[AttemptPosition]) -> usize {
    let entries = store.attempts_at(positions, usize::MAX).unwrap();
    entries.iter().flatten().map(Entry::bytes).sum()
}

pub fn a_large_commit_of_several_events_is_listed_once_in_any_pages(store: &dyn Store) {
    // Accepted apart, so that their attempts lie apart; and too much for a single page of each.
    let events = [1, 2].map(|n| accepted(n, &[(endpoint(1), Place::Queued)]));
    events.iter().for_each(|held| store.accept(std::slice::from_ref(held)));
    let large = |(held, n): (&Acceptance, u64)| {
        let mut record = tried(endpoint(1), held, n);
        record.attempt.request.body = vec![b'x'; 9_000].into();
        record
    };
    let of_the_first = (10..40).map(|n| (&events[0], n));
    let of_the_second = (40..70).map(|n| (&events[1], n));
    store.record(&of_the_first.chain(of_the_second).map(large).collect::<Vec<_>>());
    let check = || {
        for (order, limit) in [
            (Order::OldestFirst, 1),
            (Order::NewestFirst, 1),
            (Order::OldestFirst, 7),
            (Order::NewestFirst, 99),
        ] {
            let mut all = listed(store, endpoint(1), order, limit);
            all.sort();
            assert_eq!(all, ids(10..70), "{order:?}, {limit}");
        }
    };
    check();
    // As after a crash, and from what is written then.
    store.reopen().unwrap();
    check();
    store.close().unwrap();
    check();
}

pub fn attempts_of_an_event_and_of_a_set_are_found(store: &dyn Store) {
    let both = [(endpoint(1), Place::Queued), (endpoint(2), Place::Queued)];
    let events = [accepted(1, &both), accepted(2, &both), accepted(3, &both)];
    store.accept(&events);
    store.record(&[tried(endpoint(2), &events[1], 10), tried(endpoint(2), &events[2], 11)]);
    store.record(&[tried(endpoint(2), &events[1], 12)]);
    let webhook = formed(20, endpoint(1), &[1, 2, 3], 1);
    store.change(&[Change::Form { webhook, dequeue: vec![] }]);
    for n in [21, 22] {
        let mut together = tried(endpoint(1), &events[0], n);
        together.attempt.webhook = formed_id(20);
        together.events = events.iter().map(|held| Arc::clone(&held.event)).collect();
        store.record(&[together]);
    }
    let of = |number| ids_at(store, &store.attempts_of(number).unwrap());
    assert_eq!(of(event(1).as_u128()), []);
    assert_eq!(of(event(2).as_u128()), ids([10, 12]));
    assert_eq!(of(event(3).as_u128()), ids([11]));
    assert_eq!(of(formed_id(20).as_u128()), ids([21, 22]));
    assert_eq!(of(event(4).as_u128()), []);
    assert_eq!(listed(store, endpoint(1), Order::OldestFirst, 9), ids([21, 22]));
}

pub fn an_attempt_that_is_recorded_again_is_listed_once(store: &dyn Store) {
    let held = accepted(1, &[(endpoint(1), Place::Queued)]);
    store.accept(std::slice::from_ref(&held));
    let first = tried(endpoint(1), &held, 2);
    store.record(std::slice::from_ref(&first));
    // As after a failure that left open whether the commit is there.
    store.reopen().unwrap();
    store.record(&[first, tried(endpoint(1), &held, 3)]);
    assert_eq!(listed(store, endpoint(1), Order::OldestFirst, 9), ids([2, 3]));
    assert_eq!(ids_at(store, &store.attempts_of(event(1).as_u128()).unwrap()), ids([2, 3]));
}

pub fn attempts_go_with_their_events(store: &dyn Store) {
    store.put_endpoints(&[endpoint(1)]);
    for n in 1..200_u64 {
        let held = accepted(n, &[(endpoint(1), Place::Queued)]);
        store.accept(std::slice::from_ref(&held));
        let mut done = first_attempt(endpoint(1), &held, n, succeeded(n));
        done.dequeue = vec![place(n, n)];
        store.record(&[done]);
        if n == 120 {
            store.close().unwrap();
        }
    }
    assert_eq!(store.expire_before(151, 0), 150);
    assert_eq!(listed(store, endpoint(1), Order::OldestFirst, 9), ids(151..200));
    assert_eq!(store.attempts_to(endpoint(1), None, Order::NewestFirst, 999).unwrap().len(), 49);
    assert_eq!(store.expire_before(9_999, 0), 49);
    assert_eq!(store.attempts_to(endpoint(1), None, Order::NewestFirst, 9).unwrap(), []);
}

#[test]
fn after_a_crash_every_attempt_is_listed_and_no_journal_outlives_the_index() {
    let folder = tempfile::tempdir().unwrap();
    let mut store = sled_in(folder.path());
    let held = accepted(1, &[(endpoint(1), Place::Queued)]);
    store.accept(std::slice::from_ref(&held));
    for n in 2..60 {
        store.record(&[tried(endpoint(1), &held, n)]);
        if n == 20 {
            store.close().unwrap();
        }
        if n % 7 == 0 {
            // Dropped without a close: what was not written of the index is lost.
            drop(store);
            store = sled_in(folder.path());
        }
    }
    for order in [Order::OldestFirst, Order::NewestFirst] {
        let mut all = listed(&store, endpoint(1), order, 5);
        all.sort();
        assert_eq!(all, ids(2..60));
    }
    store.close().unwrap();
    assert_eq!(listed(&store, endpoint(1), Order::OldestFirst, 5), ids(2..60));
    drop(store);
    assert_eq!(raw(folder.path()).scan_prefix("j").count(), 0);
}

#[test]
fn an_attempt_that_is_recorded_again_is_listed_once_though_the_index_is_due() {
    let folder = tempfile::tempdir().unwrap();
    let mut store = sled_in(folder.path());
    let held = accepted(1, &[(endpoint(1), Place::Queued)]);
    store.accept(std::slice::from_ref(&held));
    // So many that the next commit would write them down.
    let many: Vec<_> = (2..2 + 65_536).map(|n| tried(endpoint(1), &held, n)).collect();
    store.record(&many);
    // As after a failure that left open whether the commit is there.
    store.reopen().unwrap();
    store.record(&many[..1]);
    let count = |store: &dyn Store| {
        store.attempts_to(endpoint(1), None, Order::OldestFirst, usize::MAX).unwrap().len()
    };
    assert_eq!(count(&store), many.len());
    store.record(&[tried(endpoint(1), &held, 1)]);
    drop(store);
    store = sled_in(folder.path());
    assert_eq!(count(&store), many.len() + 1);
}

#[test]
fn a_journal_goes_though_its_attempts_expired_before_a_crash() {
    let folder = tempfile::tempdir().unwrap();
    let store = sled_in(folder.path());
    store.put_endpoints(&[endpoint(1)]);
    let held = accepted(1, &[(endpoint(1), Place::Queued)]);
    store.accept(std::slice::from_ref(&held));
    let mut done = first_attempt(endpoint(1), &held, 2, succeeded(2));
    done.dequeue = vec![place(1, 1)];
    store.record(&[done]);
    assert_eq!(store.expire_before(9_999, 0), 1);
    drop(store);
    assert_eq!(raw(folder.path()).scan_prefix("j").count(), 1);
    sled_in(folder.path()).close().unwrap();
    assert_eq!(raw(folder.path()).scan_prefix("j").count(), 0);
}
