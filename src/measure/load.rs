//! A client that does nothing but post: the floor that engines are measured against, and those who
//! call the API.

use super::sink::SECRET;
use crate::error::{Error, Result};
use bytes::Bytes;
use hmac::{Hmac, KeyInit, Mac};
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use sha2::Sha256;
use std::net::SocketAddr;
use std::ops::Range;
use std::sync::Arc;
use tokio::net::TcpStream;
use tokio::task::JoinSet;

/// Connections of the floor's client, and of an endpoint that is served alone.
pub(super) const CONNECTIONS: u32 = 64;
/// Bytes of a floor's body, and of an event's data.
pub(super) const BODY_BYTES: usize = 400;

/// What is posted.
pub(super) type Post = Request<Full<Bytes>>;

/// A connection.
pub(super) struct Client(SendRequest<Full<Bytes>>);

impl Client {
    /// Connects.
    #[allow(clippy::disallowed_methods, reason = "a measuring client, which sends no webhook")]
    pub(super) async fn connect(address: SocketAddr) -> Result<Self> {
        let failed = |error: std::io::Error| {
            Error::unavailable(format!("cannot connect to {address}: {error}")).with_source(error)
        };
        let stream = TcpStream::connect(address).await.map_err(failed)?;
        stream.set_nodelay(true).map_err(failed)?;
        let (sender, connection) = handshake(TokioIo::new(stream)).await.map_err(lost)?;
        tokio::spawn(connection);
        Ok(Self(sender))
    }

    /// Posts, and reads the answer to its end.
    pub(super) async fn send(&mut self, request: Post) -> Result<Response<Bytes>> {
        self.0.ready().await.map_err(lost)?;
        let (head, body) = self.0.send_request(request).await.map_err(lost)?.into_parts();
        let body = body.collect().await.map_err(lost)?.to_bytes();
        if !head.status.is_success() {
            let text = String::from_utf8_lossy(&body);
            return Err(Error::internal(format!("a request was answered {}: {text}", head.status)));
        }
        Ok(Response::from_parts(head, body))
    }
}

fn lost(error: hyper::Error) -> Error {
    Error::internal(format!("a request of the measure failed: {error}")).with_source(error)
}

/// Posts what `make` makes of each number, over so many connections at once.
pub(super) async fn post_all(
    address: SocketAddr,
    connections: u32,
    numbers: Range<u32>,
    make: impl Fn(u32) -> Result<Post> + Send + Sync + 'static,
) -> Result<()> {
    let make = Arc::new(make);
    let mut posting = JoinSet::new();
    for first in numbers.clone().take(connections as usize) {
        let (make, end) = (Arc::clone(&make), numbers.end);
        posting.spawn(async move {
            let mut client = Client::connect(address).await?;
            for number in (first..end).step_by(connections as usize) {
                client.send(make(number)?).await?;
            }
            Ok(())
        });
    }
    all(posting).await.map(drop)
}

/// Waits for all tasks.
pub(super) async fn all<T: 'static>(mut tasks: JoinSet<Result<T>>) -> Result<Vec<T>> {
    let mut done = Vec::with_capacity(tasks.len());
    while let Some(ended) = tasks.join_next().await {
        done.push(ended.map_err(|error| {
            Error::internal("a task of the measure ended early").with_source(error)
        })??);
    }
    Ok(done)
}

/// A body that carries a number and is [`BODY_BYTES`] long.
pub(super) fn body(number: u32) -> String {
    let begin = format!("{{\"number\":{number},\"note\":\"");
    let rest = BODY_BYTES.saturating_sub(begin.len() + 2);
    format!("{begin}{:x<rest$}\"}}", "")
}

/// What a plain client posts to the sink: signed, and nothing more than that.
pub(super) fn signed(address: SocketAddr) -> impl Fn(u32) -> Result<Post> + Send + Sync + 'static {
    let host = address.to_string();
    move |number| {
        let body = body(number);
        let mut mac = Hmac::<Sha256>::new_from_slice(SECRET.as_bytes())
            .map_err(|error| Error::internal("the sink's secret is no key").with_source(error))?;
        mac.update(body.as_bytes());
        let signature = mac.finalize().into_bytes();
        let signature: String = signature.iter().map(|byte| format!("{byte:02x}")).collect();
        let request = Request::post("/floor")
            .header("host", &host)
            .header("content-type", "application/json")
            .header("x-tn-signature", signature);
        built(request.body(Full::from(body)))
    }
}

/// A request that was put together.
pub(super) fn built(request: http::Result<Post>) -> Result<Post> {
    request.map_err(|error| Error::internal("a request cannot be made").with_source(error))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bodies_are_json_of_one_length() {
        for number in [0, 7, u32::MAX] {
            let body = body(number);
            let value: serde_json::Value = serde_json::from_str(&body).unwrap();
            assert_eq!((body.len(), value["number"].as_u64()), (BODY_BYTES, Some(number.into())));
        }
    }
}
