//! A simulation that runs.

mod hearing;

use super::programme::Planned;
use super::{Pace, Simulation};
use crate::clock::{self, Stopwatch};
use crate::engine::{NewEvent, TestEvent};
use crate::error::{Error, Result};
use crate::model::{DeliveryId, EndpointId, EndpointState, EventId, Timestamp, WebhookId};
use crate::provider::Moment;
use crate::simulate::faults::Fault;
use crate::simulate::progress::{Progress, Step};
use crate::simulate::report::{End, Findings, Report};
use std::collections::{BTreeMap, HashMap, VecDeque};
use std::time::Duration;

/// Events handed to the engine at once at most, without a rate.
const BATCH_MAX: usize = 500;
/// Events that wait for their first attempt at most: so many outcomes are not missed.
const UNTRIED_MAX: usize = 1000;
/// How long to wait for a challenge that is being answered, where nothing tells of its end.
const PROBE_WAIT: Duration = Duration::from_millis(2);

pub(super) struct Run<'a> {
    simulation: &'a Simulation,
    began: Timestamp,
    watch: Stopwatch,
    progress: Progress,
    findings: Findings,
    /// The number of the next turn.
    turn: usize,
    /// When that may begin.
    turn_at: Timestamp,
    /// What is left of this one.
    groups: VecDeque<Vec<Planned>>,
    endpoint: Option<EndpointId>,
    /// Test events that were sent, and whose outcome was not told of yet.
    testing: usize,
    /// What goes wrong with which events.
    met: HashMap<EventId, Vec<Fault>>,
    /// What is to be sent once more, by when.
    repeats: BTreeMap<(Timestamp, usize), (DeliveryId, WebhookId, Fault)>,
    /// What is being sent once more.
    repeating: HashMap<WebhookId, Fault>,
    /// Since when the endpoint is parked, by the time of day.
    parked_at: Option<Timestamp>,
    /// When the endpoint is given up, if it accepts nothing until then.
    given_up_at: Option<Timestamp>,
}

impl<'a> Run<'a> {
    pub(super) fn new(simulation: &'a Simulation) -> Self {
        let now = simulation.clock.now();
        Self {
            simulation,
            began: now,
            watch: Stopwatch::start(),
            progress: Progress::default(),
            findings: Findings::default(),
            turn: 0,
            turn_at: now,
            groups: VecDeque::new(),
            endpoint: None,
            testing: 0,
            met: HashMap::new(),
            repeats: BTreeMap::new(),
            repeating: HashMap::new(),
            parked_at: None,
            given_up_at: None,
        }
    }

