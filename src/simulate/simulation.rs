//! A provider played towards somebody's endpoint: an engine in memory with one endpoint, which
//! gets sample events with everything that the provider does.

use super::progress::{End, Exchange, Progress, Report, Step};
use crate::clock::{self, Clock, Stopwatch};
use crate::engine::{Engine, NewApplication, NewEndpoint, NewEvent, Outcome};
use crate::error::{Error, Result};
use crate::model::{
    ApplicationId, EndpointId, EndpointState, EventType, Mode, Payload, Secret, Timestamp,
};
use crate::provider::{Moment, Provider};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

/// Events handed to the engine at once at most, without a rate.
const BATCH_MAX: usize = 500;
/// Events that wait for their first attempt at most: so many outcomes are not missed.
const UNTRIED_MAX: usize = 1000;
/// How long an endpoint may stay parked, by the schedule's time, until it is given up: time for a
/// handful of challenges.
const PARKED_MAX: Duration = Duration::from_secs(2 * 3600);

/// What to simulate.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The provider's name.
    pub provider: String,
    /// A folder with more provider files.
    pub providers_folder: Option<PathBuf>,
    /// The endpoint.
    pub url: String,
    /// Its signing secret; `None` to have one made.
    pub secret: Option<Secret>,
    /// The signing scheme to make a secret for; `None` for the provider's usual one.
    pub scheme: Option<String>,
    /// Event types, in turn; none means every type that the provider has a sample of.
    pub event_types: Vec<String>,
    /// How many events; `None` for one of each type.
    pub count: Option<usize>,
    /// Events a second, in real time; `None` for as many as the endpoint takes.
    pub rate_per_second: Option<f64>,
    /// How many times faster than real the schedule runs. Time-outs and the timestamps on the wire
    /// stay real.
    pub speed: f64,
    /// Values to set on top of the samples, by dotted path.
    pub overrides: Vec<(String, serde_json::Value)>,
    /// Settings of the endpoint that the provider's headers use.
    pub settings: BTreeMap<String, String>,
    /// Whether the events are marked as trials, in the provider's way.
    pub mode: Mode,
}

impl Plan {
    /// One event of each type that `provider` has a sample of, to `url`, in real time.
    pub fn new(provider: impl Into<String>, url: impl Into<String>) -> Self {
        Self {
            provider: provider.into(),
            providers_folder: None,
            url: url.into(),
            secret: None,
            scheme: None,
            event_types: Vec::new(),
            count: None,
            rate_per_second: None,
            speed: 1.0,
            overrides: Vec::new(),
            settings: BTreeMap::new(),
            mode: Mode::Live,
        }
    }
}

/// A simulation that is ready to run.
///
/// ```
/// use hookwheel::Error;
/// use hookwheel::simulate::receiver::{Answer, Consumer, Receiver};
/// use hookwheel::simulate::{Plan, Simulation, Step};
/// # tokio::runtime::Runtime::new().unwrap().block_on(async {
/// let receiver = Receiver::start(Consumer::TicketNation, "").await.unwrap();
/// receiver.answer_next([Answer::status(503)]);
///
/// let plan = Plan { speed: 1000.0, ..Plan::new("ticketnation", receiver.url()) };
/// let simulation = Simulation::prepare(plan).await?;
/// receiver.set_secret(simulation.secret().expose());
/// let report = simulation.run(std::future::pending(), |step| {
///     println!("{step:?}");
///     Ok::<(), Error>(())
/// });
/// let report = report.await?;
/// assert!(report.is_success());
/// assert_eq!((report.events, report.attempts), (4, 5));
/// # Ok::<(), Error>(())
/// # }).unwrap();
/// ```
pub struct Simulation {
    engine: Engine,
    clock: Clock,
    provider: Arc<Provider>,
    application: ApplicationId,
    endpoint: NewEndpoint,
    shown: Secret,
    samples: Vec<(EventType, Payload)>,
    count: usize,
    rate_per_second: Option<f64>,
    mode: Mode,
}

