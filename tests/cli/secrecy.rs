//! `hookwheel serve` at its most talkative, with secrets that are easy to find: they are used, refused
//! and replaced, and in none of its files, its log, its metrics and its other answers.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use hookwheel::simulate::receiver::{Answer, Consumer, Receiver};
use memchr::memmem;
use rcgen::{CertificateParams, KeyPair};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use std::fs::{self, File};
use std::os::unix::net::UnixDatagram;
use std::path::Path;
use std::process::{Child, Command};
use std::time::Duration;

pub const PASSWORD: &str = "CANARYpassword0000";
pub const HEADER: &str = "CANARYheaderValue0";
pub const CLIENT_SECRET: &str = "CANARYclientSecret";
pub const OAUTH_TOKEN: &str = "CANARYoauthToken00";
/// A password of digits, which somebody forgot to quote, and one with a point in it.
const NUMBER: u64 = 8_765_432_198_765_432_198;
const FRACTION: f64 = -876_543_219_876.25;
pub const AUTHORIZATION: &str = "CANARYauthorization";
/// Standard Webhooks: base64 of 24 bytes.
const SIGNING: &str = "whsec_Q0FOQVJZU2lnbmluZ1NlY3JldDAwMDAw";
const ROTATED: &str = "whsec_Q0FOQVJZUm90YXRlZFNlY3JldDAwMDAw";
const OTHER: &str = "whsec_Q0FOQVJZT3RoZXJTZWNyZXQwMDAwMDAw";
/// A pair for Ed25519: base64 of the seed, 32 bytes. What is shown of it is its public half.
const PAIR: &str = "whsk_Q0FOQVJZcHJpdmF0ZUtleTAwMDAwMDAwMDAwMDAwMDA=";
/// Master keys: base64 of 32 bytes.
pub const MASTER: &str = "Q0FOQVJZbWFzdGVyS2V5MDAwMDAwMDAwMDAwMDAwMDA=";
const NEW_MASTER: &str = "Q0FOQVJZbmV3TWFzdGVyS2V5MDAwMDAwMDAwMDAwMDA=";
const RSA: &str = include_str!("../data/keys/rsa.pem");

/// A service whose standard error goes to a file: at this level a pipe would be full at once.
pub struct Service {
    child: Child,
    url: String,
    http: reqwest::Client,
    /// What may do everything.
    pub token: String,
    /// Answers that were to hold no secret.
    pub answers: Vec<String>,
}

impl Service {
    /// Starts one in `folder` with these master keys; its files are called after `name`.
    pub fn start(folder: &Path, name: &str, master_keys: &str, token: Option<String>) -> Self {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let path = folder.join(format!("{name}.socket"));
        let socket = UnixDatagram::bind(&path).unwrap();
        socket.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
        let out = folder.join(format!("{name}.out"));
        let mut command = Command::new(env!("CARGO_BIN_EXE_hookwheel"));
        command.args(["serve", "--development", "--listen", "127.0.0.1:0", "--data"]);
        command.arg(folder.join("data")).args(["--set", &format!("log.format={name}")]);
        command.env_clear().env("NOTIFY_SOCKET", &path).current_dir(folder);
        command.env("HOOKWHEEL_LOG", "trace").env("HOOKWHEEL_MASTER_KEY", master_keys);
        command.stdout(File::create(&out).unwrap());
        command.stderr(File::create(folder.join(format!("{name}.log"))).unwrap());
        let child = command.spawn().unwrap();
        let mut told = [0; 64];
        let length = socket.recv(&mut told).unwrap();
        assert!(told[..length].starts_with(b"READY=1"));
        let printed = fs::read_to_string(out).unwrap();
        let after = |words: &str| printed.lines().find_map(|line| line.strip_prefix(words));
        let url = after("listening on ").unwrap().split(' ').next().unwrap().to_owned();
        let token =
            token.unwrap_or_else(|| after("access token, shown only now: ").unwrap().to_owned());
        Self { child, url, http: reqwest::Client::new(), token, answers: Vec::new() }
    }

    /// Asks for something, and tells status and body.
    async fn ask(&self, method: Method, path: &str, body: Option<&Value>) -> (StatusCode, String) {
        let request = self.http.request(method, format!("{}{path}", self.url));
        let request = request.bearer_auth(&self.token);
        let request = match body {
            Some(body) => request.json(body),
            None => request,
        };
        // What is made under a name is made once, and its answer kept.
        let request = match body.and_then(|body| body["uid"].as_str()) {
            Some(uid) => request.header("idempotency-key", uid),
            None => request,
        };
        let response = request.send().await.unwrap();
        (response.status(), response.text().await.unwrap())
    }

