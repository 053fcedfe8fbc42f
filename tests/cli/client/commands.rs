//! What each command does at a real server, and what it prints.

use super::real::Real;
use crate::Ran;
use hookwheel::simulate::receiver::Answer;
use serde_json::{Value, json};
use std::io::{BufRead, BufReader};
use std::process::Stdio;

#[test]
fn an_application_is_made_listed_and_deleted() {
    let real = Real::start();
    let create = ["app", "create", "Shop 1", "--uid", "shop", "--rate", "7"];
    let made = real.good(&[&create[..], &["--metadata", "city=Oslo"]].concat());
    let told = "uid           shop\nrate          7 a second\nmetadata      city=Oslo\n";
    assert!(made.contains(told), "{made}");
    assert_eq!(real.good(&["app", "show", "shop"]), made);
    let listed = real.good(&["app", "list"]);
    let head = listed.lines().next().unwrap();
    assert_eq!(
        head.split_whitespace().collect::<Vec<_>>(),
        ["ID", "NAME", "UID", "RATE", "CREATED"]
    );
    assert!(listed.contains("  Shop 1  shop     7  "), "{listed}");
    let listed = real.json(&["app", "list"]);
    assert_eq!(
        (&listed[0]["uid"], &listed[0]["metadata"]),
        (&json!("shop"), &json!({"city": "Oslo"}))
    );
    let again = real.run(&create);
    assert_eq!(again.code, 1, "the uid is taken: {}", again.err);
    assert_eq!(real.good(&["app", "delete", "shop"]), "deleted\n");
    let gone = real.run(&["app", "show", "shop"]);
    assert_eq!((gone.code, gone.err.as_str()), (4, "error: application `shop` does not exist\n"));
    let wrong = real.run(&["app", "create", "Shop", "--uid", "a b"]);
    assert_eq!(wrong.code, 2, "{}", wrong.err);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_endpoint_is_made_changed_and_shows_its_secret() {
    let (real, receiver) = Real::shop().await;
    let secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), format!("{secret}\n")).unwrap();
    let path = file.path().to_str().unwrap();
    let create = ["endpoint", "create", "shop", &receiver.url(), "--uid", "till", "--rate", "5"];
    let more = ["--event", "order.*", "--secret-file", path, "-H", "X-Region: eu"];
    let made = real.good(&[&create[..], &more].concat());
    assert!(made.ends_with(&format!("secret        {secret}\n")), "{made}");
    assert!(
        made.contains("events        order.*\n") && made.contains("rate          5 a second\n")
    );
    assert_eq!(real.good(&["endpoint", "secret", "shop", "till"]), format!("{secret}\n"));
    real.good(&["emit", "shop", "order.created", "--data", "{}"]);
    let received = receiver.wait_for(2).await.unwrap();
    assert!(received.iter().any(|request| request.header("x-region") == Some("eu")));

    let update = ["endpoint", "update", "shop", "till", "--to", "http://127.0.0.1:9/"];
    let days = ["--disable-after-failing-days", "5"];
    let changed = real.good(&[&update[..], &["--rate", "none"], &days].concat());
    assert!(changed.contains("disable       after 5 days of failures\n"), "{changed}");
    let changed = real.good(&[&update[..], &[days[0], "none"]].concat());
    assert!(!changed.contains("of failures"), "{changed}");
    assert!(changed.contains("url           http://127.0.0.1:9/\n"), "{changed}");
    assert!(!changed.contains("a second") && changed.contains("events        order.*\n"));
    let moving = ["endpoint", "disable", "shop", "till", "--reason", "moving\u{1b}[2J"];
    let disabled = real.good(&moving);
    assert!(disabled.contains(": moving\\u{1b}[2J\n"), "{disabled}");
    assert!(real.good(&["endpoint", "enable", "shop", "till"]).contains("state         enabled"));
    let listed = real.good(&["endpoint", "list", "shop"]);
    assert!(listed.contains("till  standard-webhooks  enabled  order.*"), "{listed}");
    let rotated = real.good(&["endpoint", "rotate", "shop", "till", "--grace", "1h"]);
    assert!(rotated.starts_with("whsec_") && rotated.trim_end() != secret, "{rotated}");
    assert_eq!(real.good(&["endpoint", "secret", "shop", "till"]), rotated);
    assert_eq!(real.good(&["endpoint", "delete", "shop", "till"]), "deleted\n");
    assert_eq!(real.run(&["endpoint", "show", "shop", "till"]).code, 4);
}

