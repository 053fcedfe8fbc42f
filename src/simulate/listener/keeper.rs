//! The thread that remembers: many requests that come at once share a commit.

use super::arrived::{Answered, Arrived, Remembered};
use super::memory::Memory;
use super::{Arrival, Telling};
use crate::error::{Error, Result};
use bytes::Bytes;
use std::sync::Arc;
use std::thread::JoinHandle;
use tokio::sync::{mpsc, oneshot};

/// Jobs that wait to be done.
const WAITING_MAX: usize = 256;
/// Jobs of one commit at most.
const BATCH_MAX: usize = 64;
/// Bytes of bodies from which on a commit takes no more requests.
const BATCH_BYTES_MAX: usize = 8 * 1024 * 1024;

/// Hands what is to be remembered to the thread.
pub(super) struct Keeper(mpsc::Sender<Job>);

enum Job {
    Request { request: Box<Remembered>, done: oneshot::Sender<Arc<Arrived>> },
    Answer(u64, Answered),
}

impl Keeper {
    /// Starts the thread. It ends when the keeper was dropped and everything is remembered, or when
    /// it fails to remember, which who watches is told.
    pub(super) fn start(
        memory: Arc<Memory>,
        telling: Arc<Telling>,
    ) -> Result<(Self, JoinHandle<()>)> {
        let (jobs, waiting) = mpsc::channel(WAITING_MAX);
        let thread = std::thread::Builder::new()
            .name("hookwheel-received".to_owned())
            .spawn(move || run(&memory, &telling, waiting))
            .map_err(|error| {
                Error::unavailable(format!("the system gives no thread: {error}"))
                    .with_source(error)
            })?;
        Ok((Self(jobs), thread))
    }

    /// Remembers a request, durably, and returns it with its number; `None` when it cannot.
    pub(super) async fn remember(&self, arrived: Arrived, body: Bytes) -> Option<Arc<Arrived>> {
        let (done, kept) = oneshot::channel();
        let request = Box::new(Remembered { arrived, body });
        self.0.send(Job::Request { request, done }).await.ok()?;
        kept.await.ok()
    }

    /// Has the answer to a request remembered soon, in place of what was meant to be answered.
    pub(super) async fn answered(&self, number: u64, answer: Answered) {
        // It fails only when nothing can be remembered any more, which was told.
        let _ = self.0.send(Job::Answer(number, answer)).await;
    }
}

/// What is remembered in one commit.
#[derive(Default)]
struct Batch {
    requests: Vec<Remembered>,
    done: Vec<oneshot::Sender<Arc<Arrived>>>,
    answers: Vec<(u64, Answered)>,
    bytes: usize,
}

impl Batch {
    fn add(&mut self, job: Job) {
        match job {
            Job::Request { request, done } => {
                self.bytes += request.body.len();
                self.requests.push(*request);
                self.done.push(done);
            }
            Job::Answer(number, answer) => self.answers.push((number, answer)),
        }
    }

    fn is_full(&self) -> bool {
        self.requests.len() + self.answers.len() >= BATCH_MAX || self.bytes >= BATCH_BYTES_MAX
    }
}

fn run(memory: &Memory, telling: &Telling, mut waiting: mpsc::Receiver<Job>) {
    while let Some(first) = waiting.blocking_recv() {
        let mut batch = Batch::default();
        batch.add(first);
        while !batch.is_full()
            && let Ok(job) = waiting.try_recv()
        {
            batch.add(job);
        }
        if let Err(error) = memory.remember(&mut batch.requests, &batch.answers) {
            telling.tell(Arrival::Failed(Arc::new(error)));
            return;
        }
        for (request, done) in batch.requests.into_iter().zip(batch.done) {
            let arrived = Arc::new(request.arrived);
            telling.tell(Arrival::Request(Arc::clone(&arrived)));
            // It fails where the connection has been closed meanwhile.
            let _ = done.send(arrived);
        }
        for (number, answer) in batch.answers {
            telling.tell(Arrival::Answered { number, answer: Arc::new(answer) });
        }
    }
}
