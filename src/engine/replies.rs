//! Answers kept for idempotency keys of the API, so that a repeated call gets the first one's.
//!
//! An answer may show a secret, so its body is sealed. It is never sealed anew: after the master
//! key was replaced it counts as not kept. At most 100,000 answers of 256 MiB together are kept;
//! beyond that the calls themselves go on, only their repetitions are not recognised any more
//! until older answers expire.

use crate::engine::{Engine, Inner, whole};
use crate::error::Result;
use crate::model::Timestamp;
use crate::model::secret::Sealed;
use crate::store::{Change, DocumentKind, Store, codec};
use serde::{Deserialize, Serialize};
use std::collections::HashMap;
use std::fmt::{self, Write};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Answers kept at most.
const REPLIES_MAX: usize = 100_000;
/// Bytes of all their bodies together at most.
const ALL_BODIES_BYTES_MAX: usize = 256 * 1024 * 1024;
/// Answers that are read at once when the engine is opened, and removed in one commit.
const STEP: usize = 64;

/// The answer to a call.
#[derive(Clone, PartialEq, Eq)]
pub struct Reply {
    /// SHA-256 of what was asked for, to tell a repeated call from another one with its key.
    pub request_digest: [u8; 32],
    /// The HTTP status.
    pub status: u16,
    /// The body.
    pub body: Vec<u8>,
}

impl fmt::Debug for Reply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Reply({}, {} bytes)", self.status, self.body.len())
    }
}

/// A reply as it is stored.
#[derive(Serialize, Deserialize)]
struct StoredReply {
    request_digest: [u8; 32],
    status: u16,
    kept_at: Timestamp,
    body: Sealed,
}

impl Engine {
    /// The answer that was kept under `key`, a digest of an idempotency key and of whoever gave
    /// it, within the last `idempotency_hours`.
    ///
    /// # Errors
    /// Fails when the store cannot be read.
    pub async fn reply(&self, key: &[u8; 32]) -> Result<Option<Reply>> {
        let inner = &self.inner;
        let name = name(key);
        if !inner.replies.holds(&name, inner.oldest_reply()) {
            return Ok(None);
        }
        let place = place(&name);
        let read = move |store: &dyn Store| store.document(DocumentKind::Reply, &name);
        let Some(value) = inner.blocking(read).await? else { return Ok(None) };
        let stored: StoredReply = codec::decode("a kept answer", &value)?;
        let Ok(body) = inner.vault().open_bytes(&place, &stored.body) else {
            tracing::debug!("an answer was kept under another master key, and is not repeated");
            return Ok(None);
        };
        let StoredReply { request_digest, status, .. } = stored;
        Ok(Some(Reply { request_digest, status, body: body.to_vec() }))
    }

    /// Keeps the answer to a call for `idempotency_hours`. Beyond 100,000 answers, or 256 MiB of
    /// them, it is not kept, and that is no error: the call was carried out.
    ///
    /// # Errors
    /// Fails when storage does.
    pub async fn keep_reply(&self, key: &[u8; 32], reply: Reply) -> Result<()> {
        let (inner, name) = (Arc::clone(&self.inner), name(key));
        whole(async move {
            inner.check_open()?;
            let _with_others = inner.replies.turn.read().await;
            let kept_at = inner.clock.wall();
            if !inner.replies.take_room(&name, Held { kept_at, bytes: reply.body.len() }) {
                return Ok(());
            }
            let Reply { request_digest, status, body } = reply;
            let body = inner.vault().seal_bytes(&place(&name), &body)?;
            let stored = StoredReply { request_digest, status, kept_at, body };
            // When this fails it may be on disk all the same, so its room stays taken till then.
            inner.committer.change(vec![document(&name, Some(codec::encode(&stored)?))]).await
        })
        .await
    }
}

impl Inner {
    /// Kept answers from before this do not count.
    fn oldest_reply(&self) -> Timestamp {
        self.clock.wall().before(self.config.idempotency_ttl())
    }

    /// Removes the answers whose time is over.
    pub(super) async fn expire_replies(&self) -> Result<()> {
        loop {
            // Some at a time, and none is kept meanwhile: a new answer under one of these names
            // must stay.
            let _alone = self.replies.turn.write().await;
            let names = self.replies.expired(self.oldest_reply(), STEP);
            if names.is_empty() {
                return Ok(());
            }
            self.committer.change(names.iter().map(|name| document(name, None)).collect()).await?;
            self.replies.give_back(&names);
        }
    }
}

