//! Storage that failed: opened again, with what may not be lost meanwhile.

use super::reply::Reply;
use super::{Committer, Operation, answer_recorded};
use crate::clock::Stopwatch;
use crate::error::{Error, ErrorKind};
use crate::model::EventId;
use crate::store::{Batch, Record};
use backoff::ExponentialBackoff;
use backoff::backoff::Backoff;
use std::collections::HashSet;
use std::sync::mpsc::RecvTimeoutError;
use std::time::Duration;

impl Committer {
    /// Reopens storage, with growing waits, and commits the attempts that were made meanwhile:
    /// they happened, and cannot be refused like new events.
    pub(super) fn recover(
        &mut self,
        refused: HashSet<EventId>,
        mut kept: Batch,
        mut waiting: Vec<Reply<Record>>,
    ) {
        let mut waits = ExponentialBackoff {
            initial_interval: Duration::from_millis(100),
            max_interval: Duration::from_secs(5),
            max_elapsed_time: None,
            ..ExponentialBackoff::default()
        };
        loop {
            let wait = waits.next_backoff().unwrap_or(Duration::from_secs(5));
            let closing = self.refuse_for(wait, &mut kept.record, &mut waiting);
            let reopened = self.store.reopen().and_then(|()| self.commit_batch(&kept));
            match reopened {
                Ok(()) => {
                    tracing::info!("the store is back");
                    answer_recorded(waiting, kept.record);
                    (self.on_reopened)(refused);
                    return;
                }
                Err(error) if closing => {
                    tracing::error!(%error, lost = kept.record.len(), "closing with a failed store");
                    return;
                }
                Err(error) => tracing::warn!(%error, "the store is still failing"),
            }
        }
    }

    /// Takes attempts and refuses the rest for a while; true when the engine is closing.
    fn refuse_for(
        &mut self,
        wait: Duration,
        records: &mut Vec<Record>,
        waiting: &mut Vec<Reply<Record>>,
    ) -> bool {
        let refusal = || {
            Error::new(ErrorKind::Unavailable, "the store failed and is being reopened: try again")
        };
        let watch = Stopwatch::start();
        while let Some(left) = wait.checked_sub(watch.elapsed()) {
            match self.receiver.recv_timeout(left) {
                Ok(Operation::Record(record, reply)) => {
                    records.push(*record);
                    waiting.push(reply);
                }
                Ok(Operation::Accept(_, reply)) => reply.send(Err(refusal())),
                Ok(Operation::Change(_, reply)) => reply.send(Err(refusal())),
                Ok(Operation::Expire(_, reply)) => reply.send(Err(refusal())),
                Ok(Operation::Expunge(_, reply)) => reply.send(Err(refusal())),
                Ok(Operation::Close(reply)) => {
                    self.gathered.close = Some(reply);
                    return true;
                }
                Err(RecvTimeoutError::Timeout) => return false,
                Err(RecvTimeoutError::Disconnected) => return true,
            }
        }
        self.gathered.close.is_some()
    }
}
