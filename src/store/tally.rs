//! What is counted of commits: only what is on stable storage counts.

use super::{Batch, Change, Place};
use crate::model::DeliveryState;
use crate::telemetry::{COMMIT_DURATION, COMMIT_OPERATIONS, DELIVERIES, EVENTS};
use metrics::{Counter, Histogram, counter, histogram};
use std::time::Duration;

/// The counters, with their handles taken once.
pub(super) struct Tally {
    events: Counter,
    waiting: Counter,
    succeeded: Counter,
    exhausted: Counter,
    skipped: Counter,
    duration: Histogram,
    operations: Histogram,
}

impl Tally {
    /// Takes the handles from the recorder of now.
    pub fn new() -> Self {
        let state = |state: &'static str| counter!(DELIVERIES.name, "state" => state);
        Self {
            events: counter!(EVENTS.name),
            waiting: state("waiting"),
            succeeded: state("succeeded"),
            exhausted: state("exhausted"),
            skipped: state("skipped"),
            duration: histogram!(COMMIT_DURATION.name),
            operations: histogram!(COMMIT_OPERATIONS.name),
        }
    }

    /// Counts what a commit made durable within `elapsed`.
    pub fn committed(&self, batch: &Batch, elapsed: Duration) {
        self.duration.record(elapsed);
        self.operations.record(u32::try_from(batch.operations()).unwrap_or(u32::MAX));
        self.events.increment(batch.accept.len() as u64);
        for (_, place) in batch.accept.iter().flat_map(|acceptance| &acceptance.deliveries) {
            match place {
                Place::Fresh | Place::Queued => self.waiting.increment(1),
                Place::Skipped(_) => self.skipped.increment(1),
                // Its only attempt decides.
                Place::Once => {}
            }
        }
        for record in &batch.record {
            if let Some(state) = &record.state {
                self.entered(state, record.events.len() as u64);
            }
        }
        for change in &batch.change {
            match change {
                Change::Move { state, .. } => self.entered(state, 1),
                Change::Deliver { .. } => self.waiting.increment(1),
                _ => {}
            }
        }
    }

    fn entered(&self, state: &DeliveryState, deliveries: u64) {
        match state {
            DeliveryState::Waiting { .. } => self.waiting.increment(deliveries),
            DeliveryState::Succeeded { .. } => self.succeeded.increment(deliveries),
            DeliveryState::Exhausted { .. } => self.exhausted.increment(deliveries),
            DeliveryState::Skipped { .. } => self.skipped.increment(deliveries),
            // Neither is ever committed: the one is in memory alone, the other follows from the
            // endpoint's end.
            DeliveryState::Sending | DeliveryState::Cancelled { .. } => {}
        }
    }
}
