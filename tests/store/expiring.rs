//! What is removed when it is old, and what is not.

use crate::world::*;
use hookwheel::model::{DeliveryId, EventId, Order, SkipReason};
use hookwheel::store::{Acceptance, Change, Expired, Expiry, Owner, Place, Store, ledger};
use std::sync::Arc;

const SKIPPED: Place = Place::Skipped(SkipReason::EndpointDisabled);

/// What is listed of the first application.
fn listed(store: &dyn Store) -> Vec<hookwheel::EventId> {
    let owner = Owner::Application(application(1));
    store.events_of(owner, EventId::all(), Order::NewestFirst, 9_999).unwrap()
}

pub fn the_finished_and_old_go_with_all_that_is_theirs(store: &dyn Store) {
    store.put_endpoints(&[endpoint(1)]);
    let events: Vec<_> = (1..601)
        .map(|n| {
            accepted_with(n, &[(endpoint(1), Place::Fresh)], |event| {
                event.idempotency_key = Some(format!("key-{n}"));
            })
        })
        .collect();
    for (part, accept) in events.chunks(40).enumerate() {
        store.accept(accept);
        // Part of the index is written, part is not.
        if part == 7 {
            store.close().unwrap();
        }
    }
    for (n, held) in (1..).zip(&events) {
        store.record(&[first_attempt(endpoint(1), held, 700 + n, exhausted(700))]);
    }
    assert_eq!(store.expire_before(501, 0), 500);
    assert_eq!(store.expire_before(501, 0), 0);
    let exhausted =
        || store.exhausted(endpoint(1), EventId::all(), Order::NewestFirst, 9_999).unwrap();
    let of_endpoint = || {
        let owner = Owner::Endpoint(endpoint(1));
        store.events_of(owner, EventId::all(), Order::NewestFirst, 9_999).unwrap()
    };
    let left: Vec<_> = (501..601).rev().map(event).collect();
    assert_eq!(listed(store), left);
    assert_eq!(of_endpoint(), left);
    assert_eq!(exhausted(), left);
    for n in 1..601 {
        let is_left = n > 500;
        assert_eq!(store.acceptance(event(n)).unwrap().is_some(), is_left);
        let key = store.idempotency(application(1), &format!("key-{n}")).unwrap();
        assert_eq!(key.is_some(), is_left, "a key leads to an event that is there");
    }
    assert_eq!(store.expire_before(9_999, 0), 100);
    assert_eq!(listed(store), []);
    assert_eq!(exhausted(), []);
    for n in 1..601 {
        assert_eq!(store.entries(event(n).as_u128(), true).unwrap(), []);
    }
    store.accept(&[accepted(700, &[])]);
    assert_eq!(listed(store), [event(700)]);
}

pub fn the_unfinished_stay_however_old(store: &dyn Store) {
    store.put_endpoints(&[endpoint(1), endpoint(2)]);
    let fresh = [(endpoint(1), Place::Fresh)];
    let events = [
        accepted(1, &fresh),
        accepted(2, &[(endpoint(1), Place::Queued)]),
        accepted(3, &fresh),
        accepted(4, &[(endpoint(1), SKIPPED), (endpoint(2), Place::Fresh)]),
        accepted(5, &[(endpoint(1), SKIPPED)]),
        accepted(6, &[(endpoint(1), Place::Once)]),
        accepted(7, &[]),
    ];
    store.accept(&events);
    store.record(&[first_attempt(endpoint(1), &events[2], 10, waiting_until(60))]);
    assert_eq!(store.expire_before(9_999, 0), 3);
    assert_eq!(listed(store), [event(4), event(3), event(2), event(1)]);
    assert_eq!(store.fresh_ids(), [(endpoint(1), event(1)), (endpoint(2), event(4))]);
    assert_eq!(store.due(endpoint(1), 99), [place(2, 2), place(3, 60)]);
    // Finished at last, or its endpoint is gone.
    store.record(&[first_attempt(endpoint(1), &events[0], 11, succeeded(11))]);
    store.delete_endpoint(endpoint(2));
    assert_eq!(store.expire_before(9_999, 0), 2);
    assert_eq!(listed(store), [event(3), event(2)]);
}

