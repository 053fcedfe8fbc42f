//! A file of our own beside sled's log: which pages each segment is about.
//!
//! sled leaves out of its log what it cannot read, without a word, and what is missing cannot tell
//! that it was there. This file can. A segment that it names is either still there, or every page
//! that it was about has been written whole again further on, for only then does sled let go of
//! one.
//!
//! It begins anew whenever sled has written a snapshot, and grows with each commit by the pages
//! that no commit before has named for the same segment, before the commit counts as durable. It
//! is not synced then: after a power cut it may be behind, and then tells of less. Records that
//! are torn end it.

use crate::error::{Error, Result};
use crate::folder::private_file;
use crate::store::sled::log::{Log, SEGMENT_HEADER};
use std::collections::{BTreeMap, HashSet};
use std::fs::{self, File};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

const NAME: &str = "manifest";
/// What is being written in its place.
const NEXT: &str = "manifest.next";
const VERSION: u64 = 1;
/// How much it grows, besides doubling, before what it says of former segments is taken out.
const GROWTH_BYTES: u64 = 1024 * 1024;

/// What a manifest says.
pub(super) struct Told {
    /// Bytes of a segment.
    pub(super) segment_bytes: u64,
    /// Where in the log the snapshot was made on which it is based; 0 if on none.
    pub(super) snapshot: u64,
    pub(super) segments: Vec<Pages>,
}

/// Pages that a segment is about; what is told of one comes in several of these.
pub(super) struct Pages {
    /// Where in the log the segment begins.
    pub(super) begins: u64,
    /// Where in the file.
    pub(super) offset: u64,
    pub(super) pages: Vec<u64>,
}

/// The manifest that is being written.
pub(super) struct Manifest {
    folder: PathBuf,
    file: File,
    bytes: u64,
    /// Bytes that it had when it was written in whole.
    bytes_whole: u64,
    snapshot: u64,
    log: Log,
    /// Up to here the log was read.
    read: u64,
    /// Where in the file the segment lies in which that is, once known.
    offset: Option<u64>,
    /// The pages that are told of that segment.
    pages: HashSet<u64>,
}

/// What the manifest in `folder` says; nothing where there is none.
pub(super) fn read(folder: &Path) -> Result<Option<Told>> {
    let bytes = match fs::read(folder.join(NAME)) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(failed("read", folder, error)),
    };
    let mut records = Records(&bytes);
    let head = records.next().unwrap_or_default();
    let (segment_bytes, snapshot) = match *head {
        [VERSION, segment_bytes, snapshot] => (segment_bytes, snapshot),
        [version, ..] if version != VERSION => {
            return Err(Error::unreadable(format!(
                "`{}` has version {version}: use the release that wrote it",
                folder.join(NAME).display()
            )));
        }
        _ => {
            // It is written and synced before it takes its name, so that no crash does this.
            if !bytes.is_empty() {
                tracing::warn!("`{}` is damaged, and tells nothing", folder.join(NAME).display());
            }
            return Ok(None);
        }
    };
    let segments = records.filter_map(|record| match record.as_slice() {
        [begins, offset, pages @ ..] => {
            Some(Pages { begins: *begins, offset: *offset, pages: pages.to_vec() })
        }
        _ => None,
    });
    Ok(Some(Told { segment_bytes, snapshot, segments: segments.collect() }))
}

impl Manifest {
    /// Begins one in `folder` for `log`, of which everything up to `snapshot` is in a snapshot.
    pub(super) fn begin(folder: &Path, log: Log, snapshot: u64) -> Result<Self> {
        let (file, bytes) = write(folder, log.segment_bytes, snapshot, &[])?;
        Ok(Self {
            folder: folder.to_owned(),
            file,
            bytes,
            bytes_whole: bytes,
            snapshot,
            read: snapshot,
            log,
            offset: None,
            pages: HashSet::new(),
        })
    }

    /// Tells of what was logged up to `until`, all of which is on disk. Asks `segments` for those
    /// of the log from a place on that sled has not let go of, by that place, with their offsets.
    pub(super) fn extend(
        &mut self,
        until: u64,
        segments: impl Fn(u64) -> BTreeMap<u64, u64>,
    ) -> Result<()> {
        let mut held = None;
        while self.read < until {
            let begins = self.log.begin_of(self.read);
            let end = begins + self.log.segment_bytes;
            let is_last = until < end;
            if self.offset.is_none() || !is_last {
                let held = held.get_or_insert_with(|| segments(begins));
                self.offset = held.get(&begins).copied();
            }
            // What sled has let go of meanwhile has nothing left to tell.
            if let Some(offset) = self.offset {
                self.tell(begins, offset, until.min(end))?;
            }
            self.read = until.min(end);
            if !is_last {
                self.offset = None;
                self.pages.clear();
            }
        }
        if self.bytes > 2 * self.bytes_whole + GROWTH_BYTES {
            self.rewrite(&segments(0))?;
        }
        Ok(())
    }

