//! Events as they come in, and where their deliveries are kept.

use crate::world::*;
use hookwheel::model::{DeliveryId, Mode, Reach, SkipReason, Trigger};
use hookwheel::store::{Batch, Change, IdempotencyRecord, Place, Store};
use serde_json::json;

pub fn what_was_accepted_is_read_back(store: &dyn Store) {
    let full = accepted_with(1, &[(endpoint(1), Place::Fresh)], |event| {
        event.mode = Mode::Test;
        event.sample = true;
        event.channels = vec!["vip".to_owned(), "door".to_owned()];
        event.idempotency_key = Some("order-1".to_owned());
        event.reach = Reach { endpoints: 3, delivered: 1, disabled: 2, ..Reach::default() };
    });
    let many: Vec<_> = (2..400)
        .map(|n| accepted(n, &[(endpoint(n), Place::Skipped(SkipReason::UnfitForProvider))]))
        .collect();
    store.accept(std::slice::from_ref(&full));
    store.accept(&many);
    assert_eq!(store.acceptance(event(1)).unwrap().unwrap(), full);
    for acceptance in many {
        assert_eq!(store.acceptance(acceptance.event.id).unwrap().unwrap(), acceptance);
    }
    for missing in [event(0), event(400)] {
        assert_eq!(store.acceptance(missing).unwrap(), None);
        assert_eq!(store.entries(missing.as_u128(), true).unwrap(), []);
    }
}

pub fn a_batch_holds_events_attempts_and_changes_together(store: &dyn Store) {
    let first = accepted(1, &[(endpoint(1), Place::Fresh)]);
    let second = accepted(2, &[(endpoint(1), Place::Fresh)]);
    store
        .commit(&Batch {
            accept: vec![first.clone(), second],
            record: vec![first_attempt(endpoint(1), &first, 3, waiting_until(9))],
            change: vec![
                Change::Endpoint(Box::new(stored_endpoint(endpoint(1), false))),
                Change::Spill(endpoint(1), place(2, 2)),
            ],
        })
        .unwrap();
    assert_eq!(store.due(endpoint(1), 100), [place(2, 2), place(1, 9)]);
    assert_eq!(store.entries(event(1).as_u128(), false).unwrap().len(), 1);
    assert_eq!(store.endpoints().unwrap().len(), 1);
    assert_eq!(store.fresh_ids(), []);
    store.commit(&Batch::default()).unwrap();
}

pub fn deliveries_are_found_in_their_places(store: &dyn Store) {
    store.put_endpoints(&[endpoint(1), endpoint(2), endpoint(3), endpoint(4)]);
    let skipped = Place::Skipped(SkipReason::EndpointDisabled);
    store.accept(&[accepted(
        5,
        &[
            (endpoint(1), Place::Fresh),
            (endpoint(2), Place::Queued),
            (endpoint(3), Place::Once),
            (endpoint(4), skipped),
        ],
    )]);
    assert_eq!(store.fresh_ids(), [(endpoint(1), event(5))]);
    assert_eq!(store.due(endpoint(2), 5), [place(5, 5)]);
    for other in [1, 3, 4] {
        assert_eq!(store.due(endpoint(other), 100), []);
    }
    let fresh = store.fresh().unwrap();
    assert_eq!(fresh[0].1, store.acceptance(event(5)).unwrap().unwrap());
}

