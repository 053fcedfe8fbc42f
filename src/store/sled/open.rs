//! Opening the store in a locked folder: its format, the commit mark, what is kept in memory.

use crate::clock::Stopwatch;
use crate::error::{Error, ErrorKind, Result};
use crate::folder::{open_sled, segment_bytes};
use crate::store::keys::{IndexKind, Key};
use crate::store::sled::attempts::AttemptIndex;
use crate::store::sled::check::check;
use crate::store::sled::durability::Durability;
use crate::store::sled::index::IndexBuffer;
use crate::store::sled::log::{self, Log};
use crate::store::sled::manifest::Manifest;
use crate::store::sled::{Opened, SledOptions, Writer, expire, failed, let_go, snapshot};
use std::collections::BTreeSet;
use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::{Arc, Mutex};

/// What is logged once sled has its file open.
pub const OPENED: &str = "sled has opened its file";
/// What the folder holds besides its lock.
const MARK: &str = "mark";
const DATA: &str = "sled";
/// The version of the whole layout.
const FORMAT: u128 = 1;

/// Opens sled in the locked folder and checks that nothing acknowledged is missing.
pub(super) fn open(folder: &Path, options: &SledOptions, lock: &Arc<File>) -> Result<Opened> {
    let data = folder.join(DATA);
    let io = |error: io::Error| {
        Error::unavailable(format!("cannot use data folder `{}`: {error}", folder.display()))
            .with_source(error)
    };
    let acknowledged = read_mark(folder)?;
    // Without the mark, whoever removed it accepts what the store holds.
    if acknowledged > 0 {
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
        let mut mark_options = OpenOptions::new();
        let mark_options = mark_options.read(true).write(true).create(true).truncate(false);
        let mark = mark_options.open(folder.join(MARK)).map_err(io)?;
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
    match opened.check(folder, acknowledged) {
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

/// The last commit that was acknowledged, as the mark in `folder` says; 0 if none was.
fn read_mark(folder: &Path) -> Result<u64> {
    let path = folder.join(MARK);
    let bytes = match fs::read(&path) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(0),
        Err(error) => {
            return Err(Error::unavailable("cannot read the commit mark").with_source(error));
        }
    };
    // Before the first commit it is empty.
    if bytes.is_empty() {
        return Ok(0);
    }
    let mark = bytes.try_into().ok().and_then(|mark| parse_mark(u128::from_be_bytes(mark)));
    mark.ok_or_else(|| {
        Error::unreadable(format!(
            "the commit mark `{}` is damaged: restore the folder from a backup, or remove the file \
             to accept what the store holds",
            path.display()
        ))
    })
}

/// What is said of a log that is not as it was written, after where that is.
fn damaged(folder: &Path, error: Error) -> Error {
    match error.kind() {
        ErrorKind::Unreadable => Error::unreadable(format!(
            "data folder `{}` lost what it had acknowledged: it is damaged ({error}). Restore a \
             backup, or remove `{}` to accept the loss",
            folder.display(),
            folder.join(MARK).display()
        )),
        _ => error,
    }
}

impl Opened {
    fn check(&self, folder: &Path, acknowledged: u64) -> Result<()> {
        self.check_format(folder)?;
        self.check_mark(folder, acknowledged)?;
        self.take_up()
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
                folder.join(MARK).display()
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

    /// Writes down that everything up to `sequence` is durable. Without a sync of its own: after a
    /// power cut it may be behind, which is safe, and a killed process loses nothing of it.
    pub(super) fn write_mark(&self, sequence: u64) -> Result<()> {
        let bytes = make_mark(sequence).to_be_bytes();
        self.mark.write_all_at(&bytes, 0).map_err(|error| {
            Error::unavailable(format!("cannot write the commit mark: {error}")).with_source(error)
        })
    }
}

/// The number with its complement behind it, so that a torn write is seen.
fn make_mark(sequence: u64) -> u128 {
    (u128::from(sequence) << 64) | u128::from(!sequence)
}

fn parse_mark(mark: u128) -> Option<u64> {
    let sequence = u64::try_from(mark >> 64).ok()?;
    (make_mark(sequence) == mark).then_some(sequence)
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
