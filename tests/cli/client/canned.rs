//! What a real server cannot be made to answer, or not soon.

use super::ask;
use super::stub::Stub;
use serde_json::{Value, json};

const TIME: &str = "2026-01-15T12:00:00.123456Z";

fn app(number: u32) -> Value {
    json!({
        "id": format!("app_{number}"), "name": format!("Shop {number}"), "uid": null,
        "throttleRate": 7, "metadata": { "city": "Oslo" }, "createdAt": TIME, "updatedAt": TIME,
    })
}

fn page(data: &[Value], iterator: Option<&str>) -> Value {
    json!({ "data": data, "iterator": iterator, "prevIterator": null, "done": iterator.is_none() })
}

fn task(status: &str, done: u32, reason: Option<&str>) -> Value {
    let data = json!({
        "appId": "app_1", "endpointId": null, "done": done, "reason": reason, "createdAt": TIME,
    });
    json!({ "id": "qtask_1", "status": status, "task": "endpoint.recover", "data": data })
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
async fn json_holds_nothing_that_drives_a_terminal() {
    let stub = Stub::start().await;
    let mut hostile = app(1);
    hostile["name"] = json!("\u{9b}31m\u{7f}\u{202e}\u{2028}é");
    stub.on("POST /app", 201, hostile.clone());
    stub.on("GET /app", 200, page(&[hostile.clone()], None));
    for (arguments, expected) in [
        (&["app", "create", "Shop", "--json"][..], hostile.clone()),
        (&["app", "list", "--json"], json!([hostile])),
    ] {
        let ran = ask(&stub, arguments).await;
        assert!(ran.out.contains(r#""\u009b31m\u007f\u202e\u2028é""#), "{}", ran.out);
        assert_eq!(serde_json::from_str::<Value>(&ran.out).unwrap(), expected);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_recovery_that_fails_ends_badly_with_the_reason() {
    let stub = Stub::start().await;
    stub.on("POST /app/shop/endpoint/main/recover", 202, task("running", 0, None))
        .on("GET /background-task/qtask_1", 200, task("running", 2, None))
        .on("GET /background-task/qtask_1", 200, task("failed", 3, Some("the disk is full")));
    let ran = ask(&stub, &["recover", "shop", "main", "--since", "2026-01-15T00:00:00Z", "--wait"]);
    let ran = ran.await;
    assert_eq!(ran.code, 1);
    assert_eq!(ran.out, "qtask_1 failed, 3 sent again: the disk is full\n", "{}", ran.err);
    let sent = json!({ "since": "2026-01-15T00:00:00.000Z", "until": null });
    assert_eq!(stub.asked()[0].json(), sent);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_count_that_stopped_early_says_so() {
    let stub = Stub::start().await;
    let count = json!({ "count": 100_000, "atLeast": true });
    stub.on("POST /app/shop/delivery/count", 200, count);
    let ran = ask(&stub, &["replay", "shop", "--event", "order.*"]).await;
    assert_eq!(ran.code, 2);
    assert!(ran.err.contains("would send at least 100000 deliveries again"), "{}", ran.err);
    assert_eq!(stub.asked()[0].json(), json!({ "eventTypes": ["order.*"] }));
}