pub fn fresh_deliveries_leave_by_every_way(store: &dyn Store) {
    let (one, two) = (endpoint(1), endpoint(2));
    store.put_endpoints(&[one, two]);
    let events: Vec<_> =
        (10..18).map(|n| accepted(n, &[(one, Place::Fresh), (two, Place::Fresh)])).collect();
    store.accept(&events);
    let both = |numbers: &[u64]| -> Vec<_> {
        numbers.iter().flat_map(|n| [(one, event(*n)), (two, event(*n))]).collect()
    };
    assert_eq!(store.fresh_ids(), both(&[10, 11, 12, 13, 14, 15, 16, 17]));

    // Recorded, in any order; spilled; formed; moved.
    store.record(&[first_attempt(one, &events[3], 20, succeeded(20))]);
    store.record(&[first_attempt(one, &events[0], 21, waiting_until(60))]);
    store.record(&[first_attempt(one, &events[1], 22, exhausted(22))]);
    store.change(&[Change::Spill(one, place(12, 12))]);
    store.change(&[Change::Form { webhook: formed(23, one, &[14, 15], 14), dequeue: vec![] }]);
    let delivery = DeliveryId { event: event(16), endpoint: one };
    store.change(&[Change::Move {
        delivery,
        state: waiting_until(24),
        enqueue: place(16, 24),
        attempts: 0,
    }]);
    let mut left: Vec<_> = (10..17).map(|n| (two, event(n))).collect();
    left.extend(both(&[17]));
    assert_eq!(store.fresh_ids(), left);

    // What has had its attempt is not spilled any more.
    store.change(&[Change::Spill(one, place(13, 13)), Change::Spill(one, place(10, 10))]);
    assert_eq!(store.due(one, 100).iter().filter(|held| held.webhook == webhook(13)).count(), 0);
    assert_eq!(store.due(one, 100).iter().filter(|held| held.webhook == webhook(10)).count(), 1);

    // What was spilled and then tried is not back.
    let mut tried = first_attempt(one, &events[2], 25, succeeded(25));
    tried.dequeue = vec![place(12, 12)];
    store.record(&[tried]);
    assert_eq!(store.fresh_ids(), left);
    store.delete_endpoint(two);
    assert_eq!(store.fresh_ids(), [(one, event(17))]);
}

pub fn a_failed_replay_leaves_a_fresh_delivery_where_it_was(store: &dyn Store) {
    store.put_endpoints(&[endpoint(1)]);
    let acceptance = accepted(1, &[(endpoint(1), Place::Fresh)]);
    store.accept(std::slice::from_ref(&acceptance));
    let mut failed = record(endpoint(1), &acceptance, attempt(2, webhook(1), 1, "{}"), None);
    failed.attempt.trigger = Trigger::Manual;
    store.record(&[failed.clone()]);
    assert_eq!(store.fresh_ids(), [(endpoint(1), event(1))]);
    store.reopen().unwrap();
    assert_eq!(store.fresh_ids(), [(endpoint(1), event(1))]);
    // One that succeeded ends it.
    failed.attempt.id = attempt_id(3);
    failed.state = Some(succeeded(3));
    store.record(&[failed]);
    assert_eq!(store.fresh_ids(), []);
}

pub fn an_attempt_recorded_twice_counts_for_one_delivery(store: &dyn Store) {
    store.put_endpoints(&[endpoint(1)]);
    let fresh = [(endpoint(1), Place::Fresh)];
    let events = [accepted(1, &fresh), accepted(2, &fresh)];
    store.accept(&events);
    let recorded = first_attempt(endpoint(1), &events[1], 3, succeeded(3));
    store.record(std::slice::from_ref(&recorded));
    store.record(&[recorded]);
    // As many commits as a store may put off writing how far it is.
    for n in 10..200 {
        store.accept(&[accepted(n, &[])]);
    }
    store.reopen().unwrap();
    assert_eq!(store.fresh_ids(), [(endpoint(1), event(1))]);
}

pub fn idempotency_keys_are_known_by_application(store: &dyn Store) {
    let keyed = |n, app| {
        accepted_with(n, &[], |event| {
            event.application = application(app);
            event.idempotency_key = Some("once".to_owned());
        })
    };
    store.accept(&[keyed(1, 1), keyed(2, 2)]);
    let known =
        |n| IdempotencyRecord { event: event(n), request_digest: [7; 16], accepted_at: time(n) };
    let ask = |app, key| store.idempotency(application(app), key).unwrap();
    assert_eq!(ask(1, "once"), Some(known(1)));
    assert_eq!(ask(2, "once"), Some(known(2)));
    assert_eq!(ask(1, "twice"), None);
    assert_eq!(ask(3, "once"), None);
    // Used again after its time, it belongs to the later event.
    store.accept(&[keyed(3, 1)]);
    assert_eq!(ask(1, "once"), Some(known(3)));
}

