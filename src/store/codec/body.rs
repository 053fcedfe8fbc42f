//! Bodies that were sent, as they are stored.

use crate::error::{Error, Result};
use crate::store::Record;
use bytes::Bytes;
use serde::{Deserialize, Serialize};

/// A sent body. Most are an event's data with something around it, and the data is there already.
/// One that was expunged is not there at all.
#[derive(Serialize, Deserialize)]
pub(super) enum StoredBody {
    Whole(Bytes),
    AroundData { head: Bytes, tail: Bytes },
    Expunged,
}

impl StoredBody {
    /// The body that `record` sent, apart from the event's data where it holds that.
    pub(super) fn of(record: &Record) -> Self {
        if record.attempt.expunged {
            return Self::Expunged;
        }
        let body = &record.attempt.request.body;
        // A formed webhook's events may be gone before it is, so it keeps its bodies itself.
        if let [event] = record.events.as_slice()
            && event.id.as_u128() == record.attempt.webhook.as_u128()
        {
            let data = event.data.bytes();
            if let Some(at) = position(body, &data) {
                return Self::AroundData {
                    head: body.slice(..at),
                    tail: body.slice(at + data.len()..),
                };
            }
        }
        Self::Whole(body.clone())
    }

    /// The whole body, given the event's data.
    pub(super) fn restore(self, data: &[u8]) -> Result<Bytes> {
        Ok(match self {
            Self::Expunged => Bytes::new(),
            Self::Whole(body) => body,
            // Nothing would be left of the middle: what was sent is not made up.
            Self::AroundData { .. } if data.is_empty() => {
                return Err(Error::unreadable("the event of an attempt is not in the store"));
            }
            Self::AroundData { head, tail } => [&head, data, &tail].concat().into(),
        })
    }
}

/// Where `data` begins in `body`. Its beginning is looked for, and only few of the places compared:
/// to prepare a search for all of a long text costs more than the rest of writing an attempt.
fn position(body: &[u8], data: &[u8]) -> Option<usize> {
    let beginning = data.get(..data.len().min(BEGINNING))?;
    let places = memchr::memmem::find_iter(body, beginning).take(PLACES_MAX);
    places.into_iter().find(|at| body.get(*at..).is_some_and(|rest| rest.starts_with(data)))
}

/// Bytes of an event's data that are looked for.
const BEGINNING: usize = 16;
/// Places that are compared; data that is not found is stored a second time.
const PLACES_MAX: usize = 8;
