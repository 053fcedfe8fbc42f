//! Lanes: one per endpoint, each with its own limits, served in turn, application by application.
//!
//! A pure data structure: it holds what may be sent, and says what goes next.

use crate::dispatch::limits::{ApplicationLimits, Pace};
use crate::dispatch::ready::Ready;
use crate::dispatch::recipient::Recipient;
use crate::model::{
    ApplicationId, EndpointId, Held, QueueItem, ReadyWebhook, Timestamp, Trigger, WebhookId,
};
use crate::round::Round;
use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

/// Bytes of event data in one webhook of several events at most.
const BATCH_MAX_BYTES: usize = 4 * 1024 * 1024;

/// Deliveries that are moved to the queue on disk in one commit, as far as each endpoint's can stay
/// together: others' commits wait for as long as one takes.
pub const SPILL_MAX: usize = 256;

/// What a lane wants done next.
#[derive(Debug)]
pub enum Departure {
    /// Send this.
    Send(Arc<Recipient>, ReadyWebhook),
    /// Make these one webhook, then hand it back.
    Form(Arc<Recipient>, Vec<ReadyWebhook>),
}

/// How the lanes stand.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct LanesStatus {
    /// Lanes that are served.
    pub open: usize,
    /// Webhooks that were sent and are not on record yet.
    pub in_flight: usize,
    /// Webhooks that wait for their lane's turn.
    pub ready: usize,
}

/// All lanes.
pub struct Lanes {
    lanes: HashMap<EndpointId, Lane>,
    /// Lanes that may have something to send now, and the places for what is in flight.
    round: Round<EndpointId>,
    /// Lanes that wait for their own rate limit or a pause, by the time it ends.
    timed: BTreeSet<(Timestamp, EndpointId)>,
    /// The limits over all lanes of an application.
    limits: ApplicationLimits,
    in_flight: usize,
}

struct Lane {
    recipient: Arc<Recipient>,
    ready: Ready,
    /// Webhooks that were sent and are not on record yet; true while their request is running.
    in_flight: HashMap<WebhookId, bool>,
    /// Requests that are running: these count for the limit.
    running: usize,
    pace: Pace,
    /// Whether it stands in the round, or in the line for its application's limit.
    in_round: bool,
    closed: bool,
}

impl Lanes {
    /// No lanes yet; `in_flight_max` requests at once over all of them, of which no application
    /// takes more than it leaves.
    pub fn new(in_flight_max: usize) -> Self {
        Self {
            lanes: HashMap::new(),
            round: Round::new(in_flight_max),
            timed: BTreeSet::new(),
            limits: ApplicationLimits::default(),
            in_flight: 0,
        }
    }

    /// Requests that are in flight.
    pub fn in_flight(&self) -> usize {
        self.in_flight
    }

    /// How the lanes stand. It looks at each of them.
    pub fn status(&self) -> LanesStatus {
        LanesStatus {
            open: self.lanes.values().filter(|lane| !lane.closed).count(),
            in_flight: self.in_flight,
            ready: self.lanes.values().map(|lane| lane.ready.len()).sum(),
        }
    }

    /// Serves an endpoint from now on, or as `recipient` says now.
    pub fn open(&mut self, recipient: Arc<Recipient>) {
        let id = recipient.endpoint.id;
        let lane = self.lanes.entry(id).or_insert_with(|| Lane::new(Arc::clone(&recipient)));
        if lane.recipient.spacing() != recipient.spacing() {
            lane.pace = Pace::UNUSED;
        }
        lane.recipient = recipient;
        lane.closed = false;
        self.enter_round(id);
    }

    /// Stops serving an endpoint, and returns what was ready.
    pub fn close(&mut self, endpoint: EndpointId) -> Vec<ReadyWebhook> {
        let Some(lane) = self.lanes.get_mut(&endpoint) else { return Vec::new() };
        lane.closed = true;
        lane.in_round = false;
        let application = lane.recipient.endpoint.application;
        self.round.leave(application, endpoint);
        self.limits.leave(application, endpoint);
        let items = lane.ready.take_all();
        if lane.in_flight.is_empty() {
            self.lanes.remove(&endpoint);
        }
        items
    }

