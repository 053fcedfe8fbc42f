//! A shop whose messages arrive somewhere; what is closed to whom; and listings walked to their end.

use crate::common::{Answer, Client, Service, answer, each, service};
use hookwheel::simulate::receiver::{self, Consumer, Receiver};
use hookwheel::{NewAccessToken, NewApplication};
use reqwest::Method;
use serde_json::{Value, json};
use std::time::Duration;

/// What there is on a page while a listing is walked.
const PAGE: usize = 2;

/// A served engine with the application `shop`, whose endpoint `main` goes to a receiver.
pub struct Shop {
    pub service: Service,
    /// May do everything.
    pub client: Client,
    pub receiver: Receiver,
}

/// A shop whose endpoint is retried after 30 s, 5 min and 50 min.
pub async fn shop() -> Shop {
    let service = service().await;
    let client = service.shop().await;
    let receiver = Receiver::start(Consumer::Unchecked, "").await.unwrap();
    let shop = Shop { service, client, receiver };
    shop.endpoint("main", json!({"provider": "ticketnation"})).await;
    shop
}

impl Shop {
    /// Makes an endpoint that goes to the receiver.
    pub async fn endpoint(&self, uid: &str, more: Value) -> Value {
        let mut body = json!({"url": self.receiver.url(), "uid": uid});
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        self.client.post("/app/shop/endpoint", body).await.ok(201)
    }

    /// Sends an order with that number, and waits for what comes of it.
    pub async fn order(&self, number: u32) -> String {
        self.send(json!({"eventType": "order.created", "payload": {"orderId": number}})).await
    }

    /// Sends a message, waits for what comes of it, and tells its id.
    pub async fn send(&self, message: Value) -> String {
        let sent = self.client.post("/app/shop/msg", message).await.ok(202);
        self.service.engine.settle().await;
        sent["id"].as_str().unwrap().to_owned()
    }

    /// Sends an order that is given up after all its attempts.
    pub async fn exhausted_order(&self, number: u32) -> String {
        self.receiver.answer_always(Some(receiver::Answer::status(500)));
        let id = self.order(number).await;
        for seconds in [30, 300, 3000] {
            self.service.advance(Duration::from_secs(seconds)).await;
        }
        self.receiver.answer_always(None);
        id
    }

    /// A client with a token for an application, made as `change` says.
    pub async fn client_for(
        &self,
        uid: &str,
        change: impl FnOnce(NewAccessToken) -> NewAccessToken,
    ) -> Client {
        let application = self.service.engine.application_by_uid(uid).unwrap().id;
        let token = NewAccessToken { name: uid.to_owned(), ..NewAccessToken::default() };
        let token = change(NewAccessToken { application: Some(application), ..token });
        self.service.client_of(token).await
    }

    /// That a path of the shop, like `/app/shop/msg`, is there for its own token alone, and for the
    /// portal where `portal` says so.
    pub async fn is_guarded(&self, method: Method, path: &str, body: Value, portal: bool) {
        let ask = async |client: &Client, path: &str| -> Answer {
            let request = client.request(method.clone(), path);
            let has_body = method != Method::GET && method != Method::DELETE;
            answer(if has_body { request.json(&body) } else { request }).await
        };
        ask(&self.service.stranger(), path).await.refused(401, "authentication_failed");
        let wrong = self.service.client_with("hw_0_0");
        ask(&wrong, path).await.refused(401, "authentication_failed");
        if self.service.engine.application_by_uid("other").is_none() {
            let other = NewApplication::new("Other");
            let other = NewApplication { uid: Some("other".to_owned()), ..other };
            self.service.engine.create_application(other).await.unwrap();
        }
        let other = self.client_for("other", |token| token).await;
        ask(&other, path).await.refused(404, "not_found");
        let nowhere = path.replace("/app/shop", "/app/nowhere");
        ask(&self.client, &nowhere).await.refused(404, "not_found");
        if method != Method::GET {
            let read_only =
                self.client_for("shop", |token| NewAccessToken { read_only: true, ..token }).await;
            ask(&read_only, path).await.refused(403, "forbidden");
        }
        if !portal {
            let portal =
                self.client_for("shop", |token| NewAccessToken { portal: true, ..token }).await;
            ask(&portal, path).await.refused(403, "forbidden");
        }
    }
}

