//! The server itself: TLS, an orderly end, health and metrics.

use crate::common::{Client, measured_service, service, service_with, soon};
use hookwheel::NewAccessToken;
use hookwheel::api::server::Server;
use hookwheel::config::ServeConfig;
use hookwheel::telemetry::Prometheus;
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

#[tokio::test(flavor = "multi_thread")]
async fn tls_is_spoken_with_the_certificate_of_the_files() {
    let folder = tempfile::tempdir().unwrap();
    let own = rcgen::generate_simple_self_signed(vec!["127.0.0.1".to_owned()]).unwrap();
    let (certificate, key) = (folder.path().join("cert.pem"), folder.path().join("key.pem"));
    std::fs::write(&certificate, own.cert.pem()).unwrap();
    std::fs::write(&key, own.signing_key.serialize_pem()).unwrap();
    let service = service_with(|config| {
        config.tls_certificate_file = Some(certificate.clone());
        config.tls_key_file = Some(key.clone());
        config.api.head_seconds = 1;
    })
    .await;
    assert!(service.url.starts_with("https://127.0.0.1:"));
    let root = reqwest::Certificate::from_pem(own.cert.pem().as_bytes()).unwrap();
    let http = reqwest::Client::builder().tls_certs_only([root]).build().unwrap();
    let client = Client { http, ..service.client().await };
    client.post("/app", json!({"name": "Shop"})).await.ok(201);
    let stranger = reqwest::Client::builder().tls_certs_only([]).build().unwrap();
    let url = format!("{}/health/live", service.url);
    assert!(soon(stranger.get(&url).send()).await.is_err(), "its certificate is not trusted");
    let mut plain = service.connect().await;
    plain.write_all(b"GET /health/live HTTP/1.1\r\nHost: a\r\n\r\n").await.unwrap();
    let mut text = Vec::new();
    let _ = soon(plain.read_to_end(&mut text)).await;
    assert!(!text.starts_with(b"HTTP"), "no plain answer");
    let mut silent = service.connect().await;
    assert_eq!(soon(silent.read_to_end(&mut text)).await.ok(), Some(0), "no handshake");
    client.get("/health/live").await.is_empty(204);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_cannot_be_says_why() {
    let service = service().await;
    let bind = async |change: &dyn Fn(&mut ServeConfig)| {
        let mut config = ServeConfig { listen: ([127, 0, 0, 1], 0).into(), ..Default::default() };
        change(&mut config);
        let bound = Server::bind(service.engine.clone(), &config, None).await;
        bound.map(|server| server.url()).unwrap_err().to_string()
    };
    let taken = bind(&|config| config.listen = service.address).await;
    assert!(taken.contains(&format!("cannot listen on {}", service.address)), "{taken}");
    let half = bind(&|config| config.tls_key_file = Some("key.pem".into())).await;
    assert!(half.contains("only one is set"), "{half}");
    let missing = bind(&|config| {
        config.tls_certificate_file = Some("/nowhere/cert.pem".into());
        config.tls_key_file = Some("/nowhere/key.pem".into());
    })
    .await;
    assert!(missing.contains("/nowhere/cert.pem"), "{missing}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_in_flight_at_the_end_is_finished_and_live_views_end() {
    let mut service = service().await;
    let client = service.client().await;
    let token = client.token.clone().unwrap();
    let view = client.request(reqwest::Method::GET, "/outcome/stream").send();
    let view = soon(view).await.unwrap();
    assert_eq!(view.status(), 200);
    let body = r#"{"name": "Last"}"#;
    let head = format!(
        "POST /api/v1/app HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {token}\r\n\
         Content-Length: {}\r\nExpect: 100-continue\r\n\r\n",
        body.len()
    );
    let mut upload = service.connect().await;
    upload.write_all(head.as_bytes()).await.unwrap();
    let mut told = [0; 25];
    soon(upload.read_exact(&mut told)).await.unwrap();
    assert_eq!(&told, b"HTTP/1.1 100 Continue\r\n\r\n", "the request is in flight");

    service.stop();
    assert_eq!(soon(view.text()).await.unwrap(), "", "nothing happened, and it is over");
    upload.write_all(body.as_bytes()).await.unwrap();
    let mut answer = String::new();
    soon(upload.read_to_string(&mut answer)).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 201"), "{answer}");
    service.stopped().await;
    assert_eq!(service.engine.applications()[0].name, "Last");
    let url = format!("{}/health/live", service.url);
    assert!(soon(service.stranger().http.get(&url).send()).await.unwrap_err().is_connect());
}

#[tokio::test(flavor = "multi_thread")]
async fn who_never_finishes_is_left_after_the_grace() {
    let mut service = service_with(|config| config.engine.close_grace_seconds = 1).await;
    let token = service.client().await.token.unwrap();
    let head = format!(
        "POST /api/v1/app HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {token}\r\n\
         Content-Length: 9\r\nExpect: 100-continue\r\n\r\n"
    );
    let mut upload = service.connect().await;
    upload.write_all(head.as_bytes()).await.unwrap();
    soon(upload.read_exact(&mut [0; 25])).await.unwrap();
    service.stop();
    service.stopped().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_closed_engine_is_alive_but_not_ready() {
    let service = service().await;
    let client = service.stranger();
    for path in [
        "/health/live",
        "/health/ready",
        "/api/v1/health",
        "/api/v1/health/",
        "/api/v1/health/ping",
    ] {
        client.get(path).await.is_empty(204);
    }
    service.engine.close().await.unwrap();
    for path in ["/health/live", "/api/v1/health/ping"] {
        client.get(path).await.is_empty(204);
    }
    for path in ["/health/ready", "/api/v1/health"] {
        let refused = client.get(path).await;
        refused.refused(503, "unavailable");
        assert_eq!(refused.headers["retry-after"], "1");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn metrics_are_shown_to_who_may_read_everything() {
    let prometheus = Prometheus::install().unwrap();
    let service = measured_service(|_| {}, Some(prometheus)).await;
    let client = service.shop().await;
    let message = json!({"eventType": "a.b", "payload": {}});
    client.post("/app/shop/msg", message).await.ok(202);
    let scrape = client.get("/metrics").await;
    assert_eq!(scrape.status, 200);
    assert_eq!(scrape.headers["content-type"], "text/plain; version=0.0.4");
    assert!(scrape.text.contains("# TYPE hookwheel_events_total counter"), "{}", scrape.text);
    assert!(scrape.text.contains(r#"route="/api/v1/app/{app_id}/msg""#), "{}", scrape.text);
    let reader = NewAccessToken { read_only: true, ..NewAccessToken::default() };
    assert_eq!(service.client_of(reader).await.get("/metrics").await.status, 200);
    service.stranger().get("/metrics").await.refused(401, "authentication_failed");
    let unmeasured = crate::common::service().await;
    unmeasured.client().await.get("/metrics").await.refused(404, "not_found");
}
