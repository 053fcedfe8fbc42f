//! A data folder that was damaged after it was closed, or after its process was killed: it opens with
//! everything that was acknowledged, or is refused, or a later look-up is refused. It never has
//! less without a word.
#![allow(clippy::print_stdout, reason = "a long run reports its figures")]

use crate::world::*;
use hookwheel::model::{EventId, Order};
use hookwheel::store::{Acceptance, Change, DocumentKind, Entry, Owner, Place, SledStore, Store};
use hookwheel::{ErrorKind, Result};
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

const EVENTS: u64 = 2400;
/// Parts in which they come.
const PARTS: u64 = 3;
/// Documents that each part writes anew.
const DOCUMENTS: u64 = 200;
const DOCUMENT: DocumentKind = DocumentKind::EventType;
/// Events of a round of churn.
const CHURNED: u64 = 60;
/// Damaged copies that are tried of each folder; `DAMAGE_ROUNDS` says otherwise.
const ROUNDS: usize = 100;
/// Bytes of a segment of sled's file.
const SEGMENT: usize = 2 * 1024 * 1024;

/// Fills a folder over several openings, so that segments of sled's file are used again; returns
/// what it holds.
fn fill(folder: &Path) -> Everything {
    let mut held = None;
    for part in 0..PARTS {
        let store = sled_in(folder);
        put_part(&store, part);
        held = Some(everything(&store).unwrap());
        store.close().unwrap();
    }
    held.unwrap()
}

fn put_part(store: &dyn Store, part: u64) {
    let numbers: Vec<u64> = (part * EVENTS / PARTS + 1..=(part + 1) * EVENTS / PARTS).collect();
    store.put_endpoints(&[endpoint(1)]);
    for few in numbers.chunks(10) {
        let accept: Vec<_> = few.iter().map(|n| accepted_in(*n)).collect();
        store.accept(&accept);
        let done = |held: &Acceptance| first_attempt(endpoint(1), held, 1000, waiting_until(2000));
        // Nearly all were tried: what opening does not look at must be found out by reading.
        let tried = accept.iter().filter(|held| held.event.id < event(EVENTS - 20));
        store.record(&tried.map(done).collect::<Vec<_>>());
    }
    // What is only written anew leaves no hole in sled's tree where it is missing.
    for n in 0..DOCUMENTS {
        let value = Some(vec![u8::try_from(part).unwrap(); 12_000]);
        store.change(&[Change::Document { kind: DOCUMENT, key: n.to_string(), value }]);
    }
}

/// Events that come and go, `round` for `round`, so that sled lets go of segments.
fn churn(store: &dyn Store, round: u64) {
    store.put_endpoints(&[endpoint(2)]);
    let to = [(endpoint(2), Place::Fresh)];
    for n in (0..CHURNED).map(|n| EVENTS + 1 + round * CHURNED + n) {
        let held = accepted_with(n, &to, |event| event.data = data_of(40_000));
        store.accept(std::slice::from_ref(&held));
        store.record(&[first_attempt(endpoint(2), &held, n, succeeded(n))]);
    }
    // What is not finished stays, however old it is.
    store.expire_before(1_000_000, 0);
}

const KILLED: &str = "HOOKWHEEL_TEST_KILLED_FOLDER";
const ROUNDS_OF_CHURN: &str = "HOOKWHEEL_TEST_ROUNDS_OF_CHURN";

/// Run by the tests below in a process of its own: fills a folder, and ends without closing it.
#[test]
fn killed_process() {
    let Ok(folder) = std::env::var(KILLED) else { return };
    let churned = std::env::var(ROUNDS_OF_CHURN).unwrap().parse().unwrap();
    let store = sled_in(Path::new(&folder));
    put_part(&store, 0);
    store.close().unwrap();
    for part in 1..PARTS {
        put_part(&store, part);
        (0..churned).for_each(|round| churn(&store, part * churned + round));
    }
    std::process::abort();
}

