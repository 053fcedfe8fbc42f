//! A served engine, a client of it, and questions to its answers.

use hookwheel::api::server::Server;
use hookwheel::config::ServeConfig;
use hookwheel::telemetry::Prometheus;
use hookwheel::{Clock, Engine, NewAccessToken, NewApplication, Timestamp};
use reqwest::header::HeaderMap;
use reqwest::{Method, RequestBuilder};
use serde_json::{Value, json};
use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

/// How long something that is about to happen may take at most, in real time.
const SOON: Duration = Duration::from_secs(30);

/// An engine in memory that is served on a free port of 127.0.0.1. Dropping it stops it.
pub struct Service {
    pub engine: Engine,
    /// Moved by hand.
    pub clock: Clock,
    pub address: SocketAddr,
    pub url: String,
    stop: Option<oneshot::Sender<()>>,
    served: JoinHandle<()>,
}

/// A service for local endpoints, with the default limits.
pub async fn service() -> Service {
    service_with(|_| {}).await
}

/// A service for local endpoints, configured as `set_up` says.
pub async fn service_with(set_up: impl FnOnce(&mut ServeConfig)) -> Service {
    measured_service(set_up, None).await
}

/// The same with metrics.
pub async fn measured_service(
    set_up: impl FnOnce(&mut ServeConfig),
    prometheus: Option<Prometheus>,
) -> Service {
    // reqwest comes without TLS of its own; whoever is first says whose it uses.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let mut config = ServeConfig { listen: ([127, 0, 0, 1], 0).into(), ..ServeConfig::default() };
    config.engine.egress.development = true;
    set_up(&mut config);
    let clock = Clock::manual(Timestamp::parse("2026-01-15T12:00:00Z").unwrap());
    let builder = Engine::builder().in_memory().config(config.engine.clone());
    let engine = builder.clock(clock.clone()).open().await.unwrap();
    serve(engine, clock, &config, prometheus).await
}

/// A service for local endpoints on the data in a folder, once whoever had it has let go.
pub async fn service_in(folder: &Path) -> Service {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let config = ServeConfig { listen: ([127, 0, 0, 1], 0).into(), ..ServeConfig::default() };
    let clock = Clock::manual(Timestamp::parse("2026-01-15T12:00:00Z").unwrap());
    let open = async || {
        let builder = Engine::builder().data_folder(folder.join("data")).development();
        builder.clock(clock.clone()).open().await
    };
    let engine = soon(async {
        loop {
            match open().await {
                Err(error) if error.is_in_use() => {}
                opened => return opened.unwrap(),
            }
        }
    });
    let engine = engine.await;
    serve(engine, clock, &config, None).await
}

async fn serve(
    engine: Engine,
    clock: Clock,
    config: &ServeConfig,
    prometheus: Option<Prometheus>,
) -> Service {
    let server = Server::bind(engine.clone(), config, prometheus).await.unwrap();
    let (address, url) = (server.address(), server.url());
    let (stop, stopped) = oneshot::channel();
    let served = tokio::spawn(server.run(async { drop(stopped.await) }));
    Service { engine, clock, address, url, stop: Some(stop), served }
}

impl Service {
    /// A client with a new token, made as `token` says.
    pub async fn client_of(&self, token: NewAccessToken) -> Client {
        let (_, text) = self.engine.create_access_token(token).await.unwrap();
        self.client_with(text.expose())
    }

    /// A client that may do everything.
    pub async fn client(&self) -> Client {
        self.client_of(NewAccessToken { name: "tests".into(), ..NewAccessToken::default() }).await
    }

    /// A client that sends this token.
    pub fn client_with(&self, token: &str) -> Client {
        Client { token: Some(token.to_owned()), ..self.stranger() }
    }

    /// A client without a token.
    pub fn stranger(&self) -> Client {
        Client { http: reqwest::Client::new(), url: self.url.clone(), token: None }
    }

    /// A client that may do everything, and an application `shop` for it to work with.
    pub async fn shop(&self) -> Client {
        let mut shop = NewApplication::new("Shop");
        shop.uid = Some("shop".into());
        self.engine.create_application(shop).await.unwrap();
        self.client().await
    }

    /// A connection to it, for what a client library would not send.
    #[allow(clippy::disallowed_methods, reason = "the ban is on the engine's own sockets")]
    pub async fn connect(&self) -> TcpStream {
        soon(TcpStream::connect(self.address)).await.unwrap()
    }

    /// Moves the clock, and waits for what fell due.
    pub async fn advance(&self, by: Duration) {
        self.clock.advance(by);
        self.engine.settle().await;
    }

