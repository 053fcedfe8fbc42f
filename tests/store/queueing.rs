//! The queue of an endpoint.

use crate::world::*;
use hookwheel::model::{QueueItem, QueueProgress};
use hookwheel::store::{Change, Place, QueuePage, Store};

fn put(store: &dyn Store, number: u64, items: &[QueueItem]) {
    let change = |item: &QueueItem| Change::Enqueue(endpoint(number), *item);
    store.change(&items.iter().map(change).collect::<Vec<_>>());
}

pub fn a_queue_is_in_order_of_due_time(store: &dyn Store) {
    let manual = QueueItem { manual: true, ..place(2, 20) };
    put(store, 1, &[place(3, 5), manual, place(1, 300), place(2, 20), place(9, 20)]);
    put(store, 2, &[place(7, 1)]);
    let in_order = [place(3, 5), place(2, 20), manual, place(9, 20), place(1, 300)];
    assert_eq!(store.due(endpoint(1), 1000), in_order);
    assert_eq!(store.due(endpoint(2), 1000), [place(7, 1)]);
    assert_eq!(store.due(endpoint(3), 1000), []);
    // The same item twice is one item.
    put(store, 1, &[place(9, 20)]);
    assert_eq!(store.due(endpoint(1), 1000), in_order);
}

pub fn a_webhook_has_one_replay_in_a_queue(store: &dyn Store) {
    let manual = |due| QueueItem { manual: true, ..place(1, due) };
    let waits = |number| store.replay_waits(endpoint(number), webhook(1)).unwrap();
    put(store, 1, &[place(1, 5)]);
    assert!(!waits(1));
    // In one commit, and in another one.
    put(store, 1, &[manual(20), manual(10)]);
    put(store, 1, &[manual(30)]);
    put(store, 2, &[manual(30)]);
    assert_eq!(store.due(endpoint(1), 99), [place(1, 5), manual(20)]);
    assert_eq!(store.due(endpoint(2), 99), [manual(30)]);
    assert!(waits(1) && waits(2) && !waits(3));
    // Another one that leaves is not this one.
    store.change(&[Change::Dequeue(endpoint(1), manual(30))]);
    assert!(waits(1));
    store.change(&[
        Change::Dequeue(endpoint(1), manual(20)),
        Change::Enqueue(endpoint(1), manual(40)),
        Change::Dequeue(endpoint(2), manual(30)),
    ]);
    assert_eq!(store.due(endpoint(1), 99), [place(1, 5), manual(40)]);
    assert!(waits(1) && !waits(2));
    // It goes with a deleted endpoint's queue.
    store.put_endpoints(&[endpoint(1)]);
    store.delete_endpoint(endpoint(1));
    store.expire_before(1, 0);
    assert!(!waits(1));
}

pub fn a_page_of_a_queue_tells_what_is_due_next(store: &dyn Store) {
    put(store, 1, &[place(1, 10), place(2, 20), place(3, 30)]);
    let page = |until, limit| store.queue(endpoint(1), time(until), limit).unwrap();
    let expected = |items: &[QueueItem], next: Option<u64>| QueuePage {
        items: items.iter().map(|item| (*item, QueueProgress::default())).collect(),
        next_due: next.map(time),
    };
    assert_eq!(page(9, 10), expected(&[], Some(10)));
    assert_eq!(page(10, 10), expected(&[place(1, 10)], Some(20)));
    assert_eq!(page(30, 2), expected(&[place(1, 10), place(2, 20)], Some(30)));
    assert_eq!(page(30, 3), expected(&[place(1, 10), place(2, 20), place(3, 30)], None));
    assert_eq!(page(30, 0), expected(&[], Some(10)));
    assert_eq!(store.queue(endpoint(2), time(99), 9).unwrap(), QueuePage::default());
}

pub fn everything_that_waits_is_found(store: &dyn Store) {
    assert_eq!(store.waiting().unwrap(), []);
    store.accept(&[accepted(4, &[(endpoint(900), Place::Queued)])]);
    for number in 1..300 {
        put(store, number, &[place(1, 1000 - number), place(2, 2000)]);
    }
    let mut waiting = store.waiting().unwrap();
    waiting.sort();
    let mut expected: Vec<_> = (1..300).map(|n| (endpoint(n), time(1000 - n))).collect();
    expected.push((endpoint(900), time(4)));
    assert_eq!(waiting, expected);
}

pub fn an_item_leaves_its_queue_alone(store: &dyn Store) {
    let manual = QueueItem { manual: true, ..place(1, 10) };
    put(store, 1, &[place(1, 10), manual, place(2, 10)]);
    store.change(&[Change::Dequeue(endpoint(1), manual)]);
    assert_eq!(store.due(endpoint(1), 99), [place(1, 10), place(2, 10)]);
    // What is not there, or is in another queue, leaves nothing.
    store.change(&[
        Change::Dequeue(endpoint(1), place(1, 11)),
        Change::Dequeue(endpoint(2), place(1, 10)),
    ]);
    assert_eq!(store.due(endpoint(1), 99), [place(1, 10), place(2, 10)]);
    // Leaving and entering in one commit: a retry.
    let acceptance = accepted(1, &[(endpoint(1), Place::Queued)]);
    let mut failed = first_attempt(endpoint(1), &acceptance, 20, waiting_until(60));
    failed.dequeue = vec![place(1, 10)];
    store.record(&[failed]);
    assert_eq!(store.due(endpoint(1), 99), [place(2, 10), place(1, 60)]);
    store.change(&[
        Change::Dequeue(endpoint(1), place(2, 10)),
        Change::Dequeue(endpoint(1), place(1, 60)),
    ]);
    assert_eq!(store.waiting().unwrap(), []);
}

pub fn progress_stays_beside_its_place(store: &dyn Store) {
    let acceptance = accepted(1, &[(endpoint(1), Place::Fresh)]);
    store.accept(std::slice::from_ref(&acceptance));
    let tried = attempt(10, webhook(1), 3, "{}");
    let mut tried = record(endpoint(1), &acceptance, tried, Some(waiting_until(20)));
    tried.progress.not_before = time(15);
    store.record(std::slice::from_ref(&tried));
    let page = store.queue(endpoint(1), time(99), 9).unwrap();
    assert_eq!(page.items, [(place(1, 20), tried.progress)]);
}