/// Fills a folder in a process that is then killed, with so many rounds of churn in between;
/// returns what it holds.
fn fill_and_kill(folder: &Path, rounds_of_churn: u64) -> Everything {
    let mut process = Command::new(std::env::current_exe().unwrap());
    process.args(["--exact", "damage::killed_process"]).env(KILLED, folder);
    process.env(ROUNDS_OF_CHURN, rounds_of_churn.to_string());
    let ended = process.stdout(Stdio::null()).stderr(Stdio::null()).status().unwrap();
    assert!(ended.code().is_none(), "a signal ended it: {ended}");
    let copy = tempfile::tempdir().unwrap();
    copy_folder(folder, copy.path());
    let held = everything(&SledStore::open(copy.path(), options()).unwrap()).unwrap();
    assert!(held.events.iter().all(Option::is_some), "all that was acknowledged is there");
    held
}

fn accepted_in(n: u64) -> Acceptance {
    accepted_with(n, &[(endpoint(1), Place::Fresh)], |event| event.data = data_of(1200))
}

/// Everything that was acknowledged.
#[derive(PartialEq)]
struct Everything {
    events: Vec<Option<Acceptance>>,
    entries: Vec<Vec<Entry>>,
    fresh: usize,
    waiting: usize,
    listed: Vec<EventId>,
    documents: Vec<Option<Vec<u8>>>,
}

fn everything(store: &dyn Store) -> Result<Everything> {
    let numbers = 1..=EVENTS;
    let owner = Owner::Endpoint(endpoint(1));
    Ok(Everything {
        events: numbers.clone().map(|n| store.acceptance(event(n))).collect::<Result<_>>()?,
        entries: numbers.map(|n| store.entries(event(n).as_u128(), true)).collect::<Result<_>>()?,
        fresh: store.fresh()?.len(),
        waiting: store.queue(endpoint(1), time(9999), 9999)?.items.len(),
        listed: store.events_of(owner, EventId::all(), Order::NewestFirst, 9999)?,
        documents: (0..DOCUMENTS)
            .map(|n| store.document(DOCUMENT, &n.to_string()))
            .collect::<Result<_>>()?,
    })
}

/// A few numbers that look random and are the same each time.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % u64::try_from(limit).unwrap()).unwrap()
    }
}

/// What came of a damaged folder.
#[derive(PartialEq, Debug)]
enum Found {
    Whole,
    RefusedOnOpening,
    RefusedOnReading,
    LessInSilence,
}

fn open_and_read(folder: &Path, expected: &Everything) -> Found {
    let store = match SledStore::open(folder, options()) {
        Ok(store) => store,
        Err(error) => {
            assert_eq!(error.kind(), ErrorKind::Unreadable, "{error}");
            assert!(error.to_string().contains("backup"), "says what to do: {error}");
            return Found::RefusedOnOpening;
        }
    };
    match everything(&store) {
        Ok(held) if held == *expected => Found::Whole,
        Ok(_) => Found::LessInSilence,
        Err(error) => {
            assert_eq!(error.kind(), ErrorKind::Unreadable, "{error}");
            Found::RefusedOnReading
        }
    }
}

#[test]
fn damage_after_a_clean_end_is_never_taken_in_silence() {
    let folder = tempfile::tempdir().unwrap();
    let expected = fill(folder.path());
    never_taken_in_silence(folder.path(), &expected);
}

#[test]
fn damage_after_a_kill_is_never_taken_in_silence() {
    let folder = tempfile::tempdir().unwrap();
    let expected = fill_and_kill(folder.path(), 0);
    never_taken_in_silence(folder.path(), &expected);
}

#[test]
fn damage_where_segments_were_used_again_is_never_taken_in_silence() {
    let folder = tempfile::tempdir().unwrap();
    let expected = fill_and_kill(folder.path(), 3);
    let (log, file) = (logged(folder.path()), file_bytes(folder.path()));
    assert!(log > file + 3 * SEGMENT as u64, "{log} bytes were logged in a file of {file}");
    never_taken_in_silence(folder.path(), &expected);
}

/// Bytes that were logged since the beginning.
fn logged(folder: &Path) -> u64 {
    let copy = tempfile::tempdir().unwrap();
    copy_folder(folder, copy.path());
    // sled names its snapshot by that when it opens.
    drop(sled_in(copy.path()));
    let snapshot = names_in(&copy.path().join("sled")).into_iter().find_map(|name| {
        name.strip_prefix("snap.").map(|place| u64::from_str_radix(place, 16).unwrap())
    });
    snapshot.unwrap()
}