    /// Tells of the segment that is being read, up to `until`.
    fn tell(&mut self, begins: u64, offset: u64, until: u64) -> Result<()> {
        let from = self.read.max(begins + SEGMENT_HEADER);
        let bytes = self.log.read(offset + (from - begins), until.saturating_sub(from));
        let bytes = bytes.map_err(|error| failed("read the log for", &self.folder, error))?;
        let (known, mut fresh) = (&mut self.pages, Vec::new());
        self.log.walk(&bytes, from, until, |_, message| {
            fresh.extend(message.page().filter(|page| known.insert(*page)));
        });
        if fresh.is_empty() {
            return Ok(());
        }
        let record = encode([begins, offset].into_iter().chain(fresh));
        let written = self.file.write_all_at(&record, self.bytes);
        written.map_err(|error| failed("write", &self.folder, error))?;
        self.bytes += record.len() as u64;
        Ok(())
    }

    /// Takes out what it tells of segments that sled has let go of.
    fn rewrite(&mut self, held: &BTreeMap<u64, u64>) -> Result<()> {
        let mut told = read(&self.folder)?.map_or_else(Vec::new, |told| told.segments);
        told.retain(|pages| held.get(&pages.begins) == Some(&pages.offset));
        let (file, bytes) = write(&self.folder, self.log.segment_bytes, self.snapshot, &told)?;
        (self.file, self.bytes, self.bytes_whole) = (file, bytes, bytes);
        Ok(())
    }
}

/// Writes one in whole; returns it with its length.
fn write(
    folder: &Path,
    segment_bytes: u64,
    snapshot: u64,
    segments: &[Pages],
) -> Result<(File, u64)> {
    let mut bytes = encode([VERSION, segment_bytes, snapshot]);
    for Pages { begins, offset, pages } in segments {
        bytes.extend(encode([*begins, *offset].into_iter().chain(pages.iter().copied())));
    }
    let put_in_place = || {
        let mut options = private_file();
        let file = options.write(true).create(true).truncate(true).open(folder.join(NEXT))?;
        file.write_all_at(&bytes, 0)?;
        file.sync_all()?;
        fs::rename(folder.join(NEXT), folder.join(NAME))?;
        File::open(folder)?.sync_all()?;
        Ok(file)
    };
    let file = put_in_place().map_err(|error| failed("write", folder, error))?;
    Ok((file, bytes.len() as u64))
}

fn failed(what: &str, folder: &Path, error: io::Error) -> Error {
    Error::unavailable(format!("cannot {what} `{}`: {error}", folder.join(NAME).display()))
        .with_source(error)
}

/// A record: its numbers with their count and a checksum before them.
fn encode(numbers: impl IntoIterator<Item = u64>) -> Vec<u8> {
    let body: Vec<u8> = numbers.into_iter().flat_map(u64::to_be_bytes).collect();
    let count = (body.len() / size_of::<u64>()) as u64;
    let mut record = count.to_be_bytes().to_vec();
    record.extend(crc32fast::hash(&body).to_be_bytes());
    record.extend(body);
    record
}

/// The records of a file up to the first that is not whole.
struct Records<'a>(&'a [u8]);

impl Iterator for Records<'_> {
    type Item = Vec<u64>;

    fn next(&mut self) -> Option<Vec<u64>> {
        let (count, rest) = self.0.split_first_chunk()?;
        let (checksum, rest) = rest.split_first_chunk()?;
        let bytes = usize::try_from(u64::from_be_bytes(*count)).ok()?.checked_mul(size_of::<u64>());
        let (body, rest) = rest.split_at_checked(bytes?)?;
        if body.is_empty() || crc32fast::hash(body) != u32::from_be_bytes(*checksum) {
            return None;
        }
        self.0 = rest;
        let (numbers, _) = body.as_chunks();
        Some(numbers.iter().map(|number| u64::from_be_bytes(*number)).collect())
    }
}
