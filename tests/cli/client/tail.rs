//! `hookwheel tail`.

use super::stub::Stub;
use super::{ask, asking};
use serde_json::{Value, json};
use std::io::{BufRead, BufReader};
use std::process::{Child, Stdio};

/// An outcome as the server tells it.
fn outcome(number: u32, status: u16) -> Value {
    json!({
        "id": format!("atmpt_{number}"), "endpointId": "ep_1", "msgId": "msg_1",
        "msgIds": ["msg_1"], "webhookId": "wh_1", "url": "https://shop.example/", "response": "",
        "responseStatusCode": status, "responseDurationMs": 12,
        "status": if status == 200 { 0 } else { 2 }, "statusText": "", "triggerType": 0,
        "trigger": "scheduled", "timestamp": "2026-01-15T12:00:00.123456Z", "number": number,
        "error": null, "requestHeaders": [{ "name": "X-A", "value": "1" }],
        "requestBody": "{\"a\":1}", "responseHeaders": [{ "name": "X-B", "value": "2" }],
        "appId": "app_1", "eventTypes": ["order.created"],
        "state": if status == 200 { "succeeded" } else { "waiting" },
    })
}

fn stream(outcomes: &[Value]) -> String {
    let events = outcomes.iter().map(|held| format!("event: attempt\ndata: {held}\n\n"));
    std::iter::once(": still here\n\n".to_owned()).chain(events).collect()
}

fn start(stub: &Stub, arguments: &[&str]) -> Child {
    let mut command = asking(stub, arguments);
    command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
}

/// The first lines that a command prints, which is then ended.
async fn first_lines(mut child: Child, count: usize) -> Vec<String> {
    tokio::task::spawn_blocking(move || {
        let out = BufReader::new(child.stdout.take().unwrap());
        let lines = out.lines().take(count).map(Result::unwrap).collect();
        child.kill().unwrap();
        child.wait().unwrap();
        lines
    })
    .await
    .unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn outcomes_are_told_as_they_come_and_a_lost_connection_is_made_again() {
    let stub = Stub::start().await;
    let path = "GET /app/shop/outcome/stream";
    let passing = json!({ "code": "unavailable", "detail": "the server is closing" });
    stub.on_text(path, 200, "text/event-stream", stream(&[outcome(1, 503)]))
        .on(path, 503, passing)
        .on_text(path, 200, "text/event-stream", stream(&[outcome(2, 200)]));
    let lines = first_lines(start(&stub, &["tail", "shop"]), 2).await;
    let told = [("503 Service Unavailable", "waiting"), ("200 OK", "succeeded")];
    for (line, (answer, state)) in lines.iter().zip(told) {
        let whole =
            format!("2026-01-15T12:00:00.123Z order.created msg_1 ep_1 {answer} in 12 ms; {state}");
        assert_eq!(*line, whole);
    }
    assert_eq!(stub.lines(), [path; 3]);
}

#[tokio::test(flavor = "multi_thread")]
async fn programs_get_a_line_of_json_for_each() {
    let stub = Stub::start().await;
    let mut hostile = outcome(2, 200);
    hostile["response"] = json!("\u{9b}31m\u{7f}\u{202e}\u{2028}é");
    let sent = [outcome(1, 503), hostile];
    stub.on_text("GET /outcome/stream", 200, "text/event-stream", stream(&sent));
    let lines = first_lines(start(&stub, &["tail", "--json"]), 2).await;
    assert!(lines[1].contains(r#""\u009b31m\u007f\u202e\u2028é""#), "{}", lines[1]);
    let told: Vec<Value> = lines.iter().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(told, sent);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_wrong_from_the_beginning_is_not_tried_again() {
    let stub = Stub::start().await;
    stub.on("GET /app/nobody/outcome/stream", 404, json!({ "detail": "no such application" }));
    let ran = ask(&stub, &["tail", "nobody"]).await;
    assert_eq!((ran.code, ran.err.as_str()), (4, "error: no such application\n"));
    assert_eq!(stub.asked().len(), 1);
}
