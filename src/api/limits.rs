//! What the API takes at once, so that a flood of requests stalls no delivery.

use crate::api::Api;
use crate::api::places::{Full, Place, Places};
use crate::api::refusal::Refusal;
use crate::config::ApiConfig;
use crate::error::Error;
use crate::model::AccessTokenId;
use axum::body::{Body, to_bytes};
use axum::extract::Request;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use futures_util::FutureExt;
use governor::clock::{Clock, DefaultClock};
use governor::{DefaultKeyedRateLimiter, Quota};
use std::num::NonZeroU32;
use std::panic::AssertUnwindSafe;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::runtime::Handle;
use tracing::Instrument;

/// Tokens after which the limiter forgets those that have not asked lately.
const TOKENS_KEPT: usize = 10_000;
/// One token has this part of all requests in flight at most: one over it.
const TOKEN_SHARE: usize = 4;
/// Requests in flight that every token may have, however few there may be in all.
const IN_FLIGHT_OF_TOKEN: usize = 8;
/// Live views take a connection each for long: this part of all at most, one over it.
const STREAMS_SHARE: usize = 4;
/// Live views of one token at most.
const STREAMS_OF_TOKEN: usize = 8;
/// When to ask again for a live view: they stay open for long.
const STREAM_RETRY_SECONDS: u64 = 10;

/// What is counted.
pub(super) struct Limits {
    in_flight: Places,
    streams: Places,
    by_token: DefaultKeyedRateLimiter<AccessTokenId>,
    body_max_bytes: usize,
    request_time: Duration,
}

impl Limits {
    pub fn new(config: &ApiConfig) -> Self {
        let at_least_one = |number| NonZeroU32::new(number).unwrap_or(NonZeroU32::MIN);
        let quota = Quota::per_second(at_least_one(config.requests_per_second))
            .allow_burst(at_least_one(config.requests_burst));
        let in_flight = config.requests_in_flight_max;
        let streams = (config.connections_max / STREAMS_SHARE).max(1);
        Self {
            in_flight: Places::new(in_flight, (in_flight / TOKEN_SHARE).max(IN_FLIGHT_OF_TOKEN)),
            streams: Places::new(streams, STREAMS_OF_TOKEN),
            by_token: DefaultKeyedRateLimiter::keyed(quota),
            body_max_bytes: config.body_max_bytes,
            request_time: Duration::from_secs(config.request_seconds),
        }
    }

    /// How long a request may take.
    pub fn request_time(&self) -> Duration {
        self.request_time
    }

    /// A place for a request of a token. It is taken until the request's work is done, whoever
    /// waits for that: or one could begin any number of things by not waiting for them.
    pub fn place(&self, token: AccessTokenId) -> Result<Place, Refusal> {
        self.in_flight.take(token).map_err(|full| {
            let detail = match full {
                Full::All => "too many requests are in flight: try again",
                Full::Token => "too many requests of the token are in flight: wait for some",
            };
            Refusal::too_many(detail, 1)
        })
    }

    /// A place for a live view of a token.
    pub fn stream(&self, token: AccessTokenId) -> Result<Place, Refusal> {
        self.streams.take(token).map_err(|full| {
            let detail = match full {
                Full::All => "too many live views are open: try again".to_owned(),
                Full::Token => {
                    format!("the token has {STREAMS_OF_TOKEN} live views open: close one first")
                }
            };
            Refusal::too_many(detail, STREAM_RETRY_SECONDS)
        })
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

/// Does what a request asks for in the time that it may take. What it began goes on to its end, also
/// when its client is gone: dropping it half done is nothing that handlers reckon with.
pub(super) async fn bounded(
    limit: Duration,
    work: impl Future<Output = Response> + Send + 'static,
) -> Response {
    // A panic is one request's, and not its connection's.
    let work = AssertUnwindSafe(work.in_current_span()).catch_unwind();
    match crate::clock::within(limit, ToItsEnd(Some(Box::pin(work)))).await {
        Some(Ok(response)) => response,
        Some(Err(_)) => {
            Refusal::from(Error::internal("the work of a request ended early")).into_response()
        }
        None => Refusal::unavailable(format!(
            "the request took longer than {} s; what it began goes on",
            limit.as_secs()
        ))
        .into_response(),
    }
}

/// Work that goes on by itself when nobody waits for it any more.
struct ToItsEnd<W: Future<Output: Send> + Send + 'static>(Option<Pin<Box<W>>>);

impl<W: Future<Output: Send> + Send> Future for ToItsEnd<W> {
    type Output = W::Output;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<W::Output> {
        let Some(work) = &mut self.0 else { return Poll::Pending };
        let polled = work.as_mut().poll(context);
        if polled.is_ready() {
            self.0 = None;
        }
        polled
    }
}

impl<W: Future<Output: Send> + Send> Drop for ToItsEnd<W> {
    fn drop(&mut self) {
        // Without a runtime nothing goes on.
        if let (Some(work), Ok(runtime)) = (self.0.take(), Handle::try_current()) {
            runtime.spawn(work);
        }
    }
}

/// Takes the whole body in, up to the limit.
pub(super) async fn take_in(api: &Api, request: Request) -> Result<Request, Refusal> {
    let (parts, body) = request.into_parts();
    let most = api.limits.body_max_bytes;
    match to_bytes(body, most).await {
        Ok(bytes) => Ok(Request::from_parts(parts, Body::from(bytes))),
        Err(error) => {
            let is_too_long = std::error::Error::source(&error)
                .is_some_and(|source| source.is::<http_body_util::LengthLimitError>());
            Err(match is_too_long {
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
            })
        }
    }
}
