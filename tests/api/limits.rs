//! What the service takes at once, and that it goes on meanwhile.

use crate::common::{Answer, Client, Service, answer, service_with, soon};
use hookwheel::simulate::receiver::{self, Consumer, Receiver};
use reqwest::Method;
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::task::JoinHandle;

/// A receiver with an endpoint `main` of the application `shop` that goes to it.
async fn receiver(client: &Client) -> Receiver {
    let receiver = Receiver::start(Consumer::Unchecked, "").await.unwrap();
    let endpoint = json!({"url": receiver.url(), "uid": "main"});
    client.post("/app/shop/endpoint", endpoint).await.ok(201);
    receiver
}

/// A request that is in flight until its receiver answers or lets go.
async fn hanging(client: &Client, receiver: &Receiver) -> JoinHandle<Answer> {
    receiver.answer_next([receiver::Answer::hang()]);
    let client = client.clone();
    let asked =
        tokio::spawn(async move { client.post("/app/shop/endpoint/main/test", json!({})).await });
    receiver.wait_for(1).await.unwrap();
    asked
}

fn retry_after(refused: &Answer) -> u64 {
    refused.headers["retry-after"].to_str().unwrap().parse().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_that_floods_waits_and_others_and_deliveries_do_not() {
    let service = service_with(|config| {
        config.api.requests_per_second = 1;
        config.api.requests_burst = 5;
    })
    .await;
    let (client, other) = (service.shop().await, service.client().await);
    let receiver = receiver(&other).await;
    receiver.answer_next([receiver::Answer::status(500)]);
    let message = json!({"eventType": "a.b", "payload": {}});
    other.post("/app/shop/msg", message).await.ok(202);
    service.engine.settle().await;
    let mut refused = client.get("/app").await;
    while refused.status == 200 {
        refused = client.get("/app").await;
    }
    assert!(refused.refused(429, "rate_limited").contains("wait"), "{}", refused.text);
    assert!((1..=5).contains(&retry_after(&refused)), "{}", retry_after(&refused));
    other.get("/app").await.ok(200);
    service.advance(std::time::Duration::from_secs(3600)).await;
    assert!(receiver.wait_for(2).await.unwrap().len() >= 2, "its retry came");
}

#[tokio::test(flavor = "multi_thread")]
async fn beyond_the_requests_in_flight_clients_are_told_to_come_again_and_health_is_not() {
    let service = service_with(|config| config.api.requests_in_flight_max = 1).await;
    let client = service.shop().await;
    let receiver = receiver(&client).await;
    let asked = hanging(&client, &receiver).await;
    let refused = client.get("/app").await;
    refused.refused(429, "rate_limited");
    assert_eq!(retry_after(&refused), 1);
    for path in ["/health/live", "/health/ready", "/api/v1/health", "/api/v1/health/ping"] {
        service.stranger().get(path).await.is_empty(204);
    }
    receiver.stop().await;
    soon(asked).await.unwrap().ok(200);
    client.get("/app").await.ok(200);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_that_takes_too_long_is_let_go_and_recorded_all_the_same() {
    let service = service_with(|config| config.api.request_seconds = 1).await;
    let client = service.shop().await;
    let receiver = receiver(&client).await;
    let refused = soon(hanging(&client, &receiver).await).await.unwrap();
    let detail = refused.refused(503, "unavailable");
    assert!(detail.contains("1 s"), "{detail}");
    assert_eq!(retry_after(&refused), 1);
    receiver.stop().await;
    service.engine.settle().await;
    soon(async {
        let path = "/app/shop/attempt/endpoint/main";
        while client.get(path).await.ok(200)["data"].as_array().unwrap().is_empty() {}
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_beyond_the_limit_is_refused_however_it_is_sent() {
    let service = service_with(|config| config.api.body_max_bytes = 1000).await;
    let client = service.client().await;
    let whole = |name: usize| json!({"name": "a", "metadata": {"x": "y".repeat(name)}}).to_string();
    let rest = whole(0).len();
    client.send_text(Method::POST, "/app", &whole(1000 - rest)).await.ok(201);
    let refused = client.send_text(Method::POST, "/app", &whole(1001 - rest)).await;
    assert!(refused.refused(413, "payload_too_large").contains("1000"), "{}", refused.text);
    let chunked = |text: String| {
        let (begin, end) = text.split_at(500);
        let parts = [Ok::<_, std::io::Error>(begin.to_owned()), Ok(end.to_owned())];
        let body = reqwest::Body::wrap_stream(tokio_stream::iter(parts));
        answer(client.request(Method::POST, "/app").body(body))
    };
    chunked(whole(1000 - rest)).await.ok(201);
    chunked(whole(1001 - rest)).await.refused(413, "payload_too_large");
    // Sent in full before it is refused, so that the client reads the answer.
    client.send_text(Method::POST, "/app", &whole(300_000)).await.refused(413, "payload_too_large");
}

/// Writes `head`, and reads until the server closes the connection.
async fn exchange(service: &Service, head: &str) -> String {
    let mut stream = service.connect().await;
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut text = Vec::new();
    // A connection may also be reset, with what was not read on it.
    let _ = soon(stream.read_to_end(&mut text)).await;
    String::from_utf8(text).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_head_that_is_too_long_is_refused() {
    let service = service_with(|_| {}).await;
    let head = |rest: String| format!("GET /health/live HTTP/1.1\r\nHost: a\r\n{rest}\r\n");
    let close = "Connection: close\r\n";
    let good = exchange(&service, &head(close.to_owned())).await;
    assert!(good.starts_with("HTTP/1.1 204"), "{good}");
    let many: String = (0..200).map(|number| format!("x-{number}: y\r\n")).collect();
    let long = format!("x: {}\r\n", "y".repeat(200_000));
    for rest in [many, long] {
        let refused = exchange(&service, &head(rest)).await;
        assert!(refused.starts_with("HTTP/1.1 431"), "{refused}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_slow_with_a_head_or_falls_silent_is_cut_off() {
    let service = service_with(|config| config.api.head_seconds = 1).await;
    let cut = exchange(&service, "GET /health/live HTTP/1.1\r\nHo").await;
    assert!(!cut.starts_with("HTTP/1.1 2"), "{cut}");
    let request = "GET /health/live HTTP/1.1\r\nHost: a\r\n\r\n";
    let answered = exchange(&service, request).await;
    assert!(answered.starts_with("HTTP/1.1 204"), "{answered}");
    assert_eq!(exchange(&service, "").await, "");
}

#[tokio::test(flavor = "multi_thread")]
async fn connections_beyond_the_limit_wait_and_are_served_when_one_ends() {
    let service = service_with(|config| config.api.connections_max = 1).await;
    let request = b"GET /health/live HTTP/1.1\r\nHost: a\r\n\r\n";
    let mut answer = [0; 12];
    let mut first = service.connect().await;
    first.write_all(request).await.unwrap();
    soon(first.read_exact(&mut answer)).await.unwrap();
    let mut second = service.connect().await;
    second.write_all(request).await.unwrap();
    // Long enough for an answer, were there a place for it.
    let mut rest = vec![0; 4096];
    for _ in 0..20 {
        first.write_all(request).await.unwrap();
        assert_ne!(soon(first.read(&mut rest)).await.unwrap(), 0);
    }
    let waits = second.try_read(&mut rest).unwrap_err();
    assert_eq!(waits.kind(), std::io::ErrorKind::WouldBlock);
    drop(first);
    soon(second.read_exact(&mut answer)).await.unwrap();
    assert_eq!(&answer, b"HTTP/1.1 204");
}
