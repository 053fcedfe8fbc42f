//! Helpers that read as questions.

use hookwheel::simulate::receiver::{Answer, Consumer, Received, Receiver, Setup};
use hookwheel::{
    ApplicationId, Clock, Config, CreatedEndpoint, DeliveryHistory, DeliveryId, Emitted,
    EndpointId, Engine, EngineBuilder, NewApplication, NewEndpoint, NewEvent, Timestamp,
};
use serde_json::{Value, json};
use std::path::Path;
use std::time::Duration;

/// How long something that is about to happen may take at most, in real time.
const SOON: Duration = Duration::from_secs(30);

/// An engine with a clock that is moved by hand, and an application.
pub struct Bench {
    pub engine: Engine,
    pub clock: Clock,
    pub application: ApplicationId,
}

/// The instant at which the tests' clocks stand first.
pub fn start() -> Timestamp {
    Timestamp::parse("2026-01-15T12:00:00Z").unwrap()
}

pub fn seconds(count: u64) -> Duration {
    Duration::from_secs(count)
}

pub fn minutes(count: u64) -> Duration {
    seconds(count * 60)
}

pub fn hours(count: u64) -> Duration {
    minutes(count * 60)
}

/// An engine in memory for local endpoints.
pub async fn bench() -> Bench {
    bench_with(EngineBuilder::development).await
}

/// An engine in memory, opened as `set_up` says.
pub async fn bench_with(set_up: impl FnOnce(EngineBuilder) -> EngineBuilder) -> Bench {
    let clock = Clock::manual(start());
    let builder = Engine::builder().in_memory().clock(clock.clone());
    let engine = set_up(builder).open().await.unwrap();
    let application = engine.create_application(NewApplication::new("Shop")).await.unwrap().id;
    Bench { engine, clock, application }
}

/// An engine for local endpoints in a folder, with a clock moved by hand that stands at `now`, once
/// whoever had the folder has let go.
pub async fn open_in(folder: &Path, now: Timestamp) -> Engine {
    soon(async {
        loop {
            let builder = Engine::builder().data_folder(folder.join("data")).development();
            match builder.clock(Clock::manual(now)).open().await {
                Err(error) if error.is_in_use() => {}
                opened => return opened.unwrap(),
            }
        }
    })
    .await
}

/// Limits for local endpoints.
pub fn development() -> Config {
    let mut config = Config::default();
    config.egress.development = true;
    config
}

impl Bench {
    /// A receiver that verifies as `consumer`, with an endpoint of that provider that goes to it.
    pub async fn receiver(&self, consumer: Consumer) -> (Receiver, CreatedEndpoint) {
        self.receiver_with(consumer, |endpoint| endpoint).await
    }

    /// A receiver, with an endpoint that `set_up` changes before it is made.
    pub async fn receiver_with(
        &self,
        consumer: Consumer,
        set_up: impl FnOnce(NewEndpoint) -> NewEndpoint,
    ) -> (Receiver, CreatedEndpoint) {
        let receiver = self.listen(consumer).await;
        let endpoint = NewEndpoint::new(receiver.url());
        let endpoint = match consumer {
            Consumer::Unchecked => endpoint,
            consumer => endpoint.provider(consumer.name()),
        };
        let created = self.endpoint(set_up(endpoint)).await;
        receiver.set_secret(created.secret.expose());
        (receiver, created)
    }

    /// A receiver that no endpoint goes to yet.
    pub async fn listen(&self, consumer: Consumer) -> Receiver {
        let setup = Setup { clock: self.clock.clone(), ..Setup::default() };
        let receiver = Receiver::start_with(consumer, "", setup).await.unwrap();
        if consumer == Consumer::OpenCard {
            let secret = self.engine.application_secret(self.application, "opencard").await;
            receiver.set_secret(secret.unwrap().expose());
        }
        receiver
    }

    /// A receiver that is down, with an OpenCard endpoint that was parked for it, having failed
    /// order 1. It would answer 500 to events.
    pub async fn parked(&self) -> (Receiver, CreatedEndpoint) {
        let (receiver, created) = self.receiver(Consumer::OpenCard).await;
        receiver.answer_always(Some(Answer::status(500)));
        let delivery = self.settled_order(1).await;
        receiver.stop().await;
        for delay in [seconds(10), minutes(1), minutes(5)] {
            self.advance(delay).await;
        }
        self.until_parked(created.endpoint.id).await;
        assert_eq!(self.state(delivery).await, "waiting");
        assert_eq!(self.history(delivery).await.attempts.len(), 4);
        (receiver, created)
    }

    /// Makes an endpoint of the bench's application.
    pub async fn endpoint(&self, endpoint: NewEndpoint) -> CreatedEndpoint {
        self.engine.create_endpoint(self.application, endpoint).await.unwrap()
    }

    /// Why an endpoint is refused.
    pub async fn endpoint_refused(&self, endpoint: NewEndpoint) -> hookwheel::Error {
        self.engine.create_endpoint(self.application, endpoint).await.unwrap_err()
    }

    /// An event of the bench's application.
    pub fn event(&self, event_type: &str, data: Value) -> NewEvent {
        NewEvent::new(self.application, event_type, &data).unwrap()
    }

    /// Emits an event of that type.
    pub async fn emit(&self, event_type: &str, data: Value) -> Emitted {
        self.engine.emit(self.event(event_type, data)).await.unwrap()
    }

    /// Emits an order with that number.
    pub async fn order(&self, number: u32) -> DeliveryId {
        let emitted = self.emit("order.created", json!({ "orderId": number })).await;
        emitted.deliveries[0]
    }

