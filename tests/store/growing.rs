//! Events that are sent again by hand without end, and what that costs those beside them.

use crate::world::*;
use hookwheel::model::{DeliveryId, EndpointId, Order, Trigger, WebhookId};
use hookwheel::store::keys::{entries_prefix, own_page};
use hookwheel::store::{Acceptance, Change, Place, Record, Store, ledger};

/// Attempts of the first event.
const ATTEMPTS: u64 = 60;

/// The attempt numbered `number` at an event, by hand but for the first.
fn made(to: EndpointId, held: &Acceptance, n: u64, number: u32) -> Record {
    let webhook = WebhookId::from_uuid(held.event.id.uuid());
    let mut made = attempt(n, webhook, number, held.event.data.bytes());
    let state = (number == 1).then(|| exhausted(n));
    if number > 1 {
        made.trigger = Trigger::Manual;
    }
    record(to, held, made, state)
}

/// Two events in one commit, the first of them tried by two endpoints in turn, the second once.
fn grown(store: &dyn Store) -> [Acceptance; 2] {
    store.put_endpoints(&[endpoint(1), endpoint(2)]);
    let both = [(endpoint(1), Place::Queued), (endpoint(2), Place::Queued)];
    let events = [accepted(1, &both), accepted(2, &both[..1])];
    store.accept(&events);
    store.record(&[made(endpoint(1), &events[1], 9, 1)]);
    for n in 0..ATTEMPTS {
        let number = u32::try_from(n / 2 + 1).unwrap();
        store.record(&[made(endpoint(n % 2 + 1), &events[0], 10 + n, number)]);
    }
    events
}

fn numbers(store: &dyn Store, n: u64, to: EndpointId) -> Vec<u32> {
    let told = ledger::attempts(store, DeliveryId { event: event(n), endpoint: to });
    told.unwrap().unwrap().attempts.iter().map(|attempt| attempt.number).collect()
}

pub fn what_is_sent_again_without_end_is_told_in_order(store: &dyn Store) {
    let events = grown(store);
    // A change between attempts is where it belongs, whatever page it is on.
    let delivery = DeliveryId { event: event(1), endpoint: endpoint(1) };
    let state = waiting_until(90);
    store.change(&[Change::Move { delivery, state, enqueue: place(1, 90), attempts: 30 }]);
    let last = made(endpoint(1), &events[0], 91, 31);
    store.record(&[Record { state: Some(succeeded(91)), ..last }]);
    for _ in 0..2 {
        let entries = store.entries(event(1).as_u128(), true).unwrap();
        let order: Vec<_> =
            entries.iter().map(|entry| entry.attempt.as_ref().map(|held| held.id)).collect();
        let mut expected: Vec<_> = (10..10 + ATTEMPTS).map(|n| Some(attempt_id(n))).collect();
        expected.extend([None, Some(attempt_id(91))]);
        assert_eq!(order, expected);
        let light = store.entries(event(1).as_u128(), false).unwrap();
        assert!(light.iter().map(|entry| entry.change).eq(entries.iter().map(|held| held.change)));
        let happened = store.happened(&[event(1), event(2)], usize::MAX).unwrap();
        assert_eq!(happened[0].entries, light);
        assert_eq!(happened[1].entries.len(), 1);
        let (_, deliveries) = ledger::deliveries_of(store, event(1)).unwrap().unwrap();
        let standing = deliveries.iter().map(|held| (held.state, held.attempts));
        assert!(standing.eq([(succeeded(91), 31), (exhausted(11), 30)]));
        assert_eq!(numbers(store, 1, endpoint(1)), (1..=31).collect::<Vec<_>>());
        assert_eq!(numbers(store, 1, endpoint(2)), (1..=30).collect::<Vec<_>>());
        assert_eq!(numbers(store, 2, endpoint(1)), [1]);
        store.reopen().unwrap();
    }
}

pub fn it_is_expunged_and_expires_with_its_event(store: &dyn Store) {
    grown(store);
    store.expunge_event(event(1)).unwrap();
    let mut entries = store.entries(event(1).as_u128(), true).unwrap();
    assert_eq!(entries.len(), usize::try_from(ATTEMPTS).unwrap());
    assert!(entries.iter_mut().all(|entry| entry.attempt.take().unwrap().expunged));
    let listed = || {
        let listed = store.attempts_to(endpoint(1), None, Order::OldestFirst, 999).unwrap();
        store.attempts_at(&listed, usize::MAX).unwrap().into_iter().flatten().count()
    };
    assert_eq!(listed(), 31);
    assert_eq!(store.expire_before(2, 0), 1);
    assert_eq!(listed(), 1, "its neighbour stays");
    assert_eq!(store.entries(event(1).as_u128(), true).unwrap(), []);
    assert_eq!(numbers(store, 2, endpoint(1)), [1]);
    assert_eq!(store.expire_before(9_999, 0), 1);
    assert_eq!(store.attempts_to(endpoint(1), None, Order::OldestFirst, 999).unwrap(), []);
}

#[test]
fn whoever_looks_at_an_event_reads_no_more_than_a_part_of_its_neighbours_attempts() {
    let folder = tempfile::tempdir().unwrap();
    let store = sled_in(folder.path());
    grown(&store);
    // Or opening it would read them all once, by its journals.
    store.close().unwrap();
    drop(store);
    // What cannot be read shows who reads it.
    let db = raw(folder.path());
    let own = entries_prefix(own_page(event(1).as_u128()));
    let keys: Vec<_> = db.scan_prefix(own).keys().map(Result::unwrap).collect();
    assert_eq!(keys.len(), 28, "those after the sixteenth of each delivery");
    keys.into_iter().for_each(|key| drop(db.insert(key, &[0, 9]).unwrap()));
    db.flush().unwrap();
    drop(db);
    let store = sled_in(folder.path());
    assert!(store.entries(event(1).as_u128(), false).is_err());
    assert!(store.happened(&[event(1)], usize::MAX).is_err());
    assert_eq!(store.happened(&[event(2)], usize::MAX).unwrap()[0].entries.len(), 1);
    assert_eq!(store.entries(event(2).as_u128(), true).unwrap().len(), 1);
    assert_eq!(numbers(&store, 2, endpoint(1)), [1]);
    store.expunge_event(event(2)).unwrap();
}

#[test]
fn the_bodies_of_attempts_are_not_read_to_tell_what_happened() {
    let folder = tempfile::tempdir().unwrap();
    let store = sled_in(folder.path());
    let held = accepted(1, &[(endpoint(1), Place::Queued)]);
    store.accept(std::slice::from_ref(&held));
    let mut large = first_attempt(endpoint(1), &held, 2, succeeded(3));
    large.attempt.request.body = data_of(100_000).bytes();
    store.record(&[large]);
    store.close().unwrap();
    drop(store);
    let db = raw(folder.path());
    let parts: Vec<_> = db.scan_prefix("zr").keys().map(Result::unwrap).collect();
    assert!(parts.len() > 5, "{}", parts.len());
    // The last four bytes are the number of the part.
    parts.iter().filter(|key| !key.ends_with(&[0; 4])).for_each(|key| drop(db.remove(key)));
    db.flush().unwrap();
    drop(db);
    let store = sled_in(folder.path());
    assert_eq!(store.entries(event(1).as_u128(), false).unwrap().len(), 1);
    let (_, deliveries) = ledger::deliveries_of(&store, event(1)).unwrap().unwrap();
    assert_eq!((deliveries[0].state, deliveries[0].attempts), (succeeded(3), 1));
    assert!(store.entries(event(1).as_u128(), true).is_err());
}
