//! A simulation that runs.

mod acting;
mod emitting;
mod hearing;

use super::Simulation;
use super::programme::Planned;
use crate::clock::Stopwatch;
use crate::error::{Error, Result};
use crate::model::{DeliveryId, EndpointId, EndpointState, EventId, Timestamp, WebhookId};
use crate::provider::Moment;
use crate::simulate::faults::Fault;
use crate::simulate::progress::{Progress, Step};
use crate::simulate::report::{End, Findings, NotPlayed, Report};
use emitting::Late;
use std::collections::{BTreeMap, HashMap, VecDeque};

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
    /// What happened in the turn before this one, and is delivered after it.
    late: VecDeque<Late>,
    /// Whether this turn goes before what happened in the one before.
    is_second: bool,
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
            findings: Findings::new(simulation.advised.clone(), simulation.switches),
            turn: 0,
            turn_at: now,
            groups: VecDeque::new(),
            late: VecDeque::new(),
            is_second: false,
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
            excused: self.findings.excused,
            attempts: self.progress.attempts,
            lasted: self.simulation.clock.now().since(self.began),
            not_played: self.not_played(),
            faults: self.findings.faults,
            wrong: self.findings.wrong,
            warnings: self.findings.warnings,
            end,
        })
    }

    fn not_played(&self) -> Vec<NotPlayed> {
        let faults = self.simulation.programme.faults();
        let missed = faults.asked().filter(|(fault, _)| !self.findings.faults.contains_key(fault));
        let told = missed.map(|(fault, is_named)| NotPlayed {
            fault,
            reason: faults.missed(fault).to_owned(),
            is_named,
        });
        told.collect()
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
            && self.late.is_empty()
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
