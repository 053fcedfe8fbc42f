//! Deliveries: listed, counted, sent again; and how messages and endpoints stand with each other.

use crate::common::{each, members};
use crate::delivering::{Shop, refuses_bad_bodies, refuses_bad_queries, shop, walked};
use crate::tasks::ended;
use hookwheel::simulate::receiver::Answer;
use reqwest::Method;
use serde_json::{Value, json};
use std::time::Duration;

const MEMBERS: [&str; 12] = [
    "attempts",
    "endpointId",
    "eventType",
    "id",
    "msgId",
    "nextAttempt",
    "reason",
    "state",
    "status",
    "statusText",
    "timestamp",
    "webhookId",
];

/// The messages of the deliveries that a query finds.
async fn found(shop: &Shop, query: &str) -> Vec<String> {
    let list = shop.client.get(&format!("/app/shop/delivery?{query}")).await.ok(200);
    each(&list, "msgId").into_iter().map(str::to_owned).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_delivery_is_shown_with_all_its_attempts() {
    let shop = shop().await;
    let endpoint = shop.client.get("/app/shop/endpoint/main").await.ok(200);
    shop.receiver.answer_next([Answer::status(500)]);
    let id = shop.order(1).await;
    let list = shop.client.get("/app/shop/delivery").await.ok(200);
    let waiting = &list["data"][0];
    assert_eq!(members(waiting), MEMBERS);
    for (name, value) in [
        ("msgId", json!(id)),
        ("endpointId", endpoint["id"].clone()),
        ("eventType", json!("order.created")),
        ("state", json!("waiting")),
        ("reason", Value::Null),
        ("status", json!(1)),
        ("statusText", json!("pending")),
        ("attempts", json!(1)),
        ("nextAttempt", json!("2026-01-15T12:00:30.000000Z")),
        ("timestamp", json!("2026-01-15T12:00:00.000000Z")),
    ] {
        assert_eq!(waiting[name], value, "{name}");
    }
    shop.service.advance(Duration::from_secs(30)).await;
    let path = format!("/app/shop/delivery/{}", waiting["id"].as_str().unwrap());
    let shown = shop.client.get(&path).await.ok(200);
    assert_eq!((&shown["state"], &shown["attempts"]), (&json!("succeeded"), &json!(2)));
    assert_eq!(shown["nextAttempt"], Value::Null);
    let mut attempts = shop.client.get("/app/shop/attempt/endpoint/main").await.ok(200);
    let attempts = attempts["data"].as_array_mut().unwrap();
    attempts.reverse();
    assert_eq!(shown["attemptList"].as_array().unwrap(), attempts, "oldest first");
}

#[tokio::test(flavor = "multi_thread")]
async fn deliveries_are_found_by_every_filter() {
    let shop = shop().await;
    let failed = shop.exhausted_order(1).await;
    shop.endpoint("copy", json!({"eventTypes": ["refund.*"]})).await;
    let body = json!({"eventType": "refund.created", "payload": {}, "channels": ["a"]});
    let refund = shop.send(body).await;
    shop.receiver.answer_next([Answer::status(500)]);
    shop.service.advance(Duration::from_secs(60)).await;
    let waiting = shop.order(2).await;
    shop.client.post("/app/shop/endpoint/main/disable", json!({"reason": "moving"})).await.ok(200);
    let skipped = shop.order(3).await;
    let list = shop.client.get("/app/shop/delivery?state=skipped").await.ok(200);
    assert!(list["data"][0]["reason"].as_str().unwrap().contains("disabled"), "{list}");
    assert_eq!(list["data"][0]["statusText"], "canceled");
    for (query, expected) in [
        ("", &[&skipped, &waiting, &refund, &refund, &failed][..]),
        ("state=succeeded", &[&refund, &refund]),
        ("state=exhausted", &[&failed]),
        ("state=waiting", &[&waiting]),
        ("state=sending", &[]),
        ("state=cancelled", &[]),
        ("endpoint_id=copy", &[&refund]),
        ("endpoint_id=main&state=succeeded", &[&refund]),
        ("event_types=refund.created", &[&refund, &refund]),
        ("channel=a", &[&refund, &refund]),
        ("before=2026-01-15T12:00:01Z", &[&failed]),
        ("after=2026-01-15T12:56:00Z", &[&skipped, &waiting]),
    ] {
        let expected: Vec<String> = expected.iter().map(|id| (*id).clone()).collect();
        assert_eq!(found(&shop, query).await, expected, "{query}");
    }
    refuses_bad_queries(&shop.client, "/app/shop/delivery", true).await;
    shop.client.get("/app/shop/delivery?state=lost").await.fault(&["query", "state"]);
    let nobody = shop.client.get("/app/shop/delivery?endpoint_id=nobody").await;
    nobody.refused(404, "not_found");
}

#[tokio::test(flavor = "multi_thread")]
async fn deliveries_are_walked_both_ways_while_new_ones_arrive() {
    let shop = shop().await;
    shop.endpoint("copy", json!({})).await;
    for number in 0..5 {
        shop.order(number).await;
    }
    let arrive = async || drop(shop.order(100).await);
    walked(&shop.client, "/app/shop/delivery", arrive).await;
    walked(&shop.client, "/app/shop/endpoint/copy/msg", arrive).await;
    walked(&shop.client, "/app/shop/endpoint/copy/msg?status=0", arrive).await;
    for number in 2..7 {
        shop.endpoint(&format!("copy-{number}"), json!({})).await;
    }
    let id = shop.order(1).await;
    let path = format!("/app/shop/msg/{id}/endpoint");
    assert_eq!(walked(&shop.client, &path, async || ()).await.len(), 7);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_endpoints_messages_and_a_messages_endpoints_tell_how_they_stand() {
    let shop = shop().await;
    shop.receiver.answer_next([Answer::status(500)]);
    let waiting = shop.order(1).await;
    shop.client.post("/app/shop/endpoint/main/disable", json!({"reason": "moving"})).await.ok(200);
    let skipped = shop.order(2).await;
    shop.client.post("/app/shop/endpoint/main/enable", json!({})).await.ok(200);
    let path = "/app/shop/endpoint/main/msg";
    let list = shop.client.get(path).await.ok(200);
    assert_eq!(each(&list, "id"), [&skipped, &waiting]);
    let message = shop.client.get(&format!("/app/shop/msg/{waiting}")).await.ok(200);
    let mut told = list["data"][1].as_object().unwrap().clone();
    let due = json!("2026-01-15T12:00:30.000000Z");
    for (name, value) in [
        ("status", json!(1)),
        ("statusText", json!("pending")),
        ("state", json!("waiting")),
        ("nextAttempt", due.clone()),
    ] {
        assert_eq!(told.remove(name), Some(value), "{name}");
    }
    assert_eq!(Value::Object(told), message, "besides, it is the message");

    let destinations = format!("/app/shop/msg/{waiting}/endpoint");
    let list = shop.client.get(&destinations).await.ok(200);
    let endpoint = shop.client.get("/app/shop/endpoint/main").await.ok(200);
    let mut told = list["data"][0].as_object().unwrap().clone();
    for (name, value) in [
        ("status", json!(1)),
        ("statusText", json!("pending")),
        ("deliveryState", json!("waiting")),
        ("nextAttempt", due),
    ] {
        assert_eq!(told.remove(name), Some(value), "{name}");
    }
    assert_eq!(Value::Object(told), endpoint, "besides, it is the endpoint");

    for (query, status, text) in [("", 2, "fail"), ("?expanded_statuses=true", 4, "canceled")] {
        let list = shop.client.get(&format!("{path}{query}")).await.ok(200);
        let told = &list["data"][0];
        assert_eq!((&told["status"], &told["statusText"]), (&json!(status), &json!(text)));
        let destinations = format!("/app/shop/msg/{skipped}/endpoint{query}");
        let list = shop.client.get(&destinations).await.ok(200);
        assert_eq!(list["data"][0]["status"], status);
    }
    let bare = shop.client.get(&format!("{path}?with_content=false")).await.ok(200);
    assert_eq!(bare["data"][0]["payload"], json!({}));
    for (query, expected) in [
        ("status=1", &[&waiting][..]),
        ("status=2", &[&skipped]),
        ("status=4", &[]),
        ("status=4&expanded_statuses=true", &[&skipped]),
        ("status=0", &[]),
        ("event_types=order.*&before=2026-01-16T00:00:00Z", &[&skipped, &waiting]),
        ("event_types=refund.*", &[]),
        ("channel=a", &[]),
        ("tag=a", &[]),
        ("after=2026-01-16T00:00:00Z", &[]),
    ] {
        let list = shop.client.get(&format!("{path}?{query}")).await.ok(200);
        assert_eq!(each(&list, "id"), expected, "{query}");
    }
    refuses_bad_queries(&shop.client, path, true).await;
    shop.client.get(&format!("{destinations}?limit=0")).await.fault(&["query", "limit"]);
    shop.client.get(&format!("{path}?status=5")).await.fault(&["query", "status"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_is_sent_again_by_hand() {
    let shop = shop().await;
    shop.receiver.answer_next([Answer::status(500)]);
    let id = shop.order(1).await;
    let resend = format!("/app/shop/msg/{id}/endpoint/main/resend");
    assert_eq!(shop.client.post(&resend, json!({})).await.ok(202), json!({}));
    shop.receiver.wait_for(2).await.unwrap();
    shop.service.engine.settle().await;
    assert_eq!(found(&shop, "state=succeeded").await, std::slice::from_ref(&id));
    let without_body = shop.client.request(Method::POST, &resend);
    crate::common::answer(without_body).await.ok(202);
    let arrived = shop.receiver.wait_for(3).await.unwrap();
    assert!(arrived.iter().all(|held| held.body == arrived[0].body), "the same webhook");
    shop.client.post("/app/shop/endpoint/main/disable", json!({"reason": "moving"})).await.ok(200);
    assert!(shop.client.post(&resend, json!({})).await.refused(409, "conflict").contains("moving"));
}

#[tokio::test(flavor = "multi_thread")]
async fn many_are_counted_and_sent_again_as_selected() {
    let shop = shop().await;
    shop.endpoint("copy", json!({"provider": "ticketnation", "eventTypes": ["refund.*"]})).await;
    for number in 0..3 {
        shop.exhausted_order(number).await;
    }
    shop.send(json!({"eventType": "refund.created", "payload": {}})).await;
    let arrived = shop.receiver.requests().len();
    for (selection, expected) in [
        (json!({}), 5),
        (json!({"state": "exhausted"}), 3),
        (json!({"state": "exhausted", "since": "2026-01-15T12:30:00Z"}), 2),
        (json!({"until": "2026-01-15T12:30:00Z"}), 1),
        (json!({"endpointId": "copy"}), 1),
        (json!({"eventTypes": ["refund.*", "order.paid"]}), 2),
    ] {
        let counted = shop.client.post("/app/shop/delivery/count", selection.clone()).await;
        assert_eq!(counted.ok(200), json!({"count": expected, "atLeast": false}), "{selection}");
    }
    assert_eq!(shop.receiver.requests().len(), arrived, "nothing is sent by counting");
    let begun = shop.client.post("/app/shop/delivery/replay", json!({"state": "exhausted"})).await;
    let begun = begun.ok(202);
    assert_eq!(begun["task"], "endpoint.bulk-replay");
    let task = ended(&shop, &begun).await;
    assert_eq!((&task["status"], &task["data"]["done"]), (&json!("finished"), &json!(3)));
    shop.receiver.wait_for(arrived + 3).await.unwrap();
    shop.service.engine.settle().await;
    assert_eq!(found(&shop, "state=exhausted").await, Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_wrong_with_a_selection_is_told_with_its_place() {
    let shop = shop().await;
    for path in ["/app/shop/delivery/count", "/app/shop/delivery/replay"] {
        refuses_bad_bodies(&shop.client, path).await;
        for (name, bad) in [
            ("state", json!("lost")),
            ("eventTypes", json!(["a b"])),
            ("since", json!("yesterday")),
            ("until", json!("2026-13-01T00:00:00Z")),
            ("endpointId", json!(1)),
        ] {
            let answered = shop.client.post(path, json!({ name: bad })).await;
            answered.fault(&["body", name]);
        }
        let nobody = shop.client.post(path, json!({"endpointId": "nobody"})).await;
        nobody.refused(404, "not_found");
    }
    shop.client.post("/app/shop/endpoint/main/disable", json!({"reason": "moving"})).await.ok(200);
    let disabled = shop.client.post("/app/shop/delivery/replay", json!({"endpointId": "main"}));
    disabled.await.refused(409, "conflict");
}

#[tokio::test(flavor = "multi_thread")]
async fn deliveries_are_their_applications_alone() {
    let shop = shop().await;
    let id = shop.order(1).await;
    let list = shop.client.get("/app/shop/delivery").await.ok(200);
    let delivery = list["data"][0]["id"].as_str().unwrap().to_owned();
    let resend = format!("/app/shop/msg/{id}/endpoint/main/resend");
    for (method, path) in [
        (Method::GET, "/app/shop/delivery".to_owned()),
        (Method::GET, format!("/app/shop/delivery/{delivery}")),
        (Method::GET, "/app/shop/endpoint/main/msg".to_owned()),
        (Method::GET, format!("/app/shop/msg/{id}/endpoint")),
        (Method::POST, "/app/shop/delivery/count".to_owned()),
        (Method::POST, "/app/shop/delivery/replay".to_owned()),
        (Method::POST, resend),
    ] {
        shop.is_guarded(method, &path, json!({}), true).await;
    }
    for path in [
        format!("/app/other/delivery/{delivery}"),
        "/app/shop/delivery/dlv_nothing".to_owned(),
        "/app/other/endpoint/main/msg".to_owned(),
        format!("/app/other/msg/{id}/endpoint"),
    ] {
        shop.client.get(&path).await.refused(404, "not_found");
    }
    for path in [
        format!("/app/other/msg/{id}/endpoint/main/resend"),
        format!("/app/shop/msg/{id}/endpoint/nobody/resend"),
        "/app/shop/msg/nothing/endpoint/main/resend".to_owned(),
    ] {
        shop.client.post(&path, json!({})).await.refused(404, "not_found");
    }
}
