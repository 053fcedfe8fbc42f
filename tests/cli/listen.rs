//! `hookwheel listen` as people run it: a process of its own, and real sockets.

use crate::{Ran, command};
use hookwheel::simulate::receiver::{Answer, Consumer, Receiver};
use serde_json::Value;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::Duration;

/// A secret that every provider's signing takes.
pub const SECRET: &str = "0f1e2d3c4b5a69788796a5b4c3d2e1f0";
const BODY: &str = r#"{"id":"evt_1","event":"order.created"}"#;
/// printf %s "$BODY" | openssl dgst -sha256 -hmac 0f1e2d3c4b5a69788796a5b4c3d2e1f0
const SIGNATURE: &str = "74e5052e5b22d9313c92123bcb692e6ce90118811f85fde2ff95e69beedccce3";

/// A listener on a port of its own.
pub struct Listening {
    pub child: Child,
    pub out: BufReader<ChildStdout>,
    pub address: String,
}

impl Listening {
    /// Starts one that remembers in `data`, and waits until it listens.
    pub fn start(data: &Path, arguments: &[&str]) -> Self {
        let data = data.to_str().unwrap();
        let mut command =
            command(&[&["listen", "--port", "0", "--data", data], arguments].concat());
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        Self::from(command.spawn().unwrap())
    }

    fn from(mut child: Child) -> Self {
        let mut out = BufReader::new(child.stdout.take().unwrap());
        let mut line = String::new();
        out.read_line(&mut line).unwrap();
        let address = line.split("http://").nth(1).and_then(|rest| rest.split('/').next());
        let Some(address) = address.map(str::to_owned) else {
            let ran = child.wait_with_output().unwrap();
            panic!("it does not listen: {}", String::from_utf8_lossy(&ran.stderr));
        };
        Self { child, out, address }
    }

    /// Reads on to the line that begins with this.
    pub fn line(&mut self, start: &str) -> String {
        let mut lines = self.out.by_ref().lines().map(Result::unwrap);
        lines.find(|line| line.starts_with(start)).unwrap_or_else(|| panic!("no line {start}"))
    }

    /// Sends these bytes, and reads what comes back until the connection is closed.
    #[allow(clippy::disallowed_methods, reason = "a client that sends any bytes")]
    pub fn send(&self, bytes: &[u8]) -> String {
        let mut stream = TcpStream::connect(&self.address).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
        stream.write_all(bytes).unwrap();
        let mut answer = Vec::new();
        // A listener that ends resets what it has not read.
        let _ = stream.read_to_end(&mut answer);
        String::from_utf8_lossy(&answer).into_owned()
    }

    /// Sends these bytes, and leaves the connection open.
    #[allow(clippy::disallowed_methods, reason = "a client that sends any bytes")]
    fn send_and_wait(&self, bytes: &[u8]) -> TcpStream {
        let mut stream = TcpStream::connect(&self.address).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
        stream.write_all(bytes).unwrap();
        stream
    }

    /// Sends requests over one connection and reads all the answers.
    fn send_many(&self, requests: &str, last: &str) {
        let mut stream = self.send_and_wait(b"");
        let mut answers = stream.try_clone().unwrap();
        let reading = std::thread::spawn(move || answers.read_to_end(&mut Vec::new()).unwrap());
        stream.write_all(requests.as_bytes()).unwrap();
        stream.write_all(last.as_bytes()).unwrap();
        reading.join().unwrap();
    }

    /// Sends these bytes and closes the connection.
    #[allow(clippy::disallowed_methods, reason = "a client that sends any bytes")]
    fn send_a_part(&self, bytes: &[u8]) {
        TcpStream::connect(&self.address).unwrap().write_all(bytes).unwrap();
    }

    /// Posts a body with these header lines, each with its end.
    pub fn post(&self, target: &str, headers: &str, body: &[u8]) -> String {
        let length = body.len();
        let head = format!(
            "POST {target} HTTP/1.1\r\nHost: {}\r\n{headers}Content-Length: {length}\r\n\
             Connection: close\r\n\r\n",
            self.address
        );
        self.send(&[head.as_bytes(), body].concat())
    }

