//! sled's log, looked through before sled opens it: damage that sled would pass over is refused.
//!
//! sled 0.34 recovers from its newest snapshot and every message that was logged after it. Where a
//! message's checksum is wrong it goes on with the next segment, and a segment whose header is
//! wrong it leaves out. That is right for what a crash tears at the log's end, where the commit
//! mark tells whether anything acknowledged was in it. It is wrong in the middle: each segment's
//! header says up to where the log was on disk when the segment was begun, and what lies below the
//! greatest of these was written whole. So all of that is read here, which costs a start one more
//! look at what sled reads anyway, and a commit nothing.
//!
//! What cannot be told: a file that was cut off exactly between two segments, as sled itself cuts
//! it there; and a segment whose header reads as zeros, as one that was never written does.

use crate::error::{Error, Result};
use std::fs::{self, File};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;

/// Bytes of a segment's header: a checksum, where the segment begins in the log, and up to where
/// the log was on disk.
const SEGMENT_HEADER: usize = 20;
/// Bytes of a message's header at most. Less room than this at the end of a segment stays unused.
const MESSAGE_HEADER_MAX: usize = 32;
/// The kind of message that pads a segment to its end.
const CAP: u8 = 2;
/// The last of the kinds, which count from 1.
const LAST_KIND: u8 = 11;
/// Segments that are being written at once, amply: a torn one is no further ahead.
const AHEAD_MAX: u64 = 1024;

/// A segment of the file.
struct Segment {
    /// Its place in the file.
    offset: u64,
    /// Its place in the log.
    begins: u64,
    /// Up to here the log was on disk when it was begun.
    stable: u64,
}

/// Refuses a log in `data`, with segments of that many bytes, that has been damaged since it was
/// written. A folder without a log is fine.
pub(super) fn check(data: &Path, segment_bytes: usize) -> Result<()> {
    let Ok(file) = File::open(data.join("db")) else { return Ok(()) };
    let snapshot = newest_snapshot(data)?;
    let failed = |error: io::Error| {
        Error::unavailable(format!("cannot read `{}`: {error}", data.join("db").display()))
            .with_source(error)
    };
    match (Log { file, segment_bytes }).first_damage(snapshot).map_err(failed)? {
        None => Ok(()),
        Some(at) => Err(Error::unreadable(format!("`{}` at byte {at}", data.join("db").display()))),
    }
}

/// Where in the log the newest snapshot was made: it is in its name.
fn newest_snapshot(data: &Path) -> Result<u64> {
    let listing = fs::read_dir(data).map_err(|error| {
        Error::unavailable(format!("cannot read folder `{}`: {error}", data.display()))
            .with_source(error)
    })?;
    let places = listing.flatten().filter_map(|entry| {
        let name = entry.file_name();
        u64::from_str_radix(name.to_str()?.strip_prefix("snap.")?, 16).ok()
    });
    Ok(places.max().unwrap_or(0))
}

struct Log {
    file: File,
    segment_bytes: usize,
}

impl Log {
    /// Where the file is damaged in what was logged since `snapshot`, if it is.
    fn first_damage(&self, snapshot: u64) -> io::Result<Option<u64>> {
        let (size, length) = (self.segment_bytes as u64, self.file.metadata()?.len());
        let from = snapshot - snapshot % size;
        let (mut segments, mut newest) = (Vec::new(), None);
        for offset in (0..length).step_by(self.segment_bytes) {
            let header = self.read(offset, SEGMENT_HEADER)?;
            if header.iter().all(|byte| *byte == 0) {
                continue;
            }
            let Some(segment) = parse_segment(offset, &header) else { return Ok(Some(offset)) };
            newest = newest.max(Some((segment.begins, offset)));
            if segment.begins >= from {
                segments.push(segment);
            }
        }
        // Only the segment that is being written ends before its time.
        let last = length - length % size;
        let missing = (size - length % size) % size;
        let is_newest = newest.is_none_or(|(_, offset)| offset == last);
        if missing > MESSAGE_HEADER_MAX as u64 && !is_newest {
            return Ok(Some(length));
        }
        segments.sort_unstable_by_key(|segment| segment.begins);
        let stable = segments.iter().map(|segment| segment.stable).max().unwrap_or(0);
        let newest_number = newest.map_or(0, |(begins, _)| begins / size);
        for segment in segments.iter().take_while(|segment| segment.begins < stable) {
            let bytes = self.read(segment.offset, self.segment_bytes)?;
            let (number, until) = (segment.begins / size, stable - segment.begins);
            if let Some(at) = bad_message(&bytes, self.segment_bytes, number, until)
                // A segment that was free may have been overwritten from the middle on.
                && !holds_newer(bytes.get(at..).unwrap_or_default(), newest_number)
            {
                return Ok(Some(segment.offset + at as u64));
            }
        }
        Ok(None)
    }

