//! Notices to the platform, and the policy that they tell of.

use crate::common::{Client, Service, members, service, service_with};
use hookwheel::simulate::receiver::{Answer, Consumer, Receiver, Setup};
use serde_json::{Value, json};
use std::time::Duration;

/// A receiver by the service's clock, and the endpoint `main` of an application that goes to it.
async fn receiver(service: &Service, client: &Client, app: &str, more: Value) -> Receiver {
    let setup = Setup { clock: service.clock.clone(), ..Setup::default() };
    let receiver = Receiver::start_with(Consumer::StandardWebhooks, "", setup).await.unwrap();
    let mut body = more;
    body["url"] = json!(receiver.url());
    body["uid"] = json!("main");
    let made = client.post(&format!("/app/{app}/endpoint"), body).await.ok(201);
    receiver.set_secret(made["secret"].as_str().unwrap());
    receiver
}

#[tokio::test(flavor = "multi_thread")]
async fn the_platform_is_told_what_its_description_says() {
    let service =
        service_with(|config| config.engine.notices_application = Some("platform".into())).await;
    let client = service.shop().await;
    client.post("/app", json!({"name": "Platform", "uid": "platform"})).await.ok(201);
    let notices = receiver(&service, &client, "platform", json!({})).await;
    let policy = json!({"disableAfterFailingDays": 1});
    let customer = receiver(&service, &client, "shop", policy).await;
    customer.answer_always(Some(Answer::status(503)));
    let message = json!({"eventType": "order.created", "eventId": "ord-1", "payload": {}});
    client.post("/app/shop/msg", message).await.ok(202);
    service.engine.settle().await;
    for _ in 0..9 {
        service.advance(Duration::from_secs(27 * 3600)).await;
    }
    let state = client.get("/app/shop/endpoint/main").await.ok(200);
    assert_eq!((&state["disabled"], &state["disableAfterFailingDays"]), (&json!(true), &json!(1)));

    let mut arrived = notices.wait_for(3).await.unwrap();
    // The last two go out side by side.
    arrived.sort_by_key(|request| {
        let body: Value = serde_json::from_slice(&request.body).unwrap();
        body["type"].to_string()
    });
    let description = client.get("/api/v1/openapi.json").await.ok(200);
    let webhooks = &description["webhooks"];
    let names = ["endpoint.disabled", "message.attempt.exhausted", "message.attempt.failing"];
    assert_eq!(members(webhooks), [&names[..], &["message.attempt.recovered"]].concat());
    for (request, name) in arrived.iter().zip(names) {
        assert_eq!(request.answered, Some(200), "signed as Standard Webhooks: {request:?}");
        let body: Value = serde_json::from_slice(&request.body).unwrap();
        assert_eq!(body["type"], name);
        let schema = "/post/requestBody/content/application~1json/schema/properties/data/$ref";
        let told = webhooks[name].pointer(schema).unwrap().as_str().unwrap();
        let schema = description.pointer(told.trim_start_matches('#')).unwrap();
        assert_eq!(members(&body["data"]), members(&schema["properties"]), "{name}");
        assert_eq!(members(&body["data"]), members(&schema["example"]), "{name}");
        assert_eq!(
            (&body["data"]["appUid"], &body["data"]["endpointUid"]),
            (&"shop".into(), &"main".into())
        );
    }
    let body: Value = serde_json::from_slice(&arrived[2].body).unwrap();
    assert_eq!(body["data"]["msgEventId"], "ord-1");
    let listed = client.get("/app/platform/msg").await.ok(200);
    assert_eq!(listed["data"].as_array().unwrap().len(), 3, "on record like any message");
}

#[tokio::test(flavor = "multi_thread")]
async fn days_of_failures_are_set_replaced_and_taken_away() {
    let service = service().await;
    let client = service.shop().await;
    let url = "http://127.0.0.1:9/";
    let path = "/app/shop/endpoint/main";
    let days = |shown: Value| shown["disableAfterFailingDays"].clone();
    let new = json!({"url": url, "uid": "main"});
    assert_eq!(days(client.post("/app/shop/endpoint", new.clone()).await.ok(201)), Value::Null);
    let five = json!({"disableAfterFailingDays": 5});
    assert_eq!(days(client.patch(path, five).await.ok(200)), 5);
    assert_eq!(days(client.put(path, new).await.ok(200)), 5, "what is ours stays");
    let description = client.get("/api/v1/openapi.json").await.ok(200);
    let replaced = &description["paths"]["/api/v1/app/{app_id}/endpoint/{endpoint_id}"]["put"];
    assert!(replaced["description"].as_str().unwrap().contains("`disableAfterFailingDays` stay"));
    let seven = json!({"url": url, "uid": "main", "disableAfterFailingDays": 7});
    assert_eq!(days(client.put(path, seven).await.ok(200)), 7);
    for wrong in [json!(0), json!(366), json!(-1), json!("5"), json!(1.5)] {
        let body = json!({"disableAfterFailingDays": wrong});
        client.patch(path, body).await.fault(&["body", "disableAfterFailingDays"]);
    }
    assert_eq!(days(client.get(path).await.ok(200)), 7);
    let none = json!({"disableAfterFailingDays": null});
    assert_eq!(days(client.patch(path, none).await.ok(200)), Value::Null);
}
