//! Opening an engine.

use crate::chance::{Chance, fill_random};
use crate::clock::Clock;
use crate::config::{Config, MASTER_KEY_VARIABLE};
use crate::dispatch::gate::MemoryBudget;
use crate::dispatch::run::{self, Dispatcher};
use crate::dispatch::{Egress, Resolve, TokenCache};
use crate::engine::directory::Directory;
use crate::engine::event_types::EventTypes;
use crate::engine::failing::Failing;
use crate::engine::manner::Director;
use crate::engine::outcomes::Teller;
use crate::engine::planning::Planning;
use crate::engine::replies::Replies;
use crate::engine::secrets::KEY_CHECK_PLACE;
use crate::engine::tokens::AccessTokens;
use crate::engine::{Engine, Hands, Inner};
use crate::error::{Error, Result};
use crate::id_source::IdSource;
use crate::model::secret::Sealed;
use crate::model::{Endpoint, EndpointState, Secret, check};
use crate::provider::Providers;
use crate::round::turns::Turns;
use crate::store::group_commit::GroupCommit;
use crate::store::sled::SledOptions;
use crate::store::{MemoryStore, SledStore, Store};
use crate::telemetry::Meters;
use crate::vault::{MasterKeySource, Vault, key_file};
use crate::wheel::window::{self, Window};
use base64::Engine as _;
use std::path::PathBuf;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, RwLock};
use tokio::sync::watch;

/// Of so many requests in flight one may be a probe besides.
const PROBES_SHARE: usize = 8;

/// Makes the outbound side, once the configuration is complete.
type MakeEgress = Box<dyn FnOnce(&Config) -> Result<Egress> + Send>;

/// Opens an engine step by step; see [`Engine::builder`].
pub struct EngineBuilder {
    data_folder: Option<PathBuf>,
    providers_folder: Option<PathBuf>,
    master_key: Option<MasterKeySource>,
    config: Config,
    clock: Clock,
    chance: Chance,
    director: Option<Director>,
    extra_headers: Vec<(String, Secret)>,
    egress: Option<MakeEgress>,
    at_rest: bool,
}

impl EngineBuilder {
    pub(super) fn new() -> Self {
        Self {
            data_folder: Some(PathBuf::from("hookwheel-data")),
            providers_folder: None,
            master_key: None,
            config: Config::default(),
            clock: Clock::system(),
            chance: Chance::system(),
            director: None,
            extra_headers: Vec::new(),
            egress: None,
            at_rest: false,
        }
    }

    /// Keeps everything in `folder` (default: `hookwheel-data` here), which is made when it does
    /// not exist.
    #[must_use]
    pub fn data_folder(mut self, folder: impl Into<PathBuf>) -> Self {
        self.data_folder = Some(folder.into());
        self
    }

    /// Keeps everything in memory: nothing survives the process. For simulations and tests.
    #[must_use]
    pub fn in_memory(mut self) -> Self {
        self.data_folder = None;
        self
    }

    /// Reads more providers from the TOML files of `folder`.
    #[must_use]
    pub fn providers_folder(mut self, folder: impl Into<PathBuf>) -> Self {
        self.providers_folder = Some(folder.into());
        self
    }

    /// Takes the master key from `source`. The default is the environment variable
    /// `HOOKWHEEL_MASTER_KEY` where it is set, and else a file beside the data folder, with its
    /// name and `.key`. A file in the data folder is refused.
    #[must_use]
    pub fn master_key(mut self, source: MasterKeySource) -> Self {
        self.master_key = Some(source);
        self
    }

    /// Sets all limits.
    #[must_use]
    pub fn config(mut self, config: Config) -> Self {
        self.config = config;
        self
    }

    /// Allows `http:` and local addresses for every provider. Never in production: whoever may
    /// register an endpoint could reach your own network.
    #[must_use]
    pub fn development(mut self) -> Self {
        self.config.egress.development = true;
        self
    }

    /// Goes by `clock`: a faster one to simulate, one moved by hand to test.
    #[must_use]
    pub fn clock(mut self, clock: Clock) -> Self {
        self.clock = clock;
        self
    }

    /// Draws ids, jitter and challenges from `chance`: a seeded one makes a simulation that can be
    /// repeated. Never in production: whoever knows the seed knows every id.
    #[must_use]
    pub(crate) fn chance(mut self, chance: Chance) -> Self {
        self.chance = chance;
        self
    }