pub fn uids_name_events_by_application(store: &dyn Store) {
    let called = |n, app| {
        accepted_with(n, &[], |event| {
            event.application = application(app);
            event.uid = Some("order-1".to_owned());
            event.tags = vec!["vip".to_owned()];
        })
    };
    store.accept(&[called(1, 1), called(2, 2), accepted(3, &[])]);
    let ask = |app, uid| store.event_by_uid(application(app), uid).unwrap();
    assert_eq!((ask(1, "order-1"), ask(2, "order-1")), (Some(event(1)), Some(event(2))));
    assert_eq!((ask(1, "order-2"), ask(3, "order-1")), (None, None));
    assert_eq!(store.acceptance(event(1)).unwrap().unwrap(), called(1, 1));
}

pub fn large_data_comes_back_whole(store: &dyn Store) {
    let sizes = [100, 1024 * 1024, 20_000, 59_000, 60 * 1024, 64 * 1024, 65_537, 131_052, 300_000];
    let events: Vec<_> = (1..)
        .zip(sizes)
        .map(|(n, bytes)| {
            let fresh = [(endpoint(1), Place::Fresh)];
            accepted_with(n, &fresh, |event| event.data = data_of(bytes))
        })
        .collect();
    store.put_endpoints(&[endpoint(1)]);
    store.accept(&events);
    for acceptance in &events {
        let held = store.acceptance(acceptance.event.id).unwrap().unwrap();
        assert!(held == *acceptance, "{} bytes", acceptance.event.data.len());
    }
    assert_eq!(store.fresh().unwrap().len(), sizes.len());
}

pub fn new_ids_start_above_all_that_are_there(store: &dyn Store) {
    assert_eq!(store.greatest_id().unwrap(), 0);
    store.accept(&[accepted(1, &[]), accepted(2, &[])]);
    assert_eq!(store.greatest_id().unwrap(), event(2).as_u128());
    let webhook = formed(3, endpoint(1), &[1, 2], 1);
    store.change(&[Change::Form { webhook, dequeue: vec![] }]);
    assert_eq!(store.greatest_id().unwrap(), formed_id(3).as_u128());
    store.accept(&[accepted(4, &[])]);
    assert_eq!(store.greatest_id().unwrap(), event(4).as_u128());
}

pub fn directory_and_key_check_are_kept(store: &dyn Store) {
    assert!(store.is_deleted(endpoint(1)).unwrap());
    assert_eq!(store.key_check().unwrap(), None);
    let mut shop: hookwheel::Application = serde_json::from_value(json!({
        "id": application(1), "name": "shop", "uid": "shop-1", "metadata": { "city": "Zürich" },
        "rate_limit_per_second": null, "retention": null, "secrets": {}, "deleted_at": null,
        "created_at": time(1), "updated_at": time(1),
    }))
    .unwrap();
    store.change(&[Change::Application(shop.clone()), Change::KeyCheck(vec![1, 2, 3])]);
    assert_eq!(store.applications().unwrap(), [shop.clone()]);
    assert_eq!(store.key_check().unwrap().unwrap(), [1, 2, 3]);
    shop.name = "bigger shop".to_owned();
    let mut till = stored_endpoint(endpoint(1), false);
    till.metadata.insert("note".to_owned(), "x".repeat(15_000));
    store.change(&[Change::Application(shop.clone()), Change::Endpoint(Box::new(till.clone()))]);
    assert_eq!(store.applications().unwrap(), [shop]);
    assert_eq!(store.endpoints().unwrap(), [till]);
    assert!(!store.is_deleted(endpoint(1)).unwrap());
    store.delete_endpoint(endpoint(1));
    assert!(store.is_deleted(endpoint(1)).unwrap());
    assert_eq!(store.endpoints().unwrap().len(), 1);
}
