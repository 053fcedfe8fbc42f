//! An endpoint that fails for days is disabled where it says so.

use crate::common::{Bench, bench, hours, minutes, open_in, posts_arrived, seconds, start, until};
use hookwheel::simulate::receiver::{Answer, Consumer, Receiver};
use hookwheel::{
    ApplicationId, EndpointChange, EndpointId, Engine, NewApplication, NewEndpoint, NewEvent,
    TestEvent,
};
use serde_json::json;
use std::time::Duration;
use tempfile::TempDir;

/// The delays of TicketNation's ladder.
fn ladder() -> [Duration; 3] {
    [seconds(30), minutes(5), minutes(50)]
}

/// That an endpoint is disabled after two days of failures.
fn two_days() -> EndpointChange {
    EndpointChange { disable_after_failing_days: Some(Some(2)), ..EndpointChange::default() }
}

/// An endpoint with that policy, whose receiver accepts nothing.
async fn failing(bench: &Bench) -> (Receiver, EndpointId) {
    let policy = |endpoint| NewEndpoint { disable_after_failing_days: Some(2), ..endpoint };
    let (receiver, created) = bench.receiver_with(Consumer::TicketNation, policy).await;
    receiver.answer_always(Some(Answer::status(500)));
    (receiver, created.endpoint.id)
}

