//! The six providers as their pages tell their users of them: how to verify, and what is in a body.

use hookwheel::clock::Clock;
use serde_json::{Map, Value};

/// Whose webhooks a consumer takes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Provider {
    CitizenTicket,
    TicketNation,
    Yoco,
    GoCardless,
    OpenCard,
    StandardWebhooks,
}

use Provider::{CitizenTicket, GoCardless, OpenCard, StandardWebhooks, TicketNation, Yoco};

/// Every one.
pub const ALL: &[Provider] =
    &[CitizenTicket, TicketNation, Yoco, GoCardless, OpenCard, StandardWebhooks];

/// Yoco's page: "compare this field with your own Checkout id".
pub const OWN_CHECKOUT: &str = "ch_of_our_own_shop";

/// What a consumer makes of one event.
#[derive(Debug)]
pub struct Event {
    /// What tells duplicates; OpenCard has none.
    pub id: Option<String>,
    /// Its type.
    pub kind: String,
    /// What it is about, and how late in the life of that thing it comes.
    pub stage: Option<(String, u8)>,
    /// Whether it is somebody else's.
    pub is_foreign: bool,
    /// Whether it is real, and not a trial.
    pub is_live: bool,
}

impl Provider {
    /// The name that hookwheel knows it by.
    pub fn name(self) -> &'static str {
        match self {
            CitizenTicket => "citizen-ticket",
            TicketNation => "ticketnation",
            Yoco => "yoco",
            GoCardless => "gocardless",
            OpenCard => "opencard",
            StandardWebhooks => "standard-webhooks",
        }
    }

    /// The header that holds the signature.
    pub fn signature_header(self) -> &'static str {
        match self {
            CitizenTicket => "X-Signature",
            TicketNation => "X-TN-Signature",
            Yoco | StandardWebhooks => "webhook-signature",
            GoCardless => "Webhook-Signature",
            OpenCard => "X-Data-Signature",
        }
    }

    /// Whether id and time are in headers, and signed with the body.
    pub fn signs_headers(self) -> bool {
        matches!(self, Yoco | StandardWebhooks)
    }

    /// The status for what was refused as a forgery. TicketNation's and GoCardless' examples have
    /// one; elsewhere it is a matter of taste.
    pub fn refusal(self) -> u16 {
        match self {
            GoCardless => 498,
            _ => 401,
        }
    }

    /// The status of thanks.
    pub fn thanks(self) -> u16 {
        if self == GoCardless { 204 } else { 200 }
    }

    /// Whether somebody who takes these webhooks has a use for events of this type. They have for
    /// one or two, as in the pages' examples; of the others they only say that they came.
    pub fn matters(self, kind: &str) -> bool {
        match self {
            CitizenTicket => kind == "payment.complete",
            TicketNation => kind == "order.completed" || kind == "commission.earned",
            Yoco => kind == "payment.succeeded",
            GoCardless => kind == "mandates.cancelled",
            OpenCard => kind == "receipt.fetched",
            StandardWebhooks => kind == "contact.created",
        }
    }

    /// The types, for GoCardless the resource types, that the page and its references list.
    pub fn knows(self, kind: &str) -> bool {
        let known: &[&str] = match self {
            CitizenTicket => &["test", "payment.complete"],
            TicketNation => {
                &["order.created", "order.completed", "order.failed", "commission.earned"]
            }
            Yoco => &["payment.succeeded", "refund.succeeded", "refund.failed"],
            GoCardless => {
                let resource = kind.split('.').next().unwrap_or_default();
                return ["billing_requests", "creditors", "mandates", "payments", "payouts"]
                    .contains(&resource);
            }
            OpenCard => &[
                "tpa.signed",
                "invoice.created",
                "card_holder.created",
                "card.transaction.authorized",
                "receipt.fetched",
            ],
            StandardWebhooks => &["contact.created", "example.event"],
        };
        known.contains(&kind)
    }

    /// The members of a body that the page names.
    fn members(self) -> &'static [&'static str] {
        match self {
            CitizenTicket => &["id", "event_type", "timestamp", "payload"],
            TicketNation => &["id", "event", "isTest", "timestamp", "data"],
            Yoco => &["id", "type", "createdDate", "payload"],
            GoCardless => &["events", "meta"],
            OpenCard => &[],
            StandardWebhooks => &["type", "timestamp", "data"],
        }
    }

    /// Whether the body has a member that the page does not name.
    pub fn has_unknown_members(self, body: &Value) -> bool {
        body.as_object()
            .is_some_and(|body| body.keys().any(|name| !self.members().contains(&name.as_str())))
    }

    /// The time at which Citizen Ticket's body says that it was sent, in seconds.
    pub fn time_in_body(body: &Value) -> Option<i64> {
        let time: jiff::Timestamp = body.get("timestamp")?.as_str()?.parse().ok()?;
        Some(time.as_second())
    }

    /// Whether what a body tells of happened more than 5 minutes ago.
    pub fn happened_long_ago(self, body: &Value) -> bool {
        let time = match self {
            Yoco => &body["createdDate"],
            GoCardless => &body["events"][0]["created_at"],
            _ => &body["timestamp"],
        };
        let time = time.as_str().and_then(|text| text.parse::<jiff::Timestamp>().ok());
        let now = Clock::system().now().as_unix_seconds();
        time.is_some_and(|time| now - time.as_second() > 300)
    }

    /// The events in a body; `None` when it is not what the page describes. `id` and `kind` are what
    /// the headers say, where they do.
    pub fn events(
        self,
        body: &Value,
        id: Option<String>,
        kind: Option<String>,
    ) -> Option<Vec<Event>> {
        let object = body.as_object()?;
        let text = |name: &str| Some(object.get(name)?.as_str()?.to_owned());
        let event = match self {
            CitizenTicket => {
                Self::time_in_body(body)?;
                Event::new(Some(text("id")?), text("event_type")?)
            }
            TicketNation => ticketnation(object)?,
            Yoco => {
                let payload = object.get("payload")?;
                let checkout = payload.get("metadata")?.get("checkoutId")?.as_str()?;
                Event {
                    stage: stage(&[(payload.get("id"), 0), (payload.get("paymentId"), 1)]),
                    is_foreign: checkout != OWN_CHECKOUT,
                    is_live: payload.get("mode")?.as_str()? == "live",
                    ..Event::new(id, text("type")?)
                }
            }
            GoCardless => {
                return object.get("events")?.as_array()?.iter().map(gocardless).collect();
            }
            OpenCard => {
                let transaction = object.get("transaction").and_then(|object| object.get("id"));
                let stage = stage(&[(object.get("id"), 0), (transaction, 1)]);
                Event { stage, ..Event::new(None, kind?) }
            }
            StandardWebhooks => {
                object.get("data")?;
                Event::new(id, text("type")?)
            }
        };
        Some(vec![event])
    }
}

