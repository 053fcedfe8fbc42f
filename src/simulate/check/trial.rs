//! One check as it goes: what was sent for it, and how that was answered.

use super::report::{CheckExchange, status_words};
use crate::model::Response;
use crate::provider::Provider;
use crate::simulate::Sent;

/// Different findings that are told of one check at most.
const FINDINGS_MAX: usize = 4;

/// What a check has found so far.
#[derive(Default)]
pub(super) struct Trial {
    pub exchanges: Vec<CheckExchange>,
    /// Why there is nothing to judge after all.
    pub moot: Option<String>,
    /// What was as it should be.
    good: Vec<String>,
    /// What was not.
    faults: Vec<String>,
    /// What was not, and is no more than a flaw, whatever the provider demands.
    flaws: Vec<String>,
}

/// How a trial ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Outcome {
    Moot,
    Good,
    Flawed,
    Faulty,
}

impl Trial {
    /// A trial that has nothing to judge, because of `reason`.
    pub(super) fn moot(reason: impl Into<String>) -> Self {
        Self { moot: Some(reason.into()), ..Self::default() }
    }

    /// Notes something that was as it should be.
    pub(super) fn good(&mut self, finding: impl Into<String>) {
        self.good.push(finding.into());
    }

    /// Notes something that was not.
    pub(super) fn fault(&mut self, finding: impl Into<String>) {
        self.faults.push(finding.into());
    }

    /// Notes something that was not, and is no more than a flaw.
    pub(super) fn flaw(&mut self, finding: impl Into<String>) {
        self.flaws.push(finding.into());
    }

    /// Whether something was not as it should be.
    pub(super) fn is_faulty(&self) -> bool {
        !self.faults.is_empty()
    }

    /// Keeps what was sent without judging it.
    pub(super) fn keep(&mut self, what: &str, sent: Sent) {
        self.exchanges.push(CheckExchange { what: what.to_owned(), sent });
    }

    /// Judges the answer to something that should be accepted.
    pub(super) fn accepted(&mut self, provider: &Provider, what: &str, sent: Sent) -> bool {
        let accepted = is_success(provider, &sent);
        let told = told(&sent);
        if accepted {
            self.good(told);
        } else {
            self.fault(format!("{what}: {told}"));
        }
        self.keep(what, sent);
        accepted
    }

    /// Judges the answer to something that should be refused; without an answer, nothing was
    /// accepted either.
    pub(super) fn refused(&mut self, what: &str, sent: Sent) -> bool {
        let accepted = is_accepted(&sent);
        let told = told(&sent);
        match (&sent.result, accepted) {
            (_, true) => self.fault(format!("{what}: accepted with {told}")),
            (Err(_), _) => self.flaw(format!("{what}: {told}: a refusal would be an answer")),
            (Ok(answer), _) if answer.status >= 500 => {
                self.good(format!("{told}; a refusal would be a 4xx"));
            }
            _ => self.good(told),
        }
        self.keep(what, sent);
        !accepted
    }

    /// How it ended, and the finding in words.
    pub(super) fn end(&self) -> (Outcome, String) {
        if let Some(reason) = &self.moot {
            return (Outcome::Moot, reason.clone());
        }
        let (outcome, findings) = if !self.faults.is_empty() {
            (Outcome::Faulty, &self.faults)
        } else if !self.flaws.is_empty() {
            (Outcome::Flawed, &self.flaws)
        } else {
            (Outcome::Good, &self.good)
        };
        let mut told: Vec<&str> = Vec::new();
        for finding in findings {
            if !told.contains(&finding.as_str()) && told.len() < FINDINGS_MAX {
                told.push(finding);
            }
        }
        (outcome, told.join("; "))
    }
}

/// Whether the answer is what the provider calls a success.
pub(super) fn is_success(provider: &Provider, sent: &Sent) -> bool {
    matches!(&sent.result, Ok(answer) if provider.is_success(answer.status))
}

/// Whether the sender would take a webhook for arrived: with a status that is no success of this
/// provider, a 2xx still says that it was taken.
pub(super) fn is_accepted(sent: &Sent) -> bool {
    matches!(&sent.result, Ok(Response { status: 200..=299, .. }))
}

/// What came back, in a few words that are the same whenever it comes back: without the time.
pub(super) fn told(sent: &Sent) -> String {
    match &sent.result {
        Ok(response) => status_words(response.status),
        Err(failure) => format!("no answer: {failure}"),
    }
}
