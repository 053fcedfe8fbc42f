//! A data folder: one process has it at a time, and sled is opened in it with care.
//!
//! What is kept is for nobody but the owner: what is made here no other user may look into. A folder
//! that was there may be somebody's choice and stays as it is; in it sled's own is narrowed.
//!
//! sled 0.34 has traps that its manual does not name; who keeps something in it opens it here.

use crate::error::{Error, ErrorKind, Result};
use backoff::ExponentialBackoff;
use std::fs::{self, DirBuilder, File, OpenOptions, Permissions, TryLockError};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::panic::{self, AssertUnwindSafe};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

/// The file that is locked.
const LOCK: &str = "lock";

/// How long sled's threads may take to let go of their file.
const LET_GO_WITHIN: Duration = Duration::from_secs(3);

/// What is said of data that cannot be read.
const DAMAGED: &str = "the store's data is damaged: restore the folder from a backup";

/// A folder of our own that goes with us.
pub(crate) struct TemporaryFolder(PathBuf);

impl TemporaryFolder {
    /// Makes one in `parent`, whose name tells what it is `for_what`.
    ///
    /// # Errors
    /// Fails where `parent` cannot be written.
    pub(crate) fn make(parent: &Path, for_what: &str) -> Result<Self> {
        let process = std::process::id();
        let name = |number: u32| parent.join(format!("hookwheel-{for_what}-{process}-{number}"));
        // What a killed one left behind is in nobody's way.
        let path = (0..).map(name).find(|path| !path.exists()).unwrap_or_else(|| name(0));
        DirBuilder::new().mode(0o700).create(&path).map_err(|error| {
            Error::unavailable(format!("folder {} cannot be made: {error}", path.display()))
                .with_source(error)
        })?;
        Ok(Self(path))
    }

    /// Where it is.
    pub(crate) fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for TemporaryFolder {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_dir_all(&self.0) {
            tracing::warn!(folder = %self.0.display(), %error, "a folder could not be removed");
        }
    }
}

/// Takes the folder for this process, which has it until the last clone is dropped; makes it where
/// there is none.
///
/// # Errors
/// [`ErrorKind::InUse`] when another process has it.
pub(crate) fn lock(folder: &Path) -> Result<Arc<File>> {
    let cannot = |what: &str, error: io::Error| {
        Error::unavailable(format!("cannot {what} data folder `{}`: {error}", folder.display()))
            .with_source(error)
    };
    make_private(folder).map_err(|error| cannot("make", error))?;
    let mut options = private_file();
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

/// Makes a folder, for its owner only; one that exists stays as it is.
pub(crate) fn make_private(folder: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(folder)
}

/// How a file is opened that is for its owner only, should it be made.
pub(crate) fn private_file() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.mode(0o600);
    options
}

/// Makes a folder of ours, or leaves it to its owner, whoever could look into it before.
fn narrow(folder: &Path) -> Result<()> {
    let narrowed = make_private(folder).and_then(|()| fs::metadata(folder)).and_then(|held| {
        match held.permissions().mode() & 0o077 {
            0 => Ok(()),
            _ => fs::set_permissions(folder, Permissions::from_mode(0o700)),
        }
    });
    narrowed.map_err(|error| {
        let kind = match error.kind() {
            io::ErrorKind::PermissionDenied => ErrorKind::Invalid,
            _ => ErrorKind::Unavailable,
        };
        let words = "it cannot be left to this user alone";
        Error::new(kind, format!("folder `{}`: {words}: {error}", folder.display()))
            .with_source(error)
    })
}

/// Bytes of a segment of sled's log. A node of its tree holds up to 16 values, and one that is longer
/// than a quarter of this is written to a file of its own, which is never synced and not always
/// removed. With values of 16 KiB at most there is none. sled's buffers have this size, too.
const SEGMENT_BYTES: usize = 2 * 1024 * 1024;

/// Opens sled in `data`, a folder below a locked one, which no other user can look into from then on.
/// It is ours, but sled's own threads let go of their file a moment after the last handle is dropped,
/// so a file that is locked is asked for again for a while.
///
/// # Errors
/// [`ErrorKind::Unreadable`] when it is damaged.
pub(crate) fn open_sled(data: &Path, cache_bytes: u64) -> Result<::sled::Db> {
    narrow(data)?;
    remove_leftovers(data)?;
    let config = ::sled::Config::new()
        .path(data)
        .cache_capacity(cache_bytes)
        .segment_size(segment_bytes(data))
        // Without its flusher sled never reclaims space.
        .flush_every_ms(Some(500));
    let open = || {
        // A damaged file makes sled panic in places; nothing that it was working on outlives that.
        let opened = panic::catch_unwind(AssertUnwindSafe(|| config.open()));
        match opened.map_err(|_| backoff::Error::permanent(Error::unreadable(DAMAGED)))? {
            Ok(db) => Ok(db),
            Err(error) if is_locked(&error) => Err(backoff::Error::transient(failed(error))),
            Err(error) => Err(backoff::Error::permanent(failed(error))),
        }
    };
    backoff::retry(short_waits(LET_GO_WITHIN), open).map_err(last_error)
}

/// Waits until sled's threads have let go of its `file`, for as long as [`open_sled`] does: what
/// they are still writing would look like damage.
///
/// # Errors
/// Fails when they do not, or the file cannot be opened.
pub(crate) fn wait_until_let_go(file: &Path) -> std::io::Result<()> {
    let file = match File::open(file) {
        Ok(file) => file,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error),
    };
    let lock = || {
        file.try_lock().map_err(|refusal| match refusal {
            TryLockError::WouldBlock => backoff::Error::transient(refusal.into()),
            TryLockError::Error(error) => backoff::Error::permanent(error),
        })
    };
    // Nobody else opens it meanwhile, for the folder is ours.
    backoff::retry(short_waits(LET_GO_WITHIN), lock).map_err(last_error)?;
    file.unlock()
}

/// Bytes of a segment of the log in `data`: those that it was made with, as sled wrote them down.
pub(crate) fn segment_bytes(data: &Path) -> usize {
    let written = std::fs::read(data.join("conf")).unwrap_or_default();
    let written = String::from_utf8_lossy(&written);
    let size = written.lines().find_map(|line| line.strip_prefix("segment_size: ")?.parse().ok());
    size.unwrap_or(SEGMENT_BYTES)
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

/// What sled's error means to us.
pub(crate) fn failed(error: ::sled::Error) -> Error {
    let (kind, what) = match &error {
        ::sled::Error::Corruption { .. } | ::sled::Error::Unsupported(_) => {
            (ErrorKind::Unreadable, DAMAGED)
        }
        // The file ends before what it should hold.
        ::sled::Error::Io(io) if io.kind() == io::ErrorKind::UnexpectedEof => {
            (ErrorKind::Unreadable, DAMAGED)
        }
        ::sled::Error::Io(io) if io.kind() == io::ErrorKind::StorageFull => {
            (ErrorKind::Unavailable, "the disk is full")
        }
        _ => (ErrorKind::Unavailable, "the store failed"),
    };
    Error::new(kind, format!("{what} ({error})")).with_source(error)
}
