//! Attempts as they are stored.

use super::body::StoredBody;
use super::{ENTRIES, damaged};
use crate::error::{Error, Result};
use crate::model::attempt::{AttemptOutcome, RecordedRequest};
use crate::model::{Attempt, AttemptId, Timestamp, Trigger, WebhookId};
use crate::store::Record;
use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use std::time::Duration;

/// Stands behind an attempt of whose answer not all headers are kept.
const HEADERS_CUT: u8 = 1;

/// An attempt apart from what its entry says; borrowed when it is written. Behind it stands what
/// attempts have got since: a byte of 1 where headers of the answer were left out.
#[derive(Serialize, Deserialize)]
pub(super) struct StoredAttempt<'a> {
    number: u32,
    started_at: Timestamp,
    duration: Duration,
    method: Cow<'a, str>,
    url: Cow<'a, str>,
    headers: Cow<'a, [(String, String)]>,
    pub body: StoredBody,
    pub outcome: Cow<'a, AttemptOutcome>,
}

impl<'a> StoredAttempt<'a> {
    /// The attempt of a record.
    pub fn of(record: &'a Record) -> Self {
        let attempt = &record.attempt;
        Self {
            number: attempt.number,
            started_at: attempt.started_at,
            duration: attempt.duration,
            method: Cow::Borrowed(&attempt.request.method),
            url: Cow::Borrowed(&attempt.request.url),
            headers: Cow::Borrowed(&attempt.request.headers),
            body: StoredBody::of(record),
            outcome: Cow::Borrowed(&attempt.outcome),
        }
    }

    /// Writes it.
    pub fn encode(&self) -> Result<Vec<u8>> {
        let mut bytes = postcard::to_extend(self, Vec::with_capacity(512)).map_err(|error| {
            Error::internal("an attempt could not be written").with_source(error)
        })?;
        if self.outcome.response().is_some_and(|answer| answer.headers_cut) {
            bytes.push(HEADERS_CUT);
        }
        Ok(bytes)
    }

    /// Reads what [`StoredAttempt::encode`] wrote.
    pub fn decode(bytes: &'a [u8]) -> Result<Self> {
        let (mut stored, rest): (Self, _) =
            postcard::take_from_bytes(bytes).map_err(damaged(ENTRIES))?;
        if rest.first() == Some(&HEADERS_CUT)
            && let AttemptOutcome::Accepted(answer) | AttemptOutcome::Rejected(answer) =
                stored.outcome.to_mut()
        {
            answer.headers_cut = true;
        }
        Ok(stored)
    }

    /// The attempt; `data` is the data of its event, and nothing for a formed webhook.
    pub fn restore(
        self,
        id: AttemptId,
        trigger: Trigger,
        of: u128,
        data: &[u8],
    ) -> Result<Attempt> {
        let expunged = matches!(self.body, StoredBody::Expunged);
        let body = self.body.restore(data)?;
        Ok(Attempt {
            id,
            webhook: WebhookId::from_uuid(uuid::Uuid::from_u128(of)),
            number: self.number,
            trigger,
            started_at: self.started_at,
            duration: self.duration,
            request: RecordedRequest {
                method: self.method.into_owned(),
                url: self.url.into_owned(),
                headers: self.headers.into_owned(),
                body,
            },
            outcome: self.outcome.into_owned(),
            expunged,
        })
    }
}