    /// Asks `director` before every attempt in what manner it is to be sent. For the simulator
    /// alone, which plays what goes wrong on the way; a real endpoint is never treated so.
    #[must_use]
    pub(crate) fn director(mut self, director: Director) -> Self {
        self.director = Some(director);
        self
    }

    /// Sends these headers with every request to an endpoint; their values are not recorded. For
    /// the simulator alone: a real endpoint has authentication and headers of its own.
    #[must_use]
    pub(crate) fn extra_headers(mut self, headers: Vec<(String, Secret)>) -> Self {
        self.extra_headers = headers;
        self
    }

    /// Looks host names up with `resolver` instead of the system's.
    #[must_use]
    pub fn resolver(mut self, resolver: impl Resolve + 'static) -> Self {
        self.egress = Some(Box::new(|config| Egress::with_resolver(&config.egress, resolver)));
        self
    }

    /// Opens it at rest: nothing is sent, and nothing expires. For a look into the data folder of a
    /// service that is stopped, whose limits and networks are not known here.
    #[must_use]
    pub fn at_rest(mut self) -> Self {
        self.at_rest = true;
        self
    }

    /// Opens the engine and takes up what waits.
    ///
    /// # Errors
    /// Says what is wrong with the configuration, a provider file, the master key or the data
    /// folder: [`ErrorKind::InUse`](crate::ErrorKind::InUse) when another process has it.
    pub async fn open(self) -> Result<Engine> {
        self.config.check()?;
        if let Some(uid) = &self.config.notices_application {
            check::check_uid(uid).map_err(|error| error.within("`notices_application`"))?;
        }
        let mut providers = Providers::embedded()?;
        if let Some(folder) = &self.providers_folder {
            providers.load_folder(folder)?;
        }
        let key_source = self.key_source()?;
        let store = self.open_store().await?;
        let key_check = store.key_check()?;
        let vault = Self::open_vault(key_source, key_check.as_deref())?;
        let hands = Arc::new(Hands::default());
        let (ids, committer) = self.start_committer(&store, &hands)?;
        let egress = match self.egress {
            Some(make) => make(&self.config)?,
            None => Egress::new(&self.config.egress)?,
        };
        let (window, receiver) = Window::door();
        window::Window::start(
            receiver,
            self.clock.clone(),
            Arc::clone(&store),
            Arc::clone(&hands) as Arc<dyn window::Crew>,
            self.config.loaded_max_bytes,
        );
        let crew = Arc::clone(&hands) as Arc<dyn run::Crew>;
        let meters = Meters::new(providers.iter().map(|provider| provider.name()));
        let inner = Arc::new(Inner {
            dispatcher: Dispatcher::start(self.clock.clone(), self.config.in_flight_max, crew),
            budget: MemoryBudget::new(self.config.fresh_max_bytes),
            probes_at_once: Turns::new((self.config.in_flight_max / PROBES_SHARE).max(1)),
            config: self.config,
            clock: self.clock,
            ids,
            chance: self.chance,
            director: self.director,
            extra_headers: self.extra_headers,
            providers,
            event_types: EventTypes::load(&*store)?,
            access_tokens: AccessTokens::load(&*store)?,
            replies: Replies::load(&*store)?,
            store,
            committer,
            runtime: tokio::runtime::Handle::current(),
            directory: Directory::default(),
            planning: Planning::default(),
            vault: RwLock::new(vault),
            egress,
            tokens: TokenCache::default(),
            window,
            outcomes: Teller::default(),
            probes: Arc::default(),
            failing: Failing::default(),
            meters,
            edits: tokio::sync::Mutex::default(),
            tasks: crate::engine::tasks::Tasks::default(),
            reads: Turns::new(crate::engine::reads_max()),
            closing: AtomicBool::new(false),
            ended: watch::Sender::new(false),
        });
        hands.belong_to(&inner);
        if self.at_rest {
            inner.dispatcher.tell(run::Command::Stop);
        }
        inner.take_up(key_check.is_none()).await?;
        if !self.at_rest {
            inner.take_up_tasks().await?;
            inner.probe_parked();
            tokio::spawn(Inner::upkeep(Arc::downgrade(&inner)));
        }
        Ok(Engine { inner })
    }

    async fn open_store(&self) -> Result<Arc<dyn Store>> {
        let Some(folder) = self.data_folder.clone() else {
            return Ok(Arc::new(MemoryStore::new()));
        };
        let options = SledOptions {
            cache_bytes: self.config.store_cache_bytes,
            disk_reserve_bytes: self.config.disk_reserve_bytes,
        };
        let open = move || SledStore::open(&folder, options);
        let store = tokio::task::spawn_blocking(open)
            .await
            .map_err(|error| Error::internal("opening the store ended early").with_source(error))?;
        Ok(Arc::new(store?))
    }

