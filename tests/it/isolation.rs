//! What one application does costs another no more than the shares that docs/service.md states.
//! Counted, not timed: of what arrives at one receiver, how much is whose.

use crate::common::{Bench, bench_with, development, minutes, posts, posts_arrived, until};
use hookwheel::simulate::receiver::{Answer, Consumer, Received, Receiver};
use hookwheel::{
    ApplicationChange, ApplicationId, Config, DeliveryFilter, NewApplication, NewEndpoint,
    NewEvent, TaskState,
};
use serde_json::json;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

/// Requests in flight at once, so that there is something to share.
const PLACES: usize = 8;
/// Webhooks of the one who is not to suffer.
const OWN: usize = 40;

/// A bench with few places, a receiver, and an application `quiet` with one endpoint there.
async fn crowded() -> (Bench, Receiver, ApplicationId) {
    let config = Config { in_flight_max: PLACES, ..development() };
    let bench = bench_with(|builder| builder.config(config)).await;
    let receiver = bench.listen(Consumer::Unchecked).await;
    let quiet = bench.engine.create_application(NewApplication::new("Quiet")).await.unwrap().id;
    let endpoint = NewEndpoint::new(format!("{}quiet", receiver.url()));
    bench.engine.create_endpoint(quiet, endpoint).await.unwrap();
    (bench, receiver, quiet)
}

/// That many endpoints of the bench's application at the receiver.
async fn endpoints(bench: &Bench, receiver: &Receiver, count: usize) {
    for number in 0..count {
        let url = format!("{}noisy/{number}", receiver.url());
        bench.endpoint(NewEndpoint::new(url)).await;
    }
}

fn events(application: ApplicationId, count: usize) -> Vec<NewEvent> {
    let event = |number| {
        NewEvent::new(application, "order.created", &json!({ "orderId": number })).unwrap()
    };
    (0..count).map(event).collect()
}

/// Of what arrived last: how much of the flood came between the second and the last of the quiet
/// application's webhooks. The first goes alone where all were held back before.
fn flood_meanwhile(posts: &[Received]) -> usize {
    let is_quiet = |post: &Received| post.target.ends_with("quiet");
    let quiet: Vec<usize> =
        posts.iter().enumerate().filter(|(_, post)| is_quiet(post)).map(|(at, _)| at).collect();
    assert_eq!(quiet.len(), OWN);
    let (first, last) = (quiet[1], quiet[OWN - 1]);
    last - first - (OWN - 2)
}

/// Lets an application send that many webhooks a second, or as many as it likes.
async fn limit(bench: &Bench, application: ApplicationId, rate: Option<u32>) {
    let change =
        ApplicationChange { rate_limit_per_second: Some(rate), ..ApplicationChange::default() };
    bench.engine.update_application(application, change).await.unwrap();
}

/// Lets two applications go that were held back, until that many webhooks have arrived; what came.
async fn let_go(
    bench: &Bench,
    receiver: &Receiver,
    quiet: ApplicationId,
    count: usize,
) -> Vec<Received> {
    bench.engine.settle().await;
    limit(bench, bench.application, None).await;
    limit(bench, quiet, None).await;
    posts_arrived(receiver, count).await
}

/// What may arrive of a flood while the quiet application's webhooks do: as many, give or take
/// what is in flight at the beginning and at the end.
const SHARE: usize = OWN + 2 * PLACES;

