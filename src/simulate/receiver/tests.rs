#![allow(
    clippy::disallowed_methods,
    reason = "the tests need a raw client, which sees and sends every byte"
)]

use super::*;
use crate::model::Timestamp;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::pki_types::PrivateKeyDer;
use tokio_rustls::rustls::{ClientConfig, RootCertStore, ServerConfig};

const SECRET: &str = "tn_secret";
const BODY: &str = r#"{"id":"evt_1","event":"order.created"}"#;
/// printf %s "$BODY" | openssl dgst -sha256 -hmac tn_secret
const SIGNATURE: &str = "f6bc686d085c2d9e36b675cbb754665509d90fe46ffed8faeb2e4f811c7b44e6";

/// A webhook of TicketNation's, with a head that no library would write.
fn webhook(signature: &str) -> String {
    let length = BODY.len();
    format!(
        "POST /webhooks HTTP/1.1\r\nHost: localhost\r\nX-TN-Signature: {signature}\r\n\
         x-ODD-Casing:  two  words \r\nContent-Length: {length}\r\n\r\n{BODY}"
    )
}

/// The start of an answer that has this status and body.
fn is_answer(answer: &str, status: &str, body: &str) -> bool {
    answer.starts_with(&format!("HTTP/1.1 {status}\r\n")) && answer.ends_with(body)
}

struct Client<S = TcpStream>(S);

