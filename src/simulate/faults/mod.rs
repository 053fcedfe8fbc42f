//! What can go wrong between a provider and its customer, on purpose.

mod chosen;
mod content;
mod forgery;

pub(super) use chosen::Faults;
pub(super) use content::{altered, unheard_of};
pub(super) use forgery::{Forger, OldKeys};
pub use forgery::{Forgery, ForgeryVerdict};

use crate::error::{Error, Result};
use crate::provider::{Provider, Subject};
use std::fmt;
use std::str::FromStr;

/// The share of the events that a fault meets when none is given.
pub const SHARE_DEFAULT: f64 = 0.25;

/// Something that goes wrong.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Fault {
    /// An accepted webhook comes once more, at once.
    Duplicate,
    /// An event comes after the one that happened after it.
    Reorder,
    /// An accepted webhook comes once more, much later.
    LateReplay,
    /// Many more events of the type come at once.
    Burst,
    /// A forgery: a webhook whose time is long past.
    Stale,
    /// A forgery: a body that was changed after it was signed.
    Tampered,
    /// A forgery: signed with a secret of somebody else.
    WrongSecret,
    /// A forgery: not signed at all.
    Unsigned,
    /// Signed with the secret that is being replaced; with both, where the provider does that.
    OldSecret,
    /// The connection of the first attempt is cut in the middle of the body.
    Cut,
    /// The body of the first attempt comes slowly.
    Slow,
    /// An event of an unheard-of type comes as well.
    UnknownEvent,
    /// The data has members that no documentation has.
    ExtraFields,
    /// The data has letters of many scripts, and JSON that is nested deep.
    Unicode,
    /// The data is big.
    Big,
    /// Several events come in one webhook.
    Batch,
    /// Several events that happen at once come in a webhook each.
    Split,
}

impl Fault {
    /// All of them, in the order in which they are explained.
    pub const ALL: [Self; 17] = [
        Self::Duplicate,
        Self::LateReplay,
        Self::Reorder,
        Self::Burst,
        Self::Cut,
        Self::Slow,
        Self::OldSecret,
        Self::UnknownEvent,
        Self::ExtraFields,
        Self::Unicode,
        Self::Big,
        Self::Batch,
        Self::Split,
        Self::Stale,
        Self::Tampered,
        Self::WrongSecret,
        Self::Unsigned,
    ];

    /// Its name, like `late-replay`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Duplicate => "duplicate",
            Self::Reorder => "reorder",
            Self::LateReplay => "late-replay",
            Self::Burst => "burst",
            Self::Stale => "stale",
            Self::Tampered => "tampered",
            Self::WrongSecret => "wrong-secret",
            Self::Unsigned => "unsigned",
            Self::OldSecret => "old-secret",
            Self::Cut => "cut",
            Self::Slow => "slow",
            Self::UnknownEvent => "unknown-event",
            Self::ExtraFields => "extra-fields",
            Self::Unicode => "unicode",
            Self::Big => "big",
            Self::Batch => "batch",
            Self::Split => "split",
        }
    }

    /// What happens, in a line.
    pub fn words(self) -> &'static str {
        match self {
            Self::Duplicate => "an accepted webhook comes once more, at once",
            Self::LateReplay => {
                "an accepted webhook comes once more, 10 minutes to an hour later by the schedule"
            }
            Self::Reorder => "an event comes after the one that happened next",
            Self::Burst => "8 to 16 more events of the type come at once",
            Self::Cut => "the first attempt's connection is cut in mid-body; then the retries",
            Self::Slow => "the first attempt's body comes slowly",
            Self::OldSecret => {
                "signed with the secret that is being replaced; with both where the provider does"
            }
            Self::UnknownEvent => "an event of an unheard-of type comes as well",
            Self::ExtraFields => "the data has members that no documentation has",
            Self::Unicode => "the data has many scripts, and JSON that is nested deep",
            Self::Big => "the data has 64 to 256 KiB",
            Self::Batch => "2 to 5 more events, of other types, in the same webhook",
            Self::Split => "2 to 5 more events at the same time, in a webhook each",
            Self::Stale => "a forgery: a webhook that was signed a quarter of an hour ago or more",
            Self::Tampered => "a forgery: its body was changed after it was signed",
            Self::WrongSecret => "a forgery: signed with another secret",
            Self::Unsigned => "a forgery: without a signature",
        }
    }

    /// Whether it is an extra request that nobody but a forger would make.
    pub fn is_forgery(self) -> bool {
        matches!(self, Self::Stale | Self::Tampered | Self::WrongSecret | Self::Unsigned)
    }

    /// Whether it is the provider's sending something again that was accepted.
    pub fn is_repeat(self) -> bool {
        matches!(self, Self::Duplicate | Self::LateReplay)
    }

    /// Whether it is in what an event says, and so in every attempt.
    pub(super) fn is_content(self) -> bool {
        matches!(self, Self::UnknownEvent | Self::ExtraFields | Self::Unicode | Self::Big)
    }

    /// What a consumer has to do to bear it: the rules on that say whether it must.
    pub(super) fn subject(self) -> Subject {
        match self {
            Self::Duplicate | Self::LateReplay => Subject::Duplicates,
            Self::Reorder => Subject::Order,
            Self::Burst => Subject::Time,
            Self::Stale => Subject::Stale,
            Self::Tampered | Self::WrongSecret | Self::Unsigned => Subject::Signature,
            Self::OldSecret => Subject::Rotation,
            Self::UnknownEvent | Self::ExtraFields => Subject::Unknown,
            Self::Batch => Subject::Batch,
            Self::Cut | Self::Slow | Self::Unicode | Self::Big | Self::Split => Subject::Success,
        }
    }

    /// Why it cannot be played; `None` when it can.
    fn unfit(self, provider: &Provider, has_old_secret: bool, events: usize) -> Option<String> {
        let title = provider.title();
        match self {
            Self::Stale if !provider.carries_sending_time() => Some(format!(
                "{title}'s webhooks do not carry the time of sending: nobody can tell a stale one"
            )),
            Self::Batch | Self::Split if provider.batch_max().is_none() => {
                Some(format!("{title} sends every event in a webhook of its own"))
            }
            Self::OldSecret if !provider.rotation_overlaps() && !has_old_secret => Some(format!(
                "{title} signs with one secret at a time: give the old one too, before the new one"
            )),
            Self::Reorder if events < 2 => Some("it takes two events".to_owned()),
            _ => None,
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Which faults are meant.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum FaultChoice {
    /// All that the provider can have.
    All,
    /// This one.
    One(Fault),
}

impl FromStr for FaultChoice {
    type Err = Error;

    /// Reads a fault's name, or `all`.
    fn from_str(text: &str) -> Result<Self> {
        let named = Fault::ALL.into_iter().find(|fault| fault.name() == text);
        match (named, text) {
            (Some(fault), _) => Ok(Self::One(fault)),
            (None, "all") => Ok(Self::All),
            _ => {
                let known: Vec<&str> = Fault::ALL.into_iter().map(Fault::name).collect();
                Err(Error::invalid(format!(
                    "fault `{}` is unknown: known are all, {}",
                    text.chars().take(64).collect::<String>().escape_debug(),
                    known.join(", ")
                )))
            }
        }
    }
}
