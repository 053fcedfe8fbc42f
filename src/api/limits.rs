//! What the API takes at once, so that a flood of requests stalls no delivery.

use crate::api::places::{Asker, Full, Place, Places};
use crate::api::refusal::Refusal;
use crate::config::ApiConfig;
use crate::error::Error;
use axum::body::{Body, Bytes, HttpBody, to_bytes};
use axum::extract::Request;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use futures_util::FutureExt;
use governor::clock::{Clock, DefaultClock};
use governor::{DefaultKeyedRateLimiter, Quota};
use http_body_util::BodyExt;
use std::num::NonZeroU32;
use std::panic::AssertUnwindSafe;
use std::pin::Pin;
use std::sync::{Arc, Weak};
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::runtime::Handle;
use tracing::Instrument;

/// Askers after which the limiter forgets those that have not asked lately.
const ASKERS_KEPT: usize = 10_000;
/// One asker has this part of all requests in flight at most, and of the bytes of bodies that are
/// being read: one over it.
const SHARE: usize = 4;
/// Requests in flight that every asker may have, where that is half of all at most.
const IN_FLIGHT_OF_ONE: usize = 8;
/// Bodies that are being read hold as many bytes together as this many of the longest.
const BODIES: usize = 64;
/// Live views take a connection each for long: this part of all at most, one over it.
const STREAMS_SHARE: usize = 4;
/// Live views of one asker at most.
const STREAMS_OF_ONE: usize = 8;
/// When to ask again for a live view: they stay open for long.
const STREAM_RETRY_SECONDS: u64 = 10;

/// What is counted.
pub(super) struct Limits {
    in_flight: Places,
    streams: Places,
    /// Bytes of bodies that are being read.
    bodies: Places,
    by_asker: DefaultKeyedRateLimiter<Asker>,
    body_max_bytes: usize,
    request_time: Duration,
}

/// What one asker has of so many requests in flight: a quarter, or a few where that is less, and never
/// more than half as long as there are two.
fn share_of_one(in_flight: usize) -> usize {
    (in_flight / SHARE).max(IN_FLIGHT_OF_ONE.min(in_flight / 2)).max(1)
}

impl Limits {
    pub fn new(config: &ApiConfig) -> Self {
        let at_least_one = |number| NonZeroU32::new(number).unwrap_or(NonZeroU32::MIN);
        let quota = Quota::per_second(at_least_one(config.requests_per_second))
            .allow_burst(at_least_one(config.requests_burst));
        let in_flight = config.requests_in_flight_max;
        let streams = (config.connections_max / STREAMS_SHARE).max(1);
        let bodies = config.body_max_bytes.saturating_mul(BODIES);
        Self {
            in_flight: Places::new(in_flight, share_of_one(in_flight)),
            streams: Places::new(streams, STREAMS_OF_ONE),
            bodies: Places::new(bodies, bodies / SHARE),
            by_asker: DefaultKeyedRateLimiter::keyed(quota),
            body_max_bytes: config.body_max_bytes,
            request_time: Duration::from_secs(config.request_seconds),
        }
    }

    /// How long a request may take once its body is there.
    pub fn request_time(&self) -> Duration {
        self.request_time
    }

    /// A place for a request. It is taken until the request's work is done and its answer written,
    /// whoever waits for that: or one could begin any number of things by not waiting for them.
    pub fn place(&self, asker: Asker) -> Result<Place, Refusal> {
        self.in_flight.take(asker).map_err(|full| {
            let detail = match full {
                Full::All => "too many requests are in flight: try again".to_owned(),
                Full::Own => format!("too many requests of {asker} are in flight: wait for some"),
            };
            Refusal::too_many(detail, 1)
        })
    }

    /// A place for a live view.
    pub fn stream(&self, asker: Asker) -> Result<Place, Refusal> {
        self.streams.take(asker).map_err(|full| {
            let detail = match full {
                Full::All => "too many live views are open: try again".to_owned(),
                Full::Own => {
                    format!("{asker} has {STREAMS_OF_ONE} live views open: close one first")
                }
            };
            Refusal::too_many(detail, STREAM_RETRY_SECONDS)
        })
    }

