//! The body of a webhook: JSON written around the event's data, whose own bytes go in as they are.

use crate::error::{Error, Result};
use crate::model::{Event, Mode, Timestamp, WebhookId};
use crate::provider::json;
use crate::provider::value::{TIME_FORMATS, TimeFormat, text};
use crate::provider::wire_id::WireId;
use serde::de::{Deserialize, Deserializer, Error as _};
use std::sync::Arc;

/// What a field of the body holds.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Expression {
    EventId,
    EventType,
    /// The event type up to its first dot.
    EventTypeFirst,
    /// The event type after its first dot.
    EventTypeRest,
    /// Whether it is a test event.
    EventTest,
    /// `"test"` or `"live"`.
    EventMode,
    EventTime(TimeFormat),
    EventData,
    AttemptTime(TimeFormat),
    AttemptNumber,
    WebhookId,
    /// The events of a batch.
    Items,
}

const EXPRESSIONS: &str = "event.id, event.type, event.type.first, event.type.rest, event.test, \
    event.mode, event.time|FORMAT, event.data, attempt.time|FORMAT, attempt.number, webhook.id, \
    items";

fn expression(text: &str) -> Result<Expression, String> {
    if let Some((name, format)) = text.split_once('|') {
        let time = TimeFormat::named(format).ok_or_else(|| {
            format!("time format `{}` is unknown: known are {TIME_FORMATS}", format.escape_debug())
        })?;
        match name {
            "event.time" => return Ok(Expression::EventTime(time)),
            "attempt.time" => return Ok(Expression::AttemptTime(time)),
            _ => {}
        }
    }
    Ok(match text {
        "event.id" => Expression::EventId,
        "event.type" => Expression::EventType,
        "event.type.first" => Expression::EventTypeFirst,
        "event.type.rest" => Expression::EventTypeRest,
        "event.test" => Expression::EventTest,
        "event.mode" => Expression::EventMode,
        "event.data" => Expression::EventData,
        "attempt.number" => Expression::AttemptNumber,
        "webhook.id" => Expression::WebhookId,
        "items" => Expression::Items,
        _ => {
            return Err(format!(
                "expression `{}` is unknown: known are {EXPRESSIONS}",
                text.escape_debug()
            ));
        }
    })
}

impl<'de> Deserialize<'de> for Expression {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        expression(&text(deserializer, "an expression like \"event.id\"")?)
            .map_err(D::Error::custom)
    }
}

/// Names in a dotted path at most: paths are walked by recursion.
const STEPS_MAX: usize = 8;

/// A field list as it stands in the file: dotted path and expression, in the order of the wire. The
/// path `*` stands for the members of the event's data themselves.
pub(super) type Fields = Vec<(String, Expression)>;

/// What an event is written with besides itself.
pub(super) struct Context<'a> {
    pub webhook: WebhookId,
    pub attempt: u32,
    pub now: Timestamp,
    pub ids: &'a Ids,
}

/// The forms of ids on the wire.
#[derive(Debug)]
pub(super) struct Ids {
    pub event: WireId,
    pub webhook: WireId,
    pub test_event: Option<WireId>,
}

impl Ids {
    /// The id of `event` on the wire.
    pub fn event(&self, event: &Event) -> String {
        match &self.test_event {
            Some(form) if event.sample => form.write(event.id.uuid()),
            _ => self.event.write(event.id.uuid()),
        }
    }
}

#[derive(Clone, PartialEq, Eq, Debug)]
enum Piece {
    /// JSON that is always the same.
    Text(String),
    /// The value of an expression.
    Value(Expression),
    /// The event's data with members of it set.
    DataWith(Vec<(String, Expression)>),
    /// The members of the event's data.
    Members,
}

/// A compiled field list.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Shape {
    pieces: Vec<Piece>,
    /// Names of the members that stand before those of the data.
    taken: Vec<String>,
}

