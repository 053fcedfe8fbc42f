//! What sled shows and what is durable are not the same: a batch is seen by all readers while it is
//! still on its way to the disk. Whoever acts on what he read waits for that here, or a process
//! that is killed meanwhile has sent what it never knew.

use crate::error::{Error, Result};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

/// How far batches have come. One thread applies them, one after the other.
#[derive(Default)]
pub(super) struct Durability {
    progress: Mutex<Progress>,
    ended: Condvar,
}

#[derive(Default)]
struct Progress {
    begun: u64,
    durable: u64,
    failed: bool,
}

impl Durability {
    /// Has `apply` put a batch on the disk.
    pub fn of<T>(&self, apply: impl FnOnce() -> Result<T>) -> Result<T> {
        self.progress().begun += 1;
        let applied = apply();
        let mut progress = self.progress();
        match applied {
            Ok(_) => progress.durable = progress.begun,
            // These handles are dropped, and nothing that they show counts any more.
            Err(_) => progress.failed = true,
        }
        drop(progress);
        self.ended.notify_all();
        applied
    }

    /// Waits until all that could be read so far is durable.
    ///
    /// # Errors
    /// Fails when it will not be.
    pub fn wait(&self) -> Result<()> {
        let mut progress = self.progress();
        let seen = progress.begun;
        while progress.durable < seen && !progress.failed {
            progress = self.ended.wait(progress).unwrap_or_else(PoisonError::into_inner);
        }
        match progress.durable < seen {
            true => Err(Error::unavailable("the store failed while it was read: try again")),
            false => Ok(()),
        }
    }

    fn progress(&self) -> MutexGuard<'_, Progress> {
        self.progress.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
