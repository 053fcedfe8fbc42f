//! Bodies of requests to the API: every answer is one of ours, what is made can be read again, and the
//! data of a message comes back with its bytes.

use axum::Router;
use axum::body::{Body, to_bytes};
use hookwheel::config::ApiConfig;
use hookwheel::dispatch::Resolve;
use hookwheel::{
    Clock, Config, Engine, NewAccessToken, NewApplication, NewEndpoint, NewEventType, Timestamp,
};
use http::{Method, Request};
use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;
use std::cell::RefCell;
use std::io;
use std::net::IpAddr;
use std::sync::LazyLock;
use tokio::runtime::{Builder, Runtime};
use tower::ServiceExt;

/// Requests to one engine: what they make stays in it.
const REQUESTS: usize = 500;

/// What the paths end with of which each member can be read by its id.
const READABLE: [&str; 3] = ["/app", "/endpoint", "/msg"];

/// An operation that takes a body.
struct Operation {
    id: String,
    method: Method,
    /// With names in it that are there.
    path: String,
}

static OPERATIONS: LazyLock<Vec<Operation>> = LazyLock::new(|| {
    let document: Value = serde_json::from_str(&hookwheel::api::document()).expect("JSON");
    let mut operations = Vec::new();
    for (path, item) in document["paths"].as_object().expect("paths") {
        let path = path.replace("{app_id}", "shop").replace("{endpoint_id}", "main");
        let path = path.replace("{event_type_name}", "order.created").replace(['{', '}'], "");
        for (method, told) in item.as_object().expect("operations") {
            if told.get("requestBody").is_some() {
                operations.push(Operation {
                    id: told["operationId"].as_str().expect("an id").to_owned(),
                    method: method.to_uppercase().parse().expect("a method"),
                    path: path.clone(),
                });
            }
        }
    }
    operations
});

thread_local! {
    static STAGE: RefCell<Option<Stage>> = const { RefCell::new(None) };
}

/// Checks a body, which stands behind a line with the id of its operation. What is no such id stands
/// for one of them too, so that changes of it are not in vain.
pub fn check(data: &[u8]) {
    let Some(end) = data.iter().position(|byte| *byte == b'\n') else { return };
    let (id, body) = (&data[..end], &data[end + 1..]);
    let named = OPERATIONS.iter().find(|operation| operation.id.as_bytes() == id);
    let other = || &OPERATIONS[usize::from(id.first().copied().unwrap_or(0)) % OPERATIONS.len()];
    let operation = named.unwrap_or_else(other);
    STAGE.with_borrow_mut(|stage| {
        if stage.as_ref().is_none_or(|stage| stage.requests == REQUESTS) {
            if let Some(used) = stage.take() {
                used.end();
            }
            *stage = Some(Stage::new());
        }
        if let Some(stage) = stage {
            stage.ask(&operation.method, &operation.path, body);
        }
    });
}

/// Knows no name: nothing is ever connected to.
struct Nowhere;

#[async_trait::async_trait]
impl Resolve for Nowhere {
    async fn resolve(&self, _: &str) -> io::Result<Vec<IpAddr>> {
        Ok(Vec::new())
    }
}

struct Stage {
    runtime: Runtime,
    engine: Engine,
    router: Router,
    token: String,
    requests: usize,
}

impl Stage {
    fn new() -> Self {
        let runtime = Builder::new_current_thread().enable_all().build().expect("a runtime");
        let (engine, token) = runtime.block_on(async {
            let mut config = Config::default();
            // Nor to an address that a URL names.
            let everything = ["0.0.0.0/0", "::/0"].map(|network| network.parse().expect("one"));
            config.egress.deny = everything.to_vec();
            let clock = Clock::manual(Timestamp::from_millis(1_768_478_400_000));
            let builder = Engine::builder().in_memory().config(config).clock(clock);
            let engine = builder.resolver(Nowhere).open().await.expect("an engine");
            let mut shop = NewApplication::new("Shop");
            shop.uid = Some("shop".to_owned());
            let shop = engine.create_application(shop).await.expect("an application").id;
            let mut endpoint = NewEndpoint::new("https://receiver.example/hooks");
            endpoint.uid = Some("main".to_owned());
            engine.create_endpoint(shop, endpoint).await.expect("an endpoint");
            let name = "order.created".to_owned();
            let described = NewEventType { name, ..NewEventType::default() };
            engine.create_event_type(described).await.expect("an event type");
            let token = engine.create_access_token(NewAccessToken::default()).await;
            (engine, token.expect("a token").1.expose().to_owned())
        });
        let limits = ApiConfig {
            requests_per_second: 1_000_000,
            requests_burst: 1_000_000,
            ..ApiConfig::default()
        };
        let router = hookwheel::api::router(engine.clone(), &limits, "http://127.0.0.1");
        Self { runtime, engine, router, token, requests: 0 }
    }

    fn ask(&mut self, method: &Method, path: &str, body: &[u8]) {
        self.requests += 1;
        let (status, text) = self.answer(method, path, body);
        let what = || format!("{method} {path}: {status} {text}");
        if !(200..300).contains(&status) || text.is_empty() {
            return;
        }
        let told: Value = serde_json::from_str(&text).expect("answers are JSON");
        let made = told["id"].as_str().filter(|_| *method == Method::POST);
        if let Some(made) = made.filter(|_| READABLE.iter().any(|end| path.ends_with(end))) {
            let (status, read) = self.answer(&Method::GET, &format!("{path}/{made}"), b"");
            assert_eq!(status, 200, "{}, then {read}", what());
        }
        if path.ends_with("/shop/msg") {
            let sent: Message<'_> = serde_json::from_slice(body).expect("it was accepted");
            let raw = sent.payload.get();
            assert!(sent.raw.is_some() || text.contains(raw), "{raw} became {}", what());
        }
    }

    /// Status and text of an answer, which has one of our forms.
    fn answer(&self, method: &Method, path: &str, body: &[u8]) -> (u16, String) {
        let request = Request::builder().method(method).uri(path);
        let request = request.header("authorization", format!("Bearer {}", self.token));
        let request = request.body(Body::from(body.to_vec())).expect("a request");
        let router = self.router.clone();
        let (status, answer) = self.runtime.block_on(async {
            let Ok(response) = router.oneshot(request).await;
            let status = response.status().as_u16();
            (status, to_bytes(response.into_body(), usize::MAX).await.expect("a whole answer"))
        });
        let text = String::from_utf8(answer.to_vec()).expect("answers are text");
        assert!(status < 500, "{method} {path}: {status} {text}");
        let is_told = status < 400 || is_refusal(&text);
        assert!(is_told, "{method} {path}: {status} {text}");
        (status, text)
    }

    fn end(self) {
        self.runtime.block_on(self.engine.close()).expect("it closes");
    }
}

/// Whether `text` says what was wrong, as a word and a sentence or as a list of faults with their places.
fn is_refusal(text: &str) -> bool {
    let Ok(told) = serde_json::from_str::<Value>(text) else { return false };
    let is_fault = |fault: &Value| {
        fault["loc"].is_array() && fault["msg"].is_string() && fault["type"].is_string()
    };
    match &told["detail"] {
        Value::String(sentence) => !sentence.is_empty() && told["code"].is_string(),
        Value::Array(faults) => !faults.is_empty() && faults.iter().all(is_fault),
        _ => false,
    }
}

/// A message, as far as its data goes.
#[derive(Deserialize)]
struct Message<'a> {
    #[serde(borrow, alias = "data")]
    payload: &'a RawValue,
    #[serde(borrow, rename = "transformationsParams")]
    raw: Option<&'a RawValue>,
}
