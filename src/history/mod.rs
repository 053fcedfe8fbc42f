//! What was recorded: listed, counted, explained; sent again by hand.

mod attempts;
mod expunge;
mod listing;
mod replay;
mod statistics;
mod tasks;
mod webhook;

pub use crate::query::{DeliveryFilter, EventFilter};
pub use attempts::{AttemptEntry, AttemptFilter, AttemptPage};
pub use listing::{DeliveryPage, EventPage};
pub use statistics::{DeliveryCounts, STATISTICS_RANGE_MAX};
pub use tasks::{DeliveryCount, TaskFilter, TaskPage};
pub use webhook::WebhookContent;

use crate::engine::{Engine, Inner};
use crate::error::{Error, Result};
use crate::model::{
    Attempt, Delivery, DeliveryId, DeliveryState, EndpointState, Event, EventId, Timestamp,
};
use crate::store::ledger;
use std::sync::Arc;

/// An event with everything that came of it.
#[derive(Clone, Debug)]
pub struct EventHistory {
    /// The event.
    pub event: Arc<Event>,
    /// Its deliveries; why there are none is in [`Event::reach`].
    pub deliveries: Vec<Delivery>,
}

/// A delivery with its attempts.
#[derive(Clone, Debug)]
pub struct DeliveryHistory {
    /// The delivery.
    pub delivery: Delivery,
    /// The event.
    pub event: Arc<Event>,
    /// Its newest 250 attempts, oldest first.
    pub attempts: Vec<Attempt>,
    /// Whether it has older ones: [`Engine::attempts`] lists them all.
    pub has_older_attempts: bool,
    /// How many of these attempts, from the first on, are told without their bodies, as those of
    /// the newer ones fill 4 MiB: [`Engine::attempt`] tells each in full.
    pub without_bodies: usize,
}

impl DeliveryHistory {
    /// When the next attempt is due, if one is.
    pub fn next_attempt(&self) -> Option<Timestamp> {
        match self.delivery.state {
            DeliveryState::Waiting { due } => Some(due),
            _ => None,
        }
    }
}

impl Engine {
    /// An event with its deliveries, and why it reached nobody if it did not.
    ///
    /// # Errors
    /// Refuses an unknown or expired event.
    pub async fn event(&self, id: EventId) -> Result<EventHistory> {
        let found = self.inner.blocking(move |store| ledger::deliveries_of(store, id)).await?;
        let Some((acceptance, mut deliveries)) = found else {
            return Err(Error::not_found(format!("event `{id}` does not exist or has expired")));
        };
        deliveries.iter_mut().for_each(|delivery| self.inner.as_it_is(delivery));
        Ok(EventHistory { event: acceptance.event, deliveries })
    }

    /// A delivery with its attempts.
    ///
    /// # Errors
    /// Refuses an unknown or expired delivery.
    pub async fn delivery(&self, id: DeliveryId) -> Result<DeliveryHistory> {
        let history = self.event(id.event).await?;
        let delivery = history.deliveries.into_iter().find(|delivery| delivery.id == id);
        let delivery = delivery.ok_or_else(|| unknown(id))?;
        let attempts = self.inner.blocking(move |store| ledger::attempts(store, id)).await?;
        let newest = attempts.ok_or_else(|| unknown(id))?;
        Ok(DeliveryHistory {
            delivery,
            event: history.event,
            attempts: newest.attempts,
            has_older_attempts: newest.has_older,
            without_bodies: newest.without_bodies,
        })
    }
}

impl Inner {
    /// What only memory knows of a delivery: that it is in flight, or that its endpoint is gone.
    fn as_it_is(&self, delivery: &mut Delivery) {
        if self.dispatcher.is_in_flight(delivery.id.endpoint, delivery.webhook) {
            delivery.state = DeliveryState::Sending;
        }
        if delivery.state.is_final() || delivery.state == DeliveryState::Sending {
            return;
        }
        let endpoint = self.directory.endpoint(delivery.id.endpoint);
        if let Ok(EndpointState::Deleted { at }) = endpoint.map(|held| held.state.clone()) {
            delivery.state = DeliveryState::Cancelled { at };
        }
    }
}

fn unknown(id: DeliveryId) -> Error {
    Error::not_found(format!("delivery `{id}` does not exist or has expired"))
}
