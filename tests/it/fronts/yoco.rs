//! Yoco: subscriptions registered, listed and deleted, each key a merchant of its own.

use super::{Answer, Fronts, answer};
use crate::common::{bench, bench_with};
use hookwheel::NewEvent;
use hookwheel::simulate::fronts::FrontsConfig;
use hookwheel::simulate::receiver::Consumer;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

const KEY: &str = "sk_test_960bfde0VBrLlpK098e4ffeb53e1";
const PATH: &str = "/api/webhooks";

impl Fronts {
    async fn yoco(&self, key: &str, method: Method, path: &str) -> Answer {
        answer(self.request(method, path).bearer_auth(key)).await
    }

    async fn register(&self, key: &str, body: Value) -> Answer {
        answer(self.request(Method::POST, PATH).bearer_auth(key).json(&body)).await
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_subscription_is_registered_served_listed_and_deleted() {
    let bench = bench().await;
    let fronts = bench.fronts(FrontsConfig::default()).await;
    let receiver = bench.listen(Consumer::Yoco).await;
    let registered = fronts.register(KEY, json!({"name": "orders", "url": receiver.url()})).await;
    assert_eq!(registered.status, StatusCode::OK);
    let mut subscription = registered.body;
    let id = subscription["id"].as_str().unwrap().to_owned();
    assert!(id.starts_with("sub_"), "{id}");
    let secret = subscription["secret"].take();
    assert!(secret.as_str().unwrap().starts_with("whsec_"));
    receiver.set_secret(secret.as_str().unwrap());

    let application = registered.application.expect("the answer names it");
    let data = json!({"id": "p_1", "amount": 900, "currency": "ZAR"});
    let event = NewEvent::new(application, "payment.succeeded", &data).unwrap().test_mode();
    bench.engine.emit(event).await.unwrap();
    let arrived = receiver.wait_for(1).await.unwrap().remove(0);
    assert!(arrived.verdict.is_accepted(), "{:?}", arrived.verdict);
    assert_eq!(crate::common::body(&arrived)["payload"]["mode"], "test");

    let listed = fronts.yoco(KEY, Method::GET, PATH).await;
    assert_eq!(listed.status, StatusCode::OK);
    assert_eq!(
        listed.body,
        json!({"subscriptions": [
            {"id": id, "name": "orders", "url": receiver.url(), "mode": "test"}
        ]}),
        "the secret was shown once"
    );
    let path = format!("{PATH}/{id}");
    let deleted = fronts.yoco(KEY, Method::DELETE, &path).await;
    assert_eq!((deleted.status, deleted.body), (StatusCode::NO_CONTENT, Value::Null));
    assert_eq!(fronts.yoco(KEY, Method::GET, PATH).await.body, json!({"subscriptions": []}));
    let again = fronts.yoco(KEY, Method::DELETE, &path).await;
    assert_eq!(again.status, StatusCode::NOT_FOUND);
    assert!(again.body["message"].is_string());
}

#[tokio::test(flavor = "multi_thread")]
async fn each_key_is_a_merchant_of_its_own_and_kept_by_its_digest_alone() {
    let bench = bench().await;
    let fronts = bench.fronts(FrontsConfig::default()).await;
    let body = json!({"name": "orders", "url": "http://127.0.0.1:9/hooks"});
    let mine = fronts.register(KEY, body.clone()).await;
    let live = fronts.register("sk_live_1", body).await;
    assert_eq!(live.body["mode"], "live");
    assert_ne!(mine.application, live.application);
    let path = format!("{PATH}/{}", mine.body["id"].as_str().unwrap());
    let foreign = fronts.yoco("sk_live_1", Method::DELETE, &path).await;
    assert_eq!(foreign.status, StatusCode::NOT_FOUND, "somebody else's");
    let listed = fronts.yoco(KEY, Method::GET, PATH).await;
    assert_eq!(listed.application, mine.application, "the same key, the same merchant");
    assert_eq!(listed.body["subscriptions"].as_array().unwrap().len(), 1);
    for application in bench.engine.applications() {
        assert!(!format!("{application:?}").contains("960bfde0"), "{application:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_has_no_secret_key_is_turned_away() {
    let bench = bench().await;
    let fronts = bench.fronts(FrontsConfig::default()).await;
    for header in
        ["", "Bearer", "Bearer ", "Bearer pk_test_1", "Bearer sk_test_", "Basic sk_test_1"]
    {
        let mut request = fronts.request(Method::GET, PATH);
        if !header.is_empty() {
            request = request.header("Authorization", header);
        }
        let refused = answer(request).await;
        assert_eq!(refused.status, StatusCode::UNAUTHORIZED, "{header:?}");
        let message = refused.body["message"].as_str().unwrap();
        assert!(message.starts_with("the provided credentials are invalid"), "{message}");
    }
    assert_eq!(bench.engine.applications().len(), 1, "the bench's own");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_registration_that_cannot_work_is_refused_with_the_reason() {
    let bench = bench_with(|builder| builder).await;
    let config = FrontsConfig { body_max_bytes: 2000, ..FrontsConfig::default() };
    let fronts = bench.fronts(config).await;
    let url = "https://203.0.113.9/hooks";
    for (body, reason) in [
        (json!({"url": url}), "`name`"),
        (json!({"name": "", "url": url}), "`name` is empty"),
        (json!({"name": "orders"}), "`url`"),
        (json!({"name": "orders", "url": "nonsense"}), "`https://`"),
        (json!({"name": "orders", "url": "http://shop.example/"}), "https"),
        (json!({"name": "orders", "url": "https://127.0.0.1/"}), "127.0.0.1"),
        (json!([]), "expected a JSON object"),
    ] {
        let refused = fronts.register(KEY, body.clone()).await;
        assert_eq!(refused.status, StatusCode::BAD_REQUEST, "{body}");
        let message = refused.body["message"].as_str().unwrap();
        assert!(message.contains(reason), "{body}: {message}");
    }
    let no_json = fronts.request(Method::POST, PATH).bearer_auth(KEY).body("{");
    assert_eq!(answer(no_json).await.status, StatusCode::BAD_REQUEST);
    let long = fronts.register(KEY, json!({"name": "n".repeat(2000), "url": url})).await;
    assert_eq!(long.status, StatusCode::PAYLOAD_TOO_LARGE);
    assert!(long.body["message"].is_string());
    let put = fronts.yoco(KEY, Method::PUT, PATH).await;
    assert_eq!(put.status, StatusCode::METHOD_NOT_ALLOWED);
    for id in ["sub_", "sub_1", "ep_0000000000000000000000", "sub_0000000000000000000000"] {
        let unknown = fronts.yoco(KEY, Method::DELETE, &format!("{PATH}/{id}")).await;
        assert_eq!(unknown.status, StatusCode::NOT_FOUND, "{id}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn new_keys_are_refused_when_there_are_as_many_tenants_as_allowed() {
    let bench = bench().await;
    let config = FrontsConfig { tenants_max: 1, ..FrontsConfig::default() };
    let fronts = bench.fronts(config).await;
    assert_eq!(fronts.yoco(KEY, Method::GET, PATH).await.status, StatusCode::OK);
    let second = fronts.yoco("sk_test_2", Method::GET, PATH).await;
    assert_eq!(second.status, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(fronts.yoco(KEY, Method::GET, PATH).await.status, StatusCode::OK);
}
