//! The webhook resource: what was last sent of a webhook, and what came back.

use crate::history::DeliveryHistory;
use crate::model::attempt::Response;
use crate::model::{Attempt, Timestamp, WebhookId};
use crate::provider::Provider;
use serde::Serialize;
use std::collections::BTreeMap;

/// A webhook that was sent, with the attempts of one of its deliveries.
pub(super) struct Sent {
    pub webhook: WebhookId,
    pub history: DeliveryHistory,
}

impl Sent {
    /// When the webhook was made; its id holds that to the millisecond.
    pub fn created_at(&self) -> Timestamp {
        let millis = i64::try_from(self.webhook.as_u128() >> 80).unwrap_or(i64::MAX);
        Timestamp::from_millis(millis)
    }

    /// Whether it carries a test event.
    pub fn is_test(&self) -> bool {
        self.history.event.sample
    }

    /// Whether its latest attempt succeeded.
    pub fn is_successful(&self) -> bool {
        self.latest().is_some_and(|attempt| attempt.outcome.is_success())
    }

    fn latest(&self) -> Option<&Attempt> {
        self.history.attempts.last()
    }
}

/// A webhook as the API shows it. What its latest attempt did not get is `null`.
#[derive(Serialize)]
pub(super) struct Webhook {
    pub id: String,
    created_at: String,
    url: String,
    request_headers: BTreeMap<String, String>,
    request_body: String,
    response_code: Option<u16>,
    response_headers: Option<BTreeMap<String, String>>,
    response_headers_content_truncated: Option<bool>,
    response_headers_count_truncated: Option<bool>,
    response_body: Option<String>,
    response_body_truncated: Option<bool>,
    is_test: bool,
    successful: bool,
}

impl Webhook {
    /// The resource of a webhook; `None` while it has no attempt on record.
    pub fn of(provider: &Provider, sent: &Sent) -> Option<Self> {
        let attempt = sent.latest()?;
        let response = attempt.outcome.response();
        Some(Self {
            id: provider.webhook_wire_id(sent.webhook),
            created_at: sent.created_at().rfc3339(3),
            url: attempt.request.url.clone(),
            request_headers: attempt.request.headers.iter().cloned().collect(),
            request_body: String::from_utf8_lossy(&attempt.request.body).into_owned(),
            response_code: response.map(|response| response.status),
            response_headers: response.map(response_headers),
            // A header is kept whole, or not at all.
            response_headers_content_truncated: response.map(|_| false),
            response_headers_count_truncated: response.map(|response| response.headers_cut),
            response_body: response
                .map(|response| String::from_utf8_lossy(&response.body).into_owned()),
            response_body_truncated: response.map(|response| response.cut.is_some()),
            is_test: sent.is_test(),
            successful: sent.is_successful(),
        })
    }
}

/// Header names in lower case, as the API shows those of an answer; values of a repeated one are
/// joined (RFC 9110, section 5.2).
fn response_headers(response: &Response) -> BTreeMap<String, String> {
    let mut headers: BTreeMap<String, String> = BTreeMap::new();
    for (name, value) in &response.headers {
        headers
            .entry(name.to_ascii_lowercase())
            .and_modify(|held| {
                held.push_str(", ");
                held.push_str(value);
            })
            .or_insert_with(|| value.clone());
    }
    headers
}