    /// Limits all lanes of an application together to `rate` webhooks a second, or no more.
    pub fn limit(&mut self, application: ApplicationId, rate: Option<u32>) {
        for endpoint in self.limits.set(application, rate) {
            self.round.enter(application, endpoint);
        }
    }

    /// Takes an item in; hands it back when its lane is not served.
    pub fn arrive(&mut self, endpoint: EndpointId, item: ReadyWebhook) -> Option<ReadyWebhook> {
        match self.lanes.get_mut(&endpoint) {
            Some(lane) if !lane.closed => {
                lane.ready.push_back(item);
                self.enter_round(endpoint);
                None
            }
            _ => Some(item),
        }
    }

    /// Puts an item in front of its lane, which then waits until the item may go: for an endpoint
    /// that is served in order.
    pub fn return_first(
        &mut self,
        endpoint: EndpointId,
        item: ReadyWebhook,
    ) -> Option<ReadyWebhook> {
        match self.lanes.get_mut(&endpoint) {
            Some(lane) if !lane.closed => {
                lane.ready.push_front(item);
                self.enter_round(endpoint);
                None
            }
            _ => Some(item),
        }
    }

    /// What goes next, if anything may go at `now`.
    pub fn next(&mut self, now: Timestamp) -> Option<Departure> {
        loop {
            self.wake(now);
            let endpoint = self.round.next()?;
            let Some(lane) = self.lanes.get_mut(&endpoint) else { continue };
            let application = lane.recipient.endpoint.application;
            lane.in_round = false;
            match lane.turn(now) {
                Turn::Nothing => {}
                Turn::Later(at) => drop(self.timed.insert((at, endpoint))),
                Turn::Now(_) if !self.limits.admits(application, endpoint, now) => {
                    lane.in_round = true;
                    continue;
                }
                Turn::Now(at) => {
                    let departure = lane.depart(at, now)?;
                    if matches!(departure, Departure::Send(..)) {
                        self.limits.count(application, now);
                    }
                    self.limits.end_turn(application, endpoint);
                    self.in_flight += 1;
                    self.round.take(application);
                    self.enter_round(endpoint);
                    return Some(departure);
                }
            }
            self.limits.end_turn(application, endpoint);
        }
    }

    /// When [`Lanes::next`] may have something though nothing else happens.
    pub fn next_wake(&self) -> Option<Timestamp> {
        let own = self.timed.first().map(|(at, _)| *at);
        own.into_iter().chain(self.limits.next_call()).min()
    }

    /// Lets the next webhook of a lane go, since this one's request is over. Where order counts,
    /// the next one waits until it is known what this one's answer means.
    pub fn answered(&mut self, endpoint: EndpointId, webhook: WebhookId) {
        let Some(lane) = self.lanes.get_mut(&endpoint) else { return };
        if !lane.recipient.is_ordered()
            && let Some(running) = lane.in_flight.get_mut(&webhook)
            && std::mem::take(running)
        {
            lane.running -= 1;
            self.enter_round(endpoint);
        }
    }

    /// Takes a webhook off the list of what is in flight: it is on record that it had so many
    /// `attempts`. `gone` are the places in the queue that the record removed: what is here from one
    /// of them is needless.
    pub fn finished(
        &mut self,
        endpoint: EndpointId,
        webhook: WebhookId,
        attempts: u32,
        gone: &[QueueItem],
    ) {
        let Some(lane) = self.lanes.get_mut(&endpoint) else { return };
        let Some(is_running) = lane.in_flight.remove(&webhook) else { return };
        lane.running -= usize::from(is_running);
        self.in_flight -= 1;
        self.round.give_back(lane.recipient.endpoint.application);
        if lane.closed && lane.in_flight.is_empty() {
            self.lanes.remove(&endpoint);
            return;
        }
        lane.ready.recorded(webhook, attempts, gone);
        self.enter_round(endpoint);
    }

