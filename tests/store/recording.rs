//! Attempts, and what the entries of a delivery fold into.

use crate::world::*;
use bytes::Bytes;
use hookwheel::model::{
    AttemptOutcome, Cut, DeliveryId, DeliveryState, EventId, Failure, FailureKind, Order,
    QueueItem, Response, SkipReason, Trigger,
};
use hookwheel::store::{Change, Place, Store, ledger};

/// Where the only delivery of the event numbered `n` stands.
fn state_of(store: &dyn Store, n: u64) -> DeliveryState {
    let (_, deliveries) = ledger::deliveries_of(store, event(n)).unwrap().unwrap();
    assert_eq!(deliveries.len(), 1);
    deliveries[0].state
}

pub fn every_state_is_recorded_and_folded(store: &dyn Store) {
    let states = [
        waiting_until(90),
        succeeded(50),
        exhausted(51),
        DeliveryState::Cancelled { at: time(52) },
        DeliveryState::Skipped { reason: SkipReason::EndpointDisabled },
    ];
    for (n, state) in (1..).zip(states) {
        let acceptance = accepted(n, &[(endpoint(1), Place::Fresh)]);
        store.accept(std::slice::from_ref(&acceptance));
        assert_eq!(state_of(store, n), waiting_until(n));
        store.record(&[first_attempt(endpoint(1), &acceptance, 20 + n, state)]);
        assert_eq!(state_of(store, n), state);
    }
    // Each state is followed by any other: the last one counts.
    let acceptance = store.acceptance(event(1)).unwrap().unwrap();
    for (number, state) in (2..).zip(states.into_iter().rev()) {
        let next = attempt(40 + u64::from(number), webhook(1), number, "{}");
        store.record(&[record(endpoint(1), &acceptance, next, Some(state))]);
        assert_eq!(state_of(store, 1), state);
    }
    let loaded = ledger::load(store, webhook(1)).unwrap().unwrap();
    let stands = ledger::ledger(store, endpoint(1), webhook(1)).unwrap().unwrap();
    assert_eq!((stands.attempts, stands.scheduled_attempts), (6, 6));
    assert_eq!(stands.position, time(90));
    assert_eq!(loaded.accepted_due, time(1));
    assert!(!loaded.is_formed);
    assert!(ledger::ledger(store, endpoint(2), webhook(1)).unwrap().is_none());
}

pub fn attempts_come_back_as_they_were(store: &dyn Store) {
    let acceptance = accepted(1, &[(endpoint(1), Place::Fresh), (endpoint(2), Place::Fresh)]);
    let data = acceptance.event.data.as_str().to_owned();
    store.accept(std::slice::from_ref(&acceptance));
    let answer = |cut| Response {
        status: 204,
        headers: vec![("X-Odd".to_owned(), "é\u{fffd}".to_owned()), (String::new(), String::new())],
        body: Bytes::from_static(&[0, 0xff, b'{']),
        cut,
        headers_cut: cut == Some(Cut::TooLong),
    };
    let failure = Failure { kind: FailureKind::CertificateExpired, detail: "on 2 May".to_owned() };
    let outcomes = [
        AttemptOutcome::Accepted(answer(None)),
        AttemptOutcome::Rejected(answer(Some(Cut::TooLong))),
        AttemptOutcome::Rejected(answer(Some(Cut::OutOfTime))),
        AttemptOutcome::Failed(failure),
    ];
    // Bodies with the event's data at the start, in the middle, at the end, twice, and not at all.
    let bodies = [data.clone(), format!("<{data}>"), format!("{data}{data}"), String::new()];
    let triggers = [Trigger::Scheduled, Trigger::Manual, Trigger::Test, Trigger::Scheduled];
    let mut expected = Vec::new();
    for (number, ((outcome, body), trigger)) in
        (1..).zip(outcomes.into_iter().zip(bodies).zip(triggers))
    {
        let mut made = attempt(10 + u64::from(number), webhook(1), number, body);
        (made.outcome, made.trigger) = (outcome, trigger);
        store.record(&[record(endpoint(1), &acceptance, made.clone(), Some(succeeded(20)))]);
        expected.push(made);
    }
    let elsewhere = first_attempt(endpoint(2), &acceptance, 19, succeeded(19));
    store.record(std::slice::from_ref(&elsewhere));
    let attempts = |number| {
        let id = DeliveryId { event: event(1), endpoint: endpoint(number) };
        ledger::attempts(store, id).unwrap().map(|newest| newest.attempts)
    };
    assert_eq!(attempts(1).unwrap(), expected);
    assert_eq!(attempts(2).unwrap(), [elsewhere.attempt]);
    assert_eq!(attempts(3), None);
    let light = store.entries(event(1).as_u128(), false).unwrap();
    assert!(light.iter().all(|entry| entry.attempt.is_none()));
    let full = store.entries(event(1).as_u128(), true).unwrap();
    assert_eq!(full.len(), light.len());
    assert!(light.iter().zip(&full).all(|(light, full)| light.change == full.change));
}

