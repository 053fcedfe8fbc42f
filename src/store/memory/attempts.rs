//! Attempts by endpoint, in the order in which they were recorded.

use crate::model::{AttemptId, AttemptPosition, EndpointId, EventId, Order};
use crate::store::Attempted;
use crate::store::ledger::{Entry, EntryChange};
use crate::store::memory::{State, in_order};
use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::ops::Bound;
use uuid::Uuid;

/// Where attempts are: a position's page is the event or formed webhook, and its place the entry.
#[derive(Default)]
pub(super) struct Attempts {
    by_endpoint: BTreeMap<EndpointId, BTreeSet<AttemptPosition>>,
    by_webhook: BTreeMap<u128, Vec<Attempted>>,
    seen: HashSet<AttemptId>,
}

impl State {
    /// Adds what happened to an event or formed webhook.
    pub(super) fn append(&mut self, entry: Entry) {
        let entries = self.entries.entry(entry.of).or_default();
        if let EntryChange::Attempted { id, .. } = entry.change {
            let at = u16::try_from(entries.len()).unwrap_or(u16::MAX);
            let position = AttemptPosition::new(self.commits, entry.of, at);
            let attempted = Attempted { id, of: entry.of, endpoint: entry.endpoint, position };
            self.attempts.by_webhook.entry(entry.of).or_default().push(attempted);
            if self.attempts.seen.insert(id) {
                self.attempts.by_endpoint.entry(entry.endpoint).or_default().insert(position);
            }
        }
        entries.push(entry);
    }

    /// Removes all that happened to an event or formed webhook.
    pub(super) fn forget(&mut self, of: u128) {
        self.attempts.by_webhook.remove(&of);
        for entry in self.entries.remove(&of).unwrap_or_default() {
            if let EntryChange::Attempted { id, .. } = entry.change {
                self.attempts.seen.remove(&id);
            }
            if let Some(positions) = self.attempts.by_endpoint.get_mut(&entry.endpoint) {
                positions.retain(|position| position.page() != of);
            }
        }
    }

    pub(super) fn attempts_to(
        &self,
        endpoint: EndpointId,
        after: Option<AttemptPosition>,
        order: Order,
        limit: usize,
    ) -> Vec<AttemptPosition> {
        let Some(positions) = self.attempts.by_endpoint.get(&endpoint) else { return Vec::new() };
        let edge = after.map_or(Bound::Unbounded, Bound::Excluded);
        let range = match order {
            Order::NewestFirst => (Bound::Unbounded, edge),
            Order::OldestFirst => (edge, Bound::Unbounded),
        };
        in_order(positions.range(range).copied(), order, limit)
    }

    pub(super) fn attempts_of(&self, of: u128) -> Vec<Attempted> {
        self.attempts.by_webhook.get(&of).cloned().unwrap_or_default()
    }

    pub(super) fn attempt_at(&self, position: AttemptPosition) -> Option<Entry> {
        let mut entry =
            self.entries.get(&position.page())?.get(usize::from(position.at())).cloned()?;
        let event = EventId::from_uuid(Uuid::from_u128(entry.of));
        if let Some(attempt) = entry.attempt.as_mut().filter(|_| self.is_expunged(event)) {
            attempt.expunge();
        }
        Some(entry)
    }
}
