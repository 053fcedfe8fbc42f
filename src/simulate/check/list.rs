//! The checks: their names, their order, and what each is about.

use crate::error::{Error, Result};
use crate::provider::Subject;

/// A check.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Check {
    AcceptsValid,
    AcceptsWhitespace,
    AcceptsKeyOrder,
    AcceptsUnicodeEscapes,
    AcceptsNumberForms,
    AcceptsTrailingNewline,
    AcceptsCharsetParameter,
    AnswersChallenge,
    AnswersChallengeWithQuery,
    RefusesTampered,
    RefusesUnsigned,
    RefusesWrongSecret,
    RefusesWrongEncoding,
    RefusesPartialSignature,
    RefusesStale,
    RefusesFuture,
    RefusesWithDocumentedStatus,
    AcceptsBothSecrets,
    AcceptsUnknownEvent,
    AcceptsUnknownFields,
    AcceptsOutOfOrder,
    AcceptsBatch,
    AcceptsLateRetry,
    ReportsOwnErrors,
    AcceptsDuplicates,
    HandlesOwn,
    IgnoresForeign,
    DuplicatesWithoutEffect,
    ForgeriesWithoutEffect,
    AnswersInTime,
    AnswersBurstInTime,
}

/// The checks in the order in which they are made, cheap ones first, with what each is about.
const CHECKS: [(Check, &str, &str, Subject); 31] = {
    use Check::*;
    use Subject::*;
    [
        (AcceptsValid, "accepts-valid", "accepts a genuine event", Success),
        (AcceptsWhitespace, "accepts-whitespace", "verifies over raw bytes: whitespace", RawBody),
        (
            AcceptsKeyOrder,
            "accepts-key-order",
            "verifies over raw bytes: order of members",
            RawBody,
        ),
        (
            AcceptsUnicodeEscapes,
            "accepts-unicode-escapes",
            "verifies over raw bytes: escaped letters",
            RawBody,
        ),
        (
            AcceptsNumberForms,
            "accepts-number-forms",
            "verifies over raw bytes: other forms of numbers",
            Unknown,
        ),
        (
            AcceptsTrailingNewline,
            "accepts-trailing-newline",
            "verifies over raw bytes: a newline at the end",
            RawBody,
        ),
        (
            AcceptsCharsetParameter,
            "accepts-charset-parameter",
            "accepts a charset in Content-Type",
            Unknown,
        ),
        (AnswersChallenge, "answers-challenge", "answers the challenge", Challenge),
        (
            AnswersChallengeWithQuery,
            "answers-challenge-with-query",
            "answers the challenge of a URL with a query",
            Challenge,
        ),
        (RefusesTampered, "refuses-tampered", "refuses a changed body", Signature),
        (RefusesUnsigned, "refuses-unsigned", "refuses a webhook without signature", Signature),
        (RefusesWrongSecret, "refuses-wrong-secret", "refuses another secret", Signature),
        (
            RefusesWrongEncoding,
            "refuses-wrong-encoding",
            "refuses a signature in another encoding",
            Signature,
        ),
        (
            RefusesPartialSignature,
            "refuses-partial-signature",
            "refuses a part of the signature",
            Signature,
        ),
        (RefusesStale, "refuses-stale", "refuses an old webhook", Stale),
        (RefusesFuture, "refuses-future", "refuses a webhook from the future", Stale),
        (
            RefusesWithDocumentedStatus,
            "refuses-with-documented-status",
            "refuses with the documented status",
            Refusal,
        ),
        (AcceptsBothSecrets, "accepts-both-secrets", "accepts both secrets in rotation", Rotation),
        (AcceptsUnknownEvent, "accepts-unknown-event", "accepts an unknown event type", Unknown),
        (AcceptsUnknownFields, "accepts-unknown-fields", "accepts members that are new", Unknown),
        (AcceptsOutOfOrder, "accepts-out-of-order", "accepts events out of their order", Order),
        (AcceptsBatch, "accepts-batch", "accepts several events in one webhook", Batch),
        (AcceptsLateRetry, "accepts-late-retry", "accepts an event of a day ago", Retries),
        (
            ReportsOwnErrors,
            "reports-own-errors",
            "does not answer success to its own error",
            Errors,
        ),
        (AcceptsDuplicates, "accepts-duplicates", "accepts a duplicate quietly", Duplicates),
        (HandlesOwn, "handles-own", "handles its own events", Own),
        (IgnoresForeign, "ignores-foreign", "ignores the events of others", Own),
        (
            DuplicatesWithoutEffect,
            "duplicates-without-effect",
            "does nothing twice for a duplicate",
            Duplicates,
        ),
        (
            ForgeriesWithoutEffect,
            "forgeries-without-effect",
            "does nothing for a forgery",
            Signature,
        ),
        (AnswersInTime, "answers-in-time", "answers in the provider's time", Time),
        (AnswersBurstInTime, "answers-burst-in-time", "answers a burst in time", Time),
    ]
};

impl Check {
    /// Every check, in the order in which they are made.
    pub(super) fn all() -> impl Iterator<Item = Self> {
        CHECKS.iter().map(|(check, ..)| *check)
    }

    /// The check of this name.
    ///
    /// # Errors
    /// Refuses an unknown name, giving the known ones.
    pub(super) fn named(name: &str) -> Result<Self> {
        let found = CHECKS.iter().find(|(_, held, ..)| *held == name);
        found.map(|(check, ..)| *check).ok_or_else(|| {
            let known: Vec<&str> = CHECKS.iter().map(|(_, name, ..)| *name).collect();
            Error::invalid(format!(
                "check `{}` is unknown: known are {}",
                name.chars().take(64).collect::<String>().escape_debug(),
                known.join(", ")
            ))
        })
    }

    /// Whether it is about challenges, and sends no event.
    pub(super) fn is_of_challenge(self) -> bool {
        matches!(self, Self::AnswersChallenge | Self::AnswersChallengeWithQuery)
    }

    /// Its name, its title and what it is about.
    pub(super) fn entry(self) -> (&'static str, &'static str, Subject) {
        let found = CHECKS.iter().find(|(check, ..)| *check == self);
        // Every check stands in the table, which a test below sees to.
        found.map_or(("", "", Subject::Success), |(_, name, title, subject)| {
            (*name, *title, *subject)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_lead_to_checks_and_back() {
        for check in Check::all() {
            assert_eq!(Check::named(check.entry().0).unwrap(), check);
        }
        // The last in the enum: the table has as many rows as there are checks.
        assert_eq!(Check::AnswersBurstInTime as usize + 1, CHECKS.len());
        let error = Check::named("refuses-nothing").unwrap_err().to_string();
        assert!(error.starts_with("check `refuses-nothing` is unknown: known are accepts-valid,"));
    }
}
