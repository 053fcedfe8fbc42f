//! A store in memory: the model that the others are compared with, and what the simulator runs on.

mod applying;
mod attempts;
mod removing;

use crate::error::Result;
use crate::model::{
    Application, ApplicationId, AttemptPosition, Endpoint, EndpointId, EndpointState, EventId,
    Order, QueueItem, QueueProgress, Timestamp, WebhookId,
};
use crate::store::ledger::{self, Entry, Happened};
use crate::store::{
    Acceptance, Attempted, Batch, DocumentKind, Expired, Expiry, Expunge, FormedWebhook,
    IdempotencyRecord, Owner, QueuePage, Store, expunging,
};
use std::collections::{BTreeMap, BTreeSet};
use std::ops::{Bound, Range};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Keeps everything in memory; nothing survives the process.
#[derive(Default)]
pub struct MemoryStore {
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    applications: BTreeMap<ApplicationId, Application>,
    endpoints: BTreeMap<EndpointId, Endpoint>,
    events: BTreeMap<EventId, Acceptance>,
    entries: BTreeMap<u128, Vec<Entry>>,
    formed: BTreeMap<WebhookId, FormedWebhook>,
    queues: BTreeMap<EndpointId, BTreeMap<QueueItem, QueueProgress>>,
    fresh: BTreeSet<(EventId, EndpointId)>,
    exhausted: BTreeSet<(EndpointId, EventId)>,
    added: BTreeSet<(EndpointId, EventId)>,
    attempts: attempts::Attempts,
    commits: u64,
    idempotency: BTreeMap<(ApplicationId, String), IdempotencyRecord>,
    uids: BTreeMap<(ApplicationId, String), EventId>,
    key_check: Option<Vec<u8>>,
    documents: BTreeMap<(DocumentKind, String), Vec<u8>>,
    greatest_id: u128,
}

