//! Storage that failed: opened again, with what may not be lost meanwhile.
//!
//! Whether a commit that failed is there, storage tells when it is open again. Until then nobody
//! gets a "no" that may not be true, but for new events: who emits waits for no disk, and one that
//! turns out to be there is delivered.

use super::reply::Reply;
use super::{Accepted, Committer, Gathered, NewAcceptance, Operation, answer, copy};
use crate::clock::Stopwatch;
use crate::error::{Error, ErrorKind, Result};
use crate::model::{Event, EventId};
use crate::store::{Change, Record};
use backoff::ExponentialBackoff;
use backoff::backoff::Backoff;
use std::collections::{HashSet, VecDeque};
use std::sync::mpsc::RecvTimeoutError;
use std::time::Duration;

/// A commit of which it is not known whether it is there.
pub(super) struct Failed {
    pub(super) gathered: Gathered,
    /// The last commit before it; the greatest number where it cannot be there.
    pub(super) before: u64,
    pub(super) error: Error,
}

/// What is kept of commits that failed: what happened, or was not refused.
#[derive(Default)]
struct Kept {
    failed: Option<Box<Failed>>,
    /// Events that were refused. They may be there all the same.
    refused: HashSet<EventId>,
    records: VecDeque<(Record, Reply<Record>)>,
    changes: VecDeque<(Vec<Change>, Reply<()>)>,
    insisted: VecDeque<(Vec<NewAcceptance>, Reply<Vec<Accepted>>)>,
    /// Something among it cannot be committed, whatever the state of the disk.
    apart: bool,
}

impl Kept {
    /// Keeps a commit that failed, and refuses the events that came with it.
    fn keep(&mut self, mut failed: Box<Failed>) {
        for (accepted, reply) in std::mem::take(&mut failed.gathered.accepted) {
            let new = accepted.iter().filter(|accepted| !accepted.repeated);
            self.refused.extend(new.map(|accepted| accepted.acceptance.event.id));
            reply.send(Err(copy(&failed.error)));
        }
        self.apart |= !failed.error.is_unavailable();
        self.failed = Some(failed);
    }

    /// Whether nothing is left that is to be committed.
    fn is_empty(&self) -> bool {
        self.records.is_empty() && self.changes.is_empty() && self.insisted.is_empty()
    }

    /// Takes apart a commit that is not there.
    fn take_back(&mut self, gathered: Gathered) {
        let records = gathered.batch.record.into_iter().zip(gathered.recorded);
        let mut changes = gathered.batch.change.into_iter();
        let changed = gathered
            .changed
            .into_iter()
            .map(|(count, reply)| (changes.by_ref().take(count).collect(), reply));
        let anew = |(accepted, reply): (Vec<Accepted>, _)| {
            (accepted.iter().map(Accepted::anew).collect(), reply)
        };
        let insisted = gathered.insisted.into_iter().map(anew).chain(gathered.unread);
        // What came later comes after it.
        put_before(&mut self.records, records);
        put_before(&mut self.changes, changed);
        put_before(&mut self.insisted, insisted);
    }
}

fn put_before<T>(all: &mut VecDeque<T>, first: impl Iterator<Item = T>) {
    let later = std::mem::take(all);
    *all = first.chain(later).collect();
}

