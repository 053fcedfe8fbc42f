//! What is said, and with which code a command ends, when a server does not do it.

use super::stub::Stub;
use super::{ask, asking};
use crate::{Ran, command};
use serde_json::{Value, json};

/// What comes of `app show shop` where the server answers so.
async fn answered(status: u16, body: Value) -> Ran {
    let stub = Stub::start().await;
    stub.on("GET /app/shop", status, body);
    ask(&stub, &["app", "show", "shop"]).await
}

#[tokio::test(flavor = "multi_thread")]
async fn each_refusal_has_its_exit_code_and_the_servers_words() {
    for (status, code) in
        [(404, 4), (401, 3), (403, 3), (400, 2), (413, 2), (409, 1), (429, 1), (500, 1), (503, 1)]
    {
        let ran = answered(status, json!({ "code": "word", "detail": "what was wrong" })).await;
        assert_eq!(ran.code, code, "{status}: {}", ran.err);
        assert_eq!((ran.out.as_str(), ran.err.as_str()), ("", "error: what was wrong\n"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn each_fault_of_a_request_is_told_with_its_place() {
    let ran = answered(
        422,
        json!({ "detail": [
            { "loc": ["body", "eventTypes", 0], "msg": "no type\u{1b}[2J", "type": "value_error" },
            { "loc": ["query", "limit"], "msg": "too large", "type": "value_error" },
        ] }),
    )
    .await;
    assert_eq!(ran.code, 2);
    let told = "error: `body.eventTypes.0`: no type\\u{1b}[2J\n`query.limit`: too large\n";
    assert_eq!(ran.err, told);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_answer_of_ours_is_told_as_such() {
    let stub = Stub::start().await;
    stub.on_text("GET /app/shop", 502, "text/html", "<h1>proxy</h1>".to_owned());
    let ran = ask(&stub, &["app", "show", "shop"]).await;
    assert_eq!((ran.code, ran.err.as_str()), (1, "error: the server answered 502 Bad Gateway\n"));
    stub.on_text("GET /app/shop", 200, "text/html", "<h1>hello</h1>".to_owned());
    let ran = ask(&stub, &["app", "show", "shop"]).await;
    assert_eq!(ran.code, 3);
    assert!(ran.err.contains("is not that of a hookwheel server"), "{}", ran.err);
    stub.on("GET /app/shop", 301, json!({ "detail": "elsewhere" }));
    assert_eq!(ask(&stub, &["app", "show", "shop"]).await.code, 1, "the token goes nowhere else");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_is_not_there_or_not_named_rightly() {
    let stub = Stub::start().await;
    let run = |variable: &str, value: &str| {
        Ran::from(asking(&stub, &["app", "list"]).env(variable, value).output().unwrap())
    };
    // Port 9 of this machine: nobody listens on it.
    let ran = run("HOOKWHEEL_URL", "http://127.0.0.1:9");
    assert_eq!(ran.code, 3);
    assert!(ran.err.contains("error: http://127.0.0.1:9 cannot be reached: "), "{}", ran.err);
    let ran = run("HOOKWHEEL_URL", "localhost:8071");
    assert_eq!(ran.code, 2);
    assert!(ran.err.contains("`localhost:8071` is no url of a server"), "{}", ran.err);
    let ran = run("HOOKWHEEL_TOKEN", "");
    assert_eq!(ran.code, 3);
    assert!(ran.err.contains("no token is given: set"), "{}", ran.err);
    assert!(stub.asked().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn url_and_token_may_come_as_arguments_and_files() {
    let stub = Stub::start().await;
    stub.on("GET /app", 200, json!({ "data": [], "iterator": null, "done": true }));
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), format!("{}\n", super::TOKEN)).unwrap();
    let (url, path) = (stub.url(), file.path().to_str().unwrap().to_owned());
    let ran = tokio::task::spawn_blocking(move || {
        let mut command = command(&["app", "list", "--json", "--url", &url, "--token-file", &path]);
        Ran::from(command.output().unwrap())
    });
    let ran = ran.await.unwrap();
    assert_eq!((ran.code, ran.out.as_str()), (0, "[]\n"), "{}", ran.err);
}