    /// Takes out fresh webhooks of lanes whose first was accepted before `since` and still waits, to
    /// be queued on disk instead: [`SPILL_MAX`] at most, or all of one lane that has more. What is
    /// left for the next call stays in its lane, and may go meanwhile.
    pub fn take_aged(&mut self, since: Timestamp) -> Vec<(EndpointId, ReadyWebhook)> {
        let mut aged = Vec::new();
        for (endpoint, lane) in &mut self.lanes {
            let is_aged =
                |item: &ReadyWebhook| item.held == Held::Fresh && item.accepted_due < since;
            let has_room = aged.is_empty() || aged.len() + lane.ready.fresh() <= SPILL_MAX;
            if !has_room || !lane.ready.get(0).is_some_and(is_aged) {
                continue;
            }
            lane.recipient.gate.close();
            // All that is fresh goes, so that nothing overtakes what goes to the queue.
            aged.extend(lane.ready.take_fresh().into_iter().map(|item| (*endpoint, item)));
            if aged.len() >= SPILL_MAX {
                break;
            }
        }
        aged
    }

    fn wake(&mut self, now: Timestamp) {
        while let Some((at, endpoint)) = self.timed.first().copied()
            && at <= now
        {
            self.timed.pop_first();
            self.enter_round(endpoint);
        }
        while let Some((application, endpoint)) = self.limits.call(now) {
            self.round.enter(application, endpoint);
        }
    }

    fn enter_round(&mut self, endpoint: EndpointId) {
        if let Some(lane) = self.lanes.get_mut(&endpoint)
            && !lane.in_round
            && !lane.closed
            && !lane.ready.is_empty()
        {
            lane.in_round = true;
            self.round.enter(lane.recipient.endpoint.application, endpoint);
        }
    }
}

/// What a lane says when it is its turn.
enum Turn {
    Nothing,
    Later(Timestamp),
    /// The webhook at this place of what is ready may go.
    Now(usize),
}

impl Lane {
    fn new(recipient: Arc<Recipient>) -> Self {
        Self {
            recipient,
            ready: Ready::default(),
            in_flight: HashMap::new(),
            running: 0,
            pace: Pace::UNUSED,
            in_round: false,
            closed: false,
        }
    }

    fn turn(&self, now: Timestamp) -> Turn {
        if self.closed || self.running >= self.recipient.concurrency() {
            return Turn::Nothing;
        }
        // The schedule and a replay never send one webhook at the same time.
        let free = |(_, item): &(usize, &ReadyWebhook)| !self.in_flight.contains_key(&item.webhook);
        let Some((at, item)) = self.ready.iter().enumerate().find(free) else {
            return Turn::Nothing;
        };
        let earliest = item.not_before.max(self.pace.not_before());
        if earliest > now { Turn::Later(earliest) } else { Turn::Now(at) }
    }

    /// Takes out what is at a place, with what travels together with it.
    fn depart(&mut self, at: usize, now: Timestamp) -> Option<Departure> {
        let item = self.ready.remove(at)?;
        self.in_flight.insert(item.webhook, true);
        self.running += 1;
        let recipient = Arc::clone(&self.recipient);
        // A replay sends what it is, alone: a test event, or one that was skipped.
        let Some(max) = recipient.batch_max().filter(|_| is_formable(&item)) else {
            // Here, since making a webhook is not sending one.
            if let Some(spacing) = recipient.spacing() {
                self.pace.step(now, spacing);
            }
            return Some(Departure::Send(recipient, item));
        };
        let mut bytes = item.bytes();
        let mut items = vec![item];
        while items.len() < max
            && let Some(next) = self.ready.get(at)
            && is_formable(next)
            && !self.in_flight.contains_key(&next.webhook)
            && bytes + next.bytes() <= BATCH_MAX_BYTES
        {
            bytes += next.bytes();
            items.extend(self.ready.remove(at));
        }
        Some(Departure::Form(recipient, items))
    }
}

/// Whether a webhook may take others with it.
fn is_formable(item: &ReadyWebhook) -> bool {
    !item.formed && item.trigger == Trigger::Scheduled
}

#[cfg(test)]
#[path = "lanes_tests.rs"]
pub(super) mod tests;
