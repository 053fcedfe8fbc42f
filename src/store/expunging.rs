//! What is expunged, and whether it may be; the same for every store.

use crate::error::{Error, Result};
use crate::model::{AttemptPosition, EventId};
use crate::store::{Store, ledger};

/// What is taken out of the history for good.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Expunge {
    /// The data of an event. The bodies of the attempts that carried it follow: see
    /// [`ledger::attempts_that_carried`].
    Event(EventId),
    /// The bodies of the attempts at these positions.
    Attempts(Vec<AttemptPosition>),
}

/// Refuses an event that is not there, or of which something waits.
///
/// # Errors
/// As for [`Store::expunge`].
pub(super) fn check(store: &dyn Store, event: EventId) -> Result<()> {
    let Some(happened) = store.happened(&[event], usize::MAX)?.pop() else {
        return Err(Error::not_found(format!("event `{event}` does not exist or has expired")));
    };
    match ledger::is_finished(store, &happened.acceptance, &happened.entries)? {
        true => Ok(()),
        false => Err(Error::conflict(format!(
            "event `{event}` is still on its way: it can be expunged once nothing of it waits"
        ))),
    }
}
