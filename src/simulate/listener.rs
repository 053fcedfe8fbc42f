//! An honest receiver for people: shows what is sent, checks it as its provider's page tells,
//! remembers it in a folder, and answers as an honest consumer would, as a handler does that it
//! sends everything on to, or wrong on purpose.
//!
//! ```
//! use hookwheel::simulate::listener::{Listener, Setup};
//! # tokio::runtime::Runtime::new()?.block_on(async {
//! # let folder = tempfile::tempdir().unwrap();
//! # let folder = folder.path();
//! let address = "127.0.0.1:0".parse().unwrap();
//! let (listener, arrivals) = Listener::start(Setup { address, ..Setup::new(folder) }).await?;
//! println!("send to {}", listener.url());
//! listener.stop().await;
//! # Ok::<(), hookwheel::Error>(())
//! # })?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod arrived;
mod ask;
pub mod curl;
mod forward;
mod keeper;
mod memory;
mod received;
mod script;
mod socket;
mod telling;
#[cfg(test)]
mod tests;
mod told;
mod verdict;
mod wire;

pub use arrived::{Answered, AnsweredBy, Arrived, Ending, Outcome, Remembered};
pub use ask::Filter;
pub use forward::Forwarder;
pub use memory::Keep;
pub use received::Received;
pub use script::Script;
pub use telling::{Arrival, Counts};
pub use told::ToldEvent;
pub use verdict::{Check, Verdict};

use crate::clock::{self, Clock};
use crate::error::{Error, Result};
use crate::model::Timestamp;
use crate::simulate::receiver::answer::Answer;
use crate::simulate::receiver::connection::{self, Serve, Way};
use crate::simulate::receiver::request::Request;
use bytes::Bytes;
use keeper::Keeper;
use memory::Memory;
use script::{Playing, Step};
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::{Arc, Weak};
use std::time::Duration;
use telling::Telling;
use tokio::net::TcpListener;
use tokio::sync::{OwnedRwLockReadGuard, RwLock, broadcast, oneshot};
use tokio::task::{JoinHandle, JoinSet};
use verdict::Judged;

/// The port that is listened on by default.
pub const PORT: u16 = 9000;
/// The folder that what arrives is remembered in by default.
pub const FOLDER: &str = "hookwheel-received";
/// How long requests that a handler has still to answer are waited for at the end.
const SETTLE_TIME_MAX: Duration = Duration::from_secs(10);
/// Bodies from which on checking and reading one takes long enough to hold up others.
const LARGE_BYTES: usize = 64 * 1024;

/// Where and how a [`Listener`] listens.
pub struct Setup {
    /// The address to listen on; port 0 takes a free one.
    pub address: SocketAddr,
    /// The folder to remember in; made when it does not exist.
    pub folder: PathBuf,
    /// How much is remembered.
    pub keep: Keep,
    /// How what arrives is checked.
    pub check: Check,
    /// What is answered on purpose.
    pub script: Script,
    /// The URL of a handler that every request goes on to; see [`Forwarder::to`]. What is answered
    /// on purpose does not.
    pub forward_to: Option<String>,
}

impl Setup {
    /// Port 9000 of 127.0.0.1, whatever comes, honest answers.
    pub fn new(folder: impl Into<PathBuf>) -> Self {
        Self {
            address: SocketAddr::from((Ipv4Addr::LOCALHOST, PORT)),
            folder: folder.into(),
            keep: Keep::default(),
            check: Check::nothing(),
            script: Script::default(),
            forward_to: None,
        }
    }
}

/// A listener. What was answered or told to who watches is on stable storage before. Dropping it
/// ends it at once: answers that are under way are not given.
pub struct Listener {
    address: SocketAddr,
    stop: oneshot::Sender<()>,
    listening: JoinHandle<()>,
    asked: JoinSet<()>,
    socket: socket::Place,
    keeping: std::thread::JoinHandle<()>,
    shared: Arc<Shared>,
}

/// What the connections of a listener share.
struct Shared {
    check: Arc<Check>,
    clock: Clock,
    playing: Arc<Playing>,
    forwarder: Option<Forwarder>,
    /// Read by each request that goes on to the handler, until its answer has gone back.
    under_way: Arc<RwLock<()>>,
    keeper: Keeper,
    memory: Arc<Memory>,
    telling: Arc<Telling>,
}

