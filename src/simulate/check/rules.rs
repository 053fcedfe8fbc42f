//! What each check rests on: a provider's page, Standard Webhooks, or advice of our own; and which
//! checks a provider's file leaves nothing to check for.

use super::list::Check;
use super::report::Pointer;
use crate::model::{RawJson, human_duration};
use crate::provider::{Provider, Subject};
use std::time::Duration;

/// The provider whose page is consulted where another's is silent.
pub(in crate::simulate) const STANDARD: &str = "standard-webhooks";

/// A check that would be made.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct PlannedCheck {
    /// Its name.
    pub name: &'static str,
    /// What it checks, in a few words.
    pub title: &'static str,
    /// Whether it is demanded of consumers; else it is advice.
    pub must: bool,
    /// Where that is written.
    pub why: Pointer,
    /// Why there is nothing to check, where that is known beforehand.
    pub moot: Option<String>,
}

/// What was given that decides what can be checked.
pub(super) struct Options<'a> {
    pub has_probe: bool,
    pub has_old_secret: bool,
    pub overrides: &'a [(String, RawJson)],
}

/// What is known of `check` before anything is sent.
pub(super) fn planned(
    check: Check,
    provider: &Provider,
    standard: &Provider,
    options: &Options<'_>,
) -> PlannedCheck {
    let (name, title, subject) = check.entry();
    let (why, must) = ground(check, subject, provider, standard);
    PlannedCheck { name, title, must, why, moot: moot(check, provider, options) }
}

/// Where it is written what `check` checks, and whether it is demanded there.
fn ground(
    check: Check,
    subject: Subject,
    provider: &Provider,
    standard: &Provider,
) -> (Pointer, bool) {
    match check {
        // No page speaks of these two.
        Check::AcceptsNumberForms => {
            let words = "the same number in another form of JSON is still the same number";
            return (ours(words), false);
        }
        Check::AcceptsCharsetParameter => {
            return (rfc(9110, "8.3. Content-Type", "section-8.3"), false);
        }
        Check::RefusesWrongEncoding if provider.signature_is_ours() => {
            let words = "the page does not say how the signature is written; this is our choice";
            return (ours(words), false);
        }
        _ => {}
    }
    ground_of(subject, provider, standard)
}

/// Whether `provider` demands what `subject` is about, and does not only advise it; `standard` is
/// consulted where its page is silent.
pub(in crate::simulate) fn is_demanded(
    subject: Subject,
    provider: &Provider,
    standard: &Provider,
) -> bool {
    ground_of(subject, provider, standard).1
}

fn ground_of(subject: Subject, provider: &Provider, standard: &Provider) -> (Pointer, bool) {
    if let Some(rule) = provider.consumers().rule(subject) {
        return (pointer(provider, rule), rule.must);
    }
    let demanded = match subject {
        Subject::Signature | Subject::Success | Subject::Time => true,
        Subject::Batch | Subject::Challenge | Subject::Own => true,
        Subject::Stale | Subject::Refusal | Subject::Retries => false,
        // What is signed is the body as it stands, but whether that is the page's word or ours.
        Subject::RawBody if !provider.signature_is_ours() => true,
        Subject::RawBody
        | Subject::Rotation
        | Subject::Duplicates
        | Subject::Order
        | Subject::Unknown
        | Subject::Errors => {
            return match standard.consumers().rule(subject) {
                Some(rule) => (pointer(standard, rule), false),
                None => (of_subject(subject), false),
            };
        }
    };
    let whole_page = Pointer {
        document: provider.title().to_owned(),
        section: String::new(),
        url: provider.source().to_owned(),
        words: None,
    };
    (whole_page, demanded)
}

fn pointer(provider: &Provider, rule: &crate::provider::Rule) -> Pointer {
    Pointer {
        document: provider.title().to_owned(),
        section: rule.section.clone(),
        url: rule.url.clone().unwrap_or_else(|| provider.source().to_owned()),
        words: rule.words.clone(),
    }
}

fn rfc(number: u32, section: &str, anchor: &str) -> Pointer {
    Pointer {
        document: format!("RFC {number}"),
        section: section.to_owned(),
        url: format!("https://www.rfc-editor.org/rfc/rfc{number}#{anchor}"),
        words: None,
    }
}

fn of_subject(subject: Subject) -> Pointer {
    ours(match subject {
        Subject::Order => "a retry arrives later than the events that happened after it",
        _ => "what is refused comes again, and is given up in the end",
    })
}

fn ours(words: &str) -> Pointer {
    Pointer {
        document: "hookwheel's advice".to_owned(),
        section: String::new(),
        url: String::new(),
        words: Some(words.to_owned()),
    }
}

