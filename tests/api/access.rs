//! Who may ask for what: the rules that hold for every route, read from the API's own description.

use crate::common::{Answer, Client, Service, answer, service, soon};
use hookwheel::NewAccessToken;
use reqwest::Method;
use serde_json::{Value, json};
use std::time::Duration;

/// A route: its method, its path as described, and the same with names put in.
struct Route {
    method: Method,
    described: String,
    path: String,
    is_open: bool,
}

impl Route {
    async fn ask(&self, client: &Client, body: &Value) -> Answer {
        client.send_text(self.method.clone(), &self.path, &body.to_string()).await
    }
}

/// Every route that the API says it has.
async fn routes(service: &Service) -> Vec<Route> {
    let document = service.stranger().get("/api/v1/openapi.json").await.ok(200);
    let mut routes = Vec::new();
    for (described, item) in document["paths"].as_object().unwrap() {
        for method in ["get", "post", "put", "patch", "delete"] {
            let Some(operation) = item.get(method) else { continue };
            let path = described.replace("{app_id}", "shop").replace("{endpoint_id}", "main");
            routes.push(Route {
                method: method.to_uppercase().parse().unwrap(),
                described: described.clone(),
                path: path.replace(['{', '}'], ""),
                is_open: operation["security"] == json!([{}]),
            });
        }
    }
    assert!(routes.len() > 50, "{} routes", routes.len());
    routes
}

/// A service with an application `shop` and its endpoint `main`, and a client for everything.
async fn shop() -> (Service, Client) {
    let service = crate::common::service_with(|config| {
        config.api.requests_burst = 10_000;
    })
    .await;
    let client = service.shop().await;
    let endpoint = json!({"url": "http://127.0.0.1:9/", "uid": "main"});
    client.post("/app/shop/endpoint", endpoint).await.ok(201);
    (service, client)
}

/// A token for one application.
async fn bound(service: &Service, uid: &str, portal: bool) -> Client {
    let application = service.engine.application_by_uid(uid).map(|held| held.id);
    let token = NewAccessToken { application, portal, ..NewAccessToken::default() };
    service.client_of(token).await
}

