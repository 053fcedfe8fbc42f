//! The engine: what a platform embeds. It puts the rooms together.

mod applications;
mod builder;
mod changes;
mod checks;
mod directory;
mod echo;
mod endpoints;
mod event_types;
mod failing;
mod input;
mod manner;
pub(crate) mod notices;
mod outcomes;
mod parking;
mod pipeline;
mod planning;
mod probes;
mod queueing;
mod recipients;
mod replies;
mod secrets;
mod sending;
mod status;
pub(crate) mod tasks;
mod tokens;
mod upkeep;

pub use builder::EngineBuilder;
pub(crate) use checks::check_extra_headers;
pub use endpoints::CreatedEndpoint;
pub use event_types::{EventTypeChange, NewEventType, PutEventType};
pub use input::{
    ApplicationChange, Emitted, EndpointChange, HeaderChange, NewApplication, NewEndpoint,
    NewEvent, TestEvent,
};
pub(crate) use manner::{KeptBack, Manner};
pub use outcomes::Outcomes;
pub use pipeline::Outcome;
pub use probes::ProbeStatus;
pub(crate) use queueing::fresh_item;
pub use replies::Reply;
pub(crate) use sending::masked;
pub use tokens::NewAccessToken;

use crate::chance::Chance;
use crate::clock::Clock;
use crate::config::Config;
use crate::dispatch::gate::MemoryBudget;
use crate::dispatch::lanes::Departure;
use crate::dispatch::run::{self, Dispatcher};
use crate::dispatch::{Egress, TokenCache};
use crate::error::{Error, Result};
use crate::id_source::IdSource;
use crate::model::{
    ApplicationId, EndpointId, EndpointState, EventId, Held, QueueItem, ReadyWebhook, Secret,
    Trigger,
};
use crate::provider::{Provider, Providers};
use crate::round::turns::Turns;
use crate::store::group_commit::GroupCommit;
use crate::store::{Change, Store};
use crate::telemetry::Meters;
use crate::vault::Vault;
use crate::wheel::window::{self, Window};
use directory::Directory;
use event_types::EventTypes;
use replies::Replies;
use std::collections::HashSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock, RwLock, Weak};
use std::time::Duration;
use tokens::AccessTokens;
use tokio::sync::watch;
use tracing::Instrument;

/// A webhook delivery engine. Clones are the same engine.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> hookwheel::Result<()> {
/// use hookwheel::{Engine, NewApplication, NewEndpoint, NewEvent};
///
/// let engine = Engine::builder().in_memory().open().await?;
/// let shop = engine.create_application(NewApplication::new("Shop")).await?;
/// let endpoint = NewEndpoint::new("https://shop.example/webhooks").provider("ticketnation");
/// let created = engine.create_endpoint(shop.id, endpoint).await?;
/// println!("secret for the receiver: {}", created.secret.expose());
///
/// let event = NewEvent::new(shop.id, "order.created", &serde_json::json!({"orderId": "ord_1"}))?;
/// let emitted = engine.emit(event).await?;
/// assert_eq!(emitted.deliveries.len(), 1);
/// engine.close().await?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Engine {
    pub(crate) inner: Arc<Inner>,
}

/// The rooms, put together.
pub(crate) struct Inner {
    pub config: Config,
    pub clock: Clock,
    pub chance: Chance,
    pub director: Option<manner::Director>,
    /// What every request to an endpoint has besides, see `EngineBuilder::extra_headers`.
    pub extra_headers: Vec<(String, Secret)>,
    pub ids: Arc<IdSource>,
    pub providers: Providers,
    pub store: Arc<dyn Store>,
    pub committer: GroupCommit,
    /// For what begins on the committing thread and has to wait for something.
    pub runtime: tokio::runtime::Handle,
    pub directory: Directory,
    pub planning: planning::Planning,
    pub event_types: EventTypes,
    pub access_tokens: AccessTokens,
    pub replies: Replies,
    pub vault: RwLock<Vault>,
    pub egress: Egress,
    pub tokens: TokenCache,
    pub budget: Arc<MemoryBudget>,
    pub dispatcher: Dispatcher,
    pub window: Window,
    pub outcomes: outcomes::Teller,
    pub probes: Arc<probes::Probes>,
    /// For probes that run.
    pub probes_at_once: Turns,
    pub failing: failing::Failing,
    pub meters: Meters,
    /// One change of applications, endpoints and what else is kept besides events at a time, from
    /// reading to commit.
    pub edits: tokio::sync::Mutex<()>,
    pub tasks: tasks::Tasks,
    /// Long reads of histories.
    pub reads: Turns,
    /// Set when closing begins: nothing new is accepted.
    pub closing: AtomicBool,
    /// Set when closing begins: background tasks end.
    pub ended: watch::Sender<bool>,
}