    /// Ends it with a signal, and returns what it still prints and its exit code.
    pub fn end(mut self, signal: &str) -> (String, Option<i32>) {
        let id = self.child.id().to_string();
        assert!(Command::new("kill").args([signal, &id]).status().unwrap().success());
        let mut rest = String::new();
        self.out.read_to_string(&mut rest).unwrap();
        (rest, self.child.wait().unwrap().code())
    }
}

/// Runs `hookwheel received` on the folder.
pub fn received(data: &Path, arguments: &[&str]) -> Ran {
    let data = ["--data", data.to_str().unwrap()];
    command(&[&["received"], arguments, &data].concat()).output().unwrap().into()
}

/// The requests of a folder, as JSON.
pub fn list(data: &Path, arguments: &[&str]) -> Vec<Value> {
    let ran = received(data, &[&["list", "--format", "json"], arguments].concat());
    assert_eq!(ran.code, 0, "{}", ran.err);
    ran.out.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn numbers(requests: &[Value]) -> Vec<u64> {
    requests.iter().map(|request| request["number"].as_u64().unwrap()).collect()
}

fn genuine(listening: &Listening) -> String {
    listening.post("/hooks", &format!("X-TN-Signature: {SIGNATURE}\r\n"), BODY.as_bytes())
}

#[test]
fn what_arrives_is_shown_checked_and_remembered() {
    let data = tempfile::tempdir().unwrap();
    let arguments = ["ticketnation", "--secret", "another-one", "--secret", SECRET];
    let mut listening = Listening::start(data.path(), &arguments);
    assert!(genuine(&listening).starts_with("HTTP/1.1 200 OK\r\n"));
    let shown = listening.line("--> #1 ");
    assert!(shown.ends_with(" POST /hooks order.created evt_1 genuine"), "{shown}");
    assert_eq!(listening.line("<-- "), "<-- #1 200 OK");

    let forged = format!("X-TN-Signature: {}\r\n", SIGNATURE.replace('7', "8"));
    let answer = listening.post("/hooks", &forged, BODY.as_bytes());
    assert!(answer.starts_with("HTTP/1.1 401 Unauthorized\r\n"), "{answer}");
    let shown = listening.line("--> #2 ");
    let reason = "refused: header `X-TN-Signature` is not the signature of this body";
    assert!(shown.contains(reason) && !shown.contains(SECRET), "{shown}");

    listening.send(b"POST / HTTP/1.1\r\nContent-Length: 99999999\r\n\r\n");
    let shown = listening.line("--> no request ");
    assert!(shown.ends_with(", answered with 413: the body is over 16 MiB"), "{shown}");

    listening.send_a_part(b"POST / HTTP/1.1\r\nContent-Length: 10\r\n\r\nhalf");
    let shown = listening.line("--> no request ");
    assert!(shown.ends_with(": the connection ended within a request"), "{shown}");

    let (rest, code) = listening.end("-TERM");
    assert_eq!(code, Some(0));
    assert!(rest.contains("\n2 requests arrived: 1 genuine, 1 refused\n"), "{rest}");
    assert!(rest.contains("\n2 more could not be read\n"), "{rest}");
    assert!(!data.path().join("socket").exists());
    assert_eq!(numbers(&list(data.path(), &[])), [1, 2]);

    let mut listening = Listening::start(data.path(), &arguments);
    assert!(listening.line("remembering in ").ends_with(", where 2 requests are"));
    genuine(&listening);
    listening.line("--> #3 ");
}

#[test]
fn what_was_answered_survives_a_kill() {
    let data = tempfile::tempdir().unwrap();
    for round in 1..=3 {
        let listening = Listening::start(data.path(), &[]);
        for _ in 0..5 {
            assert!(listening.post("/", "", BODY.as_bytes()).starts_with("HTTP/1.1 200 OK"));
        }
        let (_, code) = listening.end("-KILL");
        assert_eq!(code, None);
        assert_eq!(numbers(&list(data.path(), &[])), (1..=5 * round).collect::<Vec<_>>());
    }
    let shown = received(data.path(), &["show", "15", "--body"]);
    assert_eq!(shown.out, BODY);
}

#[test]
fn a_second_listener_is_refused_with_words() {
    let data = tempfile::tempdir().unwrap();
    let _listening = Listening::start(data.path(), &[]);
    let path = data.path().to_str().unwrap();
    let second = crate::run(&["listen", "--port", "0", "--data", path]);
    assert_eq!(second.code, 1);
    assert!(second.err.contains("is in use by another process (process "), "{}", second.err);
    assert_eq!(list(data.path(), &[]).len(), 0, "the first one still answers");
}

#[test]
fn what_cannot_be_listened_for_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("new");
    let data = data.to_str().unwrap();
    for (arguments, words) in [
        (&["nobody"][..], "provider `nobody` is unknown"),
        (&["yoco", "--secret", "no"], "secret"),
        (&["--secret", "no"], "no provider to check with it"),
        (&["--respond", "500,maybe"], "answer `maybe` is none: expected a status"),
        (&["--forward-to", "localhost"], "--forward-to: the handler's url refused: "),
        (&["--forward-to", "http://a:b@localhost"], "--forward-to: the handler's url holds a user"),
        (&["--address", "localhost:"], "expected `host:port`, like `127.0.0.1:9000`"),
        (&["--address", "203.0.113.1:9"], "cannot listen on 203.0.113.1:9"),
    ] {
        let ran = crate::run(&[&["listen", "--data", data], arguments].concat());
        assert_eq!(ran.code, 2, "{arguments:?}: {}", ran.err);
        assert!(ran.err.contains(words), "{arguments:?}: {}", ran.err);
    }
}

