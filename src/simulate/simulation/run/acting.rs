//! When a running simulation does what.

use super::Run;
use crate::clock;
use crate::error::{Error, Result};
use crate::model::Timestamp;
use crate::simulate::progress::Step;
use crate::simulate::simulation::Pace;
use std::time::Duration;

/// Events that wait for their first attempt at most: so many outcomes are not missed.
const UNTRIED_MAX: usize = 1000;
/// How long to wait for a challenge that is being answered, where nothing tells of its end.
const PROBE_WAIT: Duration = Duration::from_millis(2);

impl Run<'_> {
    /// Whether something may be done once [`Run::pause`] is over.
    pub(super) fn may_act(&self) -> bool {
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

    pub(super) fn has_turns(&self) -> bool {
        !self.groups.is_empty()
            || !self.late.is_empty()
            || self.turn < self.simulation.programme.turns
    }

    /// When something is to be done next, by the schedule's time.
    pub(super) fn next_at(&self) -> Option<Timestamp> {
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
    pub(super) fn pause(&self) -> impl Future<Output = ()> + use<> {
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
    pub(super) async fn act<E: From<Error>>(
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
}

/// The whole millisecond at or after `time`: the engine's wheel goes by those, and a clock that
/// stands still in between would never reach the next.
fn whole_millis(time: Timestamp) -> Timestamp {
    let micros = time.as_micros();
    Timestamp::from_millis(micros.div_euclid(1000) + i64::from(micros.rem_euclid(1000) > 0))
}
