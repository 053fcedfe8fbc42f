//! Values: whole, or split where sled would put them into a file of their own that it never frees.

use crate::error::{Error, Result};
use crate::store::sled::writes::Writes;
use crate::store::sled::{Opened, failed};
use std::borrow::Cow;

/// The longest value that is stored whole: see the segments that a data folder is made with.
pub(super) const WHOLE_MAX: usize = 16 * 1024;

const WHOLE: u8 = 0;
const SPLIT: u8 = 1;

/// A short value as it is stored.
pub(super) fn inline(value: &[u8]) -> Vec<u8> {
    let mut stored = Vec::with_capacity(value.len() + 1);
    stored.push(WHOLE);
    stored.extend_from_slice(value);
    stored
}

/// Puts `value` at `key`, where there was none or a short one: whole, or in parts under keys of
/// their own (`z` key, part).
pub(super) fn put(writes: &mut Writes, key: Vec<u8>, value: &[u8]) {
    if value.len() <= WHOLE_MAX {
        writes.insert(key, inline(value));
        return;
    }
    let mut parts = 0_u32;
    for part in value.chunks(WHOLE_MAX) {
        writes.insert(part_key(&key, parts), part);
        parts += 1;
    }
    let mut stored = vec![SPLIT];
    stored.extend_from_slice(&parts.to_be_bytes());
    writes.insert(key, stored);
}

fn part_key(key: &[u8], part: u32) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(key.len() + 5);
    bytes.push(b'z');
    bytes.extend_from_slice(key);
    bytes.extend_from_slice(&part.to_be_bytes());
    bytes
}

fn parts(stored: &[u8]) -> Option<u32> {
    let bytes = stored.strip_prefix(&[SPLIT])?;
    Some(u32::from_be_bytes(bytes.try_into().ok()?))
}

fn damaged() -> Error {
    Error::unreadable("a record in the store is damaged")
}

impl Opened {
    /// The value at `key`.
    pub(super) fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>> {
        match self.db.get(key).map_err(failed)? {
            None => Ok(None),
            Some(stored) => self.whole(key, &stored).map(|value| Some(value.into_owned())),
        }
    }

    /// The value that `stored` at `key` stands for.
    pub(super) fn whole<'a>(&self, key: &[u8], stored: &'a [u8]) -> Result<Cow<'a, [u8]>> {
        if let Some(value) = stored.strip_prefix(&[WHOLE]) {
            return Ok(Cow::Borrowed(value));
        }
        let mut value = Vec::new();
        for part in 0..parts(stored).ok_or_else(damaged)? {
            let part = self.db.get(part_key(key, part)).map_err(failed)?.ok_or_else(damaged)?;
            value.extend_from_slice(&part);
        }
        Ok(Cow::Owned(value))
    }

    /// The beginning of the value that `stored` at `key` stands for: all of it, or its first part.
    pub(super) fn head<'a>(&self, key: &[u8], stored: &'a [u8]) -> Result<Cow<'a, [u8]>> {
        match parts(stored) {
            None => self.whole(key, stored),
            Some(_) => {
                let part = self.db.get(part_key(key, 0)).map_err(failed)?;
                part.map(|part| Cow::Owned(part.to_vec())).ok_or_else(damaged)
            }
        }
    }

    /// Puts `value` at `key` where another one may be. Parts of that would stay for ever otherwise.
    pub(super) fn replace(&self, writes: &mut Writes, key: Vec<u8>, value: &[u8]) -> Result<()> {
        if let Some(stored) = self.db.get(&key).map_err(failed)? {
            self.remove(writes, &key, &stored);
        }
        put(writes, key, value);
        Ok(())
    }

    /// Removes what is at `key`, with its parts.
    pub(super) fn remove(&self, writes: &mut Writes, key: &[u8], stored: &[u8]) {
        for part in 0..parts(stored).unwrap_or(0) {
            writes.remove(part_key(key, part));
        }
        writes.remove(key);
    }

    /// One of the store's own numbers; 0 when it was never set.
    pub(super) fn number(&self, name: &str) -> Result<u128> {
        let key = crate::store::keys::Key::Meta(name).encode();
        let Some(bytes) = self.get(&key)? else {
            return Ok(0);
        };
        let bytes: [u8; 16] = bytes
            .try_into()
            .map_err(|_| Error::unreadable(format!("the store's number `{name}` is damaged")))?;
        Ok(u128::from_be_bytes(bytes))
    }

    /// All records whose keys begin with `prefix`.
    pub(super) fn all<T>(&self, prefix: u8, read: impl Fn(&[u8]) -> Result<T>) -> Result<Vec<T>> {
        let mut records = Vec::new();
        for item in self.db.scan_prefix([prefix]) {
            let (key, stored) = item.map_err(failed)?;
            records.push(read(&self.whole(&key, &stored)?)?);
        }
        Ok(records)
    }
}
