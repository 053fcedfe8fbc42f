//! sled's log, looked through before sled opens it: damage that sled would pass over is refused.
//!
//! sled 0.34 recovers from its newest snapshot and every message that was logged after it. Where a
//! message's checksum is wrong it goes on with the next segment, and a segment whose header is
//! wrong or that is not there it leaves out. That is right for what a crash tears at the log's
//! end, where the commit mark tells whether anything acknowledged was in it. It is wrong before
//! that. So what sled would recover is worked out here, and compared with what was there: the
//! snapshot tells of what came before it, the manifest of what came after. Whatever is missing
//! must have been let go of, and then each page that it was about was written whole again in what
//! is recovered.
//!
//! Damage within a segment that the snapshot knows is not looked for: sled reads such a page when
//! it is asked for, and then its checksum tells.

use crate::error::{Error, Result};
use crate::folder;
use crate::store::sled::log::{self, Log, SEGMENT_HEADER, Segment};
use crate::store::sled::manifest::{self, Told};
use crate::store::sled::snapshot;
use std::collections::{BTreeMap, HashSet};
use std::fs;
use std::io;
use std::path::Path;

/// Pages that must have been written whole again, as something about them is missing.
struct Missing {
    /// Where in the file that was.
    offset: u64,
    pages: Vec<u64>,
}

/// What sled would recover from the log since the snapshot.
struct Recovered {
    /// Pages that are written whole, each with its place in the log, by the segments they are in.
    whole: BTreeMap<u64, Vec<(u64, u64)>>,
    /// Segments that are recovered from beginning to end.
    complete: HashSet<u64>,
    /// From this segment on the log counts as its end, of which a crash may take the rest.
    tail: u64,
}

/// Refuses a log in `data` that has less than was acknowledged, as far as `folder` tells.
pub(super) fn check(folder: &Path, data: &Path) -> Result<()> {
    let told = manifest::read(folder)?;
    let segment_bytes = folder::segment_bytes(data);
    if told.as_ref().is_some_and(|told| told.segment_bytes != segment_bytes as u64) {
        return Err(damaged(&data.join("conf"), "does not fit the log"));
    }
    let path = data.join(log::FILE);
    let failed = |error: io::Error| match error.kind() {
        io::ErrorKind::NotFound => damaged(&path, "is not there"),
        _ => Error::unavailable(format!("cannot read `{}`: {error}", path.display()))
            .with_source(error),
    };
    let log = Log::open(data, segment_bytes).map_err(failed)?;
    let segments = log.segments().map_err(failed)?;
    let (snapshot, mut missing) = snapshot_and_missing(data, &log, &segments, told.as_ref())?;
    let recovered = recover(&log, &segments, snapshot).map_err(failed)?;
    let from = log.begin_of(snapshot);
    for pages in told.into_iter().flat_map(|told| told.segments) {
        if pages.begins >= from
            && pages.begins < recovered.tail
            && !recovered.complete.contains(&pages.begins)
        {
            let entry = missing.entry(pages.begins);
            let of_segment = entry.or_insert(Missing { offset: pages.offset, pages: Vec::new() });
            of_segment.pages.extend(pages.pages);
        }
    }
    match first_lost(missing, recovered.whole) {
        None => Ok(()),
        Some(offset) => Err(damaged(&path, &format!("is not as it was written at byte {offset}"))),
    }
}

fn damaged(path: &Path, how: &str) -> Error {
    Error::unreadable(format!("`{}` {how}", path.display()))
}

