//! A request that arrived, as JSON.

use crate::simulate::listener::{
    Answered, AnsweredBy, Arrived, Ending, Outcome, Remembered, ToldEvent,
};
use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde::Serialize;
use serde_json::{Value, json};
use std::borrow::Cow;

#[derive(Serialize)]
struct RequestView<'a> {
    kind: &'static str,
    number: u64,
    received_at: String,
    from: String,
    to: String,
    method: &'a str,
    target: &'a str,
    events: &'a [ToldEvent],
    body_bytes: usize,
    verdict: &'static str,
    reason: Option<&'a str>,
    note: Option<&'a str>,
    answer: AnswerView<'a>,
    #[serde(flatten)]
    whole: Option<WholeView<'a>>,
}

#[derive(Serialize)]
struct AnswerView<'a> {
    ending: &'static str,
    outcome: Outcome,
    status: Option<u16>,
    delay_ms: u64,
    by: &'static str,
    took_ms: Option<u64>,
    reason: Option<&'a str>,
    #[serde(flatten)]
    message: Option<MessageView<'a>>,
}

#[derive(Serialize)]
struct MessageView<'a> {
    headers: &'a [(String, String)],
    body: Cow<'a, str>,
}

#[derive(Serialize)]
struct WholeView<'a> {
    headers: Vec<(Cow<'a, str>, Cow<'a, str>)>,
    head_base64: String,
    #[serde(flatten)]
    body: BodyView<'a>,
}

/// What is not UTF-8 has no exact form as text.
#[derive(Serialize)]
enum BodyView<'a> {
    #[serde(rename = "body")]
    Text(&'a str),
    #[serde(rename = "body_base64")]
    Base64(String),
}

/// A request as one object; with headers and bodies where `whole` is given.
pub fn object(arrived: &Arrived, whole: Option<&Remembered>) -> Value {
    let view = RequestView {
        kind: "request",
        number: arrived.number,
        received_at: arrived.received_at.to_string(),
        from: arrived.from.to_string(),
        to: arrived.to.to_string(),
        method: &arrived.method,
        target: &arrived.target,
        events: &arrived.events,
        body_bytes: arrived.body_bytes,
        verdict: arrived.verdict.word(),
        reason: arrived.verdict.reason(),
        note: arrived.note.as_deref(),
        answer: answer(&arrived.answer, whole.is_some()),
        whole: whole.map(of_whole),
    };
    // Its names are texts, so there is nothing that JSON could not hold.
    serde_json::to_value(view).unwrap_or_default()
}

/// What came of the answer to a request; with headers and body where that is `whole`.
pub fn answer_object(number: u64, answered: &Answered, whole: bool) -> Value {
    json!({"kind": "answer", "number": number, "answer": answer(answered, whole)})
}

fn answer(answer: &Answered, is_whole: bool) -> AnswerView<'_> {
    let (ending, status) = match answer.ending {
        Ending::Status(status) => ("status", Some(status)),
        Ending::Hang => ("hang", None),
        Ending::Close => ("close", None),
        Ending::Awaited => ("awaited", None),
    };
    let (by, took_ms, reason) = match &answer.by {
        AnsweredBy::Honest => ("honest", None, None),
        AnsweredBy::Told => ("told", None, None),
        AnsweredBy::Handler { took_ms } => ("handler", *took_ms, None),
        AnsweredBy::Unreached { reason } => ("unreached", None, Some(reason.as_str())),
    };
    let message = is_whole.then(|| MessageView {
        headers: &answer.headers,
        body: String::from_utf8_lossy(&answer.body),
    });
    AnswerView {
        ending,
        outcome: answer.outcome,
        status,
        delay_ms: answer.delay_ms,
        by,
        took_ms,
        reason,
        message,
    }
}

fn of_whole(whole: &Remembered) -> WholeView<'_> {
    let text = String::from_utf8_lossy;
    WholeView {
        headers: whole.arrived.headers().map(|(name, value)| (text(name), text(value))).collect(),
        head_base64: BASE64.encode(&whole.arrived.head),
        body: match std::str::from_utf8(&whole.body) {
            Ok(body) => BodyView::Text(body),
            Err(_) => BodyView::Base64(BASE64.encode(&whole.body)),
        },
    }
}
