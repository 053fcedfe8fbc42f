//! What a running simulation hands to its engine.

use super::Run;
use crate::engine::{Emitted, KeptBack, NewEvent, TestEvent};
use crate::error::{Error, Result};
use crate::simulate::faults::Fault;
use crate::simulate::progress::Step;
use crate::simulate::simulation::Pace;
use crate::simulate::simulation::programme::Planned;

/// Events handed to the engine at once at most, without a rate.
const BATCH_MAX: usize = 500;

/// Events that happened and are delivered later.
pub(super) struct Late {
    emitted: Vec<Emitted>,
    planned: Vec<Planned>,
    held: KeptBack,
}

impl Run<'_> {
    /// Emits the next group of this turn, or begins the next turn.
    pub(super) async fn emit_next<E: From<Error>>(
        &mut self,
        told: &mut impl FnMut(Step) -> Result<(), E>,
    ) -> Result<(), E> {
        if self.groups.is_empty() {
            if self.is_second
                && let Some(late) = self.late.pop_front()
            {
                self.is_second = !self.late.is_empty();
                self.hear_of(&late.emitted, late.planned, told)?;
                self.simulation.engine.deliver(late.held);
                return Ok(self.expect_turn()?);
            }
            let is_second = !self.late.is_empty();
            let turn = self.simulation.programme.turn(self.turn, is_second)?;
            self.turn += 1;
            self.is_second = is_second;
            if let Some(planned) = turn.groups.first().and_then(|group| group.first()) {
                for fault in turn.forgeries {
                    self.forge(fault, planned, told).await?;
                }
            }
            if turn.comes_late {
                return self.keep_back(turn.groups, told).await;
            }
            self.groups = turn.groups.into();
        }
        match self.groups.pop_front() {
            Some(group) => self.emit(group, told).await,
            None => Ok(()),
        }
    }

    /// Lets a turn happen now, with its own time and ids, and keeps what it makes until the next
    /// one has been delivered.
    async fn keep_back<E: From<Error>>(
        &mut self,
        groups: Vec<Vec<Planned>>,
        told: &mut impl FnMut(Step) -> Result<(), E>,
    ) -> Result<(), E> {
        for mut planned in groups {
            let events = planned.iter().map(|planned| self.new_event(planned)).collect();
            let (emitted, held) = self.simulation.engine.emit_held(events).await?;
            if held.is_all_of(&emitted) {
                self.late.push_back(Late { emitted, planned, held });
                continue;
            }
            // The endpoint is parked: what happens now is in its queue, and comes when that moves.
            for planned in &mut planned {
                planned.faults.retain(|fault| *fault != Fault::Reorder);
            }
            self.hear_of(&emitted, planned, told)?;
            self.simulation.engine.deliver(held);
        }
        Ok(self.expect_turn()?)
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
    pub(super) async fn emit_many<E: From<Error>>(
        &mut self,
        told: &mut impl FnMut(Step) -> Result<(), E>,
    ) -> Result<(), E> {
        let programme = &self.simulation.programme;
        let most = if self.simulation.rate_per_second.is_some() { 1 } else { BATCH_MAX };
        let end = programme.turns.min(self.turn + most);
        let mut group = Vec::with_capacity(end - self.turn);
        for number in self.turn..end {
            group.extend(programme.turn(number, false)?.groups.into_iter().flatten());
        }
        self.turn = end;
        let (tests, group): (Vec<Planned>, Vec<Planned>) =
            group.into_iter().partition(|planned| planned.test);
        if !group.is_empty() {
            self.emit(group, told).await?;
        }
        for test in tests {
            self.emit(vec![test], told).await?;
        }
        Ok(())
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
        let events = group.iter().map(|planned| self.new_event(planned)).collect();
        let emitted = simulation.engine.emit_batch(events).await?;
        self.hear_of(&emitted, group, told)
    }

    fn new_event(&self, planned: &Planned) -> NewEvent {
        NewEvent {
            application: self.simulation.application,
            event_type: planned.event_type.clone(),
            data: planned.data.clone(),
            time: None,
            mode: self.simulation.mode,
            channels: Vec::new(),
            uid: None,
            tags: planned.faults.iter().map(|fault| fault.name().to_owned()).collect(),
            idempotency_key: None,
        }
    }

    /// Takes note of events that go out.
    fn hear_of<E: From<Error>>(
        &mut self,
        emitted: &[Emitted],
        group: Vec<Planned>,
        told: &mut impl FnMut(Step) -> Result<(), E>,
    ) -> Result<(), E> {
        self.progress.emitted(emitted);
        for (emitted, planned) in emitted.iter().zip(group) {
            if let Some(reason) = emitted.reach.explain() {
                told(Step::Unsent(reason))?;
            } else if !planned.faults.is_empty() {
                self.met.insert(emitted.event, planned.faults);
            }
        }
        Ok(())
    }

    /// Notes when the next turn may begin: from the end of this one's first attempts on.
    pub(super) fn expect_turn(&mut self) -> Result<()> {
        if self.simulation.pace == Pace::SideBySide
            || self.progress.untried() > 0
            || !self.groups.is_empty()
        {
            return Ok(());
        }
        let now = self.simulation.clock.now();
        if self.is_second && !self.late.is_empty() {
            self.turn_at = now;
        } else if self.turn < self.simulation.programme.turns {
            self.turn_at = now.after(self.simulation.programme.after(self.turn)?);
        }
        Ok(())
    }
}
