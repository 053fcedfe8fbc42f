//! `Idempotency-Key`: a request that comes again is done once.

use crate::common::{Answer, Client, answer, each, service_in, soon};
use crate::delivering::{Shop, shop};
use hookwheel::NewAccessToken;
use hookwheel::simulate::receiver;
use reqwest::{Method, RequestBuilder};
use serde_json::{Value, json};
use std::path::Path;
use std::time::Duration;

fn keyed(client: &Client, path: &str, key: &str, body: &Value) -> RequestBuilder {
    client.request(Method::POST, path).header("idempotency-key", key).json(body)
}

async fn post(client: &Client, path: &str, key: &str, body: &Value) -> Answer {
    answer(keyed(client, path, key, body)).await
}

fn message(number: u32) -> Value {
    json!({"eventType": "order.created", "payload": {"orderId": number}})
}

/// How many items a listing has.
async fn count(shop: &Shop, path: &str) -> usize {
    each(&shop.client.get(&format!("{path}?limit=250")).await.ok(200), "id").len()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_post_is_done_once_and_answered_alike() {
    let shop = shop().await;
    let order = shop.order(0).await;
    let resend = format!("/app/shop/msg/{order}/endpoint/main/resend");
    let endpoint = json!({"url": shop.receiver.url()});
    let since = json!({"since": "2026-01-15T12:00:00Z"});
    let lists = ["/app", "/token", "/app/shop/endpoint", "/app/shop/msg", "/background-task"];
    let mut before = Vec::new();
    for list in lists {
        before.push(count(&shop, list).await);
    }
    for (path, body) in [
        ("/app", json!({"name": "Kiosk"})),
        ("/event-type", json!({"name": "order.created", "description": "ordered"})),
        ("/token", json!({"name": "till"})),
        ("/auth/app-portal-access/shop", json!({})),
        ("/app/shop/endpoint", endpoint),
        ("/app/shop/endpoint/main/secret/rotate", json!({})),
        ("/app/shop/endpoint/main/disable", json!({"reason": "moving"})),
        ("/app/shop/endpoint/main/enable", json!({})),
        ("/app/shop/endpoint/main/test", json!({})),
        ("/app/shop/endpoint/main/send-example", json!({"eventType": "svix.ping"})),
        ("/app/shop/endpoint/main/recover", since.clone()),
        ("/app/shop/endpoint/main/replay-missing", since),
        ("/app/shop/msg", message(1)),
        ("/app/shop/delivery/count", json!({})),
        ("/app/shop/delivery/replay", json!({"state": "exhausted"})),
        (&resend, json!({})),
    ] {
        let first = post(&shop.client, path, "one", &body).await;
        assert!((200..300).contains(&first.status), "{path}: {}", first.text);
        shop.service.engine.settle().await;
        let again = post(&shop.client, path, "one", &body).await;
        assert_eq!((again.status, &again.text), (first.status, &first.text), "{path}");
        assert_eq!(again.headers["content-type"], first.headers["content-type"], "{path}");
        let other = if path.ends_with("/msg") { message(2) } else { json!({"other": true}) };
        let other = post(&shop.client, path, "one", &other).await;
        assert!(other.refused(409, "conflict").contains("idempotency key"), "{path}");
    }
    shop.service.engine.settle().await;
    let mut made = Vec::new();
    for (list, before) in lists.iter().zip(before) {
        made.push(count(&shop, list).await - before);
    }
    // Besides the message that was asked for, the test and the example are ones.
    assert_eq!(made, [1, 2, 1, 3, 3], "{lists:?}");
    let attempts = count(&shop, "/app/shop/attempt/endpoint/main").await;
    assert_eq!(attempts, 5, "an order, a test, an example, a message, and the order again");
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_at_once_are_done_once() {
    let shop = shop().await;
    for (path, body, list) in [
        ("/token", json!({"name": "till"}), "/token"),
        ("/app/shop/msg", message(1), "/app/shop/msg"),
    ] {
        let before = count(&shop, list).await;
        let ask = || post(&shop.client, path, "one", &body);
        let (a, b, c, d) = tokio::join!(ask(), ask(), ask(), ask());
        assert!(a.status < 300, "{}", a.text);
        assert!([b, c, d].iter().all(|held| held.text == a.text && held.status == a.status));
        assert_eq!(count(&shop, list).await, before + 1);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_client_did_not_wait_for_is_done_once() {
    let shop = shop().await;
    let slow = receiver::Answer::status(200).after(Duration::from_millis(100));
    shop.receiver.answer_next([slow]);
    let path = "/app/shop/endpoint/main/test";
    let request = tokio::spawn(keyed(&shop.client, path, "one", &json!({})).send());
    shop.receiver.wait_for(1).await.unwrap();
    request.abort();
    let again = post(&shop.client, path, "one", &json!({})).await.ok(200);
    assert_eq!(again["responseStatusCode"], 200);
    assert_eq!(shop.receiver.requests().len(), 1);

    let before = count(&shop, "/app/shop/msg").await;
    for number in 0..20 {
        let key = format!("order-{number}");
        let send = || keyed(&shop.client, "/app/shop/msg", &key, &message(number)).send();
        let request = tokio::spawn(send());
        for _ in 0..number {
            tokio::task::yield_now().await;
        }
        // Somewhere on its way.
        request.abort();
        assert_eq!(soon(send()).await.unwrap().status(), 202);
    }
    shop.service.engine.settle().await;
    assert_eq!(count(&shop, "/app/shop/msg").await, before + 20);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_failed_may_be_tried_again_with_its_key() {
    let shop = shop().await;
    let wrong = json!({"url": "not a url"});
    let right = json!({"url": shop.receiver.url()});
    let path = "/app/shop/endpoint";
    assert_eq!(post(&shop.client, path, "one", &wrong).await.status, 422);
    post(&shop.client, path, "one", &right).await.ok(201);
    let wrong = json!({"eventType": "not a type", "payload": {}});
    let path = "/app/shop/msg";
    post(&shop.client, path, "one", &wrong).await.fault(&["body", "eventType"]);
    post(&shop.client, path, "one", &message(1)).await.ok(202);
    let path = "/app/later/endpoint";
    post(&shop.client, path, "one", &right).await.refused(404, "not_found");
    shop.client.post("/app", json!({"name": "Later", "uid": "later"})).await.ok(201);
    post(&shop.client, path, "one", &right).await.ok(201);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_belongs_to_its_token_and_path_and_has_its_form() {
    let shop = shop().await;
    let till = json!({"name": "till"});
    let first = post(&shop.client, "/token", "one", &till).await.ok(201);
    let other = shop.service.client().await;
    let second = post(&other, "/token", "one", &till).await.ok(201);
    assert_ne!(first["token"], second["token"]);
    post(&shop.client, "/app", "one", &till).await.ok(201);
    for key in ["", &"x".repeat(257)] {
        for (path, body) in [("/token", &till), ("/app/shop/msg", &message(1))] {
            post(&shop.client, path, key, body).await.fault(&["header", "idempotency-key"]);
        }
    }
    assert_eq!(count(&shop, "/app/shop/msg").await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_and_tasks_are_known_after_a_restart_and_no_secret_is_on_disk() {
    let folder = tempfile::tempdir().unwrap();
    let service = service_in(folder.path()).await;
    let everything = NewAccessToken { name: "tests".to_owned(), ..NewAccessToken::default() };
    let (_, text) = service.engine.create_access_token(everything).await.unwrap();
    let client = service.client_with(text.expose());
    client.post("/app", json!({"name": "Shop", "uid": "shop"})).await.ok(201);
    let endpoint = json!({"url": "http://127.0.0.1:9/", "uid": "main", "disabled": true});
    let rotate = "/app/shop/endpoint/main/secret/rotate";
    let requests = [
        ("/app/shop/endpoint", endpoint.clone()),
        (rotate, json!({})),
        ("/token", json!({"name": "till"})),
        ("/app/shop/msg", message(1)),
    ];
    let mut answers = Vec::new();
    for (path, body) in &requests {
        let answered = post(&client, path, "one", body).await;
        assert!(answered.status < 300, "{path}: {}", answered.text);
        answers.push(answered);
    }
    let key = answers[1].json["key"].as_str().unwrap().to_owned();
    let token = answers[2].json["token"].as_str().unwrap().to_owned();
    client.post("/app/shop/endpoint/main/enable", json!({})).await.ok(200);
    let since = json!({"since": "2026-01-15T11:00:00Z"});
    let task = client.post("/app/shop/endpoint/main/recover", since).await.ok(202);
    let path = format!("/background-task/{}", task["id"].as_str().unwrap());

    service.engine.close().await.unwrap();
    drop(service);
    for secret in [text.expose(), &token, &key, key.strip_prefix("whsec_").unwrap()] {
        assert!(!holds(folder.path(), secret.as_bytes()), "a secret is on disk");
    }
    assert!(holds(folder.path(), b"orderId"), "what is no secret is found");

    let service = service_in(folder.path()).await;
    let client = service.client_with(text.expose());
    for ((path, body), first) in requests.iter().zip(&answers) {
        let again = post(&client, path, "one", body).await;
        assert_eq!((again.status, &again.text), (first.status, &first.text), "{path}");
        let other = if path.ends_with("/msg") { message(2) } else { json!({"other": true}) };
        post(&client, path, "one", &other).await.refused(409, "conflict");
    }
    let ended = soon(async {
        loop {
            let task = client.get(&path).await.ok(200);
            if task["status"] != "running" {
                return task;
            }
        }
    });
    let ended = ended.await;
    assert_eq!((&ended["status"], &ended["data"]["done"]), (&json!("finished"), &json!(1)));
    assert_eq!(each(&client.get("/background-task").await.ok(200), "id"), [&task["id"]]);
}

/// Whether a file in the folder holds this.
fn holds(folder: &Path, needle: &[u8]) -> bool {
    std::fs::read_dir(folder).unwrap().any(|entry| {
        let path = entry.unwrap().path();
        if path.is_dir() {
            return holds(&path, needle);
        }
        std::fs::read(path).unwrap().windows(needle.len()).any(|window| window == needle)
    })
}
