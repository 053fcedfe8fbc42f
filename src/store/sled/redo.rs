//! A commit that failed half-way, kept until it is whole.
//!
//! When sled fails in the middle of a batch, as it cannot read a page that the batch changes, it
//! cancels what ties the batch together and leaves in its log what it had done by then. To whom
//! opens it next, half a commit looks like a whole one: a place in a queue may be gone while what
//! took it from there is not on record. So such a commit is put into a file beside the log, and
//! carried out again, whole, before anything else is read. Each of its writes says what a key holds
//! afterwards, so it does not matter which of them were there already.

use crate::error::{Error, Result};
use crate::folder::private_file;
use crate::store::codec;
use crate::store::sled::writes::Writes;
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Its name in the data folder.
const NAME: &str = "redo";
/// What is being written in its place.
const NEXT: &str = "redo.next";

/// A commit that is to be made whole.
#[derive(Clone)]
pub(super) struct Half {
    /// Its number.
    pub sequence: u64,
    /// All that it writes.
    pub writes: Writes,
}

/// What is known of a commit that failed.
pub(super) enum Pending {
    /// None did.
    Nothing,
    /// One that can be made whole.
    Half(Half),
    /// One of which it is not known any more how it should have been.
    Torn,
}

/// Keeps a commit that failed half-way, in memory and in the folder.
pub(super) struct Redo {
    folder: PathBuf,
    kept: Mutex<Option<Half>>,
}

impl Redo {
    /// One for the store in `folder`.
    pub fn new(folder: &Path) -> Self {
        Self { folder: folder.to_owned(), kept: Mutex::new(None) }
    }

    /// Keeps a commit that failed half-way.
    ///
    /// # Errors
    /// Fails when it is in memory only, as the folder cannot be written.
    pub fn keep(&self, half: Half) -> Result<()> {
        let written = encode(&half).and_then(|bytes| {
            let put = || {
                let mut options = private_file();
                let options = options.write(true).create(true).truncate(true);
                // One from before stays until this one is whole.
                let next = self.folder.join(NEXT);
                let mut file = options.open(&next)?;
                file.write_all(&bytes)?;
                file.sync_all()?;
                fs::rename(next, self.path())?;
                File::open(&self.folder)?.sync_all()
            };
            put().map_err(|error| self.failed("write", error))
        });
        *self.kept() = Some(half);
        written
    }

    /// What is to be made whole before the store is read.
    ///
    /// # Errors
    /// Fails when the folder cannot be read.
    pub fn pending(&self) -> Result<Pending> {
        if let Some(half) = self.kept().clone() {
            return Ok(Pending::Half(half));
        }
        match fs::read(self.path()) {
            Ok(bytes) => Ok(decode(&bytes).map_or(Pending::Torn, Pending::Half)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Pending::Nothing),
            Err(error) => Err(self.failed("read", error)),
        }
    }

    /// Forgets it, as it is whole now, or as its loss is accepted.
    ///
    /// # Errors
    /// Fails when the folder cannot be written: then it would be carried out once more, over what
    /// came after it.
    pub fn forget(&self) -> Result<()> {
        match fs::remove_file(self.path()) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                return Err(self.failed("remove", error));
            }
            _ => {}
        }
        let synced = File::open(&self.folder).and_then(|folder| folder.sync_all());
        synced.map_err(|error| self.failed("remove", error))?;
        *self.kept() = None;
        Ok(())
    }

    /// Whether a commit failed half-way and is not whole yet.
    pub fn is_kept(&self) -> bool {
        self.kept().is_some()
    }

    fn kept(&self) -> MutexGuard<'_, Option<Half>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Where it is kept.
    pub fn path(&self) -> PathBuf {
        self.folder.join(NAME)
    }

    fn failed(&self, what: &str, error: io::Error) -> Error {
        let path = self.path();
        Error::unavailable(format!("cannot {what} `{}`: {error}", path.display()))
            .with_source(error)
    }
}

/// The commit as a record, with its checksum behind it.
fn encode(half: &Half) -> Result<Vec<u8>> {
    let writes: Vec<_> = half.writes.iter().collect();
    let mut bytes = codec::encode(&(half.sequence, writes))?;
    bytes.extend(crc32fast::hash(&bytes).to_be_bytes());
    Ok(bytes)
}

/// The commit that `bytes` are; `None` when they are not whole.
fn decode(bytes: &[u8]) -> Option<Half> {
    let (bytes, checksum) = bytes.split_last_chunk()?;
    if crc32fast::hash(bytes) != u32::from_be_bytes(*checksum) {
        return None;
    }
    type Read = (u64, Vec<(Vec<u8>, Option<Vec<u8>>)>);
    let (sequence, writes): Read = codec::decode("a commit", bytes).ok()?;
    let writes = writes.into_iter().map(|(key, value)| (key.into(), value.map(Into::into)));
    Some(Half { sequence, writes: writes.collect() })
}
