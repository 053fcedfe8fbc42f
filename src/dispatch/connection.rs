//! One open HTTP/1.1 connection to an endpoint.

use super::failure::visible;
use super::upload::UploadBody;
use crate::clock::{self, Stopwatch};
use crate::config::EgressConfig;
use crate::model::{Cut, Response};
use http::{HeaderMap, Request};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use hyper::client::conn::http1::{Builder, SendRequest};
use hyper::ext::on_informational;
use hyper_util::rt::TokioIo;
use std::error::Error as _;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::task::{AbortHandle, JoinHandle};

/// What is sent: the body is at hand as one piece.
pub(super) type Outgoing = Request<UploadBody>;

/// Interim answers (RFC 9110, section 15.2) to one request at most. Each is cheap, but a flood of
/// them would keep a processor busy until the deadline.
const INTERIM_ANSWERS_MAX: u32 = 32;

/// How long a connection may take to become idle after an answer's last byte. It is idle at once,
/// unless the endpoint answered before it had read the request.
const SETTLE_MAX: Duration = Duration::from_millis(50);

/// The smallest read buffer that hyper takes, in bytes.
const BUFFER_BYTES_MIN: usize = 8192;

/// What is left of the time that an exchange may take. What it waited for places or files of our
/// own is not the endpoint's time, and does not count.
#[derive(Clone, Copy)]
pub(super) struct Deadline {
    watch: Stopwatch,
    limit: Duration,
    forgiven: Duration,
}

impl Deadline {
    /// `limit` from now on.
    pub(super) fn after(limit: Duration) -> Self {
        Self { watch: Stopwatch::start(), limit, forgiven: Duration::ZERO }
    }

    /// The time that is left.
    pub(super) fn remaining(&self) -> Duration {
        self.limit.saturating_sub(self.elapsed())
    }

    /// The time that has passed.
    pub(super) fn elapsed(&self) -> Duration {
        self.watch.elapsed().saturating_sub(self.forgiven)
    }

    /// Waits for `future`, and does not count that.
    pub(super) async fn apart<F: Future>(&mut self, future: F) -> F::Output {
        let watch = Stopwatch::start();
        let output = future.await;
        self.forgiven += watch.elapsed();
        output
    }

    /// Runs `future` in the time that is left; `None` when that was not enough.
    pub(super) fn within<F: Future>(
        &self,
        future: F,
    ) -> impl Future<Output = Option<F::Output>> + use<F> {
        clock::within(self.remaining(), future)
    }
}

/// How connections speak HTTP.
pub(super) fn protocol(config: &EgressConfig) -> Builder {
    let mut builder = Builder::new();
    builder
        .preserve_header_case(true)
        .max_buf_size(config.response_head_max_bytes.max(BUFFER_BYTES_MIN))
        .max_header_size(config.response_head_max_bytes);
    builder
}

/// An open connection. Dropping it closes the socket at once, whatever the other side does: a
/// graceful end would wait for a peer that may be hostile.
pub(super) struct Connection {
    sender: SendRequest<UploadBody>,
    driver: Driver,
    /// What the connection ends with, until somebody has asked.
    end: Option<JoinHandle<hyper::Result<()>>>,
    /// The checked address that it goes to.
    pub(super) address: SocketAddr,
    opened: Stopwatch,
}

/// The task that moves the bytes; it ends with the connection.
struct Driver(AbortHandle);

impl Drop for Driver {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// What came of one request on a connection.
pub(super) enum Sent {
    /// An answer head, and the body to read.
    Answered(http::Response<Incoming>),
    /// The connection ended before a byte of the request was written: it may go over another one.
    Unsent(Box<Outgoing>, hyper::Error),
    /// The connection ended after that. The endpoint may have acted on the request.
    Broken(hyper::Error),
    /// No answer head came in time.
    OutOfTime,
}

impl Connection {
    /// Starts HTTP on the stream `io`, which is connected to `address`.
    pub(super) async fn start<S>(
        builder: &Builder,
        io: S,
        address: SocketAddr,
    ) -> hyper::Result<Self>
    where
        S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    {
        let (sender, connection) = builder.handshake(TokioIo::new(io)).await?;
        let task = tokio::spawn(connection);
        Ok(Self {
            sender,
            driver: Driver(task.abort_handle()),
            end: Some(task),
            address,
            opened: Stopwatch::start(),
        })
    }

    /// Sends `request` and waits for the head of its answer.
    pub(super) async fn send(&mut self, mut request: Outgoing, deadline: &Deadline) -> Sent {
        let answers = AtomicU32::new(0);
        let driver = self.driver.0.clone();
        on_informational(&mut request, move |_| {
            if answers.fetch_add(1, Ordering::Relaxed) >= INTERIM_ANSWERS_MAX {
                driver.abort();
            }
        });
        match deadline.within(self.sender.try_send_request(request)).await {
            None => Sent::OutOfTime,
            Some(Ok(answer)) => Sent::Answered(answer),
            Some(Err(mut error)) => match error.take_message() {
                Some(request) => {
                    Sent::Unsent(Box::new(request), self.cause(error.into_error()).await)
                }
                None => Sent::Broken(self.cause(error.into_error()).await),
            },
        }
    }

    /// Why a request failed with `error`: hyper only says that it was cancelled when the connection
    /// ended before it looked at the request, as where a TLS server wants another certificate.
    async fn cause(&mut self, error: hyper::Error) -> hyper::Error {
        if !error.is_canceled() || error.source().is_some() {
            return error;
        }
        let Some(end) = self.end.take() else { return error };
        match clock::within(SETTLE_MAX, end).await {
            Some(Ok(Err(cause))) => cause,
            _ => error,
        }
    }

    /// Whether a request can be sent now.
    pub(super) fn is_ready(&self) -> bool {
        self.sender.is_ready()
    }

    /// Waits until another request can be sent; `false` when that will not be.
    pub(super) async fn settle(&mut self) -> bool {
        matches!(clock::within(SETTLE_MAX, self.sender.ready()).await, Some(Ok(())))
    }

    /// How long it has been open.
    pub(super) fn age(&self) -> Duration {
        self.opened.elapsed()
    }
}

/// Reads an answer to its end, to `body_max` bytes of its body or to the deadline.
pub(super) async fn read(
    answer: http::Response<Incoming>,
    body_max: usize,
    deadline: &Deadline,
) -> Response {
    let (head, mut incoming) = answer.into_parts();
    let (status, headers) = (head.status.as_u16(), readable(&head.headers));
    // It holds the buffer that hyper read it into, and the body may be long in coming.
    drop(head);
    let mut body = Vec::new();
    let cut = loop {
        let Some(frame) = deadline.within(incoming.frame()).await else {
            break Some(Cut::OutOfTime);
        };
        match frame {
            None => break None,
            Some(Err(_)) => break Some(Cut::Broken),
            // Trailers are read, and of no interest.
            Some(Ok(frame)) => {
                let Some(data) = frame.data_ref() else {
                    continue;
                };
                let room = body_max - body.len();
                body.extend_from_slice(data.get(..room).unwrap_or(data));
                if data.len() > room {
                    break Some(Cut::TooLong);
                }
            }
        }
    };
    Response { status, headers, body: body.into(), cut, headers_cut: false }
}

/// Headers as text that harms nobody who prints it.
fn readable(headers: &HeaderMap) -> Vec<(String, String)> {
    headers
        .iter()
        .map(|(name, value)| {
            let text = String::from_utf8_lossy(value.as_bytes());
            (name.as_str().to_owned(), text.chars().map(visible).collect())
        })
        .collect()
}
