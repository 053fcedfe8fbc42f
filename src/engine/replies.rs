//! Answers kept for idempotency keys of the API, so that a repeated call gets the first one's.
//!
//! An answer may show a secret, so its body is sealed, and with it the digest of the request, by
//! which a weak secret in that could be guessed. It is never sealed anew: after the master key was
//! replaced it counts as not kept. At most 100,000 answers of 256 MiB together are kept.
//! Those to callers that see one application only take half of that at most, and those of one
//! application 10,000 and 16 MiB: so none uses up what belongs to another, and the platform itself
//! always has room. Beyond that the calls themselves go on, only their repetitions are not
//! recognised any more until older answers expire.

use crate::engine::{Engine, Inner, whole};
use crate::error::Result;
use crate::model::secret::Sealed;
use crate::model::{ApplicationId, Timestamp};
use crate::store::{Change, DocumentKind, Store, codec};
use serde::{Deserialize, Serialize};
use std::collections::HashMap;
use std::fmt::{self, Write};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use zeroize::Zeroizing;

/// What is kept at most.
const ALL_MAX: Tally = Tally { answers: 100_000, bytes: 256 * MIB };
/// What is kept at most of answers to callers that see one application only.
const OF_APPLICATIONS_MAX: Tally = Tally { answers: 50_000, bytes: 128 * MIB };
/// What is kept at most of answers to callers that see the same application only.
const OF_APPLICATION_MAX: Tally = Tally { answers: 10_000, bytes: 16 * MIB };
const MIB: usize = 1024 * 1024;
/// Answers that are read at once when the engine is opened, and removed in one commit.
const STEP: usize = 64;

/// The answer to a call.
#[derive(Clone, PartialEq, Eq)]
pub struct Reply {
    /// SHA-256 of what was asked for, to tell a repeated call from another one with its key.
    pub request_digest: [u8; 32],
    /// The HTTP status.
    pub status: u16,
    /// The body, which may show a secret: it is wiped when it is dropped.
    pub body: Zeroizing<Vec<u8>>,
}

impl fmt::Debug for Reply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Reply({}, {} bytes)", self.status, self.body.len())
    }
}

/// What a stored reply begins with. One that begins otherwise is of an older form, and counts as not
/// kept.
const FORM: u8 = 2;

/// A reply as it is stored.
#[derive(Serialize, Deserialize)]
struct StoredReply {
    status: u16,
    kept_at: Timestamp,
    /// The only application that its caller sees.
    application: Option<ApplicationId>,
    /// The request's digest, and behind it the body.
    sealed: Sealed,
}

impl StoredReply {
    fn write(&self) -> Result<Vec<u8>> {
        Ok([vec![FORM], codec::encode(self)?].concat())
    }

    fn read(value: &[u8]) -> Option<Self> {
        codec::decode("a kept answer", value.strip_prefix(&[FORM])?).ok()
    }
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
        let Some(StoredReply { status, sealed, .. }) = StoredReply::read(&value) else {
            return Ok(None);
        };
        let Ok(opened) = inner.vault().open_bytes(&place, &sealed) else {
            tracing::debug!("an answer was kept under another master key, and is not repeated");
            return Ok(None);
        };
        let parts = opened.split_first_chunk();
        Ok(parts.map(|(request_digest, body)| Reply {
            request_digest: *request_digest,
            status,
            body: Zeroizing::new(body.to_vec()),
        }))
    }

    /// Keeps the answer to a call for `idempotency_hours`; `application` is the only one that the
    /// caller sees. Without room it is not kept, and that is no error: the call was carried out.
    /// There is room for 100,000 answers and 256 MiB; one application has 10,000 and 16 MiB of it,
    /// and all of them together half.
    ///
    /// # Errors
    /// Fails when storage does.
    pub async fn keep_reply(
        &self,
        key: &[u8; 32],
        application: Option<ApplicationId>,
        reply: Reply,
    ) -> Result<()> {
        let (inner, name) = (Arc::clone(&self.inner), name(key));
        whole(async move {
            inner.check_open()?;
            let _with_others = inner.replies.turn.read().await;
            let kept_at = inner.clock.wall();
            let held = Held { kept_at, application, bytes: reply.body.len() };
            if !inner.replies.take_room(&name, held) {
                return Ok(());
            }
            let Reply { request_digest, status, body } = reply;
            let whole = Zeroizing::new([request_digest.as_slice(), &body].concat());
            let sealed = inner.vault().seal_bytes(&place(&name), &whole)?;
            let stored = StoredReply { status, kept_at, application, sealed };
            // When this fails it may be on disk all the same, so its room stays taken till then.
            inner.committer.change(vec![document(&name, Some(stored.write()?))]).await
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
    all: Tally,
    of_applications: Tally,
    /// Those that have any.
    by_application: HashMap<ApplicationId, Tally>,
    /// Whether it was said that there is no more room.
    is_full: bool,
}

#[derive(Clone, Copy)]
struct Held {
    kept_at: Timestamp,
    application: Option<ApplicationId>,
    bytes: usize,
}

/// So many answers, and the bytes of their bodies.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
struct Tally {
    answers: usize,
    bytes: usize,
}

impl Tally {
    fn add(&mut self, bytes: usize) {
        self.answers += 1;
        self.bytes += bytes;
    }

    fn remove(&mut self, bytes: usize) {
        self.answers -= 1;
        self.bytes -= bytes;
    }

    /// Whether one more answer stays within `most`.
    fn has_room(&self, bytes: usize, most: Self) -> bool {
        self.answers < most.answers && self.bytes + bytes <= most.bytes
    }
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
                // What cannot be read has expired: it answers nobody, and goes with the others.
                let (kept_at, application) = StoredReply::read(&value)
                    .map_or((Timestamp::EPOCH, None), |held| (held.kept_at, held.application));
                let held = Held { kept_at, application, bytes: value.len() };
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
        let replaced = state.take(name);
        let has_room = state.has_room(&new);
        if has_room {
            state.put(name, new);
            return true;
        }
        if let Some(replaced) = replaced {
            state.put(name, replaced);
        }
        if !state.is_full {
            state.is_full = true;
            tracing::warn!(
                replies = state.all.answers,
                bytes = state.all.bytes,
                application = new.application.map(tracing::field::display),
                "too many answers are kept for idempotency keys: repeated calls are not \
                 recognised until older ones expire"
            );
        }
        false
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
            state.take(name);
        }
        state.is_full = false;
    }
}

