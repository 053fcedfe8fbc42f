//! What can be wrong with a consumer, one thing at a time.

/// What a consumer does wrong.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Vice {
    /// Nothing: it does what the page says.
    None,
    /// Nothing either: it answers first and does its work a moment later, as GoCardless' page has it.
    WorksLater,
    /// Nothing either: where its page names no status for a forgery, it says 403.
    RefusesWith403,
    /// Nothing either: it fails with 500 where the signature is missing, as the example on
    /// TicketNation's page does.
    FailsWhenUnsigned,
    /// Nothing either: it keeps a row for each order, payment or mandate, not for each event.
    KeepsThings,

    /// Verifies the JSON that it has parsed and written again.
    ParsesBeforeVerifying,
    /// Compares as many characters as it was given: `expected.startsWith(given)`.
    ComparesLoosely,
    /// Compares as many characters as it expects: `given.startsWith(expected)`.
    IgnoresWhatFollows,
    /// Content with a signature that looks like one.
    ChecksOnlyTheForm,
    /// Takes any signature, and none.
    NeverVerifies,
    /// Verifies when there is a signature, and processes when there is none.
    FollowsUnsigned,
    /// Takes the signature in hex as well as in base64.
    DecodesAnyEncoding,
    /// Looks at the first signature of a list.
    KnowsOnlyTheNewestSignature,
    /// Forgets its old secret at once when it gets a new one.
    ForgetsTheOldSecret,
    /// Does not look at the time of a webhook.
    IgnoresTimestamps,
    /// Answers 200 to everything, and verifies later.
    AnswersBeforeVerifying,
    /// Has no memory of ids.
    DoublesEffects,
    /// Looks whether it knows an id, works, and only then keeps it.
    ForgetsWhileItWorks,
    /// Keeps the ids of webhooks, and not those of the events in them.
    KeepsIdsOfWebhooks,
    /// Keeps an id before it verifies.
    KeepsIdsOfForgeries,
    /// Says 409 to what it has processed already.
    RefusesDuplicates,
    /// Answers after the provider's time-out.
    TooSlow,
    /// Has one worker, and takes a while for each webhook.
    OneAtATime,
    /// Says 200 although it could not process the event.
    SwallowsErrors,
    /// Refuses forgeries with another status than the page names.
    WrongRefusalStatus,
    /// Says 422 to an event type that it does not handle.
    RefusesUnknownEvents,
    /// Says 422 to a member that it does not know.
    RefusesUnknownFields,
    /// Says 409 to an event about something that a later event told of.
    RefusesOutOfOrder,
    /// Processes the first event of a batch.
    TakesTheFirstOfABatch,
    /// Processes two events of a batch at most.
    TakesTwoOfABatch,
    /// Refuses an event that happened long ago, whenever it was sent.
    RefusesLateRetries,
    /// Wants `Content-Type` to be `application/json` to the letter.
    DemandsExactContentType,
    /// Does not compare the checkout id with its own.
    HandlesForeign,
    /// Says 403 to an event of somebody else's checkout.
    RefusesForeign,
    /// Answers a challenge like any other GET, without its header.
    IgnoresChallenge,
    /// Finds the challenge only where the query is nothing else.
    BreaksOnQuery,
    /// Answers a challenge in upper-case hex.
    AnswersInUpperCase,
}
