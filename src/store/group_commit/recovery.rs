//! Storage that failed: opened again, with what may not be lost meanwhile.

use super::reply::Reply;
use super::{Accepted, Committer, Gathered, NewAcceptance, Operation, answer};
use crate::clock::Stopwatch;
use crate::error::{Error, ErrorKind, Result};
use crate::model::{Event, EventId};
use crate::store::Record;
use backoff::ExponentialBackoff;
use backoff::backoff::Backoff;
use std::collections::HashSet;
use std::sync::mpsc::RecvTimeoutError;
use std::time::Duration;

/// What is kept of commits that failed: what happened, and cannot be refused like new events.
pub(super) struct Kept {
    /// Every event of these commits. They may have reached the disk.
    refused: HashSet<EventId>,
    records: Vec<(Record, Reply<Record>)>,
    insisted: Vec<(Vec<NewAcceptance>, Reply<Vec<Accepted>>)>,
}

impl Kept {
    /// Takes it out of a commit that failed.
    pub(super) fn of(gathered: &mut Gathered) -> Self {
        let records = std::mem::take(&mut gathered.batch.record).into_iter();
        let records = records.zip(std::mem::take(&mut gathered.recorded)).collect();
        let insisted = std::mem::take(&mut gathered.insisted).into_iter();
        let anew = |(accepted, reply): (Vec<Accepted>, _)| {
            (accepted.iter().map(Accepted::anew).collect(), reply)
        };
        let refused = gathered.batch.accept.iter().map(|held| held.event.id).collect();
        let unread = std::mem::take(&mut gathered.unread);
        Self { refused, records, insisted: insisted.map(anew).chain(unread).collect() }
    }
}

impl Accepted {
    /// The event as it was before it had an id: whether the commit in which it got that is on the
    /// disk is not known.
    fn anew(&self) -> NewAcceptance {
        let held = &self.acceptance;
        NewAcceptance {
            event: Event::clone(&held.event),
            due: held.due,
            deliveries: held.deliveries.clone(),
            request_digest: held.request_digest,
        }
    }
}

impl Committer {
    /// Reopens storage, with growing waits, and commits what was kept.
    pub(super) fn recover(&mut self, mut kept: Kept) {
        let mut waits = ExponentialBackoff {
            initial_interval: Duration::from_millis(100),
            max_interval: Duration::from_secs(5),
            max_elapsed_time: None,
            ..ExponentialBackoff::default()
        };
        loop {
            let wait = waits.next_backoff().unwrap_or(Duration::from_secs(5));
            let closing = self.refuse_for(wait, &mut kept);
            let reopened = self.store.reopen().and_then(|()| self.commit_kept(&mut kept));
            match reopened {
                Ok(()) => {
                    tracing::info!("the store is back");
                    (self.on_reopened)(kept.refused);
                    return;
                }
                Err(error) if closing => {
                    tracing::error!(%error, lost = kept.records.len(), "closing with a failed store");
                    return;
                }
                Err(error) => tracing::warn!(%error, "the store is still failing"),
            }
        }
    }

    /// Commits what was kept. Events that are there already are known by their idempotency keys.
    fn commit_kept(&mut self, kept: &mut Kept) -> Result<()> {
        for (events, reply) in std::mem::take(&mut kept.insisted) {
            self.gather_insisted(events, reply);
        }
        let mut gathered = self.take_gathered();
        (gathered.batch.record, gathered.recorded) =
            std::mem::take(&mut kept.records).into_iter().unzip();
        let committed = self.commit_gathered(&gathered);
        match committed {
            Ok(()) => answer(gathered, &Ok(())),
            Err(_) => {
                let again = Kept::of(&mut gathered);
                kept.refused.extend(again.refused);
                (kept.records, kept.insisted) = (again.records, again.insisted);
            }
        }
        committed
    }

    /// Takes what is to be kept and refuses the rest for a while; true when the engine is closing.
    fn refuse_for(&mut self, wait: Duration, kept: &mut Kept) -> bool {
        let refusal = || {
            Error::new(ErrorKind::Unavailable, "the store failed and is being reopened: try again")
        };
        let watch = Stopwatch::start();
        while let Some(left) = wait.checked_sub(watch.elapsed()) {
            match self.receiver.recv_timeout(left) {
                Ok(Operation::Record(record, reply)) => kept.records.push((*record, reply)),
                Ok(Operation::Insist(events, reply)) => kept.insisted.push((events, reply)),
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