/// Emits an order, and lets the hour pass in which all its attempts are made.
async fn given_up(bench: &Bench, number: u32) {
    bench.settled_order(number).await;
    for delay in ladder() {
        bench.advance(delay).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn it_takes_a_webhook_that_is_given_up_when_the_days_are_over() {
    let bench = bench().await;
    let (_receiver, id) = failing(&bench).await;
    given_up(&bench, 1).await;
    bench.advance(hours(48)).await;
    bench.settled_order(2).await;
    for delay in ladder() {
        assert_eq!(bench.served(id), "enabled", "{delay:?} are left to it");
        bench.advance(delay).await;
    }
    bench.until_served(id, "disabled").await;
    let state = format!("{:?}", bench.engine.endpoint(id).unwrap().state);
    assert!(state.contains("every attempt has failed since 2026-01-15T12:00:00.000Z"), "{state}");
}

#[tokio::test(flavor = "multi_thread")]
async fn one_bad_answer_after_days_of_silence_does_not_do_it() {
    let bench = bench().await;
    let (receiver, id) = failing(&bench).await;
    given_up(&bench, 1).await;
    bench.advance(hours(168)).await;
    receiver.answer_always(None);
    receiver.answer_next([Answer::status(502)]);
    let delivery = bench.settled_order(2).await;
    bench.advance(seconds(30)).await;
    assert_eq!((bench.state(delivery).await, bench.served(id)), ("succeeded", "enabled"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_test_event_does_not_begin_the_days() {
    let bench = bench().await;
    let (_receiver, id) = failing(&bench).await;
    bench.engine.test(id, TestEvent::default()).await.unwrap();
    bench.advance(hours(168)).await;
    bench.engine.test(id, TestEvent::default()).await.unwrap();
    given_up(&bench, 1).await;
    bench.engine.settle().await;
    assert_eq!(bench.served(id), "enabled");
}

#[tokio::test(flavor = "multi_thread")]
async fn it_does_not_happen_without_being_asked_for() {
    let bench = bench().await;
    let (receiver, created) = bench.receiver(Consumer::TicketNation).await;
    receiver.answer_always(Some(Answer::status(500)));
    given_up(&bench, 1).await;
    bench.advance(hours(1000)).await;
    given_up(&bench, 2).await;
    assert_eq!(bench.served(created.endpoint.id), "enabled");
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_is_accepted_begins_the_days_anew() {
    let bench = bench().await;
    let (receiver, id) = failing(&bench).await;
    given_up(&bench, 1).await;
    for number in 2..6 {
        bench.advance(hours(40)).await;
        receiver.answer_next([Answer::status(200)]);
        bench.settled_order(number).await;
        given_up(&bench, number + 10).await;
        assert_eq!(bench.served(id), "enabled");
    }
    bench.advance(hours(48)).await;
    given_up(&bench, 20).await;
    bench.until_served(id, "disabled").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn another_url_and_being_enabled_begin_the_days_anew() {
    let bench = bench().await;
    let (receiver, id) = failing(&bench).await;
    given_up(&bench, 1).await;
    bench.advance(hours(47)).await;
    let elsewhere = format!("{}elsewhere", receiver.url());
    let change = EndpointChange { url: Some(elsewhere), ..EndpointChange::default() };
    bench.engine.update_endpoint(id, change).await.unwrap();
    given_up(&bench, 2).await;
    assert_eq!(bench.served(id), "enabled");
    bench.advance(hours(48)).await;
    given_up(&bench, 3).await;
    bench.until_served(id, "disabled").await;

    bench.engine.enable_endpoint(id).await.unwrap();
    given_up(&bench, 4).await;
    assert_eq!(bench.served(id), "enabled");
    let change =
        EndpointChange { disable_after_failing_days: Some(None), ..EndpointChange::default() };
    bench.engine.update_endpoint(id, change).await.unwrap();
    bench.advance(hours(48)).await;
    given_up(&bench, 5).await;
    assert_eq!(bench.served(id), "enabled", "nobody asks any more");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_challenge_that_is_answered_does_not_begin_the_days_anew() {
    let bench = bench().await;
    let (receiver, created) = bench.parked().await;
    let id = created.endpoint.id;
    bench.engine.update_endpoint(id, two_days()).await.unwrap();
    receiver.resume().await.unwrap();
    bench.advance(minutes(1)).await;
    // The event that tries the way is refused.
    posts_arrived(&receiver, 2).await;
    bench.until_parked(id).await;
    bench.advance(hours(48)).await;
    bench.until_served(id, "disabled").await;
    receiver.answer_always(None);
    bench.engine.enable_endpoint(id).await.unwrap();
    posts_arrived(&receiver, 4).await;
    bench.engine.settle().await;
    assert_eq!(bench.served(id), "enabled");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_parked_endpoint_that_answers_no_challenge_for_days_is_disabled() {
    let bench = bench().await;
    let (receiver, created) = bench.parked().await;
    let id = created.endpoint.id;
    bench.engine.update_endpoint(id, two_days()).await.unwrap();
    bench.advance(minutes(1)).await;
    until(|| bench.engine.probe_status(id).unwrap().failure.is_some()).await;
    bench.advance(hours(47)).await;
    bench.until_parked(id).await;
    bench.advance(hours(2)).await;
    bench.until_served(id, "disabled").await;
    let skipped = bench.settled_order(2).await;
    assert_eq!(bench.state(skipped).await, "skipped");
    assert_eq!(bench.engine.probe_status(id), None);
    drop(receiver);
}

/// An endpoint in a folder with that policy, whose receiver accepts nothing.
struct House {
    folder: TempDir,
    receiver: Receiver,
    shop: ApplicationId,
    id: EndpointId,
}

impl House {
    async fn new() -> (Self, Engine) {
        let folder = tempfile::tempdir().unwrap();
        let receiver = Receiver::start(Consumer::Unchecked, "").await.unwrap();
        receiver.answer_always(Some(Answer::status(500)));
        let engine = open_in(folder.path(), start()).await;
        let shop = engine.create_application(NewApplication::new("Shop")).await.unwrap().id;
        let new = NewEndpoint {
            disable_after_failing_days: Some(2),
            ..NewEndpoint::new(receiver.url()).provider("ticketnation")
        };
        let id = engine.create_endpoint(shop, new).await.unwrap().endpoint.id;
        (Self { folder, receiver, shop, id }, engine)
    }

    /// The engine so many hours after the first start.
    async fn open(&self, after: u64) -> Engine {
        open_in(self.folder.path(), start().after(hours(after))).await
    }

    /// Emits an order, and lets these times pass.
    async fn order(&self, engine: &Engine, delays: &[Duration]) {
        let order = NewEvent::new(self.shop, "order.created", &json!({ "orderId": 1 })).unwrap();
        engine.emit(order).await.unwrap();
        engine.settle().await;
        for delay in delays {
            engine.clock().advance(*delay);
            engine.settle().await;
        }
    }

    /// The word for whether the endpoint is served.
    fn served(&self, engine: &Engine) -> &'static str {
        engine.endpoint(self.id).unwrap().state.as_str()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_days_go_on_over_a_restart_every_night() {
    let (house, mut engine) = House::new().await;
    for day in 1..=2 {
        house.order(&engine, &ladder()).await;
        assert_eq!(house.served(&engine), "enabled");
        engine.close().await.unwrap();
        drop(engine);
        engine = house.open(24 * day).await;
        assert_eq!(engine.endpoint(house.id).unwrap().disable_after_failing_days, Some(2));
    }
    house.order(&engine, &ladder()).await;
    until(|| house.served(&engine) == "disabled").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_kill_forgets_an_hour_at_most() {
    let (house, engine) = House::new().await;
    house.order(&engine, &[hours(1)]).await;
    until(|| format!("{:?}", engine.endpoint(house.id)).contains("failing_since: Some")).await;
    drop(engine);
    let engine = house.open(48).await;
    house.order(&engine, &ladder()).await;
    until(|| house.served(&engine) == "disabled").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_time_for_which_the_engine_did_not_run_is_not_held_against_an_endpoint() {
    let (house, engine) = House::new().await;
    house.order(&engine, &[seconds(30), minutes(5)]).await;
    engine.close().await.unwrap();
    drop(engine);
    let engine = house.open(72).await;
    engine.settle().await;
    assert_eq!(house.receiver.requests().len(), 4, "the last attempt was due long ago");
    engine.settle().await;
    assert_eq!(house.served(&engine), "enabled");
    house.order(&engine, &ladder()).await;
    until(|| house.served(&engine) == "disabled").await;
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
