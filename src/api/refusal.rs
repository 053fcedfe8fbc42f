//! Refusals: the one place that turns errors into HTTP.

use crate::error::{Error, ErrorKind};
use axum::Json;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use std::borrow::Cow;
use utoipa::ToSchema;

/// Seconds after which a client may ask again when the server is the one who cannot.
const RETRY_SECONDS: u64 = 1;

/// An error.
#[derive(Serialize, ToSchema)]
#[schema(as = HttpError, example = json!({
    "code": "not_found", "detail": "application `shop-1` does not exist",
}))]
pub struct HttpError {
    /// A word for programs.
    code: Cow<'static, str>,
    /// A sentence for people: what was wrong, and what would be right.
    detail: String,
}

/// What is wrong with a request.
#[derive(Serialize, ToSchema)]
#[schema(as = ValidationError)]
pub struct ValidationError {
    /// Each fault.
    detail: Vec<Fault>,
}

/// One fault of a request.
#[derive(Serialize, ToSchema)]
#[schema(example = json!({
    "loc": ["body", "eventType"], "msg": "missing field `eventType`", "type": "value_error",
}))]
pub struct Fault {
    /// Where it is: `body`, `query`, `path` or `header`, and the way to the member.
    loc: Vec<String>,
    /// What is wrong, and what would be right.
    msg: String,
    /// The kind of fault.
    #[serde(rename = "type")]
    kind: &'static str,
}

/// A request that is not done, and why.
pub(super) struct Refusal {
    status: StatusCode,
    why: Why,
    retry_after: Option<u64>,
}

enum Why {
    Error(HttpError),
    Faults(ValidationError),
}

impl Refusal {
    /// Refuses with a status, a word and a sentence.
    pub fn new(status: StatusCode, code: &'static str, detail: impl Into<String>) -> Self {
        let why = Why::Error(HttpError { code: Cow::Borrowed(code), detail: detail.into() });
        Self { status, why, retry_after: None }
    }

    /// Something named in the path does not exist, or is not the caller's to see.
    pub fn not_found(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, "not_found", detail)
    }

    /// The request contradicts what is there.
    pub fn conflict(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::CONFLICT, "conflict", detail)
    }

    /// A part of the request is wrong: the place that it is in, then the way to it.
    pub fn fault<L: Into<String>>(
        loc: impl IntoIterator<Item = L>,
        message: impl Into<String>,
    ) -> Self {
        let loc = loc.into_iter().map(Into::into).collect();
        let fault = Fault { loc, msg: message.into(), kind: "value_error" };
        Self {
            status: StatusCode::UNPROCESSABLE_ENTITY,
            why: Why::Faults(ValidationError { detail: vec![fault] }),
            retry_after: None,
        }
    }

    /// Too much is asked at once.
    pub fn too_many(detail: impl Into<String>, retry_after_seconds: u64) -> Self {
        let refusal = Self::new(StatusCode::TOO_MANY_REQUESTS, "rate_limited", detail);
        Self { retry_after: Some(retry_after_seconds), ..refusal }
    }

    /// The server cannot now; the same request may work later.
    pub fn unavailable(detail: impl Into<String>) -> Self {
        let refusal = Self::new(StatusCode::SERVICE_UNAVAILABLE, "unavailable", detail);
        Self { retry_after: Some(RETRY_SECONDS), ..refusal }
    }

    /// Refuses for what is wrong at `place`, like `["query", "state"]`.
    pub fn at<const N: usize>(place: [&'static str; N]) -> impl Fn(Error) -> Self {
        move |error| match error.kind() {
            ErrorKind::Invalid => Self::fault(place, error.to_string()),
            _ => error.into(),
        }
    }
}

impl From<Error> for Refusal {
    fn from(error: Error) -> Self {
        let detail = error.to_string();
        match error.kind() {
            ErrorKind::Invalid => {
                let member = error.member().map(in_json);
                Self::fault(std::iter::once("body").chain(member), detail)
            }
            ErrorKind::AddressRefused => Self::fault(["body", "url"], detail),
            ErrorKind::NotFound => Self::not_found(detail),
            ErrorKind::Conflict => Self::conflict(detail),
            ErrorKind::NotProven => Self::new(StatusCode::CONFLICT, "not_proven", detail),
            ErrorKind::Unavailable | ErrorKind::Closed => Self::unavailable(detail),
            _ => {
                tracing::error!(%error, "a request failed");
                let told = "the server failed; its log says more";
                Self::new(StatusCode::INTERNAL_SERVER_ERROR, "server_error", told)
            }
        }
    }
}

/// What the API calls a member of the crate.
fn in_json(member: &'static str) -> &'static str {
    match member {
        "event_filter" => "eventTypes",
        "rate_limit_per_second" => "throttleRate",
        "client_certificate" => "clientCertificate",
        "disable_after_failing_days" => "disableAfterFailingDays",
        same => same,
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let mut response = match self.why {
            Why::Error(error) => (self.status, Json(error)).into_response(),
            Why::Faults(faults) => (self.status, Json(faults)).into_response(),
        };
        if let Some(seconds) = self.retry_after {
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        if self.status == StatusCode::UNAUTHORIZED {
            // RFC 9110, section 11.6.1: a 401 names the scheme.
            let scheme = HeaderValue::from_static("Bearer");
            response.headers_mut().insert(header::WWW_AUTHENTICATE, scheme);
        }
        response
    }
}
