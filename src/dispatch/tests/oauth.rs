//! Tokens from an authorization server.

use super::*;
use crate::dispatch::{ClientCredentials, TokenCache};
use crate::model::{ApplicationId, EndpointId, Secret, Timestamp};
use tokio::sync::mpsc;
use uuid::Uuid;

/// An authorization server that gives the answers in turn, and the last one from then on.
async fn server(
    answers: &'static [(u16, &'static str)],
) -> (Receiver, mpsc::UnboundedReceiver<String>) {
    let (heard, hear) = mpsc::unbounded_channel();
    let receiver = Receiver::start(move |mut stream, number| {
        let heard = heard.clone();
        async move {
            let _ = heard.send(read_request(&mut stream).await);
            let (status, body) = answers[number.min(answers.len() - 1)];
            let length = body.len();
            let answer = format!(
                "HTTP/1.1 {status} X\r\nConnection: close\r\nContent-Length: {length}\r\n\r\n{body}"
            );
            let _ = stream.write_all(answer.as_bytes()).await;
        }
    })
    .await;
    (receiver, hear)
}

struct Client {
    cache: TokenCache,
    egress: Egress,
    token_url: String,
    secret: Secret,
}

impl Client {
    fn of(receiver: &Receiver) -> Self {
        Self {
            cache: TokenCache::default(),
            egress: egress(),
            token_url: format!("http://127.0.0.1:{}/token?key=CANARY", receiver.port),
            secret: Secret::new("s p+CANARY"),
        }
    }

    async fn token_at(&self, second: i64) -> Result<Secret, Failure> {
        self.token_within(second, Duration::from_secs(10)).await.0
    }

    async fn token_within(
        &self,
        second: i64,
        timeout: Duration,
    ) -> (Result<Secret, Failure>, Duration) {
        let credentials = ClientCredentials {
            token_url: &self.token_url,
            client_id: "my:id",
            client_secret: &self.secret,
            scope: Some("hooks write"),
            application: ApplicationId::from_uuid(Uuid::nil()),
        };
        let now = Timestamp::from_millis(second * 1000);
        self.cache.token(&self.egress, endpoint(), &credentials, now, timeout).await
    }
}

fn endpoint() -> EndpointId {
    EndpointId::from_uuid(Uuid::from_u128(7))
}

