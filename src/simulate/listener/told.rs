//! What a request says that it carries, by the conventions of the providers that are known: for
//! people to find their way by, and never a reason to trust it.

use serde::de::{DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Serialize};
use std::fmt;

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

/// The events that `body` and the headers tell of; `header` finds a header by its name. What is not
/// kept of the body is passed over, so that a large one costs no memory.
pub(super) fn events<'h>(header: impl Fn(&str) -> Option<&'h str>, body: &[u8]) -> Vec<ToldEvent> {
    // OpenCard: the body is the bare object, whose `type` and `id` are its own.
    if let Some(event_type) = header("X-Event") {
        return vec![ToldEvent { event_type: clipped(event_type), id: String::new() }];
    }
    let mut reader = serde_json::Deserializer::from_slice(body);
    let read = Wanted::Object.deserialize(&mut reader);
    let whole = read.and_then(|part| reader.end().map(|()| part));
    let members = match whole {
        Ok(Part::Object(members)) => members,
        _ => Members::default(),
    };
    if let Some(events) = members.events {
        return events;
    }
    let mut event = members.event();
    if let Some(id) = header("webhook-id") {
        event.id = clipped(id);
    }
    if event == ToldEvent::default() { Vec::new() } else { vec![event] }
}

fn clipped(text: &str) -> String {
    text.chars().take(CHARACTERS_MAX).collect()
}

/// The members that an event is known by: of a body, or of one event in it.
#[derive(Default)]
struct Members {
    event_type: Option<String>,
    event: Option<String>,
    kind: Option<String>,
    resource_type: Option<String>,
    action: Option<String>,
    id: Option<String>,
    events: Option<Vec<ToldEvent>>,
}

impl Members {
    fn event(self) -> ToldEvent {
        let event_type = match (self.resource_type, self.action) {
            (Some(resource), Some(action)) => clipped(&format!("{resource}.{action}")),
            _ => self.event_type.or(self.event).or(self.kind).unwrap_or_default(),
        };
        ToldEvent { event_type, id: self.id.unwrap_or_default() }
    }

    /// Takes in one member. Of those that stand there twice the last counts, as JSON's readers
    /// mostly have it.
    fn take<'de, A: MapAccess<'de>>(&mut self, name: &str, map: &mut A) -> Result<(), A::Error> {
        let text = match name {
            "event_type" => &mut self.event_type,
            "event" => &mut self.event,
            "type" => &mut self.kind,
            "resource_type" => &mut self.resource_type,
            "action" => &mut self.action,
            "id" => &mut self.id,
            "events" => {
                self.events = match map.next_value_seed(Wanted::List)? {
                    Part::List(events) => Some(events),
                    _ => None,
                };
                return Ok(());
            }
            _ => return map.next_value::<IgnoredAny>().map(drop),
        };
        *text = match map.next_value_seed(Wanted::Text)? {
            Part::Text(held) => Some(held),
            _ => None,
        };
        Ok(())
    }
}

/// What a value is read for. Any other kind of value is passed over.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Wanted {
    Object,
    List,
    Text,
}

/// What was read of a value.
enum Part {
    Object(Members),
    List(Vec<ToldEvent>),
    Text(String),
    Nothing,
}

impl<'de> DeserializeSeed<'de> for Wanted {
    type Value = Part;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Part, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Wanted {
    type Value = Part;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any value")
    }

    fn visit_bool<E: Error>(self, _: bool) -> Result<Part, E> {
        Ok(Part::Nothing)
    }

    fn visit_i64<E: Error>(self, _: i64) -> Result<Part, E> {
        Ok(Part::Nothing)
    }

    fn visit_u64<E: Error>(self, _: u64) -> Result<Part, E> {
        Ok(Part::Nothing)
    }

    fn visit_f64<E: Error>(self, _: f64) -> Result<Part, E> {
        Ok(Part::Nothing)
    }

    fn visit_unit<E: Error>(self) -> Result<Part, E> {
        Ok(Part::Nothing)
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Part, E> {
        Ok(if self == Self::Text { Part::Text(clipped(text)) } else { Part::Nothing })
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Part, A::Error> {
        let mut events = Vec::new();
        while self == Self::List && events.len() < EVENTS_MAX {
            match list.next_element_seed(Self::Object)? {
                Some(Part::Object(members)) => events.push(members.event()),
                Some(_) => {}
                None => return Ok(Part::List(events)),
            }
        }
        while list.next_element::<IgnoredAny>()?.is_some() {}
        Ok(if self == Self::List { Part::List(events) } else { Part::Nothing })
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Part, A::Error> {
        let mut members = Members::default();
        while let Some(name) = map.next_key::<String>()? {
            match self {
                Self::Object => members.take(&name, &mut map)?,
                Self::List | Self::Text => map.next_value::<IgnoredAny>().map(drop)?,
            }
        }
        Ok(if self == Self::Object { Part::Object(members) } else { Part::Nothing })
    }
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
            (&[], r#"{"type":["a"],"id":{"b":[1]},"event":"a","events":{"x":1}}"#, one("a", "")),
            (&[], r#"{"events":[1,null,"x",[2],{"id":"a","id":"b","type":"c"}]}"#, one("c", "b")),
            (&[("X-Event", "a.b")], "no JSON", one("a.b", "")),
            (&[], "no JSON", Vec::new()),
            (&[], r#"{"id":"a"} and more"#, Vec::new()),
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
