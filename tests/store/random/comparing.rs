//! Asking both stores the same.

use super::Pair;
use crate::world::*;
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
        for owner in owners.chain(applications) {
            for (from, before, limit) in ranges.clone() {
                let list = |store: &dyn Store| store.events_of(owner, from, before, limit).unwrap();
                assert_eq!(list(memory), list(sled));
                let Owner::Endpoint(id) = owner else { continue };
                let list = |store: &dyn Store| store.exhausted(id, from, before, limit).unwrap();
                assert_eq!(list(memory), list(sled));
            }
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
}
