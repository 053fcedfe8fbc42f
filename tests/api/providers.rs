//! Providers.

use crate::common::{each, members};
use crate::delivering::shop;
use serde_json::json;

const MEMBERS: [&str; 13] = [
    "attempts",
    "authentications",
    "challenge",
    "clientCertificate",
    "eventTypes",
    "name",
    "retrySeconds",
    "secretOwner",
    "secretShown",
    "signatureHeaders",
    "source",
    "timeoutSeconds",
    "title",
];

#[tokio::test(flavor = "multi_thread")]
async fn providers_are_listed_with_what_a_platform_chooses_by() {
    let shop = shop().await;
    let list = shop.client.get("/provider").await.ok(200);
    let names = each(&list, "name");
    for name in
        ["citizen-ticket", "gocardless", "opencard", "standard-webhooks", "ticketnation", "yoco"]
    {
        assert!(names.contains(&name), "{names:?}");
    }
    let yoco = list["data"].as_array().unwrap().iter().find(|held| held["name"] == "yoco");
    let yoco = yoco.unwrap();
    assert_eq!(members(yoco), MEMBERS);
    assert_eq!(yoco["signatureHeaders"], json!(["webhook-signature"]));
    assert_eq!(yoco["attempts"], 8);
    let hour = 3600.0;
    let ladder = [5.0, 300.0, 1800.0, 2.0 * hour, 5.0 * hour, 10.0 * hour, 10.0 * hour];
    assert_eq!(yoco["retrySeconds"], json!(ladder));
    assert_eq!((&yoco["timeoutSeconds"], &yoco["secretShown"]), (&json!(15.0), &json!("once")));
    assert_eq!((&yoco["secretOwner"], &yoco["challenge"]), (&json!("endpoint"), &json!(false)));
    let opencard = shop.client.get("/provider/opencard").await.ok(200);
    assert_eq!(
        (&opencard["secretOwner"], &opencard["challenge"]),
        (&json!("application"), &json!(true))
    );
    assert!(
        opencard["authentications"].as_array().unwrap().contains(&json!("oauth2")),
        "{opencard}"
    );
    let gocardless = shop.client.get("/provider/gocardless").await.ok(200);
    assert_eq!(gocardless["clientCertificate"], true);

    let first = shop.client.get("/provider?limit=2").await.ok(200);
    assert_eq!((each(&first, "name"), &first["done"]), (names[..2].to_vec(), &json!(false)));
    let path = format!("/provider?limit=250&iterator={}", first["iterator"].as_str().unwrap());
    let rest = shop.client.get(&path).await.ok(200);
    assert_eq!((each(&rest, "name"), &rest["done"]), (names[2..].to_vec(), &json!(true)));
    let path = format!("/provider?iterator={}", rest["prevIterator"].as_str().unwrap());
    assert_eq!(each(&shop.client.get(&path).await.ok(200), "name"), names[..2]);
    let reverse = shop.client.get("/provider?order=descending").await.ok(200);
    assert!(each(&reverse, "name").into_iter().rev().eq(names.iter().copied()));
    shop.client.get("/provider?limit=0").await.fault(&["query", "limit"]);
    shop.client.get("/provider?order=random").await.fault(&["query", "order"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_provider_is_explained_with_whose_word_each_fact_is() {
    let shop = shop().await;
    let list = shop.client.get("/provider").await.ok(200);
    for (at, name) in each(&list, "name").into_iter().enumerate() {
        let mut shown = shop.client.get(&format!("/provider/{name}")).await.ok(200);
        let sections = shown.as_object_mut().unwrap().remove("description").unwrap();
        assert_eq!(shown, list["data"][at]);
        let sections = sections.as_array().unwrap();
        assert!(!sections.is_empty());
        for section in sections {
            assert_eq!(members(section), ["statements", "title"]);
            for statement in section["statements"].as_array().unwrap() {
                assert_eq!(members(statement), ["mark", "note", "text"]);
                let mark = statement["mark"].as_str().unwrap();
                assert!(["page", "found", "ours"].contains(&mark), "{mark}");
                assert!(mark == "page" || statement["note"].is_string(), "{statement}");
            }
        }
    }
    shop.client.get("/provider/stripe").await.refused(404, "not_found");
}

#[tokio::test(flavor = "multi_thread")]
async fn every_token_sees_the_providers_and_nobody_else() {
    let shop = shop().await;
    let tenant = shop.client_for("shop", |token| token).await;
    for path in ["/provider", "/provider/yoco"] {
        tenant.get(path).await.ok(200);
        shop.service.stranger().get(path).await.refused(401, "authentication_failed");
    }
}
