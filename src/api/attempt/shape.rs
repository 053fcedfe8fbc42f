//! How an attempt is written in JSON.

use crate::api::message::MessageOut;
use crate::model::{
    Attempt, AttemptOutcome, Cut, DeliveryState, EndpointId, EventId, RESPONSE_HEADERS_BYTES_MAX,
    SkipReason, Trigger, escape_json,
};
use serde::ser::Error as _;
use serde::{Serialize, Serializer};
use serde_json::value::RawValue;
use std::borrow::Cow;
use utoipa::ToSchema;

/// A text that an endpoint or a customer's data had a hand in. JSON itself escapes a part only of what would drive the
/// terminal of somebody who looks at it.
struct Foreign(String);

impl Serialize for Foreign {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let json = serde_json::to_string(&self.0).map_err(S::Error::custom)?;
        RawValue::from_string(escape_json(&json)).map_err(S::Error::custom)?.serialize(serializer)
    }
}

/// Why no answer came.
#[derive(Serialize, ToSchema)]
pub struct FailureOut {
    /// A word for programs: `dns`, `connection_refused`, `timeout`, `tls`, …
    kind: &'static str,
    /// What it means.
    meaning: &'static str,
    /// What happened exactly.
    #[schema(value_type = String)]
    detail: Foreign,
}

/// A header.
#[derive(Serialize, ToSchema)]
pub struct HeaderOut {
    /// Its name: as it was sent, and of an answer in lower case.
    name: String,
    /// Its value; a credential is masked.
    #[schema(value_type = String)]
    value: Foreign,
}

/// One HTTP request of a webhook, and what came of it.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct MessageAttemptOut {
    /// Its id.
    #[schema(example = "atmpt_068MnRSCDjQOeYMqPNC5Bc")]
    id: String,
    /// The endpoint that it went to.
    endpoint_id: String,
    /// The message that it carried; the first of them where it carried several.
    msg_id: String,
    /// All messages that it carried: a batching provider sends several at once.
    msg_ids: Vec<String>,
    /// The message, where a listing was asked for it; never with its data.
    #[serde(skip_serializing_if = "Option::is_none")]
    msg: Option<MessageOut>,
    /// The webhook that it was an attempt of.
    webhook_id: String,
    /// Where it was sent.
    #[schema(format = "uri")]
    url: String,
    /// The body of the answer, as far as it is kept.
    #[schema(value_type = String)]
    response: Foreign,
    /// The status of the answer; 0 when none came.
    #[schema(minimum = 0, maximum = 999)]
    response_status_code: u16,
    /// How long it took, in milliseconds.
    response_duration_ms: i64,
    /// 0 success, 2 fail.
    #[schema(minimum = 0, maximum = 4)]
    status: u8,
    /// The same as a word.
    status_text: &'static str,
    /// 0 when the schedule made it, 1 when somebody did.
    #[schema(minimum = 0, maximum = 1)]
    trigger_type: u8,
    /// `scheduled`, `manual` or `test`.
    trigger: &'static str,
    /// When it began.
    #[schema(format = DateTime)]
    timestamp: String,
    /// Which attempt of the webhook it was, from 1.
    number: u32,
    /// Why no answer came, or why the answer is not all there.
    error: Option<FailureOut>,
    /// The headers sent.
    request_headers: Vec<HeaderOut>,
    /// The body sent.
    #[schema(value_type = String)]
    request_body: Foreign,
    /// The headers of the answer.
    response_headers: Vec<HeaderOut>,
}

