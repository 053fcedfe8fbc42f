//! What a commit makes of the memory.

use super::State;
use crate::model::{
    DeliveryState, Endpoint, EndpointId, EndpointState, QueueItem, QueueProgress, Trigger,
    WebhookId,
};
use crate::store::codec::attempted_change;
use crate::store::ledger::{self, Entry, EntryChange};
use crate::store::{Acceptance, Change, IdempotencyRecord, Place, Record};
use std::collections::BTreeMap;

impl State {
    pub(super) fn accept(&mut self, acceptance: &Acceptance) {
        let event = &acceptance.event;
        for (endpoint, place) in &acceptance.deliveries {
            match place {
                Place::Fresh => drop(self.fresh.insert((event.id, *endpoint))),
                Place::Queued => {
                    self.enqueue(
                        *endpoint,
                        QueueItem {
                            due: acceptance.due,
                            webhook: ledger::single(event.id),
                            manual: false,
                        },
                        QueueProgress::default(),
                    );
                }
                Place::Once | Place::Skipped(_) => {}
            }
        }
        if let Some(key) = &event.idempotency_key {
            let record = IdempotencyRecord {
                event: event.id,
                request_digest: acceptance.request_digest,
                accepted_at: event.accepted_at,
            };
            self.idempotency.insert((event.application, key.clone()), record);
        }
        if let Some(uid) = &event.uid {
            self.uids.insert((event.application, uid.clone()), event.id);
        }
        self.greatest_id = self.greatest_id.max(event.id.as_u128());
        self.events.insert(event.id, acceptance.clone());
    }

    pub(super) fn record(&mut self, record: &Record) {
        let of = record.attempt.webhook.as_u128();
        let mut attempt = record.attempt.clone();
        let is_expunged = record.events.iter().any(|event| self.is_expunged(event.id));
        if attempt.trigger != Trigger::Scheduled && is_expunged {
            attempt.expunge();
        }
        self.append(Entry {
            of,
            endpoint: record.endpoint,
            change: attempted_change(record),
            attempt: Some(attempt),
        });
        for event in &record.events {
            if record.state.is_some() {
                self.fresh.remove(&(event.id, record.endpoint));
            }
            match record.state {
                Some(DeliveryState::Exhausted { .. }) => {
                    self.exhausted.insert((record.endpoint, event.id));
                }
                Some(_) => drop(self.exhausted.remove(&(record.endpoint, event.id))),
                None => {}
            }
        }
        record.dequeue.iter().for_each(|item| self.dequeue(record.endpoint, item));
        if let Some(item) = record.enqueue {
            self.enqueue(record.endpoint, item, record.progress);
        }
    }

    pub(super) fn change(&mut self, change: &Change) {
        match change {
            Change::Application(application) => {
                self.applications.insert(application.id, application.clone());
            }
            Change::Endpoint(endpoint) => {
                if matches!(endpoint.state, EndpointState::Deleted { .. }) {
                    self.fresh.retain(|(_, held)| *held != endpoint.id);
                }
                self.endpoints.insert(endpoint.id, Endpoint::clone(endpoint));
            }
            Change::Enqueue(endpoint, item)
                if item.manual && self.replay_waits(*endpoint, item.webhook) => {}
            Change::Enqueue(endpoint, item) => {
                self.enqueue(*endpoint, *item, QueueProgress::default());
            }
            Change::Dequeue(endpoint, item) => self.dequeue(*endpoint, item),
            Change::Spill(endpoint, item) => {
                // What has had its attempt meanwhile is where that put it.
                if self.fresh.remove(&(ledger::single_event(item.webhook), *endpoint)) {
                    self.enqueue(*endpoint, *item, QueueProgress::default());
                }
            }
            Change::Move { delivery, .. } | Change::Deliver { delivery, .. }
                if !self.is_sendable(delivery.event) => {}
            Change::Move { delivery, state, enqueue, attempts } => {
                let of = delivery.event.as_u128();
                self.fresh.remove(&(delivery.event, delivery.endpoint));
                self.exhausted.remove(&(delivery.endpoint, delivery.event));
                self.append(Entry {
                    of,
                    endpoint: delivery.endpoint,
                    change: EntryChange::Moved { state: *state, position: enqueue.due },
                    attempt: None,
                });
                let progress = QueueProgress { attempts: *attempts, ..QueueProgress::default() };
                self.enqueue(delivery.endpoint, *enqueue, progress);
            }
            Change::Deliver { delivery, enqueue } => {
                let of = delivery.event.as_u128();
                self.append(Entry {
                    of,
                    endpoint: delivery.endpoint,
                    change: EntryChange::Added { due: enqueue.due },
                    attempt: None,
                });
                self.added.insert((delivery.endpoint, delivery.event));
                self.enqueue(delivery.endpoint, *enqueue, QueueProgress::default());
            }
            Change::Form { webhook, dequeue } => {
                let endpoint = webhook.endpoint;
                for event in &webhook.events {
                    self.fresh.remove(&(*event, endpoint));
                    let of = event.as_u128();
                    let change = EntryChange::Formed { webhook: webhook.id };
                    let entry = Entry { of, endpoint, change, attempt: None };
                    self.append(entry);
                }
                dequeue.iter().for_each(|item| self.dequeue(endpoint, item));
                self.enqueue(
                    endpoint,
                    QueueItem { due: webhook.due, webhook: webhook.id, manual: false },
                    QueueProgress::default(),
                );
                self.greatest_id = self.greatest_id.max(webhook.id.as_u128());
                self.formed.insert(webhook.id, webhook.clone());
            }
            Change::KeyCheck(check) => self.key_check = Some(check.clone()),
            Change::Document { kind, key, value } => {
                let key = (*kind, key.clone());
                match value {
                    Some(value) => drop(self.documents.insert(key, value.clone())),
                    None => drop(self.documents.remove(&key)),
                }
            }
        }
    }

    pub(super) fn replay_waits(&self, endpoint: EndpointId, webhook: WebhookId) -> bool {
        let mut waiting = self.queues.get(&endpoint).into_iter().flat_map(BTreeMap::keys);
        waiting.any(|item| item.manual && item.webhook == webhook)
    }

    fn enqueue(&mut self, endpoint: EndpointId, item: QueueItem, progress: QueueProgress) {
        self.queues.entry(endpoint).or_default().insert(item, progress);
    }

    fn dequeue(&mut self, endpoint: EndpointId, item: &QueueItem) {
        if let Some(queue) = self.queues.get_mut(&endpoint) {
            queue.remove(item);
            if queue.is_empty() {
                self.queues.remove(&endpoint);
            }
        }
    }
}
