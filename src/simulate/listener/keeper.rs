//! The thread that remembers: many requests that come at once share a commit.

use super::Arrival;
use super::arrived::{Arrived, Remembered};
use super::memory::Memory;
use crate::error::{Error, Result};
use std::sync::Arc;
use std::thread::JoinHandle;
use tokio::sync::{broadcast, mpsc, oneshot};

/// Requests that wait to be remembered.
const WAITING_MAX: usize = 256;
/// Requests of one commit at most.
const BATCH_MAX: usize = 64;
/// Bytes of bodies from which on a commit takes no more requests.
const BATCH_BYTES_MAX: usize = 8 * 1024 * 1024;

/// Hands requests to the thread.
pub(super) struct Keeper(mpsc::Sender<Job>);

struct Job {
    request: Remembered,
    done: oneshot::Sender<()>,
}

impl Keeper {
    /// Starts the thread. It ends when the keeper was dropped and everything is remembered, or when
    /// it fails to remember, which `arrivals` are told.
    pub(super) fn start(
        memory: Arc<Memory>,
        arrivals: broadcast::Sender<Arrival>,
    ) -> Result<(Self, JoinHandle<()>)> {
        let (jobs, waiting) = mpsc::channel(WAITING_MAX);
        let thread = std::thread::Builder::new()
            .name("hookwheel-received".to_owned())
            .spawn(move || run(&memory, &arrivals, waiting))
            .map_err(|error| {
                Error::unavailable(format!("the system gives no thread: {error}"))
                    .with_source(error)
            })?;
        Ok((Self(jobs), thread))
    }

    /// Remembers a request; when it returns `true`, durably.
    pub(super) async fn remember(&self, arrived: Arrived, body: Vec<u8>) -> bool {
        let (done, kept) = oneshot::channel();
        let request = Remembered { arrived, body };
        self.0.send(Job { request, done }).await.is_ok() && kept.await.is_ok()
    }
}

fn run(memory: &Memory, arrivals: &broadcast::Sender<Arrival>, mut waiting: mpsc::Receiver<Job>) {
    while let Some(first) = waiting.blocking_recv() {
        let mut bytes = first.request.body.len();
        let mut requests = vec![first.request];
        let mut done = vec![first.done];
        while requests.len() < BATCH_MAX
            && bytes < BATCH_BYTES_MAX
            && let Ok(job) = waiting.try_recv()
        {
            bytes += job.request.body.len();
            requests.push(job.request);
            done.push(job.done);
        }
        // It fails only where nobody listens.
        if let Err(error) = memory.remember(&mut requests) {
            let _ = arrivals.send(Arrival::Failed(Arc::new(error)));
            return;
        }
        for request in requests {
            let _ = arrivals.send(Arrival::Request(Arc::new(request.arrived)));
        }
        for done in done {
            // Nor is its sender always still there.
            let _ = done.send(());
        }
    }
}
