//! Live views: what comes of attempts, as it happens.

use crate::common::{Client, each, members, soon};
use crate::delivering::shop;
use hookwheel::NewAccessToken;
use reqwest::{Method, Response};
use serde_json::{Value, json};

const OF_SHOP: &str = "/app/shop/outcome/stream";
const OF_ALL: &str = "/outcome/stream";

/// A live view.
struct View {
    response: Response,
    text: String,
}

impl View {
    /// Begins to watch.
    async fn open(client: &Client, path: &str) -> Self {
        let response = soon(client.request(Method::GET, path).send()).await.unwrap();
        assert_eq!(response.status(), 200);
        assert_eq!(response.headers()["content-type"], "text/event-stream");
        Self { response, text: String::new() }
    }

    /// The next outcome; none at the end.
    async fn next(&mut self) -> Option<Value> {
        // All of it: a view that does not end says now and then that it is still there.
        soon(self.read()).await
    }

    async fn read(&mut self) -> Option<Value> {
        loop {
            if let Some((event, rest)) = self.text.split_once("\n\n") {
                let (event, rest) = (event.to_owned(), rest.to_owned());
                self.text = rest;
                let field = |name| event.lines().find_map(|line| line.strip_prefix(name));
                let Some(data) = field("data: ") else { continue };
                let outcome: Value = serde_json::from_str(data).unwrap();
                assert_eq!(field("event: "), Some("attempt"));
                assert_eq!(field("id: "), outcome["id"].as_str());
                return Some(outcome);
            }
            let chunk = self.response.chunk().await.unwrap()?;
            self.text.push_str(std::str::from_utf8(&chunk).unwrap());
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tenant_sees_its_own_outcomes_and_no_others() {
    let shop = shop().await;
    shop.client.post("/app", json!({"name": "Other", "uid": "other"})).await.ok(201);
    let endpoint = json!({"url": shop.receiver.url()});
    shop.client.post("/app/other/endpoint", endpoint).await.ok(201);
    let tenant = shop.client_for("shop", |token| token).await;
    let mut own = View::open(&tenant, OF_SHOP).await;
    let mut all = View::open(&shop.client, OF_ALL).await;
    let theirs = json!({"eventType": "order.created", "payload": {}});
    let theirs = shop.client.post("/app/other/msg", theirs).await.ok(202);
    shop.service.engine.settle().await;
    shop.receiver.answer_next([hookwheel::simulate::receiver::Answer::status(500)]);
    let first = shop.order(1).await;
    let second = shop.order(2).await;

    let told = own.next().await.unwrap();
    assert_eq!((&told["msgId"], &told["state"]), (&json!(first), &json!("waiting")));
    assert_eq!(told["eventTypes"], json!(["order.created"]));
    let application = shop.client.get("/app/shop").await.ok(200);
    assert_eq!(told["appId"], application["id"]);
    let attempts = shop.client.get(&format!("/app/shop/attempt/msg/{first}")).await.ok(200);
    let attempt = &attempts["data"][0];
    for name in members(attempt) {
        assert_eq!(told[name], attempt[name], "it is the attempt, and more: {name}");
    }
    let told = own.next().await.unwrap();
    assert_eq!((&told["msgId"], &told["state"]), (&json!(second), &json!("succeeded")));
    for expected in [&theirs["id"], &json!(first), &json!(second)] {
        assert_eq!(all.next().await.unwrap()["msgId"], *expected);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_view_ends_when_its_token_is_revoked() {
    let shop = shop().await;
    let named = |token| NewAccessToken { name: "screen".to_owned(), ..token };
    let screen = shop.client_for("shop", named).await;
    let mut view = View::open(&screen, OF_SHOP).await;
    let mut other = View::open(&shop.client, OF_SHOP).await;
    shop.order(1).await;
    assert!(view.next().await.is_some());
    let tokens = shop.client.get("/token").await.ok(200);
    let at = each(&tokens, "name").into_iter().position(|name| name == "screen").unwrap();
    let path = format!("/token/{}", each(&tokens, "id")[at]);
    shop.client.delete(&path).await.is_empty(204);
    assert!(view.next().await.is_none(), "at once, though nothing is sent");
    shop.order(2).await;
    assert!(other.next().await.is_some() && other.next().await.is_some(), "others go on");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_view_ends_when_its_application_goes() {
    let shop = shop().await;
    let tenant = shop.client_for("shop", |token| token).await;
    let mut view = View::open(&tenant, OF_SHOP).await;
    shop.client.delete("/app/shop").await.is_empty(204);
    assert!(view.next().await.is_none());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_stops_does_not_wait_for_those_who_watch() {
    let mut shop = shop().await;
    let mut view = View::open(&shop.client, OF_ALL).await;
    shop.service.stop();
    assert!(view.next().await.is_none());
    shop.service.stopped().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn views_are_for_those_who_may_see_it() {
    let shop = shop().await;
    shop.is_guarded(Method::GET, OF_SHOP, Value::Null, true).await;
    let tenant = shop.client_for("shop", |token| token).await;
    tenant.get(OF_ALL).await.refused(404, "not_found");
    shop.service.stranger().get(OF_ALL).await.refused(401, "authentication_failed");
}
