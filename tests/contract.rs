//! The description of the REST API is true: it is valid, whole, and each of its examples works.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]

#[path = "clients/python.rs"]
mod python;

use hookwheel::api::server::Server;
use hookwheel::config::ServeConfig;
use hookwheel::simulate::receiver::{Consumer, Receiver};
use hookwheel::telemetry::Prometheus;
use hookwheel::{
    ApplicationId, Clock, DeliveryId, Engine, NewAccessToken, NewApplication, NewEndpoint,
    NewEvent, NewEventType, Timestamp,
};
use reqwest::{Method, RequestBuilder, StatusCode, Url};
use serde_json::{Map, Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use std::process::Command;
use std::sync::OnceLock;
use tokio::task::JoinHandle;

/// The methods that paths have.
const METHODS: [Method; 5] =
    [Method::GET, Method::PUT, Method::POST, Method::PATCH, Method::DELETE];

fn description() -> Value {
    serde_json::from_str(&hookwheel::api::document()).unwrap()
}

/// What a path does with a method.
struct Operation {
    path: String,
    method: Method,
    told: Value,
}

impl Operation {
    fn parameters(&self) -> &[Value] {
        self.told["parameters"].as_array().map_or(&[], Vec::as_slice)
    }
}

fn operations(description: &Value) -> Vec<Operation> {
    let mut operations = Vec::new();
    for (path, item) in description["paths"].as_object().unwrap() {
        for (method, told) in item.as_object().unwrap() {
            let method = method.to_uppercase().parse().unwrap();
            operations.push(Operation { path: path.clone(), method, told: told.clone() });
        }
    }
    operations
}

#[test]
fn it_is_valid_openapi() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("openapi.json");
    fs::write(&file, hookwheel::api::document()).unwrap();
    let mut validator = Command::new(python::python());
    let validated = validator.args(["-m", "openapi_spec_validator"]).arg(file).output().unwrap();
    assert!(validated.status.success(), "{}", String::from_utf8_lossy(&validated.stdout));
    assert!(description()["openapi"].as_str().unwrap().starts_with("3.1."));
}

fn is_said(text: &Value) -> bool {
    text.as_str().is_some_and(|text| text.trim().len() > 1)
}

/// Names every member below `schema` of which nothing is said.
fn unsaid(name: &str, schema: &Value, found: &mut Vec<String>) {
    let Some(schema) = schema.as_object() else { return };
    for (member, told) in schema.get("properties").and_then(Value::as_object).into_iter().flatten()
    {
        let name = format!("{name}.{member}");
        // What can be null says it of the other choice.
        let choices = told["oneOf"].as_array().into_iter().flatten();
        // The mark that tells choices apart says itself which it is.
        let is_mark = told["enum"].as_array().is_some_and(|words| words.len() == 1);
        if !is_said(&told["description"])
            && !choices.map(|choice| &choice["description"]).any(is_said)
            && !is_mark
        {
            found.push(name.clone());
        }
        unsaid(&name, told, found);
    }
    for within in ["items", "additionalProperties"] {
        unsaid(name, schema.get(within).unwrap_or(&Value::Null), found);
    }
    for choices in ["allOf", "oneOf", "anyOf"] {
        for choice in schema.get(choices).and_then(Value::as_array).into_iter().flatten() {
            unsaid(name, choice, found);
        }
    }
}

#[test]
fn everything_in_it_is_explained() {
    let description = description();
    let mut ids = BTreeSet::new();
    let mut found = Vec::new();
    for operation in operations(&description) {
        let told = &operation.told;
        let id = told["operationId"].as_str().unwrap();
        assert!(ids.insert(id.to_owned()), "operation id {id} is there twice");
        assert!(is_said(&told["summary"]) && is_said(&told["tags"][0]), "{id}");
        let mut names = BTreeSet::new();
        for parameter in operation.parameters() {
            let name = format!("{id} {}", parameter["name"]);
            assert!(names.insert(name.clone()), "{name} is there twice");
            if !is_said(&parameter["description"]) {
                found.push(name);
            }
        }
        let braces = operation.path.matches('{').count();
        let in_path = operation.parameters().iter().filter(|held| held["in"] == "path");
        assert_eq!(in_path.count(), braces, "{id}");
    }
    for (name, schema) in description["components"]["schemas"].as_object().unwrap() {
        if !is_said(&schema["description"]) {
            found.push(name.clone());
        }
        unsaid(name, schema, &mut found);
    }
    assert!(found.is_empty(), "nothing is said of {found:#?}");
}

