//! What a provider asks of those who receive its webhooks.

use crate::model::EventType;
use crate::provider::value::StatusRange;
use serde::Deserialize;
use std::fmt;
use std::time::Duration;

/// What a rule for consumers is about.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Subject {
    /// To accept nothing but what the provider signed.
    Signature,
    /// To verify over the body's bytes as they came.
    RawBody,
    /// What answer says that a webhook arrived.
    Success,
    /// How fast to answer.
    Time,
    /// To refuse what was signed long ago, or lies in the future.
    Stale,
    /// With which status to refuse what is not genuine.
    Refusal,
    /// To take either secret while one is replaced.
    Rotation,
    /// To do nothing twice.
    Duplicates,
    /// To bear events that do not arrive in their order.
    Order,
    /// To bear events and members that are new.
    Unknown,
    /// To take several events in one webhook.
    Batch,
    /// To answer challenges.
    Challenge,
    /// To handle one's own events and leave the others alone.
    Own,
    /// To take an event that happened long before it comes, as a late retry brings it.
    Retries,
    /// To say so when an event could not be processed.
    Errors,
}

/// What a provider's page says to its consumers.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Rule {
    /// What it is about.
    pub about: Vec<Subject>,
    /// The heading under which it stands.
    pub section: String,
    /// The page, where it is another than the provider's usual one.
    pub url: Option<String>,
    /// The page's own words.
    pub words: Option<String>,
    /// Whether the page demands it; else it advises it.
    pub must: bool,
}

/// All that a provider's file says of consumers.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Consumers {
    /// How old a webhook may be.
    pub stale_after: Option<Duration>,
    /// How far ahead of the consumer's time a webhook may be.
    pub future_after: Option<Duration>,
    /// The header, or the member of the body or of an event in it, that stays the same when an
    /// event comes again.
    pub duplicates: Option<String>,
    /// The member of an event's data, as a dotted path, that tells a consumer's own events.
    pub own: Option<String>,
    /// The members of an event's data, as dotted paths, that name what it is about. Events of
    /// different orders or payments differ in them.
    pub things: Vec<String>,
    /// Event types that follow one another for one thing, each with the member of its data, as a
    /// dotted path, that names the thing.
    pub sequence: Vec<(EventType, String)>,
    /// The rules.
    pub rules: Vec<Rule>,
    pub(super) refusal: Vec<StatusRange>,
}

impl Consumers {
    /// The rule on `subject`.
    pub fn rule(&self, subject: Subject) -> Option<&Rule> {
        self.rules.iter().find(|rule| rule.about.contains(&subject))
    }

    /// Whether the page names a status for what is not genuine.
    pub fn names_refusal(&self) -> bool {
        !self.refusal.is_empty()
    }

    /// Whether `status` is the one that the page names for what is not genuine.
    pub fn is_refusal(&self, status: u16) -> bool {
        self.refusal.iter().any(|range| range.contains(status))
    }

    /// That status, or those, in words.
    pub fn refusal_words(&self) -> String {
        let words: Vec<String> = self.refusal.iter().map(ToString::to_string).collect();
        words.join(" or ")
    }
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Signature => "signature",
            Self::RawBody => "raw body",
            Self::Success => "success",
            Self::Time => "time",
            Self::Stale => "stale webhooks",
            Self::Refusal => "status of a refusal",
            Self::Rotation => "rotation",
            Self::Duplicates => "duplicates",
            Self::Order => "order",
            Self::Unknown => "what is unknown",
            Self::Batch => "several events at once",
            Self::Challenge => "challenge",
            Self::Own => "own events",
            Self::Retries => "late retries",
            Self::Errors => "own errors",
        })
    }
}
