//! Applications.

use crate::common::{each, members, service};
use serde_json::{Value, json};

const MEMBERS: [&str; 8] =
    ["createdAt", "id", "metadata", "name", "retentionDays", "throttleRate", "uid", "updatedAt"];

#[tokio::test(flavor = "multi_thread")]
async fn an_application_is_made_shown_changed_and_deleted() {
    let service = service().await;
    let client = service.client().await;
    let body = json!({"name": "Shop", "uid": "shop-1", "metadata": {"country": "NO"},
        "throttleRate": 5, "retentionDays": 30});
    let made = client.post("/app", body).await.ok(201);
    assert_eq!(members(&made), MEMBERS);
    assert_eq!(made["createdAt"], "2026-01-15T12:00:00.000000Z");
    assert!(made["id"].as_str().unwrap().starts_with("app_"));
    let by_id = client.get(&format!("/app/{}", made["id"].as_str().unwrap())).await.ok(200);
    assert_eq!((&by_id, &client.get("/app/shop-1").await.ok(200)), (&made, &made));
    assert_eq!(each(&client.get("/app").await.ok(200), "uid"), ["shop-1"]);

    let patched = client.patch("/app/shop-1", json!({"throttleRate": null})).await.ok(200);
    assert_eq!((&patched["throttleRate"], &patched["retentionDays"]), (&Value::Null, &json!(30)));
    client.delete("/app/shop-1").await.is_empty(204);
    client.get("/app/shop-1").await.refused(404, "not_found");
}
