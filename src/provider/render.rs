//! From a webhook to the bytes of its request: body, headers, signatures.

use crate::error::{Error, Result};
use crate::model::{EndpointId, Event, Timestamp, WebhookId, check};
use crate::provider::Provider;
use crate::provider::envelope::{Context, Shape};
use crate::provider::sign::SigningKey;
use crate::provider::template::{Template, Token};
use bytes::Bytes;
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;

/// A webhook about to be sent.
pub struct Webhook<'a> {
    /// Its id.
    pub webhook: WebhookId,
    /// The events that it carries: one, unless the provider sends batches.
    pub events: &'a [Arc<Event>],
    /// The endpoint that it goes to.
    pub endpoint: EndpointId,
    /// Which attempt it is, from 1.
    pub attempt: u32,
    /// The time of day.
    pub now: Timestamp,
    /// The endpoint's URL as it was registered.
    pub url: &'a str,
    /// The keys of the live secrets, the newest last.
    pub keys: &'a [SigningKey],
    /// The endpoint's settings.
    pub settings: &'a BTreeMap<String, String>,
}

/// A body that somebody has already, about to be signed as it stands.
pub struct RawWebhook<'a> {
    /// The body.
    pub body: &'a [u8],
    /// The webhook's id on the wire.
    pub id: &'a str,
    /// The type of its event; needed where the provider has it in a header.
    pub event_type: Option<&'a str>,
    /// Which attempt it is, from 1.
    pub attempt: u32,
    /// The time of day.
    pub now: Timestamp,
    /// The endpoint's URL.
    pub url: &'a str,
    /// The keys of the live secrets, the newest last.
    pub keys: &'a [SigningKey],
    /// The endpoint's settings.
    pub settings: &'a BTreeMap<String, String>,
}

/// What goes on the wire.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Rendered {
    /// Header names and values in the order and casing of the wire; without `Host` and
    /// `Content-Length`, which the sender knows.
    pub headers: Vec<(String, String)>,
    /// The body: exactly the bytes that were signed.
    pub body: Bytes,
}

/// The compiled envelope.
pub(super) struct Body {
    pub fields: Shape,
    pub batch: Option<Batch>,
    pub restamp: bool,
}

/// How a batch is written.
pub(super) struct Batch {
    pub item: Shape,
    pub events_max: usize,
}

impl Body {
    pub(super) fn batch_max(&self) -> Option<usize> {
        self.batch.as_ref().map(|batch| batch.events_max)
    }

    pub(super) fn marks_tests(&self) -> bool {
        let item = self.batch.as_ref().map(|batch| &batch.item);
        self.fields.marks_tests() || item.is_some_and(Shape::marks_tests)
    }

    pub(super) fn is_fixed(&self) -> bool {
        !self.restamp
    }

    fn write(&self, events: &[Arc<Event>], context: &Context<'_>) -> Result<String> {
        let data: usize = events.iter().map(|event| event.data.len()).sum();
        let mut body = String::with_capacity(data + 256 + 192 * events.len());
        match (&self.batch, events) {
            (Some(batch), _) if events.len() <= batch.events_max => {
                self.fields.write_batch(&mut body, &batch.item, events, context)?;
            }
            (None, [event]) => self.fields.write(&mut body, event, context)?,
            _ => {
                let count = events.len();
                return Err(Error::internal(format!("{count} events do not fit one webhook")));
            }
        }
        Ok(body)
    }
}

impl Provider {
    /// Refuses an event that this provider's envelope cannot carry: one such event must not be put
    /// into a batch with others.
    ///
    /// # Errors
    /// Says what does not fit: a type without a second part, a member of the data that the envelope
    /// writes itself.
    pub fn check_event(&self, event: &Event) -> Result<()> {
        let shape = self.body.batch.as_ref().map_or(&self.body.fields, |batch| &batch.item);
        // Most envelopes take any event, and each that is emitted passes here for each endpoint.
        if shape.fits_all() {
            return Ok(());
        }
        let context = Context {
            webhook: WebhookId::from_uuid(event.id.uuid()),
            attempt: 1,
            now: event.accepted_at,
            ids: &self.ids,
        };
        shape.write(&mut String::new(), event, &context)
    }

    /// Refuses settings of an endpoint that this provider's headers cannot be made of.
    ///
    /// # Errors
    /// Names the setting that is unknown, missing, or cannot stand in a header.
    pub fn check_settings(&self, settings: &BTreeMap<String, String>) -> Result<()> {
        let tokens = self.headers.iter().flat_map(|(_, template)| template.tokens());
        let known: Vec<&str> = tokens
            .filter_map(|token| match token {
                Token::Setting { name, .. } => Some(name.as_str()),
                _ => None,
            })
            .collect();
        if let Some(unknown) = settings.keys().find(|name| !known.contains(&name.as_str())) {
            let known = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
            return Err(Error::invalid(format!(
                "endpoint setting `{}` is unknown to {}: known are {known}",
                unknown.chars().take(64).collect::<String>().escape_debug(),
                self.title
            )));
        }
        let value = |token: &Token| match token {
            Token::Setting { name, .. } => settings.get(name).map(|text| text.as_bytes().into()),
            // Something, so that a space before it is not the end of the value.
            _ => Some(Cow::Borrowed(b"x".as_slice())),
        };
        for (name, template) in &self.headers {
            header_value(name, template, &value)?;
        }
        Ok(())
    }

