//! A small HTTP server around a consumer.

use crate::consumer::Consumer;
use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, Method, Request as HttpRequest, Response, StatusCode};
use bytes::Bytes;
use std::net::SocketAddr;
use std::sync::Arc;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

/// Larger than whatever a provider sends.
const BODY_MAX: usize = 4 << 20;

/// What came in.
pub struct Request {
    pub method: Method,
    pub query: String,
    pub headers: HeaderMap,
    pub body: Bytes,
}

impl Request {
    /// A header's value; `None` when it is missing or no text.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }
}

/// What goes back.
#[derive(Debug, PartialEq, Eq)]
pub struct Answer {
    pub status: u16,
    pub header: Option<(&'static str, String)>,
    pub body: String,
}

impl Answer {
    /// An answer with nothing in it.
    pub fn status(status: u16) -> Self {
        Self { status, header: None, body: String::new() }
    }
}

/// A consumer that listens, until it is dropped.
pub struct Server {
    address: SocketAddr,
    task: JoinHandle<()>,
}

impl Server {
    /// Starts `consumer` on a free port of this machine.
    pub async fn start(consumer: Consumer) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let app = axum::Router::new().fallback(serve).with_state(Arc::new(consumer));
        let task = tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
        Self { address, task }
    }

    /// Where it takes webhooks.
    pub fn url(&self) -> String {
        format!("http://{}/webhooks", self.address)
    }

    /// Where it tells how much it has done.
    pub fn effects_url(&self) -> String {
        format!("http://{}/effects", self.address)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn serve(
    State(consumer): State<Arc<Consumer>>,
    request: HttpRequest<Body>,
) -> Response<Body> {
    let (head, body) = request.into_parts();
    if head.uri.path() == "/effects" {
        return Response::new(Body::from(consumer.effects().to_string()));
    }
    let Ok(body) = axum::body::to_bytes(body, BODY_MAX).await else {
        let mut response = Response::new(Body::empty());
        *response.status_mut() = StatusCode::PAYLOAD_TOO_LARGE;
        return response;
    };
    let request = Request {
        method: head.method,
        query: head.uri.query().unwrap_or_default().to_owned(),
        headers: head.headers,
        body,
    };
    let answer = Consumer::serve(&consumer, request).await;
    let mut response = Response::builder().status(answer.status);
    if let Some((name, value)) = answer.header {
        response = response.header(name, value);
    }
    response.body(Body::from(answer.body)).unwrap()
}
