//! Sending on record again: which webhooks, found some at a time, oldest first.

use crate::dispatch::recipient::Recipient;
use crate::engine::Inner;
use crate::error::{Error, Result};
use crate::model::{
    ApplicationId, Delivery, DeliveryId, DeliveryState, Endpoint, EndpointId, EndpointState, Event,
    EventId, Order, QueueItem, Timestamp, WebhookId,
};
use crate::query::{DeliveryFilter, Walk};
use crate::store::ledger::{Standings, single};
use crate::store::{Change, Happened, Owner, Store};
use crate::wheel::window;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// Events that are looked at in one step; fewer where they are long.
const STEP: usize = 200;

/// Attempts of all deliveries of an event from which on it is not sent again by hand.
const EVENT_ATTEMPTS_MAX: u64 = 1000;
/// Attempts for each of its deliveries from which on it is not, where that is more: what goes to
/// many endpoints makes many by itself.
const DELIVERY_ATTEMPTS_MAX: u64 = 20;

/// What is sent again.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) enum What {
    /// What is exhausted at an endpoint.
    Exhausted(EndpointId),
    /// That, and what was skipped while the endpoint was disabled.
    Missed(EndpointId),
    /// What an endpoint wants now and was never sent, because it was not there, filtered otherwise
    /// or was disabled.
    Missing(EndpointId),
    /// Every finished delivery that is asked for.
    Matching(DeliveryFilter),
}

/// Sending again, as far as it has come.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Resend {
    what: What,
    walk: Walk,
    /// Webhooks of several events that were sent, each until the walk is past the last of these.
    sets: BTreeMap<WebhookId, EventId>,
}

/// What one step puts on its way.
#[derive(Default)]
pub(crate) struct Part {
    pub changes: Vec<Change>,
    /// How many webhooks that is.
    pub count: u64,
    endpoints: BTreeSet<EndpointId>,
}

impl Part {
    fn add(&mut self, endpoint: EndpointId, change: Change) {
        self.changes.push(change);
        self.count += 1;
        self.endpoints.insert(endpoint);
    }
}

impl Inner {
    /// Waits until all events that are to be accepted go by the endpoints as they are now, and those
    /// that do not are on record.
    ///
    /// # Errors
    /// [`Unavailable`](crate::ErrorKind::Unavailable) when storage fails.
    pub(crate) async fn wait_for_emits(&self) -> Result<()> {
        self.planning.passed().await;
        self.committer.change(Vec::new()).await
    }

    /// Begins to send again what was accepted in a time, and before now. To be called after
    /// [`Inner::wait_for_emits`] where what was skipped or missing is sent.
    pub(crate) fn resend_of(
        &self,
        what: What,
        since: Option<Timestamp>,
        until: Option<Timestamp>,
    ) -> Result<Resend> {
        // All events on record have smaller ids, and all later ones have greater ones.
        let now = EventId::from_uuid(self.ids.next()?);
        let start = since.map_or(EventId::all().start, EventId::first_at);
        let range = start..until.map_or(now, |until| EventId::first_at(until).min(now));
        let order = Order::OldestFirst;
        let walk = match &what {
            What::Exhausted(endpoint) => Walk::exhausted(*endpoint, range, order),
            What::Missed(endpoint) => Walk::new(Owner::Endpoint(*endpoint), range, order),
            What::Missing(endpoint) => {
                let owner = Owner::Application(self.directory.endpoint(*endpoint)?.application);
                Walk::new(owner, range, order)
            }
            What::Matching(filter) => {
                let mut walk = DeliveryFilter { order, position: None, ..filter.clone() }.walk();
                walk.end_before(range.end);
                walk
            }
        };
        Ok(Resend { what, walk, sets: BTreeMap::new() })
    }

    /// Finds what the next events want sent again, once it is the turn of `application`; `None` at
    /// the end.
    pub(crate) async fn resend_step(
        self: &Arc<Self>,
        application: ApplicationId,
        mut resend: Resend,
    ) -> Result<(Resend, Option<Part>)> {
        let inner = Arc::clone(self);
        self.scan(application, move |store| {
            let step = Step::new(store, &inner, &mut resend.sets);
            let part = step.take(&resend.what, &mut resend.walk)?;
            Ok((resend, part))
        })
        .await
    }

