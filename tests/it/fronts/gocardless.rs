//! GoCardless: webhooks shown and retried, and errors in its words.

use super::{Answer, Fronts, answer};
use crate::common::{Bench, bench, posts};
use hookwheel::simulate::fronts::{FrontsConfig, GoCardlessEndpoint};
use hookwheel::simulate::receiver::{self, Consumer, Receiver};
use hookwheel::{ApplicationId, NewEndpoint, NewEvent, Secret};
use reqwest::{Method, RequestBuilder, StatusCode};
use serde_json::{Value, json};

pub const TOKEN: &str = "sandbox_fFzxMBVN1Rx0YIr9";
const SECRET: &str = "0f1e2d3c4b5a69788796a5b4c3d2e1f0";

impl Fronts {
    /// A request of GoCardless' API, as its client libraries send it.
    pub fn gocardless(&self, token: &str, method: Method, path: &str) -> RequestBuilder {
        self.request(method, path).bearer_auth(token).header("GoCardless-Version", "2015-07-06")
    }

    pub async fn get(&self, path: &str) -> Answer {
        answer(self.gocardless(TOKEN, Method::GET, path)).await
    }

    async fn retry(&self, id: &str) -> Answer {
        let path = format!("/webhooks/{id}/actions/retry");
        answer(self.gocardless(TOKEN, Method::POST, &path).json(&Value::Null)).await
    }
}

/// Fronts whose organisations' webhooks go to the receiver.
pub async fn shop(bench: &Bench) -> (Fronts, Receiver, ApplicationId) {
    let receiver = bench.listen(Consumer::GoCardless).await;
    receiver.set_secret(SECRET);
    let fronts = bench.fronts(endpoint(&receiver.url(), SECRET)).await;
    let application = fronts.get("/webhooks").await.application.unwrap();
    (fronts, receiver, application)
}

fn endpoint(url: &str, secret: &str) -> FrontsConfig {
    let endpoint = GoCardlessEndpoint { url: url.to_owned(), secret: Secret::new(secret) };
    FrontsConfig { gocardless_endpoint: Some(endpoint), ..FrontsConfig::default() }
}

/// Emits cancelled mandates in one batch, and waits until their webhook was sent.
pub async fn cancelled(bench: &Bench, application: ApplicationId, mandates: &[&str]) {
    let event = |mandate: &&str| {
        let data = json!({"links": {"mandate": mandate}});
        NewEvent::new(application, "mandates.cancelled", &data).unwrap()
    };
    bench.engine.emit_batch(mandates.iter().map(event).collect()).await.unwrap();
    bench.engine.settle().await;
}