    /// Asks for something whose answer holds a secret, rightly.
    pub async fn shown(&self, method: Method, path: &str, body: Option<&Value>) -> Value {
        let (status, text) = self.ask(method, path, body).await;
        assert!(status.is_success(), "{path}: {status} {text}");
        serde_json::from_str(&text).unwrap()
    }

    /// Asks for something whose answer holds none.
    pub async fn done(&mut self, method: Method, path: &str, body: Option<&Value>) {
        let (status, text) = self.ask(method, path, body).await;
        assert!(status.is_success(), "{path}: {status} {text}");
        self.answers.push(text);
    }

    /// Asks for something that is refused.
    async fn refused(&mut self, method: Method, path: &str, body: &Value) {
        let (status, text) = self.ask(method, path, Some(body)).await;
        assert!(status.is_client_error(), "{path} {body}: {status} {text}");
        self.answers.push(text);
    }

    /// Tells it to stop, and waits for its end.
    pub fn stop(mut self) -> Vec<String> {
        let kill = format!("kill -TERM {}", self.child.id());
        assert!(Command::new("sh").args(["-c", &kill]).status().unwrap().success());
        assert_eq!(self.child.wait().unwrap().code(), Some(0));
        self.answers
    }
}

pub const APP: &str = "/api/v1/app/shop";

/// Endpoints with every kind of secret; the names of them.
async fn make_endpoints(service: &Service, receiver: &Receiver, tokens: &Receiver) -> Vec<String> {
    let pem = |text: &str| BASE64.encode(text);
    let key = KeyPair::from_pem(RSA).unwrap();
    let params = CertificateParams::new(vec!["client.example".to_owned()]).unwrap();
    let certificate = params.self_signed(&key).unwrap().pem();
    let kinds = [
        json!({"authentication": {"type": "basic", "username": "ada", "password": PASSWORD}}),
        json!({"authentication": {"type": "header", "name": "X-Key", "value": HEADER}}),
        json!({"authentication": {"type": "oauth2", "tokenUrl": tokens.url(), "clientId": "shop",
            "clientSecret": CLIENT_SECRET}}),
        json!({"headers": {"Authorization": format!("Bearer {AUTHORIZATION}")}}),
        json!({"provider": "gocardless", "clientCertificate":
            {"certificate": pem(&certificate), "privateKey": pem(RSA)}}),
        json!({"provider": "ticketnation"}),
        json!({"scheme": "v1a", "secret": PAIR}),
    ];
    let mut names = Vec::new();
    for (number, mut body) in kinds.into_iter().enumerate() {
        let name = format!("number-{number}");
        body["url"] = json!(receiver.url());
        body["uid"] = json!(name);
        if body.get("provider").is_none() && body.get("scheme").is_none() {
            body["secret"] = json!(SIGNING);
        }
        let path = format!("{APP}/endpoint");
        service.shown(Method::POST, &path, Some(&body)).await;
        // Again, from the answer that was kept.
        service.shown(Method::POST, &path, Some(&body)).await;
        names.push(name);
    }
    names
}

/// Sends, fails, shows and replaces; the secrets that the service made.
async fn use_secrets(service: &mut Service, receiver: &Receiver, names: &[String]) -> Vec<String> {
    let message = json!({"eventType": "payments.created", "payload": {"orderId": 1}});
    let mut made = Vec::new();
    for status in [200, 401, 500] {
        receiver.answer_always(Some(Answer::status(status)));
        for name in names {
            let path = format!("{APP}/endpoint/{name}");
            service.done(Method::POST, &format!("{path}/test"), Some(&json!({}))).await;
        }
        let mut message = message.clone();
        message["eventId"] = json!(format!("event-{status}"));
        service.done(Method::POST, &format!("{APP}/msg"), Some(&message)).await;
    }
    for (number, name) in names.iter().enumerate() {
        let path = format!("{APP}/endpoint/{name}");
        let shown = service.shown(Method::GET, &format!("{path}/secret"), None).await;
        made.push(shown["key"].as_str().unwrap().to_owned());
        let rotate = format!("{path}/secret/rotate");
        let rotated = service.shown(Method::POST, &rotate, Some(&json!({}))).await;
        made.push(rotated["key"].as_str().unwrap().to_owned());
        if number < 4 {
            service.shown(Method::POST, &rotate, Some(&json!({"key": ROTATED}))).await;
        }
        service.done(Method::GET, &path, None).await;
        service.done(Method::GET, &format!("{path}/headers"), None).await;
        service.done(Method::GET, &format!("{APP}/attempt/endpoint/{name}"), None).await;
    }
    // The public half of a key pair is no secret.
    made.retain(|secret| !secret.starts_with("whpk_"));
    let token = service.shown(Method::POST, "/api/v1/token", Some(&json!({"name": "ops"}))).await;
    made.push(token["token"].as_str().unwrap().to_owned());
    let access = "/api/v1/auth/app-portal-access/shop";
    let access = service.shown(Method::POST, access, Some(&json!({}))).await;
    made.push(access["token"].as_str().unwrap().to_owned());
    for path in [format!("{APP}/delivery"), format!("{APP}/msg"), "/metrics".to_owned()] {
        service.done(Method::GET, &path, None).await;
    }
    made
}