impl Shape {
    /// Compiles `fields`.
    ///
    /// # Errors
    /// The index of the field at fault, and what is wrong with it.
    pub fn compile(fields: &Fields) -> Result<Self, (usize, String)> {
        let mut root: Vec<(String, Node)> = Vec::new();
        let mut spread = false;
        for (index, (path, expression)) in fields.iter().enumerate() {
            if spread {
                return Err((index, "`*` must be the last field".to_owned()));
            }
            if path == "*" {
                if *expression != Expression::EventData {
                    return Err((index, "`*` can only stand for `event.data`".to_owned()));
                }
                spread = true;
                continue;
            }
            let steps: Vec<&str> = path.split('.').collect();
            if steps.len() > STEPS_MAX || steps.iter().any(|step| step.is_empty()) {
                let path = path.chars().take(64).collect::<String>();
                return Err((
                    index,
                    format!(
                        "`{}` is no dotted path: expected up to {STEPS_MAX} names, like \
                         `meta.webhook_id`",
                        path.escape_debug()
                    ),
                ));
            }
            insert(&mut root, &steps, expression).map_err(|message| (index, message))?;
        }
        let mut shape = Self { pieces: Vec::new(), taken: Vec::new() };
        shape.text("{");
        shape.members(&root);
        if spread {
            shape.taken = root.into_iter().map(|(name, _)| name).collect();
            shape.pieces.push(Piece::Members);
        }
        shape.text("}");
        Ok(shape)
    }

    fn members(&mut self, members: &[(String, Node)]) {
        for (index, (name, node)) in members.iter().enumerate() {
            if index > 0 {
                self.text(",");
            }
            let mut quoted = String::new();
            json::push_text(&mut quoted, name);
            self.text(&quoted);
            self.text(":");
            match node {
                Node::Value(expression) => self.pieces.push(Piece::Value(expression.clone())),
                Node::DataWith(set) => self.pieces.push(Piece::DataWith(set.clone())),
                Node::Object(inner) => {
                    self.text("{");
                    self.members(inner);
                    self.text("}");
                }
            }
        }
    }

    fn text(&mut self, text: &str) {
        match self.pieces.last_mut() {
            Some(Piece::Text(last)) => last.push_str(text),
            _ => self.pieces.push(Piece::Text(text.to_owned())),
        }
    }

    /// Whether every event fits it, whatever its type and data.
    pub fn fits_all(&self) -> bool {
        self.pieces.iter().all(|piece| match piece {
            Piece::Value(Expression::EventTypeFirst | Expression::EventTypeRest) => false,
            Piece::Text(_) | Piece::Value(_) => true,
            Piece::DataWith(_) | Piece::Members => false,
        })
    }

    /// Writes one event.
    ///
    /// # Errors
    /// Refuses an event whose type or data do not fit this shape.
    pub fn write(&self, out: &mut String, event: &Event, context: &Context<'_>) -> Result<()> {
        for piece in &self.pieces {
            match piece {
                Piece::Text(text) => out.push_str(text),
                Piece::Value(expression) => write_value(out, expression, event, context)?,
                Piece::DataWith(set) => {
                    let mut data = event.data.as_str().to_owned();
                    for (name, expression) in set {
                        let mut value = String::new();
                        write_value(&mut value, expression, event, context)?;
                        data = json::set(&data, &[name], &value)?;
                    }
                    out.push_str(&data);
                }
                Piece::Members => self.write_members(out, event)?,
            }
        }
        Ok(())
    }

    fn write_members(&self, out: &mut String, event: &Event) -> Result<()> {
        let data = event.data.as_str();
        if !self.taken.is_empty() {
            if let Some(twice) = json::members(data)
                .find(|member| self.taken.iter().any(|taken| member.name == *taken))
            {
                return Err(Error::invalid(format!(
                    "event data has a member `{}`, which the provider's envelope writes itself: \
                     leave it out",
                    twice.name.escape_debug()
                )));
            }
            if !json::inner(data).trim().is_empty() {
                out.push(',');
            }
        }
        out.push_str(json::inner(data));
        Ok(())
    }

