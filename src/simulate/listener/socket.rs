//! The socket in the folder, by which a running listener tells what it remembers.

use super::ask::{self, Ask, Told};
use super::memory::Memory;
use super::script::Playing;
use super::wire;
use crate::clock;
use crate::error::{Error, Result};
use std::fs::{self, Permissions};
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio::net::UnixListener;

/// How long who asks may take for a message.
const MESSAGE_TIME_MAX: Duration = Duration::from_secs(10);
/// How long to wait with the next connection when none can be accepted.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Where the socket of a folder is.
pub(super) fn place(folder: &Path) -> PathBuf {
    folder.join("socket")
}

/// The file of an open socket, which goes when this is dropped: without it who asks finds a folder
/// that is free in a moment.
pub(super) struct Place(PathBuf);

impl Drop for Place {
    fn drop(&mut self) {
        // One that stays behind is taken for that of a listener that was killed.
        let _ = remove(&self.0);
    }
}

/// Opens the socket of a folder that this process has locked, for the owner of the process only.
pub(super) fn open(folder: &Path) -> Result<(UnixListener, Place)> {
    let place = place(folder);
    // One that cannot be asked yet, so that nobody meets it before only its owner may.
    let new = folder.join("socket.new");
    let opened = (|| {
        // What a killed listener has left.
        remove(&new)?;
        let listener = UnixListener::bind(&new)?;
        fs::set_permissions(&new, Permissions::from_mode(0o600))?;
        fs::rename(&new, &place)?;
        Ok(listener)
    })();
    match opened {
        Ok(listener) => Ok((listener, Place(place))),
        Err(error) if is_too_long(&error) => {
            let (place, length) = (place.display(), new.as_os_str().len());
            Err(Error::invalid(format!(
                "socket `{place}` cannot be opened: its path has {length} bytes, more than systems \
                 allow (107 on Linux): name the folder by a shorter path, such as one from the \
                 current folder"
            ))
            .with_source(error))
        }
        Err(error) => {
            let place = place.display();
            Err(Error::invalid(format!("socket `{place}` cannot be opened: {error}"))
                .with_source(error))
        }
    }
}

/// Whether a socket's path is longer than those of sockets may be.
pub(super) fn is_too_long(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::InvalidInput
}

fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// Answers who asks, until it is dropped.
pub(super) async fn serve(listener: UnixListener, memory: Arc<Memory>, playing: Arc<Playing>) {
    loop {
        let Ok((stream, _)) = listener.accept().await else {
            clock::pause(ACCEPT_PAUSE).await;
            continue;
        };
        let (memory, playing) = (Arc::clone(&memory), Arc::clone(&playing));
        // The memory blocks, and so does the talk. What goes wrong with it concerns who asked.
        tokio::task::spawn_blocking(move || {
            let _ended = stream
                .into_std()
                .map_err(|error| Error::unavailable(error.to_string()))
                .and_then(|stream| talk(stream, &memory, &playing));
        });
    }
}

fn talk(mut stream: UnixStream, memory: &Memory, playing: &Playing) -> Result<()> {
    prepare(&stream)?;
    let ask: Ask = wire::read(&mut stream, wire::ASK_BYTES_MAX)?;
    let answered =
        ask::answer(ask, memory, Some(playing), &mut |told| wire::write(&mut stream, &told));
    match answered {
        Ok(()) => wire::write(&mut stream, &Told::End),
        Err(error) => wire::write(&mut stream, &Told::refused(&error)),
    }
}

/// Makes a stream block, and not for ever.
pub(super) fn prepare(stream: &UnixStream) -> Result<()> {
    stream
        .set_nonblocking(false)
        .and_then(|()| stream.set_read_timeout(Some(MESSAGE_TIME_MAX)))
        .and_then(|()| stream.set_write_timeout(Some(MESSAGE_TIME_MAX)))
        .map_err(|error| Error::unavailable("a socket cannot be set up").with_source(error))
}
