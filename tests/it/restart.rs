//! What an engine does with what it finds in its data folder.

use crate::common::{hours, minutes, orders, posts, posts_arrived, seconds, soon, start, until};
use hookwheel::simulate::receiver::{Answer, Consumer, Receiver, Setup};
use hookwheel::{
    ApplicationId, Clock, CreatedEndpoint, DeliveryId, Engine, ErrorKind, NewApplication,
    NewEndpoint, NewEvent,
};
use serde_json::json;
use std::time::Duration;
use tempfile::TempDir;

/// A data folder whose engine can be closed, dropped and opened again.
struct House {
    folder: TempDir,
    clock: Clock,
    engine: Option<Engine>,
    shop: ApplicationId,
    at_rest: bool,
}

impl House {
    async fn new() -> Self {
        let (folder, clock) = (tempfile::tempdir().unwrap(), Clock::manual(start()));
        let shop = ApplicationId::from_uuid(uuid::Uuid::nil());
        let mut house = Self { folder, clock, engine: None, shop, at_rest: false };
        house.open().await;
        house.shop =
            house.engine().create_application(NewApplication::new("Shop")).await.unwrap().id;
        house
    }

    async fn try_open(&self) -> hookwheel::Result<Engine> {
        let builder = Engine::builder().data_folder(self.folder.path().join("data"));
        let builder = builder.development().clock(self.clock.clone());
        if self.at_rest { builder.at_rest() } else { builder }.open().await
    }

    /// Opens the folder, once whoever had it has let go.
    async fn open(&mut self) {
        self.engine = Some(
            soon(async {
                loop {
                    match self.try_open().await {
                        Ok(engine) => return engine,
                        Err(error) => assert_eq!(error.kind(), ErrorKind::InUse, "{error}"),
                    }
                }
            })
            .await,
        );
    }

    fn engine(&self) -> &Engine {
        self.engine.as_ref().unwrap()
    }

    /// Closes in an orderly way, or just drops everything; then opens again.
    async fn restart(&mut self, orderly: bool) {
        self.leave(orderly).await;
        self.open().await;
    }

    async fn leave(&mut self, orderly: bool) {
        let engine = self.engine.take().unwrap();
        if orderly {
            engine.close().await.unwrap();
        }
    }

    async fn receiver(&self, consumer: Consumer) -> (Receiver, CreatedEndpoint) {
        let setup = Setup { clock: self.clock.clone(), ..Setup::default() };
        let receiver = Receiver::start_with(consumer, "", setup).await.unwrap();
        if consumer == Consumer::OpenCard {
            let secret = self.engine().application_secret(self.shop, "opencard").await.unwrap();
            receiver.set_secret(secret.expose());
        }
        let endpoint = NewEndpoint::new(receiver.url()).provider(consumer.name());
        let created = self.engine().create_endpoint(self.shop, endpoint).await.unwrap();
        receiver.set_secret(created.secret.expose());
        (receiver, created)
    }

    async fn order(&self, number: u32) -> DeliveryId {
        let event = NewEvent::new(self.shop, "order.created", &json!({ "orderId": number }));
        self.engine().emit(event.unwrap()).await.unwrap().deliveries[0]
    }

    async fn settled_order(&self, number: u32) -> DeliveryId {
        let delivery = self.order(number).await;
        self.engine().settle().await;
        delivery
    }

    async fn advance(&self, by: Duration) {
        self.clock.advance(by);
        self.engine().settle().await;
    }

