//! `hookwheel received`, beside a running listener and without one.

use crate::listen::{Listening, list, received};
use hookwheel::simulate::receiver::{Answer, Consumer, Receiver};
use serde_json::Value;
use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::{Command, Stdio};

/// Every byte there is.
fn every_byte() -> Vec<u8> {
    (0..=255).collect()
}

fn show(data: &Path, number: usize) -> Value {
    let ran = received(data, &["show", &number.to_string(), "--format", "json"]);
    assert_eq!(ran.code, 0, "{}", ran.err);
    serde_json::from_str(&ran.out).unwrap()
}

/// Has a shell run what `received curl` prints.
fn run_curl(data: &Path, shell: &str, arguments: &[&str]) {
    let ran = received(data, &[&["curl"], arguments].concat());
    assert_eq!(ran.code, 0, "{}", ran.err);
    assert!(ran.out.bytes().all(|byte| matches!(byte, b'\n' | b' '..=b'~')), "{}", ran.out);
    let mut shell = Command::new(shell);
    shell.args(["-c", &ran.out]).env_remove("http_proxy").env_remove("all_proxy");
    let ran = shell.stderr(Stdio::null()).stdout(Stdio::null()).status().unwrap();
    assert!(ran.success(), "curl does not take what it was given");
}

#[test]
fn it_answers_beside_a_listener_and_without_one() {
    let data = tempfile::tempdir().unwrap();
    let listening = Listening::start(data.path(), &["opencard"]);
    listening.post("/a", "X-Event: tpa.signed\r\n", b"{\"a\":1}");
    listening.post("/b", "X-Event: invoice.created\r\n", b"{}");
    listening.send(b"PUT /c HTTP/1.1\r\nConnection: close\r\n\r\n");
    let look = |data: &Path| {
        let numbers = |arguments: &[&str]| -> Vec<u64> {
            list(data, arguments).iter().map(|one| one["number"].as_u64().unwrap()).collect()
        };
        assert_eq!(numbers(&[]), [1, 2, 3]);
        assert_eq!(numbers(&["--verdict", "refused"]), [3]);
        assert_eq!(numbers(&["--event", "tpa.*"]), [1]);
        assert_eq!(numbers(&["--event", "invoice.created"]), [2]);
        assert_eq!(numbers(&["--verdict", "unchecked", "--last", "1"]), [2]);
        assert_eq!(numbers(&["--last", "2"]), [2, 3]);
        let table = received(data, &["list"]).out;
        assert!(table.lines().nth(1).unwrap().contains("POST /a"), "{table}");
        let shown = received(data, &["show", "1"]).out;
        assert!(shown.contains("    X-Event: tpa.signed\n"), "{shown}");
        assert!(shown.contains("    {\n      \"a\": 1\n    }\n"), "{shown}");
        assert!(
            shown.contains("(laid out for reading; the bytes are kept as they came, 7 of them)"),
            "{shown}"
        );
        let absent = received(data, &["show", "4"]);
        assert_eq!((absent.code, absent.out.as_str()), (2, ""));
        assert!(absent.err.contains("request 4 is not remembered"), "{}", absent.err);
    };
    look(data.path());
    listening.end("-INT");
    look(data.path());
    let told = received(data.path(), &["respond", "500"]);
    assert_eq!(told.code, 2);
    assert!(told.err.contains("no listener runs on this folder"), "{}", told.err);

    let listening = Listening::start(data.path(), &[]);
    assert_eq!(received(data.path(), &["clear"]).out, "forgot 3 requests\n");
    assert!(list(data.path(), &[]).is_empty());
    listening.post("/", "", b"");
    assert_eq!(list(data.path(), &[])[0]["number"], 4, "no number is given twice");
    listening.end("-KILL");
    assert_eq!(received(data.path(), &["clear"]).out, "forgot 1 request\n");
}

#[test]
fn only_its_owner_can_ask_and_what_is_no_folder_of_ours_is_told() {
    use std::os::unix::fs::PermissionsExt;
    let parent = tempfile::tempdir().unwrap();
    let data = parent.path().join("received");
    let listening = Listening::start(&data, &[]);
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode(&data), mode(&data.join("socket"))), (0o700, 0o600));
    listening.end("-INT");

    // A folder of somebody's own may be open to others; what is kept in it is not.
    let open = tempfile::tempdir().unwrap();
    fs::set_permissions(open.path(), fs::Permissions::from_mode(0o755)).unwrap();
    fs::create_dir(open.path().join("sled")).unwrap();
    fs::set_permissions(open.path().join("sled"), fs::Permissions::from_mode(0o755)).unwrap();
    Listening::start(open.path(), &[]).end("-INT");
    assert_eq!((mode(open.path()), mode(&open.path().join("sled"))), (0o755, 0o700));

    let none = received(&parent.path().join("none"), &["list"]);
    assert_eq!(none.code, 2);
    assert!(none.err.contains("holds nothing received"), "{}", none.err);
    assert!(!parent.path().join("none").exists(), "looking makes nothing");
}