/// Gives secrets where they are wrong.
async fn misuse_secrets(service: &mut Service, receiver: &Receiver) {
    let endpoint = format!("{APP}/endpoint");
    for (member, value) in [
        ("secret", json!(format!("{OTHER}!"))),
        ("secret", json!(PASSWORD)),
        ("headers", json!({"Authorization": format!("{AUTHORIZATION}\n")})),
        ("headers", json!({"X-Key": format!("{HEADER}\u{e9}")})),
        ("authentication", json!({"type": "basic", "username": "a:b", "password": PASSWORD})),
        ("authentication", json!({"type": "basic", "password": PASSWORD})),
        ("authentication", json!({"type": PASSWORD})),
        ("authentication", json!(PASSWORD)),
        ("authentication", json!({"type": "header", "name": "Host", "value": HEADER})),
        (
            "authentication",
            json!({"type": "oauth2", "tokenUrl": "ftp://a.example", "clientId": "a",
            "clientSecret": CLIENT_SECRET}),
        ),
        ("clientCertificate", json!({"certificate": "AAAA", "privateKey": PASSWORD})),
        ("secret", json!(NUMBER)),
        ("secret", json!(FRACTION)),
        ("headers", json!(NUMBER)),
        ("headers", json!({"X-Key": NUMBER})),
        ("headers", json!({"X-Key": FRACTION})),
        ("authentication", json!(NUMBER)),
        ("authentication", json!({"type": NUMBER})),
        ("authentication", json!({"type": "basic", "username": "a", "password": NUMBER})),
        ("authentication", json!({"type": "header", "name": "X-Key", "value": FRACTION})),
        ("clientCertificate", json!({"certificate": "AAAA", "privateKey": NUMBER})),
        // Where a number is expected, and another one.
        ("throttleRate", json!(NUMBER)),
        ("throttleRate", json!(FRACTION)),
    ] {
        let mut body = json!({"url": receiver.url(), "uid": "wrong"});
        body[member] = value;
        service.refused(Method::POST, &endpoint, &body).await;
    }
    let gocardless = json!({"url": receiver.url(), "provider": "gocardless",
        "clientCertificate": {"certificate": "AAAA", "privateKey": BASE64.encode(RSA)}});
    service.refused(Method::POST, &endpoint, &gocardless).await;
    let rotate = format!("{endpoint}/number-0/secret/rotate");
    for wrong in [json!(PASSWORD), json!(NUMBER), json!(FRACTION)] {
        service.refused(Method::POST, &rotate, &json!({ "key": wrong })).await;
    }
    let other = json!({"url": receiver.url(), "secret": OTHER});
    service.refused(Method::PUT, &format!("{endpoint}/number-0"), &other).await;
    let right = std::mem::take(&mut service.token);
    let wrong = [format!("{right}0"), PASSWORD.to_owned(), format!("hw_{HEADER}_{HEADER}")];
    for token in wrong {
        service.token = token;
        service.refused(Method::POST, "/api/v1/token", &json!({"name": "ops"})).await;
    }
    service.token = right;
}

/// Every form in which a secret might be written.
pub fn forms(secret: &str) -> Vec<Vec<u8>> {
    let core = secret.trim_start_matches("whsec_").trim_start_matches("whsk_");
    let mut forms = vec![core.as_bytes().to_vec()];
    // In base64 with anything before it, as in `Basic …`: its middle looks one of three ways.
    for before in 0..3 {
        let mut bytes = vec![b' '; before];
        bytes.extend_from_slice(core.as_bytes());
        let text = BASE64.encode(bytes);
        forms.push(text.as_bytes()[4..text.len() - 4].to_vec());
    }
    forms.extend(BASE64.decode(core));
    forms.push(core.bytes().flat_map(|byte| format!("{byte:02x}").into_bytes()).collect());
    forms
}

