//! Endpoints: what they get, how fast, and what becomes of what waits when they change.

use crate::common::{bench, bench_with, hours, minutes, orders, posts, posts_arrived, seconds};
use hookwheel::simulate::receiver::{Answer, Consumer};
use hookwheel::{
    Config, EndpointChange, Engine, ErrorKind, HeaderChange, NewApplication, NewEndpoint, NewEvent,
};
use serde_json::json;
use std::time::Duration;

#[tokio::test(flavor = "multi_thread")]
async fn filters_choose_by_type_and_channel() {
    let bench = bench().await;
    let filters: [(&[&str], &[&str]); 5] = [
        (&[], &[]),
        (&["order.created"], &[]),
        (&["order.*"], &[]),
        (&["refund.created", "order.paid"], &[]),
        (&[], &["berlin"]),
    ];
    for (types, channels) in filters {
        bench
            .receiver_with(Consumer::Unchecked, |mut new| {
                new.channels = channels.iter().map(|&channel| channel.to_owned()).collect();
                new.events(types.iter().copied())
            })
            .await;
    }
    let endpoints = bench.engine.endpoints(bench.application).unwrap();
    for (event_type, channels, wanted) in [
        ("order.created", &[][..], &[0, 1, 2, 4][..]),
        ("order.paid", &[], &[0, 2, 3, 4]),
        ("order.refund.created", &[], &[0, 2, 4]),
        ("orders.created", &[], &[0, 4]),
        ("order.created", &["paris"], &[0, 1, 2]),
        ("order.created", &["paris", "berlin"], &[0, 1, 2, 4]),
    ] {
        let event = bench.event(event_type, json!({})).channels(channels.iter().copied());
        let emitted = bench.engine.emit(event).await.unwrap();
        let got: Vec<_> = emitted.deliveries.iter().map(|delivery| delivery.endpoint).collect();
        let wanted: Vec<_> = wanted.iter().map(|&index| endpoints[index].id).collect();
        assert_eq!(got, wanted, "{event_type} {channels:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn custom_headers_go_out_and_reserved_ones_are_refused() {
    let bench = bench().await;
    let (receiver, created) = bench
        .receiver_with(Consumer::TicketNation, |mut new| {
            new.headers = vec![("X-Shop-Region".to_owned(), "eu west".to_owned())];
            new
        })
        .await;
    bench.settled_order(1).await;
    let sent = posts(&receiver).remove(0);
    assert!(sent.verdict.is_accepted());
    assert!(sent.headers.contains(&("X-Shop-Region".to_owned(), "eu west".to_owned())));

    for (name, value, reason) in [
        ("Host", "evil.example", "reserved"),
        ("content-length", "1", "reserved"),
        ("Transfer-Encoding", "chunked", "reserved"),
        ("Webhook-Id", "mine", "reserved"),
        ("X-TN-Signature", "mine", "reserved"),
        ("User-Agent", "mine", "reserved"),
        ("Authorization", "Bearer x", "encrypted"),
        ("X Space", "a", "is not one"),
        ("X-Line\r\nX-More", "a", "is not one"),
        ("X-Line", "a\r\nX-Injected: b", "cannot be sent"),
        ("X-Null", "a\0", "cannot be sent"),
    ] {
        let headers = HeaderChange::Replace(vec![(name.to_owned(), value.to_owned())]);
        let change = EndpointChange { headers: Some(headers), ..EndpointChange::default() };
        let error = bench.engine.update_endpoint(created.endpoint.id, change).await.unwrap_err();
        assert!(error.is_invalid() && error.to_string().contains(reason), "{name}: {error}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rate_limit_spaces_webhooks_evenly() {
    let bench = bench().await;
    let (receiver, _) = bench
        .receiver_with(Consumer::Unchecked, |mut new| {
            new.rate_limit_per_second = Some(4);
            new
        })
        .await;
    for number in 0..8 {
        bench.order(number).await;
    }
    bench.engine.settle().await;
    assert_eq!(posts(&receiver).len(), 1);
    for arrived in 2..=8 {
        bench.advance(Duration::from_millis(249)).await;
        assert_eq!(posts(&receiver).len(), arrived - 1, "too early");
        bench.advance(Duration::from_millis(1)).await;
        posts_arrived(&receiver, arrived).await;
        assert_eq!(posts(&receiver).len(), arrived);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn no_more_requests_are_in_flight_than_the_endpoint_takes() {
    let bench = bench().await;
    let silent = bench.listen_raw().await;
    let mut endpoint = NewEndpoint::new(silent.url());
    endpoint.concurrency = 3;
    let id = bench.endpoint(endpoint).await.endpoint.id;
    let mut deliveries = Vec::new();
    for number in 0..10 {
        deliveries.push(bench.order(number).await);
    }
    silent.connections(3).await;
    let mut sending = 0;
    for delivery in deliveries {
        sending += usize::from(bench.state(delivery).await == "sending");
    }
    assert_eq!(sending, 3);
    bench.engine.delete_endpoint(id).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn local_and_plain_addresses_are_for_development_only() {
    let bench = bench_with(|builder| builder).await;
    for url in [
        "https://127.0.0.1/hooks",
        "https://localhost/hooks",
        "https://10.0.0.1/hooks",
        "https://[::1]/hooks",
        "https://169.254.169.254/latest",
    ] {
        let error = bench.endpoint_refused(NewEndpoint::new(url)).await;
        assert_eq!(error.kind(), ErrorKind::AddressRefused, "{url}: {error}");
    }
    for provider in ["citizen-ticket", "yoco", "ticketnation", "gocardless", "opencard"] {
        let endpoint = NewEndpoint::new("http://example.com/hooks").provider(provider);
        let error = bench.endpoint_refused(endpoint).await;
        assert!(error.to_string().contains("https"), "{provider}: {error}");
    }
    let plain = NewEndpoint::new("http://example.com/hooks");
    assert_eq!(
        bench.endpoint(plain).await.endpoint.state.as_str(),
        "enabled",
        "the spec allows it"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_work_is_refused_and_nothing_is_stored() {
    let bench = bench().await;
    let good = || NewEndpoint::new("https://example.com/hooks");
    let refused = async |change: &dyn Fn(&mut NewEndpoint)| {
        let mut endpoint = good();
        change(&mut endpoint);
        bench.endpoint_refused(endpoint).await.to_string()
    };
    assert!(refused(&|new| new.provider = "acme".to_owned()).await.contains("known are"));
    assert!(refused(&|new| new.url = "ftp://a.example".to_owned()).await.contains("`https://`"));
    assert!(refused(&|new| new.rate_limit_per_second = Some(0)).await.contains("rate limit"));
    assert!(refused(&|new| new.concurrency = 0).await.contains("between 1 and 1024"));
    assert!(
        refused(&|new| new.event_filter = vec!["*.created".into()]).await.contains("*.created")
    );
    assert!(refused(&|new| new.channels = vec!["a b".into()]).await.contains("channel `a b`"));
    assert!(refused(&|new| new.uid = Some("a/b".into())).await.contains("uid `a/b`"));
    assert!(refused(&|new| new.scheme = Some("v9".into())).await.contains("known are v1, v1a"));
    let short = refused(&|new| new.secret = Some(hookwheel::Secret::new("whsec_c2hvcnQ="))).await;
    assert!(short.contains("24") && !short.contains("c2hvcnQ"), "{short}");
    assert!(bench.engine.endpoints(bench.application).unwrap().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_uid_is_taken_once() {
    let bench = bench().await;
    let with_uid = |uid: &str| {
        let mut endpoint = NewEndpoint::new("https://example.com/hooks");
        endpoint.uid = Some(uid.to_owned());
        endpoint
    };
    let first = bench.endpoint(with_uid("till-1")).await.endpoint;
    assert!(bench.endpoint_refused(with_uid("till-1")).await.is_conflict());
    let second = bench.endpoint(with_uid("till-2")).await.endpoint;
    let uid = Some(Some("till-1".to_owned()));
    let change = EndpointChange { uid: uid.clone(), ..EndpointChange::default() };
    let error = bench.engine.update_endpoint(second.id, change.clone()).await.unwrap_err();
    assert!(error.is_conflict(), "{error}");
    bench.engine.delete_endpoint(first.id).await.unwrap();
    bench.engine.update_endpoint(second.id, change).await.unwrap();

    let mut shop = NewApplication::new("Other");
    shop.uid = Some("shop".to_owned());
    let other = bench.engine.create_application(shop.clone()).await.unwrap();
    assert!(bench.engine.create_application(shop.clone()).await.unwrap_err().is_conflict());
    assert_eq!(bench.engine.application_by_uid("shop").unwrap().id, other.id);
    bench.engine.create_endpoint(other.id, with_uid("till-2")).await.unwrap();
    bench.engine.delete_application(other.id).await.unwrap();
    assert!(bench.engine.application_by_uid("shop").is_none());
    bench.engine.create_application(shop).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_disabled_endpoint_keeps_what_waits_and_skips_what_is_new() {
    let bench = bench().await;
    let (receiver, created) = bench.receiver(Consumer::TicketNation).await;
    let id = created.endpoint.id;
    receiver.answer_next([Answer::status(500)]);
    let waiting = bench.settled_order(1).await;
    bench.engine.disable_endpoint(id, "for the holidays").await.unwrap();
    let emitted = bench.emit("order.created", json!({ "orderId": 2 })).await;
    assert_eq!(emitted.reach.explain().unwrap(), "of 1 endpoint(s): 1 disabled");
    bench.advance(minutes(60)).await;
    assert_eq!(posts(&receiver).len(), 1);
    assert_eq!(bench.state(waiting).await, "waiting");
    bench.engine.enable_endpoint(id).await.unwrap();
    bench.engine.settle().await;
    assert_eq!(orders(&posts(&receiver)), [1, 1]);
    bench.engine.recover(id, crate::common::start(), None).await.unwrap();
    bench.engine.settle().await;
    assert_eq!(orders(&posts(&receiver)), [1, 1, 2]);
    assert_eq!(bench.state(emitted.deliveries[0]).await, "succeeded");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deleted_endpoint_cancels_what_waits_and_keeps_its_history() {
    let bench = bench().await;
    let (receiver, created) = bench.receiver(Consumer::TicketNation).await;
    let id = created.endpoint.id;
    let done = bench.settled_order(1).await;
    receiver.answer_next([Answer::status(500)]);
    let waiting = bench.settled_order(2).await;
    bench.engine.delete_endpoint(id).await.unwrap();
    bench.advance(minutes(60)).await;
    assert_eq!(posts(&receiver).len(), 2);
    assert_eq!(bench.state(done).await, "succeeded");
    assert_eq!(bench.state(waiting).await, "cancelled");
    assert_eq!(bench.served(id), "deleted");
    assert!(bench.engine.endpoints(bench.application).unwrap().is_empty());
    let error = bench.engine.replay(waiting).await.unwrap_err();
    assert!(error.is_not_found() && error.to_string().contains("was deleted"), "{error}");
    assert!(bench.engine.enable_endpoint(id).await.unwrap_err().is_not_found());
    let emitted = bench.emit("order.created", json!({})).await;
    assert_eq!(emitted.reach.explain().unwrap(), "the application has no endpoint");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deleted_endpoint_is_forgotten_with_its_history() {
    let bench = bench().await;
    let (_, created) = bench.receiver(Consumer::TicketNation).await;
    let id = created.endpoint.id;
    bench.settled_order(1).await;
    bench.engine.delete_endpoint(id).await.unwrap();
    bench.engine.expire().await.unwrap();
    assert_eq!(bench.served(id), "deleted");
    bench.advance(hours(24 * 365)).await;
    assert_eq!(bench.engine.expire().await.unwrap(), 1);
    let error = bench.engine.endpoint(id).unwrap_err();
    assert!(error.to_string().contains("does not exist"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_changed_endpoint_is_served_as_it_is_now() {
    let bench = bench().await;
    let (old, created) = bench.receiver(Consumer::TicketNation).await;
    old.answer_next([Answer::status(500)]);
    let delivery = bench.settled_order(1).await;
    let new = bench.listen(Consumer::TicketNation).await;
    new.set_secret(created.secret.expose());
    let change = EndpointChange { url: Some(new.url()), ..EndpointChange::default() };
    bench.engine.update_endpoint(created.endpoint.id, change).await.unwrap();
    bench.advance(seconds(30)).await;
    assert_eq!((posts(&old).len(), posts(&new).len()), (1, 1), "the retry goes to the new URL");
    let attempts = bench.history(delivery).await.attempts;
    assert_eq!(attempts[0].request.url, old.url());
    assert_eq!(attempts[1].request.url, new.url());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_application_has_a_bounded_number_of_endpoints() {
    let config = Config { endpoints_max: 2, ..Config::default() };
    let engine = Engine::builder().in_memory().config(config).open().await.unwrap();
    let shop = engine.create_application(NewApplication::new("Shop")).await.unwrap().id;
    let endpoint = || NewEndpoint::new("https://example.com/hooks");
    for _ in 0..2 {
        engine.create_endpoint(shop, endpoint()).await.unwrap();
    }
    let error = engine.create_endpoint(shop, endpoint()).await.unwrap_err();
    assert!(error.to_string().contains("endpoints_max"), "{error}");
    engine.close().await.unwrap();
    let event = NewEvent::new(shop, "order.created", &json!({})).unwrap();
    assert_eq!(engine.emit(event).await.unwrap_err().kind(), ErrorKind::Closed);
}
