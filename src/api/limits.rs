//! What the API takes at once, so that a flood of requests stalls no delivery.

use crate::api::Api;
use crate::api::refusal::Refusal;
use crate::config::ApiConfig;
use crate::model::AccessTokenId;
use axum::body::{Body, to_bytes};
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use governor::clock::{Clock, DefaultClock};
use governor::{DefaultKeyedRateLimiter, Quota};
use std::num::NonZeroU32;
use std::time::Duration;
use tokio::sync::Semaphore;

/// Tokens after which the limiter forgets those that have not asked lately.
const TOKENS_KEPT: usize = 10_000;

/// What is counted.
pub(super) struct Limits {
    in_flight: Semaphore,
    by_token: DefaultKeyedRateLimiter<AccessTokenId>,
    body_max_bytes: usize,
    request_time: Duration,
}

impl Limits {
    pub fn new(config: &ApiConfig) -> Self {
        let at_least_one = |number| NonZeroU32::new(number).unwrap_or(NonZeroU32::MIN);
        let quota = Quota::per_second(at_least_one(config.requests_per_second))
            .allow_burst(at_least_one(config.requests_burst));
        Self {
            in_flight: Semaphore::new(config.requests_in_flight_max),
            by_token: DefaultKeyedRateLimiter::keyed(quota),
            body_max_bytes: config.body_max_bytes,
            request_time: Duration::from_secs(config.request_seconds),
        }
    }

    /// Counts a request of a token.
    pub fn count(&self, token: AccessTokenId) -> Result<(), Refusal> {
        if self.by_token.len() > TOKENS_KEPT {
            self.by_token.retain_recent();
        }
        self.by_token.check_key(&token).map_err(|until| {
            let wait = until.wait_time_from(DefaultClock::default().now());
            let seconds = wait.as_secs() + u64::from(wait.subsec_nanos() > 0);
            Refusal::too_many("the token asks too often: wait, or ask for more at once", seconds)
        })
    }
}

/// Refuses a request when too many are in flight, and one that takes too long.
pub(super) async fn bounded(State(api): State<Api>, request: Request, next: Next) -> Response {
    let Ok(_place) = api.limits.in_flight.try_acquire() else {
        return Refusal::too_many("too many requests are in flight: try again", 1).into_response();
    };
    let limit = api.limits.request_time;
    match crate::clock::within(limit, next.run(request)).await {
        Some(response) => response,
        None => Refusal::unavailable(format!(
            "the request took longer than {} s; what it began goes on",
            limit.as_secs()
        ))
        .into_response(),
    }
}

/// Takes the whole body in, up to the limit.
pub(super) async fn take_in(State(api): State<Api>, request: Request, next: Next) -> Response {
    let (parts, body) = request.into_parts();
    let most = api.limits.body_max_bytes;
    match to_bytes(body, most).await {
        Ok(bytes) => next.run(Request::from_parts(parts, Body::from(bytes))).await,
        Err(error) => {
            let is_too_long = std::error::Error::source(&error)
                .is_some_and(|source| source.is::<http_body_util::LengthLimitError>());
            match is_too_long {
                true => Refusal::new(
                    StatusCode::PAYLOAD_TOO_LARGE,
                    "payload_too_large",
                    format!("the body is longer than {most} bytes"),
                ),
                false => Refusal::new(
                    StatusCode::BAD_REQUEST,
                    "bad_request",
                    "the body ended before it was complete",
                ),
            }
            .into_response()
        }
    }
}
