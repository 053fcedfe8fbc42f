//! What cannot stand in a header is refused wherever it is given, before anything is stored.

use crate::common::{answer, each, service};
use hookwheel::simulate::receiver::{Consumer, Receiver};
use reqwest::Method;
use reqwest::header::HeaderValue;
use serde_json::{Value, json};

/// What begins a line of its own, ends a text for some reader, or is no ASCII.
const BAD: [&str; 10] = [
    "a\r\nX-Injected: 1",
    "a\nX-Injected: 1",
    "a\rX-Injected: 1",
    "a\r\n folded",
    "a\0b",
    "a\tb",
    "a\u{7f}b",
    "caf\u{e9}",
    "a\u{85}b",
    "a\u{2028}b",
];

/// Every member of an endpoint of which a header or a request line is made, holding `bad`.
fn members(bad: &str) -> Vec<(&'static str, Value)> {
    let oauth = |member: &str| {
        let mut oauth = json!({"type": "oauth2", "tokenUrl": "https://auth.example/token",
            "clientId": "a", "clientSecret": "b"});
        oauth[member] = json!(bad);
        ("authentication", oauth)
    };
    vec![
        ("headers", json!({"X-Key": bad})),
        ("headers", json!({bad: "value"})),
        ("headers", json!({"Authorization": bad})),
        ("authentication", json!({"type": "basic", "username": bad, "password": "b"})),
        ("authentication", json!({"type": "basic", "username": "a", "password": bad})),
        ("authentication", json!({"type": "header", "name": bad, "value": "b"})),
        ("authentication", json!({"type": "header", "name": "X-Key", "value": bad})),
        oauth("clientSecret"),
        ("uid", json!(bad)),
        ("channels", json!([bad])),
        ("eventTypes", json!([bad])),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn an_endpoint_is_neither_made_nor_changed_with_a_value_that_no_header_can_hold() {
    let service = service().await;
    let client = service.shop().await;
    let receiver = Receiver::start(Consumer::Unchecked, "").await.unwrap();
    let path = "/app/shop/endpoint";
    let main = format!("{path}/main");
    let good = json!({"url": receiver.url(), "uid": "main", "headers": {"X-Key": "good"}});
    client.post(path, good.clone()).await.ok(201);
    let (before, headers) =
        (client.get(&main).await.ok(200), client.get(&format!("{main}/headers")).await.ok(200));
    for bad in BAD {
        for (member, value) in members(bad) {
            let mut body = good.clone();
            body[member] = value.clone();
            let replaced = client.put(&main, body.clone()).await;
            assert_eq!(replaced.status, 422, "{body}: {}", replaced.text);
            body["uid"] = if member == "uid" { value.clone() } else { json!("other") };
            let made = client.post(path, body.clone()).await;
            assert_eq!(made.status, 422, "{body}: {}", made.text);
            let changed = client.patch(&main, json!({member: value})).await;
            assert_eq!(changed.status, 422, "{member} {bad:?}: {}", changed.text);
        }
        for headers in [json!({"X-Key": bad}), json!({bad: "1"}), json!({"Authorization": bad})] {
            let body = json!({ "headers": headers });
            for method in [Method::PUT, Method::PATCH] {
                let request = client.request(method, &format!("{main}/headers")).json(&body);
                assert_eq!(answer(request).await.status, 422, "{body}");
            }
        }
        let gocardless = json!({"url": receiver.url(), "provider": "gocardless", "uid": "other",
            "settings": {"origin": bad}});
        assert_eq!(client.post(path, gocardless).await.status, 422, "origin {bad:?}");
    }
    assert_eq!(client.get(&main).await.ok(200), before);
    assert_eq!(client.get(&format!("{main}/headers")).await.ok(200), headers);
    assert_eq!(each(&client.get(path).await.ok(200), "uid"), ["main"]);
    client.post(&format!("{main}/test"), json!({})).await.ok(200);
    assert_eq!(receiver.wait_for(1).await.unwrap()[0].header("X-Key"), Some("good"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_is_not_taken_with_a_name_that_no_header_can_hold() {
    let service = service().await;
    let client = service.shop().await;
    for bad in BAD {
        for (member, value) in [
            ("eventType", json!(bad)),
            ("eventId", json!(bad)),
            ("channels", json!([bad])),
            ("tags", json!([bad])),
        ] {
            let mut body = json!({"eventType": "order.created", "payload": {}});
            body[member] = value;
            let refused = client.post("/app/shop/msg", body).await;
            assert!(!refused.fault(&["body", member]).contains(char::is_control), "{bad:?}");
        }
    }
    // What a header can bring that is no text of ours.
    for key in [&b"caf\xe9"[..], "caf\u{e9}".as_bytes(), b"", b"a\tb"] {
        let request = client.request(Method::POST, "/app/shop/msg");
        let request = request.header("idempotency-key", HeaderValue::from_bytes(key).unwrap());
        let refused = answer(request.json(&json!({"eventType": "a.b", "payload": {}}))).await;
        refused.fault(&["header", "idempotency-key"]);
    }
    assert_eq!(client.get("/app/shop/msg").await.ok(200)["data"], json!([]));
}
