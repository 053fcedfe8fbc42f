//! OpenCard: challenged endpoints, and queues that wait until an endpoint is back.

use crate::common::{
    Bench, bench, bench_with, body, minutes, orders, posts, posts_arrived, seconds, soon, until,
};
use hookwheel::simulate::receiver::{Answer, Consumer, Receiver};
use hookwheel::{Config, CreatedEndpoint, EndpointChange, EndpointState, NewEndpoint};
use std::time::Duration;

fn challenges(receiver: &Receiver) -> usize {
    receiver.requests().iter().filter(|request| request.method == "GET").count()
}

async fn challenged(receiver: &Receiver, count: usize) {
    until(|| challenges(receiver) >= count).await;
}

fn reason(bench: &Bench, created: &CreatedEndpoint) -> String {
    match &bench.engine.endpoint(created.endpoint.id).unwrap().state {
        EndpointState::Disabled { reason, .. } | EndpointState::Parked { reason, .. } => {
            reason.clone()
        }
        state => panic!("{state:?}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_endpoint_is_challenged_when_it_is_made() {
    let bench = bench().await;
    let (receiver, created) = bench.receiver(Consumer::OpenCard).await;
    assert_eq!(created.endpoint.state, EndpointState::Enabled);
    let requests = receiver.requests();
    assert_eq!(requests.len(), 1);
    assert_eq!(requests[0].method, "GET");
    let challenge = requests[0].target.strip_prefix("/webhooks?challenge=").unwrap();
    assert_eq!(challenge.len(), 20);
    assert!(challenge.bytes().all(|byte| byte.is_ascii_alphanumeric()), "{challenge}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_endpoint_that_does_not_answer_is_disabled_until_it_does() {
    let bench = bench().await;
    // It takes whatever comes, but knows nothing of challenges.
    let receiver = bench.listen(Consumer::Unchecked).await;
    let created = bench.endpoint(NewEndpoint::new(receiver.url()).provider("opencard")).await;
    let id = created.endpoint.id;
    assert_eq!(created.endpoint.state.as_str(), "disabled");
    assert!(reason(&bench, &created).contains("x-verify-token"), "{}", reason(&bench, &created));
    let skipped = bench.settled_order(1).await;
    assert_eq!(bench.state(skipped).await, "skipped");
    let error = bench.engine.enable_endpoint(id).await.unwrap_err();
    assert_eq!(error.kind(), hookwheel::ErrorKind::NotProven, "{error}");
    assert_eq!(challenges(&receiver), 2);

    let honest = bench.listen(Consumer::OpenCard).await;
    let change = EndpointChange { url: Some(honest.url()), ..EndpointChange::default() };
    bench.engine.update_endpoint(id, change).await.unwrap();
    assert_eq!(bench.served(id), "disabled", "a new URL does not enable it");
    bench.engine.enable_endpoint(id).await.unwrap();
    assert_eq!(bench.served(id), "enabled");
    let delivery = bench.settled_order(2).await;
    assert_eq!(bench.state(delivery).await, "succeeded");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_url_is_challenged() {
    let bench = bench().await;
    let (receiver, created) = bench.receiver(Consumer::OpenCard).await;
    let id = created.endpoint.id;
    let moved = bench.listen(Consumer::OpenCard).await;
    let change = EndpointChange { url: Some(moved.url()), ..EndpointChange::default() };
    bench.engine.update_endpoint(id, change).await.unwrap();
    assert_eq!((challenges(&receiver), challenges(&moved)), (1, 1));
    assert_eq!(bench.served(id), "enabled");
    let rename = EndpointChange { name: Some("Shop".to_owned()), ..EndpointChange::default() };
    bench.engine.update_endpoint(id, rename).await.unwrap();
    assert_eq!(challenges(&moved), 1, "a new name is not");
    let deaf = bench.listen(Consumer::Unchecked).await;
    let change = EndpointChange { url: Some(deaf.url()), ..EndpointChange::default() };
    let endpoint = bench.engine.update_endpoint(id, change).await.unwrap();
    assert_eq!(endpoint.state.as_str(), "disabled");
}

#[tokio::test(flavor = "multi_thread")]
async fn only_200_and_201_are_success() {
    for (status, state) in
        [(200, "succeeded"), (201, "succeeded"), (202, "waiting"), (204, "waiting")]
    {
        let bench = bench().await;
        let (receiver, _) = bench.receiver(Consumer::OpenCard).await;
        receiver.answer_next([Answer::status(status)]);
        let delivery = bench.settled_order(1).await;
        assert_eq!(bench.state(delivery).await, state, "{status}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_parked_endpoint_gets_its_queue_in_order_when_it_is_back() {
    let bench = bench().await;
    let (receiver, created) = bench.parked().await;
    assert!(reason(&bench, &created).contains("4 attempts failed"));
    for number in 2..=60 {
        let delivery = bench.settled_order(number).await;
        assert_eq!(bench.state(delivery).await, "waiting", "events queue while it is parked");
    }
    assert_eq!(posts(&receiver).len(), 1, "the rest was refused by a closed port");

    receiver.answer_always(None);
    receiver.resume().await.unwrap();
    bench.advance(minutes(1)).await;
    bench.until_served(created.endpoint.id, "enabled").await;
    posts_arrived(&receiver, 61).await;
    bench.engine.settle().await;
    let arrived = orders(&posts(&receiver)[1..]);
    assert_eq!(arrived, (1..=60).collect::<Vec<u64>>());
    let later = bench.settled_order(61).await;
    assert_eq!(bench.state(later).await, "succeeded");
}

#[tokio::test(flavor = "multi_thread")]
async fn probes_wait_longer_each_time() {
    let bench = bench().await;
    let (receiver, _created) = bench.parked().await;
    // It is up again and answers, but nothing that a challenge wants.
    receiver.set_secret("another secret");
    receiver.resume().await.unwrap();
    let waits = [1, 2, 4, 8, 16, 32, 60, 60].map(minutes);
    for (before, wait) in (challenges(&receiver)..).zip(waits) {
        bench.advance(wait - Duration::from_millis(1)).await;
        tokio::task::yield_now().await;
        assert_eq!(challenges(&receiver), before, "a probe before {wait:?}");
        bench.advance(Duration::from_millis(1)).await;
        challenged(&receiver, before + 1).await;
    }
    assert_eq!(posts(&receiver).len(), 1, "no event goes out meanwhile");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_endpoint_that_answers_challenges_but_no_events_is_parked_for_longer() {
    let bench = bench().await;
    let (receiver, created) = bench.parked().await;
    let id = created.endpoint.id;
    receiver.resume().await.unwrap();
    for (round, wait) in (1..).zip([minutes(1), minutes(2), minutes(4)]) {
        let before = (challenges(&receiver), posts(&receiver).len());
        bench.advance(wait - Duration::from_millis(1)).await;
        assert_eq!(challenges(&receiver), before.0, "round {round}: a probe too early");
        assert_eq!(bench.served(id), "parked");
        bench.advance(Duration::from_millis(1)).await;
        posts_arrived(&receiver, before.1 + 1).await;
        bench.until_parked(id).await;
        bench.engine.settle().await;
        assert_eq!(posts(&receiver).len(), before.1 + 1, "one event tries the way");
    }
    receiver.answer_always(None);
    bench.advance(minutes(8)).await;
    bench.until_served(id, "enabled").await;
    posts_arrived(&receiver, 5).await;
    bench.engine.settle().await;
    assert_eq!(orders(&posts(&receiver)), [1, 1, 1, 1, 1]);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_endpoint_that_accepts_an_event_and_is_parked_at_once_is_probed_soon() {
    let bench = bench().await;
    let (receiver, created) = bench.parked().await;
    let id = created.endpoint.id;
    receiver.resume().await.unwrap();
    receiver.answer_always(None);
    bench.engine.enable_endpoint(id).await.unwrap();
    posts_arrived(&receiver, 2).await;
    bench.engine.settle().await;
    receiver.answer_always(Some(Answer::status(500)));
    bench.settled_order(2).await;
    for delay in [seconds(10), minutes(1), minutes(5)] {
        bench.advance(delay).await;
    }
    bench.until_parked(id).await;
    let wait = bench.engine.probe_status(id).unwrap().next.since(bench.clock.now());
    assert_eq!(wait, minutes(1), "as the first time");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_parked_endpoint_can_be_enabled_by_hand_once_it_answers() {
    let bench = bench().await;
    let (receiver, created) = bench.parked().await;
    let id = created.endpoint.id;
    let error = soon(bench.engine.enable_endpoint(id)).await.unwrap_err();
    assert_eq!(error.kind(), hookwheel::ErrorKind::NotProven, "{error}");
    assert_eq!(bench.served(id), "parked");
    receiver.answer_always(None);
    receiver.resume().await.unwrap();
    bench.engine.enable_endpoint(id).await.unwrap();
    bench.engine.settle().await;
    assert_eq!(orders(&posts(&receiver)), [1, 1]);
    assert_eq!(body(&posts(&receiver)[1])["orderId"], 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_next_probe_is_told_and_why_the_last_one_failed() {
    let bench = bench().await;
    let (receiver, created) = bench.parked().await;
    let id = created.endpoint.id;
    let parked = bench.clock.now();
    let status = bench.engine.probe_status(id).unwrap();
    assert_eq!((status.next, status.failure), (parked.after(minutes(1)), None));
    receiver.set_secret("another secret");
    receiver.resume().await.unwrap();
    bench.advance(minutes(1)).await;
    until(|| {
        let status = bench.engine.probe_status(id).unwrap();
        status.failure.is_some() && status.next == parked.after(minutes(3))
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_endpoint_that_is_parked_again_is_probed_once_each_time() {
    let bench = bench().await;
    let (receiver, created) = bench.parked().await;
    let id = created.endpoint.id;
    receiver.resume().await.unwrap();
    bench.engine.enable_endpoint(id).await.unwrap();
    assert_eq!(bench.engine.probe_status(id), None, "it is served");
    // It answers challenges, and refuses the event that tries the way.
    posts_arrived(&receiver, 2).await;
    bench.until_parked(id).await;
    bench.engine.settle().await;
    let before = challenges(&receiver);
    let wait = bench.engine.probe_status(id).unwrap().next.since(bench.clock.now());
    assert_eq!(wait, minutes(2), "longer than the first time");
    bench.advance(wait - Duration::from_millis(1)).await;
    bench.engine.settle().await;
    assert_eq!(challenges(&receiver), before, "the probe of the first time is called off");
    bench.advance(Duration::from_millis(1)).await;
    challenged(&receiver, before + 1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_longest_url_can_be_proven() {
    let bench = bench().await;
    let receiver = bench.listen(Consumer::OpenCard).await;
    let url = format!("{}?", receiver.url());
    let url = format!("{url}{}", "a".repeat(2048 - url.len()));
    let created = bench.endpoint(NewEndpoint::new(url).provider("opencard")).await;
    assert_eq!(created.endpoint.state, EndpointState::Enabled);
}

#[tokio::test(flavor = "multi_thread")]
async fn few_probes_run_at_once_and_other_applications_get_their_turn() {
    let in_flight_max = 32;
    let bench = bench_with(|builder| {
        builder.config(Config { in_flight_max, ..crate::common::development() })
    })
    .await;
    let silent = bench.listen_raw().await;
    let (receiver, first) = bench.receiver(Consumer::OpenCard).await;
    let mut parked = vec![first.endpoint.id];
    for _ in 1..8 {
        let new = NewEndpoint::new(receiver.url()).provider("opencard");
        parked.push(bench.endpoint(new).await.endpoint.id);
    }
    receiver.answer_always(Some(Answer::status(500)));
    bench.settled_order(1).await;
    for delay in [seconds(10), minutes(1), minutes(5)] {
        bench.advance(delay).await;
    }
    for id in parked {
        bench.until_parked(id).await;
        let change = EndpointChange { url: Some(silent.url()), ..EndpointChange::default() };
        bench.engine.update_endpoint(id, change).await.unwrap();
    }
    bench.advance(minutes(1)).await;
    silent.connections(2).await;
    // The others are due as well, and would have connected by the time that these have.
    hookwheel::clock::pause(Duration::from_millis(300)).await;
    assert_eq!(silent.count(), 2, "of four places one application has half");
}