pub fn a_page_is_thinned_out(store: &dyn Store) {
    store.put_endpoints(&[endpoint(1)]);
    // Large ones among them, so that a page in parts becomes one in fewer.
    let sizes = [100, 30_000, 200_000, 70_000, 29_000, 28_000, 100];
    let events: Vec<_> = (1..)
        .zip(sizes.iter().cycle().take(70))
        .map(|(n, bytes)| {
            let to = [(endpoint(1), if n % 3 == 0 { Place::Queued } else { SKIPPED })];
            accepted_with(n, &to, |event| event.data = data_of(*bytes))
        })
        .collect();
    store.accept(&events);
    assert_eq!(store.expire_before(9_999, 0), 47);
    for held in &events {
        let n = u64::from(held.due.since(time(0)).as_secs() as u32);
        let expected = (n % 3 == 0).then_some(held);
        assert!(store.acceptance(event(n)).unwrap().as_ref() == expected, "{n}");
    }
    // The rest can still be recorded, and then goes too.
    for n in (3..71).step_by(3) {
        let held = &events[usize::try_from(n).unwrap() - 1];
        let mut done = first_attempt(endpoint(1), held, 100 + n, succeeded(100));
        done.dequeue = vec![place(n, n)];
        store.record(&[done]);
        let stands = ledger::ledger(store, endpoint(1), webhook(n)).unwrap().unwrap();
        assert_eq!(stands.state, succeeded(100));
    }
    assert_eq!(store.expire_before(9_999, 0), 23);
    assert_eq!(store.waiting().unwrap(), []);
}

/// The webhook numbered `n`, formed of `events`, sent and accepted at the first endpoint.
fn form_and_finish(store: &dyn Store, n: u64, events: &[Acceptance]) {
    let numbers: Vec<u64> = events.iter().map(|held| held.due.since(time(0)).as_secs()).collect();
    let webhook = formed(n, endpoint(1), &numbers, numbers[0]);
    let mut done = first_attempt(endpoint(1), &events[0], n + 1, succeeded(n + 1));
    done.attempt.webhook = webhook.id;
    done.events = events.iter().map(|held| Arc::clone(&held.event)).collect();
    done.dequeue =
        vec![hookwheel::model::QueueItem { due: webhook.due, webhook: webhook.id, manual: false }];
    store.change(&[Change::Form { webhook, dequeue: vec![] }]);
    store.record(&[done]);
}

pub fn a_formed_webhook_stays_as_long_as_one_of_its_events(store: &dyn Store) {
    store.put_endpoints(&[endpoint(1), endpoint(2)]);
    let one = [(endpoint(1), Place::Fresh)];
    let both = [(endpoint(1), Place::Fresh), (endpoint(2), Place::Queued)];
    // The oldest and one in the middle still wait elsewhere; the newest goes first.
    let events: Vec<_> =
        (1..7).map(|n| accepted(n, if n == 1 || n == 3 { &both[..] } else { &one[..] })).collect();
    events.iter().for_each(|held| store.accept(std::slice::from_ref(held)));
    form_and_finish(store, 10, &events);
    assert_eq!(store.expire_before(9_999, 0), 4);
    assert!(store.formed(formed_id(10)).unwrap().is_some());
    let (_, deliveries) = ledger::deliveries_of(store, event(1)).unwrap().unwrap();
    assert_eq!((deliveries[0].state, deliveries[0].attempts), (succeeded(11), 1));
    for n in [1, 3] {
        let held = &events[usize::try_from(n).unwrap() - 1];
        store.record(&[first_attempt(endpoint(2), held, 20 + n, succeeded(30))]);
        assert!(store.formed(formed_id(10)).unwrap().is_some());
        assert_eq!(store.expire_before(9_999, 0), 1);
    }
    assert_eq!(store.formed(formed_id(10)).unwrap(), None);
    assert_eq!(store.entries(formed_id(10).as_u128(), true).unwrap(), []);
}