/// Where the newest snapshot was made, and what it knows of and the file no longer holds, by where
/// in the log that segment begins.
fn snapshot_and_missing(
    data: &Path,
    log: &Log,
    segments: &BTreeMap<u64, Segment>,
    told: Option<&Told>,
) -> Result<(u64, BTreeMap<u64, Missing>)> {
    let mut missing = BTreeMap::new();
    let based_on = told.map_or(0, |told| told.snapshot);
    let Some((place, path)) = snapshot::newest(data)?.filter(|(place, _)| *place >= based_on)
    else {
        return match based_on {
            0 => Ok((0, missing)),
            _ => Err(damaged(&data.join(snapshot::name(based_on)), "is not there")),
        };
    };
    let failed = |path: &Path, error: io::Error| {
        Error::unavailable(format!("cannot read `{}`: {error}", path.display())).with_source(error)
    };
    let snapshot = fs::read(&path).map_err(|error| failed(&path, error))?;
    let parts =
        snapshot::parse(&snapshot).ok_or_else(|| damaged(&path, "is not as it was written"));
    let file_bytes = log.file_bytes().map_err(|error| failed(&data.join(log::FILE), error))?;
    for part in parts? {
        let (begins, offset) = (log.begin_of(part.place), log.begin_of(part.offset));
        let segment = segments.get(&begins).filter(|segment| segment.offset == offset);
        // sled reads it without the segment's header.
        let is_there = segment.is_some()
            || log
                .holds(part.offset, part.bytes, part.place, part.page)
                .map_err(|error| failed(&data.join(log::FILE), error))?;
        if !is_there || part.offset + part.bytes > file_bytes {
            let of_segment =
                missing.entry(begins).or_insert_with(|| Missing { offset, pages: Vec::new() });
            of_segment.pages.push(part.page);
        }
    }
    Ok((place, missing))
}

/// Works out what sled would recover of what was logged since `snapshot` was made.
fn recover(log: &Log, segments: &BTreeMap<u64, Segment>, snapshot: u64) -> io::Result<Recovered> {
    let from = log.begin_of(snapshot);
    let stable = segments.range(from..).map(|(_, segment)| segment.stable).max();
    let tail = log.begin_of(stable.unwrap_or(0).max(from));
    let (mut whole, mut complete) = (BTreeMap::new(), HashSet::new());
    // Where the log ends for sled: in a tail without gaps, of which it needs the first segment.
    let (mut end, mut next) = (0, tail);
    let mut last_batch = None;
    for (begins, segment) in segments.range(from..) {
        let (begins, segment_end) = (*begins, *begins + log.segment_bytes);
        if begins >= tail && begins != next {
            break;
        }
        let messages = log.segment_bytes - SEGMENT_HEADER;
        let bytes = log.read(segment.offset + SEGMENT_HEADER, messages)?;
        let pages: &mut Vec<_> = whole.entry(begins).or_default();
        let reached = log.walk(&bytes, begins + SEGMENT_HEADER, segment_end, |place, message| {
            last_batch = message.batch_end().map(|end| (place, end)).or(last_batch);
            // What is in the snapshot is passed over.
            let page = message.whole_page().filter(|_| place >= snapshot);
            pages.extend(page.map(|page| (place, page)));
        });
        if begins >= tail {
            (end, next) = (reached, segment_end);
        }
        if reached == segment_end {
            complete.insert(begins);
        } else if begins >= tail || (bytes.len() as u64) < messages {
            end = reached;
            break;
        }
    }
    // Of a batch that is not whole, nothing is recovered, nor what comes after.
    if let Some((place, last)) = last_batch
        && last >= end
    {
        end = place;
    }
    complete.retain(|begins| begins + log.segment_bytes <= end);
    whole.values_mut().for_each(|pages| pages.retain(|(place, _)| *place < end));
    Ok(Recovered { whole, complete, tail })
}

/// Where in the file something was that is missing and is not made up for, if there is such.
fn first_lost(
    missing: BTreeMap<u64, Missing>,
    mut whole: BTreeMap<u64, Vec<(u64, u64)>>,
) -> Option<u64> {
    let mut later = HashSet::new();
    for (begins, missing) in missing.into_iter().rev() {
        let segments_after = whole.split_off(&(begins + 1));
        later.extend(segments_after.into_values().flatten().map(|(_, page)| page));
        if missing.pages.iter().any(|page| !later.contains(page)) {
            return Some(missing.offset);
        }
    }
    None
}
