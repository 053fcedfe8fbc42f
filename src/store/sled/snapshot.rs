//! sled's snapshots: where in its file each page of its tree is, as of a place in the log.
//!
//! sled writes one when it opens, and goes on from it the next time: what came before is known by
//! nothing else.

use crate::error::{Error, Result};
use crate::store::sled::log::number;
use std::fs;
use std::path::{Path, PathBuf};

/// What its files are called, before the place in the log as a hexadecimal number.
const NAME: &str = "snap.";

/// A part of a page: what one message says of it.
#[derive(Debug, PartialEq)]
pub(super) struct Part {
    pub(super) page: u64,
    /// Its place in the log.
    pub(super) place: u64,
    /// Its place in the file.
    pub(super) offset: u64,
    /// Its length; 0 of a page that is free.
    pub(super) bytes: u64,
}

/// The name of the file of the one that was made at `place` in the log.
pub(super) fn name(place: u64) -> String {
    format!("{NAME}{place:016X}")
}

/// The newest snapshot in `data` and where in the log it was made, if there is one.
///
/// # Errors
/// Fails where the folder cannot be read.
pub(super) fn newest(data: &Path) -> Result<Option<(u64, PathBuf)>> {
    let listing = fs::read_dir(data).map_err(|error| {
        Error::unavailable(format!("cannot read folder `{}`: {error}", data.display()))
            .with_source(error)
    })?;
    let snapshots = listing.flatten().filter_map(|entry| {
        let name = entry.file_name();
        let place = u64::from_str_radix(name.to_str()?.strip_prefix(NAME)?, 16).ok()?;
        Some((place, entry.path()))
    });
    Ok(snapshots.max())
}

/// What a snapshot's file says; `None` where it is damaged.
pub(super) fn parse(file: &[u8]) -> Option<Vec<Part>> {
    let (rest, checksum) = file.split_last_chunk::<4>()?;
    let (contents, _length) = rest.split_last_chunk::<8>()?;
    if u32::from_le_bytes(*checksum) != crc32fast::hash(contents) {
        return None;
    }
    // Where it was made is in its name, too; the segment that was written then follows from the
    // parts.
    let (_, contents) = place(contents)?;
    let (_, mut contents) = number(contents)?;
    let (mut parts, mut page) = (Vec::new(), 0);
    while let Some((count, rest)) = contents.split_first() {
        contents = rest;
        for _ in 0..(*count).max(1) {
            let (place, rest) = place(contents)?;
            let (offset, rest) = pointer(rest)?;
            // No parts at all are those of a page that is free, which only says where it was freed.
            let (bytes, rest) = if *count == 0 { (0, rest) } else { number(rest)? };
            parts.push(Part { page, place, offset, bytes });
            contents = rest;
        }
        page += 1;
    }
    Some(parts)
}

fn place(bytes: &[u8]) -> Option<(u64, &[u8])> {
    let (place, rest) = bytes.split_first_chunk()?;
    Some((u64::from_le_bytes(*place), rest))
}

/// An offset of the file; some messages only name another file, and that one's name follows here.
fn pointer(bytes: &[u8]) -> Option<(u64, &[u8])> {
    let (kind, rest) = bytes.split_first()?;
    let (offset, rest) = number(rest)?;
    match kind {
        0 => Some((offset, rest)),
        1 => Some((offset, place(rest)?.1)),
        _ => None,
    }
}