/// That a body which is no JSON, no object, of another type or too long is refused.
pub async fn refuses_bad_bodies(client: &Client, path: &str) {
    let long = format!("{{\"a\":\"{}\"}}", "x".repeat(2 * 1024 * 1024));
    let answered = client.send_text(Method::POST, path, &long).await;
    answered.refused(413, "payload_too_large");
    let text = client.request(Method::POST, path).header("content-type", "text/plain");
    answer(text.body("{}")).await.refused(415, "unsupported_media_type");
    for bad in ["", "{", "[]", "{} x"] {
        let answered = client.send_text(Method::POST, path, bad).await;
        assert_eq!(answered.status, 422, "{bad}: {}", answered.text);
        assert_eq!(answered.json["detail"][0]["loc"][0], "body");
    }
    let unknown = client.post(path, json!({"surprise": 1})).await;
    assert_eq!(unknown.status, 422, "{}", unknown.text);
    assert!(unknown.text.contains("surprise"), "{}", unknown.text);
}

/// Walks a listing, newest first, forth to its end and back to its beginning, while `arrive` adds to
/// it after each page; tells its items at the end. Each is shown once.
pub async fn walked(client: &Client, path: &str, mut arrive: impl AsyncFnMut()) -> Vec<String> {
    let question = if path.contains('?') { '&' } else { '?' };
    let page = async |iterator: &Value| {
        let mut path = format!("{path}{question}limit={PAGE}");
        if let Some(iterator) = iterator.as_str() {
            path = format!("{path}&iterator={iterator}");
        }
        client.get(&path).await.ok(200)
    };
    let ids = |page: &Value| each(page, "id").into_iter().map(str::to_owned).collect::<Vec<_>>();
    let all = client.get(&format!("{path}{question}limit=250")).await.ok(200);
    let (there, mut forth) = (ids(&all), Vec::new());
    let mut shown = page(&Value::Null).await;
    loop {
        forth.extend(ids(&shown));
        arrive().await;
        if shown["done"] == true {
            break;
        }
        shown = page(&shown["iterator"]).await;
    }
    assert_eq!(forth, there, "forth, each once, whatever arrives meanwhile");
    assert!(forth.len() > 2 * PAGE, "several pages");
    assert_eq!(ids(&page(&shown["iterator"]).await), Vec::<String>::new(), "nothing behind");
    let (mut back, mut has_arrived) = (ids(&shown), false);
    loop {
        shown = page(&shown["prevIterator"]).await;
        let items = ids(&shown);
        if items.is_empty() {
            break;
        }
        if !has_arrived {
            arrive().await;
            has_arrived = true;
        }
        back.splice(..0, items);
    }
    let all = client.get(&format!("{path}{question}limit=250")).await.ok(200);
    assert_eq!(back, ids(&all), "back, each once, with what arrived meanwhile");
    back
}

/// That a listing refuses limits and iterators that are none, and instants where it takes some.
pub async fn refuses_bad_queries(client: &Client, path: &str, instants: bool) {
    for limit in ["0", "251", "-1", "x"] {
        client.get(&format!("{path}?limit={limit}")).await.fault(&["query", "limit"]);
    }
    for iterator in ["x", "-x"] {
        let answered = client.get(&format!("{path}?iterator={iterator}")).await;
        answered.fault(&["query", "iterator"]);
    }
    for name in ["before", "after"].iter().filter(|_| instants) {
        let answered = client.get(&format!("{path}?{name}=yesterday")).await;
        answered.fault(&["query", name]);
    }
    let unknown = client.get(&format!("{path}?expanded_statuses=true&something=else")).await;
    assert_eq!(unknown.status, 200, "what other versions know is ignored: {}", unknown.text);
}
