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
use crate::store::{Store, ledger};
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
        let look_up = move |store: &dyn Store| ledger::deliveries_of(store, id);
        let found = self.inner.scan_event(id, look_up).await?;
        let (acceptance, mut deliveries) = found.ok_or_else(|| unknown_event(id))?;
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
        let application = history.event.application;
        let attempts =
            self.inner.scan(application, move |store| ledger::attempts(store, id)).await?;
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
    /// Reads what may be much of what came of an event, once it is its application's turn.
    async fn scan_event<T: Send + 'static>(
        self: &Arc<Self>,
        id: EventId,
        work: impl FnOnce(&dyn Store) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let acceptance = self.blocking(move |store| store.acceptance(id)).await?;
        let acceptance = acceptance.ok_or_else(|| unknown_event(id))?;
        self.scan(acceptance.event.application, work).await
    }

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

fn unknown_event(id: EventId) -> Error {
    Error::not_found(format!("event `{id}` does not exist or has expired"))
}

fn unknown(id: DeliveryId) -> Error {
    Error::not_found(format!("delivery `{id}` does not exist or has expired"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::{NewApplication, NewEndpoint, NewEvent, until};
    use crate::model::ApplicationId;
    use futures_util::future::{BoxFuture, join_all};
    use serde_json::json;
    use uuid::Uuid;

    /// Sends one event to an endpoint where nobody listens, until it was tried.
    async fn tried(engine: &Engine, application: ApplicationId) -> DeliveryId {
        let event = NewEvent::new(application, "a.b", &json!({})).unwrap();
        let delivery = engine.emit(event).await.unwrap().deliveries[0];
        engine.settle().await;
        delivery
    }

    #[tokio::test]
    async fn what_reads_a_history_waits_for_its_turn_and_what_delivers_does_not() {
        let engine = Engine::builder().in_memory().development().open().await.unwrap();
        let shop = engine.create_application(NewApplication::new("Shop")).await.unwrap().id;
        let endpoint = NewEndpoint::new("http://127.0.0.1:9/");
        let endpoint = engine.create_endpoint(shop, endpoint).await.unwrap().endpoint.id;
        let id = tried(&engine, shop).await;
        let attempt = engine.delivery(id).await.unwrap().attempts[0].id;
        let (since, end) = (Timestamp::from_millis(0), Timestamp::from_millis(1));

        let others = (1..=crate::engine::reads_max() as u128).map(Uuid::from_u128);
        let take = |other| engine.inner.reads.take(ApplicationId::from_uuid(other));
        let places = join_all(others.map(take)).await;
        let reads: Vec<BoxFuture<'_, Result<()>>> = vec![
            Box::pin(async { engine.event(id.event).await.map(drop) }),
            Box::pin(async { engine.delivery(id).await.map(drop) }),
            Box::pin(async { engine.attempt(id.event, attempt).await.map(drop) }),
            Box::pin(async { engine.events(EventFilter::application(shop)).await.map(drop) }),
            Box::pin(async {
                engine.deliveries(DeliveryFilter::endpoint(endpoint)).await.map(drop)
            }),
            Box::pin(async { engine.attempts(AttemptFilter::endpoint(endpoint)).await.map(drop) }),
            Box::pin(async { engine.attempts(AttemptFilter::event(id.event)).await.map(drop) }),
            Box::pin(async { engine.statistics(endpoint, since, end).await.map(drop) }),
            Box::pin(async {
                engine.count_deliveries(DeliveryFilter::application(shop)).await.map(drop)
            }),
            Box::pin(async { engine.replay_failed(endpoint, since, None).await.map(drop) }),
            Box::pin(async {
                engine.start_replay(DeliveryFilter::application(shop)).await.map(drop)
            }),
            Box::pin(async { engine.expunge_attempt(id.event, attempt).await }),
        ];
        let count = reads.len();
        let meanwhile = async {
            until(|| engine.inner.reads.waiting() == count).await;
            tried(&engine, shop).await;
            assert_eq!(engine.inner.reads.waiting(), count);
            drop(places);
        };
        let (reads, ()) = tokio::join!(join_all(reads), meanwhile);
        reads.into_iter().for_each(Result::unwrap);
    }
}
