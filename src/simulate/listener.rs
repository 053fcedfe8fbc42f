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
#[cfg(test)]
mod tests;
mod told;
mod verdict;
mod wire;

pub use arrived::{Answered, AnsweredBy, Arrived, Ending, Remembered};
pub use ask::Filter;
pub use forward::Forwarder;
pub use memory::Keep;
pub use received::Received;
pub use script::Script;
pub use told::ToldEvent;
pub use verdict::{Check, Verdict};

use crate::clock::Clock;
use crate::error::{Error, Result};
use crate::simulate::receiver::answer::Answer;
use crate::simulate::receiver::connection::{self, Serve, Way};
use crate::simulate::receiver::request::Request;
use bytes::Bytes;
use keeper::Keeper;
use memory::Memory;
use script::{Playing, Step};
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::sync::{broadcast, oneshot};
use tokio::task::JoinHandle;

/// The port that is listened on by default.
pub const PORT: u16 = 9000;
/// The folder that what arrives is remembered in by default.
pub const FOLDER: &str = "hookwheel-received";
/// How far who watches may fall behind.
const BACKLOG_MAX: usize = 1024;

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

/// What a listener tells who watches it.
#[derive(Clone, Debug)]
pub enum Arrival {
    /// A request arrived and is remembered; its answer goes out now.
    Request(Arc<Arrived>),
    /// Something arrived that is no whole request or passes a limit. It is not remembered.
    Unreadable {
        /// Who sent it.
        from: SocketAddr,
        /// The status that it was answered with; `None` where nobody was left to answer.
        status: Option<u16>,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// Nothing can be remembered any more, and every request is answered with 503.
    Failed(Arc<Error>),
}

/// A listener. What was answered or told to who watches is on stable storage before.
pub struct Listener {
    address: SocketAddr,
    folder: PathBuf,
    shared: Arc<Shared>,
    stop: oneshot::Sender<()>,
    listening: JoinHandle<()>,
    asked: JoinHandle<()>,
    keeping: std::thread::JoinHandle<()>,
}

/// What the connections of a listener share.
struct Shared {
    check: Check,
    clock: Clock,
    playing: Arc<Playing>,
    forwarder: Option<Forwarder>,
    keeper: Keeper,
    memory: Arc<Memory>,
    arrivals: broadcast::Sender<Arrival>,
}

impl Listener {
    /// Starts listening, and tells of what arrives. Who falls 1,024 requests behind misses some of
    /// them there; they are remembered all the same.
    ///
    /// # Errors
    /// When the address or the folder cannot be had, or the handler's URL is none.
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
        let forwarder = setup.forward_to.map(forward).transpose()?;
        let socket = socket::open(&folder)?;
        let (arrivals, watched) = broadcast::channel(BACKLOG_MAX);
        let (keeper, keeping) = Keeper::start(Arc::clone(&memory), arrivals.clone())?;
        let playing = Arc::new(Playing::new(setup.script));
        let asked = socket::serve(socket, Arc::clone(&memory), Arc::clone(&playing));
        let shared = Arc::new(Shared {
            check: setup.check,
            clock: Clock::system(),
            playing,
            forwarder,
            keeper,
            memory,
            arrivals,
        });
        let (stop, stopped) = oneshot::channel();
        let listening = connection::accept(listener, None, Arc::clone(&shared), stopped);
        let listener = Self {
            address,
            folder,
            shared,
            stop,
            listening: tokio::spawn(listening),
            asked: tokio::spawn(asked),
            keeping,
        };
        Ok((listener, watched))
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

    /// A request that is remembered.
    ///
    /// # Errors
    /// When it is not, or cannot be read.
    pub fn show(&self, number: u64) -> Result<Remembered> {
        self.shared
            .memory
            .get_whole(number)?
            .ok_or_else(|| Error::not_found(format!("request {number} is not remembered any more")))
    }

    /// Closes the port and every connection, and lets go of the folder once what has arrived is
    /// remembered.
    pub async fn stop(self) {
        drop(self.stop);
        // They fail only when a task panicked or was aborted, and are over then as well.
        let _ = self.listening.await;
        self.asked.abort();
        let _ = self.asked.await;
        // Without the socket who asks finds a folder that is free in a moment.
        let _ = socket::close(&self.folder);
        drop(self.shared);
        let _ = tokio::task::spawn_blocking(move || self.keeping.join()).await;
    }
}

impl Serve for Shared {
    async fn answer(&self, mut request: Request, way: Way) -> Answer {
        let received_at = self.clock.wall();
        let judged = self.check.judge(&request, received_at);
        let mut arrived = Arrived {
            number: 0,
            received_at,
            from: way.from,
            to: way.to,
            events: told::events(|name| request.header(name), &request.body),
            method: std::mem::take(&mut request.method),
            target: std::mem::take(&mut request.target),
            head: std::mem::take(&mut request.head),
            body_bytes: request.body.len(),
            verdict: judged.verdict,
            answer: Answered::new(&judged.answer, AnsweredBy::Honest),
        };
        let step = match arrived.verdict {
            // Who fails to answer it gets no webhooks that could be answered on purpose.
            Verdict::Challenge => Step::Honest(Duration::ZERO),
            _ => self.playing.next(),
        };
        let mut body = std::mem::take(&mut request.body);
        let (answer, by) = match (step, &self.forwarder) {
            (Step::Told(answer), _) => (answer, AnsweredBy::Told),
            (Step::Honest(delay), None) => (judged.answer.after(delay), AnsweredBy::Honest),
            (Step::Honest(delay), Some(forwarder)) => {
                let shared = Bytes::from(body);
                let (answer, by) = forward(forwarder, &arrived, shared.clone()).await;
                body = shared.into();
                (answer.after(delay), by)
            }
        };
        arrived.answer = Answered::new(&answer, by);
        if self.keeper.remember(arrived, body).await {
            return answer;
        }
        Answer::status(503).body("the listener cannot remember this")
    }

    fn unreadable(&self, way: Way, status: Option<u16>, reason: &'static str) {
        // It fails only where nobody watches.
        let _ = self.arrivals.send(Arrival::Unreadable { from: way.from, status, reason });
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
    let took_ms = u64::try_from(exchange.duration.as_millis()).unwrap_or(u64::MAX);
    match forward::answer(&exchange) {
        (answer, None) => (answer, AnsweredBy::Handler { took_ms }),
        (answer, Some(reason)) => (answer, AnsweredBy::Unreached { reason }),
    }
}
