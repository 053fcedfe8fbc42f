//! Opening a folder: the lock, what a killed open left behind, the commit mark.

use crate::error::{Error, ErrorKind, Result};
use crate::store::keys::{IndexKind, Key};
use crate::store::sled::attempts::AttemptIndex;
use crate::store::sled::index::IndexBuffer;
use crate::store::sled::{DAMAGED, Opened, SledOptions, Writer, expire, failed};
use backoff::ExponentialBackoff;
use std::collections::BTreeSet;
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{Read, Seek, SeekFrom, Write};
use std::os::unix::fs::FileExt;
use std::panic::{self, AssertUnwindSafe};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// What the folder holds, so that it is known by its names.
const LOCK: &str = "lock";
const MARK: &str = "mark";
const DATA: &str = "sled";
/// The version of the whole layout.
const FORMAT: u128 = 1;

/// Takes the folder for this process.
pub(super) fn lock(folder: &Path) -> Result<Arc<File>> {
    let cannot = |what: &str, error: std::io::Error| {
        Error::unavailable(format!("cannot {what} data folder `{}`: {error}", folder.display()))
            .with_source(error)
    };
    fs::create_dir_all(folder).map_err(|error| cannot("make", error))?;
    let mut options = OpenOptions::new();
    let options = options.read(true).write(true).create(true).truncate(false);
    let mut file = options.open(folder.join(LOCK)).map_err(|error| cannot("use", error))?;
    // An engine that is just being dropped, or a child that is just being started and still holds
    // our files, lets go within milliseconds.
    let taken = backoff::retry(short_waits(Duration::from_millis(500)), || {
        file.try_lock().map_err(|refusal| match refusal {
            TryLockError::WouldBlock => backoff::Error::transient(refusal),
            TryLockError::Error(_) => backoff::Error::permanent(refusal),
        })
    });
    match taken.map_err(last_error) {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            let mut owner = String::new();
            // Only to be helpful: the message stands without it.
            let _ = file.read_to_string(&mut owner);
            return Err(Error::new(
                ErrorKind::InUse,
                format!(
                    "data folder `{}` is in use by another process ({}): stop that one first, or \
                     choose another folder",
                    folder.display(),
                    owner.trim(),
                ),
            ));
        }
        Err(TryLockError::Error(error)) => return Err(cannot("lock", error)),
    }
    let told = file
        .set_len(0)
        .and_then(|()| file.seek(SeekFrom::Start(0)))
        .and_then(|_| writeln!(file, "process {}", std::process::id()));
    told.map_err(|error| cannot("use", error))?;
    Ok(Arc::new(file))
}

/// Opens sled in the locked folder and checks that nothing acknowledged is missing.
pub(super) fn open(folder: &Path, options: &SledOptions, lock: &Arc<File>) -> Result<Opened> {
    let data = folder.join(DATA);
    let is_new = !data.exists();
    remove_leftovers(&data)?;
    let config = ::sled::Config::new()
        .path(&data)
        .cache_capacity(options.cache_bytes)
        // Without its flusher sled never reclaims space.
        .flush_every_ms(Some(500));
    let db = open_sled(&config)
        .map_err(|error| error.within(format!("data folder `{}`", folder.display())))?;
    let io = |error: std::io::Error| {
        Error::unavailable(format!("cannot use data folder `{}`: {error}", folder.display()))
            .with_source(error)
    };
    let data_file = File::open(data.join("db")).map_err(io)?;
    let mut mark_options = OpenOptions::new();
    let mark_options = mark_options.read(true).write(true).create(true).truncate(false);
    let mark = mark_options.open(folder.join(MARK)).map_err(io)?;
    let opened = Opened {
        db,
        data_file,
        mark,
        writer: Mutex::new(Writer {
            sequence: 0,
            fresh: BTreeSet::new(),
            last_event: 0,
            recent_pages: BTreeSet::new(),
            expiry: expire::Cursor::default(),
        }),
        events: Mutex::new(IndexBuffer::new(IndexKind::Events)),
        attempts: AttemptIndex::default(),
        _lock: Arc::clone(lock),
    };
    opened.check_format(folder)?;
    opened.check_mark(folder)?;
    opened.take_up()?;
    if is_new {
        // The names of new files are durable only once their folders are.
        for name in [data.as_path(), folder] {
            File::open(name).and_then(|folder| folder.sync_all()).map_err(io)?;
        }
    }
    Ok(opened)
}

/// Opens sled. The folder is ours, but sled's own threads let go of its file a moment after the
/// last handle is dropped, so a file that is locked is asked for again for a while.
fn open_sled(config: &::sled::Config) -> Result<::sled::Db> {
    let open = || {
        // A damaged file makes sled panic in places; nothing that it was working on outlives that.
        let opened = panic::catch_unwind(AssertUnwindSafe(|| config.open()));
        match opened.map_err(|_| backoff::Error::permanent(Error::unreadable(DAMAGED)))? {
            Ok(db) => Ok(db),
            Err(error) if is_locked(&error) => Err(backoff::Error::transient(failed(error))),
            Err(error) => Err(backoff::Error::permanent(failed(error))),
        }
    };
    backoff::retry(short_waits(Duration::from_secs(3)), open).map_err(last_error)
}

/// Waits of a few milliseconds, growing, `in_all` together.
fn short_waits(in_all: Duration) -> ExponentialBackoff {
    ExponentialBackoff {
        initial_interval: Duration::from_millis(2),
        max_interval: Duration::from_millis(100),
        max_elapsed_time: Some(in_all),
        ..ExponentialBackoff::default()
    }
}

fn last_error<E>(error: backoff::Error<E>) -> E {
    match error {
        backoff::Error::Permanent(error) | backoff::Error::Transient { err: error, .. } => error,
    }
}

fn is_locked(error: &::sled::Error) -> bool {
    // sled wraps the refusal of its lock into an error of the kind `Other`.
    matches!(error, ::sled::Error::Io(io) if io.to_string().contains("could not acquire lock"))
}

/// A kill while sled opens leaves `snap.*.generating`, which it then takes for its newest snapshot
/// and refuses. The whole snapshot is only replaced after the new one is in place, so what is left
/// half-written can go.
fn remove_leftovers(data: &Path) -> Result<()> {
    let Ok(listing) = fs::read_dir(data) else {
        return Ok(());
    };
    for entry in listing.flatten() {
        let name = entry.file_name();
        let name = name.to_string_lossy();
        if name.starts_with("snap.") && name.ends_with(".generating") {
            let path: PathBuf = entry.path();
            tracing::info!(file = %path.display(), "removing what an interrupted open left behind");
            fs::remove_file(&path).map_err(|error| {
                Error::unavailable(format!("cannot remove `{}`: {error}", path.display()))
                    .with_source(error)
            })?;
        }
    }
    Ok(())
}

impl Opened {
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
    fn check_mark(&self, folder: &Path) -> Result<()> {
        let held = u64::try_from(self.number("sequence")?).unwrap_or(u64::MAX);
        let mut bytes = [0_u8; 16];
        let acknowledged = match self.mark.read_exact_at(&mut bytes, 0) {
            Ok(()) => parse_mark(u128::from_be_bytes(bytes)),
            // Nothing was ever acknowledged.
            Err(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => Some(0),
            Err(error) => {
                return Err(Error::unavailable("cannot read the commit mark").with_source(error));
            }
        };
        let Some(acknowledged) = acknowledged else {
            return Err(Error::unreadable(format!(
                "the commit mark `{}` is damaged: restore the folder from a backup, or remove the \
                 file to accept what the store holds",
                folder.join(MARK).display()
            )));
        };
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
