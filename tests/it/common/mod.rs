//! Helpers that read as questions.

use hookwheel::simulate::receiver::{Consumer, Receiver, Setup};
use hookwheel::{
    ApplicationId, Clock, DeliveryHistory, DeliveryId, Emitted, Engine, NewApplication,
    NewEndpoint, NewEvent, Timestamp,
};
use serde_json::{Value, json};

/// An engine in memory, with a clock that is moved by hand and an application.
pub struct Bench {
    pub engine: Engine,
    pub clock: Clock,
    pub application: ApplicationId,
}

/// The instant at which the tests' clocks stand first.
pub fn start() -> Timestamp {
    Timestamp::parse("2026-01-15T12:00:00Z").unwrap()
}

/// An engine in memory for local endpoints.
pub async fn bench() -> Bench {
    let clock = Clock::manual(start());
    let engine = Engine::builder().in_memory().development().clock(clock.clone());
    let engine = engine.open().await.unwrap();
    let application = engine.create_application(NewApplication::new("Shop")).await.unwrap().id;
    Bench { engine, clock, application }
}

impl Bench {
    /// A receiver that verifies as `consumer`, with an endpoint of that provider that goes to it.
    pub async fn receiver(&self, consumer: Consumer) -> (Receiver, hookwheel::CreatedEndpoint) {
        let setup = Setup { clock: self.clock.clone(), ..Setup::default() };
        let receiver = Receiver::start_with(consumer, "", setup).await.unwrap();
        if consumer == Consumer::OpenCard {
            let secret =
                self.engine.application_secret(self.application, "opencard").await.unwrap();
            receiver.set_secret(secret.expose());
        }
        let endpoint = NewEndpoint::new(receiver.url()).provider(consumer.name());
        let created = self.engine.create_endpoint(self.application, endpoint).await.unwrap();
        receiver.set_secret(created.secret.expose());
        (receiver, created)
    }

    /// Emits an event of that type.
    pub async fn emit(&self, event_type: &str, data: Value) -> Emitted {
        let event = NewEvent::new(self.application, event_type, &data).unwrap();
        self.engine.emit(event).await.unwrap()
    }

    /// Emits an order with that number.
    pub async fn order(&self, number: u32) -> DeliveryId {
        let emitted = self.emit("order.created", json!({ "orderId": number })).await;
        emitted.deliveries[0]
    }

    /// What is on record of a delivery.
    pub async fn history(&self, delivery: DeliveryId) -> DeliveryHistory {
        self.engine.delivery(delivery).await.unwrap()
    }

    /// The word for where a delivery stands.
    pub async fn state(&self, delivery: DeliveryId) -> &'static str {
        self.history(delivery).await.delivery.state.as_str()
    }
}
