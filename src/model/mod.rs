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
pub mod order;
pub mod pattern;
pub mod payload;
pub mod position;
pub mod queue;
pub mod raw_json;
pub mod ready;
pub mod secret;
pub mod task;
pub mod time;
pub mod unseen;

pub use access_token::AccessToken;
pub use application::Application;
pub use attempt::{
    Attempt, AttemptOutcome, Cut, Failure, FailureKind, RESPONSE_HEADERS_BYTES_MAX,
    RecordedRequest, Response, StatusClass, Trigger,
};
pub use delivery::{Delivery, DeliveryState, SkipReason};
pub use endpoint::{Authentication, Endpoint, EndpointState};
pub use event::{Event, EventType, Mode, Reach};
pub use event_type::EventTypeDefinition;
pub use id::{
    AccessTokenId, ApplicationId, AttemptId, DeliveryId, EndpointId, EventId, TaskId, WebhookId,
};
pub use order::Order;
pub use pattern::EventPattern;
pub use payload::Payload;
pub use position::AttemptPosition;
pub use queue::{QueueItem, QueueProgress};
pub use raw_json::RawJson;
pub use ready::{Held, ReadyWebhook};
pub use secret::Secret;
pub use task::{Task, TaskKind, TaskState};
pub use time::{Timestamp, human_duration, parse_duration};
pub use unseen::{escape_json, is_unseen};