impl MessageAttemptOut {
    /// An attempt to `endpoint` that carried `events`, with bodies and headers where those are
    /// wanted.
    pub(in crate::api) fn new(
        attempt: &Attempt,
        endpoint: EndpointId,
        events: &[EventId],
        with_content: bool,
    ) -> Self {
        let response = attempt.outcome.response();
        let is_success = attempt.outcome.is_success();
        let headers = |held: &[(String, String)]| match with_content {
            true => held.iter().map(header).collect(),
            false => Vec::new(),
        };
        let body = |bytes: &[u8]| match with_content {
            true => String::from_utf8_lossy(bytes).into_owned(),
            false => String::new(),
        };
        Self {
            id: attempt.id.to_string(),
            endpoint_id: endpoint.to_string(),
            msg_id: events.first().map(EventId::to_string).unwrap_or_default(),
            msg_ids: events.iter().map(EventId::to_string).collect(),
            msg: None,
            webhook_id: attempt.webhook.to_string(),
            url: attempt.request.url.clone(),
            response: Foreign(response.map(|held| body(&held.body)).unwrap_or_default()),
            response_status_code: response.map_or(0, |held| held.status),
            response_duration_ms: i64::try_from(attempt.duration.as_millis()).unwrap_or(i64::MAX),
            status: if is_success { 0 } else { 2 },
            status_text: if is_success { "success" } else { "fail" },
            trigger_type: u8::from(attempt.trigger != Trigger::Scheduled),
            trigger: attempt.trigger.as_str(),
            timestamp: attempt.started_at.rfc3339(6),
            number: attempt.number,
            error: failure(&attempt.outcome),
            request_headers: headers(&attempt.request.headers),
            request_body: Foreign(body(&attempt.request.body)),
            response_headers: response.map(|held| headers(&held.headers)).unwrap_or_default(),
        }
    }
}

impl MessageAttemptOut {
    /// The same with its message.
    pub(super) fn with_message(self, msg: Option<MessageOut>) -> Self {
        Self { msg, ..self }
    }
}

fn header((name, value): &(String, String)) -> HeaderOut {
    HeaderOut { name: name.clone(), value: Foreign(value.clone()) }
}

fn failure(outcome: &AttemptOutcome) -> Option<FailureOut> {
    match outcome {
        AttemptOutcome::Failed(failure) => Some(FailureOut {
            kind: failure.kind.as_str(),
            meaning: failure.kind.explain(),
            detail: Foreign(failure.detail.clone()),
        }),
        AttemptOutcome::Accepted(response) | AttemptOutcome::Rejected(response) => {
            let (kind, meaning) = match response.cut {
                None if !response.headers_cut => return None,
                None | Some(Cut::TooLong) => {
                    ("answer_too_long", "the answer is longer than what is kept")
                }
                Some(Cut::OutOfTime) => {
                    ("answer_out_of_time", "the answer had not ended when the time was over")
                }
                Some(Cut::Broken) => ("answer_broken", "the connection broke within the answer"),
            };
            let detail = match response.headers_cut {
                true => format!("headers beyond {RESPONSE_HEADERS_BYTES_MAX} bytes are left out"),
                false => String::new(),
            };
            Some(FailureOut { kind, meaning, detail: Foreign(detail) })
        }
    }
}

/// Where a delivery stands, in Svix's numbers and words. `expanded` clients know 4, canceled; for
/// others what was not sent has failed.
pub(in crate::api) fn status(state: &DeliveryState, expanded: bool) -> (u8, &'static str) {
    match state {
        DeliveryState::Succeeded { .. } => (0, "success"),
        DeliveryState::Waiting { .. } => (1, "pending"),
        DeliveryState::Exhausted { .. } => (2, "fail"),
        DeliveryState::Sending => (3, "sending"),
        DeliveryState::Cancelled { .. } | DeliveryState::Skipped { .. } if expanded => {
            (4, "canceled")
        }
        DeliveryState::Cancelled { .. } | DeliveryState::Skipped { .. } => (2, "fail"),
    }
}

/// Why a delivery stands where it stands, where the state's word does not say it.
pub(in crate::api) fn reason(state: &DeliveryState) -> Option<Cow<'static, str>> {
    match state {
        DeliveryState::Skipped { reason } => Some(SkipReason::explain(*reason).into()),
        DeliveryState::Cancelled { .. } => Some("the endpoint was deleted".into()),
        _ => None,
    }
}