impl Engine {
    /// Begins to open an engine.
    pub fn builder() -> EngineBuilder {
        EngineBuilder::new()
    }

    /// The providers that endpoints can name.
    pub fn providers(&self) -> impl Iterator<Item = &Arc<Provider>> {
        self.inner.providers.iter()
    }

    /// The provider called `name`.
    ///
    /// # Errors
    /// Refuses an unknown name, giving the known ones.
    pub fn provider(&self, name: &str) -> Result<Arc<Provider>> {
        self.inner.providers.get(name)
    }

    /// Whether requests can be served.
    ///
    /// # Errors
    /// Says why not: it is closing, its store fails, or the disk is nearly full.
    pub async fn check_ready(&self) -> Result<()> {
        self.inner.check_open()?;
        self.inner
            .blocking(|store| {
                store.check_room()?;
                store.key_check().map(drop)
            })
            .await
    }

    /// Whose time the engine goes by.
    pub fn clock(&self) -> &Clock {
        &self.inner.clock
    }

    /// A stream of what comes of attempts from now on. A reader that falls more than 4,096
    /// outcomes behind, or 32 MiB of what they sent and got, misses some; the history has them all.
    pub fn outcomes(&self) -> Outcomes {
        self.inner.outcomes.listen()
    }

    /// Waits until everything that is due now was attempted and recorded. Webhooks held back by a
    /// rate limit are not waited for.
    pub async fn settle(&self) {
        loop {
            self.inner.window.barrier().await;
            if self.inner.dispatcher.barrier().await == 0 {
                // What finished while the window looked may have made something due.
                self.inner.window.barrier().await;
                if self.inner.dispatcher.barrier().await == 0 {
                    return;
                }
            }
            self.inner.dispatcher.idle().await;
        }
    }

    /// Stops accepting, waits for requests in flight within the configured grace, and writes down
    /// everything. What still waits goes on when the engine is opened again.
    ///
    /// # Errors
    /// Fails when storage does; nothing acknowledged is lost then either.
    pub async fn close(&self) -> Result<()> {
        let inner = &self.inner;
        if inner.closing.swap(true, Ordering::AcqRel) {
            return Ok(());
        }
        inner.ended.send_replace(true);
        inner.dispatcher.tell(run::Command::Stop);
        let grace = Duration::from_secs(inner.config.close_grace_seconds);
        if crate::clock::within(grace, inner.dispatcher.idle()).await.is_none() {
            tracing::warn!(
                "closing with requests in flight; they are sent again at the next start"
            );
        }
        // A disk that fails answers no change before it is back, and nobody waits for that here.
        if crate::clock::within(WRITTEN_WITHIN, inner.write_failing(Duration::ZERO)).await.is_none()
        {
            tracing::warn!("since when endpoints fail could not be written down");
        }
        inner.committer.close().await
    }
}

/// How long closing waits until it is written down since when endpoints fail.
const WRITTEN_WITHIN: Duration = Duration::from_secs(5);

/// Runs to its end though whoever asked for it goes away meanwhile: a request handler that is
/// dropped between a commit and what follows from it must not leave the two apart.
pub(crate) async fn whole<T: Send + 'static>(
    work: impl Future<Output = Result<T>> + Send + 'static,
) -> Result<T> {
    let ended = tokio::spawn(work.in_current_span()).await;
    ended.map_err(|error| Error::internal("a request ended early").with_source(error))?
}

impl Inner {
    /// Refuses when the engine is closing.
    pub fn check_open(&self) -> Result<()> {
        if self.closing.load(Ordering::Acquire) { Err(Error::closed()) } else { Ok(()) }
    }

    /// Runs something that may block, like reading the store, where it blocks nobody.
    pub async fn blocking<T: Send + 'static>(
        self: &Arc<Self>,
        work: impl FnOnce(&dyn Store) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let store = Arc::clone(&self.store);
        tokio::task::spawn_blocking(move || work(&*store))
            .await
            .map_err(|error| Error::internal("a look-up ended early").with_source(error))?
    }

    /// Reads what may be much of an application's history, once it is its turn. What it waits for
    /// is the reads of others, which wait for nothing.
    pub async fn scan<T: Send + 'static>(
        self: &Arc<Self>,
        application: ApplicationId,
        work: impl FnOnce(&dyn Store) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let turn = self.reads.take(application).await?;
        self.blocking(move |store| {
            // Until its end, also where nobody waits for that any more.
            let _turn = turn;
            work(store)
        })
        .await
    }
}

