//! Exchanges over real sockets on loopback.

mod heads;
mod hostile;
mod lookups;
mod names;
mod oauth;
mod ranges;
mod reuse;
mod table;
mod tls;
mod wire;

use super::{Egress, Exchange, OutboundRequest, Upload};
use crate::config::EgressConfig;
use crate::model::{Failure, FailureKind, Response};
use bytes::Bytes;
use http::Method;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

const OK: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

fn development() -> EgressConfig {
    EgressConfig { development: true, ..EgressConfig::default() }
}

fn egress() -> Egress {
    Egress::new(&development()).unwrap()
}

fn post(url: impl Into<String>) -> OutboundRequest {
    OutboundRequest {
        method: Method::POST,
        url: url.into(),
        headers: vec![("Content-Type".to_owned(), "application/json".to_owned())],
        body: Bytes::from_static(b"{}"),
        timeout: Duration::from_secs(10),
        https_only: false,
        identity: None,
        upload: Upload::Whole,
        application: None,
    }
}

fn post_within(url: impl Into<String>, millis: u64) -> OutboundRequest {
    OutboundRequest { timeout: Duration::from_millis(millis), ..post(url) }
}

fn answered(exchange: Exchange) -> Response {
    exchange.result.unwrap()
}

fn failed(exchange: Exchange) -> Failure {
    exchange.result.unwrap_err()
}

/// A receiver on loopback that does with each connection what the test says.
struct Receiver {
    port: u16,
    accepted: Arc<AtomicUsize>,
}

impl Receiver {
    /// Serves each connection with `serve`, which gets the stream and the connection's number.
    async fn start<S, F>(serve: S) -> Self
    where
        S: Fn(TcpStream, usize) -> F + Send + 'static,
        F: Future<Output = ()> + Send + 'static,
    {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let accepted = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&accepted);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(stream, count.fetch_add(1, Ordering::SeqCst)));
            }
        });
        Self { port, accepted }
    }

    /// Reads one request a connection, writes `answer` and closes.
    async fn answering(answer: impl Into<Vec<u8>>) -> Self {
        let answer: Arc<[u8]> = answer.into().into();
        Self::start(move |mut stream, _| {
            let answer = Arc::clone(&answer);
            async move {
                read_request(&mut stream).await;
                let _ = stream.write_all(&answer).await;
            }
        })
        .await
    }

    /// Answers every request of every connection with `OK`.
    async fn honest() -> Self {
        Self::start(|mut stream, _| async move {
            while !read_request(&mut stream).await.is_empty() {
                stream.write_all(OK).await.unwrap();
            }
        })
        .await
    }

    fn url(&self) -> String {
        format!("http://127.0.0.1:{}/hooks", self.port)
    }

    fn connections(&self) -> usize {
        self.accepted.load(Ordering::SeqCst)
    }
}

/// Reads one request, head and body, as it is on the wire; empty at the end of the stream.
async fn read_request<S: AsyncRead + Unpin>(stream: &mut S) -> String {
    let mut bytes = Vec::new();
    let mut buffer = [0; 4096];
    loop {
        let text = String::from_utf8_lossy(&bytes).into_owned();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length = head
                .lines()
                .find_map(|line| line.strip_prefix("Content-Length: "))
                .map_or(0, |length| length.parse().unwrap());
            if body.len() >= length {
                return text;
            }
        }
        match stream.read(&mut buffer).await {
            Ok(read) if read > 0 => bytes.extend_from_slice(&buffer[..read]),
            _ => return String::new(),
        }
    }
}

/// Waits until the other side has closed its end.
async fn closed(stream: &mut TcpStream) {
    let mut buffer = [0; 4096];
    while stream.read(&mut buffer).await.is_ok_and(|read| read > 0) {}
}

/// Waits until `condition` holds.
async fn wait_until(condition: impl Fn() -> bool) {
    soon(async {
        while !condition() {
            tokio::task::yield_now().await;
        }
    })
    .await;
}

/// The result of `future`, which is about to come unless something is broken.
async fn soon<F: Future>(future: F) -> F::Output {
    crate::clock::within(Duration::from_secs(20), future)
        .await
        .expect("it should have happened by now")
}

fn assert_kind(failure: &Failure, kind: FailureKind) {
    assert_eq!(failure.kind, kind, "{failure}");
}
