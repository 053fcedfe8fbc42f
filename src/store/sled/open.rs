//! Opening the store in a locked folder: its format, the commit mark, what is kept in memory.

use crate::clock::Stopwatch;
use crate::error::{Error, ErrorKind, Result};
use crate::folder::{open_sled, segment_bytes, wait_until_let_go};
use crate::store::keys::{IndexKind, Key};
use crate::store::sled::attempts::AttemptIndex;
use crate::store::sled::check::check;
use crate::store::sled::durability::Durability;
use crate::store::sled::index::IndexBuffer;
use crate::store::sled::log::{self, Log};
use crate::store::sled::manifest::Manifest;
use crate::store::sled::mark::{self, Acknowledged, Mark};
use crate::store::sled::redo::{Pending, Redo};
use crate::store::sled::{Opened, SledOptions, Writer, expire, failed, let_go, snapshot};
use std::collections::BTreeSet;
use std::fs::File;
use std::io;
use std::path::Path;
use std::sync::{Arc, Mutex};

/// What is logged once sled has its file open.
pub const OPENED: &str = "sled has opened its file";
/// sled's own folder in the data folder.
const DATA: &str = "sled";
/// The version of the whole layout.
const FORMAT: u128 = 1;

/// Opens sled in the locked folder, checks that nothing acknowledged is missing, and makes whole what
/// failed half-way.
pub(super) fn open(
    folder: &Path,
    options: &SledOptions,
    lock: &Arc<File>,
    redo: &Arc<Redo>,
) -> Result<Opened> {
    let data = folder.join(DATA);
    let io = |error: io::Error| {
        Error::unavailable(format!("cannot use data folder `{}`: {error}", folder.display()))
            .with_source(error)
    };
    let acknowledged = mark::read(folder)?;
    let pending = redo.pending()?;
    if acknowledged.sequence > 0 {
        if matches!(pending, Pending::Torn)
            || (acknowledged.in_doubt && matches!(pending, Pending::Nothing))
        {
            return Err(half(folder));
        }
        wait_until_let_go(&data.join(log::FILE)).map_err(io)?;
        check(folder, &data).map_err(|error| damaged(folder, error))?;
    }
    let watch = Stopwatch::start();
    let db = open_sled(&data, options.cache_bytes)
        .map_err(|error| error.within(format!("data folder `{}`", folder.display())))?;
    // Most of a long start is this, and grows with the file.
    let milliseconds = watch.elapsed().as_secs_f64() * 1e3;
    tracing::info!(milliseconds, bytes = db.size_on_disk().unwrap_or(0), "{OPENED}");
    let beside = || {
        let data_file = File::open(data.join(log::FILE)).map_err(io)?;
        // The names of new files are durable only once their folder is.
        File::open(&data).and_then(|data| data.sync_all()).map_err(io)?;
        let snapshot = snapshot::newest(&data)?.map_or(0, |(place, _)| place);
        let log = Log::open(&data, segment_bytes(&data)).map_err(io)?;
        let mark = Mark::open(folder).map_err(io)?;
        Ok((data_file, mark, Manifest::begin(folder, log, snapshot)?))
    };
    let (data_file, mark, manifest) = match beside() {
        Ok(files) => files,
        Err(error) => {
            let_go(db);
            return Err(error);
        }
    };
    let opened = Opened {
        db,
        data_file,
        mark,
        redo: Arc::clone(redo),
        durability: Durability::default(),
        writer: Mutex::new(Writer {
            sequence: 0,
            fresh: BTreeSet::new(),
            last_event: 0,
            recent_pages: BTreeSet::new(),
            expiry: expire::Cursor::default(),
            manifest,
        }),
        events: Mutex::new(IndexBuffer::new(IndexKind::Events)),
        attempts: AttemptIndex::default(),
        _lock: Arc::clone(lock),
    };
    match opened.check(folder, acknowledged, pending) {
        Ok(()) => Ok(opened),
        Err(error) => {
            let_go(opened);
            Err(error)
        }
    }
}

/// Has the system forget what it keeps of sled's file: what it could not write after all, it shows
/// all the same, as if it were on the disk.
pub(super) fn forget_cached(folder: &Path) {
    let file = File::open(folder.join(DATA).join(log::FILE));
    let forgotten = file.and_then(|file| {
        rustix::fs::fadvise(&file, 0, None, rustix::fs::Advice::DontNeed).map_err(io::Error::from)
    });
    if let Err(error) = forgotten {
        tracing::warn!(%error, "what the system keeps of the store's file could not be forgotten");
    }
}