    async fn state(&self, delivery: DeliveryId) -> &'static str {
        self.engine().delivery(delivery).await.unwrap().delivery.state.as_str()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn waiting_retries_keep_their_due_times_and_overdue_ones_go_at_once() {
    for orderly in [true, false] {
        let mut house = House::new().await;
        let (receiver, _) = house.receiver(Consumer::TicketNation).await;
        receiver.answer_next([500, 500, 500].map(Answer::status));
        let early = house.settled_order(1).await;
        house.advance(seconds(30)).await;
        let late = house.settled_order(2).await;
        house.restart(orderly).await;
        house.engine().settle().await;
        assert_eq!(posts(&receiver).len(), 3, "nothing is due");
        let due = house.engine().delivery(early).await.unwrap().next_attempt();
        assert_eq!(due, Some(start().after(seconds(330))));
        let due = house.engine().delivery(late).await.unwrap().next_attempt();
        assert_eq!(due, Some(start().after(seconds(60))));
        house.advance(seconds(30) - Duration::from_millis(1)).await;
        assert_eq!(posts(&receiver).len(), 3);
        house.advance(Duration::from_millis(1)).await;
        assert_eq!(orders(&posts(&receiver)), [1, 1, 2, 2]);

        house.leave(orderly).await;
        house.clock.advance(hours(1));
        house.open().await;
        house.engine().settle().await;
        assert_eq!(orders(&posts(&receiver)), [1, 1, 2, 2, 1], "fell due meanwhile");
        for delivery in [early, late] {
            assert_eq!(house.state(delivery).await, "succeeded");
        }
        let history = house.engine().delivery(early).await.unwrap();
        let numbers: Vec<u32> = history.attempts.iter().map(|attempt| attempt.number).collect();
        assert_eq!(numbers, [1, 2, 3]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_accepted_and_not_yet_sent_goes_out() {
    let mut house = House::new().await;
    let (receiver, _) = house.receiver(Consumer::TicketNation).await;
    receiver.answer_always(Some(Answer::hang()));
    let mut deliveries = Vec::new();
    for number in 1..=40 {
        deliveries.push(house.order(number).await);
    }
    posts_arrived(&receiver, 16).await;
    // Dropping the engine does not end its requests; losing their connections does, and what they
    // find then is a closed store or a recorded failure.
    house.leave(false).await;
    receiver.stop().await;
    receiver.answer_always(None);
    house.open().await;
    receiver.resume().await.unwrap();
    house.engine().settle().await;
    house.advance(seconds(30)).await;
    for delivery in deliveries {
        assert_eq!(house.state(delivery).await, "succeeded");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn closing_waits_for_requests_in_flight() {
    let mut house = House::new().await;
    let (receiver, _) = house.receiver(Consumer::TicketNation).await;
    receiver.answer_next([Answer::hang()]);
    let delivery = house.order(1).await;
    posts_arrived(&receiver, 1).await;
    let engine = house.engine.take().unwrap();
    let closing = tokio::spawn({
        let engine = engine.clone();
        async move { engine.close().await }
    });
    until(|| {
        let event = NewEvent::new(house.shop, "order.created", &json!({})).unwrap();
        futures_now(engine.emit(event)).is_some_and(|refused| refused.is_err())
    })
    .await;
    assert!(!closing.is_finished());
    receiver.stop().await;
    closing.await.unwrap().unwrap();
    drop(engine);
    house.open().await;
    let history = house.engine().delivery(delivery).await.unwrap();
    assert_eq!(history.attempts.len(), 1, "the attempt is on record");
    assert_eq!(history.next_attempt(), Some(start().after(seconds(30))));
}

/// What `future` gives without waiting.
fn futures_now<F: Future>(future: F) -> Option<F::Output> {
    let mut context = std::task::Context::from_waker(std::task::Waker::noop());
    match std::pin::pin!(future).poll(&mut context) {
        std::task::Poll::Ready(output) => Some(output),
        std::task::Poll::Pending => None,
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn ids_grow_over_restarts_though_the_clock_does_not() {
    let mut house = House::new().await;
    let mut last = None;
    for orderly in [true, false, true] {
        let event = NewEvent::new(house.shop, "order.created", &json!({})).unwrap();
        let id = house.engine().emit(event).await.unwrap().event;
        assert!(Some(id) > last);
        last = Some(id);
        house.restart(orderly).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_engine_on_the_same_folder_is_refused() {
    let mut house = House::new().await;
    let error = house.try_open().await.err().unwrap();
    assert!(error.is_in_use(), "{error}");
    house.settled_order_without_endpoint().await;
    house.restart(true).await;
}

impl House {
    async fn settled_order_without_endpoint(&self) {
        let event = NewEvent::new(self.shop, "order.created", &json!({})).unwrap();
        assert!(self.engine().emit(event).await.unwrap().deliveries.is_empty());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn idempotency_keys_and_settings_survive() {
    let mut house = House::new().await;
    let (_receiver, created) = house.receiver(Consumer::TicketNation).await;
    let event = NewEvent::new(house.shop, "order.created", &json!({})).unwrap();
    let event = event.idempotency_key("once");
    let first = house.engine().emit(event.clone()).await.unwrap();
    house.engine().settle().await;
    house.restart(false).await;
    let again = house.engine().emit(event).await.unwrap();
    assert!(again.repeated && again.event == first.event);
    let id = created.endpoint.id;
    assert_eq!(house.engine().endpoint_secret(id).await.unwrap(), created.secret);
    house.engine().disable_endpoint(id, "closed for good").await.unwrap();
    house.restart(true).await;
    let endpoint = house.engine().endpoint(id).unwrap();
    assert!(format!("{:?}", endpoint.state).contains("closed for good"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_stays_the_same_over_a_restart() {
    let mut house = House::new().await;
    let (receiver, _) = house.receiver(Consumer::GoCardless).await;
    receiver.answer_next([Answer::status(500)]);
    let events = (0..5).map(|number| {
        NewEvent::new(house.shop, "payments.created", &json!({ "links": { "n": number } })).unwrap()
    });
    let emitted = house.engine().emit_batch(events.collect()).await.unwrap();
    house.engine().settle().await;
    house.restart(false).await;
    house.advance(minutes(1)).await;
    let sent = posts(&receiver);
    assert_eq!(sent.len(), 2);
    assert_eq!(sent[0].body, sent[1].body);
    house.restart(true).await;
    house.engine().replay(emitted[3].deliveries[0]).await.unwrap();
    house.engine().settle().await;
    assert_eq!(posts(&receiver)[2].body, sent[0].body);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_parked_endpoint_stays_parked_and_drains_in_order() {
    let mut house = House::new().await;
    let (receiver, created) = house.receiver(Consumer::OpenCard).await;
    let id = created.endpoint.id;
    receiver.answer_next([Answer::status(500)]);
    house.settled_order(1).await;
    receiver.stop().await;
    for delay in [seconds(10), minutes(1), minutes(5)] {
        house.advance(delay).await;
    }
    for number in 2..=20 {
        house.settled_order(number).await;
    }
    house.restart(false).await;
    assert_eq!(house.engine().endpoint(id).unwrap().state.as_str(), "parked");
    for number in 21..=40 {
        house.settled_order(number).await;
    }
    receiver.resume().await.unwrap();
    house.advance(minutes(1)).await;
    posts_arrived(&receiver, 41).await;
    house.engine().settle().await;
    assert_eq!(orders(&posts(&receiver)[1..]), (1..=40).collect::<Vec<u64>>());
    assert_eq!(house.engine().endpoint(id).unwrap().state.as_str(), "enabled");
}

#[tokio::test(flavor = "multi_thread")]
async fn parked_endpoints_are_not_all_probed_at_the_same_time_after_a_start() {
    let mut house = House::new().await;
    let (receiver, first) = house.receiver(Consumer::OpenCard).await;
    let mut parked = vec![first.endpoint.id];
    for _ in 1..4 {
        let new = NewEndpoint::new(receiver.url()).provider("opencard");
        parked.push(house.engine().create_endpoint(house.shop, new).await.unwrap().endpoint.id);
    }
    receiver.answer_always(Some(Answer::status(500)));
    house.settled_order(1).await;
    for delay in [seconds(10), minutes(1), minutes(5)] {
        house.advance(delay).await;
    }
    let next = |house: &House| {
        let probe = |id| house.engine().probe_status(id).map(|status| status.next);
        let mut next: Vec<_> = parked.iter().filter_map(|id| probe(*id)).collect();
        next.sort();
        next
    };
    let parked_at = house.clock.now();
    until(|| next(&house).len() == 4).await;
    assert_eq!(next(&house), [minutes(1); 4].map(|wait| parked_at.after(wait)));
    house.restart(true).await;
    assert_eq!(next(&house), [15, 30, 45, 60].map(|wait| parked_at.after(seconds(wait))));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_engine_at_rest_sends_nothing() {
    let mut house = House::new().await;
    let (receiver, _) = house.receiver(Consumer::TicketNation).await;
    receiver.answer_next([Answer::status(500)]);
    house.settled_order(1).await;
    house.at_rest = true;
    house.restart(true).await;
    house.advance(minutes(1)).await;
    assert_eq!(posts(&receiver).len(), 1, "though it is due");
    house.at_rest = false;
    house.restart(true).await;
    house.engine().settle().await;
    assert_eq!(posts(&receiver).len(), 2);
}