impl Client {
    async fn connect(receiver: &Receiver) -> io::Result<Self> {
        TcpStream::connect(receiver.address()).await.map(Self)
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> Client<S> {
    /// Sends `request` and reads one answer; an empty text when the connection was closed.
    async fn ask(&mut self, request: &str) -> String {
        self.0.write_all(request.as_bytes()).await.unwrap();
        self.answer().await
    }

    async fn answer(&mut self) -> String {
        let answer = clock::within(WAIT_MAX, self.read_answer()).await;
        answer.expect("an answer or the end of the connection")
    }

    async fn read_answer(&mut self) -> String {
        let mut answer = Vec::new();
        loop {
            let text = String::from_utf8_lossy(&answer).into_owned();
            if let Some((head, body)) = text.split_once("\r\n\r\n") {
                let length = head.split("Content-Length: ").nth(1).unwrap_or("0");
                let length: usize = length.split("\r\n").next().unwrap().parse().unwrap();
                if body.len() >= length {
                    return text;
                }
            }
            if self.0.read_buf(&mut answer).await.unwrap_or(0) == 0 {
                return text;
            }
        }
    }
}

async fn ticketnation() -> Receiver {
    Receiver::start(Consumer::TicketNation, SECRET).await.unwrap()
}

async fn ask(receiver: &Receiver, request: &str) -> String {
    Client::connect(receiver).await.unwrap().ask(request).await
}

#[tokio::test]
async fn the_wire_is_kept_as_it_was() {
    let receiver = ticketnation().await;
    let mut arrivals = receiver.on_received();
    let answer = ask(&receiver, &webhook(SIGNATURE)).await;
    assert!(is_answer(&answer, "200 OK", "OK"), "{answer}");

    let requests = receiver.requests();
    let [received] = &requests[..] else {
        panic!("one request, not {requests:?}");
    };
    let sent = webhook(SIGNATURE);
    assert_eq!(received.head, sent.strip_suffix(BODY).unwrap().as_bytes());
    assert_eq!(received.body, BODY.as_bytes());
    assert_eq!((received.method.as_str(), received.target.as_str()), ("POST", "/webhooks"));
    let names: Vec<&str> = received.headers.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["Host", "X-TN-Signature", "x-ODD-Casing", "Content-Length"]);
    assert_eq!(received.header("X-Odd-Casing"), Some("two  words"));
    assert_eq!(received.verdict, Verdict::Accepted);
    assert_eq!(received.answered, Some(200));
    assert_eq!(received.event_ids, ["evt_1"]);
    assert_eq!(arrivals.recv().await.unwrap().number, 1);
}

#[tokio::test]
async fn a_forged_request_is_refused_and_listed() {
    let receiver = ticketnation().await;
    let answer = ask(&receiver, &webhook(&SIGNATURE.replace('a', "b"))).await;
    assert!(is_answer(&answer, "401 Unauthorized", "Invalid signature"), "{answer}");
    let reason = receiver.requests()[0].verdict.to_string();
    assert!(reason.starts_with("refused: header `X-TN-Signature`"), "{reason}");
    assert!(!reason.contains(SECRET));

    receiver.set_secret("another");
    ask(&receiver, &webhook(SIGNATURE)).await;
    assert!(!receiver.requests()[1].verdict.is_accepted(), "it was signed with the old secret");
}

#[tokio::test]
async fn one_connection_carries_several_requests() {
    let receiver = ticketnation().await;
    let mut client = Client::connect(&receiver).await.unwrap();
    for _ in 0..2 {
        let answer = client.ask(&webhook(SIGNATURE)).await;
        assert!(is_answer(&answer, "200 OK", "OK"), "{answer}");
    }
    let both_at_once = webhook(SIGNATURE).repeat(2);
    client.ask(&both_at_once).await;
    assert_eq!(receiver.wait_for(4).await.unwrap().len(), 4);

    let last = webhook(SIGNATURE).replace("Host: localhost", "Connection: close");
    let answer = ask(&receiver, &last).await;
    assert!(answer.contains("\r\nConnection: close\r\n"), "{answer}");
}

#[tokio::test]
async fn answers_come_as_told_and_then_honestly() {
    let receiver = ticketnation().await;
    receiver.answer_always(Some(Answer::status(410)));
    receiver.answer_next([
        Answer::status(503).header("Retry-After", "120").body("busy"),
        Answer::close(),
        Answer::status(204).after(Duration::from_millis(20)),
    ]);
    let busy = ask(&receiver, &webhook(SIGNATURE)).await;
    assert!(is_answer(&busy, "503 Service Unavailable", "busy"), "{busy}");
    assert!(busy.contains("\r\nRetry-After: 120\r\n"), "{busy}");
    assert_eq!(ask(&receiver, &webhook(SIGNATURE)).await, "");
    let watch = clock::Stopwatch::start();
    let late = ask(&receiver, &webhook(SIGNATURE)).await;
    assert_eq!(late, "HTTP/1.1 204 No Content\r\n\r\n");
    assert!(watch.elapsed() >= Duration::from_millis(20));
    let gone = ask(&receiver, &webhook(SIGNATURE)).await;
    assert!(is_answer(&gone, "410 Gone", ""), "{gone}");
    receiver.answer_always(None);
    assert!(is_answer(&ask(&receiver, &webhook(SIGNATURE)).await, "200 OK", "OK"));

    let requests = receiver.requests();
    let answered: Vec<_> = requests.iter().map(|received| received.answered).collect();
    assert_eq!(answered, [Some(503), None, Some(204), Some(410), Some(200)]);
    assert!(requests.iter().all(|received| received.verdict.is_accepted()));
}

#[tokio::test]
async fn a_duplicate_is_what_was_already_answered_with_a_success() {
    let receiver = ticketnation().await;
    receiver.answer_next([Answer::status(500)]);
    for _ in 0..3 {
        ask(&receiver, &webhook(SIGNATURE)).await;
    }
    let requests = receiver.requests();
    let duplicates: Vec<_> = requests.iter().map(|received| received.duplicate).collect();
    assert_eq!(duplicates, [false, false, true]);
    assert_eq!(requests[2].answered, Some(200), "a duplicate is not an error");
}

#[tokio::test]
async fn while_stopped_connections_are_refused() {
    let receiver = ticketnation().await;
    receiver.answer_next([Answer::hang()]);
    let mut hanging = Client::connect(&receiver).await.unwrap();
    hanging.0.write_all(webhook(SIGNATURE).as_bytes()).await.unwrap();
    receiver.wait_for(1).await.unwrap();

    receiver.stop().await;
    assert_eq!(hanging.answer().await, "", "open connections are closed");
    let refused = Client::connect(&receiver).await.err().unwrap();
    assert_eq!(refused.kind(), io::ErrorKind::ConnectionRefused);
    receiver.stop().await;

    receiver.resume().await.unwrap();
    receiver.resume().await.unwrap();
    let answer = ask(&receiver, &webhook(SIGNATURE)).await;
    assert!(is_answer(&answer, "200 OK", "OK"), "{answer}");
    assert_eq!(receiver.requests().len(), 2, "it remembers what came before");
}

#[tokio::test]
async fn a_wait_ends_when_its_condition_is_met() {
    let receiver = ticketnation().await;
    let wait = receiver.wait_until(|requests| requests.iter().any(|request| request.duplicate));
    let send = async {
        for _ in 0..2 {
            ask(&receiver, &webhook(SIGNATURE)).await;
        }
    };
    let (met, ()) = tokio::join!(wait, send);
    assert_eq!(met.unwrap().len(), 2);
}

#[tokio::test]
async fn age_is_measured_by_the_given_clock() {
    let clock = Clock::manual(Timestamp::parse("2021-02-25T15:02:10Z").unwrap());
    let setup = Setup { clock: clock.clone(), ..Setup::default() };
    let secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
    let consumer = Consumer::StandardWebhooks;
    let receiver = Receiver::start_with(consumer, secret, setup).await.unwrap();
    let webhook = "POST / HTTP/1.1\r\nwebhook-id: msg_p5jXN8AQM9LWM0D4loKWxJek\r\n\
        webhook-timestamp: 1614265330\r\n\
        webhook-signature: v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=\r\n\
        Content-Length: 20\r\n\r\n{\"test\": 2432232314}";
    assert!(is_answer(&ask(&receiver, webhook).await, "200 OK", ""));
    clock.advance(Duration::from_secs(301));
    assert!(is_answer(&ask(&receiver, webhook).await, "401 Unauthorized", "older than 5 minutes"));
}

#[tokio::test]
async fn a_challenge_is_answered_whatever_events_are_answered_with() {
    let receiver = Receiver::start(Consumer::OpenCard, "oc_secret").await.unwrap();
    receiver.answer_always(Some(Answer::status(500)));
    let answer = ask(&receiver, "GET /webhooks?challenge=x HTTP/1.1\r\n\r\n").await;
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\nx-verify-token: "), "{answer}");
}

#[tokio::test]
async fn it_listens_behind_tls() {
    let certified = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).unwrap();
    let certificate = certified.cert.der().clone();
    let key = PrivateKeyDer::Pkcs8(certified.signing_key.serialize_der().into());
    let server = ServerConfig::builder()
        .with_no_client_auth()
        .with_single_cert(vec![certificate.clone()], key)
        .unwrap();
    let setup = Setup { tls: Some(Arc::new(server).into()), ..Setup::default() };
    let receiver = Receiver::start_with(Consumer::TicketNation, SECRET, setup).await.unwrap();
    assert!(receiver.url().starts_with("https://127.0.0.1:"));

