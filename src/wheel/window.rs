//! The window on the store's queues: one timer per endpoint for what is due next, and what is due
//! loaded into the lanes, a bounded part at a time.
//!
//! A million waiting retries are a million keys on disk and one timer for each endpoint here.

mod reading;

use crate::clock::Clock;
use crate::model::{ApplicationId, EndpointId, QueueItem, QueueProgress, Timestamp};
use crate::store::ledger::LoadedWebhook;
use crate::store::{Change, Store};
use crate::wheel::shares::Shares;
use crate::wheel::{TimerId, Wheel};
use reading::{WEBHOOK_BYTES, loaded_bytes, read};
use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{mpsc, oneshot};

/// Webhooks of one endpoint that are loaded at once at most.
const LANE_LOADED_MAX: usize = 1024;
/// Bytes that are read for one endpoint at once, give or take one webhook.
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
    /// Load the queue of this application's endpoint, and tell when it is empty.
    Open(EndpointId, ApplicationId),
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
            loaded_bytes: Shares::new(loaded_bytes_max),
            called: VecDeque::new(),
            called_is_next: false,
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
    /// Whose it is, while it is served.
    open: Option<ApplicationId>,
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
    /// Bytes in the lanes that came from queues, by application, and the endpoints that have more
    /// due than there was room for.
    loaded_bytes: Shares<ApplicationId, EndpointId>,
    /// Endpoints that are to be loaded, one after another; some were since, for another reason.
    called: VecDeque<EndpointId>,
    /// Whose turn it is: that of those that were called, or of those that found no room.
    called_is_next: bool,
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

    /// Loads one queue: in turn of those that found no room, if there is some now, and of those whose
    /// timers went off or whose lanes want more. False when there is none.
    async fn load_next(&mut self) -> bool {
        let mut due = Vec::new();
        self.wheel.advance(tick_over(self.clock.now()), &mut due);
        for endpoint in due {
            if let Some(lane) = self.lanes.get_mut(&endpoint) {
                (lane.timer, lane.due) = (None, None);
            }
            self.call(endpoint);
        }
        // One application that always wants more is no reason for others to wait.
        self.called_is_next = !self.called_is_next;
        let next = match self.called_is_next {
            true => self.next_called().or_else(|| self.loaded_bytes.next()),
            false => self.loaded_bytes.next().or_else(|| self.next_called()),
        };
        let Some(endpoint) = next else { return false };
        self.load(endpoint).await;
        true
    }

    /// The endpoint that was called first, of those that were not loaded since.
    fn next_called(&mut self) -> Option<EndpointId> {
        while let Some(endpoint) = self.called.pop_front() {
            if self.lanes.get(&endpoint).is_some_and(|lane| lane.called) {
                return Some(endpoint);
            }
        }
        None
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
                let bytes = lane.loaded.remove(&item).unwrap_or(0);
                if let Some(application) = lane.open {
                    self.loaded_bytes.give_back(application, bytes);
                }
                let wants_more = lane.hungry && lane.loaded.len() <= LANE_LOADED_MAX / 2;
                let is_empty = lane.loaded.is_empty();
                let now = self.clock.now();
                if wants_more {
                    self.call(endpoint);
                } else if is_empty && lane.open.is_some() {
                    if !lane.called && lane.due.is_none_or(|due| due > now) {
                        self.crew.emptied(endpoint);
                    }
                } else if is_empty && lane.due.is_none() {
                    self.lanes.remove(&endpoint);
                }
            }
            Command::Open(endpoint, application) => {
                self.lanes.entry(endpoint).or_default().open = Some(application);
                self.call(endpoint);
            }
            Command::Close(endpoint) => {
                if let Some(lane) = self.lanes.remove(&endpoint) {
                    if let Some(application) = lane.open {
                        self.loaded_bytes.leave(application, endpoint);
                        self.loaded_bytes.give_back(application, lane.loaded.values().sum());
                    }
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
        let lane = self.lanes.get_mut(&endpoint).filter(|lane| lane.open.is_some());
        let Some(lane) = lane else { return };
        if lane.hungry || lane.called || lane.due.is_some_and(|held| held <= due) {
            return;
        }
        lane.timer.take().map(|timer| self.wheel.cancel(timer));
        lane.due = Some(due);
        lane.timer = Some(self.wheel.insert(tick(due), endpoint));
    }

    /// Takes note that an endpoint has more due than is in its lane. It is loaded when something
    /// leaves that, or, if its application has no more room, when there is some.
    fn starve(&mut self, endpoint: EndpointId, application: ApplicationId) {
        let Some(lane) = self.lanes.get_mut(&endpoint) else { return };
        lane.hungry = true;
        if self.loaded_bytes.room(application) == 0 {
            self.loaded_bytes.wait(application, endpoint);
        }
    }

    /// Loads what is due of an endpoint's queue into its lane: one webhook at least if there is
    /// none.
    async fn load(&mut self, endpoint: EndpointId) {
        let Some(lane) = self.lanes.get_mut(&endpoint) else { return };
        lane.called = false;
        let Some(application) = lane.open else { return };
        let room = self.loaded_bytes.room(application);
        let is_full = room == 0 || lane.loaded.len() >= LANE_LOADED_MAX;
        if is_full && !lane.loaded.is_empty() {
            self.starve(endpoint, application);
            return;
        }
        if std::mem::take(&mut lane.hungry) {
            self.loaded_bytes.leave(application, endpoint);
        }
        // However full: what is loaded may wait for a limit for long. This one counts for nobody's
        // share, or an application with many endpoints would leave none to others.
        let bytes_max = room.clamp(1, READ_BYTES_MAX);
        let held: HashSet<QueueItem> = lane.loaded.keys().copied().collect();
        let limit = LANE_LOADED_MAX.min(held.len() + bytes_max.div_ceil(WEBHOOK_BYTES));
        let store = Arc::clone(&self.store);
        let now = self.clock.now();
        let read = move || read(&*store, endpoint, &held, now, limit, bytes_max);
        let read = tokio::task::spawn_blocking(read).await;
        let Ok(Ok(read)) = read else {
            tracing::warn!(%endpoint, "the queue could not be read; trying again");
            let later = self.clock.now().after(STORE_RETRY);
            self.expect(endpoint, later);
            return;
        };
        let Some(lane) = self.lanes.get_mut(&endpoint) else { return };
        for (item, _, webhook) in &read.found {
            let bytes = if room == 0 { 0 } else { loaded_bytes(webhook) };
            self.loaded_bytes.take(application, bytes);
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
            Some(due) if due <= now => self.starve(endpoint, application),
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

#[cfg(test)]
mod tests;