/// Long reads of histories that go on at once: they leave a core to what commits and delivers, where
/// there is more than one.
pub(crate) fn reads_max() -> usize {
    std::thread::available_parallelism().map_or(1, |cores| cores.get().saturating_sub(1).max(1))
}

/// Waits until something is true that soon is.
#[cfg(test)]
pub(crate) async fn until(is_true: impl Fn() -> bool) {
    let wait = async {
        while !is_true() {
            crate::clock::pause(Duration::from_millis(1)).await;
        }
    };
    assert!(crate::clock::within(Duration::from_secs(30), wait).await.is_some(), "it never was");
}

/// What the loop and the window call. They start before the engine is complete, so they hold this.
#[derive(Default)]
pub(crate) struct Hands(OnceLock<Weak<Inner>>);

impl Hands {
    pub fn belong_to(&self, inner: &Arc<Inner>) {
        // Set once, when the engine is opened.
        let _ = self.0.set(Arc::downgrade(inner));
    }

    fn inner(&self) -> Option<Arc<Inner>> {
        self.0.get().and_then(Weak::upgrade)
    }

    /// Takes up again what the store may hold without our knowledge after it failed.
    pub fn store_reopened(&self, runtime: &tokio::runtime::Handle, events: HashSet<EventId>) {
        if let Some(inner) = self.inner() {
            runtime.spawn(async move { inner.take_up_refused(events).await });
        }
    }
}

impl run::Crew for Hands {
    fn depart(&self, departure: Departure) {
        let Some(inner) = self.inner() else { return };
        match departure {
            Departure::Send(recipient, item) => {
                tokio::spawn(inner.send(recipient, item));
            }
            Departure::Form(recipient, items) => {
                tokio::spawn(async move { inner.form(&recipient, items).await });
            }
        }
    }

    fn spill(&self, items: Vec<(EndpointId, ReadyWebhook)>) {
        if let Some(inner) = self.inner() {
            inner.spill(items);
        }
    }

    fn refused(&self, endpoint: EndpointId, place: QueueItem) {
        // The window took it for held, and would pass it over when the endpoint is served again.
        if let Some(inner) = self.inner() {
            inner.window.tell(window::Command::Released(endpoint, place));
        }
    }
}

impl window::Crew for Hands {
    fn loaded(&self, endpoint: EndpointId, webhooks: Vec<window::Loaded>) {
        let Some(inner) = self.inner() else { return };
        let items = webhooks.into_iter().map(|webhook| (endpoint, ready(webhook)));
        inner.dispatcher.tell(run::Command::Arrive(items.collect()));
    }

    fn drained(&self, endpoint: EndpointId) {
        let Some(inner) = self.inner() else { return };
        if let Ok(recipient) = inner.directory.recipient(endpoint)
            && !recipient.provider.exhausted_parks()
        {
            recipient.gate.reopen();
        }
    }

    fn emptied(&self, endpoint: EndpointId) {
        let Some(inner) = self.inner() else { return };
        // Where the queue goes out in order, the gate stays closed until all of it has arrived: an
        // open one means that webhooks go side by side.
        if let Ok(recipient) = inner.directory.recipient(endpoint)
            && recipient.endpoint.state == EndpointState::Enabled
        {
            recipient.gate.reopen();
        }
    }

    fn clean(&self, changes: Vec<Change>) {
        if let Some(inner) = self.inner() {
            tokio::spawn(async move {
                // What stays behind is met and cleaned again.
                drop(inner.committer.change(changes).await);
            });
        }
    }
}

/// A webhook from a queue, ready for its lane.
fn ready((place, progress, webhook): window::Loaded) -> ReadyWebhook {
    ReadyWebhook {
        webhook: place.webhook,
        formed: webhook.is_formed,
        accepted_due: webhook.accepted_due,
        events: webhook.events,
        trigger: if place.manual { Trigger::Manual } else { Trigger::Scheduled },
        attempts: progress.attempts,
        scheduled_attempts: progress.scheduled_attempts,
        held: Held::Queued(place),
        not_before: progress.not_before,
    }
}
