//! Random operations on the engine against a small model of what it promises.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]

use hookwheel::simulate::receiver::{Answer, Consumer, Receiver};
use hookwheel::{
    ApplicationId, Clock, DeliveryId, DeliveryState, EndpointId, Engine, NewApplication,
    NewEndpoint, NewEvent, Timestamp,
};
use proptest::prelude::*;
use serde_json::json;
use std::collections::BTreeMap;
use std::time::Duration;

/// TicketNation's ladder, in seconds (its page, "Retry Logic").
const LADDER: [u64; 3] = [30, 300, 3000];
const ENDPOINTS: usize = 3;

#[derive(Clone, Debug)]
enum Step {
    Emit,
    /// The endpoint's receiver accepts from now on, or not.
    Answer(usize, bool),
    Advance(u64),
    Disable(usize),
    Enable(usize),
    Delete(usize),
    /// One of the deliveries so far, by its place.
    Replay(usize),
    Recover(usize),
    Restart {
        graceful: bool,
    },
}

fn step() -> impl Strategy<Value = Step> {
    let endpoint = 0..ENDPOINTS;
    prop_oneof![
        6 => Just(Step::Emit),
        4 => (endpoint.clone(), any::<bool>()).prop_map(|(at, ok)| Step::Answer(at, ok)),
        6 => prop_oneof![Just(30_u64), Just(300), Just(3000), 1..4000_u64].prop_map(Step::Advance),
        2 => endpoint.clone().prop_map(Step::Disable),
        3 => endpoint.clone().prop_map(Step::Enable),
        1 => endpoint.clone().prop_map(Step::Delete),
        3 => any::<prop::sample::Index>().prop_map(|at| Step::Replay(at.index(1 << 20))),
        2 => endpoint.prop_map(Step::Recover),
        2 => any::<bool>().prop_map(|graceful| Step::Restart { graceful }),
    ]
}

/// What the model knows of a delivery.
#[derive(Clone, Debug, PartialEq)]
struct Expected {
    state: State,
    attempts: u32,
    scheduled: usize,
}

#[derive(Clone, Debug, PartialEq)]
enum State {
    Waiting(Timestamp),
    Succeeded,
    Exhausted,
    Skipped,
    Cancelled,
}

#[derive(Clone, Copy, PartialEq)]
enum Served {
    Enabled,
    Disabled,
    Deleted,
}

struct Model {
    now: Timestamp,
    served: [Served; ENDPOINTS],
    accepts: [bool; ENDPOINTS],
    deliveries: BTreeMap<DeliveryId, (usize, Expected)>,
}

impl Model {
    /// The schedule's attempt on a delivery, now.
    fn attempt(&mut self, id: DeliveryId) {
        let (at, expected) = self.deliveries.get_mut(&id).unwrap();
        expected.attempts += 1;
        expected.state = if self.accepts[*at] {
            State::Succeeded
        } else {
            match LADDER.get(expected.scheduled) {
                Some(delay) => State::Waiting(self.now.after(Duration::from_secs(*delay))),
                None => State::Exhausted,
            }
        };
        expected.scheduled += 1;
    }

    /// Everything that is due at an enabled endpoint is attempted once.
    fn run_due(&mut self) {
        let now = self.now;
        let due: Vec<DeliveryId> = self
            .deliveries
            .iter()
            .filter(|(_, (at, expected))| {
                self.served[*at] == Served::Enabled
                    && matches!(expected.state, State::Waiting(due) if due <= now)
            })
            .map(|(id, _)| *id)
            .collect();
        due.into_iter().for_each(|id| self.attempt(id));
    }
}

struct World {
    engine: Engine,
    clock: Clock,
    folder: tempfile::TempDir,
    application: ApplicationId,
    endpoints: Vec<EndpointId>,
    receivers: Vec<Receiver>,
    model: Model,
}

async fn open(folder: &std::path::Path, clock: &Clock) -> Engine {
    let builder = Engine::builder().data_folder(folder.join("data")).development();
    builder.clock(clock.clone()).open().await.unwrap()
}