/// The text of every source file below `folder`.
fn sources(folder: &Path) -> String {
    let mut text = String::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            text.push_str(&sources(&path));
        } else {
            text.push_str(&fs::read_to_string(&path).unwrap());
        }
    }
    text
}

/// `routes!` puts a handler into the router and into the description at once. What is left to watch
/// are the ways around it.
#[test]
fn every_route_is_in_it() {
    let sources = sources(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src/api"));
    for way in [".route(", ".route_service(", ".nest(", ".nest_service(", ".fallback_service("] {
        assert!(!sources.contains(way), "`{way}` adds routes that the description does not have");
    }
    let handlers = sources.matches("#[utoipa::path(").count();
    assert_eq!(handlers, operations(&description()).len(), "a handler is in no `routes!`");
}

/// A served engine with what an operation needs, and its client.
struct Stage {
    engine: Engine,
    receiver: Receiver,
    url: String,
    token: String,
    served: JoinHandle<()>,
}

impl Stage {
    async fn new() -> Self {
        static PROMETHEUS: OnceLock<Prometheus> = OnceLock::new();
        let prometheus = PROMETHEUS.get_or_init(|| Prometheus::install().unwrap()).clone();
        // reqwest comes without TLS of its own; whoever is first says whose it uses.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let clock = Clock::manual(Timestamp::parse("2026-01-15T12:00:00Z").unwrap());
        let builder = Engine::builder().in_memory().development().clock(clock);
        let engine = builder.open().await.unwrap();
        let token = NewAccessToken { name: "all".to_owned(), ..NewAccessToken::default() };
        let (_, token) = engine.create_access_token(token).await.unwrap();
        let config = ServeConfig { listen: ([127, 0, 0, 1], 0).into(), ..ServeConfig::default() };
        let server = Server::bind(engine.clone(), &config, Some(prometheus)).await.unwrap();
        let url = server.url();
        let served = tokio::spawn(server.run(std::future::pending()));
        let receiver = Receiver::start(Consumer::Unchecked, "").await.unwrap();
        Self { engine, receiver, url, token: token.expose().to_owned(), served }
    }

    async fn end(self) {
        self.served.abort();
        self.engine.close().await.unwrap();
    }

    fn request(&self, method: &Method, path: &str) -> RequestBuilder {
        let url = Url::parse(&self.url).unwrap().join(path).unwrap();
        reqwest::Client::new().request(method.clone(), url).bearer_auth(&self.token)
    }

    /// Makes what the path names: the examples' own names where the platform gives them. The ids
    /// that the server gives are in the answer.
    async fn make_named(&self, path: &str) -> BTreeMap<&'static str, String> {
        let engine = &self.engine;
        let mut ids = BTreeMap::new();
        let names = |name: &str| path.contains(&format!("{{{name}}}"));
        if names("event_type_name") {
            let name = "order.created".to_owned();
            let new = NewEventType { name, ..NewEventType::default() };
            engine.create_event_type(new).await.unwrap();
        }
        if names("token_id") {
            let new = NewAccessToken { name: "other".to_owned(), ..NewAccessToken::default() };
            ids.insert("token_id", engine.create_access_token(new).await.unwrap().0.id.to_string());
        }
        if !names("app_id") && !names("task_id") {
            return ids;
        }
        let uid = Some("shop-1".to_owned());
        let new = NewApplication { uid, ..NewApplication::new("Shop") };
        let shop = engine.create_application(new).await.unwrap().id;
        let within = ["endpoint_id", "msg_id", "delivery_id", "task_id"];
        if within.into_iter().any(names) {
            self.make_delivery(shop, &mut ids).await;
        }
        ids
    }

    /// Makes the endpoint `main` of an application, the message `order-1` to it, and its recovery.
    async fn make_delivery(&self, shop: ApplicationId, ids: &mut BTreeMap<&'static str, String>) {
        let mut new = NewEndpoint::new(self.receiver.url());
        new.uid = Some("main".to_owned());
        let endpoint = self.engine.create_endpoint(shop, new).await.unwrap().endpoint.id;
        let mut outcomes = self.engine.outcomes();
        let mut order = NewEvent::new(shop, "order.created", &json!({"orderId": "ord_1"})).unwrap();
        order.uid = Some("order-1".to_owned());
        let event = self.engine.emit(order).await.unwrap().event;
        let attempt = outcomes.next().await.unwrap().attempt.id;
        let since = Timestamp::parse("2026-01-15T00:00:00Z").unwrap();
        let task = self.engine.start_recovery(endpoint, since, None).await.unwrap().id;
        ids.insert("attempt_id", attempt.to_string());
        ids.insert("delivery_id", DeliveryId { event, endpoint }.to_string());
        ids.insert("task_id", task.to_string());
    }
}

