//! Sending much again, in the background.

use crate::common::{
    Bench, bench, hours, minutes, orders, posts, posts_arrived, seconds, soon, start, until,
};
use hookwheel::simulate::receiver::{Answer, Consumer, Receiver};
use hookwheel::{
    Clock, DeliveryFilter, EndpointChange, EndpointId, Engine, NewApplication, NewEndpoint,
    NewEvent, Task, TaskFilter, TaskId, TaskState,
};
use serde_json::json;

/// A task once it has ended.
async fn ended(engine: &Engine, id: TaskId) -> Task {
    until(|| engine.task(id).unwrap().state != TaskState::Running).await;
    engine.settle().await;
    engine.task(id).unwrap()
}

async fn shop() -> (Bench, Receiver, EndpointId) {
    let bench = bench().await;
    let (receiver, created) = bench.receiver(Consumer::TicketNation).await;
    (bench, receiver, created.endpoint.id)
}

/// Orders that were given up.
async fn exhausted(bench: &Bench, receiver: &Receiver, numbers: std::ops::Range<u32>) {
    receiver.answer_always(Some(Answer::status(500)));
    for number in numbers {
        bench.order(number).await;
    }
    bench.engine.settle().await;
    for delay in [seconds(30), minutes(5), minutes(50)] {
        bench.advance(delay).await;
    }
    receiver.answer_always(None);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_recovery_goes_on_by_itself_and_tells_how_far_it_is() {
    let (bench, receiver, id) = shop().await;
    exhausted(&bench, &receiver, 0..3).await;
    let until = bench.clock.now();
    bench.advance(seconds(1)).await;
    exhausted(&bench, &receiver, 3..4).await;
    bench.engine.disable_endpoint(id, "moving house").await.unwrap();
    let error = bench.engine.start_recovery(id, start(), None).await.unwrap_err();
    assert!(error.is_conflict(), "{error}");
    // More than a step of it.
    let batch = (10..310).map(|number| {
        let data = json!({ "orderId": number });
        bench.event("order.created", data)
    });
    bench.engine.emit_batch(batch.collect()).await.unwrap();
    bench.engine.enable_endpoint(id).await.unwrap();
    let before = posts(&receiver).len();
    let task = bench.engine.start_recovery(id, start(), Some(until)).await.unwrap();
    assert!(task.id.to_string().starts_with("qtask_"));
    let task = ended(&bench.engine, task.id).await;
    assert_eq!((task.state, task.done), (TaskState::Finished, 3));
    assert_eq!(orders(&posts_arrived(&receiver, before + 3).await[before..]).len(), 3);
    let task = bench.engine.start_recovery(id, start(), None).await.unwrap();
    let again = bench.engine.start_recovery(id, start(), None).await.unwrap();
    let task = ended(&bench.engine, task.id).await;
    assert_eq!(task.done, 301);
    assert_eq!(ended(&bench.engine, again.id).await.state, TaskState::Finished);
    let mut arrived = orders(&posts_arrived(&receiver, before + 304).await[before..]);
    arrived.sort_unstable();
    arrived.dedup();
    assert_eq!(arrived.len(), 304, "everything that was missed");
    bench.engine.settle().await;
    let counts = bench.engine.statistics(id, start(), bench.clock.now().after(seconds(1))).await;
    assert_eq!(counts.unwrap().succeeded, 304);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_asked_for_again_before_it_went_out_goes_out_once() {
    let (bench, receiver, id) = shop().await;
    exhausted(&bench, &receiver, 0..3).await;
    // One goes out a second, so that the rest waits.
    let rate_limit_per_second = Some(Some(1));
    let change = EndpointChange { rate_limit_per_second, ..EndpointChange::default() };
    bench.engine.update_endpoint(id, change).await.unwrap();
    bench.settled_order(3).await;
    let before = posts(&receiver).len();
    assert_eq!(bench.engine.recover(id, start(), None).await.unwrap(), 3);
    assert_eq!(bench.engine.recover(id, start(), None).await.unwrap(), 0);
    let all = DeliveryFilter::endpoint(id).state("exhausted");
    let task = bench.engine.start_replay(all.clone()).await.unwrap();
    assert_eq!(ended(&bench.engine, task.id).await.done, 0);
    let waiting = bench.engine.deliveries(all).await.unwrap().deliveries;
    bench.engine.replay(waiting[0].id).await.unwrap();
    for _ in 0..9 {
        bench.advance(seconds(1)).await;
    }
    let mut sent = orders(&posts(&receiver)[before..]);
    sent.sort_unstable();
    assert_eq!(sent, [0, 1, 2]);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_endpoint_gets_what_was_there_before_it() {
    let bench = bench().await;
    for number in 0..5 {
        bench.emit("order.created", json!({ "orderId": number })).await;
    }
    bench.emit("refund.created", json!({})).await;
    bench.advance(hours(1)).await;
    let (receiver, created) =
        bench.receiver_with(Consumer::TicketNation, |new| new.events(["order.*"])).await;
    let id = created.endpoint.id;
    bench.settled_order(5).await;
    receiver.answer_next([Answer::status(500)]);
    let task = bench.engine.start_replay_missing(id, start(), None).await.unwrap();
    assert_eq!(ended(&bench.engine, task.id).await.done, 5);
    bench.advance(seconds(30)).await;
    let mut arrived = orders(&posts(&receiver));
    arrived.sort_unstable();
    arrived.dedup();
    assert_eq!(arrived, [0, 1, 2, 3, 4, 5], "with all their retries");
    let page = bench.engine.deliveries(DeliveryFilter::endpoint(id)).await.unwrap();
    assert!(page.deliveries.iter().all(|held| held.state.as_str() == "succeeded"));
    assert_eq!(page.deliveries.len(), 6, "and they are in its history");
    let task = bench.engine.start_replay_missing(id, start(), None).await.unwrap();
    assert_eq!(ended(&bench.engine, task.id).await.done, 0, "nothing is missing twice");
    let events = Some(Vec::new());
    let change = EndpointChange { event_filter: events, ..EndpointChange::default() };
    bench.engine.update_endpoint(id, change).await.unwrap();
    let task = bench.engine.start_replay_missing(id, start(), None).await.unwrap();
    assert_eq!(ended(&bench.engine, task.id).await.done, 1, "its filter of now counts");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_filter_asks_for_is_counted_and_sent_again_once() {
    let (bench, receiver, id) = shop().await;
    bench.settled_order(1).await;
    bench.emit("refund.created", json!({ "orderId": 2 })).await;
    bench.engine.settle().await;
    exhausted(&bench, &receiver, 3..5).await;
    receiver.answer_next([Answer::status(500)]);
    bench.settled_order(5).await;
    let all = DeliveryFilter::endpoint(id);
    let mut refunds = all.clone();
    refunds.event_types = vec![hookwheel::model::EventPattern::new("refund.*").unwrap()];
    for (filter, expected) in [
        (all.clone(), 4),
        (DeliveryFilter::application(bench.application), 4),
        (refunds, 1),
        (all.clone().state("exhausted"), 2),
        (all.clone().state("waiting"), 0),
    ] {
        let count = bench.engine.count_deliveries(filter.clone()).await.unwrap();
        assert_eq!((count.count, count.at_least), (expected, false));
        let before = posts(&receiver).len();
        // So that each stays as it is for the next filter.
        receiver.answer_always(Some(Answer::status(500)));
        let task = bench.engine.start_replay(filter).await.unwrap();
        assert_eq!(ended(&bench.engine, task.id).await.done, expected);
        receiver.answer_always(None);
        assert_eq!(posts(&receiver).len() - before, usize::try_from(expected).unwrap());
    }
    let error = bench.engine.start_replay(all.state("failed")).await.unwrap_err();
    assert!(error.is_invalid(), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_set_is_sent_again_as_one() {
    let bench = bench().await;
    let (receiver, created) = bench.receiver(Consumer::GoCardless).await;
    let data = json!({ "links": { "payment": 1 } });
    let event = || bench.event("payments.created", data.clone());
    // More than a step of them.
    bench.engine.emit_batch((0..450).map(|_| event()).collect()).await.unwrap();
    bench.engine.settle().await;
    let sent = posts(&receiver).len();
    let filter = DeliveryFilter::endpoint(created.endpoint.id);
    let count = bench.engine.count_deliveries(filter.clone()).await.unwrap();
    assert_eq!(count.count, sent as u64, "webhooks, not deliveries");
    let task = bench.engine.start_replay(filter).await.unwrap();
    assert_eq!(ended(&bench.engine, task.id).await.done, sent as u64);
    assert_eq!(posts(&receiver).len(), 2 * sent);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_set_is_sent_again_for_any_of_its_events() {
    let bench = bench().await;
    let (receiver, created) = bench.receiver(Consumer::GoCardless).await;
    let event = |number| bench.event("payments.created", json!({ "links": { "payment": number } }));
    let emitted = bench.engine.emit_batch(vec![event(1), event(2), event(3)]).await.unwrap();
    bench.engine.settle().await;
    assert_eq!(posts(&receiver).len(), 1);
    for (sent, of) in emitted.iter().enumerate() {
        let filter = DeliveryFilter::endpoint(created.endpoint.id).event(of.event);
        let task = bench.engine.start_replay(filter).await.unwrap();
        assert_eq!(ended(&bench.engine, task.id).await.done, 1);
        assert_eq!(posts(&receiver).len(), sent + 2);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn tasks_are_listed_fail_with_a_reason_and_expire() {
    let (bench, receiver, id) = shop().await;
    exhausted(&bench, &receiver, 0..1).await;
    let mut started = Vec::new();
    for _ in 0..5 {
        let task = bench.engine.start_recovery(id, start(), None).await.unwrap();
        started.insert(0, ended(&bench.engine, task.id).await.id);
    }
    let mut filter = TaskFilter { limit: 2, ..TaskFilter::default() };
    let mut listed = Vec::new();
    loop {
        let page = bench.engine.tasks(&filter).unwrap();
        listed.extend(page.tasks.iter().map(|task| task.id));
        let Some(next) = page.next else { break };
        filter.position = Some(next);
    }
    assert_eq!(listed, started, "newest first");
    for (state, expected) in [("finished", 5), ("running", 0), ("failed", 0)] {
        let filter = TaskFilter { state: Some(state.to_owned()), ..TaskFilter::default() };
        assert_eq!(bench.engine.tasks(&filter).unwrap().tasks.len(), expected, "{state}");
    }
    let filter = TaskFilter { state: Some("over".to_owned()), ..TaskFilter::default() };
    assert!(bench.engine.tasks(&filter).unwrap_err().is_invalid());
    let other = bench.engine.create_application(NewApplication::new("Other")).await.unwrap();
    let filter = TaskFilter { application: Some(other.id), ..TaskFilter::default() };
    assert!(bench.engine.tasks(&filter).unwrap().tasks.is_empty());

    bench.advance(hours(24 * 7)).await;
    bench.engine.expire().await.unwrap();
    assert!(bench.engine.task(started[0]).is_ok());
    bench.advance(seconds(1)).await;
    bench.engine.expire().await.unwrap();
    assert!(bench.engine.task(started[0]).unwrap_err().is_not_found());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_task_goes_on_after_a_restart_and_sends_nothing_twice() {
    let folder = tempfile::tempdir().unwrap();
    let clock = Clock::manual(start());
    let open = async || {
        soon(async {
            loop {
                match builder(folder.path(), &clock).open().await {
                    Ok(engine) => return engine,
                    Err(error) => assert!(error.is_in_use(), "{error}"),
                }
            }
        })
        .await
    };
    let engine = open().await;
    let shop = engine.create_application(NewApplication::new("Shop")).await.unwrap().id;
    let count = 3000_u64;
    for part in 0..count / 1000 {
        let event = |number| {
            let data = json!({ "orderId": part * 1000 + number });
            NewEvent::new(shop, "order.created", &data).unwrap()
        };
        engine.emit_batch((0..1000).map(event).collect()).await.unwrap();
    }
    let receiver = Receiver::start(Consumer::Unchecked, "").await.unwrap();
    let new = NewEndpoint::new(receiver.url()).provider("ticketnation");
    let id = engine.create_endpoint(shop, new).await.unwrap().endpoint.id;
    let task = engine.start_replay_missing(id, start(), None).await.unwrap();
    let begun = async |engine: &Engine| {
        until(|| engine.task(task.id).unwrap().done > 0).await;
        engine.task(task.id).unwrap()
    };
    begun(&engine).await;
    // Once in an orderly way, once by dropping everything.
    engine.close().await.unwrap();
    drop(engine);
    let engine = open().await;
    drop(engine);
    let engine = open().await;
    let task = ended(&engine, task.id).await;
    assert_eq!((task.state, task.done), (TaskState::Finished, count));
    let page = engine.statistics(id, start(), start().after(seconds(1))).await.unwrap();
    assert_eq!(page.succeeded, count);
    let mut arrived = orders(&posts(&receiver));
    arrived.sort_unstable();
    arrived.dedup();
    assert_eq!(arrived.len() as u64, count);
}

fn builder(folder: &std::path::Path, clock: &Clock) -> hookwheel::EngineBuilder {
    let builder = Engine::builder().data_folder(folder.join("data")).development();
    builder.clock(clock.clone())
}
