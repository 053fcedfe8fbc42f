//! Replays that wait: a webhook has one in its endpoint's queue at most.
//!
//! A queue is in order of time, and cannot tell cheaply whether a webhook is in it. So a key beside
//! it names each replay.

use crate::error::Result;
use crate::model::{EndpointId, QueueItem, Timestamp, WebhookId};
use crate::store::codec;
use crate::store::keys::Key;
use crate::store::sled::writes::Writes;
use crate::store::sled::{Opened, record};
use std::collections::BTreeMap;

/// Replays that begin to wait or end in a commit, by their keys.
#[derive(Default)]
pub(super) struct Replays(BTreeMap<Vec<u8>, Option<Timestamp>>);

impl Replays {
    /// Lets a replay begin to wait, unless one of its webhook does; whether it did.
    pub fn begin(&mut self, store: &Opened, to: EndpointId, item: QueueItem) -> Result<bool> {
        let key = Key::Replay(to, item.webhook).encode();
        let is_first = self.waits(store, &key)?.is_none();
        if is_first {
            self.0.insert(key, Some(item.due));
        }
        Ok(is_first)
    }

    /// Ends the wait of a replay, if it is the one that waits.
    pub fn end(&mut self, store: &Opened, to: EndpointId, item: QueueItem) -> Result<()> {
        let key = Key::Replay(to, item.webhook).encode();
        if self.waits(store, &key)? == Some(item.due) {
            self.0.insert(key, None);
        }
        Ok(())
    }

    /// When the replay that has this key was due, if it waits.
    fn waits(&self, store: &Opened, key: &[u8]) -> Result<Option<Timestamp>> {
        if let Some(changed) = self.0.get(key) {
            return Ok(*changed);
        }
        store.get(key)?.map(|stored| codec::decode("a replay", &stored)).transpose()
    }

    /// Puts the keys in.
    pub fn write(self, writes: &mut Writes) -> Result<()> {
        for (key, due) in self.0 {
            match due {
                Some(due) => record::put(writes, key, &codec::encode(&due)?),
                None => writes.remove(key),
            }
        }
        Ok(())
    }
}

impl Opened {
    /// Whether a replay of a webhook waits in an endpoint's queue.
    pub(super) fn replay_waits(&self, endpoint: EndpointId, webhook: WebhookId) -> Result<bool> {
        let waits = self.holds(&Key::Replay(endpoint, webhook))?;
        if waits {
            self.durability.wait(endpoint, Timestamp::from_micros(i64::MAX))?;
        }
        Ok(waits)
    }
}