impl State {
    fn put(&mut self, name: &str, new: Held) {
        self.take(name);
        self.held.insert(name.to_owned(), new);
        self.all.add(new.bytes);
        if let Some(application) = new.application {
            self.of_applications.add(new.bytes);
            self.by_application.entry(application).or_default().add(new.bytes);
        }
    }

    fn take(&mut self, name: &str) -> Option<Held> {
        let held = self.held.remove(name)?;
        self.all.remove(held.bytes);
        if let Some(application) = held.application {
            self.of_applications.remove(held.bytes);
            if let Some(own) = self.by_application.get_mut(&application) {
                own.remove(held.bytes);
                if own.answers == 0 {
                    self.by_application.remove(&application);
                }
            }
        }
        Some(held)
    }

    fn has_room(&self, new: &Held) -> bool {
        let of_application = || {
            let Some(application) = new.application else { return true };
            let own = self.by_application.get(&application).copied().unwrap_or_default();
            self.of_applications.has_room(new.bytes, OF_APPLICATIONS_MAX)
                && own.has_room(new.bytes, OF_APPLICATION_MAX)
        };
        self.all.has_room(new.bytes, ALL_MAX) && of_application()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use uuid::Uuid;

    /// An answer to the platform itself, or to a caller that sees an application of this number.
    fn held(application: Option<u128>, bytes: usize) -> Held {
        let application =
            application.map(|number| ApplicationId::from_uuid(Uuid::from_u128(number)));
        Held { kept_at: Timestamp::from_millis(1), application, bytes }
    }

    #[test]
    fn room_is_bounded_and_comes_back() {
        let replies = Replies::default();
        let held = |bytes| held(None, bytes);
        assert!(replies.take_room("a", held(ALL_MAX.bytes - 10)));
        assert!(replies.take_room("b", held(10)));
        assert!(!replies.take_room("c", held(1)));
        assert!(replies.take_room("b", held(9)), "in place of one that is there");
        assert!(
            !replies.take_room("b", held(11)) && replies.state().all.bytes == ALL_MAX.bytes - 1
        );
        assert!(replies.take_room("c", held(1)) && !replies.take_room("c", held(2)));
        replies.give_back(&["a".to_owned(), "a".to_owned()]);
        for n in 2..ALL_MAX.answers {
            assert!(replies.take_room(&n.to_string(), held(0)));
        }
        assert!(!replies.take_room("d", held(0)) && replies.take_room("c", held(0)));
        assert_eq!(replies.expired(Timestamp::from_millis(1), 9).len(), 9);
        assert_eq!(replies.expired(Timestamp::from_millis(1), usize::MAX).len(), ALL_MAX.answers);
        assert_eq!(replies.expired(Timestamp::EPOCH, 9).len(), 0);
    }

    #[test]
    fn no_application_takes_the_room_of_another_nor_all_of_them_the_platforms() {
        let replies = Replies::default();
        let name = |application: u128, number: usize| format!("{application}-{number}");
        for application in 0..5 {
            for number in 0..OF_APPLICATION_MAX.answers {
                assert!(replies.take_room(&name(application, number), held(Some(application), 1)));
            }
            let more = name(application, OF_APPLICATION_MAX.answers);
            assert!(!replies.take_room(&more, held(Some(application), 1)), "{application}");
        }
        assert!(!replies.take_room("other", held(Some(5), 1)), "all of them have half");
        assert!(replies.take_room("platform", held(None, 128 * MIB - 50_000)));
        replies.give_back(&[name(0, 0)]);
        assert!(replies.take_room("other", held(Some(5), 1)));
        assert!(!replies.take_room(&name(0, 0), held(Some(0), 1)), "its place went to another");
        let all: Vec<String> = replies.state().held.keys().cloned().collect();
        replies.give_back(&all);
        let state = replies.state();
        assert!(state.by_application.is_empty() && state.of_applications == Tally::default());
        assert_eq!(state.all, Tally::default());
    }

    #[test]
    fn long_answers_to_one_application_leave_room_for_others() {
        let replies = Replies::default();
        assert!(replies.take_room("a", held(Some(1), OF_APPLICATION_MAX.bytes)));
        assert!(
            !replies.take_room("b", held(Some(1), 1)) && replies.take_room("b", held(Some(2), 1))
        );
    }
}