    /// Lets the window know what a part put into queues.
    pub(crate) fn tell_waiting(&self, endpoints: &BTreeSet<EndpointId>) {
        let now = self.clock.now();
        for endpoint in endpoints {
            self.window.tell(window::Command::Waiting(*endpoint, now));
        }
    }

    /// Sends all of it again, and returns how many webhooks that is.
    pub(crate) async fn resend_all(
        self: &Arc<Self>,
        application: ApplicationId,
        mut resend: Resend,
    ) -> Result<u64> {
        let mut count = 0;
        loop {
            self.check_open()?;
            let (gone_on, part) = self.resend_step(application, resend).await?;
            let Some(part) = part else { return Ok(count) };
            resend = gone_on;
            count += part.count;
            let endpoints = part.endpoints();
            if !part.changes.is_empty() {
                self.committer.change(part.changes).await?;
                self.tell_waiting(&endpoints);
            }
        }
    }

    /// The endpoint, if something can be sent to it by hand.
    pub(crate) fn replayable(&self, id: EndpointId) -> Result<Arc<Endpoint>> {
        let endpoint = Arc::clone(&self.directory.recipient(id)?.endpoint);
        match &endpoint.state {
            EndpointState::Disabled { reason, .. } => Err(Error::conflict(format!(
                "endpoint `{id}` is disabled ({reason}): enable it first"
            ))),
            _ => Ok(endpoint),
        }
    }

    /// The place in a queue of a webhook that is sent again by hand.
    pub(crate) fn replay_of(&self, webhook: WebhookId) -> QueueItem {
        QueueItem { due: self.clock.now(), webhook, manual: true }
    }
}

impl Part {
    /// Whose queues it goes into.
    pub fn endpoints(&self) -> BTreeSet<EndpointId> {
        self.endpoints.clone()
    }
}

/// One step.
struct Step<'a> {
    store: &'a dyn Store,
    inner: &'a Inner,
    standings: Standings<'a>,
    sets: &'a mut BTreeMap<WebhookId, EventId>,
    part: Part,
    /// Whether the event that is looked at may be replayed.
    may_replay: bool,
}

impl<'a> Step<'a> {
    fn new(
        store: &'a dyn Store,
        inner: &'a Inner,
        sets: &'a mut BTreeMap<WebhookId, EventId>,
    ) -> Self {
        let standings = Standings::new(store);
        Self { store, inner, standings, sets, part: Part::default(), may_replay: true }
    }

    fn take(mut self, what: &What, walk: &mut Walk) -> Result<Option<Part>> {
        if let What::Exhausted(endpoint) | What::Missed(endpoint) | What::Missing(endpoint) = what {
            self.inner.replayable(*endpoint)?;
        }
        let Some((passed, events)) = walk.step(self.store, STEP)? else { return Ok(None) };
        for happened in &events {
            // What was sent to try out is not what an endpoint misses, and of what was expunged
            // nothing is left to send.
            let event = &happened.acceptance.event;
            if event.sample || event.expunged {
                continue;
            }
            let deliveries = self.standings.deliveries(happened)?;
            self.may_replay = may_be_replayed(&deliveries);
            match what {
                What::Exhausted(endpoint) => {
                    for held in of(&deliveries, *endpoint) {
                        self.replay_exhausted(held)?;
                    }
                }
                What::Missed(endpoint) => {
                    for held in of(&deliveries, *endpoint) {
                        self.replay_exhausted(held)?;
                        self.send_skipped(held);
                    }
                }
                What::Missing(endpoint) => self.send_missing(happened, &deliveries, *endpoint)?,
                What::Matching(filter) => {
                    self.replay_matching(happened, &deliveries, filter)?;
                }
            }
        }
        self.sets.retain(|_, last| *last > passed);
        Ok(Some(self.part))
    }

    fn replay_exhausted(&mut self, held: &Delivery) -> Result<()> {
        if matches!(held.state, DeliveryState::Exhausted { .. }) && self.is_first(held)? {
            self.replay(held)?;
        }
        Ok(())
    }

