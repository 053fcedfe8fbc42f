//! The window on the store's queues: one timer per endpoint for what is due next, and what is due
//! loaded into the lanes, a bounded part at a time.
//!
//! A million waiting retries are a million keys on disk and one timer for each endpoint here.

use crate::clock::Clock;
use crate::error::Result;
use crate::model::{EndpointId, QueueItem, QueueProgress, Timestamp};
use crate::store::ledger::{self, LoadedWebhook};
use crate::store::{Change, Store};
use crate::wheel::{TimerId, Wheel};
use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{mpsc, oneshot};

/// Webhooks of one endpoint that are loaded at once at most.
const LANE_LOADED_MAX: usize = 1024;
/// Bytes of event data that are read for one endpoint at once, give or take one webhook.
const READ_BYTES_MAX: usize = 4 * 1024 * 1024;
/// How long to wait before reading again after the store failed.
const STORE_RETRY: Duration = Duration::from_millis(500);

/// Told to the window.
pub enum Command {
    /// Something of this endpoint is due then.
    Waiting(EndpointId, Timestamp),
    /// This item is in a lane already, though it is about to enter the queue too. Answers when
    /// the queue may hold it without its being loaded.
    Held(EndpointId, QueueItem, oneshot::Sender<()>),
    /// This item is in no lane any more.
    Released(EndpointId, QueueItem),
    /// Load this endpoint's queue, and tell when it is empty.
    Open(EndpointId),
    /// Load it no more; what was loaded is in no lane any more.
    Close(EndpointId),
    /// Answer when everything that is due was loaded, as far as there is room.
    Barrier(oneshot::Sender<()>),
    /// Call this when what a load that is under way reads is in its lane.
    Then(Box<dyn FnOnce() + Send>),
    /// Answer with the number of timers that wait.
    Timers(oneshot::Sender<usize>),
}

/// A webhook that is due: its place, how far it has come, and what it carries.
pub type Loaded = (QueueItem, QueueProgress, LoadedWebhook);

/// What the window asks of the engine. All return at once.
pub trait Crew: Send + Sync + 'static {
    /// Puts loaded webhooks into their lane.
    fn loaded(&self, endpoint: EndpointId, webhooks: Vec<Loaded>);
    /// Nothing that is due is left in the endpoint's queue that is not in its lane.
    fn drained(&self, endpoint: EndpointId);
    /// Nothing that is due is left in the endpoint's queue, nor in its lane of what came from it.
    fn emptied(&self, endpoint: EndpointId);
    /// Commits the removal of items that mean nothing any more.
    fn clean(&self, changes: Vec<Change>);
}

/// The door to the window.
#[derive(Clone)]
pub struct Window(mpsc::UnboundedSender<Command>);

impl Window {
    /// Makes the door; the window itself is started with [`Window::start`].
    pub fn door() -> (Self, mpsc::UnboundedReceiver<Command>) {
        let (sender, receiver) = mpsc::unbounded_channel();
        (Self(sender), receiver)
    }

    /// Starts the window behind a door; it ends when the last door is dropped.
    pub fn start(
        receiver: mpsc::UnboundedReceiver<Command>,
        clock: Clock,
        store: Arc<dyn Store>,
        crew: Arc<dyn Crew>,
        loaded_bytes_max: usize,
    ) {
        let wheel = Wheel::new(tick(clock.now()));
        let run = Run {
            clock,
            store,
            crew,
            wheel,
            lanes: HashMap::new(),
            loaded_bytes: 0,
            loaded_bytes_max,
            hungry: VecDeque::new(),
            called: VecDeque::new(),
        };
        tokio::spawn(run.run(receiver));
    }

    /// Tells the window something.
    pub fn tell(&self, command: Command) {
        // The window ends only with the engine; what comes then concerns nobody any more.
        let _ = self.0.send(command);
    }

    /// Takes note that an item is in a lane. To be called before the item enters the queue, or a
    /// load that is under way would find it there and send it a second time.
    pub async fn hold(&self, endpoint: EndpointId, item: QueueItem) {
        let (reply, answer) = oneshot::channel();
        self.tell(Command::Held(endpoint, item, reply));
        let _ = answer.await;
    }

    /// How many timers wait; none once the window has ended.
    pub async fn timers(&self) -> usize {
        let (reply, answer) = oneshot::channel();
        self.tell(Command::Timers(reply));
        answer.await.unwrap_or(0)
    }

    /// Waits until everything that is due now is in its lane, as far as there is room.
    pub async fn barrier(&self) {
        let (reply, answer) = oneshot::channel();
        self.tell(Command::Barrier(reply));
        let _ = answer.await;
    }
}

/// The wheel's tick of an instant: milliseconds, rounded up, so that nothing is early.
fn tick(time: Timestamp) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(0).div_ceil(1000)
}