/// The example of a request body, in the operation or in the schema of what it takes.
fn body_example(description: &Value, operation: &Operation) -> Option<Value> {
    let content = operation.told["requestBody"]["content"].get("application/json")?;
    let schema = content["schema"]["$ref"].as_str().unwrap();
    let schema = description.pointer(schema.trim_start_matches('#')).unwrap();
    let example = content.get("example").or_else(|| schema.get("example"));
    Some(
        example
            .unwrap_or_else(|| panic!("{} has no example", operation.told["operationId"]))
            .clone(),
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn every_example_is_accepted() {
    let description = description();
    for operation in operations(&description) {
        let stage = Stage::new().await;
        let ids = stage.make_named(&operation.path).await;
        let mut path = operation.path.clone();
        let mut query = Map::new();
        for parameter in operation.parameters() {
            let name = parameter["name"].as_str().unwrap();
            let example = parameter["example"].as_str();
            match parameter["in"].as_str().unwrap() {
                "path" => {
                    let own = ids.get(name).map(String::as_str);
                    let value = own.or(example).unwrap_or_else(|| panic!("{path}: no {name}"));
                    path = path.replace(&format!("{{{name}}}"), value);
                }
                "query" => query.extend(example.map(|text| (name.to_owned(), text.into()))),
                _ => {}
            }
        }
        let mut request = stage.request(&operation.method, &path).query(&query);
        if let Some(body) = body_example(&description, &operation) {
            request = request.json(&body);
        }
        let answer = request.send().await.unwrap();
        let status = answer.status();
        let told = operation.told["responses"].get(status.as_str());
        let what = format!("{} {path}", operation.method);
        if !status.is_success() {
            panic!("{what}: {status} {}", answer.text().await.unwrap());
        }
        let content = told.unwrap_or_else(|| panic!("{what}: {status} is not described"));
        let content_type = answer.headers().get("content-type").map(|held| held.to_str().unwrap());
        let described = content["content"].as_object().and_then(|held| held.keys().next());
        assert_eq!(
            content_type.map(|held| held.split(';').next().unwrap()),
            described.map(String::as_str),
            "{what}"
        );
        // A live view would not end.
        drop(answer);
        stage.end().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_done_at_its_paths_but_what_is_described() {
    let description = description();
    let stage = Stage::new().await;
    for (path, item) in description["paths"].as_object().unwrap() {
        let has = |method: &Method| item.get(method.as_str().to_lowercase()).is_some();
        for method in METHODS.iter().filter(|method| !has(method)) {
            let answer = stage.request(method, &path.replace(['{', '}'], "")).send().await.unwrap();
            assert_eq!(answer.status(), StatusCode::METHOD_NOT_ALLOWED, "{method} {path}");
            let allowed = answer.headers()["allow"].to_str().unwrap();
            let mut allowed: BTreeSet<&str> = allowed.split(',').map(str::trim).collect();
            allowed.remove("HEAD");
            let described = METHODS.iter().filter(|method| has(method)).map(Method::as_str);
            assert_eq!(allowed, described.collect(), "{path}");
        }
    }
    stage.end().await;
}
