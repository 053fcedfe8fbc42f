//! Asking both stores the same.

use super::Pair;
use crate::world::*;
use hookwheel::model::{AttemptPosition, EndpointId, Order};
use hookwheel::store::{Owner, Store, ledger};
use std::sync::Arc;

impl Pair {
    /// Asks both everything.
    pub(super) fn compare(&mut self) {
        self.commit(vec![], vec![]);
        let (memory, sled) = (&self.memory, self.sled());
        for n in &self.events {
            let id = event(*n);
            let held = memory.acceptance(id).unwrap();
            assert_eq!(held, sled.acceptance(id).unwrap());
            for app in [application(0), application(1)] {
                let called = |store: &dyn Store| store.event_by_uid(app, &format!("uid-{n}"));
                assert_eq!(called(memory).unwrap(), called(sled).unwrap());
            }
            if held.is_some() {
                for with_attempts in [false, true] {
                    let entries = memory.entries(id.as_u128(), with_attempts).unwrap();
                    assert_eq!(entries, sled.entries(id.as_u128(), with_attempts).unwrap());
                }
                let deliveries = |store| ledger::deliveries_of(store, id).unwrap().unwrap().1;
                assert_eq!(deliveries(memory as &dyn Store), deliveries(sled));
            }
        }
        for id in &self.webhooks {
            assert_eq!(memory.formed(*id).unwrap(), sled.formed(*id).unwrap());
            let entries = |store: &dyn Store| store.entries(id.as_u128(), true).unwrap();
            assert_eq!(entries(memory), entries(sled));
        }
        for n in 1..=self.endpoint_count {
            let id = endpoint(n);
            assert_eq!(memory.is_deleted(id).unwrap(), sled.is_deleted(id).unwrap());
            for (until, limit) in [(99_999, 999), (self.now / 2, 999), (99_999, 2)] {
                let queue = |store: &dyn Store| store.queue(id, time(until), limit).unwrap();
                assert_eq!(queue(memory), queue(sled));
            }
        }
        self.compare_lists();
    }

    fn compare_lists(&self) {
        let (memory, sled) = (&self.memory, self.sled());
        let waiting = |store: &dyn Store| {
            let mut waiting = store.waiting().unwrap();
            waiting.sort();
            waiting
        };
        assert_eq!(waiting(memory), waiting(sled));
        assert_eq!(memory.fresh().unwrap(), sled.fresh().unwrap());
        assert_eq!(memory.endpoints().unwrap(), sled.endpoints().unwrap());
        let endpoints = (1..=self.endpoint_count).map(endpoint);
        let owners = endpoints.map(Owner::Endpoint);
        let applications = (0..2).map(|n| Owner::Application(application(n)));
        let middle = (event(self.now / 3), event(self.now / 3 * 2));
        let ranges = [(event(0), event(99_999), 999), (middle.0, middle.1, 999)];
        let ranges = ranges.into_iter().chain([(event(0), middle.1, 3)]);
        let ranges =
            ranges.flat_map(|range| [(range, Order::NewestFirst), (range, Order::OldestFirst)]);
        for owner in owners.chain(applications) {
            for ((from, before, limit), order) in ranges.clone() {
                let list =
                    |store: &dyn Store| store.events_of(owner, from..before, order, limit).unwrap();
                assert_eq!(list(memory), list(sled));
                let Owner::Endpoint(id) = owner else { continue };
                let list =
                    |store: &dyn Store| store.exhausted(id, from..before, order, limit).unwrap();
                assert_eq!(list(memory), list(sled));
            }
        }
        let all: Vec<_> = self.events.iter().map(|n| event(*n)).collect();
        for bytes_max in [1, 500, usize::MAX] {
            let happened = |store: &dyn Store| store.happened(&all, bytes_max).unwrap();
            assert_eq!(happened(memory), happened(sled));
        }
        for n in 1..=self.endpoint_count {
            self.compare_attempts(endpoint(n));
        }
        for (n, app) in (0..7).flat_map(|n| [(n, application(0)), (n, application(1))]) {
            let known = |store: &dyn Store| store.idempotency(app, &format!("key-{n}")).unwrap();
            let (expected, held) = (known(memory), known(sled));
            // Those of one page go together, once the last of them may.
            let lingers = expected.is_none()
                && held.is_some_and(|held| held.accepted_at < time(self.keys_before));
            assert!(expected == held || lingers, "{expected:?} {held:?}");
        }
        let greatest = self.memory.greatest_id().unwrap();
        assert!(sled.greatest_id().unwrap() <= greatest);
        let newest = self.events.iter().rev().find_map(|n| memory.acceptance(event(*n)).unwrap());
        assert!(newest.is_none_or(|held| {
            let held: &Arc<_> = &held.event;
            held.id.as_u128() <= sled.greatest_id().unwrap()
        }));
    }

    /// Attempts to an endpoint, in both directions and in pages, in full.
    fn compare_attempts(&self, endpoint: EndpointId) {
        let listed = |store: &dyn Store, order, limit| {
            let (mut all, mut after): (Vec<AttemptPosition>, _) = (Vec::new(), None);
            loop {
                let page = store.attempts_to(endpoint, after, order, limit).unwrap();
                assert!(page.len() <= limit);
                let Some(last) = page.last() else { return all };
                after = Some(*last);
                all.extend(page);
            }
        };
        let told = |store: &dyn Store, positions: &[AttemptPosition]| {
            let entries = store.attempts_at(positions, usize::MAX).unwrap().into_iter().flatten();
            let attempts = entries.map(|entry| (entry.endpoint, entry.attempt.unwrap()));
            attempts.collect::<Vec<_>>()
        };
        let (memory, sled) = (&self.memory, self.sled());
        let positions = listed(sled, Order::OldestFirst, 3);
        assert!(positions.is_sorted());
        let mut newest_first = listed(sled, Order::NewestFirst, 2);
        newest_first.reverse();
        assert_eq!(newest_first, positions);
        let expected = listed(memory, Order::OldestFirst, 999);
        assert_eq!(told(sled, &positions), told(memory, &expected));
        let webhooks = self.webhooks.iter().map(|webhook| webhook.as_u128());
        for of in webhooks.chain(self.events.iter().map(|n| event(*n).as_u128())) {
            let of_one = |store: &dyn Store| told(store, &store.attempts_of(of).unwrap());
            assert_eq!(of_one(sled), of_one(memory));
        }
    }
}