    /// Emits an order with that number and waits for what comes of it.
    pub async fn settled_order(&self, number: u32) -> DeliveryId {
        let delivery = self.order(number).await;
        self.engine.settle().await;
        delivery
    }

    /// Moves the clock by whole milliseconds, in which the wheel turns, and waits for what fell due.
    pub async fn advance(&self, by: Duration) {
        let millis = by.as_nanos().div_ceil(1_000_000);
        self.clock.advance(Duration::from_millis(millis.try_into().unwrap()));
        self.engine.settle().await;
    }

    /// What is on record of a delivery.
    pub async fn history(&self, delivery: DeliveryId) -> DeliveryHistory {
        self.engine.delivery(delivery).await.unwrap()
    }

    /// The word for where a delivery stands.
    pub async fn state(&self, delivery: DeliveryId) -> &'static str {
        self.history(delivery).await.delivery.state.as_str()
    }

    /// How long from now a delivery waits for its next attempt; `None` when it does not.
    pub async fn waits(&self, delivery: DeliveryId) -> Option<Duration> {
        let due = self.history(delivery).await.next_attempt()?;
        Some(due.since(self.clock.now()))
    }

    /// The word for whether an endpoint is served.
    pub fn served(&self, endpoint: EndpointId) -> &'static str {
        self.engine.endpoint(endpoint).unwrap().state.as_str()
    }

    /// Waits until an endpoint is in a state.
    pub async fn until_served(&self, endpoint: EndpointId, state: &str) {
        until(|| self.served(endpoint) == state).await;
    }

    /// Waits until an endpoint is parked and its next challenge is to come: what is known of the
    /// probes begins after the state.
    pub async fn until_parked(&self, endpoint: EndpointId) {
        let next = || self.engine.probe_status(endpoint).map(|status| status.next);
        until(|| next().is_some_and(|next| next > self.clock.now())).await;
    }
}

/// The webhooks among what arrived.
pub fn posts(receiver: &Receiver) -> Vec<Received> {
    let mut requests = receiver.requests();
    requests.retain(|request| request.method == "POST");
    requests
}

/// Waits until that many webhooks have arrived.
pub async fn posts_arrived(receiver: &Receiver, count: usize) -> Vec<Received> {
    let is_post = |request: &&Received| request.method == "POST";
    let arrived = |all: &[Received]| all.iter().filter(is_post).count() >= count;
    receiver.wait_until(arrived).await.unwrap();
    posts(receiver)
}

/// A webhook's body as JSON.
pub fn body(request: &Received) -> Value {
    serde_json::from_slice(&request.body).unwrap()
}

/// The order numbers in what arrived, whatever the provider's envelope around them.
pub fn orders(requests: &[Received]) -> Vec<u64> {
    fn order(value: &Value) -> Option<u64> {
        match value {
            Value::Object(members) => {
                let own = members.get("orderId").and_then(Value::as_u64);
                own.or_else(|| members.values().find_map(order))
            }
            _ => None,
        }
    }
    requests.iter().filter_map(|request| order(&body(request))).collect()
}

/// Waits until `condition` holds.
pub async fn until(condition: impl Fn() -> bool) {
    soon(async {
        while !condition() {
            tokio::task::yield_now().await;
        }
    })
    .await;
}

/// The result of `future`, which is about to come unless something is broken.
pub async fn soon<F: Future>(future: F) -> F::Output {
    hookwheel::clock::within(SOON, future).await.expect("it should have happened by now")
}

/// Sends the same request again, its body changed by `change`; the status of the answer.
pub async fn post_again(
    receiver: &Receiver,
    request: &Received,
    change: impl FnOnce(&mut Vec<u8>),
) -> u16 {
    let mut body = request.body.clone();
    change(&mut body);
    // reqwest comes without TLS of its own; whoever is first says whose it uses.
    let _ = rustls::crypto::ring::default_provider().install_default();
    // GoCardless's page finds its header in this casing only.
    let client = reqwest::Client::builder().http1_title_case_headers().build().unwrap();
    let mut post = client.post(receiver.url());
    for (name, value) in &request.headers {
        if !["Host", "Content-Length"].contains(&name.as_str()) {
            post = post.header(name, value);
        }
    }
    post.body(body).send().await.unwrap().status().as_u16()
}

/// A port that takes connections and never says anything.
pub struct Silent {
    address: std::net::SocketAddr,
    count: tokio::sync::watch::Receiver<usize>,
    task: tokio::task::JoinHandle<()>,
}

impl Bench {
    /// A listener that never answers; dropping it closes its connections.
    pub async fn listen_raw(&self) -> Silent {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (connected, count) = tokio::sync::watch::channel(0);
        let task = tokio::spawn(async move {
            let mut held = Vec::new();
            while let Ok((stream, _)) = listener.accept().await {
                held.push(stream);
                connected.send_replace(held.len());
            }
        });
        Silent { address, count, task }
    }
}

impl Silent {
    pub fn url(&self) -> String {
        format!("http://{}/webhooks", self.address)
    }

    /// Waits until somebody has connected.
    pub async fn connected(&self) {
        self.connections(1).await;
    }

    /// How many connections there are.
    pub fn count(&self) -> usize {
        *self.count.borrow()
    }

    /// Waits until there are that many connections.
    pub async fn connections(&self, wanted: usize) {
        let mut count = self.count.clone();
        soon(count.wait_for(|count| *count >= wanted)).await.unwrap();
    }
}

impl Drop for Silent {
    fn drop(&mut self) {
        self.task.abort();
    }
}
