use super::arrived::{Answered, AnsweredBy, Arrived, Remembered};
use super::memory::{self, Keep, Memory};
use super::told::ToldEvent;
use super::verdict::{Check, Verdict};
use super::{Listener, Setup};
use crate::error::ErrorKind;
use crate::model::{Secret, Timestamp};
use crate::provider::Providers;
use crate::simulate::receiver::answer::Answer;
use crate::simulate::receiver::request::Request;
use std::net::SocketAddr;
use std::path::Path;
use tokio::sync::broadcast::error::RecvError;

/// A request with this body, which is not yet remembered.
fn request(body: Vec<u8>) -> Remembered {
    let address: SocketAddr = "127.0.0.1:9000".parse().unwrap();
    Remembered {
        arrived: Arrived {
            number: 0,
            received_at: Timestamp::from_millis(1_700_000_000_000),
            from: address,
            to: address,
            method: "POST".to_owned(),
            target: "/".to_owned(),
            head: b"POST / HTTP/1.1\r\nX-Odd:1\r\nX-None:\r\n\r\n".to_vec(),
            body_bytes: body.len(),
            events: vec![ToldEvent { event_type: "a.b".to_owned(), id: "1".to_owned() }],
            verdict: Verdict::Refused("it is late".to_owned()),
            note: None,
            answer: Answered::new(&Answer::status(401), AnsweredBy::Honest),
        },
        body: body.into(),
    }
}

fn open(folder: &Path, requests: usize, bytes: u64) -> Memory {
    Memory::open(folder, Keep { requests, bytes }).unwrap()
}

#[test]
fn what_is_remembered_comes_back_byte_for_byte() {
    let folder = tempfile::tempdir().unwrap();
    let bodies = [Vec::new(), vec![0], (0..=255).cycle().take(1_000_003).collect::<Vec<u8>>()];
    let mut requests = bodies.clone().map(request);
    open(folder.path(), 10, 1 << 30).remember(&mut requests, &[]).unwrap();
    let memory = open(folder.path(), 10, 1 << 30);
    assert_eq!(memory.numbers(), [1, 2, 3]);
    for (number, body) in (1..).zip(bodies) {
        let whole = memory.get_whole(number).unwrap().unwrap();
        assert_eq!(whole.body, body);
        assert_eq!(whole.arrived.number, number);
        assert_eq!(whole.arrived.head, request(Vec::new()).arrived.head);
        assert_eq!(whole.arrived.verdict, Verdict::Refused("it is late".to_owned()));
    }
    assert!(memory.get_whole(4).unwrap().is_none());
}

#[test]
fn the_oldest_go_by_number_and_by_size() {
    let folder = tempfile::tempdir().unwrap();
    let memory = open(folder.path(), 3, 1 << 30);
    for _ in 0..5 {
        memory.remember(&mut [request(vec![1; 100_000])], &[]).unwrap();
    }
    assert_eq!(memory.numbers(), [3, 4, 5]);
    assert!(memory.get_whole(2).unwrap().is_none());
    drop(memory);

    let memory = open(folder.path(), 3, 250_000);
    memory.remember(&mut [request(vec![1; 100_000])], &[]).unwrap();
    assert_eq!(memory.numbers(), [5, 6], "those that lie there from before count as well");
    memory.remember(&mut [request(vec![1; 300_000])], &[]).unwrap();
    assert_eq!(memory.numbers(), [7], "the newest stays whatever its size");
}

#[test]
fn numbers_are_given_once() {
    let folder = tempfile::tempdir().unwrap();
    let memory = open(folder.path(), 10, 1 << 30);
    memory.remember(&mut [request(vec![1; 100_000]), request(Vec::new())], &[]).unwrap();
    assert_eq!(memory.clear().unwrap(), 2);
    drop(memory);
    let memory = open(folder.path(), 10, 1 << 30);
    memory.remember(&mut [request(Vec::new())], &[]).unwrap();
    assert_eq!(memory.numbers(), [3]);
    assert!(memory.get_whole(1).unwrap().is_none());
}

#[test]
fn another_format_is_refused_and_nothing_else_is_taken_over() {
    let refusal = |key: &[u8], value: &[u8]| {
        let folder = tempfile::tempdir().unwrap();
        let other = sled::open(memory::data_folder(folder.path())).unwrap();
        other.insert(key, value).unwrap();
        other.flush().unwrap();
        drop(other);
        Memory::open(folder.path(), Keep::default()).err().unwrap()
    };
    let error = refusal(b"m", &[0, 0, 0, 1]);
    assert_eq!(error.kind(), ErrorKind::Unreadable);
    assert!(error.to_string().contains("another version of hookwheel"), "{error}");
    let error = refusal(b"something", b"else");
    assert!(error.to_string().contains("it holds something else"), "{error}");
}

#[test]
fn headers_are_told_from_the_head() {
    let arrived = request(Vec::new()).arrived;
    let lines: Vec<&[u8]> = arrived.header_lines().collect();
    assert_eq!(lines, [&b"X-Odd:1"[..], b"X-None:"]);
    assert_eq!(arrived.header("x-odd"), Some(&b"1"[..]));
    assert_eq!(arrived.header("X-None"), Some(&b""[..]));
    assert_eq!(arrived.version(), Some(&b"HTTP/1.1"[..]));
}

#[test]
fn a_pair_of_keys_checks_by_either() {
    let provider = Providers::embedded().unwrap().get("standard-webhooks").unwrap();
    let made = provider.generate_secret(Some("v1a")).unwrap().secret;
    let shown = provider.shown_form(&made).unwrap();
    assert_ne!(made, shown);
    for secret in [made, shown] {
        assert!(Check::page(&provider, &[secret]).unwrap().verifies());
    }
    assert!(Check::page(&provider, &[Secret::new("whpk_no")]).is_err());
}

#[test]
fn without_a_secret_the_profile_answers_what_it_can() {
    let provider = Providers::embedded().unwrap().get("opencard").unwrap();
    let mut post = Request { method: "POST".to_owned(), ..Request::default() };
    let judged = Check::profile(&provider, &[]).unwrap().judge(&mut post, Timestamp::EPOCH);
    assert_eq!(judged.answer.code(), Some(200));
    assert_eq!(judged.verdict, Verdict::Unchecked("no secret was given".to_owned()));
    let mut get = Request { method: "GET".to_owned(), ..Request::default() };
    let judged = Check::profile(&provider, &[]).unwrap().judge(&mut get, Timestamp::EPOCH);
    assert_eq!(judged.answer.code(), Some(400));
    let mut put = Request { method: "PUT".to_owned(), ..Request::default() };
    let judged = Check::profile(&provider, &[]).unwrap().judge(&mut put, Timestamp::EPOCH);
    assert_eq!(judged.answer.code(), Some(405));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_listener_that_is_dropped_frees_its_folder() {
    let folder = tempfile::tempdir().unwrap();
    let address = "127.0.0.1:0".parse().unwrap();
    let start = || Listener::start(Setup { address, ..Setup::new(folder.path()) });
    let (listener, mut arrivals) = start().await.unwrap();
    drop(listener);
    // It ends when its last part does.
    assert!(matches!(arrivals.recv().await, Err(RecvError::Closed)));
    assert!(!folder.path().join("socket").exists());
    let (listener, _) = start().await.unwrap();
    listener.stop().await;
}
