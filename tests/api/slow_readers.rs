//! Clients that read their answers slowly, or not at all.

use crate::common::{Client, Service, service_with, soon};
use hookwheel::NewEvent;
use hookwheel::clock::pause;
use hookwheel::config::ServeConfig;
use serde_json::json;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};

/// More than the system keeps for a connection.
const LONG: usize = 16 * 1024 * 1024;

/// A service, a client, and a request for a message of that length.
async fn long_message(set_up: impl FnOnce(&mut ServeConfig)) -> (Service, Client, String) {
    let service = service_with(|config| {
        config.engine.event_data_max_bytes = 2 * LONG;
        set_up(config);
    })
    .await;
    let client = service.shop().await;
    let shop = service.engine.application_by_uid("shop").unwrap().id;
    let event = NewEvent::new(shop, "a.b", &json!({"note": "x".repeat(LONG)})).unwrap();
    let id = service.engine.emit(event).await.unwrap().event;
    let request = format!(
        "GET /api/v1/app/shop/msg/{id} HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {}\r\n\
         Connection: close\r\n\r\n",
        client.token.as_ref().unwrap()
    );
    (service, client, request)
}

/// A connection for which the system keeps little on this side.
#[allow(clippy::disallowed_methods, reason = "the ban is on the engine's own sockets")]
async fn connect(service: &Service) -> TcpStream {
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(64 * 1024).unwrap();
    soon(socket.connect(service.address)).await.unwrap()
}

/// A request whose answer has begun, and is not read on.
async fn unread(service: &Service, request: &str) -> TcpStream {
    let mut stream = connect(service).await;
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut status = [0; 12];
    soon(stream.read_exact(&mut status)).await.unwrap();
    assert_eq!(&status, b"HTTP/1.1 200");
    stream
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_is_in_flight_until_its_answer_is_read() {
    let (service, client, request) =
        long_message(|config| config.api.requests_in_flight_max = 1).await;
    let mut stream = unread(&service, &request).await;
    client.get("/app").await.refused(429, "rate_limited");
    let mut rest = Vec::new();
    soon(stream.read_to_end(&mut rest)).await.unwrap();
    assert!(rest.len() > LONG, "{}", rest.len());
    soon(async { while client.get("/app").await.status != 200 {} }).await;
    let stream = unread(&service, &request).await;
    client.get("/app").await.refused(429, "rate_limited");
    drop(stream);
    soon(async { while client.get("/app").await.status != 200 {} }).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_reads_a_little_now_and_then_is_cut_off() {
    let (service, _, request) = long_message(|config| config.api.request_seconds = 3).await;
    let mut stream = unread(&service, &request).await;
    let (mut read, mut part) = (0, vec![0; 64 * 1024]);
    for _ in 0..40 {
        pause(Duration::from_millis(150)).await;
        read += stream.read(&mut part).await.unwrap_or_default();
    }
    while let Ok(more @ 1..) = soon(stream.read(&mut part)).await {
        read += more;
    }
    assert!(read < LONG, "{read}");
}

#[tokio::test(flavor = "multi_thread")]
async fn who_reads_the_description_slowly_keeps_no_place_from_who_has_a_token() {
    let service = service_with(|config| config.api.requests_in_flight_max = 16).await;
    let (client, stranger) = (service.client().await, service.stranger());
    let request = "GET /docs/swagger-ui-bundle.js HTTP/1.1\r\nHost: a\r\n\r\n".repeat(12);
    let mut slow = Vec::new();
    for _ in 0..8 {
        slow.push(unread(&service, &request).await);
    }
    soon(async { while stranger.get("/docs/").await.status != 429 {} }).await;
    let refused = stranger.get("/api/v1/openapi.json").await;
    let detail = refused.refused(429, "rate_limited");
    assert!(detail.contains("without a token"), "{detail}");
    client.get("/app").await.ok(200);
    drop(slow);
    soon(async { while stranger.get("/docs/").await.status != 200 {} }).await;
}
