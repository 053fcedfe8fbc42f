//! A webhook on its way through memory.

use crate::model::{Event, QueueItem, Timestamp, Trigger, WebhookId};
use std::sync::Arc;

/// A webhook that is ready to be sent.
#[derive(Clone, Debug)]
pub struct ReadyWebhook {
    /// The webhook.
    pub webhook: WebhookId,
    /// The events that it carries.
    pub events: Vec<Arc<Event>>,
    /// Why it is sent.
    pub trigger: Trigger,
    /// Attempts made before.
    pub attempts: u32,
    /// How many of them the schedule made.
    pub scheduled_attempts: u32,
    /// Where it is kept meanwhile.
    pub held: Held,
    /// The schedule's time when its event was accepted: its place in an ordered queue.
    pub accepted_due: Timestamp,
    /// Not to be sent before this.
    pub not_before: Timestamp,
    /// Whether its set of events is fixed, for a provider that sends several at once.
    pub formed: bool,
}

impl ReadyWebhook {
    /// Bytes of event data.
    pub fn bytes(&self) -> usize {
        self.events.iter().map(|event| event.data.len()).sum()
    }
}

/// Where a ready webhook is kept until its attempt is recorded.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Held {
    /// In memory since it was accepted; it has a place in the gate.
    Fresh,
    /// In the store's queue.
    Queued(QueueItem),
}