    /// Refuses an endpoint's URL that this provider's headers cannot carry as it was registered.
    /// Percent-encoded, it is spelled there as in the request line.
    ///
    /// # Errors
    /// Names the header.
    pub fn check_url(&self, url: &str) -> Result<()> {
        let carries = |template: &Template| template.tokens().any(|token| *token == Token::Url);
        match self.headers.iter().find(|(_, template)| carries(template)) {
            Some((name, _)) if !check::is_header_value(url) => Err(Error::invalid(format!(
                "endpoint url refused: {} sends it in header `{name}`, which carries visible ASCII \
                 characters only; percent-encode the others",
                self.title
            ))),
            _ => Ok(()),
        }
    }

    /// Writes and signs `webhook`.
    ///
    /// # Errors
    /// Refuses events that do not fit the provider ([`Provider::check_event`]), a setting that is
    /// missing or cannot stand in a header, and to send unsigned.
    pub fn render(&self, webhook: &Webhook<'_>) -> Result<Rendered> {
        let context = Context {
            webhook: webhook.webhook,
            attempt: webhook.attempt,
            now: webhook.now,
            ids: &self.ids,
        };
        let body = self.body.write(webhook.events, &context)?;
        let headers = self.sign(&RawWebhook {
            body: body.as_bytes(),
            id: &self.webhook_wire_id(webhook.webhook),
            event_type: webhook.events.first().map(|event| event.event_type.as_str()),
            attempt: webhook.attempt,
            now: webhook.now,
            url: webhook.url,
            keys: webhook.keys,
            settings: webhook.settings,
        })?;
        Ok(Rendered { headers, body: Bytes::from(body) })
    }

    /// The headers of a webhook whose body is there already, its signatures among them. The body
    /// is signed as it stands, whatever it holds.
    ///
    /// # Errors
    /// Refuses a value that is missing or cannot stand in a header, and to leave it unsigned.
    pub fn sign(&self, webhook: &RawWebhook<'_>) -> Result<Vec<(String, String)>> {
        let value = |token: &Token| -> Option<Cow<'_, [u8]>> {
            Some(match token {
                Token::Body => Cow::Borrowed(webhook.body),
                Token::Id => Cow::Borrowed(webhook.id.as_bytes()),
                Token::Timestamp(format) => Cow::Owned(format.write(webhook.now).into_bytes()),
                Token::EventType => Cow::Borrowed(webhook.event_type?.as_bytes()),
                Token::Attempt => Cow::Owned(webhook.attempt.to_string().into_bytes()),
                Token::Url => Cow::Borrowed(webhook.url.as_bytes()),
                Token::Setting { name, .. } => {
                    Cow::Borrowed(webhook.settings.get(name)?.as_bytes())
                }
                Token::Signature | Token::Challenge => return None,
            })
        };
        let mut headers = Vec::with_capacity(self.headers.len() + self.signing.headers.len() + 4);
        for (name, template) in &self.headers {
            if let Some(text) = header_value(name, template, &value)? {
                headers.push((name.clone(), text));
            }
        }
        for (name, text) in self.signing.headers(webhook.keys, &value)? {
            let text = sendable(&name, text)?;
            headers.push((name, text));
        }
        Ok(headers)
    }
}

/// The filled-in header; `None` when an optional setting in it is missing.
fn header_value<'v>(
    name: &str,
    template: &Template,
    value: &impl Fn(&Token) -> Option<Cow<'v, [u8]>>,
) -> Result<Option<String>> {
    let mut bytes = Vec::new();
    match template.fill(value, |piece| bytes.extend_from_slice(piece)) {
        Ok(()) => {}
        Err(Token::Setting { optional: true, .. }) => return Ok(None),
        Err(Token::Setting { name: setting, .. }) => {
            return Err(Error::invalid(format!(
                "endpoint setting `{setting}` is missing: header `{name}` is made of it"
            )));
        }
        Err(Token::EventType) => {
            return Err(Error::invalid(format!(
                "the event's type is missing: header `{name}` is made of it"
            )));
        }
        Err(token) => {
            return Err(Error::internal(format!("header `{name}` has nothing for {token}")));
        }
    }
    match String::from_utf8(bytes) {
        Ok(text) => sendable(name, text).map(Some),
        Err(_) => Err(unsendable(name)),
    }
}

/// Refuses the finished value of a header where it would not arrive as it is: settings and ids are
/// other people's text, and a line break in one would begin a header of theirs.
fn sendable(name: &str, text: String) -> Result<String> {
    if check::is_header_value(&text) { Ok(text) } else { Err(unsendable(name)) }
}

fn unsendable(name: &str) -> Error {
    Error::invalid(format!(
        "header `{name}` cannot be sent: what it is made of has other than visible ASCII characters, \
         or a space at its beginning or end"
    ))
}
