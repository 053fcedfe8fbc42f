//! The loop: takes ready webhooks in, hands them to senders, lane by lane.

use crate::clock::Clock;
use crate::dispatch::lanes::{Departure, Lanes, LanesStatus};
use crate::dispatch::recipient::Recipient;
use crate::model::{ApplicationId, EndpointId, Held, QueueItem, ReadyWebhook, WebhookId};
use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::{mpsc, oneshot, watch};

/// How long a new delivery may wait in memory before it is queued on disk, in real time.
const FRESH_AGE_MAX: Duration = Duration::from_secs(2);
/// How often the lanes are looked over for such, in real time.
const LOOK_OVER_EVERY: Duration = Duration::from_secs(1);

/// Webhooks with a request in flight.
pub type InFlight = Arc<Mutex<HashSet<(EndpointId, WebhookId)>>>;

/// Told to the loop.
pub enum Command {
    /// These are ready.
    Arrive(Vec<(EndpointId, ReadyWebhook)>),
    /// This one failed and goes first again when it may.
    ReturnFirst(EndpointId, Box<ReadyWebhook>),
    /// Serve this endpoint, or serve it as this says.
    Open(Arc<Recipient>),
    /// Serve this endpoint no more.
    Close(EndpointId),
    /// Send to all endpoints of this application together that many webhooks a second at most.
    Limit(ApplicationId, Option<u32>),
    /// A request is over; its attempt is not on record yet.
    Answered(EndpointId, WebhookId),
    /// An attempt is on record.
    Finished {
        /// Where.
        endpoint: EndpointId,
        /// What.
        webhook: WebhookId,
        /// How many attempts of it are on record; 0 where none was recorded now.
        attempts: u32,
        /// The places in the queue that its record removed.
        gone: Vec<QueueItem>,
    },
    /// What was handed to [`Crew::spill`] is in the queue on disk.
    Spilled,
    /// Answer when all commands before this one were carried out, with the number of requests in
    /// flight.
    Barrier(oneshot::Sender<usize>),
    /// Answer with how the lanes stand.
    Status(oneshot::Sender<LanesStatus>),
    /// Start nothing more.
    Stop,
}

/// What the loop asks of the engine. All return at once.
pub trait Crew: Send + Sync + 'static {
    /// Sends or forms, then tells the loop that it finished.
    fn depart(&self, departure: Departure);
    /// Puts fresh items that cannot go now into the queue on disk, then tells the loop that they are
    /// there.
    fn spill(&self, items: Vec<(EndpointId, ReadyWebhook)>);
    /// Takes note that an item of the store's queue was to go first in its lane, and is in none.
    fn refused(&self, endpoint: EndpointId, place: QueueItem);
}

/// The door to the loop.
#[derive(Clone)]
pub struct Dispatcher {
    commands: mpsc::UnboundedSender<Command>,
    in_flight: InFlight,
    in_flight_count: watch::Receiver<usize>,
}

impl Dispatcher {
    /// Starts the loop; it ends when the last door is dropped. The channel is not bounded: what
    /// comes through it is, by the gates and the window.
    pub fn start(clock: Clock, in_flight_max: usize, crew: Arc<dyn Crew>) -> Self {
        let (commands, receiver) = mpsc::unbounded_channel();
        let (count, in_flight_count) = watch::channel(0);
        let dispatcher = Self { commands, in_flight: InFlight::default(), in_flight_count };
        let run = Run {
            lanes: Lanes::new(in_flight_max),
            clock,
            crew,
            in_flight: Arc::clone(&dispatcher.in_flight),
            count,
            spills: 0,
            stopped: false,
        };
        tokio::spawn(run.run(receiver));
        dispatcher
    }

    /// Tells the loop something.
    pub fn tell(&self, command: Command) {
        // The loop ends only with the engine; what comes then concerns nobody any more.
        let _ = self.commands.send(command);
    }

    /// Whether a request of this webhook is in flight.
    pub fn is_in_flight(&self, endpoint: EndpointId, webhook: WebhookId) -> bool {
        let in_flight = self.in_flight.lock().unwrap_or_else(PoisonError::into_inner);
        in_flight.contains(&(endpoint, webhook))
    }

    /// Waits until everything told so far was carried out; the number of requests in flight.
    pub async fn barrier(&self) -> usize {
        let (reply, answer) = oneshot::channel();
        self.tell(Command::Barrier(reply));
        answer.await.unwrap_or(0)
    }

    /// How the lanes stand; nothing at all once the loop has ended.
    pub async fn status(&self) -> LanesStatus {
        let (reply, answer) = oneshot::channel();
        self.tell(Command::Status(reply));
        answer.await.unwrap_or_default()
    }

    /// Waits until no request is in flight.
    pub async fn idle(&self) {
        let _ = self.in_flight_count.clone().wait_for(|count| *count == 0).await;
    }
}

