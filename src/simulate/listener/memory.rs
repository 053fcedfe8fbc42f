//! What a listener remembers, on disk: a small sled tree of its own, apart from the engine's store.
//!
//! ```text
//! hookwheel-received/    the folder, for its owner only: credentials in headers are in it
//!   lock                 held for as long as a process has the folder; a second one is refused
//!   socket               where a running listener is asked for what it remembers
//!   sled/                m            the number of this format
//!                        l            the last number that was given
//!                        a NUMBER PART  a request without its body
//!                        b NUMBER PART  the body
//!                        c NUMBER PART  what it was answered with, and what came of that, once
//!                                       that is known; what was meant to be answered is in `a`
//!   sled.new, sled.old   while everything is being forgotten
//! ```
//!
//! The folder may be one that others can look into; what is kept lies in `sled`, where only its
//! owner can. What was remembered is on stable storage. There is no commit mark as in the engine's store: this
//! is a notebook, and what a damaged disk takes from it is not noticed.

use super::arrived::{Answered, Arrived, Remembered};
use crate::error::{Error, Result};
use crate::folder::{self, failed};
use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};

/// The number of this format.
const FORMAT: u32 = 2;
/// The longest part of a value, in bytes: sled never frees those above 128 KiB.
const PART_BYTES: usize = 60 * 1024;
/// Bytes of sled's page cache.
const CACHE_BYTES: u64 = 32 * 1024 * 1024;

const FORMAT_KEY: &[u8] = b"m";
const LAST_KEY: &[u8] = b"l";
const ARRIVED: u8 = b'a';
const BODY: u8 = b'b';
const ANSWER: u8 = b'c';

/// How much is remembered: the oldest requests go first, the newest stays whatever its size.
#[derive(Clone, Copy, Debug)]
pub struct Keep {
    /// Requests at most.
    pub requests: usize,
    /// Bytes of heads, bodies and answers at most; files are larger, by up to a few times.
    pub bytes: u64,
}

impl Default for Keep {
    /// 10,000 requests and 256 MiB.
    fn default() -> Self {
        Self { requests: 10_000, bytes: 256 * 1024 * 1024 }
    }
}

/// The requests in one folder, which this process has for as long as this lives.
pub(super) struct Memory {
    folder: PathBuf,
    files: RwLock<Arc<Files>>,
    keep: Keep,
    index: Mutex<Index>,
    /// The last to be dropped: the folder is free when sled has let go of it, and not before.
    _lock: Arc<File>,
}

/// sled, as it is open.
struct Files {
    db: ::sled::Db,
    /// sled's own data file, to sync it: its flush does not.
    data_file: File,
}

/// What is known of the requests without asking the disk.
struct Index {
    last: u64,
    /// Bytes of each request, by its number.
    sizes: BTreeMap<u64, u64>,
    bytes: u64,
}

impl Memory {
    /// Opens the folder, which is made when it does not exist.
    ///
    /// # Errors
    /// When another process has it, or it holds something else.
    pub(super) fn open(folder: &Path, keep: Keep) -> Result<Self> {
        let within = |error: Error| error.within(format!("folder `{}`", folder.display()));
        folder::make_private(folder).map_err(|error| {
            Error::invalid(format!("folder `{}` cannot be made: {error}", folder.display()))
                .with_source(error)
        })?;
        let lock = folder::lock(folder)?;
        finish_clearing(folder).map_err(|error| within(io_failed(error)))?;
        let data = data_folder(folder);
        let is_new = !data.exists();
        let files = Files::open(&data).map_err(within)?;
        let memory = Self {
            folder: folder.to_owned(),
            files: RwLock::new(Arc::new(files)),
            keep,
            index: Mutex::new(Index { last: 0, sizes: BTreeMap::new(), bytes: 0 }),
            _lock: lock,
        };
        memory.files().check_format().map_err(within)?;
        memory.take_up().map_err(within)?;
        if is_new {
            sync_folders(&[&data, folder]).map_err(|error| within(io_failed(error)))?;
        }
        Ok(memory)
    }

    fn take_up(&self) -> Result<()> {
        let files = self.files();
        let mut index = self.index();
        if let Some(last) = files.db.get(LAST_KEY).map_err(failed)? {
            index.last = number_of(&last)?;
        }
        let mut numbers = BTreeSet::new();
        for key in files.db.scan_prefix([ARRIVED]).keys() {
            numbers.insert(number_of(key.map_err(failed)?.get(1..9).unwrap_or_default())?);
        }
        for number in numbers {
            let size = self.arrived(number)?.map_or(0, |arrived| arrived.size());
            index.sizes.insert(number, size);
            index.bytes += size;
        }
        Ok(())
    }