#[tokio::test(flavor = "multi_thread")]
async fn no_route_but_health_answers_without_a_good_token() {
    let (service, _) = shop().await;
    let (token, revoked) =
        service.engine.create_access_token(NewAccessToken::default()).await.unwrap();
    service.engine.revoke_access_token(token.id).await.unwrap();
    let brief = NewAccessToken { expires_in: Some(Duration::from_secs(1)), ..Default::default() };
    let expired = service.client_of(brief).await;
    service.clock.advance(Duration::from_secs(1));
    let mut changed = expired.token.clone().unwrap();
    changed.push('x');
    let strangers = [
        service.stranger(),
        service.client_with("hw_canary"),
        service.client_with(""),
        service.client_with(revoked.expose()),
        service.client_with(&changed),
        expired,
    ];
    let mut open = Vec::new();
    for route in routes(&service).await {
        if route.is_open {
            route.ask(&strangers[0], &Value::Null).await.is_empty(204);
            open.push(route.described);
            continue;
        }
        for stranger in &strangers {
            let refused = route.ask(stranger, &json!({})).await;
            let detail = refused.refused(401, "authentication_failed");
            assert!(!detail.contains("canary"), "{detail}");
            assert_eq!(refused.headers["www-authenticate"], "Bearer", "{}", route.path);
        }
    }
    open.sort_unstable();
    assert_eq!(open, ["/api/v1/health", "/api/v1/health/ping", "/health/live", "/health/ready"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_is_taken_from_its_header_only_and_in_any_case_of_the_scheme() {
    let (service, client) = shop().await;
    let (stranger, token) = (service.stranger(), client.token.clone().unwrap());
    let ask = async |header: String| {
        answer(stranger.request(Method::GET, "/app").header("authorization", header)).await
    };
    ask(format!("bearer {token}")).await.ok(200);
    ask(format!("BEARER  {token}")).await.ok(200);
    for header in [token.clone(), format!("Basic {token}"), "Bearer".to_owned()] {
        ask(header).await.refused(401, "authentication_failed");
    }
    let path = format!("/app?token={token}&access_token={token}");
    stranger.get(&path).await.refused(401, "authentication_failed");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_read_only_token_reads_and_does_nothing_else() {
    let (service, _) = shop().await;
    let reader = NewAccessToken { read_only: true, ..NewAccessToken::default() };
    let reader = service.client_of(reader).await;
    for route in routes(&service).await.iter().filter(|route| route.method != Method::GET) {
        let refused = route.ask(&reader, &json!({})).await;
        assert_eq!(refused.status, 403, "{} {}: {}", route.method, route.path, refused.text);
        refused.refused(403, "forbidden");
    }
    for path in ["/app", "/app/shop", "/app/shop/endpoint", "/app/shop/endpoint/main/stats"] {
        reader.get(path).await.ok(200);
    }
    // Whoever has it can sign.
    reader.get("/app/shop/endpoint/main/secret").await.refused(403, "forbidden");
}

#[tokio::test(flavor = "multi_thread")]
async fn to_a_token_of_one_application_no_other_is_there() {
    let (service, client) = shop().await;
    client.post("/app", json!({"name": "Other", "uid": "other"})).await.ok(201);
    for portal in [false, true] {
        let other = bound(&service, "other", portal).await;
        for route in routes(&service).await {
            if !route.described.contains("{app_id}") {
                continue;
            }
            // Whole enough to come as far as the application.
            let body = match (route.method.as_str(), route.described.as_str()) {
                ("PUT", "/api/v1/app/{app_id}") => json!({"name": "Mine now"}),
                ("POST", "/api/v1/app/{app_id}/msg") => json!({"eventType": "a", "payload": {}}),
                _ => json!({}),
            };
            let refused = route.ask(&other, &body).await;
            let is_platforms = portal && refused.status == 403;
            if !is_platforms {
                assert_eq!(refused.status, 404, "{} {}", route.method, route.path);
                refused.refused(404, "not_found");
            }
        }
        let seen = other.get("/app").await.ok(200);
        assert_eq!(crate::common::each(&seen, "uid"), ["other"]);
        other.get("/app/other").await.ok(200);
    }
    assert_eq!(client.get("/app/shop").await.ok(200)["name"], "Shop");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_of_one_application_sends_for_it_and_changes_none() {
    let (service, _) = shop().await;
    let own = bound(&service, "shop", false).await;
    // With another uid it could take the place of a customer who comes later.
    own.patch("/app/shop", json!({"uid": "other"})).await.refused(403, "forbidden");
    own.put("/app/shop", json!({"name": "Store"})).await.refused(403, "forbidden");
    own.delete("/app/shop").await.refused(403, "forbidden");
    let message = json!({"eventType": "a.b", "payload": {}});
    own.post("/app/shop/msg", message).await.ok(202);
    own.post("/app", json!({"name": "New"})).await.refused(404, "not_found");
    own.put("/app/new", json!({"name": "New"})).await.refused(404, "not_found");
    own.get("/token").await.refused(404, "not_found");
    own.post("/token", json!({"name": "x"})).await.refused(404, "not_found");
    own.get("/metrics").await.refused(404, "not_found");
    own.get("/outcome/stream").await.refused(404, "not_found");
    service.client().await.delete("/app/shop").await.is_empty(204);
    own.get("/app").await.refused(401, "authentication_failed");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_that_only_reads_sees_no_secret() {
    let (service, client) = shop().await;
    let token = NewAccessToken { read_only: true, ..NewAccessToken::default() };
    let reader = service.client_of(token).await;
    reader.get("/app/shop/endpoint/main").await.ok(200);
    reader.get("/app/shop/endpoint/main/secret").await.refused(403, "forbidden");
    client.get("/app/shop/endpoint/main/secret").await.ok(200);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_portal_sees_the_event_types_that_its_flags_open() {
    let (service, client) = shop().await;
    for (name, flags) in [("a", json!(["beta"])), ("b", json!(null)), ("c", json!("gamma"))] {
        let body = json!({"name": name, "description": "", "featureFlag": flags});
        client.post("/event-type", body).await.ok(201);
    }
    let access = json!({"featureFlags": ["beta"]});
    let access = client.post("/auth/app-portal-access/shop", access).await.ok(200);
    let portal = service.client_with(access["token"].as_str().unwrap());
    let seen = portal.get("/event-type").await.ok(200);
    assert_eq!(crate::common::each(&seen, "name"), ["a", "b"]);
    portal.get("/event-type/a").await.ok(200);
    portal.get("/event-type/c").await.refused(404, "not_found");
    let all = client.get("/event-type").await.ok(200);
    assert_eq!(crate::common::each(&all, "name"), ["a", "b", "c"]);
    assert_eq!(all["data"][2]["featureFlag"], "gamma");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_portal_looks_after_endpoints_and_nothing_else() {
    let (service, _) = shop().await;
    let portal = bound(&service, "shop", true).await;
    let endpoint = json!({"url": "http://127.0.0.1:9/", "uid": "second"});
    portal.post("/app/shop/endpoint", endpoint).await.ok(201);
    portal.patch("/app/shop/endpoint/second", json!({"name": "x"})).await.ok(200);
    portal.post("/app/shop/endpoint/second/secret/rotate", json!({})).await.ok(200);
    portal.delete("/app/shop/endpoint/second").await.is_empty(204);
    portal.get("/app/shop/msg").await.ok(200);
    portal.get("/event-type").await.ok(200);
    portal.patch("/app/shop", json!({"name": "Store"})).await.refused(403, "forbidden");
    portal.put("/app/shop", json!({"name": "Store"})).await.refused(403, "forbidden");
    portal.delete("/app/shop").await.refused(403, "forbidden");
    let message = json!({"eventType": "a.b", "payload": {}});
    portal.post("/app/shop/msg", message).await.refused(403, "forbidden");
    portal.post("/auth/app-portal-access/shop", json!({})).await.refused(403, "forbidden");
    assert_eq!(portal.get("/app/shop").await.ok(200)["name"], "Shop");
}

#[tokio::test(flavor = "multi_thread")]
async fn paths_and_methods_that_are_not_there_are_told_in_json() {
    let (service, client) = shop().await;
    for path in ["/", "/nothing", "/app/shop/nothing", "/app/shop/endpoint/main/nothing/"] {
        client.get(path).await.refused(404, "not_found");
    }
    let root = soon(service.stranger().http.get(&service.url).send()).await.unwrap();
    assert_eq!(root.status().as_u16(), 404);
    let refused = client.delete("/app").await;
    refused.refused(405, "method_not_allowed");
    let mut allowed: Vec<_> = refused.headers["allow"].to_str().unwrap().split(',').collect();
    allowed.sort_unstable();
    assert_eq!(allowed, ["GET", "HEAD", "POST"]);
    client
        .post("/app/shop/endpoint/main/stats", json!({}))
        .await
        .refused(405, "method_not_allowed");
    client
        .put("/app/shop/endpoint/main/secret/rotate/", json!({}))
        .await
        .refused(405, "method_not_allowed");
    let head = answer(client.request(Method::HEAD, "/app")).await;
    head.is_empty(200);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_is_json_or_refused() {
    let service = service().await;
    let client = service.client().await;
    let post = async |kind: Option<&str>, body: &'static str| {
        let mut request = client.request(Method::POST, "/app").body(body);
        if let Some(kind) = kind {
            request = request.header("content-type", kind);
        }
        answer(request).await
    };
    for kind in ["application/json", "application/json; charset=utf-8", "Application/JSON"] {
        post(Some(kind), r#"{"name": "a"}"#).await.ok(201);
    }
    post(Some("application/merge-patch+json"), r#"{"name": "a"}"#).await.ok(201);
    post(None, r#"{"name": "a"}"#).await.ok(201);
    for kind in ["text/plain", "application/x-www-form-urlencoded", "", "application/jsonp"] {
        let refused = post(Some(kind), r#"{"name": "a"}"#).await;
        refused.refused(415, "unsupported_media_type");
    }
    // The members of an object in their order, as some formats have them.
    let listed = post(None, r#"["a", null, null, {}]"#).await;
    assert!(listed.fault(&["body"]).contains("is a list"), "{}", listed.text);
    let mut bytes = br#"{"name": ""#.to_vec();
    bytes.extend([0xff, 0xfe]);
    bytes.extend(br#""}"#);
    let request = client.request(Method::POST, "/app").header("content-type", "application/json");
    answer(request.body(bytes)).await.fault(&["body", "name"]);
}
