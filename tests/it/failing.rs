//! An endpoint that fails for days is disabled where it says so.

use crate::common::{Bench, bench, hours, minutes, open_in, seconds, start};
use hookwheel::simulate::receiver::{Answer, Consumer, Receiver};
use hookwheel::{EndpointChange, EndpointId, NewApplication, NewEndpoint, NewEvent, Timestamp};
use serde_json::json;

/// An endpoint that is disabled after two days of failures, whose receiver accepts nothing.
async fn failing(bench: &Bench) -> (Receiver, EndpointId) {
    let policy = |endpoint| NewEndpoint { disable_after_failing_days: Some(2), ..endpoint };
    let (receiver, created) = bench.receiver_with(Consumer::TicketNation, policy).await;
    receiver.answer_always(Some(Answer::status(500)));
    (receiver, created.endpoint.id)
}

#[tokio::test(flavor = "multi_thread")]
async fn it_takes_a_failure_when_the_days_are_over() {
    let bench = bench().await;
    let (_receiver, id) = failing(&bench).await;
    bench.settled_order(1).await;
    bench.advance(hours(48)).await;
    // The second attempt was due long ago, and is the one.
    bench.until_served(id, "disabled").await;
    let state = format!("{:?}", bench.engine.endpoint(id).unwrap().state);
    assert!(state.contains("every attempt has failed since 2026-01-15T12:00:00.000Z"), "{state}");
}

#[tokio::test(flavor = "multi_thread")]
async fn it_does_not_happen_without_being_asked_for() {
    let bench = bench().await;
    let (receiver, created) = bench.receiver(Consumer::TicketNation).await;
    receiver.answer_always(Some(Answer::status(500)));
    bench.settled_order(1).await;
    bench.advance(hours(1000)).await;
    bench.settled_order(2).await;
    assert_eq!(bench.served(created.endpoint.id), "enabled");
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_is_accepted_begins_the_days_anew() {
    let bench = bench().await;
    let (receiver, id) = failing(&bench).await;
    bench.settled_order(1).await;
    for number in 2..6 {
        bench.advance(hours(40)).await;
        receiver.answer_next([Answer::status(200)]);
        bench.settled_order(number).await;
        bench.settled_order(number + 10).await;
        assert_eq!(bench.served(id), "enabled");
    }
    bench.advance(hours(48)).await;
    bench.until_served(id, "disabled").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn another_url_and_being_enabled_begin_the_days_anew() {
    let bench = bench().await;
    let (receiver, id) = failing(&bench).await;
    bench.settled_order(1).await;
    bench.advance(hours(47)).await;
    let elsewhere = format!("{}elsewhere", receiver.url());
    let change = EndpointChange { url: Some(elsewhere), ..EndpointChange::default() };
    bench.engine.update_endpoint(id, change).await.unwrap();
    bench.advance(minutes(55)).await;
    bench.advance(hours(2)).await;
    bench.settled_order(2).await;
    assert_eq!(bench.served(id), "enabled");
    bench.advance(hours(48)).await;
    bench.until_served(id, "disabled").await;

    bench.engine.enable_endpoint(id).await.unwrap();
    bench.settled_order(3).await;
    bench.advance(seconds(30)).await;
    assert_eq!(bench.served(id), "enabled");
    let change =
        EndpointChange { disable_after_failing_days: Some(None), ..EndpointChange::default() };
    bench.engine.update_endpoint(id, change).await.unwrap();
    bench.advance(hours(48)).await;
    bench.settled_order(4).await;
    assert_eq!(bench.served(id), "enabled", "nobody asks any more");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_days_go_on_over_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let receiver = Receiver::start(Consumer::Unchecked, "").await.unwrap();
    receiver.answer_always(Some(Answer::status(500)));
    let fails_at = async |after: u64, endpoint: Option<EndpointId>| {
        let now: Timestamp = start().after(hours(after));
        let engine = open_in(folder.path(), now).await;
        let shop = match engine.applications().first() {
            Some(shop) => shop.id,
            None => engine.create_application(NewApplication::new("Shop")).await.unwrap().id,
        };
        let id = match endpoint {
            Some(id) => id,
            None => {
                let new = NewEndpoint {
                    disable_after_failing_days: Some(2),
                    ..NewEndpoint::new(receiver.url()).provider("ticketnation")
                };
                engine.create_endpoint(shop, new).await.unwrap().endpoint.id
            }
        };
        let order = NewEvent::new(shop, "order.created", &json!({ "orderId": after })).unwrap();
        engine.emit(order).await.unwrap();
        engine.settle().await;
        if after == 0 {
            // A run is written down once it has lasted for an hour.
            engine.clock().advance(hours(1));
            engine.settle().await;
        }
        let held = engine.endpoint(id).unwrap();
        assert_eq!(held.disable_after_failing_days, Some(2));
        engine.close().await.unwrap();
        (id, held.state.as_str())
    };
    let (id, state) = fails_at(0, None).await;
    assert_eq!(state, "enabled");
    assert_eq!(fails_at(47, Some(id)).await.1, "enabled");
    assert_eq!(fails_at(48, Some(id)).await.1, "disabled");
}

#[tokio::test(flavor = "multi_thread")]
async fn days_that_are_none_are_refused() {
    let bench = bench().await;
    for days in [0, 366] {
        let new = NewEndpoint {
            disable_after_failing_days: Some(days),
            ..NewEndpoint::new("https://shop.example/")
        };
        let error = bench.endpoint_refused(new).await;
        assert!(error.is_invalid() && error.to_string().contains("between 1 and 365"), "{error}");
    }
}
