//! Content that is taken out of the history for good.

use crate::world::*;
use hookwheel::ErrorKind;
use hookwheel::model::{Attempt, DeliveryId, EndpointId, Trigger};
use hookwheel::store::{Acceptance, Change, Expunge, Place, Record, Store, ledger};
use std::sync::Arc;

fn attempts(store: &dyn Store, n: u64, endpoint: EndpointId) -> Vec<Attempt> {
    ledger::attempts(store, DeliveryId { event: event(n), endpoint }).unwrap().unwrap().attempts
}

/// Whether nothing of what was sent and answered is left, and everything else is.
fn is_bare(attempt: &Attempt) -> bool {
    let answer = attempt.outcome.response().unwrap();
    attempt.expunged
        && attempt.request.body.is_empty()
        && answer.body.is_empty()
        && (answer.status, attempt.request.headers.len()) == (500, 1)
}

fn is_whole(attempt: &Attempt) -> bool {
    let answer = attempt.outcome.response().unwrap();
    !attempt.expunged && !attempt.request.body.is_empty() && !answer.body.is_empty()
}

/// Takes out the bodies of some attempts at the event numbered `n`, by number.
fn expunge_attempts(store: &dyn Store, n: u64, numbers: &[u64]) {
    let mut made = store.attempts_of(event(n).as_u128()).unwrap();
    made.retain(|attempt| numbers.iter().any(|n| attempt.id == attempt_id(*n)));
    let positions = made.into_iter().map(|attempt| attempt.position).collect();
    store.expunge(&Expunge::Attempts(positions)).unwrap();
}

/// Events 1 to 3 in one page, delivered to the first endpoint in two attempts each.
fn delivered(store: &dyn Store, bytes: usize) -> Vec<Acceptance> {
    store.put_endpoints(&[endpoint(1)]);
    let to = [(endpoint(1), Place::Fresh)];
    let large = |n| accepted_with(n, &to, |event| event.data = data_of(bytes));
    let events: Vec<Acceptance> = (1..4).map(large).collect();
    store.accept(&events);
    for (n, held) in (1..).zip(&events) {
        store.record(&[first_attempt(endpoint(1), held, 10 + n, waiting_until(20))]);
        let second = attempt(20 + n, webhook(n), 2, "something else");
        store.record(&[record(endpoint(1), held, second, Some(succeeded(30)))]);
    }
    events
}

pub fn an_expunged_event_keeps_its_history_without_contents(store: &dyn Store) {
    let events = delivered(store, 100);
    store.expunge_event(event(2)).unwrap();
    let held = store.acceptance(event(2)).unwrap().unwrap();
    assert_eq!((held.event.data.as_str(), held.event.expunged), ("{}", true));
    let mut expected = Acceptance::clone(&events[1]);
    Arc::make_mut(&mut expected.event).expunge();
    assert_eq!(held, expected, "nothing else of it is gone");
    assert!(attempts(store, 2, endpoint(1)).iter().all(is_bare));
    let (_, deliveries) = ledger::deliveries_of(store, event(2)).unwrap().unwrap();
    assert_eq!((deliveries[0].state, deliveries[0].attempts), (succeeded(30), 2));
    assert!(ledger::load(store, webhook(2)).unwrap().is_none(), "there is nothing to send");
    for n in [1, 3] {
        let at = usize::try_from(n).unwrap() - 1;
        assert_eq!(store.acceptance(event(n)).unwrap().unwrap(), events[at]);
        assert!(attempts(store, n, endpoint(1)).iter().all(is_whole));
    }
    store.expunge_event(event(2)).unwrap();
    assert_eq!(store.expire_before(9_999, 0), 3);
}

pub fn what_is_under_way_is_not_expunged(store: &dyn Store) {
    store.put_endpoints(&[endpoint(1), endpoint(2)]);
    let to = [(endpoint(1), Place::Fresh), (endpoint(2), Place::Queued)];
    let held = accepted(1, &to);
    store.accept(std::slice::from_ref(&held));
    let refused = |n| store.expunge_event(event(n)).unwrap_err().kind();
    assert_eq!(refused(1), ErrorKind::Conflict);
    store.record(&[first_attempt(endpoint(1), &held, 2, succeeded(2))]);
    assert_eq!(refused(1), ErrorKind::Conflict);
    assert_eq!(store.acceptance(event(1)).unwrap().unwrap(), held);
    assert!(attempts(store, 1, endpoint(1)).iter().all(is_whole));
    assert_eq!(refused(7), ErrorKind::NotFound);
    expunge_attempts(store, 1, &[2]);
    assert!(attempts(store, 1, endpoint(1)).iter().all(is_bare), "what was made may go");
    store.delete_endpoint(endpoint(2));
    store.expunge_event(event(1)).unwrap();
}

pub fn one_attempt_is_expunged_by_itself(store: &dyn Store) {
    let events = delivered(store, 70_000);
    expunge_attempts(store, 2, &[12]);
    let made = attempts(store, 2, endpoint(1));
    assert!(is_bare(&made[0]) && is_whole(&made[1]));
    assert_eq!(store.acceptance(event(2)).unwrap().unwrap(), events[1]);
    assert!(attempts(store, 1, endpoint(1)).iter().all(is_whole));
}

