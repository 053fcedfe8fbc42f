//! What sled shows and what is durable are not the same: a batch is seen by all readers while it is
//! still on its way to the disk. Whoever acts on what he read waits for that here, or a process
//! that is killed meanwhile has sent what it never knew.

use crate::error::{Error, Result};
use crate::model::{EndpointId, Timestamp};
use std::collections::HashMap;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

/// The queues that a batch on its way adds to, each with the earliest that it adds.
pub(super) type Coming = HashMap<EndpointId, Timestamp>;

/// How far batches have come. One thread applies them, one after the other.
#[derive(Default)]
pub(super) struct Durability {
    progress: Mutex<Progress>,
    ended: Condvar,
}

#[derive(Default)]
struct Progress {
    coming: Coming,
    /// How many batches ended.
    ended: u64,
    failed: bool,
}

impl Durability {
    /// Has `apply` put a batch on the disk, which adds to the queues that are `coming`.
    pub fn of<T>(&self, coming: Coming, apply: impl FnOnce() -> Result<T>) -> Result<T> {
        self.progress().coming = coming;
        // Whatever becomes of it, nobody waits for ever.
        let mut end = End { durability: self, failed: true };
        let applied = apply();
        end.failed = applied.is_err();
        applied
    }

    /// Waits until what could be read so far of an endpoint's queue, up to an instant, is durable.
    ///
    /// # Errors
    /// Fails when it will not be.
    pub fn wait(&self, endpoint: EndpointId, until: Timestamp) -> Result<()> {
        let mut progress = self.progress();
        let seen = progress.ended;
        if progress.coming.get(&endpoint).is_some_and(|due| *due <= until) {
            while progress.ended == seen {
                progress = self.ended.wait(progress).unwrap_or_else(PoisonError::into_inner);
            }
        }
        match progress.failed {
            true => Err(Error::unavailable("the store failed while it was read: try again")),
            false => Ok(()),
        }
    }

    fn progress(&self) -> MutexGuard<'_, Progress> {
        self.progress.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The end of a batch, told when it is dropped.
struct End<'a> {
    durability: &'a Durability,
    failed: bool,
}

impl Drop for End<'_> {
    fn drop(&mut self) {
        let mut progress = self.durability.progress();
        progress.coming.clear();
        progress.ended += 1;
        // The handles are dropped then, and nothing that they show counts any more.
        progress.failed |= self.failed;
        drop(progress);
        self.durability.ended.notify_all();
    }
}