/// What is said of a log that is not as it was written, after where that is.
fn damaged(folder: &Path, error: Error) -> Error {
    match error.kind() {
        ErrorKind::Unreadable => Error::unreadable(format!(
            "data folder `{}` lost what it had acknowledged: it is damaged ({error}). Restore a \
             backup, or remove `{}` to accept the loss",
            folder.display(),
            mark::path(folder).display()
        )),
        _ => error,
    }
}

/// What is said of half a commit that cannot be made whole.
fn half(folder: &Path) -> Error {
    Error::unreadable(format!(
        "data folder `{}` has half a commit: its disk failed while that was written, and what else \
         was in it could not be kept. Restore a backup, or remove `{}` to accept what the store \
         holds",
        folder.display(),
        mark::path(folder).display()
    ))
}

impl Opened {
    fn check(&self, folder: &Path, acknowledged: Acknowledged, pending: Pending) -> Result<()> {
        self.check_format(folder)?;
        self.check_mark(folder, acknowledged.sequence)?;
        self.make_whole(acknowledged.sequence, pending)?;
        self.take_up()
    }

    /// Carries out what failed half-way, unless that was done already.
    fn make_whole(&self, acknowledged: u64, pending: Pending) -> Result<()> {
        match pending {
            Pending::Nothing => return Ok(()),
            Pending::Half(half) if half.sequence > acknowledged => {
                tracing::warn!(
                    commit = half.sequence,
                    "a commit that failed half-way is made whole"
                );
                let applied = self.apply(&mut self.writer(), half.writes);
                applied.map_err(|error| match error.kind() {
                    ErrorKind::Unreadable => Error::unreadable(format!(
                        "half a commit cannot be made whole: {error}. Restore a backup, or remove \
                         `{}` to accept what the store holds",
                        self.redo.path().display()
                    )),
                    _ => error,
                })?;
            }
            Pending::Half(_) | Pending::Torn => {}
        }
        self.redo.forget()
    }

    fn check_format(&self, folder: &Path) -> Result<()> {
        let key = Key::Meta("format").encode();
        match self.get(&key)? {
            None => {
                self.db
                    .insert(key, super::record::inline(&FORMAT.to_be_bytes()))
                    .map_err(failed)?;
                Ok(())
            }
            Some(bytes) if bytes == FORMAT.to_be_bytes() => Ok(()),
            Some(_) => Err(Error::unreadable(format!(
                "data folder `{}` was written by another version of hookwheel: use that version",
                folder.display()
            ))),
        }
    }

    /// Compares what is there with what was acknowledged. sled takes a damaged end of its log for
    /// a torn write and goes on without it; the mark knows better.
    fn check_mark(&self, folder: &Path, acknowledged: u64) -> Result<()> {
        let held = u64::try_from(self.number("sequence")?).unwrap_or(u64::MAX);
        if held < acknowledged {
            return Err(Error::unreadable(format!(
                "data folder `{}` lost what it had acknowledged: the store ends at commit {held}, \
                 but commit {acknowledged} was confirmed. Its file was damaged or replaced: \
                 restore a backup, or remove `{}` to accept the loss",
                folder.display(),
                mark::path(folder).display()
            )));
        }
        self.writer().sequence = held;
        Ok(())
    }

    /// Fills what is kept in memory besides the disk.
    fn take_up(&self) -> Result<()> {
        let indexed = self.number("indexed")?;
        let mut last_event = indexed;
        self.each_acceptance_after(indexed, |acceptance| {
            last_event = acceptance.event.id.as_u128();
            self.index_event(&acceptance);
        })?;
        self.take_up_attempts()?;
        let fresh = self.find_fresh()?;
        let mut writer = self.writer();
        writer.fresh = fresh;
        writer.last_event = last_event;
        Ok(())
    }
}

/// Refuses when less than `reserve` bytes, or a tenth of a small disk, are free.
pub(super) fn check_room(folder: &Path, reserve: u64) -> Result<()> {
    let Ok(disk) = rustix::fs::statvfs(folder) else {
        return Ok(());
    };
    let free = disk.f_bavail.saturating_mul(disk.f_frsize);
    let whole = disk.f_blocks.saturating_mul(disk.f_frsize);
    let reserve = reserve.min(whole / 10);
    if free >= reserve {
        return Ok(());
    }
    Err(Error::unavailable(format!(
        "the disk of `{}` is full: {} MiB are free and {} MiB are kept for recording attempts. \
         Events are taken again once there is room",
        folder.display(),
        free >> 20,
        reserve >> 20,
    )))
}
