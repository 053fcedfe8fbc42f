//! Tokens, access to the portal, and logging out.

use crate::common::{each, members, service};
use serde_json::{Value, json};
use std::time::Duration;

const MEMBERS: [&str; 7] = ["appId", "createdAt", "expiresAt", "id", "name", "portal", "readOnly"];

#[tokio::test(flavor = "multi_thread")]
async fn a_token_is_made_shown_once_and_revoked() {
    let service = service().await;
    let client = service.shop().await;
    let body = json!({"name": "orders", "appId": "shop", "readOnly": true, "expiresInSeconds": 60});
    let made = client.post("/token", body).await.ok(201);
    let shop = client.get("/app/shop").await.ok(200);
    assert_eq!((&made["name"], &made["appId"]), (&json!("orders"), &shop["id"]));
    assert_eq!((&made["readOnly"], &made["portal"]), (&json!(true), &json!(false)));
    assert_eq!(made["createdAt"], "2026-01-15T12:00:00.000000Z");
    assert_eq!(made["expiresAt"], "2026-01-15T12:01:00.000000Z");
    let text = made["token"].as_str().unwrap();
    assert!(text.starts_with("hw_"));
    let mut shown = made.clone();
    shown.as_object_mut().unwrap().remove("token");
    assert_eq!(members(&shown), MEMBERS);
    let listed = client.get("/token").await;
    assert!(!listed.text.contains(text.rsplit('_').next().unwrap()));
    assert_eq!(listed.ok(200)["data"][1], shown);
    let holder = service.client_with(text);
    holder.get("/app/shop").await.ok(200);
    holder.patch("/app/shop", json!({})).await.refused(403, "forbidden");
    service.clock.advance(Duration::from_secs(60));
    holder.get("/app/shop").await.refused(401, "authentication_failed");
    assert_eq!(each(&client.get("/token").await.ok(200), "name"), ["tests"]);

    let lasting = client.post("/token", json!({"name": "ops"})).await.ok(201);
    assert_eq!((&lasting["appId"], &lasting["expiresAt"]), (&Value::Null, &Value::Null));
    let holder = service.client_with(lasting["token"].as_str().unwrap());
    holder.get("/app").await.ok(200);
    let path = format!("/token/{}", lasting["id"].as_str().unwrap());
    client.delete(&path).await.is_empty(204);
    holder.get("/app").await.refused(401, "authentication_failed");
    client.delete(&path).await.refused(404, "not_found");
    client.delete("/token/no").await.refused(404, "not_found");
    client.delete("/token/%ff").await.refused(404, "not_found");
}

#[tokio::test(flavor = "multi_thread")]
async fn wrong_tokens_are_refused_and_none_is_made() {
    let service = service().await;
    let client = service.client().await;
    for (body, loc) in [
        (json!({}), &["body", "name"][..]),
        (json!({"name": ""}), &["body", "name"]),
        (json!({"name": "x".repeat(257)}), &["body", "name"]),
        (json!({"name": "a", "portal": true}), &["body", "portal"]),
        (json!({"name": "a", "readOnly": "yes"}), &["body", "readOnly"]),
        (json!({"name": "a", "expiresInSeconds": -1}), &["body", "expiresInSeconds"]),
        (json!({"name": "a", "expiresInSeconds": 0}), &["body", "expiresInSeconds"]),
    ] {
        client.post("/token", body).await.fault(loc);
    }
    let unknown = json!({"name": "a", "appId": "nowhere"});
    client.post("/token", unknown).await.refused(404, "not_found");
    assert_eq!(each(&client.get("/token").await.ok(200), "name"), ["tests"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn tokens_are_walked_in_both_orders() {
    let service = service().await;
    let client = service.client().await;
    for name in ["a", "b"] {
        client.post("/token", json!({"name": name})).await.ok(201);
    }
    for (order, expected) in
        [("ascending", ["tests", "a", "b"]), ("descending", ["b", "a", "tests"])]
    {
        let mut path = format!("/token?limit=2&order={order}");
        let page = client.get(&path).await.ok(200);
        assert_eq!((each(&page, "name"), &page["done"]), (expected[..2].to_vec(), &json!(false)));
        path += &format!("&iterator={}", page["iterator"].as_str().unwrap());
        let page = client.get(&path).await.ok(200);
        assert_eq!((each(&page, "name"), &page["done"]), (expected[2..].to_vec(), &json!(true)));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_owner_gets_a_token_for_a_week_and_gives_it_back() {
    let service = service().await;
    let client = service.shop().await;
    let path = "/auth/app-portal-access/shop";
    let access = client.post(path, json!({})).await.ok(200);
    assert_eq!(members(&access), ["token", "url"]);
    let url = access["url"].as_str().unwrap();
    assert!(url.starts_with(&service.url) && !url.contains("hw_"), "no token in a URL: {url}");
    let owner = service.client_with(access["token"].as_str().unwrap());
    assert_eq!(each(&owner.get("/app").await.ok(200), "uid"), ["shop"]);
    let held = client.get("/token").await.ok(200)["data"][1].clone();
    assert_eq!((&held["portal"], &held["readOnly"]), (&json!(true), &json!(false)));
    assert_eq!(held["expiresAt"], "2026-01-22T12:00:00.000000Z");
    owner.post("/auth/logout", json!({})).await.is_empty(204);
    owner.get("/app").await.refused(401, "authentication_failed");
    client.get("/app").await.ok(200);

    let brief = client.post(path, json!({"expiry": 3600, "readOnly": true})).await.ok(200);
    let brief = service.client_with(brief["token"].as_str().unwrap());
    brief.get("/app/shop/endpoint").await.ok(200);
    let endpoint = json!({"url": "http://127.0.0.1:9/"});
    brief.post("/app/shop/endpoint", endpoint).await.refused(403, "forbidden");
    service.clock.advance(Duration::from_secs(3600));
    brief.get("/app").await.refused(401, "authentication_failed");
    for expiry in [json!(0), json!(604_801), json!(-1), json!("1h")] {
        client.post(path, json!({"expiry": expiry})).await.fault(&["body", "expiry"]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn access_can_be_given_to_an_application_that_is_made_for_it() {
    let service = service().await;
    let client = service.client().await;
    let path = "/auth/app-portal-access/new";
    client.post(path, json!({})).await.refused(404, "not_found");
    let application = json!({"application": {"name": "New", "throttleRate": 3}});
    let access = client.post(path, application.clone()).await.ok(200);
    let made = client.get("/app/new").await.ok(200);
    assert_eq!((&made["name"], &made["throttleRate"]), (&json!("New"), &json!(3)));
    client.post(path, application).await.ok(200);
    assert_eq!(client.get("/app").await.ok(200)["data"].as_array().unwrap().len(), 1);
    let owner = service.client_with(access["token"].as_str().unwrap());
    assert_eq!(owner.get("/app/new").await.ok(200), made);
    let nameless = json!({"application": {"uid": "x"}});
    client.post(path, nameless).await.fault(&["body", "application", "name"]);
}