/// A reply's key as text.
fn name(key: &[u8; 32]) -> String {
    key.iter().fold(String::with_capacity(64), |mut text, byte| {
        // Writing to a text cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// Where a reply's body belongs, for the vault.
fn place(name: &str) -> String {
    format!("the answer kept as {name}")
}

fn document(name: &str, value: Option<Vec<u8>>) -> Change {
    Change::Document { kind: DocumentKind::Reply, key: name.to_owned(), value }
}

/// Which answers are kept; they themselves are in the store.
#[derive(Default)]
pub(crate) struct Replies {
    state: Mutex<State>,
    /// Many may keep answers at once; whoever removes some is alone.
    turn: tokio::sync::RwLock<()>,
}

#[derive(Default)]
struct State {
    held: HashMap<String, Held>,
    /// Of all their bodies together.
    bytes: usize,
    /// Whether it was said that there is no more room.
    is_full: bool,
}

#[derive(Clone, Copy)]
struct Held {
    kept_at: Timestamp,
    bytes: usize,
}

impl Replies {
    /// Those that a store holds.
    pub fn load(store: &dyn Store) -> Result<Self> {
        let replies = Self::default();
        let mut after = String::new();
        loop {
            let page = store.documents_after(DocumentKind::Reply, &after, STEP)?;
            let Some((last, _)) = page.last() else { return Ok(replies) };
            after.clone_from(last);
            for (name, value) in page {
                let stored: StoredReply = codec::decode("a kept answer", &value)?;
                let held = Held { kept_at: stored.kept_at, bytes: stored.body.0.len() };
                replies.state().put(&name, held);
            }
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether an answer was kept under this name after `oldest`.
    fn holds(&self, name: &str, oldest: Timestamp) -> bool {
        self.state().held.get(name).is_some_and(|held| held.kept_at > oldest)
    }

    /// Counts an answer in, unless there is no room for it.
    fn take_room(&self, name: &str, new: Held) -> bool {
        let mut state = self.state();
        let replaced = state.held.get(name).map(|held| held.bytes);
        let has_room = (state.held.len() < REPLIES_MAX || replaced.is_some())
            && state.bytes - replaced.unwrap_or(0) + new.bytes <= ALL_BODIES_BYTES_MAX;
        if has_room {
            state.put(name, new);
        } else if !state.is_full {
            state.is_full = true;
            tracing::warn!(
                replies = state.held.len(),
                bytes = state.bytes,
                "too many answers are kept for idempotency keys: repeated calls are not \
                 recognised until older ones expire"
            );
        }
        has_room
    }

    /// Some that were kept at `oldest` or before.
    fn expired(&self, oldest: Timestamp, limit: usize) -> Vec<String> {
        let state = self.state();
        let expired = state.held.iter().filter(|(_, held)| held.kept_at <= oldest);
        expired.take(limit).map(|(name, _)| name.clone()).collect()
    }

    fn give_back(&self, names: &[String]) {
        let mut state = self.state();
        for name in names {
            if let Some(held) = state.held.remove(name) {
                state.bytes -= held.bytes;
            }
        }
        state.is_full = false;
    }
}

impl State {
    fn put(&mut self, name: &str, new: Held) {
        self.bytes += new.bytes;
        if let Some(replaced) = self.held.insert(name.to_owned(), new) {
            self.bytes -= replaced.bytes;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn room_is_bounded_and_comes_back() {
        let replies = Replies::default();
        let held = |bytes| Held { kept_at: Timestamp::from_millis(1), bytes };
        assert!(replies.take_room("a", held(ALL_BODIES_BYTES_MAX - 10)));
        assert!(replies.take_room("b", held(10)));
        assert!(!replies.take_room("c", held(1)));
        assert!(replies.take_room("b", held(9)), "in place of one that is there");
        assert!(replies.take_room("c", held(1)) && !replies.take_room("c", held(2)));
        replies.give_back(&["a".to_owned(), "a".to_owned()]);
        for n in 2..REPLIES_MAX {
            assert!(replies.take_room(&n.to_string(), held(0)));
        }
        assert!(!replies.take_room("d", held(0)) && replies.take_room("c", held(0)));
        assert_eq!(replies.expired(Timestamp::from_millis(1), 9).len(), 9);
        assert_eq!(replies.expired(Timestamp::from_millis(1), usize::MAX).len(), REPLIES_MAX);
        assert_eq!(replies.expired(Timestamp::EPOCH, 9).len(), 0);
    }
}
