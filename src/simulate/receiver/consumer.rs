//! Which provider's customer a receiver plays, and how that customer answers.

use super::answer::Answer;
use super::checks::{self, Checked, Refusal};
use super::received::Verdict;
use super::request::Request;
use crate::model::Timestamp;

/// A customer of one provider, who does what the provider's page says.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Consumer {
    /// Checks `X-Signature`, the age and the id in the body.
    CitizenTicket,
    /// Checks `X-TN-Signature`.
    TicketNation,
    /// Checks `webhook-signature` and the age in `webhook-timestamp`.
    Yoco,
    /// Checks `Webhook-Signature`, in this casing, and tells each event of a batch by its id.
    GoCardless,
    /// Answers challenges and checks `X-Data-Signature`.
    OpenCard,
    /// Checks `webhook-signature`, symmetric or Ed25519, and the age in `webhook-timestamp`.
    StandardWebhooks,
    /// Takes whatever comes.
    Unchecked,
}

impl Consumer {
    /// Every consumer.
    pub const ALL: [Self; 7] = [
        Self::CitizenTicket,
        Self::TicketNation,
        Self::Yoco,
        Self::GoCardless,
        Self::OpenCard,
        Self::StandardWebhooks,
        Self::Unchecked,
    ];

    /// The consumer of the provider of this name; `None` when there is none.
    ///
    /// ```
    /// # use hookwheel::simulate::receiver::Consumer;
    /// assert_eq!(Consumer::named("citizen-ticket"), Some(Consumer::CitizenTicket));
    /// ```
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|consumer| consumer.name() == name)
    }

    /// The provider's name, or `unchecked`.
    pub fn name(self) -> &'static str {
        match self {
            Self::CitizenTicket => "citizen-ticket",
            Self::TicketNation => "ticketnation",
            Self::Yoco => "yoco",
            Self::GoCardless => "gocardless",
            Self::OpenCard => "opencard",
            Self::StandardWebhooks => "standard-webhooks",
            Self::Unchecked => "unchecked",
        }
    }

    /// Checks a request as the provider's page says, and answers it honestly.
    pub(in crate::simulate) fn check(
        self,
        secret: &str,
        request: &Request,
        now: Timestamp,
    ) -> Checked {
        if self == Self::OpenCard && request.method == "GET" {
            return checks::challenge(secret, request);
        }
        let checked = if request.method != "POST" && self != Self::Unchecked {
            let method = request.method.escape_debug();
            Err(Refusal::Method(format!(
                "method `{method}` is not what a webhook comes with: expected `POST`"
            )))
        } else {
            match self {
                Self::CitizenTicket => checks::citizen_ticket(secret, request, now),
                Self::TicketNation => checks::ticketnation(secret, request),
                Self::Yoco | Self::StandardWebhooks => {
                    checks::standard_webhooks(secret, request, now)
                }
                Self::GoCardless => checks::gocardless(secret, request),
                Self::OpenCard => checks::opencard(secret, request),
                Self::Unchecked => Ok(Vec::new()),
            }
        };
        match checked {
            Ok(event_ids) => {
                Checked { verdict: Verdict::Accepted, event_ids, answer: self.thanks() }
            }
            Err(refusal) => Checked {
                answer: self.rejection(&refusal),
                verdict: Verdict::Refused(refusal.reason()),
                event_ids: Vec::new(),
            },
        }
    }

    /// The answer to a webhook that was accepted.
    pub(in crate::simulate) fn thanks(self) -> Answer {
        match self {
            Self::GoCardless => Answer::status(204),
            Self::TicketNation => Answer::status(200).body("OK"),
            _ => Answer::status(200),
        }
    }

    /// The answer to one that was not. Where the page is silent, the status is ours; it is never a
    /// success, since what was not taken may be retried.
    fn rejection(self, refusal: &Refusal) -> Answer {
        match (self, refusal) {
            (_, Refusal::Method(reason)) => Answer::status(405)
                .header("Allow", if self == Self::OpenCard { "GET, POST" } else { "POST" })
                .body(reason.as_str()),
            (_, Refusal::Unusable(reason)) => Answer::status(400).body(reason.as_str()),
            (Self::TicketNation, Refusal::NotGenuine(_)) => {
                Answer::status(401).body("Invalid signature")
            }
            (Self::GoCardless, Refusal::NotGenuine(_)) => Answer::status(498),
            (_, Refusal::NotGenuine(reason)) => Answer::status(401).body(reason.as_str()),
        }
    }
}
