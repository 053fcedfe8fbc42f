//! Endpoints at which every attempt fails, and which are disabled when that goes on for as many
//! days as they say.
//!
//! A webhook that is given up disables, and no single failure does: what fails once more after a
//! week of silence may be a restart of the endpoint, which a retry heals. Convoy calls an endpoint
//! dead by the same sign (<https://www.getconvoy.io/docs/glossary/dead-endpoints>); Svix wants failures
//! that are hours apart before it counts (<https://docs.svix.com/retries>).

use crate::dispatch::recipient::Recipient;
use crate::engine::Inner;
use crate::model::{Endpoint, EndpointId, Timestamp, Trigger};
use crate::record::Effect;
use crate::store::Change;
use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

const DAY: Duration = Duration::from_secs(86_400);
/// How long an endpoint has to fail since the engine was opened before it is disabled: nothing is
/// known of the time before, and what fails first may be our own network. Shorter than the ladders
/// of most providers, so that a restart every night is no reason for never disabling.
const SEEN_FOR: Duration = Duration::from_secs(30 * 60);
/// How long every attempt has to fail before it is written down since when. An endpoint that fails
/// and recovers in turns then costs no commits, and a kill forgets no longer run.
pub(super) const WRITTEN_AFTER: Duration = Duration::from_secs(3600);
/// Endpoints written down in one commit; other changes come in between.
const WRITTEN_AT_ONCE: usize = 256;

/// What is known of failing endpoints beyond their records.
#[derive(Default)]
pub(crate) struct Failing(Mutex<State>);

#[derive(Default)]
struct State {
    /// The endpoints at which every attempt fails, where that counts.
    runs: HashMap<EndpointId, Run>,
    /// Those that accepted something, whose records say that they failed. A kill before the upkeep
    /// writes that leaves them as they were, until they accept something again.
    recovered: HashSet<EndpointId>,
}

/// Failures with nothing accepted between them.
#[derive(Clone, Copy)]
struct Run {
    /// The first of them.
    since: Timestamp,
    /// The first since the engine was opened; `None` before there was one.
    seen: Option<Timestamp>,
}

impl Failing {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes up what the endpoint's record says.
    pub fn take_up(&self, endpoint: EndpointId, since: Timestamp) {
        self.state().runs.insert(endpoint, Run { since, seen: None });
    }

    /// Since when every attempt has failed, if that is so.
    pub fn since(&self, endpoint: EndpointId) -> Option<Timestamp> {
        self.state().runs.get(&endpoint).map(|run| run.since)
    }

    /// Ends a run: nothing speaks any more for the endpoint's being as it was.
    pub fn end(&self, endpoint: EndpointId) {
        self.state().runs.remove(&endpoint);
    }

    /// Takes note of a failure. Says since when every attempt has failed, and how long that has
    /// been seen.
    fn fails(&self, endpoint: EndpointId, now: Timestamp) -> (Timestamp, Duration) {
        let mut state = self.state();
        let run = state.runs.entry(endpoint).or_insert(Run { since: now, seen: None });
        (run.since, now.since(*run.seen.get_or_insert(now)))
    }

    /// Takes note that something was accepted, which ends a run.
    fn accepts(&self, endpoint: &Endpoint, now: Timestamp) {
        let mut state = self.state();
        let ended = state.runs.remove(&endpoint.id);
        // So long a run is on record, or about to be, though the attempt began before that.
        let is_written = ended.is_some_and(|run| now.since(run.since) >= WRITTEN_AFTER);
        if is_written || endpoint.has_failed() {
            state.recovered.insert(endpoint.id);
        }
    }

    /// Takes note again of what [`Failing::take_recovered`] told, which could not be written.
    pub fn put_recovered(&self, endpoint: EndpointId) {
        self.state().recovered.insert(endpoint);
    }

    /// Whether an endpoint accepted something of which its record does not say yet. Whoever asks
    /// is about to write that.
    pub fn take_recovered(&self, endpoint: EndpointId) -> bool {
        self.state().recovered.remove(&endpoint)
    }
}

impl Inner {
    /// What an attempt that was over at `now` means for its endpoint, by the endpoint's own policy
    /// and by what its provider says; `gives_up` when it was the last of its webhook.
    pub(super) fn with_policy(
        &self,
        endpoint: &Endpoint,
        trigger: Trigger,
        effect: Effect,
        gives_up: bool,
        now: Timestamp,
    ) -> Effect {
        if effect == Effect::Accepted {
            if endpoint.disable_after_failing_days.is_some() || endpoint.has_failed() {
                self.failing.accepts(endpoint, now);
            }
            return effect;
        }
        // A test event may come before there is anything to receive it.
        if trigger == Trigger::Test || !self.is_enabled(endpoint.id) {
            return effect;
        }
        match (self.fails(endpoint, now), &effect) {
            (Some(reason), Effect::None | Effect::Park(_)) if gives_up => Effect::GiveUp(reason),
            _ => effect,
        }
    }

