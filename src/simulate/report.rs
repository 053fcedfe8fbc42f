//! What came of a simulation.

use super::faults::{Fault, Forgery, ForgeryVerdict};
use crate::engine::Outcome;
use crate::model::{AttemptOutcome, DeliveryState};
use std::collections::{BTreeMap, BTreeSet};
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
    /// How many of these were refused for what the provider only advises to bear, such as types
    /// that are not known; they do not fail the run.
    pub excused: usize,
    /// Requests that were made for these events.
    pub attempts: usize,
    /// How long it took by the schedule's time.
    pub lasted: Duration,
    /// What went wrong on purpose, and what came back.
    pub faults: BTreeMap<Fault, FaultTally>,
    /// The faults that were asked for and did not come to pass.
    pub not_played: Vec<NotPlayed>,
    /// What the endpoint did wrong besides not accepting events: forgeries that it took, and what
    /// it refused though it should not have; at most 100 of them.
    pub wrong: Vec<String>,
    /// What is against the provider's advice and not against its demands, and forgeries on which the
    /// answer says nothing; at most 100 of them. They do not fail the run.
    pub warnings: Vec<String>,
    /// How it ended.
    pub end: End,
}

impl Report {
    /// Whether the endpoint accepted every event and took no forgery, and every fault that was
    /// asked for by its name was played.
    pub fn is_success(&self) -> bool {
        // Who accepts nothing at all has not refused it for what is only advised.
        let excused = if self.accepted > 0 { self.excused } else { 0 };
        self.accepted + excused == self.events
            && self.wrong.is_empty()
            && !self.not_played.iter().any(|missed| missed.is_named)
            && self.end == End::Settled
    }
}

/// A fault that was asked for and did not come to pass.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct NotPlayed {
    /// Which one.
    pub fault: Fault,
    /// Why.
    pub reason: String,
    /// Whether it was asked for by its own name, and not only with all.
    pub is_named: bool,
}

/// How often a fault was played, and what came back.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct FaultTally {
    /// Requests with it.
    pub requests: usize,
    /// How many of these were answered so: `200`, `connection closed`.
    pub answers: BTreeMap<String, usize>,
    /// For forgeries, what the answers say.
    pub forgeries: Option<ForgeryTally>,
}

/// What the answers to forgeries say.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct ForgeryTally {
    /// How many were refused.
    pub refused: usize,
    /// How many were taken for genuine.
    pub taken: usize,
    /// Of how many nobody can tell.
    pub not_judged: usize,
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
pub(super) struct Findings {
    /// What the provider only advises its consumers to bear.
    advised: BTreeSet<Fault>,
    /// Whether an old secret signs alone, so that who knows only the new one refuses it.
    switches: bool,
    pub faults: BTreeMap<Fault, FaultTally>,
    pub wrong: Vec<String>,
    pub warnings: Vec<String>,
    pub excused: usize,
}

impl Findings {
    /// Nothing yet, of a provider that only advises to bear these faults.
    pub fn new(advised: BTreeSet<Fault>, switches: bool) -> Self {
        Self {
            advised,
            switches,
            faults: BTreeMap::new(),
            wrong: Vec::new(),
            warnings: Vec::new(),
            excused: 0,
        }
    }

    /// Takes note of a forged request.
    pub fn forged(&mut self, forgery: &Forgery) {
        let answer = match &forgery.sent.result {
            Ok(answer) => answer.status.to_string(),
            Err(failure) => failure.kind.as_str().replace('_', " "),
        };
        let Forgery { fault, event_type, id, verdict, .. } = forgery;
        self.count(&[*fault], &answer);
        let judged = &mut self.faults.entry(*fault).or_default().forgeries;
        let judged = judged.get_or_insert_default();
        match verdict {
            ForgeryVerdict::Refused => judged.refused += 1,
            ForgeryVerdict::Taken => {
                judged.taken += 1;
                self.complain(
                    *fault,
                    format!(
                        "{fault}: `{event_type}` {id} was answered with {answer}: a forgery was \
                         taken for genuine"
                    ),
                );
            }
            ForgeryVerdict::NotJudged => {
                judged.not_judged += 1;
                warn(
                    &mut self.warnings,
                    format!(
                        "{fault}: `{event_type}` {id} was not judged ({answer}): a refusal would \
                         be a 4xx"
                    ),
                );
            }
        }
    }

    /// Takes note of an attempt with these faults. `was_cut` says that its upload was.
    pub fn exchanged(&mut self, faults: &[Fault], outcome: &Outcome, id: &str, was_cut: bool) {
        let attempt = &outcome.attempt;
        let answer = match &attempt.outcome {
            AttemptOutcome::Accepted(answer) | AttemptOutcome::Rejected(answer) => {
                answer.status.to_string()
            }
            AttemptOutcome::Failed(_) if was_cut => "cut".to_owned(),
            AttemptOutcome::Failed(failure) => failure.kind.as_str().replace('_', " "),
        };
        self.count(faults, &answer);
        if attempt.outcome.is_success() {
            return;
        }
        let is_given_up = matches!(outcome.state, Some(DeliveryState::Exhausted { .. }));
        for fault in faults {
            if fault.is_repeat() {
                let words = format!(
                    "{fault}: {id} was answered with {answer}, though it was accepted before: \
                     duplicates want the answer of the first"
                );
                self.complain(*fault, words);
            }
            let status = attempt.outcome.response().map(|response| response.status);
            let is_refused = status.is_some_and(|status| (400..500).contains(&status));
            if *fault == Fault::OldSecret && self.switches && is_refused {
                let words = format!(
                    "{fault}: {id} was answered with {answer}: while a secret is replaced, both \
                     are valid"
                );
                self.complain(*fault, words);
            }
            if fault.is_content() && is_given_up {
                let words = format!("{fault}: {id} was given up, the last answer being {answer}");
                self.complain(*fault, words);
            }
        }
        let is_advised = |fault: &Fault| fault.is_content() && self.advised.contains(fault);
        if is_given_up && attempt.outcome.response().is_some() && faults.iter().any(is_advised) {
            self.excused += outcome.deliveries.len();
        }
    }

    fn count(&mut self, faults: &[Fault], answer: &str) {
        for fault in faults {
            let tally = self.faults.entry(*fault).or_default();
            tally.requests += 1;
            *tally.answers.entry(answer.to_owned()).or_default() += 1;
        }
    }

    /// What the provider demands is wrong, what it advises is a warning: as `check` has it.
    fn complain(&mut self, fault: Fault, words: String) {
        let is_advised = self.advised.contains(&fault);
        warn(if is_advised { &mut self.warnings } else { &mut self.wrong }, words);
    }
}

fn warn(to: &mut Vec<String>, words: String) {
    if to.len() < WRONG_MAX {
        to.push(words);
    }
}
