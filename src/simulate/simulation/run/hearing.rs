//! What a running simulation makes of the outcomes that it hears of.

use super::Run;
use crate::engine::Outcome;
use crate::error::{Error, Result};
use crate::id_source::random_bits;
use crate::model::{DeliveryId, EndpointState, Timestamp, Trigger};
use crate::simulate::faults::Fault;
use crate::simulate::progress::{Exchange, Standing, Step};
use std::sync::Arc;
use std::time::Duration;

/// How long an endpoint may stay parked, by the schedule's time, until it is given up: time for a
/// handful of challenges.
const PARKED_MAX: Duration = Duration::from_secs(2 * 3600);
/// How much later a late replay comes, by the schedule's time: at least this, and up to that more.
const LATE: (Duration, Duration) = (Duration::from_secs(600), Duration::from_secs(3000));

impl Run<'_> {
    /// Tells of an attempt, and of what it means for the endpoint.
    pub(super) async fn take<E: From<Error>>(
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
        let was_untried = self.progress.untried();
        let (waited, again) = self.progress.attempted(&outcome);
        if outcome.attempt.trigger == Trigger::Test {
            self.testing = self.testing.saturating_sub(1);
        }
        if was_untried > 0 || outcome.attempt.trigger == Trigger::Test {
            self.expect_turn()?;
        }
        let id = self.wire_id(&outcome).await?;
        if outcome.attempt.outcome.is_success() {
            self.given_up_at = None;
        }
        let parks = outcome.parks();
        let faults = self.faults_of(&outcome);
        self.findings.exchanged(&faults, &outcome, &id, self.simulation.switches);
        self.repeat_later(&outcome)?;
        let standing = self.standing();
        told(Step::Exchange(Exchange { outcome, id, faults, waited, again, standing }))?;
        if let Some((reason, since)) = parked.filter(|_| is_news && parks) {
            self.parked_at = Some(since);
            let now = self.simulation.clock.now();
            self.given_up_at.get_or_insert(now.after(PARKED_MAX));
            told(Step::Parked(reason))?;
        }
        Ok(())
    }

    /// What went wrong on purpose with this attempt.
    fn faults_of(&mut self, outcome: &Outcome) -> Vec<Fault> {
        if outcome.attempt.trigger == Trigger::Manual {
            return self.repeating.remove(&outcome.attempt.webhook).into_iter().collect();
        }
        let met = outcome.deliveries.iter().filter_map(|(id, _)| self.met.get(&id.event));
        let is_here = |fault: &Fault| {
            !fault.is_repeat()
                && (outcome.attempt.number == 1
                    || fault.is_content()
                    || (*fault == Fault::OldSecret && !self.simulation.switches))
        };
        let mut faults: Vec<Fault> = met.flatten().copied().filter(is_here).collect();
        faults.sort_unstable();
        faults.dedup();
        faults
    }

    /// Notes what of a webhook that was accepted is to be sent once more.
    fn repeat_later(&mut self, outcome: &Outcome) -> Result<()> {
        if outcome.attempt.trigger != Trigger::Scheduled || !outcome.attempt.outcome.is_success() {
            return Ok(());
        }
        for fault in [Fault::Duplicate, Fault::LateReplay] {
            let meets = |(id, _): &&(DeliveryId, _)| {
                self.met.get(&id.event).is_some_and(|met| met.contains(&fault))
            };
            let Some((delivery, _)) = outcome.deliveries.iter().find(meets) else { continue };
            let wait = match fault {
                Fault::LateReplay => {
                    let number = random_bits(delivery.event.uuid());
                    let part = self.simulation.chance.fraction_for("late replay", number)?;
                    LATE.0 + LATE.1.mul_f64(part)
                }
                _ => Duration::ZERO,
            };
            let at = self.simulation.clock.now().after(wait);
            let key = (at, self.progress.attempts * 2 + usize::from(fault == Fault::LateReplay));
            self.repeats.insert(key, (*delivery, outcome.attempt.webhook, fault));
        }
        Ok(())
    }

    fn standing(&self) -> Standing {
        let next = self
            .progress
            .next_due()
            .into_iter()
            .chain(self.repeats.first_key_value().map(|((at, _), _)| *at));
        let until =
            |at: Timestamp| at.since(self.simulation.clock.now()).div_f64(self.simulation.speed);
        Standing {
            events: self.simulation.events,
            accepted: self.progress.accepted,
            exhausted: self.progress.exhausted,
            waiting: self.progress.waiting(),
            next: next.min().map(until),
        }
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
}