/// Asserts that an answer is an error of this kind.
pub fn assert_problem(answer: &Answer, status: u16, kind: &str, reason: &str) {
    let error = &answer.body["error"];
    assert_eq!(answer.status.as_u16(), status, "{}", answer.body);
    assert_eq!((&error["code"], &error["type"]), (&json!(status), &json!(kind)), "{error}");
    let url = error["documentation_url"].as_str().unwrap();
    assert!(url.starts_with("https://developer.gocardless.com/api-reference#"), "{url}");
    assert!(!error["request_id"].as_str().unwrap().is_empty());
    assert!(!error["message"].as_str().unwrap().is_empty());
    let detail = &error["errors"][0];
    match kind {
        "validation_failed" => {
            assert_eq!(detail["field"], reason, "{error}");
            let pointer = detail["request_pointer"].as_str().unwrap();
            assert!(pointer.starts_with('/'), "{error}");
        }
        _ => assert_eq!(detail["reason"], reason, "{error}"),
    }
    assert!(detail["message"].is_string());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_webhook_is_shown_with_what_was_sent_and_what_came_back() {
    let bench = bench().await;
    let (fronts, receiver, application) = shop(&bench).await;
    let answer = receiver::Answer::status(200).body("thanks").header("X-Powered-By", "shop");
    receiver.answer_next([answer]);
    cancelled(&bench, application, &["MD1", "MD2"]).await;
    let sent = posts(&receiver).remove(0);
    assert!(sent.verdict.is_accepted(), "{:?}", sent.verdict);
    let listed = fronts.get("/webhooks").await.body["webhooks"][0].take();
    let id = listed["id"].as_str().unwrap();
    let shown = fronts.get(&format!("/webhooks/{id}")).await;
    assert_eq!(shown.status, StatusCode::OK);
    let webhook = &shown.body["webhooks"];
    assert_eq!(*webhook, listed, "as it is listed");

    let body: Value = serde_json::from_str(webhook["request_body"].as_str().unwrap()).unwrap();
    assert_eq!(body["meta"]["webhook_id"], id);
    assert_eq!(webhook["request_body"].as_str().unwrap().as_bytes(), sent.body);
    let headers = &webhook["request_headers"];
    assert_eq!(headers["User-Agent"], "gocardless-webhook-service/1.1");
    assert_eq!(headers["Webhook-Signature"], sent.header("Webhook-Signature").unwrap());
    assert_eq!(webhook["url"], receiver.url());
    assert_eq!(webhook["created_at"], "2026-01-15T12:00:00.000Z");
    assert_eq!(webhook["response_headers"]["x-powered-by"], "shop");
    for (field, value) in [
        ("is_test", json!(false)),
        ("successful", json!(true)),
        ("response_code", json!(200)),
        ("response_body", json!("thanks")),
        ("response_body_truncated", json!(false)),
        ("response_headers_content_truncated", json!(false)),
        ("response_headers_count_truncated", json!(false)),
    ] {
        assert_eq!(webhook[field], value, "{field}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failed_webhook_is_retried_and_stays_the_same() {
    let bench = bench().await;
    let (fronts, receiver, application) = shop(&bench).await;
    receiver.answer_next([receiver::Answer::close()]);
    cancelled(&bench, application, &["MD1"]).await;
    let failed = fronts.get("/webhooks?successful=false").await.body["webhooks"][0].take();
    assert_eq!(failed["successful"], false);
    for field in ["response_code", "response_body", "response_headers", "response_body_truncated"] {
        assert_eq!(failed[field], Value::Null, "nothing came back: {field}");
    }
    let id = failed["id"].as_str().unwrap();
    let retried = fronts.retry(id).await;
    assert_eq!((retried.status, &retried.body["webhooks"]["id"]), (StatusCode::OK, &failed["id"]));
    bench.engine.settle().await;
    let sent = posts(&receiver);
    assert_eq!(sent.len(), 2);
    assert_eq!(sent[0].body, sent[1].body);
    let shown = fronts.get(&format!("/webhooks/{id}")).await.body["webhooks"].take();
    assert_eq!((&shown["successful"], &shown["response_code"]), (&json!(true), &json!(204)));
    assert_eq!(fronts.get("/webhooks?successful=false").await.body["webhooks"], json!([]));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_webhook_that_is_not_there_or_not_ones_own_is_not_found() {
    let bench = bench().await;
    let (fronts, _receiver, application) = shop(&bench).await;
    cancelled(&bench, application, &["MD1"]).await;
    let listed = fronts.get("/webhooks").await;
    let id = listed.body["webhooks"][0]["id"].as_str().unwrap();
    for unknown in ["WB123", "WB", "EV123", &id.to_lowercase(), &format!("{id}0"), "%20"] {
        let shown = fronts.get(&format!("/webhooks/{unknown}")).await;
        assert_problem(&shown, 404, "invalid_api_usage", "resource_not_found");
        let retried = fronts.retry(unknown).await;
        assert_problem(&retried, 404, "invalid_api_usage", "resource_not_found");
    }
    let path = format!("/webhooks/{id}");
    let foreign = answer(fronts.gocardless("another", Method::GET, &path)).await;
    assert_problem(&foreign, 404, "invalid_api_usage", "resource_not_found");
    let others = answer(fronts.gocardless("another", Method::GET, "/webhooks")).await;
    assert_eq!(others.body["webhooks"], json!([]));
    assert_ne!(others.application, Some(application));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_webhook_of_a_disabled_endpoint_cannot_be_retried() {
    let bench = bench().await;
    let (fronts, _receiver, application) = shop(&bench).await;
    cancelled(&bench, application, &["MD1"]).await;
    let listed = fronts.get("/webhooks").await;
    let endpoint = bench.engine.endpoints(application).unwrap().remove(0);
    bench.engine.disable_endpoint(endpoint.id, "a pause").await.unwrap();
    let retried = fronts.retry(listed.body["webhooks"][0]["id"].as_str().unwrap()).await;
    assert_problem(&retried, 422, "invalid_state", "invalid_state");
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_that_misuse_the_api_are_told_so() {
    let bench = bench().await;
    let fronts = bench.fronts(FrontsConfig::default()).await;
    let tenants = bench.engine.applications().len();
    let bare = || fronts.request(Method::GET, "/webhooks");
    for (request, status, reason) in [
        (bare(), 401, "missing_authorization_header"),
        (bare().header("Authorization", "Basic YTpi"), 401, "invalid_authorization_header"),
        (bare().bearer_auth(""), 401, "invalid_authorization_header"),
        (bare().bearer_auth(TOKEN), 400, "missing_version_header"),
        (
            bare().bearer_auth(TOKEN).header("GoCardless-Version", "2014-11-03"),
            400,
            "version_not_found",
        ),
        (fronts.gocardless(TOKEN, Method::GET, "/payments/PM1"), 404, "not_found"),
    ] {
        assert_problem(&answer(request).await, status, "invalid_api_usage", reason);
    }
    assert_eq!(bench.engine.applications().len(), tenants, "none of them made one");
    let deleted = answer(fronts.gocardless(TOKEN, Method::DELETE, "/webhooks")).await;
    assert_problem(&deleted, 405, "invalid_api_usage", "method_not_allowed");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_endpoint_follows_the_settings() {
    let bench = bench().await;
    let (fronts, _receiver, application) = shop(&bench).await;
    drop(fronts);
    let other = bench.listen(Consumer::GoCardless).await;
    other.set_secret("another-secret");
    let fronts = bench.fronts(endpoint(&other.url(), "another-secret")).await;
    for _ in 0..2 {
        let listed = fronts.get("/webhooks").await;
        assert_eq!(listed.status, StatusCode::OK, "{}", listed.body);
    }
    assert_eq!(bench.engine.endpoints(application).unwrap().len(), 1);
    cancelled(&bench, application, &["MD1"]).await;
    let sent = posts(&other);
    assert!(sent[0].verdict.is_accepted(), "{:?}", sent[0].verdict);
}

#[tokio::test(flavor = "multi_thread")]
async fn endpoints_of_ones_own_are_served_and_those_of_other_providers_not_shown() {
    let bench = bench().await;
    let fronts = bench.fronts(FrontsConfig::default()).await;
    let application = fronts.get("/webhooks").await.application.unwrap();
    let receiver = bench.listen(Consumer::Unchecked).await;
    for provider in ["gocardless", "standard-webhooks"] {
        let endpoint = NewEndpoint::new(receiver.url()).provider(provider);
        bench.engine.create_endpoint(application, endpoint).await.unwrap();
    }
    cancelled(&bench, application, &["MD1"]).await;
    assert_eq!(posts(&receiver).len(), 2);
    let listed = fronts.get("/webhooks").await.body["webhooks"].take();
    assert_eq!(listed.as_array().unwrap().len(), 1);
    assert!(listed[0]["request_headers"]["Webhook-Signature"].is_string());
}

#[tokio::test(flavor = "multi_thread")]
async fn test_webhooks_are_told_apart() {
    let bench = bench().await;
    let (fronts, _receiver, application) = shop(&bench).await;
    cancelled(&bench, application, &["MD1"]).await;
    let endpoint = bench.engine.endpoints(application).unwrap().remove(0);
    bench.engine.test(endpoint.id, Default::default()).await.unwrap();
    for is_test in [true, false] {
        let listed = fronts.get(&format!("/webhooks?is_test={is_test}")).await;
        let webhooks = listed.body["webhooks"].as_array().unwrap();
        assert_eq!(webhooks.len(), 1);
        assert_eq!(webhooks[0]["is_test"], is_test);
    }
}
