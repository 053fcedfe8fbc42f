//! Endpoints: made, listed, changed, disabled, deleted.

use crate::common::{Client, each, members, service};
use hookwheel::simulate::receiver::{Consumer, Receiver};
use reqwest::Method;
use serde_json::{Value, json};
use std::time::Duration;

const MEMBERS: [&str; 19] = [
    "authentication",
    "channels",
    "clientCertificate",
    "concurrency",
    "createdAt",
    "description",
    "disableAfterFailingDays",
    "disabled",
    "eventTypes",
    "id",
    "metadata",
    "name",
    "provider",
    "settings",
    "state",
    "throttleRate",
    "uid",
    "updatedAt",
    "url",
];

const URL: &str = "http://127.0.0.1:9/webhooks";

fn plain() -> Value {
    json!({"url": URL, "uid": "main"})
}

/// All that can be changed of an endpoint, by the names that Svix's API has too.
fn whole() -> Value {
    json!({"url": URL, "uid": "main", "description": "orders", "throttleRate": 5,
        "disabled": true, "eventTypes": ["order.created", "refund.*"],
        "channels": ["eu", "project:1"], "metadata": {"owner": "ada"}})
}

async fn made(client: &Client, body: Value) -> Value {
    client.post("/app/shop/endpoint", body).await.ok(201)
}