    /// Gives the requests their numbers and remembers them and what others were answered with,
    /// durably and in one commit, and forgets the oldest beyond what is kept.
    pub(super) fn remember(
        &self,
        requests: &mut [Remembered],
        answers: &[(u64, Answered)],
    ) -> Result<()> {
        let mut index = self.index();
        let files = self.files();
        let mut batch = ::sled::Batch::default();
        let mut last = index.last;
        let mut added = Vec::with_capacity(requests.len());
        for request in requests {
            last += 1;
            request.arrived.number = last;
            put(&mut batch, ARRIVED, last, &encoded(&request.arrived)?);
            put(&mut batch, BODY, last, &request.body);
            added.push((last, request.arrived.size()));
        }
        batch.insert(LAST_KEY, &last.to_be_bytes());
        let bytes = index.bytes + added.iter().map(|(_, size)| size).sum::<u64>();
        let (forgotten, mut bytes) = self.beyond(&index, &added, bytes);
        for number in &forgotten {
            files.remove(&mut batch, *number)?;
            index.sizes.remove(number);
        }
        for (number, answer) in answers {
            // What was forgotten before its answer came stays forgotten.
            if let Some(size) = index.sizes.get_mut(number) {
                put(&mut batch, ANSWER, *number, &encoded(answer)?);
                *size += answer.body.len() as u64;
                bytes += answer.body.len() as u64;
            }
        }
        files.apply(batch)?;
        index.last = last;
        index.bytes = bytes;
        index.sizes.extend(added);
        Ok(())
    }

    /// The numbers of those that are to be forgotten, and the bytes that are left then. What is
    /// being added is forgotten with the next commit at the earliest.
    fn beyond(&self, index: &Index, added: &[(u64, u64)], mut bytes: u64) -> (Vec<u64>, u64) {
        let mut count = index.sizes.len() + added.len();
        let mut forgotten = Vec::new();
        for (number, size) in &index.sizes {
            if count <= self.keep.requests && bytes <= self.keep.bytes {
                break;
            }
            forgotten.push(*number);
            count -= 1;
            bytes -= size;
        }
        (forgotten, bytes)
    }

    /// Forgets everything, and tells how many requests that were. Their numbers are not given again,
    /// and the files go that they were in: sled would leave the bytes lying in its own.
    pub(super) fn clear(&self) -> Result<usize> {
        let mut index = self.index();
        let data = data_folder(&self.folder);
        let [new, old] = [NEW, OLD].map(|name| self.folder.join(name));
        finish_clearing(&self.folder).map_err(io_failed)?;
        let files = Files::open(&new)?;
        files.check_format()?;
        let mut batch = ::sled::Batch::default();
        batch.insert(LAST_KEY, &index.last.to_be_bytes());
        files.apply(batch)?;
        // From here on nothing that fails leaves us with files that are no longer in place: sled
        // goes by the path of its folder only while it is opened.
        sync_folders(&[&new])
            .and_then(|()| fs::rename(&data, &old))
            .and_then(|()| fs::rename(&new, &data).inspect_err(|_| drop(fs::rename(&old, &data))))
            .map_err(io_failed)?;
        *self.files.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(files);
        index.bytes = 0;
        let count = std::mem::take(&mut index.sizes).len();
        sync_folders(&[&self.folder]).and_then(|()| fs::remove_dir_all(&old)).map_err(io_failed)?;
        Ok(count)
    }

    /// The numbers of what is remembered, the oldest first.
    pub(super) fn numbers(&self) -> Vec<u64> {
        self.index().sizes.keys().copied().collect()
    }

    /// A request without its body; `None` when it is not remembered.
    pub(super) fn arrived(&self, number: u64) -> Result<Option<Arrived>> {
        self.files().arrived(number)
    }

    /// A request; `None` when it is not remembered.
    pub(super) fn get_whole(&self, number: u64) -> Result<Option<Remembered>> {
        let files = self.files();
        let Some(arrived) = files.arrived(number)? else {
            return Ok(None);
        };
        let body = files.get(BODY, number)?;
        // It was forgotten between the two looks.
        let is_whole = body.len() == arrived.body_bytes;
        Ok(is_whole.then(|| Remembered { arrived, body: body.into() }))
    }