/// A request whose answer is decided.
struct Slip {
    number: u64,
    answer: Answered,
    /// Where the answer is the handler's.
    _under_way: Option<OwnedRwLockReadGuard<()>>,
}

/// Looks up what a listener remembers, for as long as that runs; it does not keep it running.
pub struct Lookup(Weak<Memory>);

impl Lookup {
    /// A request that is remembered; `None` when it is not any more, or cannot be read.
    pub fn show(&self, number: u64) -> Option<Remembered> {
        self.0.upgrade()?.get_whole(number).ok().flatten()
    }
}

impl Listener {
    /// Starts listening, and tells of what arrives. Who falls 2,048 behind misses some of it there;
    /// it is remembered all the same.
    ///
    /// # Errors
    /// When the address or the folder cannot be had, or the handler's URL is none: its member is
    /// then `forward_to`.
    pub async fn start(setup: Setup) -> Result<(Self, broadcast::Receiver<Arrival>)> {
        let folder = setup.folder;
        let memory = Arc::new(Memory::open(&folder, setup.keep)?);
        let cannot = |error: std::io::Error| {
            Error::invalid(format!("cannot listen on {}: {error}", setup.address))
                .with_source(error)
        };
        let listener = TcpListener::bind(setup.address).await.map_err(cannot)?;
        let address = listener.local_addr().map_err(cannot)?;
        let forward = |url| Forwarder::avoiding(url, vec![address]);
        let forwarder = setup.forward_to.map(forward).transpose();
        let forwarder = forwarder.map_err(|error| error.about("forward_to"))?;
        let (asked_at, socket) = socket::open(&folder)?;
        let (telling, watched) = Telling::new();
        let (keeper, keeping) = Keeper::start(Arc::clone(&memory), Arc::clone(&telling))?;
        let playing = Arc::new(Playing::new(setup.script));
        let mut asked = JoinSet::new();
        asked.spawn(socket::serve(asked_at, Arc::clone(&memory), Arc::clone(&playing)));
        let shared = Arc::new(Shared {
            check: Arc::new(setup.check),
            clock: Clock::system(),
            playing,
            forwarder,
            under_way: Arc::default(),
            keeper,
            memory,
            telling,
        });
        let (stop, stopped) = oneshot::channel();
        let listening = connection::accept(listener, None, Arc::clone(&shared), stopped);
        let listening = tokio::spawn(listening);
        Ok((Self { address, stop, listening, asked, socket, keeping, shared }, watched))
    }

    /// The URL to send to. Every path is served alike.
    pub fn url(&self) -> String {
        format!("http://{}/", self.address)
    }

    /// Whether what arrives can be told from a forgery.
    pub fn verifies(&self) -> bool {
        self.shared.check.verifies()
    }

    /// How many requests are remembered.
    pub fn remembered(&self) -> usize {
        self.shared.memory.numbers().len()
    }

    /// For looking up what is remembered beside this.
    pub fn lookup(&self) -> Lookup {
        Lookup(Arc::downgrade(&self.shared.memory))
    }

    /// Closes the port, gives requests that a handler is to answer 10 s more, closes every
    /// connection, and lets go of the folder once what has arrived is remembered. Tells how much
    /// that was.
    pub async fn stop(mut self) -> Counts {
        // Each of these fails only when a task panicked or was aborted, and is over then as well.
        let _ = self.stop.send(());
        let _ = self.listening.await;
        self.asked.shutdown().await;
        drop(self.socket);
        let telling = Arc::clone(&self.shared.telling);
        drop(self.shared);
        let _ = tokio::task::spawn_blocking(move || self.keeping.join()).await;
        telling.counts()
    }
}

impl Serve for Shared {
    type Slip = Option<Slip>;

