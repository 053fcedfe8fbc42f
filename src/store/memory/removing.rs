//! What leaves the memory: the expired, the deleted, the expunged.

use super::State;
use crate::model::{Attempt, Endpoint, EndpointState, EventId, WebhookId};
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

    pub(super) fn expunge(&mut self, webhooks: &[u128], expunge: Expunge) {
        let only = match expunge {
            Expunge::Attempt(_, attempt) => Some(attempt),
            Expunge::Event(event) => {
                if let Some(held) = self.events.get_mut(&event) {
                    Arc::make_mut(&mut held.event).expunge();
                }
                None
            }
        };
        for webhook in webhooks {
            let entries = self.entries.get_mut(webhook).into_iter().flatten();
            let attempts = entries.filter_map(|entry| entry.attempt.as_mut());
            attempts
                .filter(|attempt| only.is_none_or(|only| only == attempt.id))
                .for_each(Attempt::expunge);
        }
    }
}
