//! Accepting events: checked, fanned out, committed, answered.

mod place;

use crate::clock::Stopwatch;
use crate::dispatch::gate::Gate;
use crate::dispatch::recipient::Recipient;
use crate::dispatch::run::Command;
use crate::engine::{
    Emitted, Engine, Inner, KeptBack, NewEvent, Outcome, TestEvent, fresh_item, whole,
};
use crate::error::{Error, Result};
use crate::model::{
    ApplicationId, Attempt, DeliveryId, EndpointId, Event, EventId, EventType, Mode, Payload,
    Reach, Timestamp, Trigger, check,
};
use crate::store::group_commit::{Accepted, NewAcceptance};
use crate::store::{Place, ledger};
use crate::wheel::window;
use place::{Verdicts, place};
use sha2::{Digest, Sha256};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::oneshot;
use uuid::Uuid;

/// How long an emit waits at most for room in the memory of crowded lanes.
const ROOM_WAIT_MAX: Duration = Duration::from_millis(250);

impl Engine {
    /// Accepts an event: when this returns, it and its deliveries are on stable storage.
    ///
    /// # Errors
    /// Refuses an unknown application, data that is too large and, with
    /// [`ErrorKind::Conflict`](crate::ErrorKind::Conflict), an idempotency key that was used for
    /// another event, and a uid that another event has. [`ErrorKind::Unavailable`](crate::ErrorKind::Unavailable) when the store
    /// cannot take it now.
    pub async fn emit(&self, event: NewEvent) -> Result<Emitted> {
        let mut emitted = self.emit_batch(vec![event]).await?;
        emitted.pop().ok_or_else(|| Error::internal("an emit came back empty"))
    }

    /// Accepts several events in one commit: all of them or none.
    ///
    /// # Errors
    /// As for [`Engine::emit`], and refuses more than `batch_max_events`.
    pub async fn emit_batch(&self, events: Vec<NewEvent>) -> Result<Vec<Emitted>> {
        self.accept(events, true).await.map(|(emitted, _)| emitted)
    }

    /// Accepts several events as [`Engine::emit_batch`] does, and keeps their deliveries back until
    /// [`Engine::deliver`]. For the simulator alone, which lets events arrive in another order than
    /// the one in which they happened.
    pub(crate) async fn emit_held(
        &self,
        events: Vec<NewEvent>,
    ) -> Result<(Vec<Emitted>, KeptBack)> {
        self.accept(events, false).await
    }

    /// Lets go what was kept back.
    pub(crate) fn deliver(&self, held: KeptBack) {
        self.inner.dispatcher.tell(Command::Arrive(held.0));
    }

    #[tracing::instrument(level = "debug", name = "emit", skip_all, fields(events = events.len()))]
    async fn accept(
        &self,
        events: Vec<NewEvent>,
        delivers: bool,
    ) -> Result<(Vec<Emitted>, KeptBack)> {
        let inner = &self.inner;
        inner.check_open()?;
        let most = inner.config.batch_max_events;
        if events.len() > most {
            return Err(Error::invalid(format!(
                "a batch of {} events is too large: `batch_max_events` is {most}",
                events.len()
            )));
        }
        let (sender, answer) = oneshot::channel();
        // Whoever emitted may have gone away; what was accepted is on its way all the same.
        let then = |emitted| drop(sender.send(emitted));
        inner.take_in(events, ROOM_WAIT_MAX, delivers, false, then).await?;
        answer.await.map_err(|_| Error::closed())?
    }

    /// The event that the platform calls `uid`, while it is kept.
    ///
    /// # Errors
    /// Refuses an unknown application.
    pub async fn event_by_uid(
        &self,
        application: ApplicationId,
        uid: &str,
    ) -> Result<Option<EventId>> {
        self.inner.directory.application(application)?;
        let uid = uid.to_owned();
        self.inner.blocking(move |store| store.event_by_uid(application, &uid)).await
    }

