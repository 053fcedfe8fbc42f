//! What the checks of a consumer found.

use crate::model::Timestamp;
use crate::simulate::Sent;
use std::fmt;

/// What came of a check, from the harmless to the bad.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
#[non_exhaustive]
pub enum Verdict {
    /// The provider does not ask for it, or it cannot be told from outside.
    NotApplicable,
    /// The consumer does what is asked.
    Pass,
    /// It does not do what is advised.
    Warn,
    /// It does not do what is demanded.
    Fail,
}

impl Verdict {
    /// Every verdict, from the bad to the harmless.
    pub const ALL: [Self; 4] = [Self::Fail, Self::Warn, Self::Pass, Self::NotApplicable];

    /// The word for it, for programs.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::NotApplicable => "not-applicable",
            Self::Pass => "pass",
            Self::Warn => "warn",
            Self::Fail => "fail",
        }
    }

    /// The word for it, for people.
    pub fn words(self) -> &'static str {
        match self {
            Self::NotApplicable => "not applicable",
            Self::Pass => "pass",
            Self::Warn => "warning",
            Self::Fail => "fail",
        }
    }

    /// The word behind a number of them.
    pub(super) fn counted(self, count: usize) -> &'static str {
        match self {
            Self::Warn if count != 1 => "warnings",
            verdict => verdict.words(),
        }
    }
}

/// Where it is written that consumers should do something.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct Pointer {
    /// The document, like `TicketNation`.
    pub document: String,
    /// The heading in it; empty for the whole document.
    pub section: String,
    /// Its address; empty for advice of ours.
    pub url: String,
    /// What stands there, in its words, or the reason for advice of ours.
    pub words: Option<String>,
}

impl fmt::Display for Pointer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.document)?;
        if !self.section.is_empty() {
            write!(f, ", “{}”", self.section)?;
        }
        if !self.url.is_empty() {
            write!(f, " <{}>", self.url)?;
        }
        Ok(())
    }
}

/// One request of a check.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct CheckExchange {
    /// What is special about it, like `a body that was changed after it was signed`.
    pub what: String,
    /// What was sent and what came back. Where the consumer's answer repeats a secret, stars are in
    /// its place.
    pub sent: Sent,
}

/// What one check found.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct CheckResult {
    /// The check's name, like `refuses-tampered`.
    pub name: &'static str,
    /// What it checks, in a few words.
    pub title: &'static str,
    /// What came of it.
    pub verdict: Verdict,
    /// Whether it is demanded of consumers; else it is advice.
    pub must: bool,
    /// What a consumer should do.
    pub expected: String,
    /// Where that is written.
    pub why: Pointer,
    /// The requests that were made for it.
    pub exchanges: Vec<CheckExchange>,
    /// What the consumer did, or why it could not be told.
    pub finding: String,
}

/// The results of all checks of a consumer.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ConformanceReport {
    /// The provider's name.
    pub provider: String,
    /// The provider's name for people.
    pub title: String,
    /// The endpoint.
    pub url: String,
    /// When the checks began.
    pub at: Timestamp,
    /// The results, in the order of the checks.
    pub results: Vec<CheckResult>,
    pub(super) reached: bool,
}

impl ConformanceReport {
    /// Whether the endpoint was reached and no check failed. Warnings are no failures.
    pub fn is_success(&self) -> bool {
        self.reached && self.count(Verdict::Fail) == 0
    }

    /// How many checks ended like that.
    pub fn count(&self, verdict: Verdict) -> usize {
        self.results.iter().filter(|result| result.verdict == verdict).count()
    }

    /// The result of the check of that name, if it was run.
    pub fn result(&self, name: &str) -> Option<&CheckResult> {
        self.results.iter().find(|result| result.name == name)
    }

    /// Whether there was a connection to the endpoint.
    pub fn is_reached(&self) -> bool {
        self.reached
    }

    /// The counts in words: `1 fail, 0 warnings, 20 pass, 8 not applicable`.
    pub fn summary(&self) -> String {
        let counts = Verdict::ALL.map(|verdict| {
            let count = self.count(verdict);
            format!("{count} {}", verdict.counted(count))
        });
        counts.join(", ")
    }
}

/// The counts, and the checks that did not pass: for the message of an `assert!`.
impl fmt::Display for ConformanceReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} as a consumer of {}: {}", self.url, self.title, self.summary())?;
        for result in self.results.iter().filter(|result| result.verdict >= Verdict::Warn) {
            write!(f, "\n{} {}: {}", result.verdict.words(), result.name, result.finding)?;
            write!(f, "\n  expected: {}\n  why: {}", result.expected, result.why)?;
        }
        Ok(())
    }
}

/// A status with its phrase: `401 Unauthorized`.
pub(super) fn status_words(status: u16) -> String {
    let phrase = http::StatusCode::from_u16(status).ok().and_then(|held| held.canonical_reason());
    match phrase {
        Some(phrase) => format!("{status} {phrase}"),
        None => status.to_string(),
    }
}