const GRANTED: &[(u16, &str)] = &[
    (200, r#"{"access_token":"first","token_type":"Bearer","expires_in":3600}"#),
    (200, r#"{"access_token":"second","token_type":"bearer","expires_in":"3600"}"#),
    (200, r#"{"access_token":"third"}"#),
];

/// Tokens that nobody who comes later can use.
const OVER_AT_ONCE: &[(u16, &str)] = &[
    (200, r#"{"access_token":"first","expires_in":0}"#),
    (200, r#"{"access_token":"second","expires_in":0}"#),
];

#[tokio::test]
async fn the_request_is_as_the_standard_wants_it() {
    let (receiver, mut hear) = server(GRANTED).await;
    let token = Client::of(&receiver).token_at(0).await.unwrap();
    assert_eq!(token.expose(), "first");
    let request = soon(hear.recv()).await.unwrap();
    // printf 'my%%3Aid:s+p%%2BCANARY' | base64
    assert!(request.contains("Authorization: Basic bXklM0FpZDpzK3AlMkJDQU5BUlk=\r\n"), "{request}");
    assert!(request.starts_with("POST /token?key=CANARY HTTP/1.1\r\n"), "{request}");
    assert!(request.contains("Content-Type: application/x-www-form-urlencoded\r\n"));
    assert!(
        request.ends_with("\r\n\r\ngrant_type=client_credentials&scope=hooks+write"),
        "{request}"
    );
}

#[tokio::test]
async fn a_token_is_kept_until_shortly_before_its_end() {
    let (receiver, _hear) = server(GRANTED).await;
    let client = Client::of(&receiver);
    for (second, expected) in
        [(0, "first"), (3539, "first"), (3540, "second"), (7080, "third"), (7319, "third")]
    {
        assert_eq!(client.token_at(second).await.unwrap().expose(), expected, "{second}");
    }
    assert_eq!(receiver.connections(), 3);
}

#[tokio::test]
async fn a_refused_token_is_forgotten_and_a_newer_one_is_not() {
    let (receiver, _hear) = server(GRANTED).await;
    let client = Client::of(&receiver);
    let first = client.token_at(0).await.unwrap();
    client.cache.forget(endpoint(), &first);
    assert_eq!(client.token_at(0).await.unwrap().expose(), "second");
    client.cache.forget(endpoint(), &first);
    assert_eq!(client.token_at(0).await.unwrap().expose(), "second");
}

#[tokio::test]
async fn changed_credentials_need_another_token() {
    let (receiver, _hear) = server(GRANTED).await;
    let mut client = Client::of(&receiver);
    client.token_at(0).await.unwrap();
    client.secret = Secret::new("rotated");
    assert_eq!(client.token_at(0).await.unwrap().expose(), "second");
}

#[tokio::test]
async fn whoever_waits_shares_one_request() {
    for answers in [GRANTED, OVER_AT_ONCE] {
        let (receiver, _hear) = server(answers).await;
        let client = Client::of(&receiver);
        let (a, b, c) = tokio::join!(client.token_at(0), client.token_at(0), client.token_at(0));
        for token in [a, b, c] {
            assert_eq!(token.unwrap().expose(), "first");
        }
        assert_eq!(receiver.connections(), 1);
    }
    let (receiver, _hear) = server(OVER_AT_ONCE).await;
    let client = Client::of(&receiver);
    for token in ["first", "second"] {
        assert_eq!(client.token_at(0).await.unwrap().expose(), token, "who comes later waits");
    }
    assert_eq!(receiver.connections(), 2);

    let (receiver, _hear) = server(&[(500, "")]).await;
    let client = Client::of(&receiver);
    let (a, b, c) = tokio::join!(client.token_at(0), client.token_at(0), client.token_at(0));
    assert!(a.is_err() && b.is_err() && c.is_err());
    assert_eq!(receiver.connections(), 1);
    assert!(client.token_at(0).await.is_err());
    assert_eq!(receiver.connections(), 2, "the next webhook asks again");
}

#[tokio::test]
async fn neither_a_fetch_nor_waiting_for_one_takes_longer_than_there_is_time() {
    let silent = Receiver::start(|mut stream, _| async move { closed(&mut stream).await }).await;
    let client = Client::of(&silent);
    let (short, long) = (Duration::from_millis(100), Duration::from_secs(2));
    let fetches = client.token_within(0, long);
    let waits = client.token_within(0, short);
    let ((fetched, took), (waited, waited_for)) = tokio::join!(fetches, waits);
    for (result, took, limit) in [(fetched, took, long), (waited, waited_for, short)] {
        assert_kind(&result.unwrap_err(), FailureKind::Authentication);
        assert!(took >= limit, "{took:?} of {limit:?}");
    }
    assert!(waited_for < long, "{waited_for:?}");
    assert_eq!(silent.connections(), 1);
}

#[tokio::test]
async fn nothing_is_held_for_an_endpoint_that_needs_no_token() {
    let (receiver, _hear) = server(GRANTED).await;
    let client = Client::of(&receiver);
    client.token_at(0).await.unwrap();
    assert!(client.cache.slots.get(&endpoint()).is_some());
    client.cache.forget_endpoint(endpoint());
    assert!(client.cache.slots.get(&endpoint()).is_none());
    assert_eq!(client.token_at(0).await.unwrap().expose(), "second");
}

#[tokio::test]
async fn a_token_is_as_long_as_a_credential_may_be_at_most() {
    for (length, is_taken) in [(8192, true), (8193, false)] {
        let body = format!(r#"{{"access_token":"{}"}}"#, "t".repeat(length));
        let answers: &'static [(u16, &str)] = vec![(200, &*body.leak())].leak();
        let (receiver, _hear) = server(answers).await;
        let result = Client::of(&receiver).token_at(0).await;
        assert_eq!(result.is_ok(), is_taken, "{length}");
        if let Err(failure) = result {
            assert!(failure.detail.contains("more than 8,192 bytes"), "{failure}");
        }
    }
}

#[tokio::test]
async fn an_answer_without_a_token_is_told_in_words() {
    let cases: [(&'static [(u16, &str)], &str); 7] = [
        (&[(401, r#"{"error":"invalid_client"}"#)], "answered 401 `invalid_client`"),
        (&[(400, r#"{"error":"CANARY leaked"}"#)], "answered 400)"),
        (&[(302, "")], "answered 302"),
        (&[(200, "<html>")], "no JSON with an `access_token`"),
        (&[(200, r#"{"access_token":"a","token_type":"mac"}"#)], "other than `Bearer`"),
        (&[(200, r#"{"access_token":"a\r\nb"}"#)], "no header can carry"),
        (&[(200, r#"{"access_token":""}"#)], "no header can carry"),
    ];
    for (answers, words) in cases {
        let (receiver, _hear) = server(answers).await;
        let failure = Client::of(&receiver).token_at(0).await.unwrap_err();
        assert_kind(&failure, FailureKind::Authentication);
        assert!(failure.to_string().contains(words), "{failure}");
        assert!(!failure.to_string().contains("CANARY"), "{failure}");
    }
}

#[tokio::test]
async fn the_server_must_be_one_that_may_be_reached() {
    let (receiver, _hear) = server(GRANTED).await;
    let mut client = Client::of(&receiver);
    client.egress = Egress::new(&EgressConfig::default()).unwrap();
    let failure = client.token_at(0).await.unwrap_err();
    assert_kind(&failure, FailureKind::Authentication);
    assert!(failure.detail.contains("loopback"), "{failure}");
    assert_eq!(receiver.connections(), 0);
    client.token_url = "http://example.com/token".to_owned();
    let failure = client.token_at(0).await.unwrap_err();
    assert!(failure.detail.contains("use `https:`"), "{failure}");
}