impl Simulation {
    /// Checks a plan and gets everything ready. Nothing is sent yet.
    ///
    /// # Errors
    /// Refuses an unknown provider or event type, and values that fit no sample.
    pub async fn prepare(plan: Plan) -> Result<Self> {
        let clock = Clock::faster(plan.speed);
        let mut builder = Engine::builder().in_memory().development().clock(clock.clone());
        if let Some(folder) = &plan.providers_folder {
            builder = builder.providers_folder(folder);
        }
        let engine = builder.open().await?;
        let provider = engine.provider(&plan.provider)?;
        provider.check_settings(&plan.settings)?;
        let samples = samples(&provider, &plan)?;
        let secret = match plan.secret {
            Some(secret) => secret,
            None => provider.generate_secret(plan.scheme.as_deref())?.secret,
        };
        let shown = provider.shown_form(&secret)?;
        let application = engine.create_application(NewApplication::new("simulation")).await?.id;
        let mut endpoint = NewEndpoint::new(plan.url).provider(provider.name());
        endpoint.secret = Some(secret);
        endpoint.settings = plan.settings;
        Ok(Self {
            count: plan.count.unwrap_or(samples.len()),
            engine,
            clock,
            provider,
            application,
            endpoint,
            shown,
            samples,
            rate_per_second: plan.rate_per_second,
            mode: plan.mode,
        })
    }

    /// The provider that is played.
    pub fn provider(&self) -> &Provider {
        &self.provider
    }

    /// What the receiver verifies with.
    pub fn secret(&self) -> &Secret {
        &self.shown
    }

    /// How many events will be sent.
    pub fn events(&self) -> usize {
        self.count
    }

    /// Registers the endpoint, sends the events, and waits until each was accepted or given up, or
    /// until `interrupted` is over. `told` hears of every step; its error ends the simulation.
    ///
    /// # Errors
    /// Those of `told`, and an endpoint URL or secret that is refused.
    pub async fn run<E: From<Error>>(
        self,
        interrupted: impl Future<Output = ()>,
        mut told: impl FnMut(Step) -> Result<(), E>,
    ) -> Result<Report, E> {
        let mut run = Run {
            began: self.clock.now(),
            watch: Stopwatch::start(),
            progress: Progress::default(),
            handed_over: 0,
            endpoint: None,
            parked_at: None,
            given_up_at: None,
            simulation: &self,
        };
        let end = tokio::select! {
            biased;
            () = interrupted => End::Interrupted,
            end = run.go(&mut told) => end?,
        };
        let report = Report {
            events: self.count,
            accepted: run.progress.accepted,
            exhausted: run.progress.exhausted,
            attempts: run.progress.attempts,
            lasted: self.clock.now().since(run.began),
            end,
        };
        Ok(report)
    }
}

/// The samples to send, in turn.
fn samples(provider: &Provider, plan: &Plan) -> Result<Vec<(EventType, Payload)>> {
    let types: Vec<EventType> = match plan.event_types.as_slice() {
        [] => provider.event_types().cloned().collect(),
        types => types.iter().map(EventType::new).collect::<Result<_>>()?,
    };
    let sample = |event_type: EventType| {
        let data = provider.sample(event_type.as_str(), &plan.overrides)?;
        Ok((event_type, data))
    };
    let samples: Vec<_> = types.into_iter().map(sample).collect::<Result<_>>()?;
    if samples.is_empty() {
        return Err(Error::invalid(format!(
            "{} has no sample events: its file needs a `[[sample]]`",
            provider.title()
        )));
    }
    Ok(samples)
}

/// A simulation that runs.
struct Run<'a> {
    simulation: &'a Simulation,
    began: Timestamp,
    watch: Stopwatch,
    progress: Progress,
    /// Events that the engine has.
    handed_over: usize,
    endpoint: Option<EndpointId>,
    /// Since when the endpoint is parked, by the time of day.
    parked_at: Option<Timestamp>,
    /// When the endpoint is given up, if it accepts nothing until then.
    given_up_at: Option<Timestamp>,
}