impl Event {
    fn new(id: Option<String>, kind: String) -> Self {
        Self { id, kind, stage: None, is_foreign: false, is_live: true }
    }
}

/// The last of these ids that there is, with its stage.
fn stage(ids: &[(Option<&Value>, u8)]) -> Option<(String, u8)> {
    let mut latest = ids.iter().rev();
    latest.find_map(|(id, stage)| Some((id.as_ref()?.as_str()?.to_owned(), *stage)))
}

fn ticketnation(body: &Map<String, Value>) -> Option<Event> {
    let text = |name: &str| Some(body.get(name)?.as_str()?.to_owned());
    let kind = text("event")?;
    let reached = if kind == "order.created" { 0 } else { 1 };
    Some(Event {
        stage: stage(&[(body.get("data")?.get("orderId"), reached)]),
        is_live: !body.get("isTest")?.as_bool()?,
        ..Event::new(Some(text("id")?), kind)
    })
}

fn gocardless(event: &Value) -> Option<Event> {
    let text = |name: &str| Some(event.get(name)?.as_str()?.to_owned());
    let (resource, action) = (text("resource_type")?, text("action")?);
    let links = event.get("links")?.as_object()?;
    let reached = if action == "created" { 0 } else { 1 };
    Some(Event {
        stage: stage(&[(links.values().next(), reached)]),
        ..Event::new(Some(text("id")?), format!("{resource}.{action}"))
    })
}
