//! Plain data: what the words of the design mean. Nothing here reads a file, a socket or a clock.

pub mod access_token;
pub mod application;
pub mod attempt;
pub mod base_n;
pub mod check;
pub mod delivery;
pub mod endpoint;
pub mod event;
pub mod event_type;
pub mod id;
pub mod pattern;
pub mod payload;
pub mod queue;
pub mod ready;
pub mod secret;
pub mod time;

pub use access_token::AccessToken;
pub use application::Application;
pub use attempt::{
    Attempt, AttemptOutcome, Cut, Failure, FailureKind, RecordedRequest, Response, Trigger,
};
pub use delivery::{Delivery, DeliveryState, SkipReason};
pub use endpoint::{Authentication, Endpoint, EndpointState};
pub use event::{Event, EventType, Mode, Reach};
pub use event_type::EventTypeDefinition;
pub use id::{AccessTokenId, ApplicationId, AttemptId, DeliveryId, EndpointId, EventId, WebhookId};
pub use pattern::EventPattern;
pub use payload::Payload;
pub use queue::{QueueItem, QueueProgress};
pub use ready::{Held, ReadyWebhook};
pub use secret::Secret;
pub use time::{Timestamp, human_duration, parse_duration};
