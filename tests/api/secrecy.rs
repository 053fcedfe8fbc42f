//! Secrets and tokens are in no error and no line of the log, at its finest.

use crate::common::{Answer, Client, service};
use hookwheel::simulate::receiver::{self, Consumer, Receiver};
use serde_json::{Value, json};
use std::io::{self, Write};
use std::sync::{Arc, Mutex, PoisonError};
use tracing::level_filters::LevelFilter;
use tracing_subscriber::fmt::format::FmtSpan;

/// What was logged.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Log {
    /// Everything that this process logs from now on.
    fn start() -> Self {
        let log = Self::default();
        let writer = log.clone();
        let subscriber = tracing_subscriber::fmt()
            .with_max_level(LevelFilter::TRACE)
            .with_span_events(FmtSpan::FULL)
            .with_ansi(false)
            .with_writer(move || writer.clone())
            .finish();
        tracing::subscriber::set_global_default(subscriber).unwrap();
        log
    }

    fn text(&self) -> String {
        let bytes = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        String::from_utf8_lossy(&bytes).into_owned()
    }
}

/// In everything that must not be shown. Base64, as a signing secret is.
const CANARY: &str = "canaryCANARY0canaryCANARY0canaryCANARY0canary";

/// The text of a refusal, without the secret that it is about.
#[track_caller]
fn silent(answer: &Answer) {
    assert!((400..500).contains(&answer.status), "{}", answer.text);
    assert!(!answer.text.contains(CANARY), "{}", answer.text);
}

/// Ways to authenticate, each with the canary in what is secret.
fn authentications(token_url: &str) -> [Value; 3] {
    [
        json!({"type": "basic", "username": "ada", "password": CANARY}),
        json!({"type": "header", "name": "X-Key", "value": CANARY}),
        json!({"type": "oauth2", "tokenUrl": token_url, "clientId": "a", "clientSecret": CANARY}),
    ]
}

/// Uses every route that takes or gives a secret, rightly.
async fn use_secrets(client: &Client, receiver: &Receiver, tokens: &Receiver) -> Vec<String> {
    let secret = format!("whsec_{}", &CANARY[..44]);
    let mut secrets = Vec::new();
    for (number, authentication) in authentications(&tokens.url()).into_iter().enumerate() {
        let path = format!("/app/shop/endpoint/number-{number}");
        let body = json!({"url": receiver.url(), "uid": format!("number-{number}"), "secret": secret,
            "authentication": authentication});
        client.put(&path, body.clone()).await.ok(201);
        client.put(&path, body).await.ok(200);
        client.patch(&path, json!({"authentication": authentication})).await.ok(200);
        client.get(&format!("{path}/secret")).await.ok(200);
        let attempt = client.post(&format!("{path}/test"), json!({})).await;
        assert!(!attempt.text.contains(CANARY), "{}", attempt.text);
        let headers = json!({"headers": {"Authorization": CANARY}});
        client.put(&format!("{path}/headers"), headers).await.is_empty(204);
        client.post(&format!("{path}/test"), json!({})).await.ok(200);
        let rotate = format!("{path}/secret/rotate");
        let rotated = client.post(&rotate, json!({})).await.ok(200);
        secrets.push(rotated["key"].as_str().unwrap().to_owned());
        client.post(&rotate, json!({"key": secret})).await.ok(200);
        let shown = client.get(&path).await;
        assert!(!shown.text.contains(CANARY), "{}", shown.text);
        let shown = client.get(&format!("{path}/headers")).await;
        assert!(!shown.text.contains(CANARY), "{}", shown.text);
    }
    secrets
}

/// Uses them wrongly.
async fn misuse_secrets(client: &Client, receiver: &Receiver) {
    let url = receiver.url();
    let path = "/app/shop/endpoint";
    let broken = format!("{CANARY}\n");
    for (member, value) in [
        ("secret", json!(CANARY)),
        ("secret", json!(format!("whsec_{CANARY}!"))),
        ("headers", json!({"Authorization": broken})),
        ("headers", json!({"X-Key": broken})),
        ("authentication", json!({"type": "basic", "username": "a:b", "password": CANARY})),
        ("authentication", json!({"type": "basic", "username": "a", "password": broken})),
        ("authentication", json!({"type": "header", "name": "Host", "value": CANARY})),
        ("clientCertificate", json!({"certificate": "AAAA", "privateKey": CANARY})),
    ] {
        let mut body = json!({"url": url});
        body[member] = value;
        silent(&client.post(path, body).await);
    }
    let gocardless = json!({"url": url, "provider": "gocardless",
        "clientCertificate": {"certificate": "AAAA", "privateKey": CANARY}});
    silent(&client.post(path, gocardless).await);
    let rotate = format!("{path}/number-0/secret/rotate");
    silent(&client.post(&rotate, json!({"key": CANARY})).await);
    let other = json!({"url": url, "secret": format!("whsec_{}", &CANARY[1..45])});
    silent(&client.put(&format!("{path}/number-0"), other).await);
    let mut stranger = client.clone();
    for token in [CANARY.to_owned(), format!("hw_{CANARY}"), format!("hw_a_{CANARY}")] {
        stranger.token = Some(token);
        silent(&stranger.get("/app").await);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn no_secret_and_no_token_is_in_an_error_or_a_log() {
    let log = Log::start();
    let service = service().await;
    let client = service.shop().await;
    let receiver = Receiver::start(Consumer::Unchecked, "").await.unwrap();
    let tokens = Receiver::start(Consumer::Unchecked, "").await.unwrap();
    let token = json!({"access_token": CANARY, "token_type": "bearer", "expires_in": 60});
    let answer = receiver::Answer::status(200).header("Content-Type", "application/json");
    tokens.answer_always(Some(answer.body(token.to_string())));
    let mut secrets = use_secrets(&client, &receiver, &tokens).await;
    assert_eq!(tokens.requests().len(), 1, "a token was asked for");
    misuse_secrets(&client, &receiver).await;
    let made = client.post("/token", json!({"name": "ops"})).await.ok(201);
    secrets.push(made["token"].as_str().unwrap().to_owned());
    let access = client.post("/auth/app-portal-access/shop", json!({})).await.ok(200);
    let owner = access["token"].as_str().unwrap().to_owned();
    service.client_with(&owner).post("/auth/logout", json!({})).await.is_empty(204);
    secrets.extend([owner, client.token.clone().unwrap(), CANARY.to_owned()]);
    // Base64 of `ada:` and the canary.
    secrets.push("YWRhOmNhbmFyeUNBTkFSWT".to_owned());
    service.engine.settle().await;
    let text = log.text();
    assert!(text.contains("TRACE") && text.contains("/api/v1/token"), "it is not all there");
    for secret in secrets {
        let secret = secret.trim_start_matches("whsec_");
        let line = text.lines().find(|line| line.contains(secret));
        assert_eq!(line, None, "{secret}");
    }
}
