//! Any text as the value of a header: refused, or on the wire as one line and nothing else.

use crate::common::{bench, bench_with, posts};
use hookwheel::simulate::receiver::{Consumer, Received};
use hookwheel::{Authentication, EndpointId};
use hookwheel::{EndpointChange, HeaderChange, NewEndpoint, Secret, TestEvent};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use std::cell::{Cell, RefCell};
use tokio::runtime::Runtime;

/// Texts, of which about half can stand in a header (RFC 9110, section 5.5, without the bytes above
/// ASCII, which are obsolete).
fn texts() -> impl Strategy<Value = String> {
    prop_oneof![
        "[!-~]([ -~]{0,20}[!-~])?",
        "[ -~]{0,10}[\r\n\t\0\u{b}\u{1b}\u{7f}\u{80}\u{85}\u{a0}\u{e9}\u{2028}\u{ff21}][ -~]{0,10}",
    ]
}

/// Whether a text may be sent as it is.
fn can_stand(text: &str) -> bool {
    text.bytes().all(|byte| (b' '..=b'~').contains(&byte)) && text.trim_matches(' ') == text
}

/// Lines of a request's head, the empty one at its end not counted, as who reads nothing but line
/// breaks counts them.
fn lines(request: &Received) -> usize {
    let head = String::from_utf8(request.head.clone()).unwrap();
    head.trim_end().split(['\r', '\n']).filter(|line| !line.is_empty()).count()
}

#[test]
fn no_text_adds_a_line_to_a_request() {
    let runtime = Runtime::new().unwrap();
    let bench = runtime.block_on(bench());
    let (receiver, created) = runtime.block_on(bench.receiver(Consumer::Unchecked));
    let id = created.endpoint.id;
    let change = |text: &str, as_credential: bool| match as_credential {
        true => EndpointChange {
            headers: Some(HeaderChange::Replace(Vec::new())),
            authentication: Some(Authentication::Header {
                name: "X-Canary".to_owned(),
                value: Secret::new(text),
            }),
            ..EndpointChange::default()
        },
        false => EndpointChange {
            headers: Some(HeaderChange::Replace(vec![("X-Canary".to_owned(), text.to_owned())])),
            authentication: Some(Authentication::None),
            ..EndpointChange::default()
        },
    };
    let sent = |id: EndpointId| {
        runtime.block_on(bench.engine.test(id, TestEvent::default())).unwrap();
        receiver.requests().pop().unwrap()
    };
    runtime.block_on(bench.engine.update_endpoint(id, change("plain", false))).unwrap();
    let expected = lines(&sent(id));
    let (accepted, refused) = (Cell::new(0), Cell::new(0));
    let mut runner = TestRunner::new(Config::with_cases(400));
    runner
        .run(&(texts(), any::<bool>()), |(text, as_credential)| {
            let change = change(&text, as_credential);
            let changed = runtime.block_on(bench.engine.update_endpoint(id, change));
            prop_assert_eq!(changed.is_ok(), can_stand(&text), "{:?}", text);
            let Ok(_) = changed else {
                refused.set(refused.get() + 1);
                return Ok(());
            };
            accepted.set(accepted.get() + 1);
            let request = sent(id);
            prop_assert_eq!(request.header("X-Canary"), Some(text.as_str()));
            prop_assert_eq!(lines(&request), expected, "{:?}", request.head);
            Ok(())
        })
        .unwrap();
    let (accepted, refused) = (accepted.get(), refused.get());
    assert!(accepted > 50 && refused > 50, "{accepted} accepted, {refused} refused");
}

#[tokio::test(flavor = "multi_thread")]
async fn ten_thousand_texts_are_told_apart_before_anything_is_stored() {
    let bench = bench().await;
    let mut runner = TestRunner::new(Config::with_cases(10_000));
    let texts = (texts(), 0..4_u8);
    let cases = RefCell::new(Vec::new());
    let keep = |case| {
        cases.borrow_mut().push(case);
        Ok(())
    };
    runner.run(&texts, keep).unwrap();
    for (text, place) in cases.into_inner() {
        let mut new = NewEndpoint::new("http://127.0.0.1:9/hooks");
        // Made in no case: the last thing to be looked at is wrong.
        new = new.secret("no secret of this provider");
        match place {
            0 => new.headers = vec![("X-Key".to_owned(), text.clone())],
            1 => {
                new.authentication = Authentication::Basic {
                    username: "a".to_owned(),
                    password: Secret::new(&*text),
                }
            }
            2 => {
                new.authentication =
                    Authentication::Header { name: "X-Key".to_owned(), value: Secret::new(&*text) }
            }
            _ => {
                new = new.provider("gocardless");
                new.settings.insert("origin".to_owned(), text.clone());
            }
        }
        let error = bench.endpoint_refused(new).await;
        let is_about_secret = error.to_string().contains("secret is not one");
        assert_eq!(is_about_secret, can_stand(&text), "{place} {text:?}: {error}");
    }
    assert_eq!(bench.engine.endpoints(bench.application).unwrap(), []);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_url_that_the_providers_header_cannot_carry_is_refused_and_percent_encoded_it_arrives() {
    let folder = tempfile::tempdir().unwrap();
    let file = include_str!("../data/providers/impatient.toml")
        .replace("name = \"impatient\"", "name = \"acme\"")
        .replace("[\"X-Time\"", "[\"X-Url\", \"<{url}>\"],\n  [\"X-Time\"");
    std::fs::write(folder.path().join("acme.toml"), file).unwrap();
    let bench = bench_with(|builder| builder.development().providers_folder(folder.path())).await;
    let refused = |error: hookwheel::Error| {
        let told = error.to_string();
        assert!(error.is_invalid() && told.contains("percent-encode"), "{told}");
        assert!(told.contains("`X-Url`"), "{told}");
    };
    let new = NewEndpoint::new("http://127.0.0.1:9/tür").provider("acme");
    refused(bench.endpoint_refused(new).await);
    let (receiver, created) = bench
        .receiver_with(Consumer::Unchecked, |mut new| {
            new.url.push_str("/t%C3%BCr");
            new.provider("acme")
        })
        .await;
    let url = Some("http://127.0.0.1:9/tür".to_owned());
    let change = EndpointChange { url, ..EndpointChange::default() };
    refused(bench.engine.update_endpoint(created.endpoint.id, change).await.unwrap_err());
    let delivery = bench.settled_order(1).await;
    assert_eq!(bench.state(delivery).await, "succeeded");
    let expected = format!("<{}>", created.endpoint.url);
    assert_eq!(posts(&receiver)[0].header("X-Url"), Some(expected.as_str()));
    // Where no header has it, a URL may be spelled as people do.
    bench.endpoint(NewEndpoint::new("http://127.0.0.1:9/tür").provider("ticketnation")).await;
}
