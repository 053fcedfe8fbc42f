//! A request that arrived, as it is remembered.

use super::told::ToldEvent;
use super::verdict::Verdict;
use crate::model::Timestamp;
use crate::simulate::receiver::answer::{Answer, Manner};
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::net::SocketAddr;
use std::time::Duration;

/// Bytes of an answer's body that are remembered.
const ANSWER_BODY_BYTES_MAX: usize = 16 * 1024;

/// A request without its body. `Debug` shows no headers: credentials may be in them.
#[derive(Clone, Serialize, Deserialize)]
pub struct Arrived {
    /// Counts the requests of a folder, from 1; no number is given twice.
    pub number: u64,
    /// When it was read to its end.
    pub received_at: Timestamp,
    /// Who sent it.
    pub from: SocketAddr,
    /// The address of ours that it was sent to.
    pub to: SocketAddr,
    /// The method, like `POST`.
    pub method: String,
    /// The target, like `/webhooks?a=b`.
    pub target: String,
    /// Request line and headers, byte for byte, with the empty line that ends them.
    pub head: Vec<u8>,
    /// How long the body is, in bytes.
    pub body_bytes: usize,
    /// The events that it says it carries, the first 250 of them.
    pub events: Vec<ToldEvent>,
    /// What the checks said.
    pub verdict: Verdict,
    /// What is to be known beside the verdict, if anything is.
    pub note: Option<String>,
    /// What it is answered with, and what came of that.
    pub answer: Answered,
}

/// A request as it came.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Remembered {
    /// All but the body.
    pub arrived: Arrived,
    /// The body, byte for byte; put together where it came in chunks.
    pub body: Bytes,
}

/// What a request is answered with.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Answered {
    /// How the exchange ends.
    pub ending: Ending,
    /// Milliseconds that were waited on purpose before that.
    pub delay_ms: u64,
    /// Whose answer it was.
    pub by: AnsweredBy,
    /// Its headers; without `Content-Length` and `Connection`, which are added.
    pub headers: Vec<(String, String)>,
    /// The first 16 KiB of its body.
    pub body: Vec<u8>,
    /// What came of it.
    pub outcome: Outcome,
}

/// What came of an answer.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// Nothing so far; for good where the listener ended before.
    Open,
    /// It went out.
    Given,
    /// It could not be given: the sender had gone.
    SenderGone,
}

/// How an exchange ends.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Ending {
    /// With an answer of this status.
    Status(u16),
    /// With nothing, on a connection that stays open until the sender closes it.
    Hang,
    /// With the connection closed.
    Close,
    /// It has not ended: the handler has not answered.
    Awaited,
}

/// Whose answer a request got.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AnsweredBy {
    /// That of an honest consumer.
    Honest,
    /// One that the listener was told to give.
    Told,
    /// The handler's that the request goes on to.
    Handler {
        /// Milliseconds from the connection to the last byte of the answer, once that has come.
        took_ms: Option<u64>,
    },
    /// Ours, since no answer of the handler's was to be had, for this reason.
    Unreached {
        /// What was in the way.
        reason: String,
    },
}

impl Answered {
    pub(super) fn new(answer: &Answer, by: AnsweredBy) -> Self {
        let kept = answer.body.len().min(ANSWER_BODY_BYTES_MAX);
        Self {
            ending: match answer.manner {
                Manner::Status(status) => Ending::Status(status),
                Manner::Hang => Ending::Hang,
                Manner::Close => Ending::Close,
            },
            delay_ms: u64::try_from(answer.after.as_millis()).unwrap_or(u64::MAX),
            by,
            headers: answer.headers.clone(),
            body: answer.body.get(..kept).unwrap_or_default().to_vec(),
            outcome: Outcome::Open,
        }
    }

    /// The handler's, which is still to come, and so much later than it comes.
    pub(super) fn awaited(delay: Duration) -> Self {
        let nothing = Answer::close().after(delay);
        let by = AnsweredBy::Handler { took_ms: None };
        Self { ending: Ending::Awaited, ..Self::new(&nothing, by) }
    }
}

impl Arrived {
    /// The lines of the head without the request line, byte for byte and without their ends.
    pub fn header_lines(&self) -> impl Iterator<Item = &[u8]> {
        let lines = self.head.split(|byte| *byte == b'\n');
        let lines = lines.map(|line| line.strip_suffix(b"\r").unwrap_or(line));
        lines.skip_while(|line| line.is_empty()).skip(1).take_while(|line| !line.is_empty())
    }

    /// The version that the request line ends with, like `HTTP/1.1`.
    pub fn version(&self) -> Option<&[u8]> {
        let line =
            self.head.split(|byte| *byte == b'\n').find(|line| !line.trim_ascii().is_empty())?;
        line.trim_ascii().rsplit(|byte| *byte == b' ').next()
    }

    /// The headers in order: name and value, with the space around the value gone.
    pub fn headers(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        self.header_lines().filter_map(|line| {
            let colon = memchr::memchr(b':', line)?;
            Some((line.get(..colon)?, line.get(colon + 1..)?.trim_ascii()))
        })
    }

    /// The value of the first header of this name, in any casing.
    pub fn header(&self, name: &str) -> Option<&[u8]> {
        let mut headers = self.headers();
        headers.find(|(known, _)| known.eq_ignore_ascii_case(name.as_bytes())).map(|held| held.1)
    }

    /// What it takes to keep it, with its body, about, in bytes.
    pub(super) fn size(&self) -> u64 {
        (size_of::<Self>() + self.head.len() + self.body_bytes + self.answer.body.len()) as u64
    }
}

impl fmt::Debug for Arrived {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Arrived")
            .field("number", &self.number)
            .field("received_at", &self.received_at)
            .field("method", &self.method)
            .field("target", &self.target)
            .field("body_bytes", &self.body_bytes)
            .field("events", &self.events)
            .field("verdict", &self.verdict)
            .field("ending", &self.answer.ending)
            .finish_non_exhaustive()
    }
}