/// The tick that is over at an instant: rounded down.
fn tick_over(time: Timestamp) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(0)
}

#[derive(Default)]
struct Lane {
    open: bool,
    /// When something is due next, as far as it is known.
    due: Option<Timestamp>,
    timer: Option<TimerId>,
    /// What is in the lane, and its bytes.
    loaded: HashMap<QueueItem, usize>,
    hungry: bool,
    /// Whether it is about to be loaded.
    called: bool,
}

struct Run {
    clock: Clock,
    store: Arc<dyn Store>,
    crew: Arc<dyn Crew>,
    wheel: Wheel<EndpointId>,
    lanes: HashMap<EndpointId, Lane>,
    /// Bytes of event data in the lanes that came from queues.
    loaded_bytes: usize,
    loaded_bytes_max: usize,
    /// Endpoints that have more due than there was room for.
    hungry: VecDeque<EndpointId>,
    /// Endpoints that are to be loaded, one after another.
    called: VecDeque<EndpointId>,
}

impl Run {
    async fn run(mut self, mut commands: mpsc::UnboundedReceiver<Command>) {
        let mut received = Vec::new();
        loop {
            // One, since others wait to be told that what they hold is taken note of.
            let has_loaded = self.load_next().await;
            let wake = self
                .wheel
                .next_due()
                .map(|tick| Timestamp::from_millis(i64::try_from(tick).unwrap_or(i64::MAX)));
            let clock = self.clock.clone();
            let sleep = async move {
                match wake {
                    _ if has_loaded => {}
                    Some(wake) => clock.sleep_until(wake).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                biased;
                count = commands.recv_many(&mut received, 1024) => {
                    if count == 0 {
                        return;
                    }
                    for command in received.drain(..) {
                        self.carry_out(command).await;
                    }
                }
                () = sleep => {}
            }
        }
    }

    /// Loads one queue: of those that found no room if there is some now, else of those whose timers
    /// went off or whose lanes want more. False when there is none.
    async fn load_next(&mut self) -> bool {
        let mut due = Vec::new();
        self.wheel.advance(tick_over(self.clock.now()), &mut due);
        for endpoint in due {
            if let Some(lane) = self.lanes.get_mut(&endpoint) {
                (lane.timer, lane.due) = (None, None);
            }
            self.call(endpoint);
        }
        let has_room = self.loaded_bytes < self.loaded_bytes_max;
        let hungry = if has_room { self.hungry.pop_front() } else { None };
        let Some(endpoint) = hungry.or_else(|| self.called.pop_front()) else { return false };
        self.load(endpoint).await;
        true
    }

    /// Has an endpoint's queue loaded after those that were called before.
    fn call(&mut self, endpoint: EndpointId) {
        let Some(lane) = self.lanes.get_mut(&endpoint) else { return };
        if !std::mem::replace(&mut lane.called, true) {
            self.called.push_back(endpoint);
        }
    }

    async fn carry_out(&mut self, command: Command) {
        match command {
            Command::Waiting(endpoint, due) => self.expect(endpoint, due),
            Command::Held(endpoint, item, reply) => {
                // Its bytes are counted by the gate.
                self.lanes.entry(endpoint).or_default().loaded.entry(item).or_insert(0);
                let _ = reply.send(());
            }
            Command::Released(endpoint, item) => {
                let Some(lane) = self.lanes.get_mut(&endpoint) else { return };
                self.loaded_bytes -= lane.loaded.remove(&item).unwrap_or(0);
                let wants_more = lane.hungry && lane.loaded.len() <= LANE_LOADED_MAX / 2;
                let is_empty = lane.loaded.is_empty();
                let now = self.clock.now();
                if wants_more {
                    self.call(endpoint);
                } else if is_empty && lane.open {
                    if !lane.called && lane.due.is_none_or(|due| due > now) {
                        self.crew.emptied(endpoint);
                    }
                } else if is_empty && lane.due.is_none() {
                    self.lanes.remove(&endpoint);
                }
            }
            Command::Open(endpoint) => {
                self.lanes.entry(endpoint).or_default().open = true;
                self.call(endpoint);
            }
            Command::Close(endpoint) => {
                if let Some(lane) = self.lanes.remove(&endpoint) {
                    self.loaded_bytes -= lane.loaded.values().sum::<usize>();
                    lane.timer.map(|timer| self.wheel.cancel(timer));
                }
            }
            Command::Then(then) => then(),
            Command::Timers(reply) => drop(reply.send(self.wheel.len())),
            Command::Barrier(reply) => {
                while self.load_next().await {}
                let _ = reply.send(());
            }
        }
    }

    /// Sets the endpoint's timer, unless it goes off earlier anyway.
    fn expect(&mut self, endpoint: EndpointId, due: Timestamp) {
        let Some(lane) = self.lanes.get_mut(&endpoint).filter(|lane| lane.open) else { return };
        if lane.hungry || lane.called || lane.due.is_some_and(|held| held <= due) {
            return;
        }
        lane.timer.take().map(|timer| self.wheel.cancel(timer));
        lane.due = Some(due);
        lane.timer = Some(self.wheel.insert(tick(due), endpoint));
    }

    /// Takes note that an endpoint has more due than is in its lane. It is loaded when something
    /// leaves that, or when somebody else makes room.
    fn starve(&mut self, endpoint: EndpointId, is_full: bool) {
        let Some(lane) = self.lanes.get_mut(&endpoint) else { return };
        lane.hungry = true;
        if is_full && !self.hungry.contains(&endpoint) {
            self.hungry.push_back(endpoint);
        }
    }

    /// Loads what is due of an endpoint's queue into its lane: one webhook at least if there is
    /// none.
    async fn load(&mut self, endpoint: EndpointId) {
        let Some(lane) = self.lanes.get_mut(&endpoint).filter(|lane| lane.open) else { return };
        lane.called = false;
        let is_full = self.loaded_bytes >= self.loaded_bytes_max;
        let limit = match is_full {
            false if lane.loaded.len() < LANE_LOADED_MAX => LANE_LOADED_MAX,
            // However full: what others have loaded may wait for a limit of theirs for long.
            true if lane.loaded.is_empty() => 1,
            _ => {
                self.starve(endpoint, is_full);
                return;
            }
        };
        lane.hungry = false;
        let held: HashSet<QueueItem> = lane.loaded.keys().copied().collect();
        let store = Arc::clone(&self.store);
        let now = self.clock.now();
        let read = move || read(&*store, endpoint, &held, now, limit);
        let read = tokio::task::spawn_blocking(read).await;
        let Ok(Ok(read)) = read else {
            tracing::warn!(%endpoint, "the queue could not be read; trying again");
            let later = self.clock.now().after(STORE_RETRY);
            self.expect(endpoint, later);
            return;
        };
        let Some(lane) = self.lanes.get_mut(&endpoint) else { return };
        for (item, _, webhook) in &read.found {
            let bytes = webhook.events.iter().map(|event| event.data.len()).sum();
            self.loaded_bytes += bytes;
            lane.loaded.insert(*item, bytes);
        }
        if !read.stale.is_empty() {
            self.crew.clean(read.stale);
        }
        if !read.found.is_empty() {
            self.crew.loaded(endpoint, read.found);
        }
        match read.next_due {
            // Nothing of what was read means anything any more, and nothing is in the lane that
            // would call for more when it leaves.
            Some(due) if due <= now && lane.loaded.is_empty() => {
                let later = self.clock.now().after(STORE_RETRY);
                self.expect(endpoint, later);
            }
            Some(due) if due <= now => self.starve(endpoint, is_full),
            next => {
                self.crew.drained(endpoint);
                if lane.loaded.is_empty() {
                    self.crew.emptied(endpoint);
                }
                if let Some(due) = next {
                    self.expect(endpoint, due);
                }
            }
        }
    }
}

struct Read {
    found: Vec<Loaded>,
    stale: Vec<Change>,
    next_due: Option<Timestamp>,
}

/// Reads what is due and not held already, with the webhooks themselves.
fn read(
    store: &dyn Store,
    endpoint: EndpointId,
    held: &HashSet<QueueItem>,
    now: Timestamp,
    limit: usize,
) -> Result<Read> {
    let page = store.queue(endpoint, now, limit)?;
    let mut read = Read { found: Vec::new(), stale: Vec::new(), next_due: page.next_due };
    let mut bytes = 0;
    for (item, progress) in page.items.into_iter().filter(|(item, _)| !held.contains(item)) {
        if bytes > READ_BYTES_MAX {
            read.next_due = Some(item.due);
            break;
        }
        match ledger::load(store, item.webhook)? {
            Some(webhook) => {
                bytes += webhook.events.iter().map(|event| event.data.len()).sum::<usize>();
                // A replay stands beside the schedule and does not know how far that has come.
                let progress = match item.manual {
                    true => progress_by_hand(store, endpoint, item)?,
                    false => progress,
                };
                read.found.push((item, progress, webhook));
            }
            // It expired.
            None => read.stale.push(Change::Dequeue(endpoint, item)),
        }
    }
    Ok(read)
}

fn progress_by_hand(
    store: &dyn Store,
    endpoint: EndpointId,
    item: QueueItem,
) -> Result<QueueProgress> {
    let ledger = ledger::ledger(store, endpoint, item.webhook)?;
    Ok(ledger.map_or(QueueProgress::default(), |ledger| QueueProgress {
        attempts: ledger.attempts,
        scheduled_attempts: ledger.scheduled_attempts,
        not_before: Timestamp::EPOCH,
    }))
}

#[cfg(test)]
mod tests;
