//! Messages.

use crate::common::{answer, each, members};
use crate::delivering::{refuses_bad_bodies, refuses_bad_queries, shop, walked};
use hookwheel::model::is_unseen;
use reqwest::Method;
use serde_json::{Value, json};
use std::time::Duration;

const MEMBERS: [&str; 10] = [
    "channels",
    "eventId",
    "eventType",
    "id",
    "mode",
    "occurredAt",
    "payload",
    "tags",
    "timestamp",
    "unreached",
];

#[tokio::test(flavor = "multi_thread")]
async fn a_message_is_sent_shown_and_listed() {
    let shop = shop().await;
    let body = json!({
        "eventType": "order.created", "payload": {"orderId": 1}, "eventId": "order-1",
        "channels": ["oslo"], "tags": ["vip"], "mode": "test",
        "occurredAt": "2026-01-14T10:00:00+01:00",
    });
    let sent = shop.client.post("/app/shop/msg", body).await.ok(202);
    assert_eq!(members(&sent), MEMBERS);
    let id = sent["id"].as_str().unwrap();
    assert!(id.starts_with("msg_"), "{id}");
    let told = json!({
        "id": id, "eventType": "order.created", "payload": {"orderId": 1}, "eventId": "order-1",
        "channels": ["oslo"], "tags": ["vip"], "mode": "test", "unreached": null,
        "timestamp": "2026-01-15T12:00:00.000000Z", "occurredAt": "2026-01-14T09:00:00.000000Z",
    });
    assert_eq!(sent, told);
    for name in [id, "order-1"] {
        assert_eq!(shop.client.get(&format!("/app/shop/msg/{name}")).await.ok(200), told);
    }
    assert_eq!(shop.client.get("/app/shop/msg").await.ok(200)["data"], json!([told]));
    let received = shop.receiver.wait_for(1).await.unwrap();
    let received: Value = serde_json::from_slice(&received[0].body).unwrap();
    assert_eq!(received["isTest"], true, "the mode goes on the provider's way");

    let plain = json!({"eventType": "order.paid", "data": {}});
    let plain = shop.client.post("/app/shop/msg?with_content=false", plain).await.ok(202);
    assert_eq!(
        (&plain["channels"], &plain["tags"], &plain["mode"]),
        (&Value::Null, &Value::Null, &json!("live"))
    );
    assert_eq!(plain["occurredAt"], plain["timestamp"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_payload_keeps_its_bytes_all_the_way() {
    let shop = shop().await;
    shop.endpoint("standard", json!({})).await;
    let payload = r#"{ "a": 1.10,	"a":12345678901234567890123, "u":"\u00e9\/é",
 "e": 1E+2 , "":[ ] }"#;
    let body = format!(r#"{{"eventType":"order.created", "payload" : {payload} }}"#);
    let sent = shop.client.send_text(Method::POST, "/app/shop/msg", &body).await;
    assert!(sent.text.contains(payload), "{}", sent.text);
    let id = sent.ok(202)["id"].as_str().unwrap().to_owned();
    let received = shop.receiver.wait_for(2).await.unwrap();
    for request in received {
        let body = String::from_utf8(request.body).unwrap();
        assert!(body.contains(payload), "{body}");
    }
    shop.service.engine.settle().await;
    for path in [format!("/app/shop/msg/{id}"), "/app/shop/msg".to_owned()] {
        let shown = shop.client.get(&path).await;
        assert!(shown.text.contains(payload), "{}", shown.text);
    }
    let attempts = shop.client.get(&format!("/app/shop/attempt/msg/{id}")).await.ok(200);
    assert_eq!(attempts["data"].as_array().unwrap().len(), 2);
    for sent in each(&attempts, "requestBody") {
        assert!(sent.contains(payload), "{sent}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn data_that_would_drive_a_terminal_is_shown_escaped_and_sent_as_it_came() {
    let shop = shop().await;
    let payload = "{\r\"note\": \"\u{9b}31m\u{7f}\u{202e}\u{2028}\u{feff}é\"}";
    let body = format!(r#"{{"eventType":"order.created", "payload": {payload} }}"#);
    let sent = shop.client.send_text(Method::POST, "/app/shop/msg", &body).await;
    let received = shop.receiver.wait_for(1).await.unwrap();
    let arrived = String::from_utf8(received[0].body.clone()).unwrap();
    assert!(arrived.contains(payload), "{arrived:?}");
    shop.service.engine.settle().await;
    let id = sent.json["id"].as_str().unwrap();
    let shown = shop.client.get(&format!("/app/shop/msg/{id}")).await;
    let attempts = shop.client.get(&format!("/app/shop/attempt/msg/{id}")).await;
    assert_eq!(attempts.json["data"][0]["requestBody"], arrived);
    for answer in [sent, shown, attempts] {
        assert!(!answer.text.chars().any(is_unseen), "{:?}", answer.text);
        assert!(answer.text.contains(r"\u009b31m\u007f\u202e\u2028\ufeffé"), "{}", answer.text);
        if answer.json["payload"] != Value::Null {
            let data: Value = serde_json::from_str(payload).unwrap();
            assert_eq!(answer.json["payload"], data);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn content_is_left_out_where_it_is_not_wanted() {
    let shop = shop().await;
    let id = shop.order(1).await;
    let path = format!("/app/shop/msg/{id}?with_content=false");
    assert_eq!(shop.client.get(&path).await.ok(200)["payload"], json!({}));
    let list = shop.client.get("/app/shop/msg?with_content=false").await.ok(200);
    assert_eq!(list["data"][0]["payload"], json!({}));
    let bad = shop.client.get("/app/shop/msg?with_content=perhaps").await;
    bad.fault(&["query", "with_content"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_wrong_with_a_message_is_told_with_its_place() {
    let shop = shop().await;
    refuses_bad_bodies(&shop.client, "/app/shop/msg").await;
    let message = |name: &str, value: Value| {
        let mut body = json!({"eventType": "order.created", "payload": {}});
        body[name] = value;
        body
    };
    for (name, bad) in [
        ("eventType", json!("order created")),
        ("eventType", json!("")),
        ("eventType", json!("x".repeat(257))),
        ("eventType", json!(1)),
        ("payload", json!([1])),
        ("payload", json!("text")),
        ("payload", json!({"a": "x".repeat(1024 * 1024)})),
        ("eventId", json!("a b")),
        ("eventId", json!("")),
        ("channels", json!(["a b"])),
        ("channels", json!(vec!["a"; 11])),
        ("tags", json!([""])),
        ("mode", json!("dry")),
        ("occurredAt", json!("yesterday")),
    ] {
        let answered = shop.client.post("/app/shop/msg", message(name, bad)).await;
        assert!(!answered.fault(&["body", name]).is_empty());
    }
    let missing = shop.client.post("/app/shop/msg", json!({"payload": {}})).await;
    assert!(missing.fault(&["body", "eventType"]).contains("missing field"));
    let listed = shop.client.get("/app/shop/msg").await.ok(200);
    assert_eq!(listed["data"], json!([]), "nothing of it was taken");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_id_is_used_once() {
    let shop = shop().await;
    let message = |number: u32| json!({"eventType": "order.created", "payload": {"orderId": number}, "eventId": "order-1"});
    shop.client.post("/app/shop/msg", message(1)).await.ok(202);
    for number in [1, 2] {
        let again = shop.client.post("/app/shop/msg", message(number)).await;
        assert!(again.refused(409, "conflict").contains("order-1"));
    }
    shop.client.post("/app", json!({"name": "Other", "uid": "other"})).await.ok(201);
    shop.client.post("/app/other/msg", message(1)).await.ok(202);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_application_is_made_with_its_first_message() {
    let shop = shop().await;
    let message = |event_type: &str, application: Value| json!({"eventType": event_type, "payload": {}, "application": application});
    let wrong = message("not a type", json!({"name": "Kiosk"}));
    shop.client.post("/app/kiosk/msg", wrong).await.fault(&["body", "eventType"]);
    shop.client.get("/app/kiosk").await.refused(404, "not_found");
    let elsewhere = message("order.created", json!({"name": "Kiosk", "uid": "stand"}));
    let elsewhere = shop.client.post("/app/kiosk/msg", elsewhere).await;
    elsewhere.fault(&["body", "application", "uid"]);

    let first = message("order.created", json!({"name": "Kiosk"}));
    let send = || shop.client.post("/app/kiosk/msg", first.clone());
    let both = tokio::join!(send(), send());
    assert_eq!(both.0.ok(202)["unreached"], "the application has no endpoint");
    both.1.ok(202);
    assert_eq!(shop.client.get("/app/kiosk").await.ok(200)["name"], "Kiosk");
    shop.client
        .post("/app/kiosk/msg", message("order.created", json!({"name": "Renamed"})))
        .await
        .ok(202);
    assert_eq!(shop.client.get("/app/kiosk").await.ok(200)["name"], "Kiosk");
    let own = shop.client_for("shop", |token| token).await;
    own.post("/app/third/msg", first.clone()).await.refused(404, "not_found");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_that_reaches_nobody_says_why() {
    let shop = shop().await;
    shop.client
        .patch("/app/shop/endpoint/main", json!({"eventTypes": ["order.*"], "channels": ["oslo"]}))
        .await
        .ok(200);
    let unreached = async |event_type: &str, channels: Value| {
        let body = json!({"eventType": event_type, "payload": {}, "channels": channels});
        let sent = shop.client.post("/app/shop/msg", body).await.ok(202);
        let id = sent["id"].as_str().unwrap();
        let shown = shop.client.get(&format!("/app/shop/msg/{id}")).await.ok(200);
        assert_eq!(sent["unreached"], shown["unreached"]);
        shown["unreached"].as_str().map(str::to_owned)
    };
    let told = unreached("refund.created", Value::Null).await;
    assert_eq!(told.as_deref(), Some("of 1 endpoint(s): 1 filtered by event type"));
    let told = unreached("order.created", json!(["bergen"])).await;
    assert_eq!(told.as_deref(), Some("of 1 endpoint(s): 1 filtered by channel"));
    assert_eq!(unreached("order.created", json!(["oslo"])).await, None);
    shop.client.post("/app/shop/endpoint/main/disable", json!({"reason": "moving"})).await.ok(200);
    let told = unreached("order.created", json!(["oslo"])).await;
    assert_eq!(told.as_deref(), Some("of 1 endpoint(s): 1 disabled"));
}

#[tokio::test(flavor = "multi_thread")]
async fn messages_are_found_by_every_filter() {
    let shop = shop().await;
    let mut ids = Vec::new();
    for (event_type, channel, tag) in
        [("order.created", "a", "x"), ("order.paid", "b", "y"), ("refund.created", "a", "y")]
    {
        let body = json!({
            "eventType": event_type, "payload": {}, "channels": [channel], "tags": [tag],
        });
        ids.push(shop.send(body).await);
        shop.service.advance(Duration::from_secs(60)).await;
    }
    for (query, expected) in [
        ("channel=a", &[2, 0][..]),
        ("tag=y", &[2, 1]),
        ("event_types=order.paid", &[1]),
        ("event_types=order.created,refund.created", &[2, 0]),
        ("event_types=order.created&event_types=order.paid", &[1, 0]),
        ("event_types=order.*", &[1, 0]),
        ("after=2026-01-15T12:01:00Z", &[2, 1]),
        ("before=2026-01-15T12:01:00Z", &[0]),
        ("after=2026-01-15T13:01:00+01:00&before=2026-01-15T12:02:00Z", &[1]),
        ("channel=a&tag=y", &[2]),
        ("channel=none", &[]),
    ] {
        let found = shop.client.get(&format!("/app/shop/msg?{query}")).await.ok(200);
        let expected: Vec<&str> = expected.iter().map(|at| ids[*at].as_str()).collect();
        assert_eq!(each(&found, "id"), expected, "{query}");
        assert_eq!(found["done"], true);
    }
    refuses_bad_queries(&shop.client, "/app/shop/msg", true).await;
    let bad = shop.client.get("/app/shop/msg?event_types=a%20b").await;
    bad.fault(&["query", "event_types"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn messages_are_walked_both_ways_while_new_ones_arrive() {
    let shop = shop().await;
    for number in 0..7 {
        shop.order(number).await;
    }
    let arrive = async || drop(shop.order(100).await);
    assert!(walked(&shop.client, "/app/shop/msg", arrive).await.len() > 11);
    let none = shop.client.get("/app/shop/msg?channel=none").await.ok(200);
    let empty = json!({"data": [], "iterator": null, "prevIterator": null, "done": true});
    assert_eq!(none, empty);
}

#[tokio::test(flavor = "multi_thread")]
async fn content_is_removed_for_good() {
    let shop = shop().await;
    let id = shop.order(1).await;
    let path = format!("/app/shop/msg/{id}/content");
    shop.client.delete(&path).await.is_empty(204);
    shop.client.delete(&path).await.is_empty(204);
    let shown = shop.client.get(&format!("/app/shop/msg/{id}")).await.ok(200);
    assert_eq!((&shown["payload"], &shown["eventType"]), (&json!({}), &json!("order.created")));
    let attempts = shop.client.get(&format!("/app/shop/attempt/msg/{id}")).await.ok(200);
    assert_eq!(each(&attempts, "requestBody"), [""]);
    let resend = format!("/app/shop/msg/{id}/endpoint/main/resend");
    shop.client.post(&resend, json!({})).await.refused(409, "conflict");

    shop.receiver.answer_next([hookwheel::simulate::receiver::Answer::status(500)]);
    let waiting = shop.order(2).await;
    let refused = shop.client.delete(&format!("/app/shop/msg/{waiting}/content")).await;
    refused.refused(409, "conflict");
}

#[tokio::test(flavor = "multi_thread")]
async fn messages_are_their_applications_alone() {
    let shop = shop().await;
    let id = shop.order(1).await;
    let one = format!("/app/shop/msg/{id}");
    let message = json!({"eventType": "order.created", "payload": {}});
    shop.is_guarded(Method::GET, "/app/shop/msg", Value::Null, true).await;
    shop.is_guarded(Method::GET, &one, Value::Null, true).await;
    shop.is_guarded(Method::POST, "/app/shop/msg", message, false).await;
    shop.is_guarded(Method::DELETE, &format!("{one}/content"), Value::Null, false).await;
    for path in [format!("/app/other/msg/{id}"), "/app/shop/msg/msg_nothing".to_owned()] {
        let missing = shop.client.get(&path).await;
        assert!(missing.refused(404, "not_found").starts_with("message `"), "{}", missing.text);
        shop.client.delete(&format!("{path}/content")).await.refused(404, "not_found");
    }
    let other = shop.client.request(Method::PUT, "/app/shop/msg").json(&json!({}));
    answer(other).await.refused(405, "method_not_allowed");
}
