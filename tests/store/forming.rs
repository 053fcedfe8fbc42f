//! Webhooks that are formed of several events.

use crate::world::*;
use hookwheel::model::{DeliveryId, EventId, Order, QueueItem, QueueProgress, WebhookId};
use hookwheel::store::{Acceptance, Change, Place, Record, Store, ledger};
use std::sync::Arc;

/// The webhook's place in the queue.
fn place_of(webhook: WebhookId, due: u64) -> QueueItem {
    QueueItem { due: time(due), webhook, manual: false }
}

/// Events 1 to 4: the first fresh and the second queued at the first endpoint, in one webhook; the
/// rest by themselves.
fn form(store: &dyn Store) -> Vec<Acceptance> {
    store.put_endpoints(&[endpoint(1), endpoint(2)]);
    let events = [
        accepted(1, &[(endpoint(1), Place::Fresh), (endpoint(2), Place::Fresh)]),
        accepted(2, &[(endpoint(1), Place::Queued)]),
        accepted(3, &[(endpoint(1), Place::Fresh)]),
        accepted(4, &[(endpoint(1), Place::Fresh)]),
    ];
    store.accept(&events[..2]);
    store.accept(&events[2..]);
    let webhook = formed(5, endpoint(1), &[1, 2, 3], 1);
    store.change(&[Change::Form { webhook, dequeue: vec![place(2, 2)] }]);
    events.to_vec()
}

pub fn a_formed_webhook_carries_its_events_on(store: &dyn Store) {
    form(store);
    assert_eq!(store.formed(formed_id(5)).unwrap(), Some(formed(5, endpoint(1), &[1, 2, 3], 1)));
    assert_eq!(store.formed(webhook(1)).unwrap(), None);
    assert_eq!(store.due(endpoint(1), 99), [place_of(formed_id(5), 1)]);
    assert_eq!(store.fresh_ids(), [(endpoint(2), event(1)), (endpoint(1), event(4))]);
    let loaded = ledger::load(store, formed_id(5)).unwrap().unwrap();
    let stands = ledger::ledger(store, endpoint(1), formed_id(5)).unwrap().unwrap();
    let carried: Vec<_> = loaded.events.iter().map(|event| event.id).collect();
    assert_eq!(carried, [event(1), event(2), event(3)]);
    assert!(loaded.is_formed);
    assert_eq!((stands.state, loaded.accepted_due), (waiting_until(1), time(1)));
    // The event's delivery elsewhere goes its own way.
    let (_, deliveries) = ledger::deliveries_of(store, event(1)).unwrap().unwrap();
    let carriers: Vec<_> = deliveries.iter().map(|held| held.webhook).collect();
    assert_eq!(carriers, [formed_id(5), webhook(1)]);
}

pub fn attempts_belong_to_every_event_of_the_set(store: &dyn Store) {
    let events = form(store);
    let carried: Vec<_> = events[..3].iter().map(|held| Arc::clone(&held.event)).collect();
    let try_it = |n, number, state, dequeue, enqueue| Record {
        endpoint: endpoint(1),
        events: carried.clone(),
        attempt: attempt(n, formed_id(5), number, "[1,2,3]"),
        state: Some(state),
        dequeue,
        enqueue,
        progress: QueueProgress::default(),
    };
    let (first, then) = (place_of(formed_id(5), 1), place_of(formed_id(5), 30));
    store.record(&[try_it(10, 1, waiting_until(30), vec![first], Some(then))]);
    assert_eq!(store.due(endpoint(1), 99), [then]);
    store.record(&[try_it(31, 2, exhausted(31), vec![then], None)]);
    for n in 1..4 {
        let id = DeliveryId { event: event(n), endpoint: endpoint(1) };
        let attempts = ledger::attempts(store, id).unwrap().unwrap().attempts;
        assert_eq!(attempts.iter().map(|held| held.number).collect::<Vec<_>>(), [1, 2]);
        let (_, deliveries) = ledger::deliveries_of(store, event(n)).unwrap().unwrap();
        assert_eq!((deliveries[0].state, deliveries[0].attempts), (exhausted(31), 2));
    }
    let list = || store.exhausted(endpoint(1), EventId::all(), Order::NewestFirst, 99).unwrap();
    assert_eq!(list(), [event(3), event(2), event(1)]);
    store.record(&[try_it(40, 3, succeeded(40), vec![], None)]);
    assert_eq!(list(), []);
    assert_eq!(store.entries(formed_id(5).as_u128(), true).unwrap().len(), 3);
}

pub fn a_set_goes_on_without_what_expired(store: &dyn Store) {
    let events = form(store);
    store.record(&[first_attempt(endpoint(2), &events[0], 9, succeeded(9))]);
    let mut done = first_attempt(endpoint(1), &events[0], 10, succeeded(10));
    done.attempt.webhook = formed_id(5);
    done.events = events[..3].iter().map(|held| Arc::clone(&held.event)).collect();
    store.record(&[done]);
    assert_eq!(store.expire_before(3, 0), 2);
    let loaded = ledger::load(store, formed_id(5)).unwrap().unwrap();
    let stands = ledger::ledger(store, endpoint(1), formed_id(5)).unwrap().unwrap();
    assert_eq!(loaded.events.len(), 1);
    assert_eq!(loaded.events[0].id, event(3));
    assert_eq!(stands.state, succeeded(10));
}