    let mut roots = RootCertStore::empty();
    roots.add(certificate).unwrap();
    let client = ClientConfig::builder().with_root_certificates(roots).with_no_client_auth();
    let tcp = TcpStream::connect(receiver.address()).await.unwrap();
    let tls = TlsConnector::from(Arc::new(client));
    let tls = tls.connect("127.0.0.1".try_into().unwrap(), tcp).await.unwrap();
    let answer = Client(tls).ask(&webhook(SIGNATURE)).await;
    assert!(is_answer(&answer, "200 OK", "OK"), "{answer}");

    ask(&receiver, &webhook(SIGNATURE)).await;
    assert_eq!(receiver.requests().len(), 1, "nothing is taken in plain");
}

#[tokio::test]
async fn what_cannot_be_read_is_told_and_not_listed() {
    let receiver = Receiver::start(Consumer::Unchecked, "").await.unwrap();
    let long = format!("POST / HTTP/1.1\r\nX-Long: {}\r\n", "x".repeat(100_000));
    let cases = [
        ("not http\r\n\r\n", "400 Bad Request"),
        ("POST / HTTP/1.1\r\nContent-Length: -1\r\n\r\n", "400 Bad Request"),
        ("POST / HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n", "400 Bad Request"),
        ("POST / HTTP/1.1\r\nTransfer-Encoding: gzip\r\n\r\n", "501 Not Implemented"),
        (
            "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\nContent-Length: 1\r\n\r\n",
            "400 Bad Request",
        ),
        ("POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nx\r\n", "400 Bad Request"),
        ("POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nab\r\n", "400 Bad Request"),
        (
            "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nfffffff\r\n",
            "413 Payload Too Large",
        ),
        ("POST / HTTP/1.1\r\nContent-Length: 99999999\r\n\r\n", "413 Payload Too Large"),
        (&long, "431 Request Header Fields Too Large"),
    ];
    for (request, status) in cases {
        let answer = ask(&receiver, request).await;
        assert!(answer.starts_with(&format!("HTTP/1.1 {status}\r\n")), "{status}: {answer}");
    }
    assert!(receiver.requests().is_empty());
}

#[tokio::test]
async fn a_body_in_chunks_is_put_together() {
    let receiver = ticketnation().await;
    let (first, second) = BODY.split_at(5);
    let chunks = format!(
        "5;note=x\r\n{first}\r\n{:x}\r\n{second}\r\n0\r\nX-Trailer: 1\r\n\r\n",
        second.len()
    );
    let head = webhook(SIGNATURE).replace(
        &format!("Content-Length: {}\r\n\r\n{BODY}", BODY.len()),
        "Transfer-Encoding: chunked\r\n\r\n",
    );
    let mut client = Client::connect(&receiver).await.unwrap();
    let answer = client.ask(&format!("{head}{chunks}")).await;
    assert!(is_answer(&answer, "200 OK", "OK"), "{answer}");
    let answer = client.ask(&webhook(SIGNATURE)).await;
    assert!(is_answer(&answer, "200 OK", "OK"), "the next request begins where it ended");
    let requests = receiver.requests();
    assert_eq!(requests[0].body, BODY.as_bytes());
    assert_eq!(requests[0].head, head.as_bytes());
}

#[tokio::test]
async fn who_asks_whether_to_go_on_is_told_to() {
    let receiver = Receiver::start(Consumer::Unchecked, "").await.unwrap();
    let mut client = Client::connect(&receiver).await.unwrap();
    let head = "POST / HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n";
    assert_eq!(client.ask(head).await, "HTTP/1.1 100 Continue\r\n\r\n");
    assert!(is_answer(&client.ask("ok").await, "200 OK", ""));
}
