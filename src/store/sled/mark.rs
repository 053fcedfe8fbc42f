//! The commit mark: a file beside sled's data that tells how far was acknowledged.

use crate::error::{Error, Result};
use crate::folder::private_file;
use std::fs::{self, File};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

/// Its name in the data folder.
const NAME: &str = "mark";

/// What a mark says.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Acknowledged {
    /// The last commit that was acknowledged; 0 if none was.
    pub sequence: u64,
    /// The commit after it failed half-way, and could not be kept beside it.
    pub in_doubt: bool,
}

/// The mark of a store that is open.
pub(super) struct Mark(File);

/// Where the mark of a data folder is.
pub(super) fn path(folder: &Path) -> PathBuf {
    folder.join(NAME)
}

/// Reads it. Without one, whoever removed it accepts what the store holds.
pub(super) fn read(folder: &Path) -> Result<Acknowledged> {
    let path = path(folder);
    let none = Acknowledged { sequence: 0, in_doubt: false };
    let bytes = match fs::read(&path) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(none),
        Err(error) => {
            return Err(Error::unavailable("cannot read the commit mark").with_source(error));
        }
    };
    // Before the first commit it is empty.
    if bytes.is_empty() {
        return Ok(none);
    }
    let mark =
        bytes.try_into().ok().and_then(|mark| Acknowledged::parse(u128::from_be_bytes(mark)));
    mark.ok_or_else(|| {
        Error::unreadable(format!(
            "the commit mark `{}` is damaged: restore the folder from a backup, or remove the file \
             to accept what the store holds",
            path.display()
        ))
    })
}

impl Mark {
    /// Opens it, or makes one.
    pub fn open(folder: &Path) -> io::Result<Self> {
        let mut options = private_file();
        let options = options.read(true).write(true).create(true).truncate(false);
        options.open(path(folder)).map(Self)
    }

    /// Writes down what is acknowledged. Without a sync of its own: after a power cut it may be
    /// behind, which is safe, and a killed process loses nothing of it.
    pub fn write(&self, acknowledged: Acknowledged) -> Result<()> {
        self.0.write_all_at(&acknowledged.encode().to_be_bytes(), 0).map_err(|error| {
            Error::unavailable(format!("cannot write the commit mark: {error}")).with_source(error)
        })
    }
}

impl Acknowledged {
    /// The number with its complement behind it, so that a torn write is seen. Of that the last bit
    /// is turned where there is a doubt.
    fn encode(self) -> u128 {
        let Self { sequence, in_doubt } = self;
        (u128::from(sequence) << 64) | u128::from(!sequence ^ u64::from(in_doubt))
    }

    fn parse(mark: u128) -> Option<Self> {
        let sequence = u64::try_from(mark >> 64).ok()?;
        let said = [false, true].map(|in_doubt| Self { sequence, in_doubt });
        said.into_iter().find(|said| said.encode() == mark)
    }
}
