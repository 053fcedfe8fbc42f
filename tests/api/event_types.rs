//! Event types.

use crate::common::{each, members, service};
use hookwheel::NewAccessToken;
use serde_json::{Value, json};
use std::time::Duration;

const MEMBERS: [&str; 10] = [
    "archived",
    "createdAt",
    "deprecated",
    "description",
    "featureFlag",
    "featureFlags",
    "groupName",
    "name",
    "schemas",
    "updatedAt",
];

fn order_created() -> Value {
    json!({"name": "order.created", "description": "somebody ordered", "groupName": "order",
        "schemas": {"1": {"type": "object", "required": ["orderId"]}}, "featureFlags": ["beta"]})
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_type_is_made_shown_changed_archived_and_removed() {
    let service = service().await;
    let client = service.client().await;
    let made = client.post("/event-type", order_created()).await.ok(201);
    assert_eq!(members(&made), MEMBERS);
    for (member, value) in order_created().as_object().unwrap() {
        assert_eq!(&made[member], value, "{member}");
    }
    assert_eq!(made["featureFlag"], "beta");
    assert_eq!((&made["archived"], &made["deprecated"]), (&json!(false), &json!(false)));
    let path = "/event-type/order.created";
    assert_eq!(client.get(path).await.ok(200), made);
    assert_eq!(client.get(&format!("{path}/")).await.ok(200), made);
    client.post("/event-type", order_created()).await.refused(409, "conflict");

    service.clock.advance(Duration::from_secs(1));
    let patched = client.patch(path, json!({"deprecated": true})).await.ok(200);
    let mut expected = made.clone();
    expected["deprecated"] = json!(true);
    expected["updatedAt"] = json!("2026-01-15T12:00:01.000000Z");
    assert_eq!(patched, expected, "what is left out stays");
    let nulls = json!({"schemas": null, "groupName": null, "featureFlags": null});
    let patched = client.patch(path, nulls).await.ok(200);
    assert_eq!((&patched["schemas"], &patched["groupName"]), (&Value::Null, &Value::Null));
    assert_eq!(patched["featureFlags"], json!([]));

    client.delete(path).await.is_empty(204);
    assert_eq!(client.get(path).await.ok(200)["archived"], true);
    let back = client.post("/event-type", order_created()).await.ok(201);
    assert_eq!((&back["archived"], &back["createdAt"]), (&json!(false), &made["createdAt"]));
    client.delete(&format!("{path}?expunge=true")).await.is_empty(204);
    client.get(path).await.refused(404, "not_found");
    client.delete(path).await.refused(404, "not_found");
    client.patch(path, json!({"archived": true})).await.refused(404, "not_found");
}

#[tokio::test(flavor = "multi_thread")]
async fn put_makes_or_replaces_all() {
    let service = service().await;
    let client = service.client().await;
    let path = "/event-type/order.paid";
    let body = json!({"description": "paid", "groupName": "order", "schemas": {"1": {}}});
    let made = client.put(path, body).await.ok(201);
    assert_eq!((&made["name"], &made["groupName"]), (&json!("order.paid"), &json!("order")));
    let replaced = client.put(path, json!({"description": "was paid"})).await.ok(200);
    assert_eq!((&replaced["groupName"], &replaced["schemas"]), (&Value::Null, &Value::Null));
    assert_eq!(replaced["createdAt"], made["createdAt"]);
    let named = json!({"name": "order.paid", "description": "paid"});
    client.put(path, named).await.fault(&["body", "name"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_listing_hides_what_is_archived_and_schemas_unless_they_are_asked_for() {
    let service = service().await;
    let client = service.client().await;
    for name in ["c.x", "a.x", "b.x"] {
        let body = json!({"name": name, "description": "", "schemas": {"1": {}}});
        client.post("/event-type", body).await.ok(201);
    }
    client.delete("/event-type/b.x").await.is_empty(204);
    let listed = client.get("/event-type").await.ok(200);
    assert_eq!(each(&listed, "name"), ["a.x", "c.x"]);
    assert_eq!(listed["data"][0]["schemas"], Value::Null);
    let listed = client.get("/event-type?include_archived=true&with_content=true").await.ok(200);
    assert_eq!(each(&listed, "name"), ["a.x", "b.x", "c.x"]);
    assert_eq!(listed["data"][0]["schemas"], json!({"1": {}}));
    let mut query = "/event-type?include_archived=true&limit=1&order=descending".to_owned();
    for name in ["c.x", "b.x", "a.x"] {
        let page = client.get(&query).await.ok(200);
        assert_eq!(each(&page, "name"), [name]);
        assert_eq!(page["done"], json!(name == "a.x"));
        let next = page["iterator"].as_str().unwrap();
        query =
            format!("/event-type?include_archived=true&limit=1&order=descending&iterator={next}");
    }
    client.get("/event-type?include_archived=maybe").await.fault(&["query", "include_archived"]);
    client.get("/event-type?limit=0").await.fault(&["query", "limit"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_wrong_is_refused_with_its_place() {
    let service = service().await;
    let client = service.client().await;
    let post = async |body: Value| client.post("/event-type", body).await;
    let nameless = post(json!({"description": "x"})).await;
    assert!(nameless.fault(&["body", "name"]).contains("missing field `name`"));
    post(json!({"name": "a"})).await.fault(&["body", "description"]);
    post(json!({"name": "a", "description": 1})).await.fault(&["body", "description"]);
    post(json!({"name": "a", "description": "", "x": 1})).await.fault(&["body", "x"]);
    let flags = json!({"name": "a", "description": "", "featureFlags": ["b", 1]});
    post(flags).await.fault(&["body", "featureFlags", "1"]);
    for (body, word) in [
        (json!({"name": "a b", "description": ""}), "a b"),
        (json!({"name": "a", "description": "", "schemas": [1]}), "schemas"),
        (json!({"name": "a", "description": "", "schemas": {"1": 5}}), "version `1`"),
        (json!({"name": "a", "description": "", "groupName": "a b"}), "group name"),
        (json!({"name": "a", "description": "x".repeat(5000)}), "description"),
    ] {
        let refused = post(body.clone()).await;
        assert!(refused.fault(&["body"]).contains(word), "{body}: {}", refused.text);
    }
    client.get("/event-type/%ff").await.refused(404, "not_found");
    client.get("/event-type/no.such").await.refused(404, "not_found");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_application_reads_event_types_and_changes_none() {
    let service = service().await;
    let client = service.shop().await;
    client.post("/event-type", order_created()).await.ok(201);
    let application = service.engine.application_by_uid("shop").map(|held| held.id);
    let bound = NewAccessToken { application, ..NewAccessToken::default() };
    let bound = service.client_of(bound).await;
    assert_eq!(each(&bound.get("/event-type").await.ok(200), "name"), ["order.created"]);
    let path = "/event-type/order.created";
    bound.get(path).await.ok(200);
    let update = json!({"description": "x"});
    bound.post("/event-type", order_created()).await.refused(404, "not_found");
    bound.put(path, update.clone()).await.refused(404, "not_found");
    bound.patch(path, update).await.refused(404, "not_found");
    bound.delete(path).await.refused(404, "not_found");
    assert_eq!(client.get(path).await.ok(200)["description"], "somebody ordered");
}