pub fn attempts_of_a_set_go_with_each_of_its_events(store: &dyn Store) {
    store.put_endpoints(&[endpoint(1)]);
    let events: Vec<Acceptance> =
        (1..4).map(|n| accepted(n, &[(endpoint(1), Place::Fresh)])).collect();
    store.accept(&events);
    let webhook = formed(5, endpoint(1), &[1, 2], 1);
    store.change(&[Change::Form { webhook, dequeue: vec![] }]);
    let carried: Vec<_> = events[..2].iter().map(|held| Arc::clone(&held.event)).collect();
    let of_set = |n, number| Record {
        events: carried.clone(),
        dequeue: store.due(endpoint(1), 99),
        ..record(endpoint(1), &events[0], attempt(n, formed_id(5), number, "[1,2]"), None)
    };
    store.record(&[Record { state: Some(succeeded(6)), ..of_set(6, 1) }]);
    store.record(&[first_attempt(endpoint(1), &events[2], 7, succeeded(7))]);
    store.expunge_event(event(1)).unwrap();
    for n in [1, 2] {
        assert!(attempts(store, n, endpoint(1)).iter().all(is_bare), "event {n}");
    }
    assert!(attempts(store, 3, endpoint(1)).iter().all(is_whole));
    assert_eq!(store.acceptance(event(2)).unwrap().unwrap(), events[1]);
    let left = ledger::load(store, formed_id(5)).unwrap().unwrap();
    assert_eq!(left.events, [Arc::clone(&events[1].event)], "the rest can be sent again");
    // One that was on its way with all of it is recorded without.
    let mut late = of_set(8, 2);
    late.attempt.trigger = Trigger::Manual;
    store.record(&[late]);
    assert!(attempts(store, 2, endpoint(1)).iter().all(is_bare));
    store.expunge_event(event(2)).unwrap();
    assert!(ledger::load(store, formed_id(5)).unwrap().is_none());
}

pub fn nothing_of_an_expunged_event_is_recorded_or_sent_later(store: &dyn Store) {
    let disabled = Place::Skipped(hookwheel::model::SkipReason::EndpointDisabled);
    store.put_endpoints(&[endpoint(1), endpoint(2)]);
    let held = accepted(1, &[(endpoint(1), Place::Fresh), (endpoint(2), disabled)]);
    store.accept(std::slice::from_ref(&held));
    store.record(&[first_attempt(endpoint(1), &held, 2, succeeded(2))]);
    store.expunge_event(event(1)).unwrap();
    // Sent before, recorded after.
    let mut replay = attempt(3, webhook(1), 2, held.event.data.bytes());
    replay.trigger = Trigger::Manual;
    store.record(&[record(endpoint(1), &held, replay, None)]);
    let made = attempts(store, 1, endpoint(1));
    assert!(made.len() == 2 && made.iter().all(is_bare));
    // Looked at before, asked for after.
    let delivery = DeliveryId { event: event(1), endpoint: endpoint(2) };
    let enqueue = place(1, 9);
    store.change(&[Change::Move { delivery, state: waiting_until(9), enqueue, attempts: 0 }]);
    let missing = DeliveryId { event: event(1), endpoint: endpoint(3) };
    store.change(&[Change::Deliver { delivery: missing, enqueue }]);
    assert_eq!(store.due(endpoint(3), 99), []);
    assert_eq!(store.due(endpoint(2), 99), []);
    let (_, deliveries) = ledger::deliveries_of(store, event(1)).unwrap().unwrap();
    assert!(deliveries.iter().all(|delivery| delivery.state.is_final()));
}

pub fn an_event_whose_expunging_ended_early_shows_nothing_and_is_expunged_again(store: &dyn Store) {
    delivered(store, 100);
    store.expunge(&Expunge::Event(event(2))).unwrap();
    expunge_attempts(store, 2, &[22]);
    store.reopen().unwrap();
    assert!(attempts(store, 2, endpoint(1)).iter().all(is_bare), "what is left is not shown");
    store.expunge_event(event(2)).unwrap();
    let left = store.entries(event(2).as_u128(), true).unwrap();
    assert!(left.into_iter().all(|entry| is_bare(&entry.attempt.unwrap())));
    // What is not there any more is passed over.
    let position = store.attempts_of(event(2).as_u128()).unwrap()[0].position;
    assert_eq!(store.expire_before(9_999, 0), 3);
    store.expunge(&Expunge::Attempts(vec![position])).unwrap();
}

pub fn an_attempt_that_is_recorded_again_is_expunged_in_both_places(store: &dyn Store) {
    let held = accepted(1, &[(endpoint(1), Place::Fresh)]);
    store.accept(std::slice::from_ref(&held));
    for _ in 0..2 {
        store.record(&[first_attempt(endpoint(1), &held, 2, succeeded(2))]);
    }
    store.expunge_event(event(1)).unwrap();
    let left = store.entries(event(1).as_u128(), true).unwrap();
    assert_eq!(left.len(), 2);
    assert!(left.into_iter().all(|entry| is_bare(&entry.attempt.unwrap())));
}

#[test]
fn expunged_contents_leave_no_parts_behind() {
    let folder = tempfile::tempdir().unwrap();
    let store = sled_in(folder.path());
    store.accept(&[accepted_with(1, &[], |event| event.data = data_of(300_000))]);
    store.expunge_event(event(1)).unwrap();
    drop(store);
    let db = raw(folder.path());
    assert_eq!(db.scan_prefix("z").count(), 0);
}
