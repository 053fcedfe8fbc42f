//! How much an operation writes: what bounds a commit, since everybody waits for the whole of it.

use super::{NewAcceptance, Operation};
use crate::store::{Change, Place};

impl Operation {
    /// How many things it writes, counted as one where it writes none: that takes a while, too.
    pub(super) fn size(&self) -> usize {
        let written = match self {
            Self::Accept(events, _) | Self::Insist(events, _) => {
                events.iter().map(event_size).sum()
            }
            Self::Change(changes, _) => changes.iter().map(change_size).sum(),
            Self::Record(..) | Self::Expire(..) | Self::Expunge(..) | Self::Close(_) => 1,
        };
        written.max(1)
    }
}

/// An event lies in a page with others; what is queued of it has a key for each endpoint.
fn event_size(new: &NewAcceptance) -> usize {
    1 + new.deliveries.iter().filter(|(_, place)| *place == Place::Queued).count()
}

fn change_size(change: &Change) -> usize {
    match change {
        Change::Form { dequeue, .. } => 1 + dequeue.len(),
        _ => 1,
    }
}
