//! Data that a parser cannot hold or would write in another way, and what a server answers, in the
//! hands of the commands.

use super::ask;
use super::real::Real;
use super::stub::Stub;
use hookwheel::simulate::receiver::Answer;
use serde_json::json;

/// Data that is nested so deep.
fn nested(levels: usize) -> String {
    format!("{}1{}", r#"{"a":"#.repeat(levels), "}".repeat(levels))
}

/// JSON without the spaces that lay it out; for what has none in its texts.
fn packed(json: &str) -> String {
    json.split_whitespace().collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_server_accepted_is_said_to_be_whatever_its_data() {
    let (real, receiver) = Real::shop().await;
    let odd = [r#"{"n":1e400}"#.to_owned(), r#"{"n":"\ud800"}"#.to_owned(), nested(128)];
    for (number, data) in odd.iter().enumerate() {
        let id = format!("order-{number}");
        let emit = ["emit", "shop", "order.created", "--data", data, "--event-id", &id];
        let told = real.good(&emit);
        assert!(told.starts_with("msg_") && told.ends_with(" accepted\n"), "{told}");
        let again = real.run(&[&emit[..], &["--json"]].concat());
        assert_eq!(again.code, 1, "the id is taken: {}{}", again.out, again.err);
        let received = receiver.wait_for(number + 1).await.unwrap();
        let body = std::str::from_utf8(&received[number].body).unwrap();
        assert!(body.contains(data.as_str()), "{body}");

        let history = ["history", "shop", "--message", &id];
        while !real.good(&history).contains(": succeeded\n") {}
        let told = real.good(&history);
        assert!(told.contains(&format!("data          {data}\n")), "{told}");
        let told = packed(&real.good(&[&history[..], &["--json"]].concat()));
        let expected = format!(r#""payload":{data}"#);
        assert!(told.starts_with(r#"{"message":{"id":"msg_"#), "{told}");
        assert!(told.contains(&expected), "{told}");
    }
    let told = real.good(&["emit", "shop", "order.created", "--data", &odd[0], "--json"]);
    assert!(told.contains("\n  \"payload\": {\n    \"n\": 1e400\n  },\n"), "{told}");
}

#[tokio::test(flavor = "multi_thread")]
async fn json_is_printed_as_the_server_wrote_it() {
    const ITEM: &str = r#"{"name":"\u0041","id":1.10,"z":{"a":1e400,"a":[ ]},"n":-0.0}"#;
    const SHOWN: &str = r#"{
  "name": "\u0041",
  "id": 1.10,
  "z": {
    "a": 1e400,
    "a": []
  },
  "n": -0.0
}
"#;
    let stub = Stub::start().await;
    let json = "application/json";
    stub.on_text("GET /app/shop", 200, json, ITEM.to_owned());
    let ran = ask(&stub, &["app", "show", "shop", "--json"]).await;
    assert_eq!((ran.code, ran.out.as_str()), (0, SHOWN), "{}", ran.err);

    let page = |rest: &str| format!(r#"{{"data":[{ITEM}],"prevIterator":null,{rest}}}"#);
    stub.on_text("GET /app", 200, json, page(r#""iterator":"a","done":false"#)).on_text(
        "GET /app",
        200,
        json,
        page(r#""iterator":null,"done":true"#),
    );
    let ran = ask(&stub, &["app", "list", "--json"]).await;
    assert_eq!((ran.code, packed(&ran.out)), (0, packed(&format!("[{ITEM},{ITEM}]"))));

    // An event's data may be on several lines; what is printed of it is on one.
    let event = format!("event: attempt\ndata: {}\n\n", ITEM.replacen(',', ",\ndata: ", 1));
    stub.on_text("GET /outcome/stream", 200, "text/event-stream", event).on(
        "GET /outcome/stream",
        403,
        json!({ "detail": "no" }),
    );
    let ran = ask(&stub, &["tail", "--json"]).await;
    assert_eq!(ran.out, format!("{}\n", ITEM.replacen(',', ", ", 1)), "{}", ran.err);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_is_no_json_or_bottomless_ends_in_words() {
    let stub = Stub::start().await;
    stub.on_text("GET /app/shop", 200, "application/json", r#"{"id":"#.to_owned());
    let ran = ask(&stub, &["app", "show", "shop", "--json"]).await;
    assert_eq!(ran.code, 3, "{}", ran.out);
    assert!(ran.err.contains("not that of a hookwheel server of this version"), "{}", ran.err);
    let bottomless = "[".repeat(100_000) + &"]".repeat(100_000);
    stub.on_text("GET /app/shop", 200, "application/json", bottomless.clone());
    let ran = ask(&stub, &["app", "show", "shop", "--json"]).await;
    assert_eq!((ran.code, ran.out), (0, bottomless + "\n"), "{}", ran.err);
}

#[tokio::test(flavor = "multi_thread")]
async fn values_that_are_set_arrive_as_they_are_written() {
    let (real, receiver) = Real::shop().await;
    receiver.answer_always(Some(Answer::status(200)));
    let values = [
        ("orderId", "18446744073709551617"),
        ("amount", "10.00"),
        ("m", r#"{"a":1,"a":2}"#),
        ("n", "1e400"),
        ("text", r#""\u0041\/\ud800""#),
    ];
    let set: Vec<String> = values.iter().map(|(name, value)| format!("{name}={value}")).collect();
    let set: Vec<&str> = set.iter().flat_map(|set| ["--set", set]).collect();
    real.good(&[&["emit", "shop", "order.created"], &set[..]].concat());
    real.good(&[&["test", "shop", "main"], &set[..]].concat());
    let received = receiver.wait_for(2).await.unwrap();
    for request in &received {
        let body = std::str::from_utf8(&request.body).unwrap();
        for (name, value) in values {
            assert!(body.contains(&format!(r#""{name}":{value}"#)), "{name}: {body}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_schema_is_sent_as_it_stands_in_its_file() {
    let stub = Stub::start().await;
    let schema = r#"{ "examples":[{"orderId":18446744073709551617,"a":1.10,"a":"\ud800"}] }"#;
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), format!("{schema}\n")).unwrap();
    let create = ["event-type", "create", "order.created", "ordered", "--schema"];
    ask(&stub, &[&create[..], &[file.path().to_str().unwrap()]].concat()).await;
    let asked = stub.asked();
    let body = std::str::from_utf8(&asked[0].body).unwrap();
    assert!(body.contains(&format!(r#""schemas":{{"1":{schema}}}"#)), "{body}");
}
