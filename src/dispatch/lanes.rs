//! Lanes: one per endpoint, each with its own limits, served in turn.
//!
//! A pure data structure: it holds what may be sent, and says what goes next.

use crate::dispatch::recipient::Recipient;
use crate::model::{EndpointId, Held, QueueItem, ReadyWebhook, Timestamp, Trigger, WebhookId};
use std::collections::{BTreeSet, HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

/// How late a timer may wake a lane for the rate limit's sake.
const LATE_MAX: Duration = Duration::from_millis(20);

/// Bytes of event data in one webhook of several events at most.
const BATCH_MAX_BYTES: usize = 4 * 1024 * 1024;

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
    /// Lanes that may have something to send now, in turn.
    round: VecDeque<EndpointId>,
    /// Lanes that wait for a rate limit or a pause, by the time it ends.
    timed: BTreeSet<(Timestamp, EndpointId)>,
    in_flight: usize,
    in_flight_max: usize,
}

struct Lane {
    recipient: Arc<Recipient>,
    ready: VecDeque<ReadyWebhook>,
    /// Webhooks that were sent and are not on record yet; true while their request is running.
    in_flight: HashMap<WebhookId, bool>,
    /// Requests that are running: these count for the limit.
    running: usize,
    /// The rate limit's next moment, or the end of a pause.
    not_before: Timestamp,
    in_round: bool,
    closed: bool,
}

impl Lanes {
    /// No lanes yet; `in_flight_max` requests at once over all of them.
    pub fn new(in_flight_max: usize) -> Self {
        Self {
            lanes: HashMap::new(),
            round: VecDeque::new(),
            timed: BTreeSet::new(),
            in_flight: 0,
            in_flight_max,
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
            lane.not_before = Timestamp::EPOCH;
        }
        lane.recipient = recipient;
        lane.closed = false;
        self.enter_round(id);
    }

    /// Stops serving an endpoint, and returns what was ready.
    pub fn close(&mut self, endpoint: EndpointId) -> Vec<ReadyWebhook> {
        let Some(lane) = self.lanes.get_mut(&endpoint) else { return Vec::new() };
        lane.closed = true;
        let items = lane.ready.drain(..).collect();
        if lane.in_flight.is_empty() {
            self.lanes.remove(&endpoint);
        }
        items
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
        self.wake(now);
        while self.in_flight < self.in_flight_max {
            let endpoint = self.round.pop_front()?;
            let Some(lane) = self.lanes.get_mut(&endpoint) else { continue };
            lane.in_round = false;
            match lane.next(now) {
                Turn::Nothing => {}
                Turn::Later(at) => drop(self.timed.insert((at, endpoint))),
                Turn::Now(departure) => {
                    self.in_flight += 1;
                    self.enter_round(endpoint);
                    return Some(departure);
                }
            }
        }
        None
    }

    /// When [`Lanes::next`] may have something though nothing else happens.
    pub fn next_wake(&self) -> Option<Timestamp> {
        self.timed.first().map(|(at, _)| *at)
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

    /// Takes a webhook off the list of what is in flight: its attempt is on record. `gone` are the
    /// places in the queue that the record removed: what is here from one of them is needless.
    pub fn finished(&mut self, endpoint: EndpointId, webhook: WebhookId, gone: &[QueueItem]) {
        self.in_flight = self.in_flight.saturating_sub(1);
        let Some(lane) = self.lanes.get_mut(&endpoint) else { return };
        if lane.in_flight.remove(&webhook) == Some(true) {
            lane.running -= 1;
        }
        if lane.closed && lane.in_flight.is_empty() {
            self.lanes.remove(&endpoint);
            return;
        }
        // Rare: the same webhook is here twice only when somebody replays one that still waits, or
        // its endpoint was stopped and served again while it was in flight.
        let is_gone =
            |item: &ReadyWebhook| gone.iter().any(|place| item.held == Held::Queued(*place));
        if !gone.is_empty() {
            lane.ready.retain(|item| item.webhook != webhook || !is_gone(item));
        }
        for item in lane.ready.iter_mut().filter(|item| item.webhook == webhook) {
            item.attempts += 1;
        }
        self.enter_round(endpoint);
    }

    /// Takes out everything fresh that was accepted before `since` and still waits, to be queued
    /// on disk instead.
    pub fn take_aged(&mut self, since: Timestamp) -> Vec<(EndpointId, ReadyWebhook)> {
        let mut aged = Vec::new();
        for (endpoint, lane) in &mut self.lanes {
            let is_aged =
                |item: &ReadyWebhook| item.held == Held::Fresh && item.accepted_due < since;
            if !lane.ready.front().is_some_and(is_aged) {
                continue;
            }
            lane.recipient.gate.close();
            // All that is fresh goes, so that nothing overtakes what goes to the queue.
            let (fresh, rest): (VecDeque<_>, VecDeque<_>) =
                lane.ready.drain(..).partition(|item| item.held == Held::Fresh);
            lane.ready = rest;
            aged.extend(fresh.into_iter().map(|item| (*endpoint, item)));
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
    }

    fn enter_round(&mut self, endpoint: EndpointId) {
        if let Some(lane) = self.lanes.get_mut(&endpoint)
            && !lane.in_round
            && !lane.closed
            && !lane.ready.is_empty()
        {
            lane.in_round = true;
            self.round.push_back(endpoint);
        }
    }
}

/// What a lane says when it is its turn.
enum Turn {
    Nothing,
    Later(Timestamp),
    Now(Departure),
}

impl Lane {
    fn new(recipient: Arc<Recipient>) -> Self {
        Self {
            recipient,
            ready: VecDeque::new(),
            in_flight: HashMap::new(),
            running: 0,
            not_before: Timestamp::EPOCH,
            in_round: false,
            closed: false,
        }
    }

    fn next(&mut self, now: Timestamp) -> Turn {
        if self.closed || self.running >= self.recipient.concurrency() {
            return Turn::Nothing;
        }
        // The schedule and a replay never send one webhook at the same time.
        let free = |item: &ReadyWebhook| !self.in_flight.contains_key(&item.webhook);
        let Some(at) = self.ready.iter().position(free) else { return Turn::Nothing };
        let earliest = self.ready.get(at).map_or(now, |item| item.not_before.max(self.not_before));
        if earliest > now {
            return Turn::Later(earliest);
        }
        let Some(item) = self.ready.remove(at) else { return Turn::Nothing };
        self.in_flight.insert(item.webhook, true);
        self.running += 1;
        let recipient = Arc::clone(&self.recipient);
        match recipient.batch_max() {
            // A replay sends what it is, alone: a test event, or one that was skipped.
            Some(max) if !item.formed && item.trigger == Trigger::Scheduled => {
                let mut items = vec![item];
                let mut bytes = items.iter().map(ReadyWebhook::bytes).sum::<usize>();
                while items.len() < max
                    && let Some(next) = self.ready.get(at)
                    && !next.formed
                    && next.trigger == Trigger::Scheduled
                    && !self.in_flight.contains_key(&next.webhook)
                    && bytes + next.bytes() <= BATCH_MAX_BYTES
                {
                    bytes += next.bytes();
                    items.extend(self.ready.remove(at));
                }
                Turn::Now(Departure::Form(recipient, items))
            }
            _ => {
                // Here, since making a webhook is not sending one.
                if let Some(pause) = recipient.spacing() {
                    // A timer that woke us late must not stretch the distance for good.
                    let is_late = now.since(self.not_before) <= LATE_MAX;
                    self.not_before = if is_late { self.not_before } else { now }.after(pause);
                }
                Turn::Now(Departure::Send(recipient, item))
            }
        }
    }
}
