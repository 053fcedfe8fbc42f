//! How a simulation goes: what it tells as it happens, and what came of it in the end.

use crate::engine::{Emitted, Outcome};
use crate::model::{DeliveryId, DeliveryState, WebhookId};
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

/// Something that happened in a simulation.
#[derive(Clone, Debug)]
pub enum Step {
    /// The endpoint answered the provider's challenge.
    Proven,
    /// A webhook was sent, and answered or not.
    Exchange(Exchange),
    /// The provider holds the queue back until the endpoint answers its challenge again.
    Parked(String),
    /// The provider serves the endpoint again: it answered its challenge.
    Resumed,
    /// An event was not sent, because the provider's envelope cannot carry it.
    Unsent(String),
}

/// One request and its answer.
#[derive(Clone, Debug)]
pub struct Exchange {
    /// What was sent and what came back.
    pub outcome: Arc<Outcome>,
    /// The id on the wire: the event's, or that of a webhook with several.
    pub id: String,
    /// The schedule's delay before this attempt; `None` for the first.
    pub waited: Option<Duration>,
    /// The schedule's delay until the next attempt; `None` when there is none.
    pub again: Option<Duration>,
}

impl Exchange {
    /// Whether this was the last attempt, and it failed.
    pub fn is_given_up(&self) -> bool {
        matches!(self.outcome.state, Some(DeliveryState::Exhausted { .. }))
    }
}

/// What came of a simulation.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Report {
    /// Events that were to be sent.
    pub events: usize,
    /// Of these, how many the endpoint accepted in the end.
    pub accepted: usize,
    /// How many were given up after the last attempt.
    pub exhausted: usize,
    /// Requests that were made.
    pub attempts: usize,
    /// How long it took by the schedule's time.
    pub lasted: Duration,
    /// How it ended.
    pub end: End,
}

impl Report {
    /// Whether the endpoint accepted every event.
    pub fn is_success(&self) -> bool {
        self.accepted == self.events
    }
}

/// How a simulation ended.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum End {
    /// Every event was accepted or given up.
    Settled,
    /// The endpoint did not answer its challenge, for this reason.
    NotProven(String),
    /// The endpoint stayed parked.
    Parked,
    /// The endpoint is disabled, for this reason: it answered that it is gone.
    Disabled(String),
    /// Somebody stopped it.
    Interrupted,
}

/// Where the events of a simulation stand.
#[derive(Default)]
pub(super) struct Progress {
    deliveries: HashMap<DeliveryId, Standing>,
    /// The delay before the next attempt of each webhook that waits.
    waits: HashMap<WebhookId, Duration>,
    /// Deliveries of which no attempt was made yet.
    untried: usize,
    unsettled: usize,
    pub(super) accepted: usize,
    pub(super) exhausted: usize,
    pub(super) attempts: usize,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Standing {
    Untried,
    Waiting,
    Settled,
}

impl Progress {
    /// Events went out; an attempt of one may have been told of before.
    pub(super) fn emitted(&mut self, emitted: &[Emitted]) {
        let sent = emitted.iter().filter(|emitted| emitted.reach.delivered > 0);
        for delivery in sent.flat_map(|emitted| &emitted.deliveries) {
            self.deliveries.entry(*delivery).or_insert_with(|| {
                self.untried += 1;
                self.unsettled += 1;
                Standing::Untried
            });
        }
    }

    /// An attempt was made: the delay before it and that until the next.
    pub(super) fn attempted(&mut self, outcome: &Outcome) -> (Option<Duration>, Option<Duration>) {
        self.attempts += 1;
        for (delivery, _) in &outcome.deliveries {
            self.stands(*delivery, outcome.state);
        }
        let webhook = outcome.attempt.webhook;
        let waited = self.waits.remove(&webhook);
        let again = match outcome.state {
            Some(DeliveryState::Waiting { due }) if !outcome.parks() => {
                Some(due.since(outcome.ended))
            }
            _ => None,
        };
        if let Some(again) = again {
            self.waits.insert(webhook, again);
        }
        (waited, again)
    }

    fn stands(&mut self, delivery: DeliveryId, state: Option<DeliveryState>) {
        let before = self.deliveries.get(&delivery).copied();
        self.untried -= usize::from(before == Some(Standing::Untried));
        self.unsettled += usize::from(before.is_none());
        if before == Some(Standing::Settled) {
            return;
        }
        match state {
            Some(DeliveryState::Succeeded { .. }) => self.accepted += 1,
            Some(DeliveryState::Exhausted { .. }) => self.exhausted += 1,
            _ => {
                self.deliveries.insert(delivery, Standing::Waiting);
                return;
            }
        }
        self.deliveries.insert(delivery, Standing::Settled);
        self.unsettled -= 1;
    }

    /// Deliveries that wait for their first attempt.
    pub(super) fn untried(&self) -> usize {
        self.untried
    }

    /// Whether nothing that was emitted waits any more.
    pub(super) fn is_settled(&self) -> bool {
        self.unsettled == 0
    }
}