    pub(super) async fn play<E: From<Error>>(
        mut self,
        interrupted: impl Future<Output = ()>,
        mut told: impl FnMut(Step) -> Result<(), E>,
    ) -> Result<Report, E> {
        let end = tokio::select! {
            biased;
            () = interrupted => End::Interrupted,
            end = self.go(&mut told) => end?,
        };
        Ok(Report {
            seed: self.simulation.seed,
            events: self.simulation.events,
            accepted: self.progress.accepted,
            exhausted: self.progress.exhausted,
            attempts: self.progress.attempts,
            lasted: self.simulation.clock.now().since(self.began),
            faults: self.findings.faults,
            wrong: self.findings.wrong,
            end,
        })
    }

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
        self.expect_turn()?;
        self.watch = Stopwatch::start();
        loop {
            if self.is_over() {
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
                () = self.pause(), if self.may_act() => self.act(told).await?,
                () = self.given_up(), if self.given_up_at.is_some() => return Ok(End::Parked),
            }
        }
    }

    fn is_over(&self) -> bool {
        self.progress.is_settled()
            && self.turn == self.simulation.programme.turns
            && self.groups.is_empty()
            && self.repeats.is_empty()
            && self.repeating.is_empty()
            && self.testing == 0
    }

    fn endpoint_state(&self) -> Option<EndpointState> {
        let endpoint = self.simulation.engine.endpoint(self.endpoint?);
        endpoint.ok().map(|endpoint| endpoint.state.clone())
    }

    fn is_parked(&self) -> bool {
        matches!(self.endpoint_state(), Some(EndpointState::Parked { .. }))
    }

    /// Whether something may be done once [`Run::pause`] is over.
    fn may_act(&self) -> bool {
        let is_quiet = self.repeating.is_empty() && self.testing == 0;
        match self.simulation.pace {
            Pace::SideBySide => self.has_turns() && self.progress.untried() < UNTRIED_MAX,
            Pace::InTurn => is_quiet && self.progress.untried() == 0 && self.next_at().is_some(),
            Pace::Stepped => {
                let rests = self.progress.rests(self.simulation.clock.now()) || self.is_parked();
                is_quiet && rests && self.next_at().is_some()
            }
        }
    }

    fn has_turns(&self) -> bool {
        !self.groups.is_empty() || self.turn < self.simulation.programme.turns
    }

    /// When something is to be done next, by the schedule's time.
    fn next_at(&self) -> Option<Timestamp> {
        let turn = (self.has_turns() && self.progress.untried() == 0).then_some(self.turn_at);
        let repeat = self.repeats.first_key_value().map(|((at, _), _)| *at);
        let own = turn.into_iter().chain(repeat);
        if self.simulation.pace != Pace::Stepped {
            return own.min();
        }
        // Nobody else moves this clock.
        let engines = match self.endpoint.filter(|_| self.is_parked()) {
            None => self.progress.next_due(),
            Some(endpoint) => {
                let probe = self.simulation.engine.probe_status(endpoint);
                probe.map(|probe| probe.next).into_iter().chain(self.given_up_at).min()
            }
        };
        own.chain(engines).min()
    }

    /// Waits until something may be done.
    fn pause(&self) -> impl Future<Output = ()> + use<> {
        let rate = self.simulation.rate_per_second.map_or(Duration::ZERO, |rate| {
            let at = Duration::try_from_secs_f64(self.turn as f64 / rate);
            at.unwrap_or(Duration::MAX).saturating_sub(self.watch.elapsed())
        });
        let clock = self.simulation.clock.clone();
        let (pace, speed, at) = (self.simulation.pace, self.simulation.speed, self.next_at());
        async move {
            match (pace, at) {
                (Pace::Stepped, Some(at)) => {
                    clock::pause(at.since(clock.now()).div_f64(speed)).await;
                }
                (Pace::InTurn, Some(at)) => clock.sleep_until(at).await,
                _ => {}
            }
            clock::pause(rate).await;
        }
    }

    /// Does what is to be done now.
    async fn act<E: From<Error>>(
        &mut self,
        told: &mut impl FnMut(Step) -> Result<(), E>,
    ) -> Result<(), E> {
        let simulation = self.simulation;
        if simulation.pace == Pace::SideBySide {
            return self.emit_many(told).await;
        }
        if simulation.pace == Pace::Stepped && self.step().await {
            return Ok(());
        }
        let now = simulation.clock.now();
        if let Some(((due, number), repeat)) = self.repeats.first_key_value()
            && *due <= now
        {
            let (key, (delivery, webhook, fault)) = ((*due, *number), *repeat);
            self.repeats.remove(&key);
            self.repeating.insert(webhook, fault);
            simulation.engine.replay(delivery).await?;
            return Ok(());
        }
        if self.progress.untried() == 0 && self.has_turns() && self.turn_at <= now {
            return self.emit_next(told).await;
        }
        if self.is_parked() {
            clock::pause(PROBE_WAIT).await;
        }
        Ok(())
    }

    /// Moves the time of the schedule to where something is to be done; whether that is the
    /// engine's to do.
    async fn step(&self) -> bool {
        let simulation = self.simulation;
        // An outcome is told a moment before its lane is free again, and what is due with it would
        // overtake it then.
        simulation.engine.settle().await;
        let at = self.next_at().unwrap_or(self.turn_at);
        simulation.clock.advance(whole_millis(at).since(simulation.clock.now()));
        !self.is_parked() && !self.progress.rests(simulation.clock.now())
    }

    /// Emits the next group of this turn, or begins the next turn.
    async fn emit_next<E: From<Error>>(
        &mut self,
        told: &mut impl FnMut(Step) -> Result<(), E>,
    ) -> Result<(), E> {
        if self.groups.is_empty() {
            let turn = self.simulation.programme.turn(self.turn)?;
            self.turn += 1;
            if let Some(planned) = turn.groups.first().and_then(|group| group.first()) {
                for fault in turn.forgeries {
                    self.forge(fault, planned, told).await?;
                }
            }
            self.groups = turn.groups.into();
        }
        match self.groups.pop_front() {
            Some(group) => self.emit(group, told).await,
            None => Ok(()),
        }
    }

    async fn forge<E: From<Error>>(
        &mut self,
        fault: Fault,
        planned: &Planned,
        told: &mut impl FnMut(Step) -> Result<(), E>,
    ) -> Result<(), E> {
        let forger = &self.simulation.forger;
        let mode = self.simulation.mode;
        let forgery = forger.forge(fault, &planned.event_type, &planned.data, mode).await?;
        self.findings.forged(&forgery);
        told(Step::Forgery(forgery))
    }

    /// Hands over as many events as may go side by side now.
    async fn emit_many<E: From<Error>>(
        &mut self,
        told: &mut impl FnMut(Step) -> Result<(), E>,
    ) -> Result<(), E> {
        let programme = &self.simulation.programme;
        let most = if self.simulation.rate_per_second.is_some() { 1 } else { BATCH_MAX };
        let end = programme.turns.min(self.turn + most);
        let mut group = Vec::with_capacity(end - self.turn);
        for number in self.turn..end {
            group.extend(programme.turn(number)?.groups.into_iter().flatten());
        }
        self.turn = end;
        self.emit(group, told).await
    }

    async fn emit<E: From<Error>>(
        &mut self,
        group: Vec<Planned>,
        told: &mut impl FnMut(Step) -> Result<(), E>,
    ) -> Result<(), E> {
        let simulation = self.simulation;
        if let ([test], Some(endpoint)) = (group.as_slice(), self.endpoint)
            && test.test
        {
            self.testing += 1;
            let mut event = TestEvent::of(test.event_type.as_str());
            event.data = Some(test.data.clone());
            simulation.engine.test(endpoint, event).await?;
            return Ok(());
        }
        let new = |planned: &Planned| NewEvent {
            application: simulation.application,
            event_type: planned.event_type.clone(),
            data: planned.data.clone(),
            time: None,
            mode: simulation.mode,
            channels: Vec::new(),
            uid: None,
            tags: planned.faults.iter().map(|fault| fault.name().to_owned()).collect(),
            idempotency_key: None,
        };
        let emitted = simulation.engine.emit_batch(group.iter().map(new).collect()).await?;
        self.progress.emitted(&emitted);
        for (emitted, planned) in emitted.iter().zip(group) {
            if !planned.faults.is_empty() {
                self.met.insert(emitted.event, planned.faults);
            }
            if let Some(reason) = emitted.reach.explain() {
                told(Step::Unsent(reason))?;
            }
        }
        Ok(())
    }

    /// Notes when the next turn may begin: from the end of this one's first attempts on.
    fn expect_turn(&mut self) -> Result<()> {
        if self.simulation.pace != Pace::SideBySide
            && self.progress.untried() == 0
            && self.groups.is_empty()
            && self.turn < self.simulation.programme.turns
        {
            let after = self.simulation.programme.after(self.turn)?;
            self.turn_at = self.simulation.clock.now().after(after);
        }
        Ok(())
    }

    /// Waits until the endpoint has been parked for so long that it is given up.
    fn given_up(&self) -> impl Future<Output = ()> + use<> {
        let (clock, at) = (self.simulation.clock.clone(), self.given_up_at);
        async move {
            if let Some(at) = at {
                clock.sleep_until(at).await;
            }
        }
    }
}

/// The whole millisecond at or after `time`: the engine's wheel goes by those, and a clock that
/// stands still in between would never reach the next.
fn whole_millis(time: Timestamp) -> Timestamp {
    let micros = time.as_micros();
    Timestamp::from_millis(micros.div_euclid(1000) + i64::from(micros.rem_euclid(1000) > 0))
}
