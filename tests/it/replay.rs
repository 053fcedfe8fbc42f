//! Sending again by hand.

use crate::common::{Bench, bench, minutes, orders, posts, posts_arrived, seconds, start};
use hookwheel::simulate::receiver::{Answer, Consumer, Receiver};
use hookwheel::{DeliveryId, EndpointId};

/// A TicketNation receiver with its endpoint.
async fn shop() -> (Bench, Receiver, EndpointId) {
    let bench = bench().await;
    let (receiver, created) = bench.receiver(Consumer::TicketNation).await;
    (bench, receiver, created.endpoint.id)
}

/// An order whose ladder was walked to its end in vain.
async fn exhausted(bench: &Bench, receiver: &Receiver, number: u32) -> DeliveryId {
    receiver.answer_always(Some(Answer::status(500)));
    let delivery = bench.settled_order(number).await;
    for delay in [seconds(30), minutes(5), minutes(50)] {
        bench.advance(delay).await;
    }
    assert_eq!(bench.state(delivery).await, "exhausted");
    receiver.answer_always(None);
    delivery
}

async fn triggers(bench: &Bench, delivery: DeliveryId) -> Vec<&'static str> {
    let attempts = bench.history(delivery).await.attempts;
    attempts.iter().map(|attempt| attempt.trigger.as_str()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_succeeded_can_be_sent_again() {
    let (bench, receiver, _) = shop().await;
    let delivery = bench.settled_order(1).await;
    bench.engine.replay(delivery).await.unwrap();
    bench.engine.settle().await;
    assert_eq!(posts(&receiver).len(), 2);
    assert_eq!(triggers(&bench, delivery).await, ["scheduled", "manual"]);
    receiver.answer_next([Answer::status(500)]);
    bench.engine.replay(delivery).await.unwrap();
    bench.engine.settle().await;
    assert_eq!(bench.state(delivery).await, "succeeded", "a failed replay takes nothing back");
    bench.advance(minutes(60)).await;
    assert_eq!(posts(&receiver).len(), 3, "and is not retried");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_is_sent_again_by_hand_a_thousand_times_and_no_more() {
    let (bench, receiver, id) = shop().await;
    let delivery = exhausted(&bench, &receiver, 1).await;
    let other = exhausted(&bench, &receiver, 2).await;
    receiver.answer_always(Some(Answer::status(500)));
    for _ in 4..1000 {
        bench.engine.replay(delivery).await.unwrap();
        bench.engine.settle().await;
    }
    let error = bench.engine.replay(delivery).await.unwrap_err();
    assert!(error.is_conflict() && error.to_string().contains("1000 attempts"), "{error}");
    assert_eq!(bench.engine.recover(id, start(), None).await.unwrap(), 1, "the other one");
    bench.engine.settle().await;
    let attempts = |history: hookwheel::DeliveryHistory| history.delivery.attempts;
    assert_eq!(attempts(bench.history(delivery).await), 1000);
    assert_eq!(attempts(bench.history(other).await), 5);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_exhausted_can_still_come_home() {
    let (bench, receiver, _) = shop().await;
    let delivery = exhausted(&bench, &receiver, 1).await;
    receiver.answer_next([Answer::status(500)]);
    bench.engine.replay(delivery).await.unwrap();
    bench.engine.settle().await;
    assert_eq!(bench.state(delivery).await, "exhausted");
    bench.engine.replay(delivery).await.unwrap();
    bench.engine.settle().await;
    assert_eq!(bench.state(delivery).await, "succeeded");
    assert_eq!(bench.history(delivery).await.attempts.last().unwrap().number, 6);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replay_that_succeeds_ends_the_ladder() {
    let (bench, receiver, _) = shop().await;
    receiver.answer_next([Answer::status(500)]);
    let delivery = bench.settled_order(1).await;
    bench.engine.replay(delivery).await.unwrap();
    bench.engine.settle().await;
    assert_eq!(bench.state(delivery).await, "succeeded");
    bench.advance(minutes(60)).await;
    assert_eq!(posts(&receiver).len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replay_that_fails_leaves_the_ladder_as_it_stood() {
    let (bench, receiver, _) = shop().await;
    receiver.answer_next([500, 500, 500].map(Answer::status));
    let delivery = bench.settled_order(1).await;
    bench.advance(seconds(10)).await;
    bench.engine.replay(delivery).await.unwrap();
    bench.engine.settle().await;
    assert_eq!(bench.waits(delivery).await, Some(seconds(20)), "still 30 s after the first");
    bench.advance(seconds(20)).await;
    assert_eq!(bench.waits(delivery).await, Some(minutes(5)), "the replay took no rung");
    bench.advance(minutes(5)).await;
    assert_eq!(bench.state(delivery).await, "succeeded");
    let expected = ["scheduled", "manual", "scheduled", "scheduled"];
    assert_eq!(triggers(&bench, delivery).await, expected);
    let numbers = bench.history(delivery).await.attempts;
    let numbers: Vec<u32> = numbers.iter().map(|attempt| attempt.number).collect();
    assert_eq!(numbers, [1, 2, 3, 4]);
}

#[tokio::test(flavor = "multi_thread")]
async fn schedule_and_hand_never_send_one_webhook_at_once() {
    let (bench, receiver, _) = shop().await;
    receiver.answer_next([Answer::status(500), Answer::hang()]);
    let delivery = bench.settled_order(1).await;
    bench.engine.replay(delivery).await.unwrap();
    posts_arrived(&receiver, 2).await;
    bench.clock.advance(seconds(30));
    // Another order goes all the way: what is due was looked at meanwhile.
    bench.order(2).await;
    posts_arrived(&receiver, 3).await;
    assert_eq!(orders(&posts(&receiver)), [1, 1, 2], "the retry waits for the replay");
    receiver.stop().await;
    receiver.resume().await.unwrap();
    bench.engine.settle().await;
    bench.advance(minutes(5)).await;
    assert_eq!(bench.state(delivery).await, "succeeded");
}

#[tokio::test(flavor = "multi_thread")]
async fn everything_that_failed_since_a_time_is_replayed() {
    let (bench, receiver, id) = shop().await;
    exhausted(&bench, &receiver, 1).await;
    let since = bench.clock.now();
    let missed = [exhausted(&bench, &receiver, 2).await, exhausted(&bench, &receiver, 3).await];
    bench.settled_order(4).await;
    let before = posts(&receiver).len();
    assert_eq!(bench.engine.replay_failed(id, since, None).await.unwrap(), 2);
    bench.engine.settle().await;
    assert_eq!(orders(&posts(&receiver)[before..]).len(), 2);
    for delivery in missed {
        assert_eq!(bench.state(delivery).await, "succeeded");
    }
    assert_eq!(bench.engine.replay_failed(id, since, None).await.unwrap(), 0);
    assert_eq!(bench.engine.replay_failed(id, start(), None).await.unwrap(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn recover_sends_what_was_skipped_with_all_its_retries() {
    let (bench, receiver, id) = shop().await;
    let failed = exhausted(&bench, &receiver, 1).await;
    bench.engine.disable_endpoint(id, "moving house").await.unwrap();
    let mut skipped = Vec::new();
    for number in 2..=4 {
        skipped.push(bench.settled_order(number).await);
    }
    let error = bench.engine.recover(id, start(), None).await.unwrap_err();
    assert!(error.is_conflict() && error.to_string().contains("moving house"), "{error}");
    assert!(bench.engine.replay(failed).await.unwrap_err().is_conflict());
    bench.engine.enable_endpoint(id).await.unwrap();
    receiver.answer_next([Answer::status(500)]);
    assert_eq!(bench.engine.recover(id, start(), None).await.unwrap(), 4);
    bench.engine.settle().await;
    bench.advance(seconds(30)).await;
    for delivery in skipped {
        assert_eq!(bench.state(delivery).await, "succeeded");
    }
    assert_eq!(bench.engine.recover(id, bench.clock.now(), None).await.unwrap(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_not_tried_yet_cannot_be_replayed() {
    let (bench, receiver, id) = shop().await;
    receiver.answer_next([Answer::hang()]);
    let delivery = bench.order(1).await;
    posts_arrived(&receiver, 1).await;
    let error = bench.engine.replay(delivery).await.unwrap_err();
    assert!(error.is_conflict() && error.to_string().contains("on its way"), "{error}");
    let unknown = DeliveryId { event: delivery.event, endpoint: EndpointId::from_uuid(id.uuid()) };
    assert!(bench.engine.replay(unknown).await.is_err());
    receiver.stop().await;
}
