//! Too many open files: what is to be sent waits, for that is no fault of the endpoint's, and no
//! attempt of its schedule's.

use rustix::io::Errno;
use std::fs::File;
use std::io;
use std::time::Duration;

/// How long to wait before a file is asked for again.
const PAUSE: Duration = Duration::from_millis(50);

/// Whether `error` says that this process, or the whole system, has too many files open.
pub(super) fn is_meant_by(error: &io::Error) -> bool {
    matches!(Errno::from_io_error(error), Some(Errno::MFILE | Errno::NFILE))
}

/// Whether no file can be opened now.
pub(super) fn is_there() -> bool {
    File::open("/").is_err_and(|error| is_meant_by(&error))
}

/// Waits for files to be closed.
pub(super) async fn pause() {
    crate::clock::pause(PAUSE).await;
}