#[test]
fn what_curl_is_given_comes_in_again_byte_for_byte() {
    let data = tempfile::tempdir().unwrap();
    let listening = Listening::start(data.path(), &[]);
    let hostile = "X-Shell: '$(touch /tmp/x) `id` \"$HOME\" \\ !! ; | & %s @file'\r\n\
        X-Latin: caf\u{e9} \u{9b}\r\nx-EMPTY:\r\nX-Colon: 12:30:\r\nX-Only: :\r\nX-Again:1\r\nx-again:  2  \r\nCookie: a=b; c=d\r\n";
    let bodies: [&[u8]; 6] = [
        b"",
        br#"{"a":"it's 100% \"fine\" \\ $(id)"}"#,
        b"@/etc/passwd",
        b"-n\\c%\r\nlines\n\n",
        "caf\u{e9}".as_bytes(),
        &every_byte(),
    ];
    for (index, body) in bodies.iter().enumerate() {
        for shell in ["sh", "bash"] {
            let number = list(data.path(), &[]).len() + 1;
            listening.post("/a/../b?x=%20&y=[1-3]{a,b}'", hostile, body);
            run_curl(data.path(), shell, &[&number.to_string()]);
            let (sent, again) = (show(data.path(), number), show(data.path(), number + 1));
            for part in ["head_base64", "body", "body_base64", "target"] {
                assert_eq!(sent[part], again[part], "{part} of {index}, {shell}");
            }
        }
    }
}

#[test]
fn a_long_body_goes_by_a_file() {
    let data = tempfile::tempdir().unwrap();
    let listening = Listening::start(data.path(), &[]);
    let body = every_byte().repeat(8192);
    listening.post("/", "Content-Type: application/octet-stream\r\n", &body);
    let refused = received(data.path(), &["curl", "1"]);
    assert_eq!(refused.code, 2);
    assert!(refused.err.contains("`--save FILE` is needed"), "{}", refused.err);
    let file = data.path().join("it's a body");
    run_curl(data.path(), "sh", &["1", "--save", file.to_str().unwrap()]);
    assert_eq!(fs::read(&file).unwrap(), body);
    assert_eq!(show(data.path(), 1)["head_base64"], show(data.path(), 2)["head_base64"]);
    assert_eq!(show(data.path(), 1)["body_base64"], show(data.path(), 2)["body_base64"]);

    let text = "x".repeat(100_000);
    listening.post("/", "", text.as_bytes());
    assert!(received(data.path(), &["show", "3"]).out.contains(&format!("    {text}\n")));
}