struct Run {
    lanes: Lanes,
    clock: Clock,
    crew: Arc<dyn Crew>,
    in_flight: InFlight,
    count: watch::Sender<usize>,
    /// What the crew was handed to be queued on disk, and is not there yet.
    spills: usize,
    stopped: bool,
}

impl Run {
    async fn run(mut self, mut commands: mpsc::UnboundedReceiver<Command>) {
        // A faster clock is for the schedule: it must not make us work the faster.
        let look_over_every = LOOK_OVER_EVERY.mul_f64(self.clock.speed());
        let mut look_over = self.clock.now().after(look_over_every);
        let mut received = Vec::new();
        loop {
            let mut wake = look_over;
            if !self.stopped {
                while let Some(departure) = self.lanes.next(self.clock.now()) {
                    self.depart(departure);
                }
                wake = self.lanes.next_wake().map_or(wake, |at| at.min(wake));
            }
            let in_flight = self.lanes.in_flight();
            self.count.send_if_modified(|count| std::mem::replace(count, in_flight) != in_flight);
            for reply in self.barriers(&mut received) {
                let _ = reply.send(in_flight);
            }
            tokio::select! {
                // Under load there is always something to be told, and no timer to be set.
                biased;
                count = commands.recv_many(&mut received, 1024) => {
                    if count == 0 {
                        return;
                    }
                    for command in std::mem::take(&mut received) {
                        match command {
                            Command::Barrier(reply) => received.push(Command::Barrier(reply)),
                            command => self.carry_out(command),
                        }
                    }
                }
                () = self.clock.sleep_until(wake) => {}
            }
            if self.clock.now() >= look_over {
                look_over = self.clock.now().after(look_over_every);
                self.spill_aged();
            }
        }
    }

    fn depart(&self, departure: Departure) {
        let (endpoint, webhook) = match &departure {
            Departure::Send(recipient, item) => (recipient.endpoint.id, item.webhook),
            Departure::Form(recipient, items) => match items.first() {
                Some(item) => (recipient.endpoint.id, item.webhook),
                None => return,
            },
        };
        let mut in_flight = self.in_flight.lock().unwrap_or_else(PoisonError::into_inner);
        in_flight.insert((endpoint, webhook));
        drop(in_flight);
        self.crew.depart(departure);
    }

    /// The barriers among what was received: they are answered after what could depart did.
    fn barriers(&self, received: &mut Vec<Command>) -> Vec<oneshot::Sender<usize>> {
        let barrier = |command| match command {
            Command::Barrier(reply) => Some(reply),
            _ => None,
        };
        received.drain(..).filter_map(barrier).collect()
    }

    fn carry_out(&mut self, command: Command) {
        match command {
            Command::Arrive(items) => {
                let refused = items.into_iter().filter_map(|(endpoint, item)| {
                    Some((endpoint, self.lanes.arrive(endpoint, item)?))
                });
                let refused = refused.collect();
                self.spill(refused);
            }
            Command::ReturnFirst(endpoint, item) => {
                let refused = self.lanes.return_first(endpoint, *item);
                if let Some(Held::Queued(place)) = refused.map(|item| item.held) {
                    self.crew.refused(endpoint, place);
                }
            }
            Command::Open(recipient) => self.lanes.open(recipient),
            Command::Close(endpoint) => {
                let items = self.lanes.close(endpoint);
                self.spill(items.into_iter().map(|item| (endpoint, item)).collect());
            }
            Command::Limit(application, rate) => self.lanes.limit(application, rate),
            Command::Answered(endpoint, webhook) => self.lanes.answered(endpoint, webhook),
            Command::Finished { endpoint, webhook, attempts, gone } => {
                let mut in_flight = self.in_flight.lock().unwrap_or_else(PoisonError::into_inner);
                in_flight.remove(&(endpoint, webhook));
                drop(in_flight);
                self.lanes.finished(endpoint, webhook, attempts, &gone);
            }
            Command::Spilled => {
                self.spills = self.spills.saturating_sub(1);
                self.spill_aged();
            }
            Command::Status(reply) => drop(reply.send(self.lanes.status())),
            Command::Stop => self.stopped = true,
            Command::Barrier(_) => {}
        }
    }

    /// Hands what is only in memory to the crew; what is queued already needs nothing.
    fn spill(&mut self, mut items: Vec<(EndpointId, ReadyWebhook)>) {
        items.retain(|(_, item)| item.held == Held::Fresh);
        if !items.is_empty() {
            self.spills += 1;
            self.crew.spill(items);
        }
    }

    /// Has what waits for too long queued on disk, one commit after the other: what is not there yet
    /// stays in its lane, where nothing overtakes it.
    fn spill_aged(&mut self) {
        if self.spills > 0 {
            return;
        }
        let age_max = FRESH_AGE_MAX.mul_f64(self.clock.speed());
        let aged = self.lanes.take_aged(self.clock.now().before(age_max));
        self.spill(aged);
    }
}

#[cfg(test)]
#[path = "run_tests.rs"]
mod tests;