#[tokio::test(flavor = "multi_thread")]
async fn a_flood_of_events_to_many_endpoints_takes_every_other_turn() {
    let (bench, receiver, quiet) = crowded().await;
    endpoints(&bench, &receiver, 50).await;
    let mut batch = events(bench.application, OWN);
    batch.extend(events(quiet, OWN));
    bench.engine.emit_batch(batch).await.unwrap();
    posts_arrived(&receiver, 51 * OWN).await;
    let flood = flood_meanwhile(&posts(&receiver));
    assert!(flood <= SHARE, "{flood} of 2,000");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flood_of_replays_takes_every_other_turn() {
    let (bench, receiver, quiet) = crowded().await;
    endpoints(&bench, &receiver, 20).await;
    bench.engine.emit_batch(events(bench.application, OWN)).await.unwrap();
    bench.engine.settle().await;
    let before = posts(&receiver).len();
    assert_eq!(before, 20 * OWN);
    for application in [bench.application, quiet] {
        limit(&bench, application, Some(1)).await;
    }
    for endpoint in bench.engine.endpoints(bench.application).unwrap() {
        let task = bench.engine.start_replay(DeliveryFilter::endpoint(endpoint.id)).await.unwrap();
        until(|| bench.engine.task(task.id).unwrap().state == TaskState::Finished).await;
    }
    bench.engine.emit_batch(events(quiet, OWN)).await.unwrap();
    let arrived = let_go(&bench, &receiver, quiet, before + 21 * OWN).await;
    let flood = flood_meanwhile(&arrived[before..]);
    assert!(flood <= SHARE, "{flood} of 800");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flood_of_retries_that_are_due_at_once_takes_every_other_turn() {
    let (bench, receiver, quiet) = crowded().await;
    endpoints(&bench, &receiver, 20).await;
    receiver.answer_always(Some(Answer::status(500)));
    bench.engine.emit_batch(events(bench.application, OWN)).await.unwrap();
    bench.engine.emit_batch(events(quiet, OWN)).await.unwrap();
    bench.engine.settle().await;
    receiver.answer_always(None);
    let before = posts(&receiver).len();
    assert_eq!(before, 21 * OWN);
    for application in [bench.application, quiet] {
        limit(&bench, application, Some(1)).await;
    }
    bench.clock.advance(minutes(1));
    let arrived = let_go(&bench, &receiver, quiet, before + 21 * OWN).await;
    let flood = flood_meanwhile(&arrived[before..]);
    assert!(flood <= SHARE, "{flood} of 800");
}

#[tokio::test(flavor = "multi_thread")]
async fn endpoints_that_hang_hold_half_of_the_places_and_no_more() {
    let (bench, receiver, quiet) = crowded().await;
    let hanging = bench.listen_raw().await;
    for _ in 0..4 {
        bench.endpoint(NewEndpoint::new(hanging.url())).await;
    }
    bench.engine.emit_batch(events(bench.application, OWN)).await.unwrap();
    hanging.connections(PLACES / 2).await;
    bench.engine.emit_batch(events(quiet, OWN)).await.unwrap();
    posts_arrived(&receiver, OWN).await;
    assert_eq!(hanging.count(), PLACES / 2);
}

/// Readers of one application at once, as many as its quarter of the API's places.
const READERS: usize = 64;

#[tokio::test(flavor = "multi_thread")]
async fn a_flood_of_reading_holds_no_delivery_back() {
    let (bench, receiver, quiet) = crowded().await;
    let mut endpoint = NewEndpoint::new(format!("{}noisy", receiver.url()));
    endpoint.enabled = false;
    bench.endpoint(endpoint).await;
    for _ in 0..2 {
        bench.engine.emit_batch(events(bench.application, 1000)).await.unwrap();
    }
    let (over, pages) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
    let mut readers = tokio::task::JoinSet::new();
    for _ in 0..READERS {
        let (engine, application) = (bench.engine.clone(), bench.application);
        let (over, pages) = (Arc::clone(&over), Arc::clone(&pages));
        readers.spawn(async move {
            while !over.load(Ordering::Relaxed) {
                // None is: each page looks at all events.
                let filter = DeliveryFilter::application(application).state("exhausted");
                engine.deliveries(filter).await.unwrap();
                pages.fetch_add(1, Ordering::Relaxed);
            }
        });
    }
    until(|| pages.load(Ordering::Relaxed) > 0).await;
    let before = pages.load(Ordering::Relaxed);
    for (number, event) in events(quiet, OWN).into_iter().enumerate() {
        bench.engine.emit(event).await.unwrap();
        posts_arrived(&receiver, number + 1).await;
    }
    let read = pages.load(Ordering::Relaxed) - before;
    over.store(true, Ordering::Relaxed);
    while readers.join_next().await.is_some() {}
    // Where each reader has a thread, it is more than ten for each webhook.
    assert!(read <= 5 * OWN, "{read} pages while {OWN} webhooks went out one by one");
}
