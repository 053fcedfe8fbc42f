//! What the acts play on: the engine, its clock, and a customer of each provider.

use crate::clock::Clock;
use crate::engine::{Emitted, Engine, NewApplication, NewEndpoint, NewEvent, Outcome, Outcomes};
use crate::error::{Error, Result};
use crate::model::{ApplicationId, DeliveryId, DeliveryState, Endpoint, EndpointState, Timestamp};
use crate::provider::{Provider, SecretOwner};
use crate::simulate::receiver::{Consumer, Receiver, Verdict};
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;

/// Something worth knowing between two attempts.
pub struct Note {
    /// When, by the schedule's time.
    pub at: Timestamp,
    /// Whose.
    pub title: String,
    /// What.
    pub text: String,
}

/// The engine with its clock, and somebody to tell what happens.
pub struct Stage {
    pub engine: Engine,
    pub clock: Clock,
    pub began: Timestamp,
    notes: mpsc::UnboundedSender<Note>,
}

/// A customer of one provider: an application with one endpoint, and the receiver behind it.
pub struct Customer<'a> {
    pub stage: &'a Stage,
    pub provider: Arc<Provider>,
    pub application: ApplicationId,
    pub endpoint: Arc<Endpoint>,
    pub receiver: Receiver,
    /// What came of its attempts so far.
    pub seen: Vec<Arc<Outcome>>,
    outcomes: Outcomes,
}

/// What an act promised, and whether it was so.
pub struct Promise {
    pub text: String,
    pub kept: bool,
}

/// What came of an act.
pub struct Played {
    pub title: String,
    /// Deliveries, and how many of them arrived in the end.
    pub deliveries: usize,
    pub arrived: usize,
    pub attempts: usize,
    /// Webhooks that the receiver had processed before.
    pub duplicates: usize,
    /// Requests that the receiver did not hold to be genuine.
    pub refused: usize,
    pub promises: Vec<Promise>,
}

impl Stage {
    /// The story begins now.
    pub fn new(engine: Engine, clock: Clock, notes: mpsc::UnboundedSender<Note>) -> Self {
        Self { began: clock.now(), engine, clock, notes }
    }

    /// Waits for that hour of the story.
    pub async fn hour(&self, hour: u64) {
        self.clock.sleep_until(self.began.after(Duration::from_secs(hour * 3600))).await;
    }

    /// Brings a customer on: `consumer` with its endpoint, as `furnish` wants it.
    pub async fn customer(
        &self,
        consumer: Consumer,
        furnish: impl FnOnce(NewEndpoint) -> NewEndpoint,
    ) -> Result<Customer<'_>> {
        let provider = self.engine.provider(consumer.name())?;
        let name = format!("a customer of {}", provider.title());
        let application = self.engine.create_application(NewApplication::new(name)).await?.id;
        let receiver = Receiver::start(consumer, "").await.map_err(|error| {
            Error::unavailable(format!("no port can be listened on: {error}")).with_source(error)
        })?;
        if provider.secret_owner() == SecretOwner::Application {
            // It exists before the endpoint does, which is challenged with it.
            let secret = self.engine.application_secret(application, provider.name()).await?;
            receiver.set_secret(secret.expose());
        }
        let endpoint = furnish(NewEndpoint::new(receiver.url()).provider(provider.name()));
        let outcomes = self.engine.outcomes();
        let created = self.engine.create_endpoint(application, endpoint).await?;
        receiver.set_secret(created.secret.expose());
        let endpoint = created.endpoint;
        let seen = Vec::new();
        Ok(Customer { stage: self, provider, application, endpoint, receiver, seen, outcomes })
    }
}