pub fn idempotency_keys_have_their_own_time(store: &dyn Store) {
    let keyed =
        |n, key: &str| accepted_with(n, &[], |event| event.idempotency_key = Some(key.to_owned()));
    for n in 1..30 {
        store.accept(&[keyed(n, &format!("key-{n}"))]);
    }
    let known = |key: &str| store.idempotency(application(1), key).unwrap().map(|held| held.event);
    store.expire_before(0, 10);
    assert_eq!(known("key-9"), None);
    assert_eq!(known("key-10"), Some(event(10)));
    assert_eq!(listed(store).len(), 29);
    // Taken over by a later event, it lives as long as that one.
    store.accept(&[keyed(40, "key-20")]);
    store.accept(&[keyed(41, "key-9")]);
    store.expire_before(0, 35);
    assert_eq!(known("key-29"), None);
    assert_eq!((known("key-20"), known("key-9")), (Some(event(40)), Some(event(41))));
    store.expire_before(0, 41);
    assert_eq!((known("key-20"), known("key-9")), (None, Some(event(41))));
}

pub fn uids_are_free_again_with_their_events(store: &dyn Store) {
    let called =
        |n: u64| accepted_with(n, &[], |event| event.uid = Some(format!("order-{}", n % 5)));
    store.accept(&(1..6).map(called).collect::<Vec<_>>());
    let known = |uid| store.event_by_uid(application(1), uid).unwrap();
    // Not with their idempotency keys.
    store.expire_before(0, 99);
    assert_eq!(known("order-1"), Some(event(1)));
    assert_eq!(store.expire_before(3, 0), 2);
    assert_eq!((known("order-1"), known("order-2")), (None, None));
    assert_eq!(known("order-3"), Some(event(3)));
    store.accept(&[called(6)]);
    assert_eq!(known("order-1"), Some(event(6)));
}

pub fn applications_have_their_own_times(store: &dyn Store) {
    let events: Vec<_> = (1..11)
        .map(|n| accepted_with(n, &[], |event| event.application = application(n % 2)))
        .collect();
    store.accept(&events);
    let (short, long) = (application(0), application(1));
    let cutoff = |id| if id == short { time(9) } else { time(4) };
    let expiry =
        Expiry { cutoff: &cutoff, newest_cutoff: time(9), idempotency_cutoff: time(0), step: 1 };
    while !store.expire(&expiry).unwrap().round_over {}
    let list = |id| {
        store.events_of(Owner::Application(id), EventId::all(), Order::NewestFirst, 99).unwrap()
    };
    assert_eq!(list(short), [event(10)]);
    assert_eq!(list(long), [event(9), event(7), event(5)]);
}

pub fn a_long_queue_of_a_deleted_endpoint_goes_in_steps(store: &dyn Store) {
    store.put_endpoints(&(1..90).map(endpoint).collect::<Vec<_>>());
    let enqueue = |(to, n)| Change::Enqueue(endpoint(to), place(n, n));
    let both = (1..400).flat_map(|n| [(40, n), (41, n), (80, n)]);
    store.change(&both.map(enqueue).collect::<Vec<_>>());
    store.delete_endpoint(endpoint(40));
    store.delete_endpoint(endpoint(80));
    store.expire_before(0, 0);
    let waiting: Vec<_> = store.waiting().unwrap().into_iter().map(|(id, _)| id).collect();
    assert_eq!(waiting, [endpoint(41)]);
    assert_eq!(store.due(endpoint(41), 999).len(), 399);
    let left = store.endpoints().unwrap().into_iter().map(|held| held.id);
    let expected = (1..90).filter(|n| ![40, 80].contains(n)).map(endpoint);
    assert_eq!(left.collect::<Vec<_>>(), expected.collect::<Vec<_>>());
}