pub fn an_attempt_recorded_twice_is_one_attempt(store: &dyn Store) {
    let acceptance = accepted(1, &[(endpoint(1), Place::Fresh)]);
    store.accept(std::slice::from_ref(&acceptance));
    let first = first_attempt(endpoint(1), &acceptance, 2, waiting_until(30));
    store.record(&[first.clone(), first.clone()]);
    store.record(&[first]);
    let stands = ledger::ledger(store, endpoint(1), webhook(1)).unwrap().unwrap();
    assert_eq!((stands.attempts, stands.scheduled_attempts), (1, 1));
    let id = DeliveryId { event: event(1), endpoint: endpoint(1) };
    assert_eq!(ledger::attempts(store, id).unwrap().unwrap().attempts.len(), 1);
    assert_eq!(store.due(endpoint(1), 100), [place(1, 30)]);
}

pub fn large_bodies_come_back_whole(store: &dyn Store) {
    let events: Vec<_> = (1..8)
        .map(|n| {
            let fresh = [(endpoint(1), Place::Fresh)];
            accepted_with(n, &fresh, |event| event.data = data_of(1000))
        })
        .collect();
    store.accept(&events);
    // In one commit: bodies of 300 KiB that do not hold the data, beside small ones.
    let body = |n: u64| if n.is_multiple_of(2) { "y".repeat(300 * 1024) } else { "{}".to_owned() };
    let records: Vec<_> = (1..8)
        .zip(&events)
        .map(|(n, held)| {
            let made = attempt(20 + n, webhook(n), 1, body(n));
            record(endpoint(1), held, made, Some(succeeded(40)))
        })
        .collect();
    store.record(&records);
    for record in records {
        let id = DeliveryId { event: record.events[0].id, endpoint: endpoint(1) };
        let attempts = ledger::attempts(store, id).unwrap().unwrap().attempts;
        assert!(attempts == [record.attempt], "{id}");
    }
}

pub fn the_exhausted_are_listed_until_they_are_not(store: &dyn Store) {
    let fresh = [(endpoint(1), Place::Fresh), (endpoint(2), Place::Fresh)];
    let events: Vec<_> = (1..7).map(|n| accepted(n, &fresh)).collect();
    store.accept(&events);
    for (n, held) in (1..).zip(&events) {
        store.record(&[first_attempt(endpoint(1), held, 20 + n, exhausted(30))]);
    }
    store.record(&[first_attempt(endpoint(2), &events[0], 40, exhausted(40))]);
    let list = |number, from, before, limit| {
        store.exhausted(endpoint(number), from..before, Order::NewestFirst, limit).unwrap()
    };
    let (least, most) = (EventId::all().start, EventId::all().end);
    let ids = |numbers: &[u64]| numbers.iter().map(|n| event(*n)).collect::<Vec<_>>();
    assert_eq!(list(1, least, most, 100), ids(&[6, 5, 4, 3, 2, 1]));
    assert_eq!(list(1, event(2), event(5), 100), ids(&[4, 3, 2]));
    assert_eq!(list(1, least, event(5), 2), ids(&[4, 3]));
    assert_eq!(list(1, event(5), event(2), 100), []);
    assert_eq!(list(2, least, most, 100), ids(&[1]));
    assert_eq!(list(3, least, most, 100), []);

    // A replay that succeeds takes it off the list, one that fails does not, nor does one of
    // another endpoint; and neither does it stay when it is moved back to the queue.
    let again = |n: u64, state| {
        let mut again = attempt(50 + n, webhook(n), 2, "{}");
        again.trigger = Trigger::Manual;
        record(endpoint(1), &events[usize::try_from(n).unwrap() - 1], again, state)
    };
    store.record(&[again(1, Some(succeeded(60))), again(2, None)]);
    let delivery = DeliveryId { event: event(3), endpoint: endpoint(1) };
    store.change(&[Change::Move {
        delivery,
        state: waiting_until(60),
        enqueue: place(3, 60),
        attempts: 0,
    }]);
    assert_eq!(list(1, least, most, 100), ids(&[6, 5, 4, 2]));
    assert_eq!(list(2, least, most, 100), ids(&[1]));
}

pub fn a_replay_goes_beside_the_schedule(store: &dyn Store) {
    let acceptance = accepted(1, &[(endpoint(1), Place::Fresh)]);
    store.accept(std::slice::from_ref(&acceptance));
    store.record(&[first_attempt(endpoint(1), &acceptance, 2, waiting_until(50))]);
    let by_hand = QueueItem { due: time(10), webhook: webhook(1), manual: true };
    store.change(&[Change::Enqueue(endpoint(1), by_hand)]);
    assert_eq!(store.due(endpoint(1), 100), [by_hand, place(1, 50)]);
    // It fails: the schedule stands as it stood.
    let mut failed = record(endpoint(1), &acceptance, attempt(11, webhook(1), 2, "{}"), None);
    failed.attempt.trigger = Trigger::Manual;
    failed.dequeue = vec![by_hand];
    store.record(&[failed]);
    assert_eq!(store.due(endpoint(1), 100), [place(1, 50)]);
    let ledger = ledger::ledger(store, endpoint(1), webhook(1)).unwrap().unwrap();
    assert_eq!((ledger.state, ledger.position), (waiting_until(50), time(50)));
    assert_eq!((ledger.attempts, ledger.scheduled_attempts), (2, 1));
}

pub fn a_test_event_without_attempt_is_exhausted(store: &dyn Store) {
    store.accept(&[accepted(1, &[(endpoint(1), Place::Once)])]);
    assert_eq!(state_of(store, 1), exhausted(1));
}