    /// Up to `count` bytes at `offset`; fewer at the end of the file.
    fn read(&self, offset: u64, count: usize) -> io::Result<Vec<u8>> {
        let mut bytes = vec![0; count];
        let mut filled = 0;
        while let Some(rest) = bytes.get_mut(filled..).filter(|rest| !rest.is_empty()) {
            match self.file.read_at(rest, offset + filled as u64) {
                Ok(0) => break,
                Ok(count) => filled += count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        bytes.truncate(filled);
        Ok(bytes)
    }
}

fn parse_segment(offset: u64, header: &[u8]) -> Option<Segment> {
    let (checksum, rest) = header.split_first_chunk::<4>()?;
    if !fits(*checksum, &[rest]) {
        return None;
    }
    let (begins, stable) = rest.split_first_chunk::<8>()?;
    // Both are signed, and stored with all bits but the sign turned over.
    let place = |bytes: [u8; 8]| u64::from_le_bytes(bytes) ^ (u64::MAX >> 1);
    // Before anything is on disk, -1 says so.
    let stable = i64::try_from(place(stable.try_into().ok()?)).unwrap_or(0);
    Some(Segment { offset, begins: place(*begins), stable: u64::try_from(stable).unwrap_or(0) })
}

/// Where in `bytes` of segment `number` the first message that begins before `until` is not whole.
fn bad_message(bytes: &[u8], segment_bytes: usize, number: u64, until: u64) -> Option<usize> {
    let mut at = SEGMENT_HEADER;
    while at + MESSAGE_HEADER_MAX <= segment_bytes && (at as u64) < until {
        match parse_message(bytes.get(at..).unwrap_or_default()) {
            Some(message) if message.segment == number => {
                if message.kind == CAP {
                    break;
                }
                at += message.length;
            }
            _ => return Some(at),
        }
    }
    None
}

/// Whether anywhere in `bytes` stands a message of a segment that comes after all whose beginning
/// is there: then the process ended while that one was written.
fn holds_newer(bytes: &[u8], newest: u64) -> bool {
    let ahead = newest + 1..=newest + AHEAD_MAX;
    (0..bytes.len()).any(|at| {
        let rest = bytes.get(at..).unwrap_or_default();
        // Checksums are long to work out, and hardly any place looks like a message.
        parse_header(rest).is_some_and(|header| ahead.contains(&header.segment))
            && parse_message(rest).is_some()
    })
}

/// A message whose checksum is right.
struct Message {
    kind: u8,
    segment: u64,
    /// Bytes with the header.
    length: usize,
}

struct Header<'a> {
    checksum: [u8; 4],
    kind: u8,
    segment: u64,
    /// The header's own bytes without the checksum, which covers them.
    covered: &'a [u8],
    body: &'a [u8],
}

fn parse_header(bytes: &[u8]) -> Option<Header<'_>> {
    let (checksum, after_checksum) = bytes.split_first_chunk::<4>()?;
    let (kind, rest) = after_checksum.split_first()?;
    if !(1..=LAST_KIND).contains(kind) {
        return None;
    }
    let (length, rest) = number(rest)?;
    let (segment, rest) = number(rest)?;
    let (_page, rest) = number(rest)?;
    let covered = after_checksum.get(..after_checksum.len() - rest.len())?;
    let body = rest.get(..usize::try_from(length).ok()?)?;
    Some(Header { checksum: *checksum, kind: *kind, segment, covered, body })
}

fn parse_message(bytes: &[u8]) -> Option<Message> {
    let header = parse_header(bytes)?;
    let length = header.checksum.len() + header.covered.len() + header.body.len();
    let is_whole = fits(header.checksum, &[header.body, header.covered]);
    is_whole.then_some(Message { kind: header.kind, segment: header.segment, length })
}

/// sled's number of variable length, and what comes behind it.
fn number(bytes: &[u8]) -> Option<(u64, &[u8])> {
    let (first, rest) = bytes.split_first()?;
    let first = u64::from(*first);
    match first {
        0..=240 => Some((first, rest)),
        241..=248 => {
            let (low, rest) = rest.split_first()?;
            Some((240 + 256 * (first - 241) + u64::from(*low), rest))
        }
        249 => {
            let ([high, low], rest) = rest.split_first_chunk()?;
            Some((2288 + 256 * u64::from(*high) + u64::from(*low), rest))
        }
        _ => {
            let (bytes, rest) = rest.split_at_checked(usize::try_from(first - 247).ok()?)?;
            let number = bytes.iter().rev().fold(0, |number, byte| number << 8 | u64::from(*byte));
            Some((number, rest))
        }
    }
}

/// Whether `checksum` is that of `parts`, one after the other.
fn fits(checksum: [u8; 4], parts: &[&[u8]]) -> bool {
    let mut hasher = crc32fast::Hasher::new();
    parts.iter().for_each(|part| hasher.update(part));
    u32::from_le_bytes(checksum) == !hasher.finalize()
}
