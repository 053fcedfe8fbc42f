//! The provider fronts over real HTTP, as an integrator's own code calls them.

mod gocardless;
mod listing;
mod scenarios;
mod yoco;

use crate::common::{Bench, soon};
use hookwheel::ApplicationId;
use hookwheel::simulate::fronts::{self, FrontsConfig};
use reqwest::{Method, RequestBuilder, Response, StatusCode};
use serde_json::Value;
use std::net::SocketAddr;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

/// The fronts of a bench's engine, listening.
pub struct Fronts {
    address: SocketAddr,
    client: reqwest::Client,
    stop: oneshot::Sender<()>,
    served: JoinHandle<hookwheel::Result<()>>,
}

impl Bench {
    /// Serves the fronts of this engine.
    pub async fn fronts(&self, config: FrontsConfig) -> Fronts {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (stop, stopped) = oneshot::channel::<()>();
        let shutdown = async {
            let _ = stopped.await;
        };
        let served = fronts::serve(self.engine.clone(), config, listener, shutdown);
        // reqwest comes without TLS of its own; whoever is first says whose it uses.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let client = reqwest::Client::new();
        Fronts { address, client, stop, served: tokio::spawn(served) }
    }
}

impl Fronts {
    /// A request as anybody can make it.
    pub fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.client.request(method, format!("http://{}{path}", self.address))
    }
}

/// What came back.
pub struct Answer {
    pub status: StatusCode,
    /// The application that the answer names.
    pub application: Option<ApplicationId>,
    /// `Null` for an empty body.
    pub body: Value,
}

impl Answer {
    async fn of(response: Response) -> Self {
        let status = response.status();
        let named = response.headers().get("hookwheel-application");
        let application = named.map(|id| id.to_str().unwrap().parse().unwrap());
        let text = response.text().await.unwrap();
        let body = match text.as_str() {
            "" => Value::Null,
            text => serde_json::from_str(text).unwrap_or_else(|_| panic!("not JSON: {text}")),
        };
        Self { status, application, body }
    }
}

/// Sends a request and reads the answer.
pub async fn answer(request: RequestBuilder) -> Answer {
    Answer::of(soon(request.send()).await.unwrap()).await
}

#[tokio::test(flavor = "multi_thread")]
async fn unknown_paths_are_answered_in_the_words_of_whose_they_would_be() {
    let bench = crate::common::bench().await;
    let fronts = bench.fronts(FrontsConfig::default()).await;
    let of_yoco = answer(fronts.request(Method::GET, "/api/checkouts")).await;
    assert_eq!(of_yoco.status, StatusCode::NOT_FOUND);
    assert_eq!(of_yoco.body["message"], "no such path");
    let of_gocardless = answer(fronts.request(Method::GET, "/customers")).await;
    assert_eq!(of_gocardless.status, StatusCode::NOT_FOUND);
    assert_eq!(of_gocardless.body["error"]["errors"][0]["reason"], "not_found");
}

#[tokio::test(flavor = "multi_thread")]
async fn one_connection_more_than_allowed_waits_for_its_turn() {
    let bench = crate::common::bench().await;
    let config = FrontsConfig { connections_max: 1, ..FrontsConfig::default() };
    let fronts = bench.fronts(config).await;
    let mut first = Held::open(fronts.address).await;
    first.exchange().await;
    let second = tokio::spawn(answer(fronts.request(Method::GET, "/webhooks")));
    for _ in 0..50 {
        first.exchange().await;
    }
    assert!(!second.is_finished(), "the only place is taken");
    drop(first);
    assert_eq!(soon(second).await.unwrap().status, StatusCode::UNAUTHORIZED);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_says_nothing_or_trickles_is_let_go() {
    let bench = crate::common::bench().await;
    let config = FrontsConfig { request_seconds: 1, ..FrontsConfig::default() };
    let fronts = bench.fronts(config).await;
    let mut silent = Held::open(fronts.address).await;
    let mut trickling = Held::open(fronts.address).await;
    let head = "POST /api/webhooks HTTP/1.1\r\nHost: front\r\nContent-Length: 100\r\n\
                Authorization: Bearer sk_test_1\r\n\r\n{";
    trickling.0.write_all(head.as_bytes()).await.unwrap();
    let mut answer = String::new();
    soon(trickling.0.read_line(&mut answer)).await.unwrap();
    assert_eq!(answer.trim_end(), "HTTP/1.1 408 Request Timeout");
    soon(silent.0.read_to_end(&mut Vec::new())).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
#[expect(clippy::disallowed_methods, reason = "to a listener of this test")]
async fn who_reads_no_answer_is_let_go() {
    let bench = crate::common::bench().await;
    let config = FrontsConfig { request_seconds: 1, ..FrontsConfig::default() };
    let fronts = bench.fronts(config).await;
    // Little is kept on this side, and on the other some thousand answers.
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(4096).unwrap();
    let mut silent = soon(socket.connect(fronts.address)).await.unwrap();
    let requests = b"GET /webhooks HTTP/1.1\r\nHost: front\r\n\r\n".repeat(1000);
    soon(async { while silent.write_all(&requests).await.is_ok() {} }).await;
}

/// A connection that stays open from one request to the next.
struct Held(BufReader<TcpStream>);

impl Held {
    #[expect(clippy::disallowed_methods, reason = "to a listener of this test")]
    async fn open(address: SocketAddr) -> Self {
        Self(BufReader::new(TcpStream::connect(address).await.unwrap()))
    }

    async fn exchange(&mut self) {
        self.0.write_all(b"GET /webhooks HTTP/1.1\r\nHost: front\r\n\r\n").await.unwrap();
        let mut answer = Vec::new();
        // The end of an error's body, which is JSON on one line.
        while !answer.ends_with(b"}}") {
            assert_ne!(soon(self.0.read_until(b'}', &mut answer)).await.unwrap(), 0);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stopped_listener_ends_and_its_port_is_free() {
    let bench = crate::common::bench().await;
    let fronts = bench.fronts(FrontsConfig::default()).await;
    assert_eq!(answer(fronts.request(Method::GET, "/webhooks")).await.status, 401);
    fronts.stop.send(()).unwrap();
    soon(fronts.served).await.unwrap().unwrap();
    TcpListener::bind(fronts.address).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn settings_that_cannot_work_are_refused_before_anything_is_served() {
    let bench = crate::common::bench().await;
    let config = FrontsConfig { tenants_max: 0, ..FrontsConfig::default() };
    let fronts = bench.fronts(config).await;
    let error = soon(fronts.served).await.unwrap().unwrap_err();
    assert!(error.is_invalid() && error.to_string().contains("`tenants_max`"), "{error}");
}
