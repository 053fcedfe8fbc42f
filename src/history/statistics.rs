//! How many deliveries stand where.

use crate::engine::Engine;
use crate::error::{Error, Result};
use crate::model::{DeliveryState, EndpointId, EventId, Order, Timestamp};
use crate::query::Walk;
use crate::store::Owner;
use crate::store::ledger::{self, Standings};
use std::sync::Arc;
use std::time::Duration;

/// The longest time over which deliveries are counted.
pub const STATISTICS_RANGE_MAX: Duration = Duration::from_secs(28 * 86_400);
/// Events that are read before others get their turn at the store.
const READ_AT_ONCE: usize = 2000;

/// How many deliveries are in each state.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct DeliveryCounts {
    /// They wait for their next attempt.
    pub waiting: u64,
    /// A request is in flight.
    pub sending: u64,
    /// The endpoint accepted them.
    pub succeeded: u64,
    /// The schedule has no delay left.
    pub exhausted: u64,
    /// Their endpoint was deleted first.
    pub cancelled: u64,
    /// They were never tried.
    pub skipped: u64,
}

impl DeliveryCounts {
    fn add(&mut self, state: DeliveryState) {
        *match state {
            DeliveryState::Waiting { .. } => &mut self.waiting,
            DeliveryState::Sending => &mut self.sending,
            DeliveryState::Succeeded { .. } => &mut self.succeeded,
            DeliveryState::Exhausted { .. } => &mut self.exhausted,
            DeliveryState::Cancelled { .. } => &mut self.cancelled,
            DeliveryState::Skipped { .. } => &mut self.skipped,
        } += 1;
    }
}

impl Engine {
    /// Counts the deliveries to an endpoint whose event was accepted from `since` on and before
    /// `until`, each as it stands when it is looked at; test events count too.
    ///
    /// # Errors
    /// Refuses an unknown endpoint, and more than 28 days ([`STATISTICS_RANGE_MAX`]).
    pub async fn statistics(
        &self,
        endpoint: EndpointId,
        since: Timestamp,
        until: Timestamp,
    ) -> Result<DeliveryCounts> {
        self.inner.check_owner(Owner::Endpoint(endpoint))?;
        if until.since(since) > STATISTICS_RANGE_MAX {
            return Err(Error::invalid(format!(
                "the time from {since} to {until} is too long: deliveries are counted over 28 \
                 days at most"
            )));
        }
        let range = EventId::first_at(since)..EventId::first_at(until);
        let mut walk = Walk::new(Owner::Endpoint(endpoint), range, Order::OldestFirst);
        let mut counts = DeliveryCounts::default();
        loop {
            let inner = Arc::clone(&self.inner);
            let step = self.inner.blocking(move |store| {
                let Some((_, events)) = walk.step(store, READ_AT_ONCE)? else {
                    return Ok((walk, None));
                };
                let mut standings = Standings::new(store);
                let mut part = counts;
                for happened in events {
                    let (acceptance, entries) = (&happened.acceptance, &happened.entries);
                    let ledger = standings.ledger(acceptance, entries, endpoint)?;
                    let Some(ledger) = ledger else { continue };
                    let mut delivery = ledger::delivery(&acceptance.event, endpoint, ledger);
                    inner.as_it_is(&mut delivery);
                    part.add(delivery.state);
                }
                Ok((walk, Some(part)))
            });
            let (gone_on, part) = step.await?;
            let Some(part) = part else { return Ok(counts) };
            (walk, counts) = (gone_on, part);
        }
    }
}