    async fn answer(&self, request: Request, way: Way) -> (Answer, Option<Slip>) {
        let received_at = self.clock.wall();
        let unable = || (Answer::status(503).body("the listener cannot remember this"), None);
        let Some((mut request, judged, events)) = self.look_at(request, received_at).await else {
            return unable();
        };
        let step = match judged.verdict {
            // Who fails to answer it gets no webhooks that could be answered on purpose.
            Verdict::Challenge => Step::Honest(Duration::ZERO),
            _ => self.playing.next(),
        };
        let (plan, meant) = match (step, &self.forwarder) {
            (Step::Told(answer), _) => {
                let meant = Answered::new(&answer, AnsweredBy::Told);
                (Plan::Answer(answer), meant)
            }
            (Step::Honest(delay), None) => {
                let answer = judged.answer.after(delay);
                let meant = Answered::new(&answer, AnsweredBy::Honest);
                (Plan::Answer(answer), meant)
            }
            (Step::Honest(delay), Some(forwarder)) => {
                (Plan::Forward(forwarder, delay), Answered::awaited(delay))
            }
        };
        let body = Bytes::from(std::mem::take(&mut request.body));
        let arrived = Arrived {
            number: 0,
            received_at,
            from: way.from,
            to: way.to,
            events,
            method: std::mem::take(&mut request.method),
            target: std::mem::take(&mut request.target),
            head: std::mem::take(&mut request.head),
            body_bytes: body.len(),
            verdict: judged.verdict,
            note: judged.note,
            answer: meant,
        };
        let Some(arrived) = self.keeper.remember(arrived, body.clone()).await else {
            return unable();
        };
        let number = arrived.number;
        match plan {
            Plan::Answer(answer) => {
                let slip = Slip { number, answer: arrived.answer.clone(), _under_way: None };
                (answer, Some(slip))
            }
            Plan::Forward(forwarder, delay) => {
                let under_way = Arc::clone(&self.under_way).read_owned().await;
                let (answer, by) = forward(forwarder, &arrived, body).await;
                let answer = answer.after(delay);
                let answered = Answered::new(&answer, by);
                let slip = Slip { number, answer: answered, _under_way: Some(under_way) };
                (answer, Some(slip))
            }
        }
    }

    async fn answered(&self, slip: Option<Slip>, given: bool) {
        if let Some(slip) = slip {
            let outcome = if given { Outcome::Given } else { Outcome::SenderGone };
            self.keeper.answered(slip.number, Answered { outcome, ..slip.answer }).await;
        }
    }

    fn unreadable(&self, way: Way, status: Option<u16>, reason: &'static str) {
        self.telling.tell(Arrival::Unreadable { from: way.from, status, reason });
    }

    async fn settle(&self) {
        // It is had once nobody reads it, and nobody begins to read it meanwhile.
        clock::within(SETTLE_TIME_MAX, self.under_way.write()).await;
    }
}

/// What is done with a request once it is remembered.
enum Plan<'a> {
    Answer(Answer),
    Forward(&'a Forwarder, Duration),
}

impl Shared {
    /// Checks a request and reads what it says it carries; `None` when the process ends meanwhile.
    async fn look_at(
        &self,
        mut request: Request,
        now: Timestamp,
    ) -> Option<(Request, Judged, Vec<ToldEvent>)> {
        let check = Arc::clone(&self.check);
        let is_large = request.body.len() > LARGE_BYTES;
        let look = move || {
            let judged = check.judge(&mut request, now);
            let events = told::events(|name| request.header(name), &request.body);
            (request, judged, events)
        };
        match is_large {
            true => tokio::task::spawn_blocking(look).await.ok(),
            false => Some(look()),
        }
    }
}

async fn forward(forwarder: &Forwarder, arrived: &Arrived, body: Bytes) -> (Answer, AnsweredBy) {
    let exchange = match forwarder.send(arrived, body).await {
        Ok(exchange) => exchange,
        Err(error) => {
            let reason = error.to_string();
            let answer = Answer::status(502).body(forward::NO_ANSWER);
            return (answer, AnsweredBy::Unreached { reason });
        }
    };
    let took_ms = Some(u64::try_from(exchange.duration.as_millis()).unwrap_or(u64::MAX));
    match forward::answer(&exchange) {
        (answer, None) => (answer, AnsweredBy::Handler { took_ms }),
        (answer, Some(reason)) => (answer, AnsweredBy::Unreached { reason }),
    }
}