    /// Writes a batch: `items` is written by `item`, the rest once.
    ///
    /// # Errors
    /// Refuses a batch with an event that does not fit `item`.
    pub fn write_batch(
        &self,
        out: &mut String,
        item: &Self,
        events: &[Arc<Event>],
        context: &Context<'_>,
    ) -> Result<()> {
        let Some(first) = events.first() else {
            return Err(Error::internal("a webhook without events cannot be rendered"));
        };
        for piece in &self.pieces {
            match piece {
                Piece::Text(text) => out.push_str(text),
                Piece::Value(Expression::Items) => {
                    out.push('[');
                    for (index, event) in events.iter().enumerate() {
                        if index > 0 {
                            out.push(',');
                        }
                        item.write(out, event, context)?;
                    }
                    out.push(']');
                }
                Piece::Value(expression) => write_value(out, expression, first, context)?,
                // Loading refuses the event's own data outside the items of a batch.
                Piece::DataWith(_) | Piece::Members => {}
            }
        }
        Ok(())
    }
}

#[derive(Clone, PartialEq, Eq, Debug)]
enum Node {
    Value(Expression),
    DataWith(Vec<(String, Expression)>),
    Object(Vec<(String, Node)>),
}

fn insert(
    members: &mut Vec<(String, Node)>,
    steps: &[&str],
    expression: &Expression,
) -> Result<(), String> {
    let Some((name, rest)) = steps.split_first() else {
        return Ok(());
    };
    let Some((_, node)) = members.iter_mut().find(|(held, _)| held == name) else {
        let node = if rest.is_empty() {
            Node::Value(expression.clone())
        } else {
            let mut inner = Vec::new();
            insert(&mut inner, rest, expression)?;
            Node::Object(inner)
        };
        members.push(((*name).to_owned(), node));
        return Ok(());
    };
    match (node, rest) {
        (_, []) => Err(format!("`{name}` is written twice")),
        (Node::Object(inner), _) => insert(inner, rest, expression),
        (Node::DataWith(set), [member]) => {
            set.push(((*member).to_owned(), expression.clone()));
            Ok(())
        }
        (node @ Node::Value(Expression::EventData), [member]) => {
            *node = Node::DataWith(vec![((*member).to_owned(), expression.clone())]);
            Ok(())
        }
        _ => Err(format!(
            "`{name}` is no object: a member can be set in an object, or one level into `event.data`"
        )),
    }
}

/// Whether the provider should see `event` as a trial.
pub(super) fn is_test(event: &Event) -> bool {
    event.mode == Mode::Test || event.sample
}

fn write_value(
    out: &mut String,
    expression: &Expression,
    event: &Event,
    context: &Context<'_>,
) -> Result<()> {
    let event_type = event.event_type.as_str();
    let halves = || {
        event_type.split_once('.').ok_or_else(|| {
            Error::invalid(format!(
                "event type `{event_type}` does not fit the provider: expected two parts with a \
                 dot, like `mandates.cancelled`"
            ))
        })
    };
    match expression {
        Expression::EventId => json::push_text(out, &context.ids.event(event)),
        Expression::EventType => json::push_text(out, event_type),
        Expression::EventTypeFirst => json::push_text(out, halves()?.0),
        Expression::EventTypeRest => json::push_text(out, halves()?.1),
        Expression::EventTest => out.push_str(if is_test(event) { "true" } else { "false" }),
        Expression::EventMode => json::push_text(out, if is_test(event) { "test" } else { "live" }),
        Expression::EventTime(format) => write_time(out, *format, event.time),
        Expression::AttemptTime(format) => write_time(out, *format, context.now),
        Expression::AttemptNumber => out.push_str(&context.attempt.to_string()),
        Expression::EventData => out.push_str(event.data.as_str()),
        Expression::WebhookId => {
            json::push_text(out, &context.ids.webhook.write(context.webhook.uuid()));
        }
        // Loading refuses it outside the fields of a batch.
        Expression::Items => {}
    }
    Ok(())
}

fn write_time(out: &mut String, format: TimeFormat, time: Timestamp) {
    let text = format.write(time);
    if format.is_number() {
        out.push_str(&text);
    } else {
        json::push_text(out, &text);
    }
}
