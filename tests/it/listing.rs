//! Events, attempts and counts, as a program reads them.

use crate::common::{Bench, bench, hours, minutes, seconds};
use hookwheel::model::{AttemptPosition, StatusClass};
use hookwheel::simulate::receiver::{Answer, Consumer};
use hookwheel::{
    AttemptFilter, AttemptId, DeliveryCounts, DeliveryFilter, EventFilter, EventId, NewEndpoint,
    Order,
};
use serde_json::json;

/// All events that a filter asks for, in pages of 7; one more is emitted after each page.
async fn walk_events(bench: &Bench, mut filter: EventFilter) -> Vec<EventId> {
    filter.limit = 7;
    let mut listed = Vec::new();
    loop {
        let page = bench.engine.events(filter.clone()).await.unwrap();
        assert!(page.events.len() <= 7);
        listed.extend(page.events.iter().map(|held| held.event.id));
        let Some(next) = page.next else { return listed };
        filter.position = Some(next);
        if listed.len() < 60 {
            bench.emit("order.created", json!({})).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn events_are_walked_both_ways_while_new_ones_arrive() {
    let bench = bench().await;
    let mut emitted = Vec::new();
    for _ in 0..40 {
        emitted.push(bench.emit("order.created", json!({})).await.event);
    }
    let all = || EventFilter::application(bench.application);
    let newest_first = walk_events(&bench, all()).await;
    assert!(newest_first.iter().rev().eq(&emitted), "each once, none of the later ones");
    let mut filter = all();
    filter.order = Order::OldestFirst;
    let oldest_first = walk_events(&bench, filter).await;
    assert_eq!(oldest_first[..40], emitted);
    assert!(oldest_first.is_sorted_by(|a, b| a < b), "each once");
    let mut newest = all();
    newest.limit = 1;
    let newest = bench.engine.events(newest).await.unwrap().events.remove(0).event.id;
    assert_eq!(oldest_first.last(), Some(&newest), "and all of the later ones");
}

#[tokio::test(flavor = "multi_thread")]
async fn events_are_filtered() {
    let bench = bench().await;
    let (_shop, created) =
        bench.receiver_with(Consumer::TicketNation, |new| new.events(["order.*"])).await;
    let order = bench.emit("order.created", json!({})).await.event;
    bench.advance(hours(1)).await;
    let at = bench.clock.now();
    let refund = bench.event("refund.created", json!({})).channels(["berlin"]).tags(["vip"]);
    let refund = bench.engine.emit(refund).await.unwrap().event;
    bench.advance(hours(1)).await;
    let late = bench.emit("order.paid", json!({})).await.event;
    let list = async |change: &dyn Fn(&mut EventFilter)| {
        let mut filter = EventFilter::application(bench.application);
        change(&mut filter);
        let page = bench.engine.events(filter).await.unwrap();
        assert_eq!(page.next, None, "nothing more is known to follow");
        page.events.into_iter().map(|held| held.event.id).collect::<Vec<_>>()
    };
    let pattern = |text: &str| hookwheel::model::EventPattern::new(text).unwrap();
    assert_eq!(list(&|_| {}).await, [late, refund, order]);
    assert_eq!(list(&|filter| filter.limit = 3).await, [late, refund, order]);
    let types = [pattern("refund.*"), pattern("order.created")];
    assert_eq!(list(&|filter| filter.event_types = types.to_vec()).await, [refund, order]);
    assert_eq!(list(&|filter| filter.channel = Some("berlin".to_owned())).await, [refund]);
    assert_eq!(list(&|filter| filter.tag = Some("vip".to_owned())).await, [refund]);
    assert_eq!(list(&|filter| filter.tag = Some("other".to_owned())).await, []);
    assert_eq!(list(&|filter| filter.since = Some(at)).await, [late, refund]);
    assert_eq!(list(&|filter| filter.until = Some(at)).await, [order]);
    let of_endpoint = EventFilter::endpoint(created.endpoint.id);
    let page = bench.engine.events(of_endpoint).await.unwrap();
    let ids: Vec<_> = page.events.iter().map(|held| held.event.id).collect();
    assert_eq!(ids, [late, order]);
    assert_eq!(page.events[0].deliveries.len(), 1);
    bench.engine.delete_application(bench.application).await.unwrap();
    let gone = bench.engine.events(EventFilter::application(bench.application)).await;
    assert!(gone.unwrap_err().is_not_found());
}

#[tokio::test(flavor = "multi_thread")]
async fn deliveries_are_listed_both_ways_and_of_one_event() {
    let bench = bench().await;
    bench.receiver(Consumer::TicketNation).await;
    let (_, second) = bench.receiver(Consumer::Yoco).await;
    let mut expected = Vec::new();
    for number in 0..12 {
        let emitted = bench.emit("order.created", json!({ "orderId": number })).await;
        expected.extend(emitted.deliveries);
    }
    let mut filter = DeliveryFilter::application(bench.application);
    (filter.order, filter.limit) = (Order::OldestFirst, 5);
    let mut listed = Vec::new();
    loop {
        let page = bench.engine.deliveries(filter.clone()).await.unwrap();
        listed.extend(page.deliveries.iter().map(|delivery| delivery.id));
        let Some(next) = page.next else { break };
        filter.position = Some(next);
    }
    // Those of one event the other way round too, so that one order is the other one's mirror.
    let mirrored: Vec<_> = expected.chunks(2).flat_map(|pair| [pair[1], pair[0]]).collect();
    assert_eq!(listed, mirrored);
    let of_event = DeliveryFilter::application(bench.application).event(expected[4].event);
    let page = bench.engine.deliveries(of_event).await.unwrap();
    assert_eq!(page.deliveries.iter().map(|held| held.id).collect::<Vec<_>>(), expected[4..6]);
    let of_both = DeliveryFilter::endpoint(second.endpoint.id).event(expected[4].event);
    let page = bench.engine.deliveries(of_both).await.unwrap();
    assert_eq!(page.deliveries.iter().map(|held| held.id).collect::<Vec<_>>(), expected[5..6]);
}

async fn attempts(bench: &Bench, filter: AttemptFilter) -> Vec<(AttemptPosition, AttemptId)> {
    let page = bench.engine.attempts(filter).await.unwrap();
    page.attempts.iter().map(|entry| (entry.position, entry.attempt.id)).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn attempts_are_listed_by_endpoint_and_by_event() {
    let bench = bench().await;
    let (shop, first) = bench.receiver(Consumer::TicketNation).await;
    let (_yoco, second) = bench.receiver_with(Consumer::Yoco, |new| new.events(["refund.*"])).await;
    let (first, second) = (first.endpoint.id, second.endpoint.id);
    shop.answer_next([Answer::status(503), Answer::close()]);
    let order = bench.settled_order(1).await;
    bench.advance(seconds(30)).await;
    let at = bench.clock.now();
    bench.advance(minutes(5)).await;
    let refund = bench.emit("refund.created", json!({})).await.event;
    bench.engine.settle().await;

    let of_first = AttemptFilter::endpoint(first);
    let page = bench.engine.attempts(of_first.clone()).await.unwrap();
    assert_eq!(page.next, None);
    let told: Vec<_> = page.attempts.iter().map(|entry| entry.attempt.number).collect();
    assert_eq!(told, [1, 3, 2, 1], "newest first");
    assert_eq!(page.attempts[0].events[0].id, refund);
    assert_eq!(page.attempts[3].events[0].id, order.event);
    let mut walked = Vec::new();
    let mut filter = of_first.clone();
    (filter.limit, filter.order) = (1, Order::OldestFirst);
    loop {
        let page = bench.engine.attempts(filter.clone()).await.unwrap();
        walked.extend(page.attempts.iter().map(|entry| entry.attempt.id));
        let Some(next) = page.next else { break };
        filter.position = Some(next.to_string().parse().unwrap());
    }
    let newest_first = attempts(&bench, of_first.clone()).await;
    assert!(newest_first.iter().rev().map(|(_, id)| *id).eq(walked.iter().copied()));

    let list = async |change: &dyn Fn(&mut AttemptFilter)| {
        let mut filter = of_first.clone();
        filter.order = Order::OldestFirst;
        change(&mut filter);
        let listed = attempts(&bench, filter).await;
        listed.iter().map(|(_, id)| walked.iter().position(|held| held == id).unwrap()).collect()
    };
    let expect = |numbers: &[usize]| numbers.to_vec();
    let listed: Vec<usize> = list(&|filter| filter.succeeded = Some(false)).await;
    assert_eq!(listed, expect(&[0, 1]));
    for (class, expected) in [
        (StatusClass::ServerError, vec![0]),
        (StatusClass::NoAnswer, vec![1]),
        (StatusClass::Successful, vec![2, 3]),
        (StatusClass::ClientError, vec![]),
    ] {
        let listed: Vec<usize> = list(&|filter| filter.status_class = Some(class)).await;
        assert_eq!(listed, expected, "{class:?}");
    }
    let refunds = hookwheel::model::EventPattern::new("refund.*").unwrap();
    let listed: Vec<usize> = list(&|filter| filter.event_types = vec![refunds.clone()]).await;
    assert_eq!(listed, expect(&[3]));
    let listed: Vec<usize> = list(&|filter| filter.since = Some(at)).await;
    assert_eq!(listed, expect(&[1, 2, 3]));
    let listed: Vec<usize> = list(&|filter| filter.until = Some(at)).await;
    assert_eq!(listed, expect(&[0]));

    let of_refund = bench.engine.attempts(AttemptFilter::event(refund)).await.unwrap().attempts;
    assert_eq!(of_refund.len(), 2);
    let mut to_second = AttemptFilter::event(refund);
    to_second.endpoint = Some(second);
    let to_second = attempts(&bench, to_second).await;
    assert_eq!(to_second.len(), 1);
    let found = bench.engine.attempt(refund, to_second[0].1).await.unwrap();
    assert_eq!((found.endpoint, found.events[0].id), (second, refund));
    let error = bench.engine.attempt(order.event, to_second[0].1).await.unwrap_err();
    assert!(error.is_not_found(), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_attempt_of_a_set_belongs_to_each_of_its_events() {
    let bench = bench().await;
    let (receiver, created) = bench.receiver(Consumer::GoCardless).await;
    let data = json!({ "links": { "payment": 1 } });
    let event = || bench.event("payments.created", data.clone());
    receiver.answer_next([Answer::status(500)]);
    let emitted = bench.engine.emit_batch(vec![event(), event(), event()]).await.unwrap();
    bench.engine.settle().await;
    let page = bench.engine.attempts(AttemptFilter::endpoint(created.endpoint.id)).await.unwrap();
    let carried: usize = page.attempts.iter().map(|entry| entry.events.len()).sum();
    assert_eq!(carried, 3, "each event went out once");
    for event in emitted {
        let of_event = bench.engine.attempts(AttemptFilter::event(event.event)).await.unwrap();
        assert_eq!(of_event.attempts.len(), 1);
        let entry = &of_event.attempts[0];
        assert!(entry.events.iter().any(|held| held.id == event.event));
        let found = bench.engine.attempt(event.event, entry.attempt.id).await.unwrap();
        assert_eq!(found.attempt, entry.attempt);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn deliveries_are_counted_by_state() {
    let bench = bench().await;
    let (receiver, created) = bench.receiver(Consumer::TicketNation).await;
    let id = created.endpoint.id;
    bench.settled_order(0).await;
    bench.advance(hours(1)).await;
    let since = bench.clock.now();
    for number in 1..4 {
        bench.settled_order(number).await;
    }
    receiver.answer_next([500, 500, 500, 500].map(Answer::status));
    bench.settled_order(4).await;
    for delay in [seconds(30), minutes(5), minutes(50)] {
        bench.advance(delay).await;
    }
    receiver.answer_next([Answer::status(500)]);
    bench.settled_order(5).await;
    bench.engine.disable_endpoint(id, "x").await.unwrap();
    bench.settled_order(6).await;
    let until = bench.clock.now().after(seconds(1));
    let counts = bench.engine.statistics(id, since, until).await.unwrap();
    let expected = DeliveryCounts {
        waiting: 1,
        succeeded: 3,
        exhausted: 1,
        skipped: 1,
        ..DeliveryCounts::default()
    };
    assert_eq!(counts, expected);
    bench.engine.delete_endpoint(id).await.unwrap();
    let counts = bench.engine.statistics(id, since, until).await.unwrap();
    assert_eq!((counts.waiting, counts.cancelled), (0, 1));
    let error = bench.engine.statistics(id, since.before(hours(24 * 29)), until).await.unwrap_err();
    assert!(error.is_invalid() && error.to_string().contains("28 days"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_of_events_ends_by_their_deliveries_too() {
    let bench = bench().await;
    for _ in 0..1000 {
        let mut endpoint = NewEndpoint::new("http://127.0.0.1:9/");
        endpoint.enabled = false;
        bench.endpoint(endpoint).await;
    }
    for _ in 0..100 {
        bench.emit("order.created", json!({})).await;
    }
    let mut filter = EventFilter::application(bench.application);
    filter.limit = 100;
    let first = bench.engine.events(filter.clone()).await.unwrap();
    assert!((10..90).contains(&first.events.len()), "{}", first.events.len());
    assert_eq!(first.events[0].deliveries.len(), 1000);
    let mut count = first.events.len();
    filter.position = first.next;
    while filter.position.is_some() {
        let page = bench.engine.events(filter.clone()).await.unwrap();
        count += page.events.len();
        filter.position = page.next;
    }
    assert_eq!(count, 100);
}
