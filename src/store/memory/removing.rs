//! What leaves the memory: the expired, the deleted, the expunged.

use super::State;
use crate::model::{Endpoint, EndpointState, EventId, WebhookId};
use crate::store::Expunge;
use std::sync::Arc;

impl State {
    pub(super) fn remove(&mut self, id: EventId) {
        self.events.remove(&id);
        self.forget(id.as_u128());
        self.exhausted.retain(|(_, event)| *event != id);
        self.added.retain(|(_, event)| *event != id);
        self.idempotency.retain(|_, held| held.event != id);
        self.uids.retain(|_, held| *held != id);
        let events = &self.events;
        let gone: Vec<WebhookId> = self
            .formed
            .values()
            .filter(|formed| !formed.events.iter().any(|event| events.contains_key(event)))
            .map(|formed| formed.id)
            .collect();
        for webhook in gone {
            self.formed.remove(&webhook);
            self.forget(webhook.as_u128());
        }
    }

    pub(super) fn forget_deleted_endpoints(&mut self) {
        let is_deleted = |held: &Endpoint| matches!(held.state, EndpointState::Deleted { .. });
        let (queues, events, added) = (&mut self.queues, &self.events, &self.added);
        self.endpoints.retain(|id, endpoint| {
            if is_deleted(endpoint) {
                queues.remove(id);
            }
            let has_history = || {
                let mut deliveries = events.values().flat_map(|held| &held.deliveries);
                deliveries.any(|(held, _)| held == id) || added.iter().any(|(held, _)| held == id)
            };
            !is_deleted(endpoint) || has_history()
        });
    }

    pub(super) fn forget_deleted_applications(&mut self) {
        let (endpoints, events) = (&self.endpoints, &self.events);
        self.applications.retain(|id, application| {
            let has_history = || {
                endpoints.values().any(|held| held.application == *id)
                    || events.values().any(|held| held.event.application == *id)
            };
            application.deleted_at.is_none() || has_history()
        });
    }

    pub(super) fn is_expunged(&self, event: EventId) -> bool {
        self.events.get(&event).is_some_and(|held| held.event.expunged)
    }

    pub(super) fn is_sendable(&self, event: EventId) -> bool {
        self.events.get(&event).is_some_and(|held| !held.event.expunged)
    }

    pub(super) fn expunge(&mut self, expunge: &Expunge) {
        match expunge {
            Expunge::Event(event) => {
                if let Some(held) = self.events.get_mut(event) {
                    Arc::make_mut(&mut held.event).expunge();
                }
            }
            Expunge::Attempts(positions) => {
                for position in positions {
                    let entries = self.entries.get_mut(&position.page());
                    let entry = entries.and_then(|held| held.get_mut(usize::from(position.at())));
                    if let Some(attempt) = entry.and_then(|entry| entry.attempt.as_mut()) {
                        attempt.expunge();
                    }
                }
            }
        }
    }
}
