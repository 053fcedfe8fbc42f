//! The form of sled's log, for who reads it past sled.
//!
//! The log is one sequence of messages, each about one page of sled's tree. It lies in segments,
//! which the file holds in any order: once every page that a segment was about has been written
//! whole again further on, a new segment takes its place, or the file is cut where it was the last.
//! A segment says where in the log it begins, and each message the number of its segment.

use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;

/// The file.
pub(super) const FILE: &str = "db";
/// Bytes of a segment's header: a checksum, where the segment begins in the log, and up to where
/// the log was on disk.
pub(super) const SEGMENT_HEADER: u64 = 20;
/// Bytes of a message's header at most. Less room than this at the end of a segment stays unused.
const MESSAGE_HEADER_MAX: u64 = 32;

/// Kinds of messages, which count from 1.
const CANCELED: u8 = 1;
/// Pads a segment to its end.
const CAP: u8 = 2;
/// Begins what is recovered whole or not at all, and says where that ends.
const BATCH: u8 = 3;
/// Changes to a page, on top of what was written of it before. All other kinds say the whole of it.
const LINKS: [u8; 2] = [10, 11];
const LAST_KIND: u8 = 11;

pub(super) struct Log {
    file: File,
    /// Bytes of a segment.
    pub(super) segment_bytes: u64,
}

/// A segment of the file.
pub(super) struct Segment {
    /// Its place in the file.
    pub(super) offset: u64,
    /// Up to here the log was on disk when it was begun.
    pub(super) stable: u64,
}

impl Log {
    pub(super) fn open(data: &Path, segment_bytes: usize) -> io::Result<Self> {
        Ok(Self { file: File::open(data.join(FILE))?, segment_bytes: segment_bytes as u64 })
    }

    /// Where in the log the segment begins that `place` is in.
    pub(super) fn begin_of(&self, place: u64) -> u64 {
        place - place % self.segment_bytes
    }

    pub(super) fn file_bytes(&self) -> io::Result<u64> {
        Ok(self.file.metadata()?.len())
    }

    /// The segments of the file whose headers are whole, by where they begin in the log.
    pub(super) fn segments(&self) -> io::Result<BTreeMap<u64, Segment>> {
        let mut segments = BTreeMap::new();
        for number in 0..self.file_bytes()?.div_ceil(self.segment_bytes) {
            let offset = number * self.segment_bytes;
            let header = self.read(offset, SEGMENT_HEADER)?;
            if let Some((begins, stable)) = parse_segment_header(&header) {
                segments.insert(begins, Segment { offset, stable });
            }
        }
        Ok(segments)
    }

    /// Up to `count` bytes at `offset` of the file; fewer at its end.
    pub(super) fn read(&self, offset: u64, count: u64) -> io::Result<Vec<u8>> {
        let mut bytes = vec![0; usize::try_from(count).unwrap_or(usize::MAX)];
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

    /// Whether at `offset` of the file stands the message about that page that was logged at
    /// `place`, of so many `bytes`, give or take its header.
    pub(super) fn holds(&self, offset: u64, bytes: u64, place: u64, page: u64) -> io::Result<bool> {
        let bytes = self.read(offset, bytes + MESSAGE_HEADER_MAX)?;
        let number = place / self.segment_bytes;
        Ok(parse_message(&bytes).is_some_and(|held| held.segment == number && held.page == page))
    }

    /// Calls `see` with the messages from `place` on, which `bytes` hold, to the end of the
    /// segment or to `until`. Returns where it came to: at the first message that is not whole, it
    /// goes no further.
    pub(super) fn walk(
        &self,
        bytes: &[u8],
        place: u64,
        until: u64,
        mut see: impl FnMut(u64, &Message<'_>),
    ) -> u64 {
        let number = place / self.segment_bytes;
        let end = self.begin_of(place) + self.segment_bytes;
        let mut at = place;
        while at < until && at + MESSAGE_HEADER_MAX <= end {
            let from = usize::try_from(at - place).unwrap_or(usize::MAX);
            let message = parse_message(bytes.get(from..).unwrap_or_default());
            let Some(message) = message.filter(|message| message.segment == number) else {
                return at;
            };
            if message.kind == CAP {
                return end;
            }
            see(at, &message);
            at += message.bytes;
        }
        if at < until { end } else { at }
    }
}

fn parse_segment_header(header: &[u8]) -> Option<(u64, u64)> {
    let (checksum, rest) = header.split_first_chunk::<4>()?;
    if !fits(*checksum, &[rest]) {
        return None;
    }
    let (begins, stable) = rest.split_first_chunk::<8>()?;
    // Both are signed, and stored with all bits but the sign turned over.
    let place = |bytes: [u8; 8]| u64::from_le_bytes(bytes) ^ (u64::MAX >> 1);
    // Before anything is on disk, -1 says so.
    let stable = i64::try_from(place(stable.try_into().ok()?)).unwrap_or(0);
    Some((place(*begins), u64::try_from(stable).unwrap_or(0)))
}

/// A message whose checksum is right.
pub(super) struct Message<'a> {
    kind: u8,
    segment: u64,
    page: u64,
    /// With the header.
    bytes: u64,
    body: &'a [u8],
}

impl Message<'_> {
    /// The page that it is about, if any.
    pub(super) fn page(&self) -> Option<u64> {
        (self.kind != CANCELED && self.kind != BATCH).then_some(self.page)
    }

    /// The page that it says the whole of, if any.
    pub(super) fn whole_page(&self) -> Option<u64> {
        self.page().filter(|_| !LINKS.contains(&self.kind))
    }

    /// Where the last message begins or ends that is recovered only together with those between.
    pub(super) fn batch_end(&self) -> Option<u64> {
        let bytes = self.body.try_into().ok().filter(|_| self.kind == BATCH)?;
        Some(u64::from_le_bytes(bytes))
    }
}

fn parse_message(bytes: &[u8]) -> Option<Message<'_>> {
    let (checksum, after_checksum) = bytes.split_first_chunk::<4>()?;
    let (kind, rest) = after_checksum.split_first()?;
    if !(CANCELED..=LAST_KIND).contains(kind) {
        return None;
    }
    let (length, rest) = number(rest)?;
    let (segment, rest) = number(rest)?;
    let (page, rest) = number(rest)?;
    let header = after_checksum.get(..after_checksum.len() - rest.len())?;
    let body = rest.get(..usize::try_from(length).ok()?)?;
    let bytes = (checksum.len() + header.len() + body.len()) as u64;
    let message = Message { kind: *kind, segment, page, bytes, body };
    fits(*checksum, &[body, header]).then_some(message)
}

/// sled's number of variable length, and what comes behind it.
pub(super) fn number(bytes: &[u8]) -> Option<(u64, &[u8])> {
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

/// Whether `checksum` is sled's of `parts`, one after the other.
fn fits(checksum: [u8; 4], parts: &[&[u8]]) -> bool {
    let mut hasher = crc32fast::Hasher::new();
    parts.iter().for_each(|part| hasher.update(part));
    u32::from_le_bytes(checksum) == !hasher.finalize()
}