    /// Tells the server to stop; what is in flight goes on.
    pub fn stop(&mut self) {
        let _ = self.stop.take().unwrap().send(());
    }

    /// Waits until the server has stopped.
    pub async fn stopped(&mut self) {
        soon(&mut self.served).await.unwrap();
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        self.served.abort();
    }
}

/// A client of a service.
#[derive(Clone)]
pub struct Client {
    pub http: reqwest::Client,
    pub url: String,
    pub token: Option<String>,
}

impl Client {
    /// A request of a path of the API, like `/app`, or of the server, like `/health/live`.
    pub fn request(&self, method: Method, path: &str) -> RequestBuilder {
        let is_of_server = ["/health/", "/metrics", "/docs", "/api/"];
        let is_of_server = is_of_server.iter().any(|begin| path.starts_with(begin));
        let prefix = if is_of_server { "" } else { "/api/v1" };
        let request = self.http.request(method, format!("{}{prefix}{path}", self.url));
        match &self.token {
            Some(token) => request.bearer_auth(token),
            None => request,
        }
    }

    pub async fn get(&self, path: &str) -> Answer {
        answer(self.request(Method::GET, path)).await
    }

    pub async fn post(&self, path: &str, json: Value) -> Answer {
        answer(self.request(Method::POST, path).json(&json)).await
    }

    pub async fn put(&self, path: &str, json: Value) -> Answer {
        answer(self.request(Method::PUT, path).json(&json)).await
    }

    pub async fn patch(&self, path: &str, json: Value) -> Answer {
        answer(self.request(Method::PATCH, path).json(&json)).await
    }

    pub async fn delete(&self, path: &str) -> Answer {
        answer(self.request(Method::DELETE, path)).await
    }

    /// Sends a body as it is, as JSON.
    pub async fn send_text(&self, method: Method, path: &str, body: &str) -> Answer {
        let request = self.request(method, path).header("content-type", "application/json");
        answer(request.body(body.to_owned())).await
    }
}

/// What came back.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub headers: HeaderMap,
    /// Null where the body is no JSON.
    pub json: Value,
    pub text: String,
}

/// Sends a request.
pub async fn answer(request: RequestBuilder) -> Answer {
    let response = soon(request.send()).await.unwrap();
    let (status, headers) = (response.status().as_u16(), response.headers().clone());
    let text = soon(response.text()).await.unwrap();
    Answer { status, headers, json: serde_json::from_str(&text).unwrap_or_default(), text }
}

impl Answer {
    /// The body of an answer with that status.
    #[track_caller]
    pub fn ok(self, status: u16) -> Value {
        assert_eq!(self.status, status, "{}", self.text);
        self.json
    }

    /// That nothing but the status came back.
    #[track_caller]
    pub fn is_empty(&self, status: u16) {
        assert_eq!((self.status, self.text.as_str()), (status, ""));
    }

    /// The sentence of an error with that status and word, and no other member.
    #[track_caller]
    pub fn refused(&self, status: u16, code: &str) -> &str {
        assert_eq!(self.status, status, "{}", self.text);
        assert_eq!(members(&self.json), ["code", "detail"], "{}", self.text);
        assert_eq!(self.json["code"], code, "{}", self.text);
        self.json["detail"].as_str().unwrap()
    }

    /// The sentence about the one fault of a request, at that place: `["body", "name"]`.
    #[track_caller]
    pub fn fault(&self, loc: &[&str]) -> &str {
        assert_eq!(self.status, 422, "{}", self.text);
        assert_eq!(members(&self.json), ["detail"], "{}", self.text);
        assert_eq!(self.json["detail"].as_array().unwrap().len(), 1, "{}", self.text);
        let fault = &self.json["detail"][0];
        assert_eq!(members(fault), ["loc", "msg", "type"], "{}", self.text);
        assert_eq!(fault["loc"], json!(loc), "{}", self.text);
        assert_eq!(fault["type"], "value_error");
        fault["msg"].as_str().unwrap()
    }
}

/// The names of an object's members, in order.
pub fn members(object: &Value) -> Vec<&str> {
    let mut names: Vec<&str> = object.as_object().unwrap().keys().map(String::as_str).collect();
    names.sort_unstable();
    names
}

/// A member of each item of a listing.
pub fn each<'a>(listing: &'a Value, member: &str) -> Vec<&'a str> {
    let items = listing["data"].as_array().unwrap().iter();
    items.map(|item| item[member].as_str().unwrap()).collect()
}

/// The result of `future`, which is about to come unless something is broken.
pub async fn soon<F: Future>(future: F) -> F::Output {
    hookwheel::clock::within(SOON, future).await.expect("it should have happened by now")
}
