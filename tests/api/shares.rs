//! That no tenant takes what others need, however many tokens it has.

use crate::common::{Client, Service, answer, service_with, soon};
use crate::hardening::slow_shop;
use futures_util::future::select_all;
use hookwheel::config::ServeConfig;
use reqwest::{Method, StatusCode};
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// A service with an application `shop`, two clients with tokens of that, one of them for its
/// portal, and one that sees everything.
async fn tenants(set_up: impl FnOnce(&mut ServeConfig)) -> (Service, [Client; 2], Client) {
    let service = service_with(set_up).await;
    let everything = service.shop().await;
    let own = own(&service, &everything).await;
    (service, own, everything)
}

async fn own(service: &Service, everything: &Client) -> [Client; 2] {
    let client = |made: serde_json::Value| service.client_with(made["token"].as_str().unwrap());
    let own = json!({"name": "own", "appId": "shop"});
    let own = client(everything.post("/token", own).await.ok(201));
    let portal = client(own.post("/auth/app-portal-access/shop", json!({})).await.ok(200));
    [own, portal]
}

#[tokio::test(flavor = "multi_thread")]
async fn the_tokens_of_an_application_ask_no_more_often_than_one() {
    let (_service, [own, portal], everything) = tenants(|config| {
        config.api.requests_per_second = 1;
        config.api.requests_burst = 50;
    })
    .await;
    let mut refused = own.get("/app/shop").await;
    while refused.status == 200 {
        refused = own.get("/app/shop").await;
    }
    assert!(refused.refused(429, "rate_limited").contains("the application asks"), "{refused:?}");
    // Each of them, or a second in between lets one through.
    let mut refusals = 0;
    for _ in 0..10 {
        refusals += usize::from(portal.get("/app/shop").await.status == 429);
    }
    assert!(refusals > 0);
    everything.get("/app/shop").await.ok(200);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_tokens_of_an_application_have_no_more_requests_in_flight_than_one() {
    let (service, receiver) = slow_shop(|config| config.api.requests_in_flight_max = 16).await;
    let everything = service.client().await;
    let [own, portal] = own(&service, &everything).await;
    for number in 0..8 {
        let client = if number % 2 == 0 { own.clone() } else { portal.clone() };
        let test = client.request(Method::POST, "/app/shop/endpoint/main/test").json(&json!({}));
        tokio::spawn(test.send());
        receiver.wait_for(number + 1).await.unwrap();
    }
    for client in [&own, &portal] {
        let refused = client.get("/app/shop").await;
        let detail = refused.refused(429, "rate_limited");
        assert!(detail.contains("requests of the application are in flight"), "{detail}");
    }
    everything.get("/app/shop").await.ok(200);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_tokens_of_an_application_have_no_more_live_views_than_one() {
    let (_service, [own, portal], everything) = tenants(|_| {}).await;
    let path = "/app/shop/outcome/stream";
    let mut views = Vec::new();
    for number in 0..8 {
        let client = if number % 2 == 0 { &own } else { &portal };
        views.push(soon(client.request(Method::GET, path).send()).await.unwrap());
        assert_eq!(views.last().unwrap().status(), StatusCode::OK);
    }
    let refused = portal.get(path).await;
    let detail = refused.refused(429, "rate_limited");
    assert!(detail.contains("the application has 8 live views"), "{detail}");
    let view = soon(everything.request(Method::GET, path).send()).await.unwrap();
    assert_eq!(view.status(), StatusCode::OK);
}

/// Begins a request of `length` bytes, and sends so many of them.
async fn begun(service: &Service, client: &Client, length: usize, sent: usize) -> TcpStream {
    let head = format!(
        "POST /api/v1/app HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {}\r\n\
         Expect: 100-continue\r\nContent-Length: {length}\r\n\r\n",
        client.token.as_ref().unwrap()
    );
    let mut stream = service.connect().await;
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut told = [0; 25];
    soon(stream.read_exact(&mut told)).await.unwrap();
    assert_eq!(&told, b"HTTP/1.1 100 Continue\r\n\r\n", "its body is waited for");
    stream.write_all(&vec![b' '; sent]).await.unwrap();
    stream
}

/// The first bytes of an answer: its status.
async fn status(stream: &mut TcpStream) -> String {
    let mut status = [0; 12];
    stream.read_exact(&mut status).await.unwrap();
    String::from_utf8(status.into()).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn who_sends_bodies_slowly_keeps_no_place_and_is_cut_off() {
    let (service, [own, _], everything) = tenants(|config| {
        config.api.requests_in_flight_max = 1;
        config.api.request_seconds = 5;
    })
    .await;
    let mut slow = Vec::new();
    for _ in 0..4 {
        slow.push(begun(&service, &own, 2_000_000, 1).await);
    }
    for client in [&own, &everything] {
        client.get("/app/shop").await.ok(200);
    }
    for stream in &mut slow {
        assert_eq!(soon(status(stream)).await, "HTTP/1.1 408");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn bodies_that_are_read_hold_a_bounded_memory_of_which_no_tenant_has_all() {
    let (service, [own, portal], everything) = tenants(|config| {
        config.api.body_max_bytes = 1000;
        config.api.request_seconds = 60;
    })
    .await;
    // All of them together, and of those a quarter, are 64 and 16 bodies of full length.
    let mut slow = Vec::new();
    for number in 0..17 {
        let client = if number % 2 == 0 { &own } else { &portal };
        slow.push(begun(&service, client, 1000, 999).await);
    }
    let answers = slow.iter_mut().map(|stream| Box::pin(status(stream)));
    let (refused, ..) = soon(select_all(answers)).await;
    assert_eq!(refused, "HTTP/1.1 429");
    let app = everything.request(Method::POST, "/app").json(&json!({"name": "x".repeat(200)}));
    answer(app).await.ok(201);
}
