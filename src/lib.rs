//! Webhooks, delivered the way a named provider does it.
//!
//! hookwheel is for the side that sends. An [`Engine`] takes events in, keeps them in a folder, and
//! delivers each to the endpoints that want it: wrapped, signed, retried and given up as the
//! endpoint's provider does it, with every attempt on record and replayable.
//!
//! ```
//! use hookwheel::{Engine, NewApplication, NewEndpoint, NewEvent};
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> hookwheel::Result<()> {
//! let engine = Engine::builder().in_memory().open().await?;
//! let shop = engine.create_application(NewApplication::new("Shop")).await?;
//! let endpoint = NewEndpoint::new("https://shop.example/webhooks").provider("yoco");
//! let secret = engine.create_endpoint(shop.id, endpoint).await?.secret;
//!
//! let data = serde_json::json!({"id": "p_1", "amount": 900, "currency": "ZAR"});
//! let event = NewEvent::new(shop.id, "payment.succeeded", &data)?.idempotency_key("p_1");
//! let emitted = engine.emit(event).await?;
//! assert_eq!(emitted.deliveries.len(), 1, "accepted, and on its way to one endpoint");
//! # Ok(())
//! # }
//! ```
//!
//! Where to look next:
//!
//! - [`Engine`] is everything that an application does: emit, test, look at history, replay, recover,
//!   manage applications and endpoints. [`EngineBuilder`] opens one, [`Config`] holds every limit.
//! - [`Error`] has one sentence for people and an [`ErrorKind`] for programs.
//! - [`provider`] reads the files that say how a provider delivers, and renders, signs and verifies
//!   by them without an engine.
//! - [`simulate::Conformance`] checks whether a handler does what a provider's page asks of it.
//! - [`simulate::listener`] shows and keeps what somebody sends.
//! - [`simulate::receiver`] plays a provider's customer, for tests of what embeds this crate.
//!
//! The rest is how it works inside; ARCHITECTURE.md, beside the source, is the map of it.
#![cfg_attr(doctest, doc = include_str!("../README.md"))]
#![forbid(unsafe_code)]
#![deny(missing_docs)]

pub mod api;
pub mod chance;
#[doc(hidden)]
pub mod cli;
pub mod clock;
pub mod config;
pub mod dispatch;
mod emit;
pub mod engine;
pub mod error;
mod folder;
pub mod history;
pub mod id_source;
#[doc(hidden)]
pub mod measure;
pub mod model;
mod patience;
pub mod provider;
mod query;
pub mod record;
mod round;
pub mod schedule;
pub mod simulate;
pub mod store;
pub mod telemetry;
pub mod vault;
pub mod wheel;

pub use clock::Clock;
pub use config::Config;
pub use engine::{
    ApplicationChange, CreatedEndpoint, Emitted, EndpointChange, Engine, EngineBuilder,
    EventTypeChange, HeaderChange, NewAccessToken, NewApplication, NewEndpoint, NewEvent,
    NewEventType, Outcome, Outcomes, ProbeStatus, PutEventType, Reply, TestEvent,
};
pub use error::{Error, ErrorKind, Result};
pub use history::{
    AttemptEntry, AttemptFilter, AttemptPage, DeliveryCount, DeliveryCounts, DeliveryFilter,
    DeliveryHistory, DeliveryPage, EventFilter, EventHistory, EventPage, TaskFilter, TaskPage,
    WebhookContent,
};
pub use model::{
    AccessToken, AccessTokenId, Application, ApplicationId, Attempt, AttemptId, AttemptOutcome,
    AttemptPosition, Authentication, Delivery, DeliveryId, DeliveryState, Endpoint, EndpointId,
    EndpointState, Event, EventId, EventType, EventTypeDefinition, Mode, Order, Payload, RawJson,
    Secret, Task, TaskId, TaskKind, TaskState, Timestamp,
};
pub use vault::MasterKeySource;
