//! The table of URLs, over the API: what may not be registered is not, neither new nor by a change.

use crate::common::{Answer, each, service_with};
use serde_json::json;

#[path = "../data/urls.rs"]
mod urls;

/// The reason of a refusal of the URL; `None` where it was taken.
fn reason(answer: &Answer, status: u16) -> Option<&str> {
    (answer.status != status).then(|| answer.fault(&["body", "url"]))
}

#[tokio::test(flavor = "multi_thread")]
async fn every_url_of_the_table_gets_its_verdict() {
    let service = service_with(|config| config.engine.egress.development = false).await;
    let client = service.shop().await;
    let main = json!({"url": "https://example.com/", "uid": "main"});
    client.post("/app/shop/endpoint", main).await.ok(201);
    for row in urls::rows() {
        let (url, expected) = (&row.url, row.registered);
        let made = client.post("/app/shop/endpoint", json!({"url": url})).await;
        let changed = client.patch("/app/shop/endpoint/main", json!({"url": url})).await;
        for reason in [reason(&made, 201), reason(&changed, 200)] {
            assert_eq!(reason.is_none(), expected.kind == "ok", "{url:?}: {reason:?}");
            assert!(reason.is_none_or(|reason| reason.contains(expected.reason)), "{reason:?}");
        }
        if made.status == 201 {
            let made = format!("/app/shop/endpoint/{}", made.json["id"].as_str().unwrap());
            client.delete(&made).await.is_empty(204);
        }
    }
    let left = client.get("/app/shop/endpoint").await.ok(200);
    assert_eq!(each(&left, "uid"), ["main"]);
}
