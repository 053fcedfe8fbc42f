//! The data of a message on its whole way: bytes of the request, bytes at the receiver.

use crate::common::service_with;
use crate::delivering::{Shop, shop};
use hookwheel::simulate::receiver::{Answer, Consumer, Received, Receiver};
use reqwest::Method;
use serde_json::{Value, json};
use std::time::Duration;

/// What a parser that writes it again would change: spaces, a member twice, numbers beyond any
/// machine's, escapes, a lone surrogate.
const ODD: &str = r#"{ "amount": 1.10,	"amount":123456789012345678901234567890, "e":1E+400 ,"z":-0.0,
 "text":"\u00e9\/é\ud800", "deep":{"b":[ ],"a":{ }} }"#;

/// A receiver that takes anything, and an endpoint that is served as `provider` and goes to it.
async fn receiver(shop: &Shop, provider: &str) -> Receiver {
    let consumer = match provider {
        // It has to answer a challenge.
        "opencard" => Consumer::OpenCard,
        _ => Consumer::Unchecked,
    };
    let receiver = Receiver::start(consumer, "").await.unwrap();
    if provider == "opencard" {
        let application = shop.service.engine.application_by_uid("shop").unwrap().id;
        let secret = shop.service.engine.application_secret(application, provider).await;
        receiver.set_secret(secret.unwrap().expose());
    }
    let endpoint = json!({"url": receiver.url(), "uid": provider, "provider": provider});
    let made = shop.client.post("/app/shop/endpoint", endpoint).await.ok(201);
    assert_eq!(made["disabled"], false, "{made}");
    receiver.answer_always(Some(Answer::status(200)));
    receiver
}

/// The bodies of the webhooks among what arrived.
fn bodies(requests: Vec<Received>) -> Vec<String> {
    let posts = requests.into_iter().filter(|request| request.method == "POST");
    posts.map(|request| String::from_utf8(request.body).unwrap()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_providers_envelope_carries_the_bytes_through_retries_and_replays() {
    let shop = shop().await;
    // What of the data is in the body as it came: all of it, the members, or all but the last brace,
    // before which Yoco's envelope sets a member.
    let (whole, members) = (ODD, &ODD[1..ODD.len() - 1]);
    let all_but_last = &ODD[..ODD.len() - 1];
    let providers = [
        ("citizen-ticket", whole),
        ("gocardless", members),
        ("opencard", members),
        ("standard-webhooks", whole),
        ("ticketnation", whole),
        ("yoco", all_but_last),
    ];
    let mut receivers = Vec::new();
    for (provider, _) in providers {
        receivers.push(receiver(&shop, provider).await);
    }
    for receiver in &receivers {
        receiver.answer_next([Answer::status(500)]);
    }
    let body = format!(r#"{{"eventType": "payments.created", "payload":{ODD}}}"#);
    // No parser of the tests reads these numbers back.
    let path = "/app/shop/msg?with_content=false";
    let sent = shop.client.send_text(Method::POST, path, &body).await;
    let id = sent.ok(202)["id"].as_str().unwrap().to_owned();
    shop.service.engine.settle().await;
    shop.service.advance(Duration::from_secs(120)).await;
    for (provider, _) in providers {
        let path = format!("/app/shop/msg/{id}/endpoint/{provider}/resend");
        shop.client.post(&path, json!({})).await.ok(202);
    }
    shop.service.engine.settle().await;
    for ((provider, expected), receiver) in providers.into_iter().zip(&receivers) {
        let bodies = bodies(receiver.requests());
        assert_eq!(bodies.len(), 3, "{provider}: first attempt, retry, replay");
        for body in &bodies {
            assert!(body.contains(expected), "{provider}: {body}");
            let is_restamped = provider == "citizen-ticket";
            assert!(is_restamped || *body == bodies[0], "{provider}: {body}");
        }
    }
}

/// Data of exactly that many bytes.
fn data_of(bytes: usize) -> String {
    format!(r#"{{"a":"{}"}}"#, "x".repeat(bytes - 8))
}

/// Data nested so deep.
fn nested(levels: usize) -> String {
    format!("{}1{}", r#"{"a":"#.repeat(levels), "}".repeat(levels))
}

#[tokio::test(flavor = "multi_thread")]
async fn data_is_bounded_in_size_and_depth_and_nothing_of_what_is_beyond_is_stored() {
    const BYTES_MAX: usize = 2000;
    let service = service_with(|config| config.engine.event_data_max_bytes = BYTES_MAX).await;
    let client = service.shop().await;
    let member = |data: &str| format!(r#"{{"eventType":"a.b","payload":{data}}}"#);
    let raw = |data: &str| {
        let raw = json!({ "rawPayload": data });
        json!({"eventType": "a.b", "payload": {}, "transformationsParams": raw}).to_string()
    };
    let send = async |body: String| client.send_text(Method::POST, "/app/shop/msg", &body).await;
    for good in [data_of(BYTES_MAX), nested(128)] {
        send(member(&good)).await.ok(202);
        send(raw(&good)).await.ok(202);
    }
    let beyond_any_stack = format!("{{\"a\":{}}}", "[".repeat(900) + &"]".repeat(900));
    for bad in [data_of(BYTES_MAX + 1), nested(129), beyond_any_stack] {
        let refused = send(member(&bad)).await;
        assert!(!refused.fault(&["body", "payload"]).is_empty());
        let refused = send(raw(&bad)).await;
        assert_eq!(refused.status, 422, "{}", refused.text);
    }
    let listed = client.get("/app/shop/msg?with_content=false").await.ok(200);
    assert_eq!(listed["data"].as_array().unwrap().len(), 4);
}

#[tokio::test(flavor = "multi_thread")]
async fn no_depth_of_a_body_ends_the_service() {
    let service = service_with(|_| {}).await;
    let client = service.shop().await;
    let deep = |open: &str, close: &str| open.repeat(200_000) + &close.repeat(200_000);
    for value in [deep("[", "]"), deep(r#"{"a":"#, "}").replace(":}", ":1}"), "[".repeat(900_000)] {
        for (path, body) in [
            ("/app/shop/msg", format!(r#"{{"eventType":"a.b","payload":{value}}}"#)),
            ("/app", format!(r#"{{"name":"a","metadata":{value}}}"#)),
            ("/app/shop/endpoint", format!(r#"{{"url":{value}}}"#)),
            ("/event-type", format!(r#"{{"name":"a","description":"","schemas":{value}}}"#)),
        ] {
            let refused = client.send_text(Method::POST, path, &body).await;
            assert!(matches!(refused.status, 413 | 422), "{path}: {}", refused.text);
        }
    }
    assert_eq!(client.get("/app/shop/msg").await.ok(200)["data"], Value::Array(Vec::new()));
}