    fn replay_matching(
        &mut self,
        happened: &Happened,
        deliveries: &[Delivery],
        filter: &DeliveryFilter,
    ) -> Result<()> {
        if !filter.wants_event(&happened.acceptance.event) {
            return Ok(());
        }
        for held in deliveries {
            // What the provider's envelope cannot carry would fail each time.
            let is_sendable = match held.state {
                DeliveryState::Skipped { .. } => held.state.is_recoverable(),
                state => state.is_final(),
            };
            let is_asked_for = is_sendable && filter.wants(held);
            if is_asked_for
                && self.inner.replayable(held.id.endpoint).is_ok()
                && self.is_first(held)?
            {
                self.replay(held)?;
            }
        }
        Ok(())
    }

    /// Sends a webhook again, unless its event has been sent too often, or that waits to be done
    /// since it was asked for before.
    fn replay(&mut self, held: &Delivery) -> Result<()> {
        let endpoint = held.id.endpoint;
        if self.may_replay && !self.store.replay_waits(endpoint, held.webhook)? {
            let item = self.inner.replay_of(held.webhook);
            self.part.add(endpoint, Change::Enqueue(endpoint, item));
        }
        Ok(())
    }

    /// Gives a skipped delivery a place in the queue, as if it were new.
    fn send_skipped(&mut self, held: &Delivery) {
        if !held.state.is_recoverable() {
            return;
        }
        let due = self.inner.clock.now();
        let change = Change::Move {
            delivery: held.id,
            state: DeliveryState::Waiting { due },
            enqueue: QueueItem { due, webhook: held.webhook, manual: false },
            attempts: held.attempts,
        };
        self.part.add(held.id.endpoint, change);
    }

    fn send_missing(
        &mut self,
        happened: &Happened,
        deliveries: &[Delivery],
        endpoint: EndpointId,
    ) -> Result<()> {
        let mut held = of(deliveries, endpoint).peekable();
        if held.peek().is_some() {
            held.for_each(|held| self.send_skipped(held));
            return Ok(());
        }
        let recipient = self.inner.directory.recipient(endpoint)?;
        let event = &happened.acceptance.event;
        if is_wanted(&recipient, event) {
            let delivery = DeliveryId { event: event.id, endpoint };
            let due = self.inner.clock.now();
            let enqueue = QueueItem { due, webhook: single(event.id), manual: false };
            self.part.add(endpoint, Change::Deliver { delivery, enqueue });
        }
        Ok(())
    }

    /// Whether a webhook is sent again for this delivery of the several that it may carry: for the
    /// first that is asked for and can be sent.
    fn is_first(&mut self, held: &Delivery) -> Result<bool> {
        if held.webhook == single(held.id.event) {
            return Ok(true);
        }
        if self.sets.contains_key(&held.webhook) {
            return Ok(false);
        }
        let formed = self.store.formed(held.webhook)?;
        let last = formed.and_then(|formed| formed.events.into_iter().max());
        self.sets.insert(held.webhook, last.unwrap_or(held.id.event));
        Ok(true)
    }
}

/// How many attempts an event's deliveries have had together.
pub(crate) fn attempts(deliveries: &[Delivery]) -> u64 {
    deliveries.iter().map(|delivery| u64::from(delivery.attempts)).sum()
}

/// Whether an event may be sent again by hand: whoever looks at it pays for each of its
/// attempts.
pub(crate) fn may_be_replayed(deliveries: &[Delivery]) -> bool {
    let count = u64::try_from(deliveries.len()).unwrap_or(u64::MAX);
    attempts(deliveries) < EVENT_ATTEMPTS_MAX.max(count.saturating_mul(DELIVERY_ATTEMPTS_MAX))
}

fn of(deliveries: &[Delivery], endpoint: EndpointId) -> impl Iterator<Item = &Delivery> {
    deliveries.iter().filter(move |held| held.id.endpoint == endpoint)
}

/// Whether an endpoint, as it is now, would be sent such an event.
fn is_wanted(recipient: &Recipient, event: &Event) -> bool {
    let endpoint = &recipient.endpoint;
    endpoint.wants_type(event)
        && endpoint.wants_channel(event)
        && recipient.provider.check_event(event).is_ok()
}