impl Customer<'_> {
    /// Tells the audience.
    pub fn say(&self, text: impl Into<String>) {
        let title = self.provider.title().to_owned();
        let note = Note { at: self.stage.clock.now(), title, text: text.into() };
        // When the narrator is gone the demo is over.
        let _ = self.stage.notes.send(note);
    }

    /// Emits the sample event of each type, in one commit.
    pub async fn emit(&self, event_types: &[&str]) -> Result<Vec<DeliveryId>> {
        let events = event_types.iter().map(|event_type| {
            let data = self.provider.sample(event_type, &[])?;
            let mut event = NewEvent::new(self.application, *event_type, &serde_json::json!({}))?;
            event.data = data;
            Ok(event)
        });
        let events = events.collect::<Result<Vec<_>>>()?;
        let emitted = self.stage.engine.emit_batch(events).await?;
        Ok(emitted.into_iter().flat_map(|emitted| emitted.deliveries).collect())
    }

    /// Emits an event that nobody asked for.
    pub async fn emit_unasked(&self, event_type: &str) -> Result<Emitted> {
        let event = NewEvent::new(self.application, event_type, &serde_json::json!({}))?;
        self.stage.engine.emit(event).await
    }

    /// Waits until what was seen meets `condition`.
    pub async fn until(&mut self, condition: impl Fn(&Self) -> bool) -> Result<()> {
        while !condition(self) {
            let Some(outcome) = self.outcomes.next().await else { return Err(Error::closed()) };
            if outcome.endpoint == self.endpoint.id {
                self.seen.push(outcome);
            }
        }
        Ok(())
    }

    /// Waits until nothing moves `deliveries` any more but a hand.
    pub async fn until_final(&mut self, deliveries: &[DeliveryId]) -> Result<()> {
        self.until(|customer| {
            let states = customer.states();
            deliveries.iter().all(|held| states.get(held).is_some_and(DeliveryState::is_final))
        })
        .await
    }

    /// Where each delivery stands, by what was seen.
    pub fn states(&self) -> HashMap<DeliveryId, DeliveryState> {
        let moved = self.seen.iter().filter_map(|outcome| Some((outcome, outcome.state?)));
        let each = |(outcome, state): (&Arc<Outcome>, DeliveryState)| {
            outcome.deliveries.iter().map(|(id, _)| (*id, state)).collect::<Vec<_>>()
        };
        moved.flat_map(each).collect()
    }

    /// Whether the provider keeps the queue back.
    pub fn is_parked(&self) -> bool {
        let endpoint = self.stage.engine.endpoint(self.endpoint.id);
        endpoint.is_ok_and(|held| matches!(held.state, EndpointState::Parked { .. }))
    }

    /// The delays that the schedule gave `delivery`, as recorded with its attempts.
    pub fn delays(&self, delivery: DeliveryId) -> Vec<Duration> {
        let own = self
            .seen
            .iter()
            .filter(|outcome| outcome.deliveries.iter().any(|(id, _)| *id == delivery));
        own.filter_map(|outcome| match outcome.state? {
            DeliveryState::Waiting { due } => Some(due.since(outcome.ended)),
            _ => None,
        })
        .collect()
    }

    /// Ends the act.
    pub fn bow(self, promises: Vec<Promise>) -> Played {
        let states = self.states();
        let arrived = |state: &&DeliveryState| matches!(state, DeliveryState::Succeeded { .. });
        let requests = self.receiver.requests();
        for received in &requests {
            if let Verdict::Refused(reason) = &received.verdict {
                let provider = self.provider.name();
                tracing::warn!(provider, reason, "the receiver refused a request");
            }
        }
        Played {
            title: self.provider.title().to_owned(),
            deliveries: states.len(),
            arrived: states.values().filter(arrived).count(),
            attempts: self.seen.len(),
            duplicates: requests.iter().filter(|held| held.duplicate).count(),
            refused: requests.iter().filter(|held| !held.verdict.is_accepted()).count(),
            promises,
        }
    }
}

impl Played {
    /// Whether everything arrived, and nothing was refused as not genuine.
    pub fn is_whole(&self) -> bool {
        self.arrived == self.deliveries && self.refused == 0
    }
}
