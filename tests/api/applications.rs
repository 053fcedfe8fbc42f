//! Applications.

use crate::common::{Client, each, members, service};
use reqwest::Method;
use serde_json::{Value, json};
use std::time::Duration;

const MEMBERS: [&str; 8] =
    ["createdAt", "id", "metadata", "name", "retentionDays", "throttleRate", "uid", "updatedAt"];

#[tokio::test(flavor = "multi_thread")]
async fn an_application_is_made_and_shown_by_id_and_uid() {
    let service = service().await;
    let client = service.client().await;
    let body = json!({"name": "Shop", "uid": "shop-1", "metadata": {"country": "NO"},
        "throttleRate": 5, "retentionDays": 30});
    let made = client.post("/app", body.clone()).await.ok(201);
    assert_eq!(members(&made), MEMBERS);
    for (member, value) in body.as_object().unwrap() {
        assert_eq!(&made[member], value, "{member}");
    }
    assert_eq!(made["createdAt"], "2026-01-15T12:00:00.000000Z");
    assert_eq!(made["updatedAt"], made["createdAt"]);
    let id = made["id"].as_str().unwrap();
    assert!(id.starts_with("app_"), "{id}");
    for path in [format!("/app/{id}"), "/app/shop-1".into(), "/app/shop-1/".into()] {
        assert_eq!(client.get(&path).await.ok(200), made, "{path}");
    }
    let plain = client.post("/app/", json!({"name": "Plain"})).await.ok(201);
    assert_eq!(members(&plain), MEMBERS);
    for member in ["uid", "throttleRate", "retentionDays"] {
        assert_eq!(plain[member], Value::Null, "{member}");
    }
    assert_eq!(plain["metadata"], json!({}));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_uid_is_taken_once_and_get_if_exists_finds_it() {
    let service = service().await;
    let client = service.client().await;
    let shop = json!({"name": "Shop", "uid": "shop"});
    let made = client.post("/app", shop.clone()).await.ok(201);
    let refused = client.post("/app", shop.clone()).await;
    assert!(refused.refused(409, "conflict").contains(made["id"].as_str().unwrap()));
    let other = json!({"name": "Another name", "uid": "shop"});
    let found = client.post("/app?get_if_exists=true", other).await.ok(200);
    assert_eq!(found, made);
    client.post("/app?get_if_exists=false", shop).await.refused(409, "conflict");
    let new = json!({"name": "New", "uid": "new"});
    client.post("/app?get_if_exists=true", new).await.ok(201);
    let clash = client.patch("/app/new", json!({"uid": "shop"})).await;
    clash.refused(409, "conflict");
    let clash = client.put("/app/new", json!({"name": "New", "uid": "shop"})).await;
    clash.refused(409, "conflict");
}

#[tokio::test(flavor = "multi_thread")]
async fn of_those_who_get_or_make_at_once_one_makes_and_all_get() {
    let service = service().await;
    let client = service.client().await;
    let asking: Vec<_> = (0..8)
        .map(|_| {
            let client = client.clone();
            let body = json!({"name": "Shop", "uid": "shop"});
            tokio::spawn(async move { client.post("/app?get_if_exists=true", body).await })
        })
        .collect();
    let mut statuses = Vec::new();
    for asking in asking {
        statuses.push(asking.await.unwrap().status);
    }
    statuses.sort_unstable();
    assert_eq!(statuses, [200, 200, 200, 200, 200, 200, 200, 201]);
}

#[tokio::test(flavor = "multi_thread")]
async fn put_makes_or_replaces_all_and_patch_changes_what_is_given() {
    let service = service().await;
    let client = service.client().await;
    let whole = json!({"name": "Shop", "metadata": {"a": "1"}, "rateLimit": 7, "retentionDays": 1});
    let made = client.put("/app/shop", whole).await.ok(201);
    assert_eq!((&made["uid"], &made["throttleRate"]), (&json!("shop"), &json!(7)));
    service.clock.advance(Duration::from_secs(1));

    let patched = client.patch("/app/shop", json!({"name": "Store"})).await.ok(200);
    let mut expected = made.clone();
    expected["name"] = json!("Store");
    expected["updatedAt"] = json!("2026-01-15T12:00:01.000000Z");
    assert_eq!(patched, expected, "what is left out stays");
    let nulls = json!({"throttleRate": null, "retentionDays": null});
    let patched = client.patch("/app/shop", nulls).await.ok(200);
    expected["throttleRate"] = Value::Null;
    expected["retentionDays"] = Value::Null;
    assert_eq!(patched, expected, "null takes away");
    let patched = client.patch("/app/shop", json!({"rateLimit": 3})).await.ok(200);
    assert_eq!(patched["throttleRate"], 3);
    let patched = client.patch("/app/shop", json!({"metadata": {"b": "2"}})).await.ok(200);
    assert_eq!(patched["metadata"], json!({"b": "2"}), "notes are set anew");

    let renamed = client.put("/app/shop", json!({"name": "Shop", "uid": "shop-2"})).await.ok(200);
    assert_eq!((&renamed["id"], &renamed["uid"]), (&made["id"], &json!("shop-2")));
    assert_eq!((&renamed["metadata"], &renamed["throttleRate"]), (&json!({}), &Value::Null));
    client.get("/app/shop").await.refused(404, "not_found");
    let path = format!("/app/{}", made["id"].as_str().unwrap());
    let bare = client.put(&path, json!({"name": "Shop"})).await.ok(200);
    assert_eq!(bare["uid"], Value::Null, "what is left out of a replacement is taken away");
    client.patch(&path, json!({"uid": "again"})).await.ok(200);
    assert_eq!(client.patch("/app/again", json!({"uid": null})).await.ok(200)["uid"], Value::Null);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_deleted_is_gone_with_its_endpoints_and_leaves_its_uid_free() {
    let service = service().await;
    let client = service.shop().await;
    let endpoint = json!({"url": "http://127.0.0.1:9/"});
    client.post("/app/shop/endpoint", endpoint).await.ok(201);
    client.delete("/app/shop").await.is_empty(204);
    client.get("/app/shop").await.refused(404, "not_found");
    client.get("/app/shop/endpoint").await.refused(404, "not_found");
    client.delete("/app/shop").await.refused(404, "not_found");
    client.patch("/app/shop", json!({"name": "Shop"})).await.refused(404, "not_found");
    assert_eq!(client.get("/app").await.ok(200)["data"], json!([]));
    client.post("/app", json!({"name": "Shop", "uid": "shop"})).await.ok(201);
    assert_eq!(client.get("/app/shop/endpoint").await.ok(200)["data"], json!([]));
}

/// What each method with a body answers to `body`.
async fn assert_fault(client: &Client, body: &str, loc: &[&str], word: &str) {
    for (method, path) in
        [(Method::POST, "/app"), (Method::PUT, "/app/shop"), (Method::PATCH, "/app/shop")]
    {
        let refused = client.send_text(method.clone(), path, body).await;
        let message = refused.fault(loc);
        assert!(message.contains(word), "{method} {body}: {message}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_body_is_told_with_the_place_of_the_fault() {
    let service = service().await;
    let client = service.shop().await;
    for (body, loc, word) in [
        ("", &["body"][..], "EOF"),
        ("{", &["body"], "EOF"),
        (r#"{"name": "a"} {}"#, &["body"], "trailing"),
        ("\"a\"", &["body"], "invalid type: string"),
        (r#"{"name": 5}"#, &["body", "name"], "invalid type: integer, expected a string"),
        (r#"{"name": "a", "metadata": {"b": 1}}"#, &["body", "metadata", "b"], "invalid type"),
        (
            r#"{"name": "a", "throttleRate": -1}"#,
            &["body", "throttleRate"],
            "invalid value: integer, expected u16",
        ),
        (
            r#"{"name": "a", "throttleRate": 65536}"#,
            &["body", "throttleRate"],
            "invalid value: integer, expected u16",
        ),
        (r#"{"name": "a", "retentionDays": 0}"#, &["body", "retentionDays"], "1 and 3650"),
        (r#"{"name": "a", "nmae": "b"}"#, &["body", "nmae"], "unknown field `nmae`"),
    ] {
        assert_fault(&client, body, loc, word).await;
    }
    let missing = client.post("/app", json!({"uid": "x"})).await;
    assert!(missing.fault(&["body", "name"]).contains("missing field `name`"));
    for (body, member, word) in [
        (json!({"name": ""}), "name", "1 to 256"),
        (json!({"name": "x".repeat(257)}), "name", "1 to 256"),
        (json!({"name": "a", "uid": "a/b"}), "uid", "uid `a/b`"),
        (json!({"name": "a", "uid": ""}), "uid", "uid"),
        (json!({"name": "a", "throttleRate": 0}), "throttleRate", "rate limit of 0"),
        (json!({"name": "a", "metadata": {"": "x"}}), "metadata", "name in metadata"),
        (json!({"name": "a", "metadata": {"x": "y".repeat(16_385)}}), "metadata", "16,384"),
    ] {
        let refused = client.post("/app", body.clone()).await;
        assert!(refused.fault(&["body", member]).contains(word), "{body}: {}", refused.text);
    }
    assert_eq!(each(&client.get("/app").await.ok(200), "uid"), ["shop"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn applications_are_walked_in_both_orders_and_both_ways() {
    let service = service().await;
    let client = service.client().await;
    for number in 1..=7 {
        client.post("/app", json!({"name": format!("shop {number}")})).await.ok(201);
    }
    let all = client.get("/app").await.ok(200);
    assert_eq!(members(&all), ["data", "done", "iterator", "prevIterator"]);
    assert_eq!((&all["done"], all["data"].as_array().unwrap().len()), (&json!(true), 7));
    let names = |page: &Value| each(page, "name").join(" ").replace("shop ", "");
    for (order, pages) in [
        ("", ["1 2 3", "4 5 6", "7"]),
        ("&order=ascending", ["1 2 3", "4 5 6", "7"]),
        ("&order=descending", ["7 6 5", "4 3 2", "1"]),
    ] {
        let mut iterator = String::new();
        let mut page = Value::Null;
        for (number, expected) in pages.iter().enumerate() {
            page = client.get(&format!("/app?limit=3{order}{iterator}")).await.ok(200);
            assert_eq!(names(&page), *expected, "{order}");
            assert_eq!(page["done"], json!(number == 2), "{order}");
            iterator = format!("&iterator={}", page["iterator"].as_str().unwrap());
        }
        for expected in pages.iter().rev().skip(1) {
            let before = page["prevIterator"].as_str().unwrap();
            assert!(before.starts_with('-'));
            page = client.get(&format!("/app?limit=3{order}&iterator={before}")).await.ok(200);
            assert_eq!((names(&page), &page["done"]), ((*expected).to_owned(), &json!(false)));
        }
    }
    client.post("/app", json!({"name": "shop 8"})).await.ok(201);
    let last = all["iterator"].as_str().unwrap();
    let rest = client.get(&format!("/app?iterator={last}")).await.ok(200);
    assert_eq!(names(&rest), "8", "what is made later follows");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_query_is_told_with_its_parameter() {
    let service = service().await;
    let client = service.client().await;
    for (query, parameter) in [
        ("limit=0", "limit"),
        ("limit=251", "limit"),
        ("limit=-1", "limit"),
        ("limit=ten", "limit"),
        ("order=newest", "order"),
        ("limit=1&limit=2", "limit"),
    ] {
        let refused = client.get(&format!("/app?{query}")).await;
        refused.fault(&["query", parameter]);
    }
    client
        .post("/app?get_if_exists=perhaps", json!({"name": "a"}))
        .await
        .fault(&["query", "get_if_exists"]);
    client.get("/app?limit=250&something=new&with_content=false").await.ok(200);
}
