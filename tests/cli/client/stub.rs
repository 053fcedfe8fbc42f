//! A server of canned answers, which remembers what it was asked.

use super::TOKEN;
use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, Method, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use serde_json::Value;
use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex};

/// What was asked.
#[derive(Clone, Debug)]
pub struct Asked {
    /// Method, path and query, like `GET /app?limit=250`.
    pub what: String,
    pub body: Bytes,
}

impl Asked {
    /// The body as JSON.
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }
}

type Answers = HashMap<String, VecDeque<(u16, &'static str, String)>>;

#[derive(Clone, Default)]
struct Memory {
    asked: Arc<Mutex<Vec<Asked>>>,
    answers: Arc<Mutex<Answers>>,
}

pub struct Stub {
    address: std::net::SocketAddr,
    memory: Memory,
}

impl Stub {
    pub async fn start() -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (address, memory) = (listener.local_addr().unwrap(), Memory::default());
        let router = Router::new().fallback(answer).with_state(memory.clone());
        tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self { address, memory }
    }

    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Answers one request for `what`, like `GET /app`, with a status and JSON.
    pub fn on(&self, what: &str, status: u16, body: Value) -> &Self {
        let body = if body.is_null() { String::new() } else { body.to_string() };
        self.on_text(what, status, "application/json", body)
    }

    /// Answers one request with text of some type.
    pub fn on_text(
        &self,
        what: &str,
        status: u16,
        content_type: &'static str,
        body: String,
    ) -> &Self {
        let mut answers = self.memory.answers.lock().unwrap();
        answers.entry(what.to_owned()).or_default().push_back((status, content_type, body));
        drop(answers);
        self
    }

    /// What it was asked, in order.
    pub fn asked(&self) -> Vec<Asked> {
        self.memory.asked.lock().unwrap().clone()
    }

    /// What it was asked, as lines like `GET /app?limit=250`.
    pub fn lines(&self) -> Vec<String> {
        self.asked().into_iter().map(|asked| asked.what).collect()
    }
}

async fn answer(
    State(memory): State<Memory>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let authorization = headers.get(header::AUTHORIZATION);
    assert_eq!(authorization.unwrap(), &format!("Bearer {TOKEN}"));
    let line = |path: &str| format!("{method} {}", path.strip_prefix("/api/v1").unwrap());
    let (what, key) = (line(&uri.to_string()), line(uri.path()));
    memory.asked.lock().unwrap().push(Asked { what, body });
    let found = memory.answers.lock().unwrap().get_mut(&key).and_then(VecDeque::pop_front);
    let Some((status, content_type, body)) = found else {
        return (StatusCode::IM_A_TEAPOT, format!("nothing is prepared for {key}")).into_response();
    };
    let status = StatusCode::from_u16(status).unwrap();
    (status, [(header::CONTENT_TYPE, content_type)], body).into_response()
}