#[test]
fn a_folder_whose_path_is_too_long_for_a_socket_is_told_of() {
    let folder = tempfile::tempdir().unwrap();
    let long = folder.path().join("long".repeat(30));
    let ran = crate::run(&["listen", "--port", "0", "--data", long.to_str().unwrap()]);
    assert_eq!(ran.code, 2, "{}", ran.err);
    assert!(ran.err.contains("name the folder by a shorter path"), "{}", ran.err);
    // From the folder above it can be named.
    let mut command = command(&["listen", "--port", "0", "--data", "long it's"]);
    command.current_dir(folder.path()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let listening = Listening::from(command.spawn().unwrap());
    listening.post("/", "", b"x");
    let (rest, _) = listening.end("-INT");
    let told = "see them again with: hookwheel received list --data 'long it'\\''s'\n";
    assert!(rest.ends_with(told), "{rest}");
}

#[test]
fn every_provider_is_taken_for_genuine() {
    for consumer in Consumer::ALL.into_iter().filter(|consumer| *consumer != Consumer::Unchecked) {
        let provider = consumer.name();
        let secret = match consumer {
            Consumer::Yoco | Consumer::StandardWebhooks => "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
            _ => SECRET,
        };
        let data = tempfile::tempdir().unwrap();
        let listening =
            Listening::start(data.path(), &[provider, "--secret", secret, "--format", "json"]);
        let url = format!("http://{}/webhooks?a=b", listening.address);
        let ran = crate::run(&["simulate", provider, "--url", &url, "--secret", secret]);
        assert_eq!(ran.code, 0, "{provider}: {}{}", ran.out, ran.err);
        let (rest, _) = listening.end("-INT");
        let requests: Vec<Value> =
            rest.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        let count = |kind| requests.iter().filter(|line| line["kind"] == kind).count();
        assert!(count("request") > 0 && count("request") == count("answer"), "{provider}");
        for request in requests.iter().filter(|line| line["kind"] == "request") {
            match request["method"].as_str() {
                Some("GET") => assert_eq!(request["verdict"], "challenge", "{request}"),
                _ => {
                    assert_eq!(request["verdict"], "genuine", "{request}");
                    assert_ne!(request["events"][0]["type"], "", "{request}");
                }
            }
        }
    }
}

#[test]
fn a_challenge_is_answered_whatever_is_answered_on_purpose() {
    let data = tempfile::tempdir().unwrap();
    let arguments = ["opencard", "--secret", SECRET, "--respond", "500,repeat"];
    let mut listening = Listening::start(data.path(), &arguments);
    let challenge = b"GET /hooks?a=b&challenge=abcDEF123 HTTP/1.1\r\nConnection: close\r\n\r\n";
    let answer = listening.send(challenge);
    // printf %s abcDEF123 | openssl dgst -sha256 -hmac "$SECRET" -hex
    let token = "9546a3b0ace06d6ae02bdcf83355bf31fd38a425bfe8f8162f3bfc95f9813436";
    assert!(answer.contains(&format!("\r\nx-verify-token: {token}\r\n")), "{answer}");
    assert!(listening.line("--> #1 ").ends_with(" challenge"));
    assert!(listening.post("/hooks", "", b"{}").starts_with("HTTP/1.1 500 "));

    let data = tempfile::tempdir().unwrap();
    let mut without = Listening::start(data.path(), &["opencard"]);
    without.line("no secret was given: ");
    assert!(without.send(challenge).starts_with("HTTP/1.1 400 "));
    without.post("/hooks", "", b"{}");
    assert!(without.line("--> #2 ").ends_with(" unchecked: no secret was given"));
}

#[test]
fn a_provider_of_ones_own_is_checked_by_its_file() {
    let folder = tempfile::tempdir().unwrap();
    let page = include_str!("../../docs/providers.md");
    let file = page.split("```toml\n").nth(1).unwrap().split("```").next().unwrap();
    let file = format!(
        "{file}\n[challenge]\non = [\"create\"]\nquery = \"prove\"\ncharacters = 16\n\
         headers = []\nsuccess = [\"2xx\"]\nprobe = {{ first = \"1m\", factor = 2.0, cap = \"1h\" }}\n\
         answer = {{ header = \"X-Proof\", content = \"{{challenge}}\", encoding = \"hex\" }}\n"
    );
    std::fs::write(folder.path().join("box-office.toml"), file).unwrap();
    let providers = folder.path().to_str().unwrap();
    let data = tempfile::tempdir().unwrap();
    // 16 bytes at least, as the file says.
    let secret = format!("box_{SECRET}");
    let arguments = ["box-office", "--folder", providers, "--secret", &secret];
    let mut listening = Listening::start(data.path(), &arguments);
    let url = format!("http://{}/", listening.address);
    let arguments = ["simulate", "box-office", "--folder", providers, "--secret", &secret];
    let ran = crate::run(&[&arguments[..], &["--url", &url]].concat());
    assert_eq!(ran.code, 0, "its challenge and its signature: {}{}", ran.out, ran.err);
    assert!(listening.line("--> #1 ").ends_with(" challenge"));
    assert!(listening.line("--> #2 ").ends_with(" genuine"));
    listening.post("/", "X-Box-Timestamp: 1\r\nX-Box-Signature: v1=00\r\n", b"{}");
    assert!(listening.line("--> #3 ").contains(" refused: the signature in `X-Box-Signature`"));
}

#[test]
fn answers_on_purpose_come_in_turn() {
    let data = tempfile::tempdir().unwrap();
    let mut listening = Listening::start(data.path(), &["--respond", "503@20ms,close,honest,404"]);
    let status = |listening: &Listening| {
        let answer = listening.post("/", "", b"x");
        answer.split(' ').nth(1).map(str::to_owned)
    };
    assert_eq!(status(&listening).as_deref(), Some("503"));
    assert_eq!(listening.line("<-- "), "<-- #1 503 Service Unavailable after 20 ms, as told");
    assert_eq!(status(&listening), None);
    assert_eq!(listening.line("<-- "), "<-- #2 no answer, and the connection closed, as told");
    let rest: Vec<_> = (0..3).filter_map(|_| status(&listening)).collect();
    assert_eq!(rest, ["200", "404", "200"]);

    let told = received(data.path(), &["respond", "429,200,repeat"]);
    assert_eq!(told.code, 0, "{}", told.err);
    let turns: Vec<_> = (0..4).filter_map(|_| status(&listening)).collect();
    assert_eq!(turns, ["429", "200", "429", "200"]);
    let wrong = received(data.path(), &["respond", "42"]);
    assert_eq!(wrong.code, 2);
}

#[test]
#[allow(clippy::disallowed_methods, reason = "a client that waits for no answer")]
fn an_answer_that_hangs_is_shown_at_once_and_ends_with_the_listener() {
    let data = tempfile::tempdir().unwrap();
    let mut listening = Listening::start(data.path(), &["--respond", "hang"]);
    let mut stream = TcpStream::connect(&listening.address).unwrap();
    stream.write_all(b"POST / HTTP/1.1\r\nContent-Length: 0\r\n\r\n").unwrap();
    assert_eq!(listening.line("<-- "), "<-- #1 no answer, and the connection left open, as told");
    let (rest, code) = listening.end("-INT");
    assert_eq!((code, rest.contains("1 request arrived: 1 unchecked")), (Some(0), true), "{rest}");
    assert_eq!(stream.read(&mut [0; 1]).unwrap_or(0), 0, "nothing came back");
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_go_on_to_a_handler_and_its_answers_back() {
    let handler = Receiver::start(Consumer::Unchecked, "").await.unwrap();
    handler.answer_next([Answer::status(418).header("X-Mine", "a b").body("short and stout")]);
    let to = format!("http://{}/mine?k=v", handler.address());
    let data = tempfile::tempdir().unwrap();
    let arguments = ["ticketnation", "--secret", SECRET, "--forward-to", &to];
    let mut listening = Listening::start(data.path(), &arguments);
    let body = b"{\"a\": 1.10}\n\x00\xff";
    let headers = "X-ODD-Casing:  two  words \r\nX-Again: 1\r\nx-again: 2\r\n\
        Keep-Alive: 5\r\nX-TN-Signature: 00\r\n";
    let answer = listening.post("/hooks?a=b%20c", headers, body);
    assert!(answer.starts_with("HTTP/1.1 418 I'm a teapot\r\n"), "{answer}");
    assert!(answer.contains("\r\nx-mine: a b\r\n") && answer.ends_with("\r\n\r\nshort and stout"));
    assert!(listening.line("--> #1 ").contains(" refused: header `X-TN-Signature` is not"));
    assert!(listening.line("<-- ").starts_with("<-- #1 418 I'm a teapot, by the handler in "));

    let sent = handler.requests().remove(0);
    assert_eq!(sent.target, "/mine?k=v&a=b%20c");
    assert_eq!(sent.body, body);
    let expected = [
        ("Host", handler.address().to_string()),
        ("X-ODD-Casing", "two  words".to_owned()),
        ("X-Again", "1".to_owned()),
        ("x-again", "2".to_owned()),
        ("X-TN-Signature", "00".to_owned()),
        ("Content-Length", body.len().to_string()),
    ];
    assert_eq!(sent.headers, expected.map(|(name, value)| (name.to_owned(), value)));

    handler.stop().await;
    let answer = listening.post("/hooks", "", b"x");
    assert!(answer.starts_with("HTTP/1.1 502 Bad Gateway\r\n"), "{answer}");
    assert!(!answer.contains("127.0.0.1"), "our addresses are not for the sender: {answer}");
    let shown = listening.line("<-- #2 502 ");
    assert!(shown.contains("; the handler: ") && shown.contains("refused"), "{shown}");

    received(data.path(), &["respond", "503"]);
    handler.resume().await.unwrap();
    assert!(listening.post("/hooks", "", b"x").starts_with("HTTP/1.1 503 "));
    assert_eq!(handler.requests().len(), 1, "what is answered on purpose is not sent on");
}

#[test]
fn requests_do_not_go_round() {
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let (url, port) = (format!("http://{free}/mine"), free.port().to_string());
    let data = tempfile::tempdir().unwrap();
    let data = data.path().to_str().unwrap();
    let ran = crate::run(&["listen", "--port", &port, "--data", data, "--forward-to", &url]);
    assert_eq!(ran.code, 2, "{}", ran.err);
    assert!(ran.err.contains("this service itself listens there"), "{}", ran.err);
}

#[test]
fn nothing_that_comes_from_outside_drives_the_terminal() {
    let data = tempfile::tempdir().unwrap();
    let mut listening = Listening::start(data.path(), &["--verbose"]);
    let headers = "X-Latin: \u{9b}2J\r\nX-Tab: a\tb\r\nX-Event: \u{9b}31m\r\n";
    let body = b"{\"type\": \"\x1b]0;mine\x07\", \x00\xff\xfe\x9b\r\r\n\x1b[2J";
    listening.post("/\u{9d}0;title", headers, body);
    let json = br#"{"type":"\u001b[2J\u009b","id":"\n\t\u0000"}"#;
    listening.post("/json", "", json);
    let shown: String = [listening.line("--> #1"), listening.end("-INT").0].concat();
    let show = received(data.path(), &["show", "1"]).out;
    let table = received(data.path(), &["list"]).out;
    let curl = received(data.path(), &["curl", "1"]).out;
    let lines = received(data.path(), &["list", "--format", "json"]).out;
    let json = received(data.path(), &["show", "1", "--format", "json"]).out;
    for text in [&shown, &show, &table, &curl, &lines, &json] {
        let odd = text.chars().find(|letter| letter.is_control() && !"\n\t".contains(*letter));
        assert_eq!(odd, None, "{text:?}");
    }
    assert!(show.contains("\\u{1b}[2J") && show.contains("\\u{9b}31m"), "{show}");
    assert!(table.contains("\\u{1b}[2J"), "{table}");
    let json: Value = serde_json::from_str(&json).unwrap();
    assert!(json["body_base64"].is_string() && json["body"].is_null());
}

#[test]
fn a_disk_that_takes_no_more_ends_it_and_loses_nothing_that_was_answered() {
    let data = tempfile::tempdir().unwrap();
    let script = format!(
        "trap '' XFSZ; ulimit -f 4096; exec {} listen --port 0 --data {}",
        env!("CARGO_BIN_EXE_hookwheel"),
        data.path().display()
    );
    let mut command = Command::new("sh");
    command.args(["-c", &script]).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut listening = Listening::from(command.spawn().unwrap());
    let mut answered = 0;
    let refusal = loop {
        let answer = listening.post("/", "", &[7; 100_000]);
        if !answer.starts_with("HTTP/1.1 200 ") {
            break answer;
        }
        answered += 1;
        assert!(answered < 1000, "the disk does not end");
    };
    // The listener may have ended before its answer was written.
    assert!(refusal.is_empty() || refusal.starts_with("HTTP/1.1 503 "), "{refusal}");
    assert_eq!(listening.child.wait().unwrap().code(), Some(1));
    let mut told = String::new();
    listening.child.stderr.take().unwrap().read_to_string(&mut told).unwrap();
    assert!(told.contains("nothing can be remembered any more: "), "{told}");
    assert!(list(data.path(), &[]).len() >= answered, "{answered}");
}

#[test]
fn a_header_is_found_in_any_casing_and_the_pages_code_is_minded() {
    let data = tempfile::tempdir().unwrap();
    let mut listening = Listening::start(data.path(), &["gocardless", "--secret", SECRET]);
    let body = br#"{"events":[]}"#;
    // printf %s '{"events":[]}' | openssl dgst -sha256 -hmac 0f1e2d3c4b5a69788796a5b4c3d2e1f0
    let signature = "3409475edc97689758fc8392a22c721026d85efa74039daccae131122027959c";
    let answer = listening.post("/", &format!("webhook-signature: {signature}\r\n"), body);
    assert!(answer.starts_with("HTTP/1.1 204 "), "{answer}");
    let note = "came as `webhook-signature`; the page's PHP finds only `Webhook-Signature`";
    let shown = listening.line("--> #1 ");
    assert!(shown.ends_with(&format!(" genuine ({note})")), "{shown}");
    listening.post("/", &format!("Webhook-Signature: {signature}\r\n"), body);
    assert!(listening.line("--> #2 ").ends_with(" genuine"));
    let listed = list(data.path(), &[]);
    assert_eq!((listed[0]["note"].as_str(), listed[1]["note"].as_str()), (Some(note), None));
    let head = received(data.path(), &["show", "1"]).out;
    assert!(head.contains("    webhook-signature: "), "the bytes stay as they came: {head}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_goes_on_to_a_handler_is_shown_and_kept_when_it_comes() {
    let handler = Receiver::start(Consumer::Unchecked, "").await.unwrap();
    handler.answer_next([Answer::hang(), Answer::hang()]);
    let to = format!("http://{}", handler.address());
    let data = tempfile::tempdir().unwrap();
    let mut listening = Listening::start(data.path(), &["--forward-to", &to]);
    let _waiting = listening.send_and_wait(b"POST /a HTTP/1.1\r\nContent-Length: 1\r\n\r\nx");
    assert!(listening.line("--> #1 ").contains(" POST /a "));
    let answer = |number: usize| list(data.path(), &[])[number - 1]["answer"].clone();
    assert_eq!((&answer(1)["ending"], &answer(1)["outcome"]), (&"awaited".into(), &"open".into()));

    handler.wait_for(1).await.unwrap();
    let (_, code) = listening.end("-KILL");
    assert_eq!(code, None);
    let table = received(data.path(), &["list"]).out;
    assert!(table.contains("no answer of the handler's so far"), "{table}");

    // An end in order waits for what the handler has, and here that comes: its connection closes.
    let listening = Listening::start(data.path(), &["--forward-to", &to]);
    let waiting = listening.send_and_wait(b"POST /b HTTP/1.1\r\nContent-Length: 1\r\n\r\nx");
    handler.wait_for(2).await.unwrap();
    let ending = tokio::task::spawn_blocking(move || listening.end("-INT"));
    let port_is_closed = || std::net::TcpListener::bind(waiting.peer_addr().unwrap()).is_ok();
    while !port_is_closed() {
        tokio::task::yield_now().await;
    }
    handler.stop().await;
    let (rest, code) = ending.await.unwrap();
    assert_eq!(code, Some(0));
    assert!(rest.contains("<-- #2 502 Bad Gateway; the handler: "), "{rest}");
    assert_eq!(answer(2)["outcome"], "given");
    let mut answered = String::new();
    BufReader::new(waiting).read_line(&mut answered).unwrap();
    assert!(answered.starts_with("HTTP/1.1 502 "), "{answered}");
}

#[test]
fn an_answer_that_reaches_nobody_is_not_on_record_as_given() {
    let data = tempfile::tempdir().unwrap();
    let mut listening = Listening::start(data.path(), &["--respond", "200@50ms,200@50ms"]);
    let request = b"POST / HTTP/1.1\r\nContent-Length: 1\r\n\r\nx";
    drop(listening.send_and_wait(request));
    let shown = listening.line("<-- #1 ");
    assert_eq!(shown, "<-- #1 200 OK after 50 ms, as told; the sender had gone");

    // Whoever has only said all it has to say is still there.
    let stays = listening.send_and_wait(request);
    stays.shutdown(std::net::Shutdown::Write).unwrap();
    assert_eq!(listening.line("<-- #2 "), "<-- #2 200 OK after 50 ms, as told");
    let mut answer = String::new();
    BufReader::new(stays).read_line(&mut answer).unwrap();
    assert_eq!(answer, "HTTP/1.1 200 OK\r\n");

    let outcomes: Vec<_> =
        list(data.path(), &[]).iter().map(|one| one["answer"]["outcome"].clone()).collect();
    assert_eq!(outcomes, ["sender_gone", "given"]);
    listening.end("-INT");
    let table = received(data.path(), &["list"]).out;
    assert!(table.contains("the sender had gone"), "{table}");
}

#[test]
fn an_answer_that_the_end_cuts_short_is_on_record_as_not_given() {
    let data = tempfile::tempdir().unwrap();
    let mut listening = Listening::start(data.path(), &["--respond", "200@1h"]);
    let _waiting = listening.send_and_wait(b"POST / HTTP/1.1\r\nContent-Length: 0\r\n\r\n");
    listening.line("--> #1 ");
    let (_, code) = listening.end("-INT");
    assert_eq!(code, Some(0), "nobody waits an hour");
    let shown = received(data.path(), &["show", "1"]).out;
    assert!(shown.contains("<-- #1 200 OK after 1 h, as told; not given so far"), "{shown}");
}

/// The most memory that a process has had, in KiB.
fn peak_kib(process: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).unwrap();
    let line = status.lines().find(|line| line.starts_with("VmHWM:")).unwrap();
    line.split_ascii_whitespace().nth(1).unwrap().parse().unwrap()
}

#[test]
fn a_large_body_of_small_things_costs_little_more_than_its_size() {
    let data = tempfile::tempdir().unwrap();
    let mut listening = Listening::start(data.path(), &["gocardless"]);
    let body = format!(r#"{{"events":[{}{{}}]}}"#, r#"{"a":{}},"#.repeat(15 * 1024 * 1024 / 9));
    let answer = listening.post("/", "", body.as_bytes());
    assert!(answer.starts_with("HTTP/1.1 204 "), "{answer}");
    listening.line("--> #1 ");
    let peak = peak_kib(listening.child.id());
    assert!(peak < 400 * 1024, "{peak} KiB");
}

#[test]
fn bodies_that_do_not_come_are_in_nobodys_way() {
    let data = tempfile::tempdir().unwrap();
    let listening = Listening::start(data.path(), &[]);
    let chunked = b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nffffff\r\nx";
    let long = b"POST / HTTP/1.1\r\nContent-Length: 16000000\r\n\r\nx";
    let slow: Vec<_> = (0..20)
        .flat_map(|_| [listening.send_and_wait(chunked), listening.send_and_wait(long)])
        .collect();
    let answer = listening.post("/", "", &vec![b'x'; 4 * 1024 * 1024]);
    assert!(answer.starts_with("HTTP/1.1 200 OK"), "{answer}");
    drop(slow);
}

#[test]
fn it_ends_though_nobody_reads_what_it_prints() {
    for seconds_of_patience in [true, false] {
        let data = tempfile::tempdir().unwrap();
        let mut listening = Listening::start(data.path(), &["--verbose"]);
        // More than a pipe holds, and nobody reads on.
        for _ in 0..20 {
            listening.post("/", "", &[b'x'; 16 * 1024]);
        }
        let id = listening.child.id().to_string();
        let interrupt =
            || assert!(Command::new("kill").args(["-INT", &id]).status().unwrap().success());
        interrupt();
        if !seconds_of_patience {
            // The port closes when the first one has arrived.
            while std::net::TcpListener::bind(&listening.address).is_err() {
                std::thread::yield_now();
            }
            interrupt();
        }
        assert_eq!(listening.child.wait().unwrap().code(), Some(1));
        let mut told = String::new();
        listening.child.stderr.take().unwrap().read_to_string(&mut told).unwrap();
        let words = if seconds_of_patience { "nobody has read it" } else { "ended at once" };
        assert!(told.contains(words), "{told}");
        assert_eq!(list(data.path(), &[]).len(), 20);
    }
}

#[test]
fn the_summary_counts_what_was_not_shown() {
    let data = tempfile::tempdir().unwrap();
    let mut listening = Listening::start(data.path(), &["--verbose"]);
    let requests = "POST / HTTP/1.1\r\nContent-Length: 100\r\n\r\n".to_owned() + &"x".repeat(100);
    let last = "POST / HTTP/1.1\r\nConnection: close\r\nContent-Length: 0\r\n\r\n";
    // So many that who reads falls behind for good, as long as it does not read.
    let count = 1500;
    listening.send_many(&requests.repeat(count - 1), last);
    let id = listening.child.id().to_string();
    assert!(Command::new("kill").args(["-INT", &id]).status().unwrap().success());
    let mut rest = String::new();
    listening.out.read_to_string(&mut rest).unwrap();
    assert!(rest.contains(" lines left out: "), "it kept up");
    assert!(rest.contains(&format!("\n{count} requests arrived: {count} unchecked\n")), "{rest}");
}
