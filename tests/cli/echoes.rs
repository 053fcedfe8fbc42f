//! Endpoints that answer with the request as it came, as those do that are being set up: the
//! credential in it gets into no file of `hookwheel serve`, and is shown to no one.

use crate::secrecy::{
    APP, AUTHORIZATION, CLIENT_SECRET, HEADER, MASTER, OAUTH_TOKEN, PASSWORD, Service, bytes_of,
    forms,
};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use hookwheel::simulate::receiver::{Answer, Consumer, Receiver};
use memchr::memmem;
use reqwest::Method;
use serde_json::{Value, json};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::mpsc;
use std::thread;

/// Answers with every request's head: in a header, as text, as JSON, as JSON whose slashes are escaped,
/// and with the password of basic authentication. The answers go to the channel, too.
fn echo(listener: TcpListener, echoed: mpsc::Sender<String>) {
    for stream in listener.incoming() {
        let mut stream = stream.unwrap();
        let headers = headers_of(&stream);
        let value = |wanted: &str| {
            let mut held = headers.iter().filter(|(name, _)| name.eq_ignore_ascii_case(wanted));
            held.next().map(|(_, value)| value.as_str()).unwrap_or_default()
        };
        let basic = value("Authorization").strip_prefix("Basic ").unwrap_or_default();
        let all = Value::from_iter(headers.iter().cloned());
        let body = [
            headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect(),
            all.to_string(),
            all.to_string().replace('/', "\\/"),
            String::from_utf8(BASE64.decode(basic).unwrap()).unwrap(),
        ];
        let body = body.join("\n");
        let seen = [value("Authorization"), value("X-Key")].concat();
        let (length, head) = (body.len(), "HTTP/1.1 200 OK\r\nConnection: close");
        let answer = format!("{head}\r\nX-Seen: {seen}\r\nContent-Length: {length}\r\n\r\n{body}");
        stream.write_all(answer.as_bytes()).unwrap();
        if echoed.send(answer).is_err() {
            return;
        }
    }
}

/// The headers of the request that comes, which is read to its end.
fn headers_of(stream: &TcpStream) -> Vec<(String, String)> {
    let mut reader = BufReader::new(stream);
    let mut headers: Vec<(String, String)> = Vec::new();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).unwrap();
        match line.trim_end().split_once(": ") {
            Some((name, value)) => headers.push((name.to_owned(), value.to_owned())),
            None if line.trim_end().is_empty() => break,
            None => {}
        }
    }
    let length = headers.iter().find(|(name, _)| name == "Content-Length").unwrap();
    reader.read_exact(&mut vec![0; length.1.parse().unwrap()]).unwrap();
    headers
}

#[tokio::test(flavor = "multi_thread")]
async fn a_credential_that_an_endpoint_repeats_is_not_on_record() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/debug", listener.local_addr().unwrap());
    let (sender, echoed) = mpsc::channel();
    thread::spawn(move || echo(listener, sender));
    let tokens = Receiver::start(Consumer::Unchecked, "").await.unwrap();
    let grant = json!({"access_token": OAUTH_TOKEN, "token_type": "bearer", "expires_in": 600});
    tokens.answer_always(Some(Answer::status(200).body(grant.to_string())));

    let mut service = Service::start(folder, "text", MASTER, None);
    let shop = json!({"name": "Shop NO-SECRET", "uid": "shop"});
    service.shown(Method::POST, "/api/v1/app", Some(&shop)).await;
    let pair = BASE64.encode(format!("ada:{PASSWORD}"));
    let kinds = [
        json!({"authentication": {"type": "basic", "username": "ada", "password": PASSWORD}}),
        json!({"headers": {"Authorization": format!("Basic {pair}")}}),
        json!({"headers": {"Authorization": format!("Bearer {AUTHORIZATION}")}}),
        json!({"authentication": {"type": "header", "name": "X-Key", "value": HEADER}}),
        json!({"authentication": {"type": "oauth2", "tokenUrl": tokens.url(), "clientId": "shop",
            "clientSecret": CLIENT_SECRET}}),
    ];
    let message = json!({"eventType": "payments.created", "payload": {"orderId": 1}});
    let mut answered = String::new();
    for (number, mut kind) in kinds.into_iter().enumerate() {
        let uid = format!("number-{number}");
        kind["url"] = json!(url);
        kind["uid"] = json!(uid);
        service.shown(Method::POST, &format!("{APP}/endpoint"), Some(&kind)).await;
        let path = format!("{APP}/endpoint/{uid}/test");
        service.done(Method::POST, &path, Some(&json!({}))).await;
        answered.push_str(&echoed.recv().unwrap());
    }
    service.done(Method::POST, &format!("{APP}/msg"), Some(&message)).await;
    (0..5).for_each(|_| answered.push_str(&echoed.recv().unwrap()));
    for credential in [PASSWORD, pair.as_str(), AUTHORIZATION, HEADER, OAUTH_TOKEN] {
        assert!(answered.contains(credential), "{credential} was not echoed");
    }

    let access = "/api/v1/auth/app-portal-access/shop";
    let access = service.shown(Method::POST, access, Some(&json!({}))).await;
    service.token = access["token"].as_str().unwrap().to_owned();
    for number in 0..5 {
        let path = format!("{APP}/attempt/endpoint/number-{number}");
        service.done(Method::GET, &path, None).await;
        let shown = service.answers.last().unwrap();
        assert!(shown.contains("webhook-signature: v1,") && shown.contains("***"), "{shown}");
    }
    let answers = service.stop().join("\n").into_bytes();
    let data = bytes_of(&folder.join("data"));
    for (place, bytes) in [("data", &data), ("answers", &answers)] {
        assert!(
            memmem::find(bytes, b"webhook-signature: v1,").is_some(),
            "the head is in the {place}"
        );
        for secret in [PASSWORD, &pair, AUTHORIZATION, HEADER, OAUTH_TOKEN] {
            for form in forms(secret) {
                let found = memmem::find(bytes, &form);
                assert_eq!(found, None, "{secret} is in the {place}");
            }
        }
    }
}