pub fn a_deleted_application_goes_with_its_last_event_and_endpoint(store: &dyn Store) {
    store.change(&[1, 2].map(|n| Change::Application(stored_application(application(n), n == 1))));
    store.put_endpoints(&[endpoint(1)]);
    let none = |n| accepted_with(n, &[], |event| event.application = application(n % 2 + 1));
    store.accept(&(1..9).map(none).collect::<Vec<_>>());
    let left = || -> Vec<_> {
        let held = store.applications().unwrap().into_iter();
        held.map(|application| application.id).collect()
    };
    store.expire_before(8, 0);
    assert_eq!(left(), [application(1), application(2)], "an event and an endpoint are left");
    store.expire_before(9_999, 0);
    assert_eq!(left(), [application(1), application(2)], "an endpoint is left");
    store.delete_endpoint(endpoint(1));
    store.expire_before(9_999, 0);
    assert_eq!(left(), [application(2)], "what is not deleted stays");
}

pub fn what_expired_meanwhile_is_not_sent(store: &dyn Store) {
    store.put_endpoints(&[endpoint(1), endpoint(2)]);
    store.accept(&[accepted(1, &[(endpoint(1), SKIPPED)])]);
    assert_eq!(store.expire_before(9_999, 0), 1);
    let to = |number| DeliveryId { event: event(1), endpoint: endpoint(number) };
    let enqueue = place(1, 5);
    store.change(&[
        Change::Move { delivery: to(1), state: waiting_until(5), enqueue, attempts: 0 },
        Change::Deliver { delivery: to(2), enqueue },
    ]);
    assert_eq!(store.waiting().unwrap(), []);
    assert_eq!(store.entries(event(1).as_u128(), false).unwrap(), []);
    for owner in [Owner::Endpoint(endpoint(1)), Owner::Endpoint(endpoint(2))] {
        let listed = store.events_of(owner, EventId::all(), Order::NewestFirst, 9).unwrap();
        assert_eq!(listed, []);
    }
}

pub fn a_deleted_endpoint_goes_with_its_last_event(store: &dyn Store) {
    store.put_endpoints(&[endpoint(1), endpoint(2)]);
    let to = [(endpoint(1), Place::Queued), (endpoint(2), Place::Queued)];
    store.accept(&(1..20).map(|n| accepted(n, &to)).collect::<Vec<_>>());
    store.delete_endpoint(endpoint(1));
    store.expire_before(0, 0);
    assert_eq!(store.due(endpoint(1), 99), [], "nothing waits for an endpoint that is gone");
    assert_eq!(store.due(endpoint(2), 99).len(), 19);
    assert_eq!(store.endpoints().unwrap().len(), 2, "its history is still there");
    store.delete_endpoint(endpoint(2));
    assert_eq!(store.expire_before(9_999, 0), 19);
    assert_eq!(store.endpoints().unwrap(), []);
    assert_eq!(store.waiting().unwrap(), []);
}

#[test]
fn a_step_reads_a_few_large_events_only() {
    let subject = sled();
    let large = |n| accepted_with(n, &[], |event| event.data = data_of(2_500_000));
    for n in 1..6 {
        subject.store.accept(&[large(n)]);
    }
    let expiry = Expiry {
        cutoff: &|_| time(99),
        newest_cutoff: time(99),
        idempotency_cutoff: time(0),
        step: 100,
    };
    let mut steps = Vec::new();
    loop {
        let Expired { events, round_over } = subject.store.expire(&expiry).unwrap();
        steps.extend((events > 0).then_some(events));
        if round_over {
            break;
        }
    }
    assert_eq!(steps, [2, 2, 1]);
}
