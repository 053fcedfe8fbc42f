//! What the platform says of a kind of event.

use crate::model::{EventType, Payload, Timestamp};
use serde::{Deserialize, Serialize};

/// A kind of event as the platform describes it to its customers. Events of types that nobody
/// described are taken all the same.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct EventTypeDefinition {
    /// The type itself.
    pub name: EventType,
    /// What such an event means.
    pub description: String,
    /// Whether it is out of use: it is not offered any more.
    pub archived: bool,
    /// Whether it is about to be.
    pub deprecated: bool,
    /// Whom it is offered to: those with one of these flags; none means everybody.
    pub feature_flags: Vec<String>,
    /// The group that it is listed under.
    pub group_name: Option<String>,
    /// JSON schemas of its data: an object with one for each version, byte for byte as given.
    pub schemas: Option<Payload>,
    /// When it was first described.
    pub created_at: Timestamp,
    /// When that was last changed.
    pub updated_at: Timestamp,
}
