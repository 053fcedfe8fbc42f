//! What an endpoint answers, on the terminal of whoever looks at it.

use super::real::Real;
use crate::Ran;
use hookwheel::model::is_unseen;
use hookwheel::simulate::receiver::Answer;
use std::io::{BufRead, BufReader};
use std::process::Stdio;

/// Commands to a terminal in all their forms, and letters that turn a line around or break it.
const BODY: &[u8] =
    b"begin\x1b]0;mine\x07\x1b[2J\x7f\xff\r\xc2\x9b31m\xe2\x80\xae\xe2\x80\xa8\xef\xbb\xbfend";

/// That a text shows what was answered, as people or programs are told it, and obeys none of it.
#[track_caller]
fn is_shown_escaped(text: &str, as_json: bool) {
    let drives = text.chars().find(|letter| is_unseen(*letter) && *letter != '\n');
    assert_eq!(drives, None, "{text:?}");
    let escaped = match as_json {
        true => r"\u009b31m\u202e\u2028\ufeffend",
        false => r"\u{9b}31m\u{202e}\u{2028}\u{feff}end",
    };
    assert!(text.contains(escaped), "{text}");
    let header = if as_json { r"a\u202eb" } else { r"x-a: a\u{202e}b" };
    assert!(text.contains(header), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_an_endpoint_answers_is_escaped_in_words_and_in_json() {
    let (real, receiver) = Real::shop().await;
    let answer = Answer::status(500).header("X-A", "a\u{202e}b").body(BODY);
    receiver.answer_always(Some(answer));
    real.good(&["emit", "shop", "order.created", "--data", "{}", "--event-id", "order-1"]);
    while real.json(&["history", "shop"])[0]["attempts"] != 1 {}
    let history = real.good(&["history", "shop", "--message", "order-1", "--verbose"]);
    is_shown_escaped(&history, false);
    is_shown_escaped(&real.good(&["history", "shop", "--message", "order-1", "--json"]), true);
    for (argument, as_json) in [("--verbose", false), ("--json", true)] {
        let Ran { code, out, .. } = real.run(&["test", "shop", "main", argument]);
        assert_eq!(code, 1, "{out}");
        is_shown_escaped(&out, as_json);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_watched_is_escaped_too() {
    let (real, receiver) = Real::shop().await;
    let answer = Answer::status(500).header("X-A", "a\u{202e}b").body(BODY);
    receiver.answer_always(Some(answer));
    let mut tail = real.asking(&["tail", "shop", "--json"]).stdout(Stdio::piped()).spawn().unwrap();
    let out = BufReader::new(tail.stdout.take().unwrap());
    let first = std::thread::spawn(move || out.lines().next().unwrap().unwrap());
    // It sees what comes after it has begun to watch.
    while !first.is_finished() {
        real.good(&["emit", "shop", "order.created", "--data", "{}"]);
    }
    let first = first.join().unwrap();
    tail.kill().unwrap();
    tail.wait().unwrap();
    is_shown_escaped(&first, true);
}
