//! A request as it arrived, and what the consumer made of it.

use crate::model::Timestamp;
use std::fmt;

/// What the consumer's checks said of a request.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Verdict {
    /// It is genuine and was understood.
    Accepted,
    /// It was not taken, for this reason.
    Refused(String),
}

impl Verdict {
    /// Whether the request was accepted.
    pub fn is_accepted(&self) -> bool {
        *self == Self::Accepted
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Accepted => f.write_str("accepted"),
            Self::Refused(reason) => write!(f, "refused: {reason}"),
        }
    }
}

/// A request that arrived. `Debug` shows neither headers nor body: an endpoint's credentials may be
/// in them.
#[derive(Clone)]
pub struct Received {
    /// Counts the requests since the start, from 1.
    pub number: u64,
    /// The method, like `POST`.
    pub method: String,
    /// The target, like `/webhooks?challenge=x`.
    pub target: String,
    /// The headers in order, names as written on the wire.
    pub headers: Vec<(String, String)>,
    /// Request line and headers, byte for byte, with the empty line that ends them.
    pub head: Vec<u8>,
    /// The body, byte for byte.
    pub body: Vec<u8>,
    /// What the checks said, whatever was answered.
    pub verdict: Verdict,
    /// The status of the answer; `None` when there was none.
    pub answered: Option<u16>,
    /// The ids by which the consumer tells duplicates, if it accepted the request: the event's, or
    /// those of a batch. OpenCard's page names none.
    pub event_ids: Vec<String>,
    /// Whether a request with the same ids was accepted before and answered with a success. One
    /// that failed is not held to have been processed.
    pub duplicate: bool,
    /// The time of day when the request was read to its end.
    pub received_at: Timestamp,
}

impl Received {
    /// The value of the first header of this name, in any casing.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .find(|(known, _)| known.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.as_str())
    }

    /// What it takes to keep it, about, in bytes.
    pub(super) fn size(&self) -> usize {
        // Headers are kept twice: as they came and taken apart.
        size_of::<Self>() + 2 * self.head.len() + self.body.len()
    }
}

impl fmt::Debug for Received {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Received")
            .field("number", &self.number)
            .field("method", &self.method)
            .field("target", &self.target)
            .field("body_bytes", &self.body.len())
            .field("verdict", &self.verdict)
            .field("answered", &self.answered)
            .field("event_ids", &self.event_ids)
            .field("duplicate", &self.duplicate)
            .field("received_at", &self.received_at)
            .finish_non_exhaustive()
    }
}
