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
