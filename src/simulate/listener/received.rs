//! What a listener remembers, seen from outside.

use super::arrived::{Arrived, Remembered};
use super::ask::{self, Ask, Filter, Told};
use super::memory::{self, Keep, Memory};
use super::socket;
use super::wire;
use crate::error::{Error, Result};
use std::io::ErrorKind;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};

/// The requests in a listener's folder: asked from the listener while one runs, else read from the
/// folder, which then nobody else can open.
pub struct Received(Access);

enum Access {
    Asked(PathBuf),
    Held(Memory),
}

impl Received {
    /// Looks into `folder`.
    ///
    /// # Errors
    /// When it is no folder of a listener, or another process has it and cannot be asked.
    pub fn open(folder: &Path) -> Result<Self> {
        if !memory::is_ours(folder) {
            return Err(Error::not_found(format!(
                "folder `{}` holds nothing received: `hookwheel listen` makes one",
                folder.display()
            )));
        }
        let access = match connect(folder)? {
            Some(_) => Access::Asked(folder.to_owned()),
            None => Access::Held(Memory::open(folder, Keep::default())?),
        };
        Ok(Self(access))
    }

    /// The requests that `filter` means, the oldest first. All of them are read before any is
    /// returned: who prints them may be held up, and then holds up nobody else.
    ///
    /// # Errors
    /// When they cannot be read.
    pub fn list(&self, filter: Filter) -> Result<Vec<Arrived>> {
        let mut listed = Vec::new();
        self.ask(Ask::List(filter), &mut |told| match told {
            Told::Arrived(arrived) => {
                listed.push(*arrived);
                Ok(())
            }
            _ => Err(unexpected()),
        })?;
        Ok(listed)
    }

    /// One request.
    ///
    /// # Errors
    /// When it is not remembered.
    pub fn show(&self, number: u64) -> Result<Remembered> {
        let mut shown = None;
        self.ask(Ask::Show(number), &mut |told| match told {
            Told::Remembered(remembered) => {
                shown = Some(*remembered);
                Ok(())
            }
            _ => Err(unexpected()),
        })?;
        shown.ok_or_else(unexpected)
    }

    /// Has the running listener answer as this [`Script`](super::Script) says from now on.
    ///
    /// # Errors
    /// When it is none, or no listener runs.
    pub fn respond(&self, script: &str) -> Result<()> {
        self.ask(Ask::Respond(script.to_owned()), &mut |_| Err(unexpected()))
    }

    /// Forgets everything, and tells how many requests that were.
    ///
    /// # Errors
    /// When the folder cannot be written.
    pub fn clear(&self) -> Result<u64> {
        let mut cleared = None;
        self.ask(Ask::Clear, &mut |told| match told {
            Told::Count(count) => {
                cleared = Some(count);
                Ok(())
            }
            _ => Err(unexpected()),
        })?;
        cleared.ok_or_else(unexpected)
    }

    fn ask(&self, ask: Ask, tell: &mut dyn FnMut(Told) -> Result<()>) -> Result<()> {
        match &self.0 {
            Access::Held(memory) => ask::answer(ask, memory, None, tell),
            Access::Asked(folder) => {
                let mut stream = connect(folder)?.ok_or_else(|| {
                    Error::unavailable("the listener has just ended: ask once more")
                })?;
                wire::write(&mut stream, &ask)?;
                loop {
                    match wire::read(&mut stream, wire::TOLD_BYTES_MAX)? {
                        Told::End => return Ok(()),
                        Told::Refused { kind, message } => return Err(kind.error(message)),
                        told => tell(told)?,
                    }
                }
            }
        }
    }
}

/// Reaches the listener of a folder; `None` when none runs.
fn connect(folder: &Path) -> Result<Option<UnixStream>> {
    let place = socket::place(folder);
    match UnixStream::connect(&place) {
        Ok(stream) => socket::prepare(&stream).map(|()| Some(stream)),
        // A killed listener leaves its socket behind.
        Err(error)
            if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::ConnectionRefused) =>
        {
            Ok(None)
        }
        // No listener could open it by this path.
        Err(error) if socket::is_too_long(&error) => Ok(None),
        Err(error) => {
            let place = place.display();
            Err(Error::unavailable(format!("the listener at `{place}` cannot be asked: {error}"))
                .with_source(error))
        }
    }
}

fn unexpected() -> Error {
    Error::internal("the listener told something else than was asked")
}
