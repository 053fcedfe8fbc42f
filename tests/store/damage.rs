//! A data folder that was damaged after it was closed, or after its process was killed: it opens with
//! everything that was acknowledged, or is refused, or a later look-up is refused. It never has
//! less without a word.

use crate::world::*;
use hookwheel::model::{EventId, Order};
use hookwheel::store::{Acceptance, Entry, Owner, Place, SledStore, Store};
use hookwheel::{ErrorKind, Result};
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

const EVENTS: u64 = 2400;
/// Parts in which they come.
const PARTS: u64 = 3;
/// Damaged copies that are tried; `DAMAGE_ROUNDS` says otherwise.
const ROUNDS: usize = 150;

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
}

const KILLED: &str = "HOOKWHEEL_TEST_KILLED_FOLDER";

/// Run by the tests below in a process of its own: fills a folder, and ends without closing it.
#[test]
fn killed_process() {
    let Ok(folder) = std::env::var(KILLED) else { return };
    let store = sled_in(Path::new(&folder));
    put_part(&store, 0);
    store.close().unwrap();
    for part in 1..PARTS {
        put_part(&store, part);
    }
    std::process::abort();
}

/// Fills a folder in a process that is then killed; returns what it holds.
fn fill_and_kill(folder: &Path) -> Everything {
    let mut process = Command::new(std::env::current_exe().unwrap());
    process.args(["--exact", "damage::killed_process"]).env(KILLED, folder);
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
    let expected = fill_and_kill(folder.path());
    never_taken_in_silence(folder.path(), &expected);
}

/// Damages copies of `folder`, which holds what is `expected`.
fn never_taken_in_silence(folder: &Path, expected: &Everything) {
    let names = fs::read_dir(folder.join("sled")).unwrap();
    let mut names: Vec<String> = names
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| name != "db" && name != "blobs")
        .collect();
    names.sort();
    assert_eq!(names.len(), 2, "`conf` and a snapshot: {names:?}");
    let mut random = Random(0x9e37_79b9_7f4a_7c15);
    let (mut whole, mut refused) = (0, 0);
    let rounds = std::env::var("DAMAGE_ROUNDS").map_or(ROUNDS, |count| count.parse().unwrap());
    for round in 0..rounds {
        let name = names.get(random.below(20)).map_or("db", String::as_str);
        let mut data = fs::read(folder.join("sled").join(name)).unwrap();
        // Most of a segment is empty at first, and damage there means nothing.
        let used = data.iter().rposition(|byte| *byte != 0).map_or(data.len(), |last| last + 1);
        let at = random.below(used);
        if round.is_multiple_of(2) {
            data.truncate(at);
        } else {
            data[at] ^= 1 << random.below(8);
        }
        let copy = tempfile::tempdir().unwrap();
        copy_folder(folder, copy.path());
        fs::write(copy.path().join("sled").join(name), &data).unwrap();
        // A second time too: a refusal must not mend away what it refused.
        for time in ["first", "second"] {
            match open_and_read(copy.path(), expected) {
                Found::Whole => whole += 1,
                Found::RefusedOnOpening | Found::RefusedOnReading => refused += 1,
                Found::LessInSilence => {
                    panic!("`{name}`, byte {at}, round {round}: less, the {time} time");
                }
            }
        }
    }
    assert!(whole > 0 && refused > rounds, "{whole} whole, {refused} refused");
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