    fn files(&self) -> Arc<Files> {
        Arc::clone(&self.files.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// A panic while it is held leaves it as the last commit left it.
    fn index(&self) -> MutexGuard<'_, Index> {
        self.index.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Files {
    fn open(data: &Path) -> Result<Self> {
        let db = folder::open_sled(data, CACHE_BYTES)?;
        let data_file = File::open(data.join("db")).map_err(io_failed)?;
        Ok(Self { db, data_file })
    }

    fn check_format(&self) -> Result<()> {
        match self.db.get(FORMAT_KEY).map_err(failed)? {
            Some(format) if format == FORMAT.to_be_bytes() => Ok(()),
            Some(_) => Err(Error::unreadable(
                "it was written by another version of hookwheel: use that version, or remove it",
            )),
            None if self.db.is_empty() => {
                let mut batch = ::sled::Batch::default();
                batch.insert(FORMAT_KEY, &FORMAT.to_be_bytes());
                self.apply(batch)
            }
            None => Err(Error::unreadable("it holds something else: choose another one")),
        }
    }

    fn arrived(&self, number: u64) -> Result<Option<Arrived>> {
        let damaged =
            |error| Error::unreadable(format!("request {number} is damaged")).with_source(error);
        let bytes = self.get(ARRIVED, number)?;
        if bytes.is_empty() {
            return Ok(None);
        }
        let mut arrived: Arrived = postcard::from_bytes(&bytes).map_err(damaged)?;
        let answer = self.get(ANSWER, number)?;
        if !answer.is_empty() {
            arrived.answer = postcard::from_bytes(&answer).map_err(damaged)?;
        }
        Ok(Some(arrived))
    }

    fn get(&self, kind: u8, number: u64) -> Result<Vec<u8>> {
        let mut value = Vec::new();
        for item in self.db.scan_prefix(prefix(kind, number)) {
            value.extend_from_slice(&item.map_err(failed)?.1);
        }
        Ok(value)
    }

    fn remove(&self, batch: &mut ::sled::Batch, number: u64) -> Result<()> {
        for kind in [ARRIVED, BODY, ANSWER] {
            for key in self.db.scan_prefix(prefix(kind, number)).keys() {
                batch.remove(key.map_err(failed)?);
            }
        }
        Ok(())
    }

    /// Applies a batch and makes it durable: sled's flush writes the file, the sync reaches the
    /// disk.
    fn apply(&self, batch: ::sled::Batch) -> Result<()> {
        self.db.apply_batch(batch).map_err(failed)?;
        self.db.flush().map_err(failed)?;
        self.data_file.sync_data().map_err(io_failed)
    }
}

/// The folder of sled's files while they are being made anew, and those that go.
const NEW: &str = "sled.new";
const OLD: &str = "sled.old";

/// Where sled's files lie.
pub(super) fn data_folder(folder: &Path) -> PathBuf {
    folder.join("sled")
}

/// Whether something was ever remembered in the folder.
pub(super) fn is_ours(folder: &Path) -> bool {
    data_folder(folder).is_dir() || folder.join(NEW).is_dir()
}

/// Brings to its end what a kill has interrupted in [`Memory::clear`].
fn finish_clearing(folder: &Path) -> io::Result<()> {
    let data = data_folder(folder);
    let [new, old] = [NEW, OLD].map(|name| folder.join(name));
    // The new files are whole before the old ones go.
    if old.exists() && !data.exists() {
        fs::rename(&new, &data)?;
    }
    for rest in [new, old] {
        match fs::remove_dir_all(rest) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
    }
    Ok(())
}

/// The names of new files are durable only once their folders are.
fn sync_folders(folders: &[&Path]) -> io::Result<()> {
    folders.iter().try_for_each(|folder| File::open(folder)?.sync_all())
}

fn io_failed(error: io::Error) -> Error {
    failed(::sled::Error::Io(error))
}

fn encoded(value: &impl serde::Serialize) -> Result<Vec<u8>> {
    postcard::to_stdvec(value)
        .map_err(|error| Error::internal("a request is not encoded").with_source(error))
}

fn put(batch: &mut ::sled::Batch, kind: u8, number: u64, value: &[u8]) {
    for (part, bytes) in (0_u32..).zip(value.chunks(PART_BYTES)) {
        let mut key = prefix(kind, number).to_vec();
        key.extend_from_slice(&part.to_be_bytes());
        batch.insert(key, bytes);
    }
}

fn prefix(kind: u8, number: u64) -> [u8; 9] {
    let mut key = [kind; 9];
    if let Some(rest) = key.get_mut(1..) {
        rest.copy_from_slice(&number.to_be_bytes());
    }
    key
}

fn number_of(bytes: &[u8]) -> Result<u64> {
    let bytes = bytes.try_into().map_err(|_| Error::unreadable("a number in it is damaged"))?;
    Ok(u64::from_be_bytes(bytes))
}
