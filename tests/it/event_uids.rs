//! The platform's own ids of events.

use crate::common::{bench, hours, orders, posts};
use hookwheel::simulate::receiver::Consumer;
use hookwheel::{NewApplication, NewEvent};
use serde_json::json;

#[tokio::test(flavor = "multi_thread")]
async fn a_uid_names_one_event_for_as_long_as_it_is_kept() {
    let bench = bench().await;
    let order = |number: u32| bench.event("order.created", json!({ "orderId": number })).uid("o-1");
    let first = bench.engine.emit(order(1).tags(["vip", "berlin:1"])).await.unwrap();
    let held = bench.engine.event(first.event).await.unwrap().event;
    assert_eq!((held.uid.as_deref(), held.tags.join(" ")), (Some("o-1"), "vip berlin:1".into()));
    let error = bench.engine.emit(order(1)).await.unwrap_err();
    assert!(error.is_conflict() && error.to_string().contains(&first.event.to_string()), "{error}");
    let twice = vec![order(2).uid("o-2"), order(3).uid("o-2")];
    let error = bench.engine.emit_batch(twice).await.unwrap_err();
    assert!(error.is_conflict() && error.to_string().contains("`o-2`"), "{error}");
    let other = bench.engine.create_application(NewApplication::new("Other")).await.unwrap().id;
    let elsewhere = NewEvent { application: other, ..order(1) };
    let elsewhere = bench.engine.emit(elsewhere).await.unwrap();

    let called = async |application, uid| bench.engine.event_by_uid(application, uid).await;
    assert_eq!(called(bench.application, "o-1").await.unwrap(), Some(first.event));
    assert_eq!(called(other, "o-1").await.unwrap(), Some(elsewhere.event));
    assert_eq!(called(bench.application, "o-2").await.unwrap(), None);
    bench.engine.delete_application(other).await.unwrap();
    assert!(called(other, "o-1").await.unwrap_err().is_not_found());

    bench.advance(hours(91 * 24)).await;
    bench.engine.expire().await.unwrap();
    assert_eq!(called(bench.application, "o-1").await.unwrap(), None);
    let second = bench.engine.emit(order(4)).await.unwrap();
    assert_eq!(called(bench.application, "o-1").await.unwrap(), Some(second.event));
}

#[tokio::test(flavor = "multi_thread")]
async fn of_many_at_once_under_one_uid_one_is_accepted() {
    let bench = bench().await;
    let (receiver, _) = bench.receiver(Consumer::TicketNation).await;
    let mut tasks = Vec::new();
    for number in 0..64 {
        let engine = bench.engine.clone();
        let event = bench.event("order.created", json!({ "orderId": number })).uid("once");
        tasks.push(tokio::spawn(async move { engine.emit(event).await }));
    }
    let mut accepted = 0;
    for task in tasks {
        match task.await.unwrap() {
            Ok(_) => accepted += 1,
            Err(error) => assert!(error.is_conflict(), "{error}"),
        }
    }
    assert_eq!(accepted, 1);
    bench.engine.settle().await;
    assert_eq!(posts(&receiver).len(), 1);
    assert_eq!(orders(&posts(&receiver)).len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_repeated_emit_is_answered_though_its_uid_is_taken() {
    let bench = bench().await;
    let event = bench.event("order.created", json!({})).uid("o-1").idempotency_key("key");
    let first = bench.engine.emit(event.clone()).await.unwrap();
    let again = bench.engine.emit(event.clone()).await.unwrap();
    assert!(again.repeated && again.event == first.event);
    // Another uid, or what was a channel as a tag, is another request.
    for other in [event.clone().uid("o-2"), event.clone().tags(["a"])] {
        let error = bench.engine.emit(other).await.unwrap_err();
        assert!(error.to_string().contains("idempotency key `key`"), "{error}");
    }
    let labelled = bench.event("order.created", json!({})).idempotency_key("labels");
    bench.engine.emit(labelled.clone().channels(["a"])).await.unwrap();
    assert!(bench.engine.emit(labelled.tags(["a"])).await.unwrap_err().is_conflict());
    bench.advance(hours(24)).await;
    let error = bench.engine.emit(event).await.unwrap_err();
    assert!(error.to_string().contains("event uid `o-1` is taken"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn uids_and_tags_are_checked() {
    let bench = bench().await;
    let event = || bench.event("order.created", json!({}));
    for bad in [event().uid(""), event().uid("a b"), event().tags(["a b"]), event().tags([""; 1])] {
        assert!(bench.engine.emit(bad).await.unwrap_err().is_invalid());
    }
    let many = event().tags((0..11).map(|n| n.to_string()));
    let error = bench.engine.emit(many).await.unwrap_err();
    assert!(error.to_string().contains("more than 10 tags"), "{error}");
}
