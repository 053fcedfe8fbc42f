//! How a simulation goes: what it tells as it happens, and where its events stand.

use super::faults::{Fault, Forgery};
use crate::engine::{Emitted, Outcome};
use crate::model::{DeliveryId, DeliveryState, Timestamp, Trigger, WebhookId};
use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

/// Something that happened in a simulation.
#[derive(Clone, Debug)]
pub enum Step {
    /// The endpoint answered the provider's challenge.
    Proven,
    /// A webhook was sent, and answered or not.
    Exchange(Exchange),
    /// A forged request was sent, and answered or not.
    Forgery(Forgery),
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
    /// What went wrong with it on purpose.
    pub faults: Vec<Fault>,
    /// Whether its upload was cut on purpose.
    pub was_cut: bool,
    /// The schedule's delay before this attempt; `None` for the first.
    pub waited: Option<Duration>,
    /// The schedule's delay until the next attempt; `None` when there is none.
    pub again: Option<Duration>,
    /// Where the simulation stands with it.
    pub standing: Standing,
}

impl Exchange {
    /// Whether this was the last attempt, and it failed.
    pub fn is_given_up(&self) -> bool {
        matches!(self.outcome.state, Some(DeliveryState::Exhausted { .. }))
    }
}

/// Where a simulation stands.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Standing {
    /// Events that are to be sent in all.
    pub events: usize,
    /// Events that were accepted.
    pub accepted: usize,
    /// Events that were given up.
    pub exhausted: usize,
    /// Events that wait for their next attempt.
    pub waiting: usize,
    /// Real time until the next of these, or until a scenario's next step.
    pub next: Option<Duration>,
}

/// Where the events of a simulation stand.
#[derive(Default)]
pub(super) struct Progress {
    /// What is not settled.
    deliveries: HashMap<DeliveryId, Standpoint>,
    /// The next attempt of each webhook that waits.
    waits: HashMap<WebhookId, Wait>,
    /// The same, by when they are due.
    dues: BTreeSet<(Timestamp, WebhookId)>,
    /// Deliveries of which no attempt was made yet.
    untried: usize,
    unsettled: usize,
    pub(super) accepted: usize,
    pub(super) exhausted: usize,
    pub(super) attempts: usize,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Standpoint {
    Untried,
    Waiting,
}

/// A webhook that waits.
struct Wait {
    due: Timestamp,
    delay: Duration,
    deliveries: usize,
}

impl Progress {
    /// Events went out. No attempt of one was told of before.
    pub(super) fn emitted(&mut self, emitted: &[Emitted]) {
        let sent = emitted.iter().filter(|emitted| emitted.reach.delivered > 0);
        for delivery in sent.flat_map(|emitted| &emitted.deliveries) {
            self.deliveries.entry(*delivery).or_insert_with(|| {
                self.untried += 1;
                self.unsettled += 1;
                Standpoint::Untried
            });
        }
    }

    /// An attempt was made: the delay before it and that until the next.
    pub(super) fn attempted(&mut self, outcome: &Outcome) -> (Option<Duration>, Option<Duration>) {
        self.attempts += 1;
        if outcome.attempt.trigger == Trigger::Manual {
            // Sent once more after it was settled: that changes nothing.
            return (None, None);
        }
        for (delivery, _) in &outcome.deliveries {
            self.stands(*delivery, outcome.state);
        }
        let webhook = outcome.attempt.webhook;
        let wait = self.waits.remove(&webhook);
        if let Some(wait) = &wait {
            self.dues.remove(&(wait.due, webhook));
        }
        let waited = wait.map(|wait| wait.delay);
        let due = match outcome.state {
            Some(DeliveryState::Waiting { due }) if !outcome.parks() => due,
            _ => return (waited, None),
        };
        let delay = due.since(outcome.ended);
        let deliveries = outcome.deliveries.len();
        self.waits.insert(webhook, Wait { due, delay, deliveries });
        self.dues.insert((due, webhook));
        (waited, Some(delay))
    }

    fn stands(&mut self, delivery: DeliveryId, state: Option<DeliveryState>) {
        let before = self.deliveries.remove(&delivery);
        self.untried -= usize::from(before == Some(Standpoint::Untried));
        self.unsettled += usize::from(before.is_none());
        match state {
            Some(DeliveryState::Succeeded { .. }) => self.accepted += 1,
            Some(DeliveryState::Exhausted { .. }) => self.exhausted += 1,
            _ => {
                self.deliveries.insert(delivery, Standpoint::Waiting);
                return;
            }
        }
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

    /// Deliveries that wait for an attempt after the first.
    pub(super) fn waiting(&self) -> usize {
        self.unsettled - self.untried
    }

    /// When the next scheduled attempt is due.
    pub(super) fn next_due(&self) -> Option<Timestamp> {
        self.dues.first().map(|(due, _)| *due)
    }

    /// Whether, by the schedule's time `now`, every delivery that is not settled waits for later.
    pub(super) fn rests(&self, now: Timestamp) -> bool {
        let later = self.waits.values().filter(|wait| wait.due > now);
        later.map(|wait| wait.deliveries).sum::<usize>() == self.unsettled
    }
}