    /// Sends a sample event of the endpoint's provider to that endpoint, once, at once, whatever
    /// its filters and state, marked as a test in the provider's way, and answers with the attempt.
    ///
    /// # Errors
    /// Refuses a type that the provider has no sample of, and values that fit no sample. A failed
    /// attempt is no error: see its outcome.
    pub async fn test(&self, endpoint: EndpointId, test: TestEvent) -> Result<Attempt> {
        let inner = &self.inner;
        inner.check_open()?;
        let recipient = inner.directory.recipient(endpoint)?;
        let provider = &recipient.provider;
        let event_type = match &test.event_type {
            Some(event_type) => EventType::new(event_type)?,
            None => provider.test_event_type().clone(),
        };
        provider.check_test_event(event_type.as_str())?;
        let data = match test.data {
            Some(data) => data,
            None => provider.sample(event_type.as_str(), &test.overrides)?,
        };
        inner.check_size(&data)?;
        let now = inner.clock.wall();
        let event = Event {
            id: EventId::from_uuid(Uuid::nil()),
            application: recipient.endpoint.application,
            data,
            event_type,
            time: now,
            accepted_at: now,
            mode: Mode::Test,
            sample: true,
            channels: Vec::new(),
            uid: None,
            tags: Vec::new(),
            idempotency_key: None,
            reach: Reach { endpoints: 1, delivered: 1, ..Reach::default() },
            expunged: false,
        };
        provider.check_event(&event)?;
        let inner = Arc::clone(inner);
        let outcome = whole(async move { inner.send_once(recipient, event).await }).await?;
        Ok(outcome.attempt.clone())
    }
}

/// The places in memory that an event took before it was accepted. They are given back when it is
/// dropped, unless the event keeps them.
struct TakenPlaces {
    gates: Vec<Arc<Gate>>,
    bytes: usize,
}

impl TakenPlaces {
    /// The event was accepted: its deliveries give them back when they are on record.
    fn keep(mut self) {
        self.gates.clear();
    }
}

impl Drop for TakenPlaces {
    fn drop(&mut self) {
        self.gates.iter().for_each(|gate| gate.release(self.bytes));
    }
}

impl Inner {
    fn check_size(&self, data: &Payload) -> Result<()> {
        let most = self.config.event_data_max_bytes;
        if data.len() > most {
            return Err(Error::invalid(format!(
                "event data of {} bytes is too large: `event_data_max_bytes` is {most}",
                data.len()
            )));
        }
        Ok(())
    }

    /// Checks events and hands them to the committing thread, all of them or none; `then` hears
    /// there what came of them. Waits for room in crowded lanes for `room_wait_max`. What `insists`
    /// is taken while attempts are recorded, though other events are refused.
    pub(crate) async fn take_in(
        self: &Arc<Self>,
        events: Vec<NewEvent>,
        room_wait_max: Duration,
        delivers: bool,
        insists: bool,
        then: impl FnOnce(Result<(Vec<Emitted>, KeptBack)>) + Send + 'static,
    ) -> Result<()> {
        let watch = Stopwatch::start();
        // Until the committing thread has it, which gives ids in the order in which it is told.
        let _plan = self.planning.begin();
        let mut acceptances = Vec::with_capacity(events.len());
        let mut places = Vec::with_capacity(events.len());
        for event in events {
            let left = || room_wait_max.saturating_sub(watch.elapsed());
            let (acceptance, taken) = self.plan(event, left).await?;
            acceptances.push(acceptance);
            places.push(taken);
        }
        let hand = Arc::clone(self);
        let then = move |accepted: Result<Vec<Accepted>>| {
            then(accepted.map(|accepted| {
                hand.meters.accepted(watch.elapsed());
                hand.hand_over(places, accepted, delivers)
            }));
        };
        match insists {
            true => self.committer.insist(acceptances, then),
            false => self.committer.accept(acceptances, then),
        }
        Ok(())
    }

    /// Checks an event and finds its recipients. `room_wait` tells for how long it may still wait
    /// for room.
    async fn plan(
        &self,
        new: NewEvent,
        room_wait: impl Fn() -> Duration,
    ) -> Result<(NewAcceptance, TakenPlaces)> {
        self.check_size(&new.data)?;
        if let Some(key) = &new.idempotency_key {
            check::check_idempotency_key(key)?;
        }
        if let Some(uid) = &new.uid {
            check::check_name("event uid", uid)?;
        }
        let all = self.directory.recipients(new.application)?;
        // Only what has a key is ever compared.
        let request_digest = new.idempotency_key.as_ref().map_or([0; 16], |_| digest(&new));
        let now = self.clock.wall();
        let mut event = Event {
            id: EventId::from_uuid(Uuid::nil()),
            application: new.application,
            event_type: new.event_type,
            time: new.time.unwrap_or(now),
            accepted_at: now,
            data: new.data,
            mode: new.mode,
            sample: false,
            channels: check::checked_channels(new.channels)?,
            uid: new.uid,
            tags: check::checked_tags(new.tags)?,
            idempotency_key: new.idempotency_key,
            reach: Reach::default(),
            expunged: false,
        };
        let mut reach =
            Reach { endpoints: u32::try_from(all.len()).unwrap_or(u32::MAX), ..Reach::default() };
        let mut taken = TakenPlaces { gates: Vec::new(), bytes: event.data.len() };
        let mut deliveries = Vec::new();
        let mut has_waited = false;
        let mut verdicts = Verdicts::default();
        for recipient in all.iter() {
            let Some(place) = place(recipient, &event, &mut verdicts, &mut reach) else {
                continue;
            };
            let place = match place {
                Place::Fresh => {
                    has_waited |= recipient.gate.wait_for_room(room_wait(), has_waited).await;
                    let is_fresh = recipient.gate.admit(event.data.len());
                    if is_fresh { Place::Fresh } else { Place::Queued }
                }
                place => place,
            };
            deliveries.push((recipient.endpoint.id, place));
            if place == Place::Fresh {
                taken.gates.push(Arc::clone(&recipient.gate));
            }
        }
        event.reach = reach;
        let due = self.clock.now();
        Ok((NewAcceptance { event, due, deliveries, request_digest }, taken))
    }

