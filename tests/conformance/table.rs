//! Which checks each consumer does not pass. This is the page to read.

use crate::provider::ALL;
use crate::provider::Provider::{
    self, CitizenTicket, GoCardless, OpenCard, StandardWebhooks, TicketNation, Yoco,
};
use crate::vice::Vice;

/// A vice, the providers whose consumers can have it, and the checks that those do not pass. All
/// other checks pass. One that is not applicable to a provider at all is not expected of it.
pub type Row = (Vice, &'static [Provider], &'static [&'static str]);

/// Every vice.
pub const TABLE: &[Row] = &[
    (Vice::None, ALL, &[]),
    (Vice::WorksLater, ALL, &[]),
    (Vice::FailsWhenUnsigned, ALL, &[]),
    (Vice::KeepsThings, ALL, &[]),
    (Vice::RefusesWith403, &[CitizenTicket, Yoco, OpenCard, StandardWebhooks], &[]),
    (
        Vice::ParsesBeforeVerifying,
        ALL,
        &[
            "accepts-whitespace",
            "accepts-unicode-escapes",
            "accepts-number-forms",
            "accepts-trailing-newline",
        ],
    ),
    (Vice::ComparesLoosely, ALL, &["refuses-partial-signature"]),
    (Vice::IgnoresWhatFollows, ALL, &["refuses-partial-signature"]),
    (
        Vice::ChecksOnlyTheForm,
        ALL,
        &[
            "refuses-tampered",
            "refuses-wrong-secret",
            "refuses-with-documented-status",
            "forgeries-without-effect",
        ],
    ),
    (
        Vice::NeverVerifies,
        ALL,
        &[
            "refuses-tampered",
            "refuses-unsigned",
            "refuses-wrong-secret",
            "refuses-wrong-encoding",
            "refuses-partial-signature",
            "refuses-with-documented-status",
            "forgeries-without-effect",
        ],
    ),
    (
        Vice::AnswersBeforeVerifying,
        ALL,
        &[
            "refuses-tampered",
            "refuses-unsigned",
            "refuses-wrong-secret",
            "refuses-wrong-encoding",
            "refuses-partial-signature",
            "refuses-stale",
            "refuses-future",
            "refuses-with-documented-status",
            "reports-own-errors",
        ],
    ),
    (Vice::FollowsUnsigned, ALL, &["refuses-unsigned", "forgeries-without-effect"]),
    (Vice::DecodesAnyEncoding, ALL, &["refuses-wrong-encoding"]),
    (Vice::KnowsOnlyTheNewestSignature, &[Yoco, StandardWebhooks], &["accepts-both-secrets"]),
    (Vice::ForgetsTheOldSecret, ALL, &["accepts-both-secrets"]),
    (
        Vice::IgnoresTimestamps,
        &[CitizenTicket, Yoco, StandardWebhooks],
        &["refuses-stale", "refuses-future"],
    ),
    (Vice::DoublesEffects, HAVE_IDS, &["duplicates-without-effect"]),
    (Vice::ForgetsWhileItWorks, HAVE_IDS, &["duplicates-without-effect"]),
    (Vice::KeepsIdsOfWebhooks, &[GoCardless], &["duplicates-without-effect"]),
    (Vice::KeepsIdsOfForgeries, HAVE_IDS, &["forgeries-without-effect"]),
    (Vice::RefusesDuplicates, HAVE_IDS, &["accepts-duplicates"]),
    (Vice::TooSlow, ALL, &["answers-in-time", "answers-burst-in-time"]),
    (Vice::OneAtATime, ALL, &["answers-burst-in-time"]),
    (Vice::SwallowsErrors, ALL, &["reports-own-errors"]),
    (Vice::WrongRefusalStatus, &[TicketNation, GoCardless], &["refuses-with-documented-status"]),
    (Vice::RefusesUnknownEvents, ALL, &["accepts-unknown-event"]),
    // OpenCard's bodies have no envelope of which a consumer could know all members.
    (Vice::RefusesUnknownFields, HAVE_IDS, &["accepts-unknown-fields"]),
    (
        Vice::RefusesOutOfOrder,
        &[TicketNation, Yoco, GoCardless, OpenCard],
        &["accepts-out-of-order"],
    ),
    (Vice::TakesTheFirstOfABatch, &[GoCardless], &["accepts-batch"]),
    (Vice::TakesTwoOfABatch, &[GoCardless], &["accepts-batch"]),
    (
        Vice::RefusesLateRetries,
        &[TicketNation, Yoco, GoCardless, StandardWebhooks],
        &["accepts-late-retry"],
    ),
    (Vice::DemandsExactContentType, ALL, &["accepts-charset-parameter"]),
    (Vice::HandlesForeign, &[Yoco], &["ignores-foreign"]),
    (Vice::RefusesForeign, &[Yoco], &["ignores-foreign"]),
    (Vice::IgnoresChallenge, &[OpenCard], &["answers-challenge", "answers-challenge-with-query"]),
    (Vice::BreaksOnQuery, &[OpenCard], &["answers-challenge-with-query"]),
    (Vice::AnswersInUpperCase, &[OpenCard], &["answers-challenge", "answers-challenge-with-query"]),
];

/// The providers whose webhooks have an id to tell duplicates by.
const HAVE_IDS: &[Provider] = &[CitizenTicket, TicketNation, Yoco, GoCardless, StandardWebhooks];

/// The checks that no more than warn, of these providers' consumers: their pages recommend it, or do
/// not speak of it. What is not listed fails.
const ADVICE: &[(&str, &[Provider])] = &[
    ("accepts-number-forms", ALL),
    // Its page does not say what is signed, nor in which encoding.
    ("accepts-whitespace", &[OpenCard]),
    ("accepts-key-order", &[OpenCard]),
    ("accepts-unicode-escapes", &[OpenCard]),
    ("accepts-trailing-newline", &[OpenCard]),
    ("refuses-wrong-encoding", &[OpenCard]),
    ("accepts-charset-parameter", ALL),
    ("accepts-unknown-event", ALL),
    ("accepts-unknown-fields", ALL),
    ("accepts-out-of-order", ALL),
    ("reports-own-errors", ALL),
    ("accepts-both-secrets", &[CitizenTicket, TicketNation, Yoco, GoCardless, OpenCard]),
    ("refuses-with-documented-status", &[TicketNation]),
    ("refuses-stale", &[CitizenTicket]),
    ("accepts-duplicates", &[CitizenTicket, Yoco, GoCardless]),
    ("duplicates-without-effect", &[CitizenTicket, Yoco, GoCardless]),
    ("answers-in-time", &[Yoco, OpenCard, StandardWebhooks]),
    ("answers-burst-in-time", &[Yoco, OpenCard, StandardWebhooks]),
];

/// Whether not passing `check` is no more than a warning.
pub fn warns(check: &str, provider: Provider, vice: Vice) -> bool {
    // Careless, and no hole: who can add to the right signature knows it.
    vice == Vice::IgnoresWhatFollows
        || ADVICE.iter().any(|(name, providers)| *name == check && providers.contains(&provider))
}

/// The checks that are not applicable to consumers of `provider`, whatever their vice: fixed, so
/// that a check cannot quietly cease to apply.
pub fn not_applicable(provider: Provider) -> Vec<&'static str> {
    const CHALLENGE: &[&str] = &["answers-challenge", "answers-challenge-with-query"];
    const OWN: &[&str] = &["handles-own", "ignores-foreign"];
    const TIMES: &[&str] = &["refuses-stale", "refuses-future"];
    const STATUS: &[&str] = &["refuses-with-documented-status"];
    const BATCH: &[&str] = &["accepts-batch"];
    // What stands in its body is the time of the attempt, or none.
    const LATE: &[&str] = &["accepts-late-retry"];
    const ORDER: &[&str] = &["accepts-out-of-order"];
    let parts: &[&[&str]] = match provider {
        // Its page has old messages discarded, and does not speak of the future.
        CitizenTicket => &[CHALLENGE, OWN, STATUS, BATCH, ORDER, LATE, &["refuses-future"]],
        TicketNation => &[CHALLENGE, OWN, TIMES, BATCH],
        Yoco => &[CHALLENGE, STATUS, BATCH],
        // No number stands in its samples.
        GoCardless => &[CHALLENGE, OWN, TIMES, &["accepts-number-forms"]],
        // No id of an event stands in what it sends.
        OpenCard => &[OWN, TIMES, STATUS, BATCH, LATE, &["duplicates-without-effect"]],
        StandardWebhooks => &[CHALLENGE, OWN, STATUS, BATCH, ORDER],
    };
    parts.concat()
}