    /// Starts the committing thread. Events have ids of their own, made by that one thread in the
    /// order in which they are accepted: with a seed, they do not depend on how many attempts were
    /// made meanwhile.
    fn start_committer(
        &self,
        store: &Arc<dyn Store>,
        hands: &Arc<Hands>,
    ) -> Result<(Arc<IdSource>, GroupCommit)> {
        let drawing = |purpose| {
            let (clock, chance) = (self.clock.clone(), self.chance.clone());
            Arc::new(IdSource::drawing(clock, chance, purpose))
        };
        let ids = drawing("id");
        ids.start_after(store.greatest_id()?);
        let event_ids = match self.chance.is_seeded() {
            true => drawing("event"),
            false => Arc::clone(&ids),
        };
        let runtime = tokio::runtime::Handle::current();
        let hands = Arc::clone(hands);
        let on_reopened = Box::new(move |events| hands.store_reopened(&runtime, events));
        let ttl = self.config.idempotency_ttl();
        let committer = GroupCommit::start(Arc::clone(store), event_ids, ttl, on_reopened)?;
        Ok((ids, committer))
    }

    /// Where the master key comes from; never from within the data folder.
    fn key_source(&self) -> Result<MasterKeySource> {
        let source = match (&self.master_key, &self.data_folder) {
            (Some(source), _) => source.clone(),
            (None, None) => MasterKeySource::Given(random_key()?),
            (None, Some(folder)) => match std::env::var(MASTER_KEY_VARIABLE) {
                Ok(key) => MasterKeySource::Given(Secret::new(key)),
                Err(_) => MasterKeySource::File(key_file::beside(folder)?),
            },
        };
        if let (MasterKeySource::File(file), Some(folder)) = (&source, &self.data_folder) {
            key_file::check_apart(file, folder)?;
        }
        Ok(source)
    }

    fn open_vault(source: MasterKeySource, key_check: Option<&[u8]>) -> Result<Vault> {
        let vault = Vault::open(source, key_check.is_some())?;
        if let Some(check) = key_check {
            vault.open_sealed(KEY_CHECK_PLACE, &Sealed(check.to_vec())).map_err(|error| {
                Error::unreadable(
                    "the master key is not the one that the data folder was written with: give \
                     that one; nothing was changed",
                )
                .with_source(error)
            })?;
        }
        Ok(vault)
    }
}

/// A key for secrets that end with the process.
fn random_key() -> Result<Secret> {
    let mut key = zeroize::Zeroizing::new([0_u8; 32]);
    fill_random(key.as_mut())?;
    Ok(Secret::new(base64::engine::general_purpose::STANDARD.encode(key.as_ref())))
}

impl Inner {
    /// Takes up what the store holds.
    async fn take_up(self: &Arc<Self>, is_new: bool) -> Result<()> {
        for application in self.store.applications()? {
            if application.deleted_at.is_none() {
                let rate = application.rate_limit_per_second;
                self.dispatcher.tell(run::Command::Limit(application.id, rate));
                self.directory.put_application(application);
            }
        }
        let waiting: std::collections::HashSet<_> =
            self.store.waiting()?.into_iter().map(|(endpoint, _)| endpoint).collect();
        for endpoint in self.store.endpoints()? {
            if matches!(endpoint.state, EndpointState::Deleted { .. }) {
                self.directory.put_deleted(endpoint);
                continue;
            }
            self.take_up_endpoint(endpoint, &waiting)?;
        }
        if is_new {
            self.committer.change(vec![self.key_check()?]).await?;
        }
        if self.vault().has_older_keys() {
            self.reseal_everything().await?;
        }
        self.take_up_fresh().await
    }

    fn take_up_endpoint(
        &self,
        endpoint: Endpoint,
        waiting: &std::collections::HashSet<crate::model::EndpointId>,
    ) -> Result<()> {
        let owner = self.directory.application(endpoint.application)?;
        let id = endpoint.id;
        if let Some(since) = endpoint.failing_since {
            self.failing.take_up(id, since);
        }
        let recipient = self
            .recipient(endpoint, &owner, None)
            .map_err(|error| error.within(format!("endpoint `{id}`")))?;
        if waiting.contains(&id) {
            // What waits goes first; the window opens the gate when it is through.
            recipient.gate.close();
        }
        self.publish(&recipient);
        Ok(())
    }
}
