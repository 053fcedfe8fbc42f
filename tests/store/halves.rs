//! A commit that fails in its middle, for a page that cannot be read, is whole when the store is
//! opened again.

use crate::world::*;
use hookwheel::ErrorKind;
use hookwheel::store::{Batch, Change, SledStore, Store, sled::SledOptions};
use std::fs::{self, File, OpenOptions};
use std::ops::Range;
use std::os::unix::fs::{FileExt, PermissionsExt};
use std::path::Path;
use tempfile::TempDir;

const SEGMENT: usize = 2 * 1024 * 1024;
/// Records of 2 kB: more than the store keeps in memory.
const APPLICATIONS: u64 = 4000;

/// A store with many applications, the last commit of which failed.
struct Halved {
    folder: TempDir,
    store: SledStore,
}

impl Halved {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let options = SledOptions { cache_bytes: 512 * 1024, ..options() };
        let store = SledStore::open(folder.path(), options).unwrap();
        for first in (0..APPLICATIONS).step_by(400) {
            store.commit(&named("old", first..first + 400)).unwrap();
        }
        let torn = Torn::tear(folder.path());
        let refused = store.commit(&named("new", 0..APPLICATIONS)).unwrap_err();
        torn.mend();
        let redo = fs::metadata(folder.path().join("redo"));
        let redo = redo.unwrap_or_else(|_| panic!("it failed before its middle: {refused}"));
        assert_eq!(redo.permissions().mode() & 0o077, 0, "what events say is for the owner only");
        Self { folder, store }
    }

    /// Ends it, as a kill does for all that this is about.
    fn end(self) -> TempDir {
        drop(self.store);
        self.folder
    }
}

fn named(name: &str, numbers: Range<u64>) -> Batch {
    let change = |number| {
        let mut named = stored_application(application(number), false);
        named.name = format!("{name}{}", "x".repeat(2000));
        Change::Application(named)
    };
    Batch { change: numbers.map(change).collect(), ..Batch::default() }
}

fn is_whole(store: &dyn Store) -> bool {
    let held = store.applications().unwrap();
    held.len() as u64 == APPLICATIONS && held.iter().all(|held| held.name.starts_with("new"))
}

/// Segments of sled's file that read as zeros for a while.
struct Torn {
    file: File,
    segments: Vec<(u64, Vec<u8>)>,
}

impl Torn {
    /// Tears every other one of those that are full.
    fn tear(folder: &Path) -> Self {
        let path = folder.join("sled/db");
        let bytes = fs::read(&path).unwrap();
        let file = OpenOptions::new().read(true).write(true).open(&path).unwrap();
        let mut segments: Vec<_> = (0..).step_by(SEGMENT).zip(bytes.chunks(SEGMENT)).collect();
        // After its checksum a segment says where in the log it begins, the bits but the sign turned.
        segments.sort_by_key(|(_, segment)| {
            i64::from_le_bytes(segment[4..12].try_into().unwrap()) ^ i64::MAX
        });
        // To the last the log goes on.
        segments.pop();
        let segments = segments.into_iter().skip(1).step_by(2);
        let segments: Vec<(u64, _)> =
            segments.map(|(offset, segment)| (offset, segment.to_vec())).collect();
        for (offset, segment) in &segments {
            file.write_all_at(&vec![0; segment.len()], *offset).unwrap();
        }
        Self { file, segments }
    }

    /// Puts back what nobody has written to since.
    fn mend(self) {
        for (offset, segment) in self.segments {
            let mut held = vec![0; segment.len()];
            self.file.read_exact_at(&mut held, offset).unwrap();
            if held.iter().all(|byte| *byte == 0) {
                self.file.write_all_at(&segment, offset).unwrap();
            }
        }
    }
}

#[test]
fn it_is_whole_in_the_same_process() {
    let Halved { folder, store } = Halved::new();
    store.reopen().unwrap();
    assert!(is_whole(&store));
    assert!(!folder.path().join("redo").exists());
    store.commit(&named("newer", 0..1)).unwrap();
    store.reopen().unwrap();
    assert!(store.applications().unwrap()[0].name.starts_with("newer"), "it is redone once");
}

#[test]
fn it_is_whole_in_the_next_process() {
    let folder = Halved::new().end();
    let store = sled_in(folder.path());
    assert!(is_whole(&store));
    assert!(!folder.path().join("redo").exists());
}

#[test]
fn a_commit_that_was_carried_out_again_is_not_once_more() {
    let folder = Halved::new().end();
    let kept = fs::read(folder.path().join("redo")).unwrap();
    let store = sled_in(folder.path());
    store.commit(&named("newer", 0..APPLICATIONS)).unwrap();
    drop(store);
    // As after a power cut that brings back a file that was removed.
    fs::write(folder.path().join("redo"), kept).unwrap();
    let store = sled_in(folder.path());
    assert!(store.applications().unwrap().iter().all(|held| held.name.starts_with("newer")));
    assert!(!folder.path().join("redo").exists());
}

#[test]
fn one_that_is_not_known_any_more_is_refused_in_words() {
    let folder = Halved::new().end();
    let redo = folder.path().join("redo");
    let kept = fs::read(&redo).unwrap();
    fs::write(&redo, &kept[..kept.len() / 2]).unwrap();
    let refused = SledStore::open(folder.path(), options()).err().unwrap();
    assert_eq!(refused.kind(), ErrorKind::Unreadable);
    let words = refused.to_string();
    assert!(words.contains("half a commit") && words.contains("remove `"), "{words}");
    fs::remove_file(folder.path().join("mark")).unwrap();
    let store = sled_in(folder.path());
    assert_eq!(store.applications().unwrap().len() as u64, APPLICATIONS);
    assert!(!redo.exists(), "its loss is accepted once and for all");
}

#[test]
fn one_that_could_not_be_written_down_is_refused_in_words() {
    let folder = tempfile::tempdir().unwrap();
    let store = sled_in(folder.path());
    store.commit(&named("old", 0..1)).unwrap();
    drop(store);
    let mark = folder.path().join("mark");
    let mut said = fs::read(&mark).unwrap();
    // What the store leaves there when it can write nowhere else.
    *said.last_mut().unwrap() ^= 1;
    fs::write(&mark, said).unwrap();
    let refused = SledStore::open(folder.path(), options()).err().unwrap().to_string();
    assert!(refused.contains("half a commit"), "{refused}");
    fs::remove_file(&mark).unwrap();
    drop(sled_in(folder.path()));
    drop(sled_in(folder.path()));
}