    /// Takes note that an endpoint failed; why to disable it, if it has for as many days as it says.
    pub(super) fn fails(&self, endpoint: &Endpoint, now: Timestamp) -> Option<String> {
        let days = endpoint.disable_after_failing_days?;
        let (since, seen_for) = self.failing.fails(endpoint.id, now);
        let is_over = now.since(since) >= DAY * u32::from(days) && seen_for >= SEEN_FOR;
        is_over.then(|| {
            format!(
                "every attempt has failed since {since}, and `disable_after_failing_days` is {days}"
            )
        })
    }

    /// Whether an endpoint has failed for as many days as it says, as far as is known now.
    pub(super) fn is_given_up(&self, endpoint: &Endpoint) -> bool {
        let since = self.failing.since(endpoint.id);
        endpoint
            .disable_after_failing_days
            .zip(since)
            .is_some_and(|(days, since)| self.clock.now().since(since) >= DAY * u32::from(days))
    }

    /// Writes down which endpoints have failed for as long as `lasted`, and which accepted
    /// something since they did.
    pub(super) async fn write_failing(&self, lasted: Duration) {
        for some in self.unwritten(lasted).chunks(WRITTEN_AT_ONCE) {
            let _edit = self.edits.lock().await;
            let recovered: HashSet<EndpointId> =
                some.iter().copied().filter(|id| self.failing.take_recovered(*id)).collect();
            let with_failures =
                |id: &EndpointId| self.with_failures(*id, recovered.contains(id), lasted);
            let recipients: Vec<Arc<Recipient>> = some.iter().filter_map(with_failures).collect();
            if recipients.is_empty() {
                continue;
            }
            let change =
                |held: &Arc<Recipient>| Change::Endpoint(Box::new(Endpoint::clone(&held.endpoint)));
            let changes = recipients.iter().map(change).collect();
            if let Err(error) = self.committer.change(changes).await {
                // While the store is down, that it is has been said.
                if !error.is_unavailable() {
                    tracing::warn!(%error, "since when endpoints fail was not recorded");
                }
                self.failing.state().recovered.extend(recovered);
                return;
            }
            // What ends has nobody to serve, and no queue to load.
            if self.check_open().is_ok() {
                recipients.iter().for_each(|recipient| self.publish(recipient));
            }
        }
    }

    /// The endpoints whose records do not say what is known of their failures.
    fn unwritten(&self, lasted: Duration) -> Vec<EndpointId> {
        let now = self.clock.now();
        let (recovered, runs) = {
            let state = self.failing.state();
            let old = |run: &Run| now.since(run.since) >= lasted;
            let runs = state.runs.iter().filter(|(_, run)| old(run));
            let runs: Vec<_> = runs.map(|(id, run)| (*id, run.since)).collect();
            (state.recovered.iter().copied().collect::<Vec<_>>(), runs)
        };
        let is_unwritten = |id, since| {
            let held = self.directory.recipient(id);
            held.is_ok_and(|held| held.endpoint.failing_since != Some(since))
        };
        let runs = runs.into_iter().filter(|(id, since)| is_unwritten(*id, *since));
        recovered.into_iter().chain(runs.map(|(id, _)| id)).collect()
    }

