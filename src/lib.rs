//! hookwheel.
#![forbid(unsafe_code)]
#![deny(missing_docs)]

#[doc(hidden)]
pub mod cli;
pub mod clock;
pub mod config;
pub mod dispatch;
mod emit;
pub mod engine;
pub mod error;
pub mod history;
pub mod id_source;
pub mod model;
pub mod provider;
pub mod record;
pub mod schedule;
pub mod simulate;
pub mod store;
pub mod vault;
pub mod wheel;

pub use clock::Clock;
pub use config::Config;
pub use engine::{
    ApplicationChange, CreatedEndpoint, Emitted, EndpointChange, Engine, EngineBuilder,
    NewApplication, NewEndpoint, NewEvent, Outcome, Outcomes, TestEvent,
};
pub use error::{Error, ErrorKind, Result};
pub use history::{DeliveryFilter, DeliveryHistory, DeliveryPage, EventHistory};
pub use model::{
    Application, ApplicationId, Attempt, AttemptOutcome, Authentication, Delivery, DeliveryId,
    DeliveryState, Endpoint, EndpointId, EndpointState, Event, EventId, EventType, Mode, Payload,
    Secret, Timestamp,
};
pub use vault::MasterKeySource;