impl Run<'_> {
    async fn go<E: From<Error>>(
        &mut self,
        told: &mut impl FnMut(Step) -> Result<(), E>,
    ) -> Result<End, E> {
        let simulation = self.simulation;
        let mut outcomes = simulation.engine.outcomes();
        let endpoint = simulation.endpoint.clone();
        let created = simulation.engine.create_endpoint(simulation.application, endpoint).await?;
        self.endpoint = Some(created.endpoint.id);
        if let EndpointState::Disabled { reason, .. } = &created.endpoint.state {
            return Ok(End::NotProven(reason.clone()));
        }
        let challenge = simulation.provider.challenge();
        if challenge.is_some_and(|challenge| challenge.runs_on(Moment::Create)) {
            told(Step::Proven)?;
        }
        loop {
            if self.progress.is_settled() && self.handed_over == simulation.count {
                return Ok(End::Settled);
            }
            if let Some(EndpointState::Disabled { reason, .. }) = self.endpoint_state() {
                return Ok(End::Disabled(reason));
            }
            tokio::select! {
                biased;
                outcome = outcomes.next() => {
                    let Some(outcome) = outcome else { return Ok(End::Interrupted) };
                    self.take(outcome, told).await?;
                }
                () = clock::pause(self.pause()), if self.has_room() => self.emit(told).await?,
                () = self.given_up(), if self.given_up_at.is_some() => return Ok(End::Parked),
            }
        }
    }

    fn endpoint_state(&self) -> Option<EndpointState> {
        let endpoint = self.simulation.engine.endpoint(self.endpoint?);
        endpoint.ok().map(|endpoint| endpoint.state.clone())
    }

    /// Tells of an attempt, and of what it means for the endpoint.
    async fn take<E: From<Error>>(
        &mut self,
        outcome: Arc<Outcome>,
        told: &mut impl FnMut(Step) -> Result<(), E>,
    ) -> Result<(), E> {
        let parked = match self.endpoint_state() {
            Some(EndpointState::Parked { reason, since }) => Some((reason, since)),
            _ => None,
        };
        // What was in flight when the endpoint was parked comes in later, and tells nothing new.
        let is_news = parked.as_ref().map(|(_, since)| *since) != self.parked_at;
        if is_news && self.parked_at.take().is_some() {
            told(Step::Resumed)?;
        }
        let (waited, again) = self.progress.attempted(&outcome);
        let id = self.wire_id(&outcome).await?;
        if outcome.attempt.outcome.is_success() {
            self.given_up_at = None;
        }
        let parks = outcome.parks();
        told(Step::Exchange(Exchange { outcome, id, waited, again }))?;
        if let Some((reason, since)) = parked.filter(|_| is_news && parks) {
            self.parked_at = Some(since);
            let now = self.simulation.clock.now();
            self.given_up_at.get_or_insert(now.after(PARKED_MAX));
            told(Step::Parked(reason))?;
        }
        Ok(())
    }

    async fn wire_id(&self, outcome: &Outcome) -> Result<String> {
        let provider = &self.simulation.provider;
        match outcome.deliveries.as_slice() {
            [(delivery, _)] => {
                let history = self.simulation.engine.event(delivery.event).await?;
                Ok(provider.event_wire_id(&history.event))
            }
            _ => Ok(provider.webhook_wire_id(outcome.attempt.webhook)),
        }
    }

    fn has_room(&self) -> bool {
        self.handed_over < self.simulation.count && self.progress.untried() < UNTRIED_MAX
    }

    /// Real time until the next event is to be sent.
    fn pause(&self) -> Duration {
        let Some(rate) = self.simulation.rate_per_second else { return Duration::ZERO };
        let at = Duration::try_from_secs_f64(self.handed_over as f64 / rate);
        at.unwrap_or(Duration::MAX).saturating_sub(self.watch.elapsed())
    }

    /// Hands over what is to be sent now.
    async fn emit<E: From<Error>>(
        &mut self,
        told: &mut impl FnMut(Step) -> Result<(), E>,
    ) -> Result<(), E> {
        let simulation = self.simulation;
        let most = if simulation.rate_per_second.is_some() { 1 } else { BATCH_MAX };
        let end = simulation.count.min(self.handed_over + most);
        let turns = simulation.samples.iter().cycle();
        let first = self.handed_over % simulation.samples.len();
        let events =
            turns.skip(first).take(end - self.handed_over).map(|(event_type, data)| NewEvent {
                application: simulation.application,
                event_type: event_type.clone(),
                data: data.clone(),
                time: None,
                mode: simulation.mode,
                channels: Vec::new(),
                uid: None,
                tags: Vec::new(),
                idempotency_key: None,
            });
        let emitted = simulation.engine.emit_batch(events.collect()).await?;
        self.handed_over = end;
        self.progress.emitted(&emitted);
        for reason in emitted.iter().filter_map(|emitted| emitted.reach.explain()) {
            told(Step::Unsent(reason))?;
        }
        Ok(())
    }

    /// Waits until the endpoint has been parked for so long that it is given up.
    async fn given_up(&self) {
        if let Some(at) = self.given_up_at {
            self.simulation.clock.sleep_until(at).await;
        }
    }
}
