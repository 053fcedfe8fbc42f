//! Background tasks.

use crate::common::{answer, each, members, soon};
use crate::delivering::{Shop, refuses_bad_bodies, refuses_bad_queries, shop, walked};
use hookwheel::NewAccessToken;
use reqwest::Method;
use serde_json::{Value, json};
use std::time::Duration;

const MEMBERS: [&str; 5] = ["data", "id", "status", "task", "updatedAt"];
const SINCE: &str = "2026-01-15T12:00:00Z";

/// A task once it has ended.
pub async fn ended(shop: &Shop, begun: &Value) -> Value {
    let path = format!("/background-task/{}", begun["id"].as_str().unwrap());
    soon(async {
        loop {
            let task = shop.client.get(&path).await.ok(200);
            if task["status"] != "running" {
                return task;
            }
        }
    })
    .await
}

/// Begins to send the endpoint `main` again what it missed, or is missing.
async fn begin(shop: &Shop, what: &str, body: Value) -> Value {
    shop.client.post(&format!("/app/shop/endpoint/main/{what}"), body).await.ok(202)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_recovery_tells_how_far_it_is_and_when_it_ended() {
    let shop = shop().await;
    for number in 0..2 {
        shop.exhausted_order(number).await;
    }
    let arrived = shop.receiver.requests().len();
    let until = "2026-01-15T12:30:00Z";
    let begun = begin(&shop, "recover", json!({"since": SINCE, "until": until})).await;
    assert_eq!(members(&begun), MEMBERS);
    assert!(begun["id"].as_str().unwrap().starts_with("qtask_"));
    assert_eq!((&begun["status"], &begun["task"]), (&json!("running"), &json!("endpoint.recover")));
    let task = ended(&shop, &begun).await;
    let application = shop.client.get("/app/shop").await.ok(200);
    let endpoint = shop.client.get("/app/shop/endpoint/main").await.ok(200);
    let data = json!({
        "appId": application["id"], "endpointId": endpoint["id"], "done": 1, "reason": null,
        "since": "2026-01-15T12:00:00.000000Z", "until": "2026-01-15T12:30:00.000000Z",
        "createdAt": "2026-01-15T13:51:00.000000Z",
    });
    assert_eq!(task["data"], data);
    assert_eq!(task["status"], "finished");
    shop.receiver.wait_for(arrived + 1).await.unwrap();
    let rest = ended(&shop, &begin(&shop, "recover", json!({"since": SINCE})).await).await;
    assert_eq!(rest["data"]["done"], 1, "what is left of it");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_endpoint_gets_what_was_sent_before_it_was_there() {
    let shop = shop().await;
    shop.client.patch("/app/shop/endpoint/main", json!({"eventTypes": ["a"]})).await.ok(200);
    for number in 0..3 {
        shop.order(number).await;
    }
    shop.client.patch("/app/shop/endpoint/main", json!({"eventTypes": ["order.*"]})).await.ok(200);
    let begun = begin(&shop, "replay-missing", json!({"since": SINCE})).await;
    assert_eq!(begun["task"], "endpoint.replay");
    assert_eq!(ended(&shop, &begun).await["data"]["done"], 3);
    shop.receiver.wait_for(3).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn tasks_are_listed_found_and_walked() {
    let shop = shop().await;
    let mut ids = Vec::new();
    for what in ["recover", "replay-missing", "recover"] {
        let begun = begin(&shop, what, json!({"since": SINCE})).await;
        ids.insert(0, ended(&shop, &begun).await);
    }
    let list = shop.client.get("/background-task").await.ok(200);
    assert_eq!(list["data"], json!(ids), "newest first");
    for (query, expected) in [
        ("task=endpoint.recover", 2),
        ("task=endpoint.replay", 1),
        ("task=endpoint.bulk-replay", 0),
        ("status=finished", 3),
        ("status=running", 0),
        ("status=failed&task=endpoint.recover", 0),
    ] {
        let list = shop.client.get(&format!("/background-task?{query}")).await.ok(200);
        assert_eq!(each(&list, "id").len(), expected, "{query}");
    }
    refuses_bad_queries(&shop.client, "/background-task", false).await;
    shop.client.get("/background-task?status=lost").await.fault(&["query", "status"]);
    shop.client.get("/background-task?task=endpoint.paint").await.fault(&["query", "task"]);
    for _ in 0..4 {
        begin(&shop, "recover", json!({"since": SINCE})).await;
    }
    let arrive = async || drop(begin(&shop, "recover", json!({"since": SINCE})).await);
    walked(&shop.client, "/background-task", arrive).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_wrong_with_a_range_is_told_with_its_place() {
    let shop = shop().await;
    for what in ["recover", "replay-missing"] {
        let path = format!("/app/shop/endpoint/main/{what}");
        refuses_bad_bodies(&shop.client, &path).await;
        let bad = shop.client.post(&path, json!({"since": "yesterday"})).await;
        bad.fault(&["body", "since"]);
        let bad = shop.client.post(&path, json!({"since": SINCE, "until": 1})).await;
        bad.fault(&["body", "until"]);
        let bad = shop.client.post(&path, json!({})).await;
        assert!(bad.fault(&["body", "since"]).contains("missing field"));
    }
    shop.client.post("/app/shop/endpoint/main/disable", json!({"reason": "moving"})).await.ok(200);
    let disabled = shop.client.post("/app/shop/endpoint/main/recover", json!({"since": SINCE}));
    assert!(disabled.await.refused(409, "conflict").contains("moving"));
}

#[tokio::test(flavor = "multi_thread")]
async fn tasks_are_their_applications_alone() {
    let shop = shop().await;
    let since = json!({"since": SINCE});
    for what in ["recover", "replay-missing"] {
        let path = format!("/app/shop/endpoint/main/{what}");
        shop.is_guarded(Method::POST, &path, since.clone(), true).await;
    }
    let task = begin(&shop, "recover", since).await;
    let id = task["id"].as_str().unwrap();
    let path = format!("/background-task/{id}");
    let own = shop.client_for("shop", |token| NewAccessToken { portal: true, ..token }).await;
    assert_eq!(own.get(&path).await.ok(200)["id"], id);
    assert_eq!(each(&own.get("/background-task").await.ok(200), "id"), [id]);
    let other = shop.client_for("other", |token| token).await;
    let hidden = other.get(&path).await;
    let unknown = "/background-task/qtask_0000000000000000000001";
    let unknown = other.get(unknown).await;
    assert_eq!(
        hidden.refused(404, "not_found").replace(id, "ID"),
        unknown.refused(404, "not_found").replace("qtask_0000000000000000000001", "ID"),
        "a stranger cannot tell whether there is one"
    );
    assert_eq!(other.get("/background-task").await.ok(200)["data"], json!([]));
    for path in ["/background-task", &path] {
        answer(shop.service.stranger().request(Method::GET, path))
            .await
            .refused(401, "authentication_failed");
    }
    shop.client.get("/background-task/nothing").await.refused(404, "not_found");
    shop.service.advance(Duration::from_secs(1)).await;
}