    /// An endpoint whose record says what is known of its failures; `None` when it does already.
    fn with_failures(
        &self,
        id: EndpointId,
        has_recovered: bool,
        lasted: Duration,
    ) -> Option<Arc<Recipient>> {
        let held = self.directory.recipient(id).ok()?;
        let mut endpoint = Endpoint::clone(&held.endpoint);
        if has_recovered {
            endpoint.parked_in_a_row = 0;
            endpoint.failing_since = None;
        }
        let since = self.failing.since(id);
        if let Some(since) = since.filter(|since| self.clock.now().since(*since) >= lasted) {
            endpoint.failing_since = Some(since);
        }
        (endpoint != *held.endpoint).then(|| self.with_endpoint(&held, endpoint))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::{Clock, within};
    use crate::config::Config;
    use crate::engine::{Engine, NewApplication, NewEndpoint, NewEvent};
    use crate::model::EndpointState;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    const NOW: Timestamp = Timestamp::from_millis(10 * 86_400_000);

    /// An engine that tells the application `platform`, that application, and its endpoint, with
    /// the policy; what accepts everything there, and how much came.
    async fn accepting() -> (Engine, NewEvent, EndpointId, Arc<AtomicUsize>) {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/", listener.local_addr().unwrap());
        let came = Arc::<AtomicUsize>::default();
        let count = Arc::clone(&came);
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                count.fetch_add(1, Ordering::SeqCst);
                let answer = b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";
                assert!(stream.read(&mut [0; 4096]).await.unwrap() > 0);
                stream.write_all(answer).await.unwrap();
            }
        });
        let mut config = Config::default();
        config.egress.development = true;
        config.notices_application = Some("platform".to_owned());
        let builder = Engine::builder().in_memory().config(config).clock(Clock::manual(NOW));
        let engine = builder.open().await.unwrap();
        let platform = NewApplication { uid: Some("platform".into()), ..NewApplication::new("P") };
        let platform = engine.create_application(platform).await.unwrap().id;
        let new =
            NewEndpoint { disable_after_failing_days: Some(2), ..NewEndpoint::new(url.clone()) };
        let id = engine.create_endpoint(platform, new).await.unwrap().endpoint.id;
        let event = NewEvent::new(platform, "order.created", &serde_json::json!({})).unwrap();
        (engine, event, id, came)
    }

    fn written(engine: &Engine, id: EndpointId) -> Option<Timestamp> {
        engine.endpoint(id).unwrap().failing_since
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn no_lane_waits_until_a_recovery_is_written_down() {
        let (engine, event, id, _) = accepting().await;
        let inner = &engine.inner;
        inner.failing.take_up(id, NOW);
        inner.write_failing(Duration::ZERO).await;
        assert_eq!(written(&engine, id), Some(NOW));
        let edit = inner.edits.lock().await;
        engine.emit(event).await.unwrap();
        let settled = within(Duration::from_secs(30), engine.settle()).await;
        assert!(settled.is_some(), "the lane waits for somebody's change of an endpoint");
        assert_eq!((inner.failing.since(id), written(&engine, id)), (None, Some(NOW)));
        drop(edit);
        inner.write_failing(WRITTEN_AFTER).await;
        assert_eq!(written(&engine, id), None);
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn what_an_attempt_accepts_ends_a_run_that_was_written_down_after_the_attempt_began() {
        let (engine, _, id, _) = accepting().await;
        let inner = &engine.inner;
        let at_first = engine.endpoint(id).unwrap();
        inner.failing.take_up(id, NOW);
        inner.write_failing(Duration::ZERO).await;
        let later = NOW.after(WRITTEN_AFTER);
        inner.with_policy(&at_first, Trigger::Scheduled, Effect::Accepted, false, later);
        inner.write_failing(WRITTEN_AFTER).await;
        assert_eq!(written(&engine, id), None);
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn that_an_endpoint_is_disabled_is_told_once_though_it_takes_two_tries() {
        let (engine, _, _, came) = accepting().await;
        let shop = engine.create_application(NewApplication::new("Shop")).await.unwrap().id;
        let new = NewEndpoint::new("http://127.0.0.1:9/");
        let endpoint = engine.create_endpoint(shop, new).await.unwrap().endpoint;
        let told = async |endpoint: &Endpoint| {
            engine.inner.tell_disabled(endpoint, "it answered 410").await;
            // What is committed behind a notice is on record after it.
            engine.create_application(NewApplication::new("Another")).await.unwrap();
            engine.settle().await;
            engine.clock().advance(Duration::from_secs(1));
            came.load(Ordering::SeqCst)
        };
        assert_eq!((told(&endpoint).await, told(&endpoint).await), (1, 1));
        engine.disable_endpoint(endpoint.id, "for a while").await.unwrap();
        let again = engine.enable_endpoint(endpoint.id).await.unwrap();
        assert_eq!(told(&again).await, 2, "another occasion");
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn what_was_accepted_meanwhile_keeps_an_endpoint_from_being_given_up() {
        let (engine, _, id, _) = accepting().await;
        let inner = &engine.inner;
        let is_served = || engine.endpoint(id).unwrap().state == EndpointState::Enabled;
        inner.give_up(id, "failing".to_owned()).await;
        assert!(is_served(), "it accepted something after the attempt that was the last straw");
        inner.failing.take_up(id, NOW.before(DAY));
        inner.give_up(id, "failing".to_owned()).await;
        assert!(is_served(), "and has failed for a day since");
        inner.failing.take_up(id, NOW.before(DAY * 2));
        inner.give_up(id, "failing".to_owned()).await;
        assert!(!is_served());
    }
}