    /// Counts a request.
    pub fn count(&self, asker: Asker) -> Result<(), Refusal> {
        if self.by_asker.len() > ASKERS_KEPT {
            self.by_asker.retain_recent();
        }
        self.by_asker.check_key(&asker).map_err(|until| {
            let wait = until.wait_time_from(DefaultClock::default().now());
            let seconds = wait.as_secs() + u64::from(wait.subsec_nanos() > 0);
            let detail = format!("{asker} asks too often: wait, or ask for more at once");
            Refusal::too_many(detail, seconds)
        })
    }

    /// Takes the whole body in, up to the limit. No place is taken for that, which whoever sends
    /// slowly would keep from others: what bounds it is its time, and the bytes that are there.
    pub async fn take_in(&self, asker: Asker, request: Request) -> Result<Request, Refusal> {
        let (parts, body) = request.into_parts();
        match crate::clock::within(self.request_time, self.whole(asker, body)).await {
            Some(body) => Ok(Request::from_parts(parts, Body::from(body?))),
            None => Err(Refusal::new(
                StatusCode::REQUEST_TIMEOUT,
                "request_timeout",
                format!("the body took longer than {} s", self.request_time.as_secs()),
            )),
        }
    }

    async fn whole(&self, asker: Asker, mut body: Body) -> Result<Vec<u8>, Refusal> {
        let (mut whole, mut held) = (Vec::new(), self.bodies.none(asker));
        while let Some(frame) = body.frame().await {
            let Ok(frame) = frame else {
                let detail = "the body ended before it was complete";
                return Err(Refusal::new(StatusCode::BAD_REQUEST, "bad_request", detail));
            };
            // Trailers are read, and of no interest.
            let Some(data) = frame.data_ref() else { continue };
            if whole.len() + data.len() > self.body_max_bytes {
                return Err(Refusal::new(
                    StatusCode::PAYLOAD_TOO_LARGE,
                    "payload_too_large",
                    format!("the body is longer than {} bytes", self.body_max_bytes),
                ));
            }
            held.take_more(data.len()).map_err(|full| {
                let whose = match full {
                    Full::All => String::new(),
                    Full::Own => format!(" of {asker}"),
                };
                let detail = format!("too many long bodies{whose} are being read: try again");
                Refusal::too_many(detail, 1)
            })?;
            // A copy: a short part may be of a buffer that is much longer.
            whole.extend_from_slice(data);
        }
        Ok(whole)
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

/// Whether the client of a request still waits for its answer. What takes long and changes nothing
/// asks it now and then.
#[derive(Clone)]
pub(super) struct Awaited(Weak<()>);

impl Awaited {
    /// True until what is returned beside it is dropped.
    pub fn new() -> (Arc<()>, Self) {
        let waits = Arc::new(());
        let awaited = Self(Arc::downgrade(&waits));
        (waits, awaited)
    }

    /// Whether somebody waits.
    pub fn is_true(&self) -> bool {
        self.0.strong_count() > 0
    }
}

/// An answer that keeps its request's place until it is written, or given up: or whoever reads slowly
/// could have any number of them in memory. A live view, whose length nobody knows, has a place of
/// its own.
pub(super) async fn until_written(response: Response, place: Place) -> Response {
    let (head, body) = response.into_parts();
    if body.size_hint().exact().is_none() {
        return Response::from_parts(head, body);
    }
    // It is in memory already.
    match to_bytes(body, usize::MAX).await {
        Ok(bytes) => {
            let kept = Bytes::from_owner(Unwritten { bytes, _place: place });
            Response::from_parts(head, Body::from(kept))
        }
        Err(_) => Refusal::unavailable("the answer ended early: try again").into_response(),
    }
}

/// The bytes of an answer, which hyper lets go of once they are written.
struct Unwritten {
    bytes: Bytes,
    _place: Place,
}

impl AsRef<[u8]> for Unwritten {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
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
