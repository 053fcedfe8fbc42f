//! A place in an endpoint's queue.

use crate::model::{Timestamp, WebhookId};
use serde::{Deserialize, Serialize};

/// A webhook's place in its endpoint's queue.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub struct QueueItem {
    /// When it is due; the queue is in this order.
    pub due: Timestamp,
    /// The webhook.
    pub webhook: WebhookId,
    /// Whether somebody asked for it by hand: then it is beside the scheduled item, not instead.
    pub manual: bool,
}

/// How far a webhook in a queue has come, kept with its place so that loading it needs no look at
/// its history.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct QueueProgress {
    /// Attempts made.
    pub attempts: u32,
    /// How many of them the schedule made.
    pub scheduled_attempts: u32,
    /// Not to be sent before this, though its place in the queue may be earlier: where an endpoint
    /// is served in order.
    pub not_before: Timestamp,
}
