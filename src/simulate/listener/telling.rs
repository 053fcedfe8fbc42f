//! What a listener tells who watches it, and how it counts that.

use super::arrived::{Answered, Arrived};
use super::verdict::Verdict;
use crate::error::Error;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::broadcast;

/// How far who watches may fall behind.
const BACKLOG_MAX: usize = 2048;

/// What a listener tells who watches it.
#[derive(Clone, Debug)]
pub enum Arrival {
    /// A request arrived and is remembered, with what is meant to be answered.
    Request(Arc<Arrived>),
    /// It is known, and remembered, what came of the answer to a request.
    Answered {
        /// The number of the request.
        number: u64,
        /// The answer and its outcome.
        answer: Arc<Answered>,
    },
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

/// How much arrived at a listener since it was started, by what the checks said.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Counts {
    /// Requests from the provider, and of now.
    pub genuine: u64,
    /// Challenges.
    pub challenges: u64,
    /// Requests that an honest consumer does not take.
    pub refused: u64,
    /// Requests that were not checked.
    pub unchecked: u64,
    /// What could not be read.
    pub unreadable: u64,
}

/// Tells, and counts whether somebody listens or not.
pub(super) struct Telling {
    watched: broadcast::Sender<Arrival>,
    counts: Mutex<Counts>,
}

impl Telling {
    pub(super) fn new() -> (Arc<Self>, broadcast::Receiver<Arrival>) {
        let (watched, watching) = broadcast::channel(BACKLOG_MAX);
        (Arc::new(Self { watched, counts: Mutex::default() }), watching)
    }

    pub(super) fn tell(&self, arrival: Arrival) {
        if let Ok(mut counts) = self.counts.lock() {
            counts.add(&arrival);
        }
        // It fails only where nobody watches.
        let _ = self.watched.send(arrival);
    }

    pub(super) fn counts(&self) -> Counts {
        *self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Counts {
    fn add(&mut self, arrival: &Arrival) {
        let counted = match arrival {
            Arrival::Request(arrived) => match arrived.verdict {
                Verdict::Genuine => &mut self.genuine,
                Verdict::Challenge => &mut self.challenges,
                Verdict::Refused(_) => &mut self.refused,
                Verdict::Unchecked(_) => &mut self.unchecked,
            },
            Arrival::Unreadable { .. } => &mut self.unreadable,
            Arrival::Answered { .. } | Arrival::Failed(_) => return,
        };
        *counted += 1;
    }
}
