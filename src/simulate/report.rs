//! What came of a simulation.

use super::faults::{Fault, Forgery};
use crate::engine::Outcome;
use crate::model::{AttemptOutcome, DeliveryState};
use std::collections::BTreeMap;
use std::time::Duration;

/// Complaints that are kept: a million events can go wrong in the same way.
const WRONG_MAX: usize = 100;

/// What came of a simulation.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Report {
    /// What everything that was drawn followed from.
    pub seed: u64,
    /// Events that were to be sent.
    pub events: usize,
    /// Of these, how many the endpoint accepted in the end.
    pub accepted: usize,
    /// How many were given up after the last attempt.
    pub exhausted: usize,
    /// Requests that were made for these events.
    pub attempts: usize,
    /// How long it took by the schedule's time.
    pub lasted: Duration,
    /// What went wrong on purpose, and what came back.
    pub faults: BTreeMap<Fault, FaultTally>,
    /// What the endpoint did wrong besides not accepting events: forgeries that it took, and what
    /// it refused though it should not have; at most 100 of them.
    pub wrong: Vec<String>,
    /// How it ended.
    pub end: End,
}

impl Report {
    /// Whether the endpoint accepted every event, and took no forgery.
    pub fn is_success(&self) -> bool {
        self.accepted == self.events && self.wrong.is_empty() && self.end == End::Settled
    }
}

/// How often a fault was played, and what came back.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct FaultTally {
    /// Requests with it.
    pub requests: usize,
    /// How many of these were answered so: `200`, `connection closed`.
    pub answers: BTreeMap<String, usize>,
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

/// The faults that were played so far, and what was wrong.
#[derive(Default)]
pub(super) struct Findings {
    pub faults: BTreeMap<Fault, FaultTally>,
    pub wrong: Vec<String>,
}

impl Findings {
    /// Takes note of a forged request.
    pub fn forged(&mut self, forgery: &Forgery) {
        let answer = match &forgery.sent.result {
            Ok(answer) => answer.status.to_string(),
            Err(failure) => failure.kind.as_str().replace('_', " "),
        };
        self.count(&[forgery.fault], &answer);
        if forgery.taken {
            let Forgery { fault, event_type, id, .. } = forgery;
            self.complain(format!(
                "{fault}: `{event_type}` {id} was answered with {answer}: a forgery was taken for \
                 genuine"
            ));
        }
    }

    /// Takes note of an attempt with these faults. `switches` says that an old secret signs alone.
    pub fn exchanged(&mut self, faults: &[Fault], outcome: &Outcome, id: &str, switches: bool) {
        let attempt = &outcome.attempt;
        let answer = match &attempt.outcome {
            AttemptOutcome::Accepted(answer) | AttemptOutcome::Rejected(answer) => {
                answer.status.to_string()
            }
            AttemptOutcome::Failed(_) if faults.contains(&Fault::Cut) => "cut".to_owned(),
            AttemptOutcome::Failed(failure) => failure.kind.as_str().replace('_', " "),
        };
        self.count(faults, &answer);
        if attempt.outcome.is_success() {
            return;
        }
        let is_given_up = matches!(outcome.state, Some(DeliveryState::Exhausted { .. }));
        for fault in faults {
            if fault.is_repeat() {
                self.complain(format!(
                    "{fault}: {id} was answered with {answer}, though it was accepted before: \
                     duplicates want the answer of the first"
                ));
            }
            let is_refused = switches && attempt.outcome.response().is_some();
            if *fault == Fault::OldSecret && is_refused && !faults.contains(&Fault::Cut) {
                self.complain(format!(
                    "{fault}: {id} was answered with {answer}: while a secret is replaced, both \
                     are valid"
                ));
            }
            if fault.is_content() && is_given_up {
                self.complain(format!(
                    "{fault}: {id} was given up, the last answer being {answer}"
                ));
            }
        }
    }

    fn count(&mut self, faults: &[Fault], answer: &str) {
        for fault in faults {
            let tally = self.faults.entry(*fault).or_default();
            tally.requests += 1;
            *tally.answers.entry(answer.to_owned()).or_default() += 1;
        }
    }

    fn complain(&mut self, wrong: String) {
        if self.wrong.len() < WRONG_MAX {
            self.wrong.push(wrong);
        }
    }
}