impl Accepted {
    /// The event as it was before it had an id: the commit in which it got that is not there.
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
    pub(super) fn recover(&mut self, failed: Box<Failed>) {
        let mut kept = Kept::default();
        kept.keep(failed);
        let mut waits = ExponentialBackoff {
            initial_interval: Duration::from_millis(100),
            max_interval: Duration::from_secs(5),
            max_elapsed_time: None,
            ..ExponentialBackoff::default()
        };
        loop {
            let wait = waits.next_backoff().unwrap_or(Duration::from_secs(5));
            let closing = self.refuse_for(wait, &mut kept);
            let reopened = self
                .store
                .reopen()
                .and_then(|()| self.tell_whether_it_is_there(&mut kept))
                .and_then(|()| self.commit_kept(&mut kept));
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

    /// Answers everybody who has a part in the commit that failed if it is there, and takes it apart
    /// if not.
    fn tell_whether_it_is_there(&self, kept: &mut Kept) -> Result<()> {
        let last = self.store.last_commit()?;
        if let Some(failed) = kept.failed.take() {
            match last > failed.before {
                true => answer(failed.gathered),
                false => kept.take_back(failed.gathered),
            }
        }
        Ok(())
    }

    /// Commits what was kept: at once, or where something of it fails for a reason of its own, each
    /// by itself. Events that are there already are known by their idempotency keys.
    fn commit_kept(&mut self, kept: &mut Kept) -> Result<()> {
        let at_once = if kept.apart { 1 } else { usize::MAX };
        loop {
            for (events, reply) in take(&mut kept.insisted, at_once) {
                self.gather_insisted(events, reply);
            }
            let mut gathered = self.take_gathered();
            let left = at_once.saturating_sub(gathered.insisted.len());
            let records = take(&mut kept.records, left);
            (gathered.batch.record, gathered.recorded) = records.into_iter().unzip();
            let left = left.saturating_sub(gathered.recorded.len());
            for (changes, reply) in take(&mut kept.changes, left) {
                gathered.changed.push((changes.len(), reply));
                gathered.batch.change.extend(changes);
            }
            let is_last = kept.is_empty();
            match self.commit_gathered(gathered) {
                Ok(()) if is_last => return Ok(()),
                Ok(()) => {}
                Err(failed) if kept.apart && !failed.error.is_unavailable() => {
                    self.give_up(failed, kept)?;
                    if is_last {
                        return Ok(());
                    }
                }
                Err(failed) => {
                    let error = copy(&failed.error);
                    kept.keep(failed);
                    return Err(error);
                }
            }
        }
    }

    /// Gives up one of those that were committed by themselves, as what it needs is damaged. Kept as
    /// it is while the store cannot tell whether it is there all the same.
    fn give_up(&self, failed: Box<Failed>, kept: &mut Kept) -> Result<()> {
        let last = match self.store.reopen().and_then(|()| self.store.last_commit()) {
            Ok(last) => last,
            Err(error) => {
                kept.keep(failed);
                return Err(error);
            }
        };
        let Failed { gathered, before, error } = *failed;
        if last > before {
            answer(gathered);
            return Ok(());
        }
        let Gathered { insisted, unread, recorded, changed, batch, .. } = gathered;
        for Record { endpoint, attempt, .. } in &batch.record {
            let webhook = attempt.webhook;
            tracing::error!(%endpoint, %webhook, %error, "an attempt cannot be put on record");
        }
        insisted.into_iter().for_each(|(_, reply)| reply.send(Err(copy(&error))));
        unread.into_iter().for_each(|(_, reply)| reply.send(Err(copy(&error))));
        recorded.into_iter().for_each(|reply| reply.send(Err(copy(&error))));
        changed.into_iter().for_each(|(_, reply)| reply.send(Err(copy(&error))));
        Ok(())
    }

    /// Takes what is to be kept and refuses the rest for a while; true when the engine is closing.
    fn refuse_for(&mut self, wait: Duration, kept: &mut Kept) -> bool {
        let refusal = || {
            Error::new(ErrorKind::Unavailable, "the store failed and is being reopened: try again")
        };
        let watch = Stopwatch::start();
        while let Some(left) = wait.checked_sub(watch.elapsed()) {
            match self.receiver.recv_timeout(left) {
                Ok(Operation::Record(record, reply)) => kept.records.push_back((*record, reply)),
                Ok(Operation::Insist(events, reply)) => kept.insisted.push_back((events, reply)),
                Ok(Operation::Accept(_, reply)) => reply.send(Err(refusal())),
                Ok(Operation::Change(_, reply)) => reply.send(Err(refusal())),
                Ok(Operation::Expire(_, reply)) => reply.send(Err(refusal())),
                Ok(Operation::Expunge(_, reply)) => reply.send(Err(refusal())),
                Ok(Operation::Close(reply)) => {
                    self.gathered.close = Some(reply);
                    return true;
                }
                Err(RecvTimeoutError::Timeout) => break,
                Err(RecvTimeoutError::Disconnected) => return true,
            }
        }
        self.gathered.close.is_some()
    }
}

/// Takes out the first, so many at most.
fn take<T>(all: &mut VecDeque<T>, most: usize) -> Vec<T> {
    all.drain(..most.min(all.len())).collect()
}
