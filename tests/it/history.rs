//! What was recorded, as it is listed and told.

use crate::common::{Bench, bench, hours, minutes, open_in, seconds, start};
use hookwheel::model::Cut;
use hookwheel::simulate::receiver::{Answer, Consumer, Receiver};
use hookwheel::{
    ApplicationChange, AttemptFilter, AttemptOutcome, DeliveryFilter, DeliveryId, NewApplication,
    NewEndpoint, NewEvent,
};
use serde_json::json;

async fn ids(bench: &Bench, filter: DeliveryFilter) -> Vec<DeliveryId> {
    let page = bench.engine.deliveries(filter).await.unwrap();
    page.deliveries.iter().map(|delivery| delivery.id).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_looks_at_one_attempt_or_delivery_reads_no_other() {
    let folder = tempfile::tempdir().unwrap();
    let engine = open_in(folder.path(), start()).await;
    let shop = engine.create_application(NewApplication::new("Shop")).await.unwrap().id;
    let (short, long) = (receiver().await, receiver().await);
    long.answer_always(Some(Answer::status(200).body("x".repeat(16_384))));
    for receiver in [&short, &long] {
        engine.create_endpoint(shop, NewEndpoint::new(receiver.url())).await.unwrap();
    }
    let event = NewEvent::new(shop, "order.created", &json!({})).unwrap();
    let deliveries = engine.emit(event).await.unwrap().deliveries;
    engine.settle().await;
    let mut attempts = Vec::new();
    for delivery in &deliveries {
        attempts.push(engine.delivery(*delivery).await.unwrap().attempts[0].id);
    }
    engine.close().await.unwrap();
    drop(engine);
    // What cannot be read shows who reads it: the long one's parts but for the first are taken away.
    let config = sled::Config::new().path(folder.path().join("data/sled"));
    let open = || Ok(config.clone().segment_size(2 * 1024 * 1024).open()?);
    let db = backoff::retry(backoff::ExponentialBackoff::default(), open).unwrap();
    let parts: Vec<_> = db.scan_prefix("zr").keys().map(Result::unwrap).collect();
    assert_eq!(parts.len(), 2);
    db.remove(&parts[1]).unwrap();
    db.flush().unwrap();
    drop(db);
    let engine = open_in(folder.path(), start()).await;
    let event = deliveries[0].event;
    assert_eq!(engine.attempt(event, attempts[0]).await.unwrap().attempt.id, attempts[0]);
    assert!(engine.attempt(event, attempts[1]).await.is_err());
    assert_eq!(engine.delivery(deliveries[0]).await.unwrap().attempts.len(), 1);
    assert!(engine.delivery(deliveries[1]).await.is_err());
    let mut of_one = AttemptFilter::event(event);
    of_one.endpoint = Some(deliveries[0].endpoint);
    assert_eq!(engine.attempts(of_one).await.unwrap().attempts.len(), 1);
}

async fn receiver() -> Receiver {
    Receiver::start(Consumer::Unchecked, "").await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_go_to_the_end_while_new_events_arrive() {
    let bench = bench().await;
    // Two endpoints, so that pages end between the deliveries of one event.
    bench.receiver(Consumer::TicketNation).await;
    bench.receiver(Consumer::Yoco).await;
    let mut expected = Vec::new();
    for number in 0..40 {
        let emitted = bench.emit("order.created", json!({ "orderId": number })).await;
        expected.splice(0..0, emitted.deliveries);
    }
    bench.engine.settle().await;
    let mut filter = DeliveryFilter::application(bench.application);
    filter.limit = 7;
    let mut listed = Vec::new();
    loop {
        let page = bench.engine.deliveries(filter.clone()).await.unwrap();
        assert!(page.deliveries.len() <= 7);
        listed.extend(page.deliveries.iter().map(|delivery| delivery.id));
        bench.order(1000).await;
        match page.next {
            Some(next) => filter.position = Some(next),
            None => break,
        }
    }
    assert_eq!(listed, expected, "newest first, each once, none of the later ones");
}

#[tokio::test(flavor = "multi_thread")]
async fn listings_are_filtered() {
    let bench = bench().await;
    let (shop, first) = bench.receiver(Consumer::TicketNation).await;
    let (_yoco, second) = bench.receiver_with(Consumer::Yoco, |new| new.events(["refund.*"])).await;
    let (first, second) = (first.endpoint.id, second.endpoint.id);
    let succeeded = bench.settled_order(1).await;
    bench.advance(hours(1)).await;
    let at = bench.clock.now();
    shop.answer_always(Some(Answer::status(500)));
    let refund = bench.emit("refund.created", json!({})).await.deliveries;
    bench.engine.settle().await;
    for delay in [seconds(30), minutes(5), minutes(50)] {
        bench.advance(delay).await;
    }
    let waiting = bench.settled_order(2).await;
    bench.engine.disable_endpoint(first, "x").await.unwrap();
    let skipped = bench.order(3).await;

    let application = || DeliveryFilter::application(bench.application);
    let endpoint = DeliveryFilter::endpoint;
    assert_eq!(ids(&bench, application()).await.len(), 5);
    assert_eq!(ids(&bench, endpoint(second)).await, [refund[1]]);
    for (state, expected) in [
        ("succeeded", vec![refund[1], succeeded]),
        ("exhausted", vec![refund[0]]),
        ("waiting", vec![waiting]),
        ("skipped", vec![skipped]),
        ("cancelled", vec![]),
    ] {
        assert_eq!(ids(&bench, application().state(state)).await, expected, "{state}");
    }
    assert_eq!(ids(&bench, endpoint(first).state("exhausted")).await, [refund[0]]);
    assert_eq!(ids(&bench, endpoint(second).state("exhausted")).await, []);
    let mut of_type = application();
    of_type.event_types = vec![hookwheel::model::EventPattern::new("refund.*").unwrap()];
    assert_eq!(ids(&bench, of_type).await, refund);
    let mut before = application();
    before.until = Some(at);
    assert_eq!(ids(&bench, before).await, [succeeded]);
    let mut since = endpoint(first);
    since.since = Some(at);
    assert_eq!(ids(&bench, since).await, [skipped, waiting, refund[0]]);
    let error = bench.engine.deliveries(application().state("failed")).await.unwrap_err();
    assert!(error.is_invalid() && error.to_string().contains("exhausted"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn failures_are_told_in_kinds_and_words() {
    let bench = bench().await;
    let (closing, _) = bench.receiver_with(Consumer::Unchecked, |new| new.events(["a"])).await;
    closing.answer_always(Some(Answer::close()));
    let down = bench.listen(Consumer::Unchecked).await;
    down.stop().await;
    bench.endpoint(NewEndpoint::new(down.url()).events(["b"])).await;
    let nowhere = "http://no-such-host.invalid/hooks";
    bench.endpoint(NewEndpoint::new(nowhere).events(["c"])).await;
    let plain = bench.listen(Consumer::Unchecked).await;
    let tls = plain.url().replace("http:", "https:");
    bench.endpoint(NewEndpoint::new(tls).events(["d"])).await;
    for (event_type, kind, words) in [
        ("a", "closed", "closed the connection before answering"),
        ("b", "connection_refused", "nothing is listening on that port"),
        ("c", "dns", "the host name could not be found"),
        ("d", "tls", "the TLS handshake failed"),
    ] {
        let delivery = bench.emit(event_type, json!({})).await.deliveries[0];
        bench.engine.settle().await;
        let attempt = bench.history(delivery).await.attempts.remove(0);
        let AttemptOutcome::Failed(failure) = attempt.outcome else { panic!("{event_type}") };
        assert_eq!(failure.kind.as_str(), kind, "{failure}");
        assert!(failure.to_string().contains(words), "{failure}");
        assert!(!attempt.request.body.is_empty(), "what was to be sent is on record");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn answers_are_kept_up_to_a_cap_and_marked_as_cut() {
    let bench = bench().await;
    let (receiver, _) = bench.receiver(Consumer::Unchecked).await;
    let long = "x".repeat(100_000);
    let answer = Answer::status(200).header("X-Trace", "abc").body(long);
    receiver.answer_next([answer, Answer::status(500).body("broken")]);
    let delivery = bench.settled_order(1).await;
    let history = bench.history(delivery).await;
    assert_eq!(history.delivery.state.as_str(), "succeeded", "the status decides");
    let answer = history.attempts[0].outcome.response().unwrap();
    assert_eq!((answer.body.len(), answer.cut), (16 * 1024, Some(Cut::TooLong)));
    assert_eq!(answer.header("x-trace"), Some("abc"));
    let delivery = bench.settled_order(2).await;
    let history = bench.history(delivery).await;
    let answer = history.attempts[0].outcome.response().unwrap();
    assert_eq!((&answer.body[..], answer.cut), (&b"broken"[..], None));
}

#[tokio::test(flavor = "multi_thread")]
async fn history_expires_by_age_and_never_what_is_not_finished() {
    let bench = bench().await;
    let (receiver, created) = bench.receiver(Consumer::TicketNation).await;
    let change =
        ApplicationChange { retention: Some(Some(hours(24))), ..ApplicationChange::default() };
    bench.engine.update_application(bench.application, change).await.unwrap();
    let done = bench.settled_order(1).await;
    receiver.answer_next([Answer::status(500)]);
    let waiting = bench.settled_order(2).await;
    bench.engine.disable_endpoint(created.endpoint.id, "x").await.unwrap();
    let other = bench.engine.create_application(hookwheel::NewApplication::new("Other")).await;
    let other = other.unwrap().id;
    let kept = hookwheel::NewEvent::new(other, "order.created", &json!({})).unwrap();
    let kept = bench.engine.emit(kept).await.unwrap().event;

    bench.advance(hours(23)).await;
    assert_eq!(bench.engine.expire().await.unwrap(), 0);
    bench.advance(hours(2)).await;
    assert_eq!(bench.engine.expire().await.unwrap(), 1);
    assert!(bench.engine.delivery(done).await.unwrap_err().is_not_found());
    assert_eq!(bench.state(waiting).await, "waiting");
    assert!(bench.engine.event(kept).await.is_ok(), "90 days unless the application says else");
    let listed = ids(&bench, DeliveryFilter::application(bench.application)).await;
    assert_eq!(listed, [waiting]);

    bench.engine.delete_endpoint(created.endpoint.id).await.unwrap();
    assert_eq!(bench.engine.expire().await.unwrap(), 1, "cancelled is finished");
    bench.advance(hours(24 * 90)).await;
    assert_eq!(bench.engine.expire().await.unwrap(), 1);
    assert!(bench.engine.event(kept).await.is_err());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_delivery_waits_for_is_told() {
    let bench = bench().await;
    let (receiver, _) = bench.receiver(Consumer::TicketNation).await;
    receiver.answer_next([Answer::status(503).after(std::time::Duration::from_millis(1))]);
    let delivery = bench.settled_order(1).await;
    let history = bench.history(delivery).await;
    assert_eq!(history.next_attempt(), Some(start().after(seconds(30))));
    let attempt = &history.attempts[0];
    assert_eq!(attempt.request.url, receiver.url());
    assert_eq!(attempt.request.headers, receiver.requests()[0].headers);
    assert!(attempt.duration > std::time::Duration::ZERO);
    assert_eq!(attempt.started_at, start());
    bench.advance(seconds(30)).await;
    assert_eq!(bench.history(delivery).await.next_attempt(), None);
}