/// Why there is nothing to check, where that is known beforehand.
fn moot(check: Check, provider: &Provider, options: &Options<'_>) -> Option<String> {
    let title = provider.title();
    let consumers = provider.consumers();
    let unless = |given: bool, reason: String| (!given).then_some(reason);
    let signs = || unless(provider.schemes().next().is_some(), format!("{title} does not sign"));
    let probe = || {
        let how = "nothing tells of effects: give `--effects-url` or `--effects-command`";
        unless(options.has_probe, how.to_owned())
    };
    let silent = |what: &str| format!("{title} does not ask for it: {what}");
    match check {
        Check::RefusesTampered
        | Check::RefusesUnsigned
        | Check::RefusesWrongSecret
        | Check::RefusesWrongEncoding
        | Check::RefusesPartialSignature => signs(),
        Check::RefusesStale => unless(
            consumers.stale_after.is_some(),
            silent("its file has no `consumer.stale_after`"),
        ),
        Check::RefusesFuture => unless(
            consumers.future_after.is_some(),
            silent("its file has no `consumer.future_after`"),
        ),
        Check::RefusesWithDocumentedStatus => {
            unless(consumers.names_refusal(), silent("it names no status"))
        }
        Check::AcceptsBothSecrets => unless(
            provider.rotation_overlaps() || options.has_old_secret,
            format!(
                "{title} switches from one secret to the next: give the old one too, before the \
                 new, if both are to be accepted for a while"
            ),
        ),
        Check::AcceptsOutOfOrder => unless(
            !consumers.sequence.is_empty(),
            "its file has no `consumer.sequence` of events that belong together".to_owned(),
        ),
        Check::AcceptsBatch => {
            unless(provider.batch_max().is_some(), format!("{title} sends one event at a time"))
        }
        Check::AcceptsLateRetry => unless(
            provider.carries_event_time() && !latest_retry(provider).is_zero(),
            format!("{title} does not say in its bodies when an event happened, or never retries"),
        ),
        Check::AnswersChallenge | Check::AnswersChallengeWithQuery => {
            unless(provider.challenge().is_some(), format!("{title} does not challenge"))
        }
        Check::HandlesOwn | Check::IgnoresForeign => match &consumers.own {
            None => Some(silent("it sends a consumer's own events only")),
            Some(path) => unless(
                options.overrides.iter().any(|(set, _)| is_same_path(set, path)),
                format!("the consumer's own `{path}` is not known: give `--set {path}=…`"),
            ),
        },
        Check::DuplicatesWithoutEffect => unless(
            consumers.duplicates.is_some(),
            "nothing in the webhook tells a duplicate from a new event".to_owned(),
        )
        .or_else(probe),
        Check::ForgeriesWithoutEffect => signs().or_else(probe),
        _ => None,
    }
}

/// How long after an event a retry may bring it: as late as the last one, and a day at most.
pub(super) fn latest_retry(provider: &Provider) -> Duration {
    provider.schedule().delays().iter().sum::<Duration>().min(Duration::from_secs(24 * 60 * 60))
}

/// Whether `given`, a dotted path or a JSON pointer, is the dotted `path`.
fn is_same_path(given: &str, path: &str) -> bool {
    match given.strip_prefix('/') {
        Some(pointer) => pointer.replace('/', ".") == path,
        None => given == path,
    }
}

/// What is expected of a consumer by `check`.
pub(super) fn expected(check: Check, provider: &Provider) -> String {
    let success = provider.success_words();
    let consumers = provider.consumers();
    let within = |limit: Option<Duration>| human_duration(limit.unwrap_or_default());
    match check {
        Check::AcceptsValid => format!("a genuine event is answered with {success}"),
        Check::AcceptsWhitespace
        | Check::AcceptsKeyOrder
        | Check::AcceptsUnicodeEscapes
        | Check::AcceptsNumberForms
        | Check::AcceptsTrailingNewline => {
            format!("the same JSON in other bytes, signed over these, is answered with {success}")
        }
        Check::AcceptsCharsetParameter => {
            format!("`Content-Type: …; charset=utf-8` changes nothing: {success}")
        }
        Check::AnswersChallenge => "a GET with a challenge gets its proof back".to_owned(),
        Check::AnswersChallengeWithQuery => {
            "the proof comes back also where the endpoint's URL has a query of its own".to_owned()
        }
        Check::RefusesTampered
        | Check::RefusesUnsigned
        | Check::RefusesWrongSecret
        | Check::RefusesWrongEncoding
        | Check::RefusesPartialSignature => {
            "what the provider did not sign is not answered with 2xx".to_owned()
        }
        Check::RefusesStale => format!(
            "a webhook older than {} is not answered with 2xx",
            within(consumers.stale_after)
        ),
        Check::RefusesFuture => format!(
            "a webhook more than {} ahead is not answered with 2xx",
            within(consumers.future_after)
        ),
        Check::RefusesWithDocumentedStatus => {
            format!("what is not genuine is answered with {}", consumers.refusal_words())
        }
        Check::AcceptsBothSecrets => {
            format!("while a secret is replaced, either of them is enough for {success}")
        }
        Check::AcceptsUnknownEvent => {
            format!("an event type that is not known yet is answered with {success}")
        }
        Check::AcceptsUnknownFields => {
            format!("members that are not known yet change nothing: {success}")
        }
        Check::AcceptsOutOfOrder => {
            format!("a later event that arrives before an earlier one is answered with {success}")
        }
        Check::AcceptsBatch => format!("several events in one webhook are answered with {success}"),
        Check::AcceptsLateRetry => format!(
            "an event that happened {} ago and is sent and signed now, as the last retry is, is \
             answered with {success}",
            human_duration(latest_retry(provider))
        ),
        Check::ReportsOwnErrors => {
            "an event that cannot be processed is not answered with 2xx: that would swallow the \
             error and end the retries, unless it was queued and is reported from there"
                .to_owned()
        }
        Check::AcceptsDuplicates => {
            format!("an event that comes again is answered with {success}, or it would come again")
        }
        Check::HandlesOwn => format!("its own event is answered with {success}, and handled"),
        Check::IgnoresForeign => {
            format!("another's event is answered with {success}, and has no effect")
        }
        Check::DuplicatesWithoutEffect => "an event that comes again has no second effect".into(),
        Check::ForgeriesWithoutEffect => "what the provider did not sign has no effect".into(),
        Check::AnswersInTime => {
            format!("the answer is complete within {}", human_duration(provider.timeout()))
        }
        Check::AnswersBurstInTime => format!(
            "{} events at once are all answered with {success} within {}",
            super::timing::BURST,
            human_duration(provider.timeout())
        ),
    }
}