#[tokio::test(flavor = "multi_thread")]
async fn an_endpoint_is_made_and_shown_by_id_and_uid() {
    let service = service().await;
    let client = service.shop().await;
    let answer = made(&client, whole()).await;
    for (member, value) in whole().as_object().unwrap() {
        assert_eq!(&answer[member], value, "{member}");
    }
    assert!(answer["secret"].as_str().unwrap().starts_with("whsec_"));
    let id = answer["id"].as_str().unwrap();
    assert!(id.starts_with("ep_"));
    assert_eq!(answer["provider"], "standard-webhooks");
    assert_eq!(answer["createdAt"], "2026-01-15T12:00:00.000000Z");
    let state = json!({"status": "disabled", "reason": "it was made disabled",
        "since": "2026-01-15T12:00:00.000000Z"});
    assert_eq!(answer["state"], state);
    let mut shown = answer.clone();
    shown.as_object_mut().unwrap().remove("secret");
    assert_eq!(members(&shown), MEMBERS);
    let application = client.get("/app/shop").await.ok(200)["id"].as_str().unwrap().to_owned();
    for path in [
        format!("/app/shop/endpoint/{id}"),
        "/app/shop/endpoint/main/".to_owned(),
        format!("/app/{application}/endpoint/main"),
    ] {
        assert_eq!(client.get(&path).await.ok(200), shown, "{path}: and no secret");
    }
    let plain = made(&client, json!({"url": URL})).await;
    for member in ["uid", "throttleRate", "eventTypes", "channels"] {
        assert_eq!(plain[member], Value::Null, "{member}");
    }
    for (member, value) in [
        ("description", json!("")),
        ("disableAfterFailingDays", Value::Null),
        ("name", json!("")),
        ("disabled", json!(false)),
        ("metadata", json!({})),
        ("settings", json!({})),
        ("authentication", json!("none")),
        ("clientCertificate", json!(false)),
        ("state", json!({"status": "enabled", "reason": null, "since": null})),
    ] {
        assert_eq!(plain[member], value, "{member}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn put_makes_or_replaces_and_leaves_what_only_we_know() {
    let service = service().await;
    let client = service.shop().await;
    let path = "/app/shop/endpoint/main";
    let ours = json!({"url": URL, "name": "Main", "concurrency": 3, "filterTypes": ["a.b"],
        "rateLimit": 9, "headers": {"X-Region": "eu"}, "channels": ["x"]});
    let put = client.put(path, ours).await.ok(201);
    assert!(put["secret"].as_str().unwrap().starts_with("whsec_"));
    assert_eq!((&put["uid"], &put["eventTypes"]), (&json!("main"), &json!(["a.b"])));
    assert_eq!(put["throttleRate"], 9);
    service.clock.advance(Duration::from_secs(1));
    let body = json!({"url": "http://127.0.0.1:10/", "uid": "other"});
    let replaced = client.put(path, body).await.ok(200);
    assert_eq!(members(&replaced), MEMBERS, "no secret");
    assert_eq!((&replaced["id"], &replaced["uid"]), (&put["id"], &json!("other")));
    assert_eq!(replaced["updatedAt"], "2026-01-15T12:00:01.000000Z");
    assert_eq!((&replaced["name"], &replaced["concurrency"]), (&json!("Main"), &json!(3)));
    for member in ["eventTypes", "channels", "throttleRate"] {
        assert_eq!(replaced[member], Value::Null, "{member} is taken away");
    }
    let path = "/app/shop/endpoint/other";
    let headers = client.get(&format!("{path}/headers")).await.ok(200);
    assert_eq!(headers["headers"], json!({"X-Region": "eu"}));
    let other = json!({"url": URL, "provider": "yoco"});
    client.put(path, other).await.fault(&["body", "provider"]);
    let secret = json!({"url": URL, "secret": "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"});
    client.put(path, secret).await.refused(409, "conflict");
    let same = json!({"url": URL, "secret": put["secret"], "provider": "standard-webhooks"});
    assert_eq!(client.put(path, same).await.ok(200)["uid"], Value::Null);
}

#[tokio::test(flavor = "multi_thread")]
async fn patch_changes_what_is_given_and_null_takes_away() {
    let service = service().await;
    let client = service.shop().await;
    let mut expected = made(&client, whole()).await;
    expected.as_object_mut().unwrap().remove("secret");
    let path = "/app/shop/endpoint/main";
    assert_eq!(client.patch(path, json!({})).await.ok(200), expected);
    let nulls = json!({"throttleRate": null, "eventTypes": null, "channels": null});
    let patched = client.patch(path, nulls).await.ok(200);
    for member in ["throttleRate", "eventTypes", "channels"] {
        expected[member] = Value::Null;
    }
    assert_eq!(patched, expected);
    let aliases = json!({"rateLimit": 2, "filterTypes": ["x.*"], "name": "Main"});
    let patched = client.patch(path, aliases).await.ok(200);
    expected["throttleRate"] = json!(2);
    expected["eventTypes"] = json!(["x.*"]);
    expected["name"] = json!("Main");
    assert_eq!(patched, expected);
    let enabled = client.patch(path, json!({"disabled": false})).await.ok(200);
    assert_eq!(
        (&enabled["disabled"], &enabled["state"]["status"]),
        (&json!(false), &json!("enabled"))
    );
    let unnamed = client.patch(path, json!({"uid": null})).await.ok(200);
    assert_eq!(unnamed["uid"], Value::Null);
    client.get(path).await.refused(404, "not_found");
    let path = format!("/app/shop/endpoint/{}", unnamed["id"].as_str().unwrap());
    for (body, member) in [
        (json!({"secret": "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"}), "secret"),
        (json!({"provider": "yoco"}), "provider"),
        (json!({"concurrency": "many"}), "concurrency"),
    ] {
        client.patch(&path, body).await.fault(&["body", member]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_endpoint_is_disabled_with_a_reason_and_enabled_again() {
    let service = service().await;
    let client = service.shop().await;
    made(&client, plain()).await;
    let path = "/app/shop/endpoint/main";
    let reason = json!({"reason": "moving"});
    let disabled = client.post(&format!("{path}/disable"), reason).await.ok(200);
    assert_eq!(members(&disabled), MEMBERS);
    assert_eq!(disabled["disabled"], true);
    assert_eq!(
        disabled["state"],
        json!({"status": "disabled", "reason": "moving",
        "since": "2026-01-15T12:00:00.000000Z"})
    );
    let enabled = client.post(&format!("{path}/enable"), json!({})).await.ok(200);
    assert_eq!((&enabled["disabled"], &enabled["state"]["reason"]), (&json!(false), &Value::Null));
    client.post(&format!("{path}/disable"), json!({})).await.fault(&["body", "reason"]);
    client.post("/app/shop/endpoint/no/enable", json!({})).await.refused(404, "not_found");
    client
        .post("/app/shop/endpoint/no/disable", json!({"reason": "x"}))
        .await
        .refused(404, "not_found");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_endpoint_that_fails_its_challenge_is_made_and_says_so() {
    let service = service().await;
    let client = service.shop().await;
    let receiver = Receiver::start(Consumer::OpenCard, "not the secret").await.unwrap();
    let body = json!({"url": receiver.url(), "uid": "main", "provider": "opencard"});
    let answer = made(&client, body).await;
    assert_eq!(answer["state"]["status"], "disabled");
    let reason = answer["state"]["reason"].as_str().unwrap();
    let path = "/app/shop/endpoint/main";
    let refused = client.post(&format!("{path}/enable"), json!({})).await;
    assert!(reason.starts_with(refused.refused(409, "not_proven")), "{reason}");
    let kept = client.patch(path, json!({"disabled": false, "name": "Main"})).await.ok(200);
    assert_eq!((&kept["name"], &kept["disabled"]), (&json!("Main"), &json!(true)));
    receiver.set_secret(answer["secret"].as_str().unwrap());
    let enabled = client.post(&format!("{path}/enable"), json!({})).await.ok(200);
    assert_eq!(enabled["state"]["status"], "enabled");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deleted_endpoint_is_gone() {
    let service = service().await;
    let client = service.shop().await;
    made(&client, plain()).await;
    client.post("/app/shop/endpoint", plain()).await.refused(409, "conflict");
    client.delete("/app/shop/endpoint/main").await.is_empty(204);
    client.delete("/app/shop/endpoint/main").await.refused(404, "not_found");
    assert_eq!(client.get("/app/shop/endpoint").await.ok(200)["data"], json!([]));
    made(&client, plain()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn endpoints_are_walked_in_both_orders() {
    let service = service().await;
    let client = service.shop().await;
    for uid in ["a", "b", "c"] {
        made(&client, json!({"url": URL, "uid": uid})).await;
    }
    for (order, expected) in [("ascending", ["a", "b", "c"]), ("descending", ["c", "b", "a"])] {
        let listing = format!("/app/shop/endpoint?order={order}&limit=1");
        let mut page = client.get(&listing).await.ok(200);
        for (number, uid) in expected.iter().enumerate() {
            assert_eq!((each(&page, "uid"), &page["done"]), (vec![*uid], &json!(number == 2)));
            let next = page["iterator"].as_str().unwrap();
            page = client.get(&format!("{listing}&iterator={next}")).await.ok(200);
        }
        assert_eq!((&page["data"], &page["done"]), (&json!([]), &json!(true)));
    }
    client.get("/app/shop/endpoint?limit=0").await.fault(&["query", "limit"]);
    client.get("/app/no/endpoint").await.refused(404, "not_found");
}

#[tokio::test(flavor = "multi_thread")]
async fn wrong_endpoints_are_refused_with_the_place_of_the_fault() {
    let service = service().await;
    let client = service.shop().await;
    for (body, loc) in [
        (json!({}), &["body", "url"][..]),
        (json!({"url": 5}), &["body", "url"]),
        (json!({"url": URL, "version": "one"}), &["body", "version"]),
        (json!({"url": URL, "eventTypes": "a"}), &["body", "eventTypes"]),
        (json!({"url": URL, "eventTypes": ["a", 5]}), &["body", "eventTypes", "1"]),
        (json!({"url": URL, "metadata": {"a": 1}}), &["body", "metadata", "a"]),
        (json!({"url": URL, "disabled": "yes"}), &["body", "disabled"]),
        (
            json!({"url": URL, "authentication": {"type": "magic"}}),
            &["body", "authentication", "type"],
        ),
    ] {
        let refused = client.post("/app/shop/endpoint", body.clone()).await;
        assert_eq!(refused.status, 422, "{body}: {}", refused.text);
        refused.fault(loc);
    }
    for (body, word) in [
        (json!({"url": "not a url"}), "url"),
        (json!({"url": "ftp://a.example/"}), "https://"),
        (json!({"url": URL, "uid": "a b"}), "uid `a b`"),
        (json!({"url": URL, "provider": "nobody"}), "nobody"),
        (json!({"url": URL, "eventTypes": ["a b"]}), "a b"),
        (json!({"url": URL, "channels": ["a b"]}), "a b"),
        (json!({"url": URL, "throttleRate": 0}), "rate limit of 0"),
        (json!({"url": URL, "concurrency": 0}), "concurrency"),
        (json!({"url": URL, "headers": {"Content-Type": "x"}}), "Content-Type"),
        (json!({"url": URL, "headers": {"webhook-id": "x"}}), "webhook-id"),
        (json!({"url": URL, "secret": "short"}), "secret"),
        (json!({"url": URL, "scheme": "v9"}), "v9"),
    ] {
        let refused = client.post("/app/shop/endpoint", body.clone()).await;
        assert_eq!(refused.status, 422, "{body}: {}", refused.text);
        assert_eq!(refused.json["detail"][0]["loc"][0], "body");
        assert!(refused.text.contains(word), "{body}: {}", refused.text);
    }
    assert_eq!(client.get("/app/shop/endpoint").await.ok(200)["data"], json!([]));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_address_of_our_own_network_is_refused_with_the_way_out() {
    let service = crate::common::service_with(|config| {
        config.engine.egress.development = false;
    })
    .await;
    let client = service.shop().await;
    for url in ["http://127.0.0.1:9/", "https://10.0.0.1/", "https://[::1]/", "https://127.1/"] {
        let refused = client.post("/app/shop/endpoint", json!({"url": url})).await;
        assert_eq!(refused.status, 422, "{url}: {}", refused.text);
        refused.fault(&["body", "url"]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_of_another_application_is_there() {
    let service = service().await;
    let client = service.shop().await;
    client.post("/app", json!({"name": "Other", "uid": "other"})).await.ok(201);
    let id = made(&client, plain()).await["id"].as_str().unwrap().to_owned();
    for endpoint in [id.as_str(), "main", "ep_068MnRSCDjQOeYMqPNC5Bc", "%ff", "no"] {
        let path = format!("/app/other/endpoint/{endpoint}");
        for (method, below, body) in [
            (Method::GET, "", Value::Null),
            (Method::PATCH, "", json!({"name": "x"})),
            (Method::DELETE, "", Value::Null),
            (Method::POST, "/enable", json!({})),
            (Method::POST, "/disable", json!({"reason": "x"})),
            (Method::GET, "/headers", Value::Null),
            (Method::PUT, "/headers", json!({"headers": {}})),
            (Method::PATCH, "/headers", json!({"headers": {}})),
            (Method::GET, "/secret", Value::Null),
            (Method::POST, "/secret/rotate", json!({})),
            (Method::POST, "/test", json!({})),
            (Method::POST, "/send-example", json!({"eventType": "svix.ping"})),
            (Method::GET, "/stats", Value::Null),
        ] {
            let path = format!("{path}{below}");
            let answer = client.send_text(method.clone(), &path, &body.to_string()).await;
            assert_eq!(answer.status, 404, "{method} {path}: {}", answer.text);
            answer.refused(404, "not_found");
        }
    }
    assert_eq!(client.get("/app/shop/endpoint/main").await.ok(200)["name"], "");
}