/// Every byte of every file below a folder.
pub fn bytes_of(folder: &Path) -> Vec<u8> {
    let mut bytes = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        match path.is_dir() {
            true => bytes.extend(bytes_of(&path)),
            false => bytes.extend(fs::read(path).unwrap()),
        }
    }
    bytes
}

#[tokio::test(flavor = "multi_thread")]
async fn no_secret_leaves_the_service_but_where_it_is_shown() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let receiver = Receiver::start(Consumer::Unchecked, "").await.unwrap();
    let tokens = Receiver::start(Consumer::Unchecked, "").await.unwrap();
    let grant = json!({"access_token": OAUTH_TOKEN, "token_type": "bearer", "expires_in": 600});
    let answer = Answer::status(200).header("Content-Type", "application/json");
    tokens.answer_always(Some(answer.body(grant.to_string())));

    let mut service = Service::start(folder, "text", MASTER, None);
    let shop = json!({"name": "Shop NO-SECRET", "uid": "shop"});
    service.shown(Method::POST, "/api/v1/app", Some(&shop)).await;
    let names = make_endpoints(&service, &receiver, &tokens).await;
    let mut secrets = use_secrets(&mut service, &receiver, &names).await;
    misuse_secrets(&mut service, &receiver).await;
    // An authorization server that repeats what it was sent.
    let echo = json!({"error": CLIENT_SECRET, "error_description": CLIENT_SECRET});
    tokens.answer_always(Some(Answer::status(400).body(echo.to_string())));
    // The first answer has the token forgotten that is held.
    receiver.answer_always(Some(Answer::status(401)));
    for _ in 0..2 {
        let test = format!("{APP}/endpoint/number-2/test");
        service.done(Method::POST, &test, Some(&json!({}))).await;
    }
    let token = service.token.clone();
    let mut answers = service.stop();
    // Under a new master key: everything is opened, and sealed anew.
    let keys = format!("{NEW_MASTER},{MASTER}");
    let mut service = Service::start(folder, "json", &keys, Some(token.clone()));
    receiver.answer_always(Some(Answer::status(200)));
    for name in &names {
        let path = format!("{APP}/endpoint/{name}/test");
        service.done(Method::POST, &path, Some(&json!({}))).await;
    }
    answers.extend(service.stop());

    let sent = receiver.requests();
    let credentials: Vec<&str> =
        sent.iter().filter_map(|request| request.header("Authorization")).collect();
    for expected in [AUTHORIZATION, OAUTH_TOKEN, "Basic YWRhOkNBTkFSWXBhc3N3b3JkMDAwMA=="] {
        assert!(credentials.iter().any(|held| held.contains(expected)), "{expected} was not used");
    }
    assert!(sent.iter().any(|request| request.header("X-Key") == Some(HEADER)));

    let constants = [PASSWORD, HEADER, CLIENT_SECRET, OAUTH_TOKEN, AUTHORIZATION, SIGNING, ROTATED];
    secrets.push(PAIR.to_owned());
    secrets.extend(constants.map(str::to_owned));
    secrets.extend([OTHER, MASTER, NEW_MASTER, &token].map(str::to_owned));
    secrets.extend([NUMBER.to_string(), FRACTION.to_string()]);
    // A line out of the middle of the private key: as text, and as the bytes that it stands for.
    secrets.push(RSA.lines().nth(12).unwrap().to_owned());
    let data = bytes_of(&folder.join("data"));
    assert!(memmem::find(&data, b"Shop NO-SECRET").is_some(), "what is no secret is found");
    let log = |name: &str| fs::read(folder.join(format!("{name}.log"))).unwrap();
    let (text, json) = (log("text"), log("json"));
    assert!(memmem::find(&text, b"TRACE").is_some() && memmem::find(&json, b"\"TRACE\"").is_some());
    let answers = answers.join("\n").into_bytes();
    assert!(memmem::find(&answers, b"hookwheel_").is_some(), "the metrics are among the answers");
    for secret in secrets {
        for form in forms(&secret) {
            assert!(form.len() >= 10, "too short to tell");
            for (place, bytes) in
                [("data", &data), ("text log", &text), ("json log", &json), ("answers", &answers)]
            {
                let found = memmem::find(bytes, &form);
                let around = found.map(|at| {
                    let from = at.saturating_sub(200);
                    String::from_utf8_lossy(&bytes[from..at]).into_owned()
                });
                assert_eq!(around, None, "{secret} is in the {place}");
            }
        }
    }
}