fn file_bytes(folder: &Path) -> u64 {
    fs::metadata(folder.join("sled/db")).unwrap().len()
}

fn names_in(folder: &Path) -> Vec<String> {
    let names = fs::read_dir(folder).unwrap();
    let mut names: Vec<_> =
        names.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

/// Damages copies of `folder`, which holds what is `expected`: a file removed, the log cut between
/// any two segments, each segment or its header overwritten with zeros; and then any file cut
/// anywhere, or a bit of it flipped.
fn never_taken_in_silence(folder: &Path, expected: &Everything) {
    let log = fs::read(folder.join("sled/db")).unwrap();
    let mut tried = Tried { folder, expected, whole: 0, refused: 0 };
    let files = files_of(folder);
    for name in &files {
        tried.damaged("removed", name, None);
    }
    for at in (0..log.len()).step_by(SEGMENT) {
        tried.damaged("cut between segments", "sled/db", Some(&log[..at]));
        for (what, bytes) in [("header", 20), ("segment", SEGMENT)] {
            let mut zeroed = log.clone();
            let end = log.len().min(at + bytes);
            zeroed[at..end].fill(0);
            tried.damaged(&format!("zeros for the {what} at {at}"), "sled/db", Some(&zeroed));
        }
    }
    let mut random = Random(0x9e37_79b9_7f4a_7c15);
    let rounds = std::env::var("DAMAGE_ROUNDS").map_or(ROUNDS, |count| count.parse().unwrap());
    for round in 0..rounds {
        let name = files.get(random.below(40)).map_or("sled/db", String::as_str);
        let mut data = fs::read(folder.join(name)).unwrap();
        // Most of a segment is empty at first, and damage there means nothing.
        let used = data.iter().rposition(|byte| *byte != 0).map_or(data.len(), |last| last + 1);
        let at = random.below(used);
        if round.is_multiple_of(2) {
            data.truncate(at);
            tried.damaged(&format!("cut at {at}"), name, Some(&data));
        } else {
            data[at] ^= 1 << random.below(8);
            tried.damaged(&format!("flipped at {at}"), name, Some(&data));
        }
    }
    let Tried { whole, refused, .. } = tried;
    println!("{} damaged copies, opened twice: {whole} whole, {refused} refused", tried.count());
    assert!(whole > 0 && refused > rounds, "{whole} whole, {refused} refused");
}

/// The files that may be damaged, from `folder` on. Removed, `mark` says that less is accepted, and
/// cut, that nothing was acknowledged.
fn files_of(folder: &Path) -> Vec<String> {
    let data = names_in(&folder.join("sled")).into_iter().filter(|name| name != "blobs");
    let data: Vec<_> = data.map(|name| format!("sled/{name}")).collect();
    assert_eq!(data.len(), 3, "`conf`, `db` and a snapshot: {data:?}");
    data.into_iter().chain(["manifest".to_owned()]).collect()
}

/// What came of damaged copies of a folder.
struct Tried<'a> {
    folder: &'a Path,
    expected: &'a Everything,
    whole: usize,
    refused: usize,
}

impl Tried<'_> {
    fn count(&self) -> usize {
        (self.whole + self.refused) / 2
    }

    /// Opens a copy of which the file `name` is gone or holds `data`.
    fn damaged(&mut self, how: &str, name: &str, data: Option<&[u8]>) {
        let copy = tempfile::tempdir().unwrap();
        copy_folder(self.folder, copy.path());
        let path = copy.path().join(name);
        match data {
            Some(data) => fs::write(path, data).unwrap(),
            None => fs::remove_file(path).unwrap(),
        }
        // A second time too: a refusal must not mend away what it refused.
        for time in ["first", "second"] {
            match open_and_read(copy.path(), self.expected) {
                Found::Whole => self.whole += 1,
                Found::RefusedOnOpening | Found::RefusedOnReading => self.refused += 1,
                Found::LessInSilence => panic!("`{name}` {how}: less, the {time} time"),
            }
        }
    }
}

fn copy_folder(from: &Path, to: &Path) {
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            fs::create_dir_all(&target).unwrap();
            copy_folder(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).unwrap();
        }
    }
}