#[test]
fn tokens_and_event_types_are_made_and_listed() {
    let real = Real::start();
    real.good(&["app", "create", "Shop", "--uid", "shop"]);
    let create = ["token", "create", "ci", "--app", "shop", "--read-only", "--expires-in", "1d"];
    let token = real.good(&create);
    let listed = real.good(&["token", "list"]);
    assert!(!listed.contains(token.trim_end()) && listed.contains("  read  "), "{listed}");
    let with_token = |arguments: &[&str]| {
        let mut command = real.asking(arguments);
        Ran::from(command.env("HOOKWHEEL_TOKEN", token.trim_end()).output().unwrap())
    };
    assert_eq!(with_token(&["endpoint", "list", "shop"]).code, 0);
    let refused = with_token(&["emit", "shop", "order.created", "--data", "{}"]);
    assert_eq!((refused.code, refused.err.as_str()), (3, "error: the token may only read\n"));
    let tokens = real.json(&["token", "list"]);
    let held = tokens.as_array().unwrap().iter().find(|held| held["name"] == "ci").unwrap();
    assert_eq!(real.good(&["token", "revoke", held["id"].as_str().unwrap()]), "revoked\n");
    assert_eq!(with_token(&["endpoint", "list", "shop"]).code, 3);

    real.good(&["event-type", "create", "order.created", "ordered"]);
    let listed = real.good(&["event-type", "list"]);
    assert!(listed.contains("order.created  ") && listed.ends_with("  ordered\n"), "{listed}");
}

