//! Whether the promises were kept: history, states, due times, keys and secrets, as an engine that
//! was opened after the kill tells them.

use crate::promises::{Promises, Wire, digest};
use crate::shop::{Door, ROTATED, Shop};
use hookwheel::model::Trigger;
use hookwheel::{
    Attempt, DeliveryFilter, DeliveryHistory, DeliveryId, DeliveryState, Engine, EventFilter,
    EventId, Order, Timestamp,
};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// How far a due time may be from what the provider's page says, as clocks are read one after the
/// other: a busy machine takes its time in between.
const EARLY_MAX: Duration = Duration::from_secs(1);
const LATE_MAX: Duration = Duration::from_secs(20);

/// What is known from the checks before.
#[derive(Default)]
pub struct Known {
    /// The last event that was listed.
    newest: Option<EventId>,
    /// What every webhook carried, by its id on the wire: one of its events.
    webhooks: BTreeMap<Wire, EventId>,
    /// Events that are looked at again: something about them is not at its end.
    open: BTreeSet<EventId>,
    /// When deliveries were due that had so many attempts.
    dues: BTreeMap<DeliveryId, (usize, Timestamp)>,
    pub due_times_kept: usize,
    /// Webhooks that had arrived when a life ended, and were not on record yet.
    pub in_flight_at_a_kill: BTreeSet<(Wire, usize)>,
    pub attempts: usize,
}

/// One round of checks.
pub struct Check<'a> {
    pub engine: &'a Engine,
    pub shop: &'a Shop,
    pub promises: &'a mut Promises,
    pub known: &'a mut Known,
    /// Whether everything has come to its end: nothing may wait, and no life was cut short since.
    pub is_last: bool,
}

