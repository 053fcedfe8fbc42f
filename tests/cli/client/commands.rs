//! What each command asks, and what it prints.

use super::stub::Stub;
use super::tail::outcome;
use super::{ask, ask_with};
use serde_json::{Value, json};

const TIME: &str = "2026-01-15T12:00:00.123456Z";

fn app(number: u32) -> Value {
    json!({
        "id": format!("app_{number}"), "name": format!("Shop {number}"), "uid": null,
        "throttleRate": 7, "metadata": { "city": "Oslo" }, "createdAt": TIME, "updatedAt": TIME,
    })
}

fn endpoint() -> Value {
    json!({
        "id": "ep_1", "url": "https://shop.example/", "provider": "yoco", "uid": "main",
        "name": "Till", "description": "", "eventTypes": ["order.*"], "channels": null,
        "disabled": true, "throttleRate": null, "concurrency": 16, "metadata": {}, "settings": {},
        "state": { "status": "disabled", "reason": "moving\u{1b}[2J house", "since": TIME },
        "createdAt": TIME, "updatedAt": TIME,
    })
}

fn page(data: &[Value], iterator: Option<&str>) -> Value {
    json!({ "data": data, "iterator": iterator, "prevIterator": null, "done": iterator.is_none() })
}

#[tokio::test(flavor = "multi_thread")]
async fn lists_go_through_all_pages() {
    let stub = Stub::start().await;
    for _ in 0..2 {
        stub.on("GET /app", 200, page(&[app(1)], Some("app_1")));
        stub.on("GET /app", 200, page(&[app(2)], None));
    }
    let ran = ask(&stub, &["app", "list"]).await;
    let table = "\
ID     NAME    UID  RATE  CREATED
app_1  Shop 1  -       7  2026-01-15T12:00:00Z
app_2  Shop 2  -       7  2026-01-15T12:00:00Z
";
    assert_eq!((ran.code, ran.out.as_str()), (0, table), "{}", ran.err);
    let ran = ask(&stub, &["app", "list", "--json"]).await;
    assert_eq!(serde_json::from_str::<Value>(&ran.out).unwrap(), json!([app(1), app(2)]));
    assert_eq!(stub.lines()[..2], ["GET /app?limit=250", "GET /app?limit=250&iterator=app_1"]);
    stub.on("GET /app", 200, page(&[app(1)], Some("app_1")));
    let ran = ask(&stub, &["app", "list", "--limit", "1"]).await;
    assert!(ran.out.ends_with("there are more: raise `--limit`\n"), "{}", ran.out);
    assert_eq!(stub.lines()[4], "GET /app?limit=1");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_application_is_made_and_deleted() {
    let stub = Stub::start().await;
    stub.on("POST /app", 201, app(1)).on("DELETE /app/a%2Fb", 204, Value::Null);
    let ran = ask(&stub, &["app", "create", "Shop 1", "--rate", "7", "--metadata", "city=Oslo"]);
    let ran = ran.await;
    assert!(ran.out.contains("rate          7 a second\nmetadata      city=Oslo\n"), "{}", ran.out);
    let body = stub.asked()[0].json();
    let sent = json!({
        "name": "Shop 1", "uid": null, "throttleRate": 7, "metadata": { "city": "Oslo" },
    });
    assert_eq!(body, sent);
    let ran = ask(&stub, &["app", "delete", "a/b"]).await;
    assert_eq!((ran.code, ran.out.as_str()), (0, "deleted\n"));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_endpoint_is_made_with_what_is_given_and_shows_its_secret() {
    let stub = Stub::start().await;
    let mut made = endpoint();
    made["secret"] = "whsec_1".into();
    stub.on("POST /app/shop/endpoint", 201, made);
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), "whsec_given\n").unwrap();
    let ran = ask(
        &stub,
        &[
            "endpoint",
            "create",
            "shop",
            "https://shop.example/",
            "--provider",
            "yoco",
            "--event",
            "order.*",
            "--rate",
            "5",
            "--secret-file",
            file.path().to_str().unwrap(),
            "-H",
            "X-Region: eu",
        ],
    )
    .await;
    assert_eq!(ran.code, 0, "{}", ran.err);
    assert!(ran.out.ends_with("secret        whsec_1\n"), "{}", ran.out);
    let state = "state         disabled since 2026-01-15T12:00:00Z: moving\\u{1b}[2J house\n";
    assert!(ran.out.contains(state), "{}", ran.out);
    let sent = json!({
        "url": "https://shop.example/", "provider": "yoco", "disabled": false,
        "eventTypes": ["order.*"], "throttleRate": 5, "secret": "whsec_given",
        "headers": { "X-Region": "eu" },
    });
    assert_eq!(stub.asked()[0].json(), sent);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_endpoint_is_changed_in_what_is_given_alone() {
    let stub = Stub::start().await;
    let path = "PATCH /app/shop/endpoint/main";
    stub.on(path, 200, endpoint());
    let to = "https://new.example/";
    let arguments = ["endpoint", "update", "shop", "main", "--to", to, "--rate", "none"];
    assert_eq!(ask(&stub, &arguments).await.code, 0);
    assert_eq!(stub.asked()[0].json(), json!({ "url": to, "throttleRate": null }));
    for (command, method, what, body) in [
        ("enable", "POST", "/enable", Some(json!({}))),
        ("disable", "POST", "/disable", Some(json!({ "reason": "disabled by hand" }))),
        ("show", "GET", "", None),
    ] {
        let line = format!("{method} /app/shop/endpoint/main{what}");
        stub.on(&line, 200, endpoint());
        let ran = ask(&stub, &["endpoint", command, "shop", "main"]).await;
        assert_eq!(ran.code, 0, "{command}: {}", ran.err);
        let asked = stub.asked().pop().unwrap();
        assert_eq!(asked.what, line);
        body.into_iter().for_each(|body| assert_eq!(asked.json(), body));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn secrets_and_tokens_are_printed_alone() {
    let stub = Stub::start().await;
    stub.on("GET /app/shop/endpoint/main/secret", 200, json!({ "key": "whsec_1" }));
    stub.on("POST /app/shop/endpoint/main/secret/rotate", 200, json!({ "key": "whsec_2" }));
    stub.on("POST /token", 201, json!({ "id": "tok_1", "name": "ci", "token": "hw_new" }));
    let ran = ask(&stub, &["endpoint", "secret", "shop", "main"]).await;
    assert_eq!(ran.out, "whsec_1\n");
    let ran = ask(&stub, &["endpoint", "rotate", "shop", "main", "--grace", "1h"]).await;
    assert_eq!(ran.out, "whsec_2\n");
    assert_eq!(stub.asked()[1].json(), json!({ "key": null, "gracePeriodSeconds": 3600 }));
    let arguments = ["token", "create", "ci", "--app", "shop", "--read-only", "--expires-in", "1d"];
    let ran = ask(&stub, &arguments).await;
    assert_eq!(ran.out, "hw_new\n");
    let sent = json!({
        "name": "ci", "appId": "shop", "readOnly": true, "expiresInSeconds": 86_400,
    });
    assert_eq!(stub.asked()[2].json(), sent);
}

#[tokio::test(flavor = "multi_thread")]
async fn data_is_sent_as_it_is_written() {
    let stub = Stub::start().await;
    let accepted = json!({ "id": "msg_1", "unreached": "no endpoint\nwants it" });
    for _ in 0..3 {
        stub.on("POST /app/shop/msg", 202, accepted.clone());
    }
    let file = tempfile::NamedTempFile::new().unwrap();
    let data = r#"{"total":1.10,  "z":1,"a":12345678901234567890123}"#;
    std::fs::write(file.path(), data).unwrap();
    let at = format!("@{}", file.path().display());
    let key = ["--idempotency-key", "order-1"];
    let arguments = [&["emit", "shop", "order.created", "--data", &at][..], &key].concat();
    let ran = ask(&stub, &arguments).await;
    assert_eq!(ran.out, "msg_1 accepted\nnobody: no endpoint wants it\n", "{}", ran.err);
    let asked = stub.asked().pop().unwrap();
    let body = String::from_utf8(asked.body.to_vec()).unwrap();
    assert!(body.contains(&format!("\"payload\":{data}")), "{body}");
    assert_eq!(asked.headers["idempotency-key"], "order-1");
    let ran = ask_with(
        &stub,
        data.as_bytes(),
        &["emit", "shop", "order.created", "--data", "-", "--set", "a.b=2", "--set", "z=two"],
    )
    .await;
    assert_eq!(ran.code, 2, "a path through a number: {}", ran.err);
    let ran = ask_with(
        &stub,
        b"{}",
        &["emit", "shop", "x", "--data", "-", "--set", "a.b=2", "--set", "z=t", "--mode", "test"],
    );
    assert_eq!(ran.await.code, 0);
    let sent =
        json!({ "eventType": "x", "payload": { "a": { "b": 2 }, "z": "t" }, "mode": "test" });
    assert_eq!(stub.asked().pop().unwrap().json(), sent);
    let ran = ask(&stub, &["emit", "shop", "x", "--data", "[1]"]).await;
    assert_eq!(ran.code, 2, "{}", ran.err);
    assert_eq!(stub.asked().len(), 2, "what is wrong is not sent");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_test_ends_as_the_endpoint_answered() {
    let stub = Stub::start().await;
    for (status, code, told) in
        [(200, 0, "200 OK in 12 ms\n"), (503, 1, "503 Service Unavailable in 12 ms\n")]
    {
        stub.on("POST /app/shop/endpoint/main/test", 200, outcome(1, status));
        let arguments = ["test", "shop", "main", "order.created", "--set", "a.b=1", "-v"];
        let ran = ask(&stub, &arguments).await;
        assert_eq!(ran.code, code);
        assert!(ran.out.starts_with(told), "{}", ran.out);
        assert!(ran.out.contains("    X-A: 1\n\n    {\"a\":1}\n"), "{}", ran.out);
        assert!(ran.out.ends_with("    X-B: 2\n"), "{}", ran.out);
    }
    let sent = json!({ "eventType": "order.created", "set": { "a.b": 1 } });
    assert_eq!(stub.asked()[0].json(), sent);
}

#[tokio::test(flavor = "multi_thread")]
async fn deliveries_are_listed_by_what_is_asked() {
    let stub = Stub::start().await;
    let delivery = json!({
        "id": "dlv_1", "msgId": "msg_1", "endpointId": "ep_1", "eventType": "order.created",
        "state": "waiting", "status": 1, "statusText": "pending", "reason": null, "attempts": 2,
        "nextAttempt": TIME, "timestamp": TIME, "webhookId": "wh_1",
    });
    stub.on("GET /app/shop/delivery", 200, page(&[delivery], None));
    let ran = ask(
        &stub,
        &[
            "history",
            "shop",
            "--endpoint",
            "main",
            "--status",
            "pending",
            "--since",
            "2026-01-15T00:00:00Z",
            "--event",
            "order.*",
            "--event",
            "x",
        ],
    )
    .await;
    let table = "\
MESSAGE  ACCEPTED              EVENT          ENDPOINT  STATE    ATTEMPTS  NEXT
msg_1    2026-01-15T12:00:00Z  order.created  ep_1      waiting         2  2026-01-15T12:00:00Z
";
    assert_eq!(ran.out, table, "{}", ran.err);
    let asked = "GET /app/shop/delivery?endpoint_id=main&state=waiting&\
                 after=2026-01-15T00%3A00%3A00.000Z&event_types=order.*%2Cx&limit=50";
    assert_eq!(stub.lines(), [asked]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_messages_story_is_told_from_its_beginning() {
    let stub = Stub::start().await;
    let mut destination = endpoint();
    destination["statusText"] = "success".into();
    destination["state"] = "succeeded".into();
    let message = json!({
        "id": "msg_1", "eventType": "order.created", "eventId": "order-1", "mode": "live",
        "timestamp": TIME, "unreached": null, "payload": { "a": 1 },
    });
    stub.on("GET /app/shop/msg/order-1", 200, message)
        .on("GET /app/shop/msg/order-1/endpoint", 200, page(&[destination], None))
        .on(
            "GET /app/shop/attempt/msg/order-1",
            200,
            page(&[outcome(2, 200), outcome(1, 503)], None),
        );
    let ran = ask(&stub, &["history", "shop", "--message", "order-1"]).await;
    let told = "\
message       msg_1
your id       order-1
event         order.created
mode          live
accepted      2026-01-15T12:00:00.123Z
data          {\"a\":1}

ep_1 https://shop.example/: succeeded
  #1 2026-01-15T12:00:00.123Z scheduled  503 Service Unavailable in 12 ms
  #2 2026-01-15T12:00:00.123Z scheduled  200 OK in 12 ms
";
    assert_eq!(ran.out, told, "{}", ran.err);
}

#[tokio::test(flavor = "multi_thread")]
async fn many_are_replayed_only_when_somebody_says_so() {
    let stub = Stub::start().await;
    let task = |status: &str, done: u32| {
        let data = json!({ "done": done });
        json!({ "id": "qtask_1", "status": status, "task": "endpoint.bulk-replay", "data": data })
    };
    stub.on("POST /app/shop/delivery/count", 200, json!({ "count": 12, "atLeast": false }))
        .on("POST /app/shop/delivery/replay", 202, task("running", 0))
        .on("GET /background-task/qtask_1", 200, task("running", 5))
        .on("GET /background-task/qtask_1", 200, task("finished", 12));
    let many = ["replay", "shop", "--endpoint", "main", "--status", "fail"];
    let ran = ask(&stub, &many).await;
    assert_eq!(ran.code, 2);
    assert!(ran.err.contains("would send 12 deliveries again"), "{}", ran.err);
    let ran = ask(&stub, &[&many[..], &["--yes", "--wait"]].concat()).await;
    assert_eq!(ran.out, "qtask_1 finished, 12 sent again\n", "{}", ran.err);
    let sent = json!({ "endpointId": "main", "state": "exhausted" });
    assert_eq!((stub.asked()[0].json(), stub.asked()[1].json()), (sent.clone(), sent));
    let ran = ask(&stub, &["replay", "shop"]).await;
    assert_eq!(ran.code, 2, "nothing says which");
    assert_eq!(ask(&stub, &["replay", "shop", "msg_1"]).await.code, 2, "nor to whom");
    stub.on("POST /app/shop/msg/msg_1/endpoint/main/resend", 202, json!({}));
    assert_eq!(ask(&stub, &["replay", "shop", "msg_1", "main"]).await.code, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_recovery_is_followed_to_its_end() {
    let stub = Stub::start().await;
    let begun = json!({ "id": "qtask_1", "status": "running", "task": "endpoint.recover" });
    let ended = json!({
        "id": "qtask_1", "status": "failed", "data": { "done": 3, "reason": "the disk is full" },
    });
    stub.on("POST /app/shop/endpoint/main/recover", 202, begun).on(
        "GET /background-task/qtask_1",
        200,
        ended,
    );
    let ran = ask(&stub, &["recover", "shop", "main", "--since", "2026-01-15T00:00:00Z", "--wait"]);
    let ran = ran.await;
    assert_eq!(ran.code, 1);
    assert_eq!(ran.out, "qtask_1 failed, 3 sent again: the disk is full\n", "{}", ran.err);
    assert_eq!(
        stub.asked()[0].json(),
        json!({ "since": "2026-01-15T00:00:00.000Z", "until": null })
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn tokens_and_event_types_are_listed() {
    let stub = Stub::start().await;
    let token = json!({
        "id": "tok_1", "name": "ci", "appId": null, "readOnly": true, "portal": false,
        "createdAt": TIME, "expiresAt": null,
    });
    stub.on("GET /token", 200, page(&[token], None));
    let ran = ask(&stub, &["token", "list"]).await;
    let line = "tok_1  ci    everything  read  2026-01-15T12:00:00Z  never\n";
    assert!(ran.out.ends_with(line), "{}", ran.out);
    let held = json!({ "name": "order.created", "description": "ordered", "createdAt": TIME });
    stub.on("GET /event-type", 200, page(std::slice::from_ref(&held), None)).on(
        "POST /event-type",
        201,
        held,
    );
    let ran = ask(&stub, &["event-type", "list"]).await;
    assert!(ran.out.ends_with("order.created  2026-01-15T12:00:00Z  ordered\n"), "{}", ran.out);
    let ran = ask(&stub, &["event-type", "create", "order.created", "ordered"]).await;
    assert_eq!(ran.code, 0, "{}", ran.err);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_is_made_in_the_folder_of_a_stopped_server() {
    use hookwheel::{Engine, NewApplication};
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let engine = Engine::builder().data_folder(&data).open().await.unwrap();
    let shop = NewApplication { uid: Some("shop".to_owned()), ..NewApplication::new("Shop") };
    let shop = engine.create_application(shop).await.unwrap().id;
    let arguments = ["token", "create", "mine", "--app", "shop", "--data", data.to_str().unwrap()];
    let ran = crate::run(&arguments);
    assert_eq!((ran.code, ran.out.as_str()), (1, ""), "the folder is in use: {}", ran.err);
    engine.close().await.unwrap();
    drop(engine);
    let ran = crate::run(&arguments);
    assert_eq!(ran.code, 0, "{}", ran.err);
    let engine = Engine::builder().data_folder(&data).open().await.unwrap();
    let token = engine.authenticate(ran.out.trim()).unwrap();
    assert_eq!((token.name.as_str(), token.application), ("mine", Some(shop)));
    let ran = crate::run(&["token", "create", "mine", "--data", "/nonexistent"]);
    assert_eq!(ran.code, 2, "{}", ran.err);
}
