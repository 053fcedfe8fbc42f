//! How a running listener and who asks it talk over their socket: each message is its length in four
//! bytes, big end first, and so many bytes of postcard.

use crate::error::{Error, Result};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::io::{Read, Write};

/// The longest question, in bytes.
pub(super) const ASK_BYTES_MAX: u32 = 64 * 1024;
/// The longest answer, in bytes: the largest request with what goes beside its body.
pub(super) const TOLD_BYTES_MAX: u32 = 32 * 1024 * 1024;

pub(super) fn write(to: &mut impl Write, message: &impl Serialize) -> Result<()> {
    let bytes = postcard::to_stdvec(message).map_err(broken)?;
    let length = u32::try_from(bytes.len()).map_err(broken)?;
    to.write_all(&length.to_be_bytes()).and_then(|()| to.write_all(&bytes)).map_err(broken)
}

pub(super) fn read<T: DeserializeOwned>(from: &mut impl Read, bytes_max: u32) -> Result<T> {
    let mut length = [0; 4];
    from.read_exact(&mut length).map_err(broken)?;
    let length = u32::from_be_bytes(length);
    if length > bytes_max {
        return Err(broken("a message is too long"));
    }
    let mut bytes = Vec::new();
    from.take(u64::from(length)).read_to_end(&mut bytes).map_err(broken)?;
    postcard::from_bytes(&bytes).map_err(broken)
}

fn broken(error: impl std::fmt::Display) -> Error {
    Error::unavailable(format!("the talk with the listener broke off: {error}"))
}