impl World {
    async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let now = Timestamp::parse("2026-01-15T12:00:00Z").unwrap();
        let clock = Clock::manual(now);
        let engine = open(folder.path(), &clock).await;
        let application = engine.create_application(NewApplication::new("Shop")).await.unwrap().id;
        let (mut endpoints, mut receivers) = (Vec::new(), Vec::new());
        for _ in 0..ENDPOINTS {
            let receiver = Receiver::start(Consumer::Unchecked, "").await.unwrap();
            let new = NewEndpoint::new(receiver.url()).provider("ticketnation");
            let created = engine.create_endpoint(application, new).await.unwrap();
            endpoints.push(created.endpoint.id);
            receivers.push(receiver);
        }
        let model = Model {
            now,
            served: [Served::Enabled; ENDPOINTS],
            accepts: [true; ENDPOINTS],
            deliveries: BTreeMap::new(),
        };
        Self { engine, clock, folder, application, endpoints, receivers, model }
    }

    async fn take(&mut self, step: Step) {
        match step {
            Step::Emit => self.emit().await,
            Step::Answer(at, accepts) => {
                let refusal = (!accepts).then(|| Answer::status(500));
                self.receivers[at].answer_always(refusal);
                self.model.accepts[at] = accepts;
            }
            Step::Advance(seconds) => {
                self.clock.advance(Duration::from_secs(seconds));
                self.model.now = self.model.now.after(Duration::from_secs(seconds));
            }
            Step::Disable(at) => {
                let done = self.engine.disable_endpoint(self.endpoints[at], "a test").await;
                assert_eq!(done.is_ok(), self.model.served[at] != Served::Deleted);
                if done.is_ok() {
                    self.model.served[at] = Served::Disabled;
                }
            }
            Step::Enable(at) => {
                let done = self.engine.enable_endpoint(self.endpoints[at]).await;
                assert_eq!(done.is_ok(), self.model.served[at] != Served::Deleted);
                if done.is_ok() {
                    self.model.served[at] = Served::Enabled;
                }
            }
            Step::Delete(at) => {
                let done = self.engine.delete_endpoint(self.endpoints[at]).await;
                assert_eq!(done.is_ok(), self.model.served[at] != Served::Deleted);
                self.model.served[at] = Served::Deleted;
                for (held, expected) in self.model.deliveries.values_mut() {
                    if *held == at && matches!(expected.state, State::Waiting(_)) {
                        expected.state = State::Cancelled;
                    }
                }
            }
            Step::Replay(at) => self.replay(at).await,
            Step::Recover(at) => self.recover(at).await,
            Step::Restart { graceful } => self.restart(graceful).await,
        }
        self.engine.settle().await;
        self.model.run_due();
    }

    async fn emit(&mut self) {
        let number = self.model.deliveries.len();
        let event = NewEvent::new(self.application, "order.created", &json!({ "number": number }));
        let emitted = self.engine.emit(event.unwrap()).await.unwrap();
        let wanted = self.model.served.iter().filter(|served| **served != Served::Deleted).count();
        assert_eq!(emitted.deliveries.len(), wanted);
        for id in emitted.deliveries {
            let at = self.endpoints.iter().position(|held| *held == id.endpoint).unwrap();
            let state = match self.model.served[at] {
                Served::Disabled => State::Skipped,
                _ => State::Waiting(self.model.now),
            };
            self.model.deliveries.insert(id, (at, Expected { state, attempts: 0, scheduled: 0 }));
        }
    }

    async fn replay(&mut self, at: usize) {
        let count = self.model.deliveries.len();
        if count == 0 {
            return;
        }
        let id = *self.model.deliveries.keys().nth(at % count).unwrap();
        let done = self.engine.replay(id).await;
        let (at, expected) = self.model.deliveries.get_mut(&id).unwrap();
        let is_first = expected.attempts == 0 && matches!(expected.state, State::Waiting(_));
        assert_eq!(done.is_ok(), self.model.served[*at] == Served::Enabled && !is_first);
        if done.is_ok() {
            expected.attempts += 1;
            if self.model.accepts[*at] {
                expected.state = State::Succeeded;
            }
        }
    }

    async fn recover(&mut self, at: usize) {
        let done = self.engine.recover(self.endpoints[at], Timestamp::EPOCH, None).await;
        assert_eq!(done.is_ok(), self.model.served[at] == Served::Enabled);
        if done.is_err() {
            return;
        }
        let mut count = 0;
        for (held, expected) in self.model.deliveries.values_mut() {
            match expected.state {
                State::Exhausted if *held == at => {
                    expected.attempts += 1;
                    if self.model.accepts[at] {
                        expected.state = State::Succeeded;
                    }
                }
                State::Skipped if *held == at => expected.state = State::Waiting(self.model.now),
                _ => continue,
            }
            count += 1;
        }
        assert_eq!(done.unwrap(), count);
    }

    async fn restart(&mut self, graceful: bool) {
        if graceful {
            self.engine.close().await.unwrap();
        }
        let path = self.folder.path().to_owned();
        let engine = std::mem::replace(
            &mut self.engine,
            Engine::builder().in_memory().open().await.unwrap(),
        );
        drop(engine);
        // The folder is free once the last task of the old engine has noticed that it is gone.
        loop {
            let builder = Engine::builder().data_folder(path.join("data")).development();
            match builder.clock(self.clock.clone()).open().await {
                Ok(engine) => {
                    self.engine = engine;
                    return;
                }
                Err(error) if error.is_in_use() => tokio::task::yield_now().await,
                Err(error) => panic!("{error}"),
            }
        }
    }

    async fn check(&self) {
        for (id, (_, expected)) in &self.model.deliveries {
            let history = self.engine.delivery(*id).await.unwrap();
            let state = match history.delivery.state {
                DeliveryState::Waiting { due } => State::Waiting(due),
                DeliveryState::Succeeded { .. } => State::Succeeded,
                DeliveryState::Exhausted { .. } => State::Exhausted,
                DeliveryState::Skipped { .. } => State::Skipped,
                DeliveryState::Cancelled { .. } => State::Cancelled,
                DeliveryState::Sending => panic!("{id} is in flight after all settled"),
            };
            assert_eq!((&state, history.delivery.attempts), (&expected.state, expected.attempts));
            assert_eq!(history.attempts.len(), expected.attempts as usize, "{id}");
        }
        let sent: u32 = self.model.deliveries.values().map(|(_, held)| held.attempts).sum();
        let seen: usize = self.receivers.iter().map(|receiver| receiver.requests().len()).sum();
        assert_eq!(seen, sent as usize, "every attempt is one request");
    }
}

/// 24 sequences, or as many as `PROPTEST_CASES` says.
fn cases() -> ProptestConfig {
    let config = ProptestConfig::default();
    let is_default = std::env::var_os("PROPTEST_CASES").is_none();
    ProptestConfig { cases: if is_default { 24 } else { config.cases }, ..config }
}

proptest! {
    #![proptest_config(cases())]

    #[test]
    fn the_engine_does_what_the_model_says(steps in prop::collection::vec(step(), 1..40)) {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()
            .unwrap();
        runtime.block_on(async {
            let mut world = World::new().await;
            for step in steps {
                world.take(step).await;
                world.check().await;
            }
        });
    }
}