#[tokio::test(flavor = "multi_thread")]
async fn data_is_sent_as_it_is_written() {
    let (real, receiver) = Real::shop().await;
    let data = r#"{"total":1.10,  "z":1,"a":12345678901234567890123}"#;
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), data).unwrap();
    let at = format!("@{}", file.path().display());
    let emit = ["emit", "shop", "order.created", "--data", &at, "--idempotency-key", "order-1"];
    let accepted = real.good(&emit);
    assert!(accepted.starts_with("msg_") && accepted.ends_with(" accepted\n"), "{accepted}");
    assert_eq!(real.good(&emit), accepted, "done once");
    let received = receiver.wait_for(1).await.unwrap();
    let body = String::from_utf8(received[0].body.clone()).unwrap();
    assert!(body.contains(data), "{body}");
    let set = ["--data", "-", "--set", "a.b=2", "--set", "z=two"];
    let through = real.run_with(data.as_bytes(), &[&emit[..3], &set].concat());
    assert_eq!(through.code, 2, "a path through a number: {}", through.err);
    let id = ["--event-id", "order-2", "--mode", "test"];
    let ran = real.run_with(b"{}", &[&emit[..3], &set, &id].concat());
    assert_eq!(ran.code, 0, "{}", ran.err);
    let told = real.json(&["history", "shop", "--message", "order-2"]);
    assert_eq!(told["message"]["payload"], json!({ "a": { "b": 2 }, "z": "two" }));
    assert_eq!(told["message"]["mode"], "test");
    assert_eq!(real.run(&["emit", "shop", "x", "--data", "[1]"]).code, 2);
    real.good(&["app", "create", "Kiosk", "--uid", "kiosk"]);
    let nobody = real.good(&["emit", "kiosk", "order.created", "--data", "{}"]);
    assert!(nobody.ends_with("\nnobody: the application has no endpoint\n"), "{nobody}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_test_ends_as_the_endpoint_answered() {
    let (real, receiver) = Real::shop().await;
    for (status, code, told) in [(200, 0, "200 OK in "), (503, 1, "503 Service Unavailable in ")] {
        receiver.answer_next([Answer::status(status).header("X-B", "2")]);
        let ran = real.run(&["test", "shop", "main", "-v"]);
        assert_eq!(ran.code, code, "{}", ran.err);
        assert!(ran.out.starts_with(told), "{}", ran.out);
        assert!(ran.out.contains("    webhook-id: msg_"), "{}", ran.out);
        assert!(ran.out.contains("    x-b: 2\n"), "{}", ran.out);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_became_of_messages_is_listed_and_told() {
    let (real, receiver) = Real::shop().await;
    receiver.answer_next([Answer::status(503)]);
    let order = ["emit", "shop", "order.created", "--data", r#"{"a":1}"#, "--event-id", "order-1"];
    real.good(&order);
    receiver.wait_for(1).await.unwrap();
    real.good(&["emit", "shop", "refund.created", "--data", "{}"]);
    receiver.wait_for(2).await.unwrap();
    let state = |message: usize| real.json(&["history", "shop"])[message]["state"].clone();
    while state(0) != "succeeded" || state(1) != "waiting" {}
    let listed = real.good(&["history", "shop", "--status", "pending", "--endpoint", "main"]);
    let lines: Vec<&str> = listed.lines().collect();
    assert!(lines[0].starts_with("MESSAGE") && lines.len() == 2, "{listed}");
    assert!(
        lines[1].contains("  order.created  ep_") && lines[1].contains("  waiting         1  ")
    );
    let found =
        |more: &[&str]| real.json(&[&["history", "shop"], more].concat()).as_array().unwrap().len();
    let future = ["--since", "2100-01-01T00:00:00Z"];
    assert_eq!((found(&["--event", "refund.*", "--event", "x"]), found(&future)), (1, 0));
    assert_eq!((found(&["--limit", "1"]), found(&["--since", "1h"])), (1, 2));

    real.good(&["replay", "shop", "order-1", "main"]);
    receiver.wait_for(3).await.unwrap();
    while state(1) != "succeeded" {}
    let told = real.good(&["history", "shop", "--message", "order-1"]);
    assert!(
        told.contains("your id       order-1\nevent         order.created\nmode          live\n")
    );
    assert!(told.contains(&format!(" {}: succeeded\n  #1 ", receiver.url())), "{told}");
    assert!(told.contains("scheduled  503 Service Unavailable in "), "{told}");
    assert!(told.contains("manual     200 OK in "), "{told}");
}

#[tokio::test(flavor = "multi_thread")]
async fn many_are_replayed_only_when_somebody_says_so() {
    let (real, receiver) = Real::shop().await;
    for number in 1..=3 {
        real.good(&["emit", "shop", "order.created", "--data", "{}"]);
        receiver.wait_for(number).await.unwrap();
    }
    let many = ["replay", "shop", "--endpoint", "main", "--status", "success"];
    while real.json(&["history", "shop", "--status", "success"]).as_array().unwrap().len() < 3 {}
    let ran = real.run(&many);
    assert_eq!(ran.code, 2);
    assert!(ran.err.contains("would send 3 deliveries again"), "{}", ran.err);
    let done = real.good(&[&many[..], &["--yes", "--wait"]].concat());
    assert!(done.starts_with("qtask_") && done.ends_with(" finished, 3 sent again\n"), "{done}");
    receiver.wait_for(6).await.unwrap();
    assert_eq!(real.run(&["replay", "shop"]).code, 2, "nothing says which");
    assert_eq!(real.run(&["replay", "shop", "msg_1"]).code, 2, "nor to whom");
    assert_eq!(real.run(&["replay", "shop", "msg_1", "main"]).code, 4);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_recovery_is_followed_to_its_end_or_looked_up() {
    let (real, receiver) = Real::shop().await;
    real.good(&["endpoint", "disable", "shop", "main"]);
    real.good(&["emit", "shop", "order.created", "--data", "{}"]);
    real.good(&["endpoint", "enable", "shop", "main"]);
    let recover = ["recover", "shop", "main", "--since", "1h"];
    let begun = real.good(&recover);
    let id = begun.split(' ').next().unwrap();
    let hint =
        format!("{id} running, 0 sent again\n`hookwheel task show {id} --wait` follows it\n");
    assert_eq!(begun, hint);
    let ended = real.good(&["task", "show", id, "--wait"]);
    assert_eq!(ended, format!("{id} finished, 1 sent again\n"));
    receiver.wait_for(1).await.unwrap();
    let again = real.good(&[&recover[..], &["--wait"]].concat());
    assert!(again.ends_with(" finished, 0 sent again\n"), "{again}");
    let listed = real.good(&["task", "list", "--status", "finished"]);
    assert_eq!(listed.lines().count(), 3, "{listed}");
    let line = listed.lines().last().unwrap();
    assert!(line.starts_with(&format!("{id}  endpoint.recover  finished     1  app_")), "{listed}");
    assert_eq!(real.json(&["task", "list", "--status", "failed"]), json!([]));
    assert_eq!(real.run(&["task", "show", "qtask_1"]).code, 4);
}

#[tokio::test(flavor = "multi_thread")]
async fn outcomes_are_told_as_they_come() {
    let (real, receiver) = Real::shop().await;
    let mut tail = real.asking(&["tail", "shop", "--json"]).stdout(Stdio::piped()).spawn().unwrap();
    let out = BufReader::new(tail.stdout.take().unwrap());
    let first = std::thread::spawn(move || out.lines().next().unwrap().unwrap());
    // It sees what comes after it has begun to watch.
    while !first.is_finished() {
        real.good(&["emit", "shop", "order.created", "--data", "{}"]);
    }
    let told: Value = serde_json::from_str(&first.join().unwrap()).unwrap();
    assert_eq!(
        (&told["state"], &told["eventTypes"]),
        (&json!("succeeded"), &json!(["order.created"]))
    );
    assert_eq!(told["url"], receiver.url());
    tail.kill().unwrap();
    tail.wait().unwrap();
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