impl MemoryStore {
    /// An empty store.
    pub fn new() -> Self {
        Self::default()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Store for MemoryStore {
    fn commit(&self, batch: &Batch) -> Result<()> {
        let mut state = self.state();
        state.commits += 1;
        batch.accept.iter().for_each(|acceptance| state.accept(acceptance));
        batch.record.iter().for_each(|record| state.record(record));
        batch.change.iter().for_each(|change| state.change(change));
        Ok(())
    }

    fn last_commit(&self) -> Result<u64> {
        Ok(self.state().commits)
    }

    fn reopen(&self) -> Result<()> {
        Ok(())
    }

    fn check_room(&self) -> Result<()> {
        Ok(())
    }

    fn applications(&self) -> Result<Vec<Application>> {
        Ok(self.state().applications.values().cloned().collect())
    }

    fn endpoints(&self) -> Result<Vec<Endpoint>> {
        Ok(self.state().endpoints.values().cloned().collect())
    }

    fn is_deleted(&self, endpoint: EndpointId) -> Result<bool> {
        let state = self.state();
        let held = state.endpoints.get(&endpoint);
        Ok(held.is_none_or(|held| matches!(held.state, EndpointState::Deleted { .. })))
    }

    fn key_check(&self) -> Result<Option<Vec<u8>>> {
        Ok(self.state().key_check.clone())
    }

    fn document(&self, kind: DocumentKind, key: &str) -> Result<Option<Vec<u8>>> {
        Ok(self.state().documents.get(&(kind, key.to_owned())).cloned())
    }

    fn documents_after(
        &self,
        kind: DocumentKind,
        after: &str,
        limit: usize,
    ) -> Result<Vec<(String, Vec<u8>)>> {
        let state = self.state();
        let above =
            state.documents.range((Bound::Excluded((kind, after.to_owned())), Bound::Unbounded));
        let of_kind = above.take_while(|((held, _), _)| *held == kind).take(limit);
        Ok(of_kind.map(|((_, key), value)| (key.clone(), value.clone())).collect())
    }

    fn greatest_id(&self) -> Result<u128> {
        Ok(self.state().greatest_id)
    }

    fn acceptance(&self, event: EventId) -> Result<Option<Acceptance>> {
        Ok(self.state().events.get(&event).cloned())
    }

    fn formed(&self, webhook: WebhookId) -> Result<Option<FormedWebhook>> {
        Ok(self.state().formed.get(&webhook).cloned())
    }

    fn entries(&self, of: u128, with_attempts: bool) -> Result<Vec<Entry>> {
        let mut entries = self.state().entries.get(&of).cloned().unwrap_or_default();
        if !with_attempts {
            entries.iter_mut().for_each(|entry| entry.attempt = None);
        }
        Ok(entries)
    }

    fn attempts_to(
        &self,
        endpoint: EndpointId,
        after: Option<AttemptPosition>,
        order: Order,
        limit: usize,
    ) -> Result<Vec<AttemptPosition>> {
        Ok(self.state().attempts_to(endpoint, after, order, limit))
    }

    fn attempts_of(&self, of: u128) -> Result<Vec<Attempted>> {
        Ok(self.state().attempts_of(of))
    }

    fn attempts_at(
        &self,
        positions: &[AttemptPosition],
        bytes_max: usize,
    ) -> Result<Vec<Option<Entry>>> {
        let (state, mut found, mut bytes) = (self.state(), Vec::new(), 0);
        for position in positions {
            let entry = state.attempt_at(*position);
            bytes += entry.as_ref().map_or(0, Entry::bytes);
            found.push(entry);
            if bytes >= bytes_max {
                break;
            }
        }
        Ok(found)
    }

    fn queue(&self, endpoint: EndpointId, until: Timestamp, limit: usize) -> Result<QueuePage> {
        let state = self.state();
        let Some(queue) = state.queues.get(&endpoint) else {
            return Ok(QueuePage::default());
        };
        let due = queue.iter().take_while(|(item, _)| item.due <= until);
        let items: Vec<_> = due.take(limit).map(|(item, progress)| (*item, *progress)).collect();
        let next_due = queue.keys().nth(items.len()).map(|item| item.due);
        Ok(QueuePage { items, next_due })
    }

    fn replay_waits(&self, endpoint: EndpointId, webhook: WebhookId) -> Result<bool> {
        Ok(self.state().replay_waits(endpoint, webhook))
    }

    fn waiting(&self) -> Result<Vec<(EndpointId, Timestamp)>> {
        let state = self.state();
        let first = |queue: &BTreeMap<QueueItem, QueueProgress>| {
            queue.first_key_value().map(|(item, _)| item.due)
        };
        let queues = state.queues.iter();
        Ok(queues.filter_map(|(endpoint, queue)| Some((*endpoint, first(queue)?))).collect())
    }

    fn fresh(&self) -> Result<Vec<(EndpointId, Acceptance)>> {
        let state = self.state();
        let event = |id| state.events.get(id).cloned();
        let fresh = state.fresh.iter();
        Ok(fresh.filter_map(|(id, endpoint)| Some((*endpoint, event(id)?))).collect())
    }

    fn idempotency(
        &self,
        application: ApplicationId,
        key: &str,
    ) -> Result<Option<IdempotencyRecord>> {
        Ok(self.state().idempotency.get(&(application, key.to_owned())).copied())
    }

    fn happened(&self, events: &[EventId], bytes_max: usize) -> Result<Vec<Happened>> {
        let (mut found, mut bytes) = (Vec::with_capacity(events.len()), 0);
        for event in events {
            if let Some(acceptance) = self.acceptance(*event)? {
                let entries = self.entries(event.as_u128(), false)?;
                let happened = Happened { acceptance, entries };
                bytes += happened.bytes();
                found.push(happened);
            }
            if bytes >= bytes_max {
                break;
            }
        }
        Ok(found)
    }

    fn event_by_uid(&self, application: ApplicationId, uid: &str) -> Result<Option<EventId>> {
        Ok(self.state().uids.get(&(application, uid.to_owned())).copied())
    }

    fn events_of(
        &self,
        owner: Owner,
        range: Range<EventId>,
        order: Order,
        limit: usize,
    ) -> Result<Vec<EventId>> {
        if range.is_empty() {
            return Ok(Vec::new());
        }
        let state = self.state();
        let owned = |held: &Acceptance| match owner {
            Owner::Application(id) => held.event.application == id,
            Owner::Endpoint(id) => {
                held.deliveries.iter().any(|(to, _)| *to == id)
                    || state.added.contains(&(id, held.event.id))
            }
        };
        let held = state.events.range(range).filter(|(_, held)| owned(held)).map(|(id, _)| *id);
        Ok(in_order(held, order, limit))
    }

    fn exhausted(
        &self,
        endpoint: EndpointId,
        range: Range<EventId>,
        order: Order,
        limit: usize,
    ) -> Result<Vec<EventId>> {
        if range.is_empty() {
            return Ok(Vec::new());
        }
        let state = self.state();
        let held = state.exhausted.range((endpoint, range.start)..(endpoint, range.end));
        Ok(in_order(held.map(|(_, event)| *event), order, limit))
    }

    fn expire(&self, expiry: &Expiry<'_>) -> Result<Expired> {
        let old: Vec<Acceptance> = {
            let state = self.state();
            let cutoff = |held: &Acceptance| (expiry.cutoff)(held.event.application);
            let held = state.events.values().filter(|held| held.event.accepted_at < cutoff(held));
            held.cloned().collect()
        };
        let mut events = 0;
        for held in old {
            let id = held.event.id;
            if ledger::is_finished(self, &held, &self.entries(id.as_u128(), false)?)? {
                self.state().remove(id);
                events += 1;
            }
        }
        let mut state = self.state();
        state.idempotency.retain(|_, held| held.accepted_at >= expiry.idempotency_cutoff);
        state.forget_deleted_endpoints();
        state.forget_deleted_applications();
        Ok(Expired { events, round_over: true })
    }

    fn expunge(&self, expunge: &Expunge) -> Result<()> {
        if let Expunge::Event(event) = expunge {
            expunging::check(self, *event)?;
        }
        self.state().expunge(expunge);
        Ok(())
    }

    fn close(&self) -> Result<()> {
        Ok(())
    }
}

/// The first of `items`, which are sorted, in that order.
fn in_order<T>(items: impl DoubleEndedIterator<Item = T>, order: Order, limit: usize) -> Vec<T> {
    match order {
        Order::NewestFirst => items.rev().take(limit).collect(),
        Order::OldestFirst => items.take(limit).collect(),
    }
}