#[test]
fn other_methods_and_a_body_in_chunks_are_reproduced() {
    let data = tempfile::tempdir().unwrap();
    let listening = Listening::start(data.path(), &[]);
    let address = &listening.address;
    for (index, head) in ["GET /?a=1", "DELETE /x", "HEAD /"].into_iter().enumerate() {
        let request = format!("{head} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
        listening.send(request.as_bytes());
        let number = 2 * index + 1;
        run_curl(data.path(), "sh", &[&number.to_string()]);
        let (sent, again) = (show(data.path(), number), show(data.path(), number + 1));
        assert_eq!(sent["head_base64"], again["head_base64"], "{head}");
    }
    listening.send(
        format!(
            "POST / HTTP/1.1\r\nHost: {address}\r\nTransfer-Encoding: chunked\r\n\
             Connection: close\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n"
        )
        .as_bytes(),
    );
    run_curl(data.path(), "sh", &["7"]);
    assert_eq!(show(data.path(), 7)["body"], "abcde");
    assert_eq!(show(data.path(), 8)["body"], "abcde");
    assert_eq!(show(data.path(), 7)["head_base64"], show(data.path(), 8)["head_base64"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replay_sends_the_same_request_to_a_handler() {
    let handler = Receiver::start(Consumer::Unchecked, "").await.unwrap();
    handler.answer_next([Answer::status(200).body("thanks\u{1b}[2J"), Answer::status(400)]);
    let data = tempfile::tempdir().unwrap();
    let listening = Listening::start(data.path(), &[]);
    listening.post("/hooks?a=b", "X-ODD: 1\r\n", &every_byte());
    listening.end("-INT");

    let to = format!("http://{}", handler.address());
    let ran = received(data.path(), &["replay", "1", "--to", &to]);
    assert_eq!(ran.code, 0, "{}{}", ran.out, ran.err);
    assert!(ran.out.contains("\n<-- 200 OK in "), "{}", ran.out);
    assert!(ran.out.contains("    thanks\\u{1b}[2J\n"), "{}", ran.out);
    let sent = handler.requests().remove(0);
    assert_eq!((sent.target.as_str(), sent.header("X-ODD")), ("/hooks?a=b", Some("1")));
    assert_eq!(sent.body, every_byte());

    assert_eq!(received(data.path(), &["replay", "1", "--to", &to]).code, 1, "400 is no success");
    handler.stop().await;
    let ran = received(data.path(), &["replay", "1", "--to", &to]);
    assert_eq!(ran.code, 1);
    assert!(ran.out.contains("<-- connection refused after "), "{}", ran.out);
}

/// Whether these bytes are in any file below a folder.
fn lies_in(folder: &Path, bytes: &[u8]) -> bool {
    fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).any(|path| {
        if path.is_dir() {
            return lies_in(&path, bytes);
        }
        // A socket is no file to read.
        let held = fs::read(&path).unwrap_or_default();
        held.windows(bytes.len()).any(|window| window == bytes)
    })
}

#[test]
fn what_was_cleared_is_in_no_file_any_more() {
    let data = tempfile::tempdir().unwrap();
    let mark = b"credential-9f2c";
    for is_running in [true, false] {
        let listening = Listening::start(data.path(), &[]);
        listening.post("/", "Authorization: credential-9f2c\r\n", b"x");
        let listening = if is_running {
            Some(listening)
        } else {
            drop(listening.end("-INT"));
            None
        };
        assert!(lies_in(data.path(), mark), "it is kept");
        assert_eq!(received(data.path(), &["clear"]).out, "forgot 1 request\n");
        assert!(!lies_in(data.path(), mark));
        if let Some(listening) = listening {
            listening.post("/again", "", b"y");
            assert_eq!(list(data.path(), &[])[0]["number"], 2, "no number is given twice");
            listening.end("-KILL");
            assert_eq!(list(data.path(), &[])[0]["target"], "/again");
            received(data.path(), &["clear"]);
        }
    }
}

#[test]
fn a_clearing_that_was_cut_short_is_finished() {
    let data = tempfile::tempdir().unwrap();
    let listening = Listening::start(data.path(), &[]);
    listening.post("/", "", b"x");
    listening.end("-INT");
    // Between the two names that it gives: the old files are away, the new ones not in place.
    fs::rename(data.path().join("sled"), data.path().join("sled.new")).unwrap();
    fs::create_dir(data.path().join("sled.old")).unwrap();
    assert_eq!(list(data.path(), &[]).len(), 1);
    assert!(!data.path().join("sled.old").exists() && !data.path().join("sled.new").exists());
}

#[test]
fn the_folder_is_free_while_somebody_reads_slowly() {
    let data = tempfile::tempdir().unwrap();
    let listening = Listening::start(data.path(), &[]);
    for _ in 0..40 {
        listening.post(&format!("/{}", "x".repeat(10_000)), "", b"x");
    }
    let start_list = || {
        let folder = data.path().to_str().unwrap();
        let mut list = crate::command(&["received", "list", "--format", "json", "--data", folder]);
        let mut list = list.stdout(Stdio::piped()).spawn().unwrap();
        let mut out = BufReader::new(list.stdout.take().unwrap());
        let mut line = String::new();
        // When it has begun to print it waits for us: a pipe holds less than all of it.
        out.read_line(&mut line).unwrap();
        (list, out)
    };
    let (mut slow, mut out) = start_list();
    listening.end("-INT");
    // The listener has gone meanwhile, and it prints on.
    let mut rest = String::new();
    out.read_to_string(&mut rest).unwrap();
    assert_eq!((rest.lines().count(), slow.wait().unwrap().code()), (39, Some(0)));

    let (mut slow, out) = start_list();
    let second = Listening::start(data.path(), &[]);
    second.end("-INT");
    drop(out);
    slow.wait().unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn the_folder_is_free_while_a_handler_thinks() {
    let handler = Receiver::start(Consumer::Unchecked, "").await.unwrap();
    handler.answer_next([Answer::hang()]);
    let data = tempfile::tempdir().unwrap();
    let listening = Listening::start(data.path(), &[]);
    listening.post("/", "", b"x");
    listening.end("-INT");
    let (folder, to) = (data.path().to_str().unwrap(), format!("http://{}", handler.address()));
    let mut replay = crate::command(&["received", "replay", "1", "--to", &to, "--data", folder]);
    let mut replay = replay.stdout(Stdio::null()).spawn().unwrap();
    handler.wait_for(1).await.unwrap();
    Listening::start(data.path(), &[]).end("-INT");
    handler.stop().await;
    assert_eq!(replay.wait().unwrap().code(), Some(1));
}

#[test]
fn where_to_send_is_checked_before() {
    let data = tempfile::tempdir().unwrap();
    let listening = Listening::start(data.path(), &[]);
    listening.post("/", "", b"x");
    for command in ["curl", "replay"] {
        let ran = received(data.path(), &[command, "1", "--to", "nonsense"]);
        assert_eq!((ran.code, ran.out.as_str()), (2, ""), "{command}");
        assert!(ran.err.contains("--to: the handler's url refused: "), "{}", ran.err);
    }
}
