//! What no client can do, however many requests it makes and however large they are.

use crate::common::{Answer, Client, Service, answer, each, service_with, soon};
use crate::delivering::shop;
use hookwheel::simulate::receiver::{self, Consumer, Receiver};
use hookwheel::{NewAccessToken, NewApplication, NewEvent};
use reqwest::{Method, Response, StatusCode};
use serde_json::{Value, json};
use std::time::Duration;
use tokio::io::AsyncWriteExt;

const TEST: &str = "/app/shop/endpoint/main/test";
const VIEW: &str = "/outcome/stream";
const MIB: usize = 1024 * 1024;

/// A service, and a receiver that lets its clients wait.
pub async fn slow_shop(
    set_up: impl FnOnce(&mut hookwheel::config::ServeConfig),
) -> (Service, Receiver) {
    let service = service_with(set_up).await;
    let client = service.shop().await;
    let receiver = Receiver::start(Consumer::Unchecked, "").await.unwrap();
    receiver.answer_always(Some(receiver::Answer::hang()));
    let endpoint = json!({"url": receiver.url(), "uid": "main", "concurrency": 64});
    client.post("/app/shop/endpoint", endpoint).await.ok(201);
    (service, receiver)
}

/// Begins a test event for which nobody waits, under a key where one is given.
async fn abandoned_test(client: &Client, receiver: &Receiver, key: Option<&str>) {
    let before = receiver.requests().len();
    let request = client.request(Method::POST, TEST).json(&json!({}));
    let request = match key {
        Some(key) => request.header("idempotency-key", key),
        None => request,
    };
    let request = tokio::spawn(request.send());
    receiver.wait_for(before + 1).await.unwrap();
    request.abort();
    let _ = request.await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_nobody_waits_for_counts_as_in_flight_and_no_token_takes_all_places() {
    let (service, receiver) = slow_shop(|config| config.api.requests_in_flight_max = 16).await;
    let (one, other) = (service.client().await, service.client().await);
    for number in 0..8 {
        let key = format!("test-{number}");
        abandoned_test(&one, &receiver, (number % 2 == 0).then_some(key.as_str())).await;
    }
    let refused = one.get("/app").await;
    assert!(refused.refused(429, "rate_limited").contains("of the token"), "{}", refused.text);
    assert_eq!(refused.headers["retry-after"], "1");
    other.get("/app").await.ok(200);
    for _ in 0..8 {
        abandoned_test(&other, &receiver, None).await;
    }
    let third = service.client().await.get("/app").await;
    assert!(!third.refused(429, "rate_limited").contains("of the token"), "{}", third.text);
    service.stranger().get("/health/ready").await.is_empty(204);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_waits_for_a_key_waits_neither_for_long_nor_in_a_crowd() {
    let (service, receiver) = slow_shop(|config| config.api.request_seconds = 2).await;
    let client = service.client().await;
    let ask =
        || client.request(Method::POST, TEST).header("idempotency-key", "one").json(&json!({}));
    abandoned_test(&client, &receiver, Some("one")).await;
    let (a, b, c, d, e) =
        tokio::join!(answer(ask()), answer(ask()), answer(ask()), answer(ask()), answer(ask()));
    for answered in [a, b, c, d, e] {
        assert!(answered.refused(409, "conflict").contains("still at work"), "{}", answered.text);
    }
    assert_eq!(receiver.requests().len(), 1, "and none of them was done");
}

/// Asks for a live view.
async fn view(client: &Client) -> Response {
    soon(client.request(Method::GET, VIEW).send()).await.unwrap()
}

/// A live view, once there is room for it.
async fn view_in_the_end(client: &Client) -> Response {
    soon(async {
        loop {
            let response = view(client).await;
            if response.status() == StatusCode::OK {
                return response;
            }
        }
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn live_views_are_bounded_for_each_token_and_in_all() {
    let service = service_with(|config| config.api.connections_max = 40).await;
    let (one, other) = (service.client().await, service.client().await);
    let mut views = Vec::new();
    for _ in 0..8 {
        views.push(view(&one).await);
        assert_eq!(views.last().unwrap().status(), 200);
    }
    let refused = one.get(VIEW).await;
    assert!(refused.refused(429, "rate_limited").contains("8 live views"), "{}", refused.text);
    assert_eq!(refused.headers["retry-after"], "10");
    for _ in 0..2 {
        views.push(view(&other).await);
        assert_eq!(views.last().unwrap().status(), 200);
    }
    let refused = other.get(VIEW).await;
    assert!(refused.refused(429, "rate_limited").contains("too many"), "{}", refused.text);
    drop(views.remove(0));
    view_in_the_end(&other).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_quiet_view_ends_when_its_token_expires() {
    let shop = shop().await;
    let brief = NewAccessToken {
        name: "screen".to_owned(),
        expires_in: Some(Duration::from_secs(60)),
        ..NewAccessToken::default()
    };
    let client = shop.service.client_of(brief).await;
    let mut view = view(&client).await;
    shop.service.clock.advance(Duration::from_secs(60));
    // In all, as lines in between would keep a view that goes on for ever.
    soon(async {
        while let Some(chunk) = view.chunk().await.unwrap() {
            assert_eq!(chunk.first(), Some(&b':'), "nothing happened");
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_long_answer_comes_whole_though_it_is_not_kept() {
    let shop = shop().await;
    // In the answer each quotation mark of the body is one of four characters.
    let quotes = json!({"set": {"orderId": "\"".repeat(400_000)}});
    let ask = || shop.client.request(Method::POST, TEST).header("idempotency-key", "one");
    let first = answer(ask().json(&quotes)).await;
    assert!(first.text.len() > MIB, "{}", first.text.len());
    let sent = shop.receiver.wait_for(1).await.unwrap();
    assert_eq!(first.ok(200)["requestBody"].as_str().unwrap().as_bytes(), sent[0].body);
    answer(ask().json(&quotes)).await.ok(200);
    assert_eq!(shop.receiver.requests().len(), 2, "done again, as nothing was kept");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_test_event_is_no_longer_than_an_event_may_be() {
    let shop = shop().await;
    let long = json!({"set": {"orderId": "x".repeat(MIB)}});
    let refused = shop.client.post(TEST, long).await;
    assert!(refused.fault(&["body"]).contains("`event_data_max_bytes`"), "{}", refused.text);
    assert_eq!(shop.receiver.requests().len(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_test_event_with_more_values_than_its_sample_can_need_is_refused() {
    let shop = shop().await;
    let set: serde_json::Map<String, Value> =
        (0..150_000).map(|number| (format!("m{number}"), json!(1))).collect();
    let refused = shop.client.post(TEST, json!({"set": set})).await;
    assert!(refused.fault(&["body"]).contains("64 is the most"), "{}", refused.text);
    assert_eq!(shop.receiver.requests().len(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn headers_that_are_changed_at_once_are_all_changed() {
    let shop = shop().await;
    let path = "/app/shop/endpoint/main/headers";
    let changes = (0..16).map(|number| {
        let (client, name) = (shop.client.clone(), format!("X-{number}"));
        tokio::spawn(async move { client.patch(path, json!({"headers": {name: "1"}})).await })
    });
    for change in changes.collect::<Vec<_>>() {
        soon(change).await.unwrap().is_empty(204);
    }
    let shown = shop.client.get(path).await.ok(200);
    assert_eq!(shown["headers"].as_object().unwrap().len(), 16, "{shown}");
}

/// A page of a listing, and the ids on it.
async fn page(client: &Client, path: &str, iterator: &Value) -> (Answer, Vec<String>) {
    let iterator = iterator.as_str().unwrap_or_default();
    let answered = client.get(&format!("{path}?limit=250&iterator={iterator}")).await;
    let ids = each(&answered.json, "id").into_iter().map(str::to_owned).collect();
    (answered, ids)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_holds_a_few_mebibytes_and_a_walk_still_finds_all() {
    let shop = shop().await;
    let mut sent = Vec::new();
    for number in 0..9 {
        let payload = json!({"orderId": number, "note": "x".repeat(900 * 1024)});
        sent.push(shop.send(json!({"eventType": "order.created", "payload": payload})).await);
    }
    sent.reverse();
    for path in ["/app/shop/msg", "/app/shop/endpoint/main/msg", "/app/shop/attempt/endpoint/main"]
    {
        let (mut forth, mut pages, mut iterator) = (Vec::new(), 0, Value::Null);
        let behind = loop {
            let (answered, ids) = page(&shop.client, path, &iterator).await;
            assert!(answered.text.len() < 5 * MIB, "{path}: {}", answered.text.len());
            assert!(!ids.is_empty(), "{path}");
            forth.extend(ids);
            pages += 1;
            iterator = answered.json["iterator"].clone();
            if answered.json["done"] == true {
                break answered.json["prevIterator"].clone();
            }
        };
        assert!(pages > 2, "{path}: {pages}");
        let (mut back, mut iterator) = (Vec::new(), behind);
        loop {
            let (answered, ids) = page(&shop.client, path, &iterator).await;
            assert!(answered.text.len() < 5 * MIB, "{path}: {}", answered.text.len());
            if ids.is_empty() {
                break;
            }
            back.splice(..0, ids);
            iterator = answered.json["prevIterator"].clone();
        }
        assert_eq!(back, forth[..back.len()], "{path}");
        assert!(forth.len() == 9 && back.len() >= 4, "{path}: {} {}", forth.len(), back.len());
        if path == "/app/shop/msg" {
            assert_eq!(forth, sent);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_reads_nothing_of_an_answer_loses_the_connection() {
    let service = service_with(|config| {
        config.api.connections_max = 1;
        config.api.request_seconds = 1;
    })
    .await;
    let shop = service.engine.create_application(NewApplication::new("Shop")).await.unwrap().id;
    let data = json!({"note": "x".repeat(900 * 1024)});
    for _ in 0..4 {
        let event = NewEvent::new(shop, "order.created", &data).unwrap();
        service.engine.emit(event).await.unwrap();
    }
    let client = service.client().await;
    let token = client.token.as_ref().unwrap();
    let request = format!(
        "GET /api/v1/app/{shop}/msg HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {token}\r\n\r\n"
    );
    let mut silent = service.connect().await;
    // More than the system keeps for a connection.
    silent.write_all(request.repeat(20).as_bytes()).await.unwrap();
    client.get("/app").await.ok(200);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_delivery_with_many_long_attempts_is_shown_in_part_and_says_so() {
    let shop = shop().await;
    let payload = json!({"note": "x".repeat(900 * 1024)});
    let id = shop.send(json!({"eventType": "order.created", "payload": payload})).await;
    for _ in 0..5 {
        let path = format!("/app/shop/msg/{id}/endpoint/main/resend");
        shop.client.post(&path, json!({})).await.ok(202);
        shop.service.engine.settle().await;
    }
    let list = shop.client.get("/app/shop/delivery").await.ok(200);
    let path = format!("/app/shop/delivery/{}", each(&list, "id")[0]);
    let shown = shop.client.get(&path).await.ok(200);
    let lengths: Vec<usize> =
        shown["attemptList"].as_array().unwrap().iter().map(body_len).collect();
    assert_eq!(
        (shown["hasOlderAttempts"].as_bool(), &shown["withoutBodies"]),
        (Some(false), &json!(2))
    );
    assert_eq!(lengths.len(), 6);
    let with_body: Vec<bool> = lengths.iter().map(|length| *length > 0).collect();
    assert_eq!(with_body, [false, false, true, true, true, true], "the newest have theirs");
}

fn body_len(attempt: &Value) -> usize {
    attempt["requestBody"].as_str().unwrap().len()
}

#[tokio::test(flavor = "multi_thread")]
async fn before_the_first_page_nothing_is_left_out() {
    let shop = shop().await;
    let id = shop.order(1).await;
    let (first, _) = page(&shop.client, "/app/shop/msg", &Value::Null).await;
    let (before, ids) = page(&shop.client, "/app/shop/msg", &first.json["prevIterator"]).await;
    assert_eq!((ids.len(), &before.json["iterator"]), (0, &Value::Null), "{}", before.text);
    let newer = shop.order(2).await;
    let (again, ids) = page(&shop.client, "/app/shop/msg", &before.json["iterator"]).await;
    assert_eq!(ids, [newer.clone(), id], "{}", again.text);
    let (_, arrived) = page(&shop.client, "/app/shop/msg", &before.json["prevIterator"]).await;
    assert_eq!(arrived, [newer], "and what came since is found");
}
