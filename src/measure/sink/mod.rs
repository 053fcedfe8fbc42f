//! The far end of all posts: a process of its own, so that what it costs is told apart.
//!
//! It does as little as a receiver can, on one thread: it finds where a request ends, notes whose it
//! is and when it came, and answers with 200 and no body. Of every [`SAMPLE`]th request it verifies
//! the signature, in code that shares nothing with what signs.

mod door;
mod request;

pub(super) use door::Sink;

use crate::clock::Clock;
use crate::error::{Error, Result};
use request::Request;
use serde::{Deserialize, Serialize};
use std::collections::HashSet;
use std::io::{BufRead, Write};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// What all endpoints' webhooks are signed with.
pub(super) const SECRET: &str = "a-secret-that-the-sink-knows";
/// Endpoints from this number on are not counted: retries of a backlog fall due beside what is
/// measured.
pub(super) const ASIDE: u32 = 1_000_000;
/// One signature of so many is verified.
const SAMPLE: usize = 64;
/// What every request is answered.
const ANSWER: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";

/// A request that came: the number at the end of its path, the number in its body, and when, in
/// microseconds of the machine's clock.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(super) struct Arrival(pub(super) u32, pub(super) u32, pub(super) i64);

/// What came since the last `clear`.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub(super) struct Tally {
    /// Requests that were answered.
    pub(super) requests: usize,
    /// Those to the endpoints asked about, with a number of endpoint and event that no other had.
    pub(super) distinct: usize,
    /// Bytes of heads and bodies.
    pub(super) bytes: u64,
    /// Signatures that were verified,
    pub(super) verified: usize,
    /// and those among them that were wrong.
    pub(super) wrong: usize,
}

#[derive(Default)]
struct State {
    arrivals: Vec<Arrival>,
    bytes: u64,
    verified: usize,
    wrong: usize,
    /// The endpoint that does not answer.
    hung: Option<u32>,
}

/// What the sink is told, a line each; it answers each with a line of JSON.
mod word {
    /// Forget what came.
    pub(super) const CLEAR: &str = "clear";
    /// How many requests came.
    pub(super) const COUNT: &str = "count";
    /// What came to the endpoint of the number that follows, and to greater ones that count.
    pub(super) const TALLY: &str = "tally ";
    /// The arrivals.
    pub(super) const ARRIVALS: &str = "arrivals";
    /// Endpoint 0 answers no more.
    pub(super) const HANG: &str = "hang";
    /// All answer.
    pub(super) const HEAL: &str = "heal";
}

impl State {
    /// Takes note of a request; false when it is to be left without an answer.
    fn take(&mut self, clock: &Clock, request: &Request<'_>) -> bool {
        let (endpoint, number) = (request.endpoint(), request.number());
        if self.hung == Some(endpoint) {
            return false;
        }
        if self.arrivals.len().is_multiple_of(SAMPLE) {
            self.verified += 1;
            self.wrong += usize::from(!request.is_genuine(SECRET));
        }
        self.bytes += request.len() as u64;
        self.arrivals.push(Arrival(endpoint, number, clock.wall().as_micros()));
        true
    }

    fn tally(&self, from: u32) -> Tally {
        let asked = |endpoint: &u32| (from..ASIDE).contains(endpoint);
        let asked = self.arrivals.iter().filter(|Arrival(endpoint, ..)| asked(endpoint));
        let distinct: HashSet<(u32, u32)> =
            asked.map(|Arrival(endpoint, number, _)| (*endpoint, *number)).collect();
        Tally {
            requests: self.arrivals.len(),
            distinct: distinct.len(),
            bytes: self.bytes,
            verified: self.verified,
            wrong: self.wrong,
        }
    }

    fn obey(&mut self, question: &str) -> serde_json::Result<String> {
        if let Some(from) = question.strip_prefix(word::TALLY) {
            return serde_json::to_string(&self.tally(from.parse().unwrap_or_default()));
        }
        match question {
            word::COUNT => serde_json::to_string(&self.arrivals.len()),
            word::ARRIVALS => serde_json::to_string(&self.arrivals),
            word::HANG | word::HEAL => {
                self.hung = (question == word::HANG).then_some(0);
                Ok("null".to_owned())
            }
            _ => {
                *self = Self { hung: self.hung, ..Self::default() };
                Ok("null".to_owned())
            }
        }
    }
}

/// Is the sink, until whoever started it is gone.
///
/// # Errors
/// Fails where the system gives it no port.
pub fn run() -> Result<()> {
    let failed = |error: std::io::Error| {
        Error::unavailable(format!("the sink cannot listen: {error}")).with_source(error)
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.map_err(failed)?.block_on(async {
        let listener = TcpListener::bind("127.0.0.1:0").await.map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        writeln!(std::io::stdout(), "{address}").map_err(failed)?;
        let state = Arc::new(Mutex::new(State::default()));
        let asked = Arc::clone(&state);
        std::thread::spawn(move || {
            answer_questions(&asked);
            std::process::exit(0);
        });
        let clock = Clock::system();
        loop {
            // Where one cannot be accepted, whoever posts sees it.
            let Ok((stream, _)) = listener.accept().await else { continue };
            tokio::spawn(serve(stream, Arc::clone(&state), clock.clone()));
        }
    })
}

fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Answers on standard output what is asked on standard input, until nobody is there any more.
fn answer_questions(state: &Mutex<State>) {
    for question in std::io::stdin().lock().lines() {
        let Ok(question) = question else { return };
        let Ok(answer) = lock(state).obey(&question) else { return };
        if writeln!(std::io::stdout(), "{answer}").is_err() {
            return;
        }
    }
}

/// Serves a connection until its client or something else ends it.
async fn serve(mut stream: TcpStream, state: Arc<Mutex<State>>, clock: Clock) {
    let _ = stream.set_nodelay(true);
    let mut buffer = Vec::with_capacity(8192);
    while stream.read_buf(&mut buffer).await.is_ok_and(|read| read > 0) {
        while let Some(request) = Request::parse(&buffer) {
            let is_answered = lock(&state).take(&clock, &request);
            let length = request.len();
            buffer.drain(..length);
            if is_answered && stream.write_all(ANSWER).await.is_err() {
                return;
            }
        }
    }
}
