//! What a request says that it carries, by the conventions of the providers that are known: for
//! people to find their way by, and never a reason to trust it.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// Events of one request that are remembered: the most that GoCardless puts into one webhook.
const EVENTS_MAX: usize = 250;
/// Characters of a type or an id that are remembered.
const CHARACTERS_MAX: usize = 100;

/// An event that a request says it carries.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct ToldEvent {
    /// Its type; empty where none was found.
    #[serde(rename = "type")]
    pub event_type: String,
    /// Its id; empty where none was found.
    pub id: String,
}

/// The events that `body` and the headers tell of; `header` finds a header by its name.
pub(super) fn events<'h>(header: impl Fn(&str) -> Option<&'h str>, body: &[u8]) -> Vec<ToldEvent> {
    let body: Map<String, Value> = serde_json::from_slice(body).unwrap_or_default();
    // OpenCard: the body is the bare object, whose `type` and `id` are its own.
    if let Some(event_type) = header("X-Event") {
        return vec![ToldEvent { event_type: clipped(event_type), id: String::new() }];
    }
    if let Some(Value::Array(events)) = body.get("events") {
        return events
            .iter()
            .filter_map(Value::as_object)
            .take(EVENTS_MAX)
            .map(of_object)
            .collect();
    }
    let mut event = of_object(&body);
    if let Some(id) = header("webhook-id") {
        event.id = clipped(id);
    }
    if event == ToldEvent::default() { Vec::new() } else { vec![event] }
}

fn of_object(object: &Map<String, Value>) -> ToldEvent {
    let text = |name: &str| object.get(name).and_then(Value::as_str);
    let event_type = match (text("resource_type"), text("action")) {
        (Some(resource), Some(action)) => format!("{resource}.{action}"),
        _ => ["event_type", "event", "type"].into_iter().find_map(text).unwrap_or_default().into(),
    };
    ToldEvent { event_type: clipped(&event_type), id: clipped(text("id").unwrap_or_default()) }
}

fn clipped(text: &str) -> String {
    text.chars().take(CHARACTERS_MAX).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(headers: &[(&str, &'static str)], body: &str) -> Vec<(String, String)> {
        let header =
            |name: &str| headers.iter().find(|held| held.0 == name).map(|(_, value)| *value);
        let events = events(header, body.as_bytes());
        events.into_iter().map(|event| (event.event_type, event.id)).collect()
    }

    fn one(event_type: &str, id: &str) -> Vec<(String, String)> {
        vec![(event_type.to_owned(), id.to_owned())]
    }

    #[test]
    fn every_known_convention_is_read() {
        for (headers, body, expected) in [
            (&[][..], r#"{"id":"a","event_type":"order.paid"}"#, one("order.paid", "a")),
            (&[], r#"{"id":"a","event":"order.paid","data":{}}"#, one("order.paid", "a")),
            (&[("webhook-id", "msg_1")], r#"{"type":"a.b"}"#, one("a.b", "msg_1")),
            (&[("X-Event", "tpa.signed")], r#"{"id":"1","type":"card"}"#, one("tpa.signed", "")),
            (
                &[],
                r#"{"events":[{"id":"EV1","resource_type":"payments","action":"failed"}]}"#,
                one("payments.failed", "EV1"),
            ),
            (&[], "no JSON", Vec::new()),
            (&[], "[1]", Vec::new()),
        ] {
            assert_eq!(told(headers, body), expected, "{body}");
        }
    }

    #[test]
    fn what_is_kept_is_bounded() {
        let event = format!(r#"{{"id":"{}"}}"#, "é".repeat(1000));
        let body = format!(r#"{{"events":[{}]}}"#, vec![event; 1000].join(","));
        let events = told(&[], &body);
        assert_eq!((events.len(), events[0].1.chars().count()), (250, 100));
    }
}