    /// Hands what was committed to lanes and window, unless it is to be kept back, and answers.
    fn hand_over(
        &self,
        places: Vec<TakenPlaces>,
        accepted: Vec<Accepted>,
        delivers: bool,
    ) -> (Vec<Emitted>, KeptBack) {
        let mut arrivals = Vec::new();
        let mut emitted = Vec::with_capacity(accepted.len());
        for (taken, accepted) in places.into_iter().zip(accepted) {
            let acceptance = &accepted.acceptance;
            let event = &acceptance.event;
            emitted.push(Emitted {
                event: event.id,
                deliveries: acceptance
                    .deliveries
                    .iter()
                    .map(|(endpoint, _)| DeliveryId { event: event.id, endpoint: *endpoint })
                    .collect(),
                reach: event.reach,
                repeated: accepted.repeated,
                accepted: Arc::clone(event),
            });
            if accepted.repeated {
                continue;
            }
            taken.keep();
            for (endpoint, place) in &acceptance.deliveries {
                match place {
                    Place::Fresh => {
                        let webhook = ledger::single(event.id);
                        let item = fresh_item(webhook, Arc::clone(event), acceptance.due);
                        arrivals.push((*endpoint, item));
                    }
                    Place::Queued => {
                        self.window.tell(window::Command::Waiting(*endpoint, acceptance.due));
                    }
                    Place::Once | Place::Skipped(_) => {}
                }
            }
        }
        if delivers && !arrivals.is_empty() {
            self.dispatcher.tell(Command::Arrive(std::mem::take(&mut arrivals)));
        }
        (emitted, KeptBack(arrivals))
    }

    /// Stores an event for one endpoint and makes its only attempt.
    async fn send_once(
        self: &Arc<Self>,
        recipient: Arc<Recipient>,
        event: Event,
    ) -> Result<Arc<Outcome>> {
        let acceptance = NewAcceptance {
            event,
            due: self.clock.now(),
            deliveries: vec![(recipient.endpoint.id, Place::Once)],
            request_digest: [0; 16],
        };
        let (sender, answer) = oneshot::channel();
        self.committer.accept(vec![acceptance], |accepted| drop(sender.send(accepted)));
        let accepted = answer.await.map_err(|_| Error::closed())??;
        let Some(accepted) = accepted.first() else {
            return Err(Error::internal("a test event came back empty"));
        };
        let event = Arc::clone(&accepted.acceptance.event);
        let mut item = fresh_item(ledger::single(event.id), event, accepted.acceptance.due);
        item.trigger = Trigger::Test;
        item.not_before = Timestamp::EPOCH;
        let (sender, answer) = oneshot::channel();
        self.attempt(recipient, item, |recorded| drop(sender.send(recorded))).await;
        answer.await.map_err(|_| Error::closed())?.map(|(outcome, _)| outcome)
    }
}

/// What tells one request from another under the same idempotency key.
fn digest(new: &NewEvent) -> [u8; 16] {
    let mut hash = Sha256::new();
    let mut part = |bytes: &[u8]| {
        hash.update((bytes.len() as u64).to_be_bytes());
        hash.update(bytes);
    };
    part(new.event_type.as_str().as_bytes());
    part(new.data.as_str().as_bytes());
    part(&new.time.map_or([0xff; 8], |time| time.as_micros().to_be_bytes()));
    part(&[u8::from(new.mode == Mode::Test)]);
    part(new.uid.as_deref().unwrap_or_default().as_bytes());
    for labels in [&new.channels, &new.tags] {
        // Their number too, or a channel could pass for a tag.
        part(&labels.len().to_be_bytes());
        labels.iter().for_each(|label| part(label.as_bytes()));
    }
    let mut digest = [0; 16];
    digest.iter_mut().zip(hash.finalize()).for_each(|(to, from)| *to = from);
    digest
}