impl Check<'_> {
    pub async fn run(mut self) {
        if self.is_last {
            // Once more all there is, from the first event on.
            *self.known = Known {
                dues: std::mem::take(&mut self.known.dues),
                due_times_kept: self.known.due_times_kept,
                ..Known::default()
            };
        }
        let listed = self.list_events().await;
        for key in &self.promises.newly_acked {
            let event = self.promises.acked[key];
            assert!(listed.contains(&event), "`{key}` was acknowledged as {event} and is lost");
        }
        let mut looked_at = listed;
        looked_at.extend(std::mem::take(&mut self.known.open));
        for event in &looked_at {
            self.look_at(*event).await;
        }
        for wire in std::mem::take(&mut self.promises.newly_seen) {
            let event = self.known.webhooks.get(&wire);
            let event = *event.unwrap_or_else(|| panic!("{wire:?} arrived and is unknown"));
            if looked_at.insert(event) {
                self.look_at(event).await;
            }
        }
        self.keys_still_hold().await;
        self.rotation_is_there().await;
    }

    /// Events that were not listed before.
    async fn list_events(&mut self) -> BTreeSet<EventId> {
        let mut filter = EventFilter::application(self.shop.application);
        (filter.order, filter.limit) = (Order::OldestFirst, 250);
        filter.position = self.known.newest;
        let mut listed = BTreeSet::new();
        loop {
            let page = self.engine.events(filter.clone()).await.unwrap();
            listed.extend(page.events.iter().map(|history| history.event.id));
            filter.position = page.next;
            if filter.position.is_none() {
                self.known.newest = listed.last().copied().or(self.known.newest);
                return listed;
            }
        }
    }

    /// Looks at everything that came of an event.
    async fn look_at(&mut self, event: EventId) {
        let history = self.engine.event(event).await.unwrap();
        let mut found: Vec<_> = history.deliveries.iter().map(|held| held.id.endpoint).collect();
        let mut expected: Vec<_> = self.shop.doors.iter().map(|door| door.endpoint).collect();
        found.sort();
        expected.sort();
        assert_eq!(found, expected, "{event} has one delivery to each endpoint, in one state");
        for endpoint in 0..self.shop.doors.len() {
            let id = DeliveryId { event, endpoint: self.shop.doors[endpoint].endpoint };
            let history = self.engine.delivery(id).await.unwrap();
            if !self.delivery_is_right(endpoint, &history) {
                self.known.open.insert(event);
            }
        }
    }

    /// Checks a delivery; whether it is at its end.
    fn delivery_is_right(&mut self, endpoint: usize, history: &DeliveryHistory) -> bool {
        let (door, id) = (&self.shop.doors[endpoint], history.delivery.id);
        let webhook = history.delivery.webhook;
        let wire = (endpoint, door.expected_wire_id(self.engine, &history.event, webhook));
        let numbers: Vec<_> = history.attempts.iter().map(|attempt| attempt.number).collect();
        let expected: Vec<_> = (1..).take(numbers.len()).collect();
        assert_eq!(numbers, expected, "attempts of {id} are numbered from 1 on");
        let succeeded = history.attempts.iter().any(|attempt| attempt.outcome.is_success());
        match history.delivery.state {
            DeliveryState::Succeeded { .. } => assert!(succeeded, "{id} succeeded by no attempt"),
            DeliveryState::Waiting { due } if !self.is_last => {
                assert!(!succeeded, "{id} waits though it succeeded");
                self.due_time_is_kept(endpoint, history, due);
            }
            state => panic!("{id} is {state:?}"),
        }
        if self.is_last && self.promises.replayed.contains(&id) {
            let mut triggers = history.attempts.iter().map(|attempt| attempt.trigger);
            assert!(triggers.any(|trigger| trigger == Trigger::Manual), "{id} was not replayed");
        }
        // Attempts of a webhook with several events are on record once, and looked at once.
        let is_new = self.known.webhooks.insert(wire.clone(), id.event).is_none();
        if self.is_last && is_new {
            self.known.attempts += history.attempts.len();
        }
        let is_sent_again = self.record_is_complete(&wire, &history.attempts);
        history.delivery.state.is_final() && is_sent_again
    }

    /// Compares what is on record of a webhook with what arrived. Whether what was in flight at a
    /// kill was sent again by now.
    fn record_is_complete(&mut self, wire: &Wire, attempts: &[Attempt]) -> bool {
        let door = &self.shop.doors[wire.0];
        let seen = self.promises.seen.get(wire);
        let (mut recorded, mut content) = (BTreeMap::new(), seen.and_then(|seen| seen.content));
        for attempt in attempts {
            let (id, body) = (recorded_id(door, attempt), &attempt.request.body);
            assert_eq!(id, wire.1, "the id changed between attempts");
            let digest = digest(&door.lasting(body));
            assert_eq!(*content.get_or_insert(digest), digest, "{wire:?} is recorded otherwise");
            let life = self.promises.life_at(attempt.started_at);
            let (all, answered) = recorded.entry(life).or_insert((0, 0));
            *all += 1;
            *answered += usize::from(attempt.outcome.response().is_some());
        }
        let times = seen.map(|seen| &seen.times);
        for (life, (_, answered)) in &recorded {
            let arrived = times.and_then(|times| times.get(life)).copied().unwrap_or(0);
            assert!(*answered <= arrived, "{wire:?} has answers that nobody gave in life {life}");
        }
        let last_life = self.promises.lives.len() - 1;
        let mut is_sent_again = true;
        for (life, arrived) in times.into_iter().flatten() {
            let all = recorded.get(life).map_or(0, |(all, _)| *all);
            // Each life ended in a kill, and a webhook is in flight once at a time.
            let was_killed = !(self.is_last && *life == last_life);
            assert!(
                *arrived <= all + usize::from(was_killed),
                "{wire:?} arrived {arrived} times in life {life}, and {all} are on record"
            );
            if *arrived > all {
                // On record it is also where its receiver was down then and saw nothing.
                let later = times.is_some_and(|times| times.range(life + 1..).next().is_some())
                    || recorded.range(life + 1..).next().is_some();
                assert!(
                    later || !self.is_last,
                    "{wire:?}, in flight at the end of life {life}, is not sent again: it arrived \
                     {times:?}, and on record are {:?}",
                    attempts.iter().map(|held| (held.trigger, held.started_at)).collect::<Vec<_>>()
                );
                is_sent_again &= later;
                self.known.in_flight_at_a_kill.insert((wire.clone(), *life));
            }
        }
        is_sent_again
    }

    /// A retry is due as long after its last attempt as the page says, and at each look at the same
    /// instant.
    fn due_time_is_kept(&mut self, endpoint: usize, history: &DeliveryHistory, due: Timestamp) {
        let id = history.delivery.id;
        let is_scheduled = |attempt: &&Attempt| attempt.trigger == Trigger::Scheduled;
        let scheduled: Vec<_> = history.attempts.iter().filter(is_scheduled).collect();
        let Some(last) = scheduled.last() else { return };
        let ended = last.started_at.after(last.duration);
        let (least, most) = self.shop.doors[endpoint].delay(scheduled.len());
        let (earliest, latest) = (ended.after(least).before(EARLY_MAX), ended.after(most));
        let is_right = earliest <= due && due <= latest.after(LATE_MAX);
        assert!(is_right, "{id} is due at {due}, and its last attempt ended at {ended}");
        let before = self.known.dues.insert(id, (scheduled.len(), due));
        if let Some((count, before)) = before
            && count == scheduled.len()
        {
            assert_eq!(before, due, "{id} was due at another time before");
            self.known.due_times_kept += 1;
        }
    }

    /// Whoever repeats an emit under its key gets the event that was made the first time.
    async fn keys_still_hold(&mut self) {
        for key in std::mem::take(&mut self.promises.newly_acked) {
            let again = crate::victim::event(self.shop.application, &key);
            let again = self.engine.emit(again).await.unwrap();
            let first = self.promises.acked[&key];
            assert_eq!((again.repeated, again.event), (true, first), "`{key}` was taken for new");
        }
    }

    /// A rotation that was acknowledged is there; one that was cut short is, or is not.
    async fn rotation_is_there(&mut self) {
        let endpoint = self.shop.doors[ROTATED].endpoint;
        let held = self.engine.endpoint_secret(endpoint).await.unwrap();
        let known = self.promises.secrets.iter().any(|secret| secret == held.expose());
        assert!(known, "`{}` is none of {:?}", held.expose(), self.promises.secrets);
        self.promises.secrets = vec![held.expose().to_owned()];
    }

    /// Every delivery is listed in one state, and in no other.
    pub async fn states_are_apart(engine: &Engine, shop: &Shop) {
        for door in &shop.doors {
            let mut listed = BTreeSet::new();
            for state in ["waiting", "sending", "succeeded", "exhausted", "cancelled", "skipped"] {
                let mut filter = DeliveryFilter::endpoint(door.endpoint).state(state);
                filter.limit = 250;
                loop {
                    let page = engine.deliveries(filter.clone()).await.unwrap();
                    for delivery in page.deliveries {
                        let id = delivery.id;
                        assert!(listed.insert(id), "{id} is `{state}` and something else");
                    }
                    filter.position = page.next;
                    if filter.position.is_none() {
                        break;
                    }
                }
            }
            assert!(!listed.is_empty());
        }
    }
}

/// The id on the wire of what an attempt sent, as it is on record.
fn recorded_id(door: &Door, attempt: &Attempt) -> String {
    let header = |name: &str| {
        let headers = attempt.request.headers.iter();
        let mut found = headers.filter(|(held, _)| held.eq_ignore_ascii_case(name));
        found.next().map(|(_, value)| value.clone())
    };
    door.wire_id(header, &attempt.request.body)
}
