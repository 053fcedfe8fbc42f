//! A consumer of one provider's webhooks on this machine: checks, remembers and answers what it
//! gets the way the provider's page tells its users to, unless told to fail.
//!
//! The checks are written from the providers' pages and share no code with hookwheel's signing, so
//! that what passes here is not merely consistent with itself.
//!
//! ```
//! use hookwheel::simulate::receiver::{Answer, Consumer, Receiver};
//! # tokio::runtime::Runtime::new()?.block_on(async {
//! let receiver = Receiver::start(Consumer::TicketNation, "a secret").await?;
//! receiver.answer_next([Answer::status(503), Answer::hang()]);
//! println!("two failures, then honest answers, at {}", receiver.url());
//! # std::io::Result::Ok(())
//! # })?;
//! # Ok::<(), std::io::Error>(())
//! ```

pub(super) mod answer;
pub(super) mod checks;
pub(super) mod connection;
mod consumer;
mod received;
pub(super) mod request;
mod state;
#[cfg(test)]
mod tests;

pub use answer::Answer;
pub use consumer::Consumer;
pub use received::{Received, Verdict};

use crate::clock::{self, Clock};
use crate::error::{Error, Result};
use state::Shared;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::sync::{Mutex, broadcast, oneshot};
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;

/// How long a wait for requests lasts at most, in real time.
const WAIT_MAX: Duration = Duration::from_secs(30);

/// Where and how a [`Receiver`] listens.
pub struct Setup {
    /// The address to listen on; port 0 takes a free one.
    pub address: SocketAddr,
    /// Whose time of day the age of a webhook is measured by.
    pub clock: Clock,
    /// Accepts TLS instead of plain connections.
    pub tls: Option<TlsAcceptor>,
}

impl Default for Setup {
    /// A free port of 127.0.0.1, the machine's time, no TLS.
    fn default() -> Self {
        Self {
            address: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            clock: Clock::system(),
            tls: None,
        }
    }
}

/// A listening consumer. Dropping it closes its port and connections.
pub struct Receiver {
    address: SocketAddr,
    tls: Option<TlsAcceptor>,
    shared: Arc<Shared>,
    listening: Mutex<Option<Listening>>,
}

/// The task that listens. It ends when `stop` is dropped.
struct Listening {
    stop: oneshot::Sender<()>,
    task: JoinHandle<()>,
}

impl Receiver {
    /// Starts `consumer` on a free port of 127.0.0.1, with the secret that its provider shows for
    /// the endpoint.
    ///
    /// # Errors
    /// When no port can be listened on.
    pub async fn start(consumer: Consumer, secret: impl Into<String>) -> io::Result<Self> {
        Self::start_with(consumer, secret, Setup::default()).await
    }

    /// Starts `consumer` where and how `setup` says.
    ///
    /// # Errors
    /// When the address cannot be listened on.
    pub async fn start_with(
        consumer: Consumer,
        secret: impl Into<String>,
        setup: Setup,
    ) -> io::Result<Self> {
        let listener = TcpListener::bind(setup.address).await?;
        let receiver = Self {
            address: listener.local_addr()?,
            tls: setup.tls,
            shared: Arc::new(Shared::new(consumer, secret.into(), setup.clock)),
            listening: Mutex::new(None),
        };
        *receiver.listening.lock().await = Some(receiver.listen(listener));
        Ok(receiver)
    }

    fn listen(&self, listener: TcpListener) -> Listening {
        let (stop, stopped) = oneshot::channel();
        let shared = Arc::clone(&self.shared);
        let task = tokio::spawn(connection::accept(listener, self.tls.clone(), shared, stopped));
        Listening { stop, task }
    }

    /// The URL to register as the endpoint. Every other path is served alike.
    pub fn url(&self) -> String {
        let scheme = if self.tls.is_some() { "https" } else { "http" };
        format!("{scheme}://{}/webhooks", self.address)
    }

    /// The address that it listens on, also while stopped.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Checks by `secret` from now on.
    pub fn set_secret(&self, secret: impl Into<String>) {
        self.shared.set_secret(secret.into());
    }

    /// Answers the next POSTs with these, one each, after those still to come from earlier calls;
    /// then goes on as before.
    pub fn answer_next(&self, answers: impl IntoIterator<Item = Answer>) {
        self.shared.answer_next(answers);
    }

    /// Answers every POST that is not answered by [`Receiver::answer_next`] with this; honestly
    /// again with `None`. A challenge is always answered honestly.
    pub fn answer_always(&self, answer: Option<Answer>) {
        self.shared.answer_always(answer);
    }

    /// What arrived so far, oldest first: the latest 64 MiB of it. Requests that are not HTTP/1 or
    /// pass a limit are answered but not listed.
    pub fn requests(&self) -> Vec<Received> {
        self.shared.look(<[Received]>::to_vec)
    }

    /// Each request from now on, when its answer is decided and not yet sent. Who falls 1,024
    /// behind misses some.
    pub fn on_received(&self) -> broadcast::Receiver<Received> {
        self.shared.on_received()
    }

    /// Waits until `count` requests have arrived since the start, and tells what arrived.
    ///
    /// # Errors
    /// When they have not arrived within 30 s of real time.
    pub async fn wait_for(&self, count: usize) -> Result<Vec<Received>> {
        let count = count as u64;
        self.wait_until(|requests| requests.last().map_or(0, |last| last.number) >= count)
            .await
            .map_err(|error| error.within(format!("{count} requests")))
    }

    /// Waits until what arrived meets `condition`, and tells what arrived.
    ///
    /// # Errors
    /// When it does not within 30 s of real time.
    pub async fn wait_until(
        &self,
        mut condition: impl FnMut(&[Received]) -> bool,
    ) -> Result<Vec<Received>> {
        let mut changes = self.shared.changes();
        let met = async {
            loop {
                let met =
                    self.shared.look(|requests| condition(requests).then(|| requests.to_vec()));
                if let Some(requests) = met {
                    return requests;
                }
                // The sender lives as long as this receiver, so there is always a next change.
                let _ = changes.changed().await;
            }
        };
        clock::within(WAIT_MAX, met).await.ok_or_else(|| {
            let last = self.shared.look(|requests| requests.last().map(|last| last.number));
            Error::unavailable(format!(
                "receiver `{}` waited in vain for {} s, with {} requests so far",
                self.url(),
                WAIT_MAX.as_secs(),
                last.unwrap_or(0),
            ))
        })
    }

    /// Goes down: closes the port, so that connections are refused, and every open connection.
    pub async fn stop(&self) {
        if let Some(Listening { stop, task }) = self.listening.lock().await.take() {
            drop(stop);
            // It fails only if the task panicked or was aborted, and is over then as well.
            let _ = task.await;
        }
    }

    /// Comes up again on the same port, with what it remembers. Nothing changes if it is up.
    ///
    /// # Errors
    /// When another process has taken the port meanwhile.
    pub async fn resume(&self) -> io::Result<()> {
        let mut listening = self.listening.lock().await;
        if listening.is_none() {
            let listener = TcpListener::bind(self.address).await?;
            *listening = Some(self.listen(listener));
        }
        Ok(())
    }
}
