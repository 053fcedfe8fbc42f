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
        self.statistics_while(endpoint, since, until, || true).await
    }

    /// The same, as long as somebody waits for it.
    pub(crate) async fn statistics_while(
        &self,
        endpoint: EndpointId,
        since: Timestamp,
        until: Timestamp,
        is_awaited: impl Fn() -> bool,
    ) -> Result<DeliveryCounts> {
        let application = self.inner.application_of(Owner::Endpoint(endpoint))?;
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
            check_awaited(&is_awaited)?;
            let inner = Arc::clone(&self.inner);
            let step = self.inner.scan(application, move |store| {
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

/// Refuses to go on with something long for which nobody waits any more.
pub(super) fn check_awaited(is_awaited: impl Fn() -> bool) -> Result<()> {
    match is_awaited() {
        true => Ok(()),
        false => Err(Error::unavailable("nobody waits for the count any more")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::{NewApplication, NewEndpoint, NewEvent};
    use crate::query::DeliveryFilter;
    use serde_json::json;
    use std::cell::Cell;

    #[tokio::test]
    async fn counting_reads_a_few_mebibytes_at_a_time_while_somebody_waits() {
        let engine = Engine::builder().in_memory().development().open().await.unwrap();
        let shop = engine.create_application(NewApplication::new("Shop")).await.unwrap().id;
        let mut endpoint = NewEndpoint::new("http://127.0.0.1:9/");
        endpoint.enabled = false;
        let id = engine.create_endpoint(shop, endpoint).await.unwrap().endpoint.id;
        let since = engine.clock().wall();
        for _ in 0..9 {
            let data = json!({"note": "x".repeat(1_000_000)});
            engine.emit(NewEvent::new(shop, "a.b", &data).unwrap()).await.unwrap();
        }
        let until = engine.clock().wall().after(Duration::from_secs(1));
        let asked = &Cell::new(0);
        let count = |most| {
            asked.set(0);
            let is_awaited = move || {
                asked.set(asked.get() + 1);
                asked.get() <= most
            };
            engine.statistics_while(id, since, until, is_awaited)
        };
        assert_eq!(count(9).await.unwrap().skipped, 9);
        assert_eq!(asked.get(), 3, "five, four, and none");
        assert!(count(1).await.unwrap_err().is_unavailable());
        let counted = engine.count_deliveries_while(DeliveryFilter::endpoint(id), || false).await;
        assert!(counted.unwrap_err().is_unavailable());
    }
}
