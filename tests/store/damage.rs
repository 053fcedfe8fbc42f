//! A data folder that was damaged after it was closed: it opens with everything that was
//! acknowledged, or is refused, or a later look-up is refused. It never has less without a word.
//!
//! After a kill that holds for what is missing at the end of sled's log, where the commit mark
//! tells; a record damaged in the middle of it sled skips, and nothing of ours can see that.

use crate::world::*;
use hookwheel::model::{EventId, Order};
use hookwheel::store::{Acceptance, Entry, Owner, Place, SledStore, Store};
use hookwheel::{ErrorKind, Result};
use std::fs;
use std::path::Path;

const EVENTS: u64 = 600;
/// Damaged copies that are tried.
const ROUNDS: usize = 200;

/// Fills a folder over several openings, so that segments of sled's file are used again; returns
/// what it holds.
fn fill(folder: &Path) -> Everything {
    let mut held = None;
    for part in 0..3 {
        let store = sled_in(folder);
        let numbers: Vec<u64> = (part * EVENTS / 3 + 1..=(part + 1) * EVENTS / 3).collect();
        store.put_endpoints(&[endpoint(1)]);
        for few in numbers.chunks(10) {
            let accept: Vec<_> = few.iter().map(|n| accepted_in(*n)).collect();
            store.accept(&accept);
            let done =
                |held: &Acceptance| first_attempt(endpoint(1), held, 1000, waiting_until(2000));
            // Nearly all were tried: what opening does not look at must be found out by reading.
            let tried = accept.iter().filter(|held| held.event.id < event(EVENTS - 20));
            store.record(&tried.map(done).collect::<Vec<_>>());
        }
        held = Some(everything(&store).unwrap());
        store.close().unwrap();
    }
    held.unwrap()
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
    let names = fs::read_dir(folder.path().join("sled")).unwrap();
    let mut names: Vec<String> = names
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| name != "db" && name != "blobs")
        .collect();
    names.sort();
    assert_eq!(names.len(), 2, "`conf` and a snapshot: {names:?}");
    let mut random = Random(0x9e37_79b9_7f4a_7c15);
    let (mut whole, mut refused) = (0, 0);
    for round in 0..ROUNDS {
        let name = names.get(random.below(20)).map_or("db", String::as_str);
        let mut data = fs::read(folder.path().join("sled").join(name)).unwrap();
        // Most of a segment is empty at first, and damage there means nothing.
        let used = data.iter().rposition(|byte| *byte != 0).map_or(data.len(), |last| last + 1);
        let at = random.below(used);
        if round.is_multiple_of(2) {
            data.truncate(at);
        } else {
            data[at] ^= 1 << random.below(8);
        }
        let copy = tempfile::tempdir().unwrap();
        copy_folder(folder.path(), copy.path());
        fs::write(copy.path().join("sled").join(name), &data).unwrap();
        // A second time too: a refusal must not mend away what it refused.
        for time in ["first", "second"] {
            match open_and_read(copy.path(), &expected) {
                Found::Whole => whole += 1,
                Found::RefusedOnOpening | Found::RefusedOnReading => refused += 1,
                Found::LessInSilence => {
                    panic!("`{name}`, byte {at}, round {round}: less, the {time} time");
                }
            }
        }
    }
    assert!(whole > 0 && refused > ROUNDS, "{whole} whole, {refused} refused");
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
