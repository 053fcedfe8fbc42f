//! The folder of the embedded store: who may open it, and in what shape.

use crate::world::*;
use hookwheel::ErrorKind;
use hookwheel::model::{EventId, Order};
use hookwheel::store::{Change, Owner, Place, SledStore, Store};
use std::fs::{self, Permissions};
use std::os::unix::fs::{FileExt, PermissionsExt};
use std::path::Path;
use std::time::Duration;
use tempfile::TempDir;

/// A folder in which that many commits were acknowledged.
fn folder_with(commits: u64) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let store = sled_in(folder.path());
    store.put_endpoints(&[endpoint(1)]);
    for n in 2..=commits {
        store.accept(&[accepted(n, &[(endpoint(1), Place::Fresh)])]);
    }
    folder
}

fn refusal(folder: &Path) -> hookwheel::Error {
    SledStore::open(folder, options()).err().expect("it was opened")
}

/// Changes the raw value at `key`, past the store.
fn tamper(folder: &Path, key: &[u8], value: &[u8]) {
    let db = raw(folder);
    assert!(db.insert(key, value).unwrap().is_some(), "there is such a key");
    db.flush().unwrap();
}

#[test]
fn a_folder_in_use_is_refused_with_who_uses_it() {
    let folder = tempfile::tempdir().unwrap();
    let store = sled_in(folder.path());
    let error = refusal(folder.path());
    assert!(error.is_in_use());
    let text = error.to_string();
    assert!(text.contains(&folder.path().display().to_string()), "{text}");
    assert!(text.contains(&format!("process {}", std::process::id())), "{text}");
    drop(store);
    sled_in(folder.path());
}

#[test]
fn what_is_still_being_written_is_not_taken_for_damage() {
    let folder = folder_with(2);
    let store = sled_in(folder.path());
    // More than the segment that a crash may tear.
    for first in (0..3000).step_by(500) {
        let large = (first..first + 500).map(|n| {
            let mut large = stored_application(application(n), false);
            large.name = "x".repeat(2000);
            Change::Application(large)
        });
        store.change(&large.collect::<Vec<_>>());
    }
    drop(store);
    let path = folder.path().join("sled/db");
    let file = fs::OpenOptions::new().read(true).write(true).open(&path).unwrap();
    // As sled's threads have it, which write until they let go of it.
    file.lock().unwrap();
    let whole = fs::read(&path).unwrap();
    file.write_all_at(&vec![0; whole.len() / 2], 0).unwrap();
    let writing = std::thread::spawn(move || {
        hookwheel::clock::rest(Duration::from_millis(300));
        file.write_all_at(&whole, 0).unwrap();
    });
    drop(sled_in(folder.path()));
    writing.join().unwrap();
}

#[test]
fn nobody_but_the_owner_may_look_into_what_is_made() {
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    let set = |path: &Path, mode| fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
    let above = tempfile::tempdir().unwrap();
    let made = above.path().join("made");
    drop(sled_in(&made));
    assert_eq!(mode(&made), 0o700);

    // One that was there stays as it is: it may be anything. What is in it is ours.
    let there = above.path().join("there");
    fs::create_dir_all(there.join("sled")).unwrap();
    set(&there, 0o755);
    set(&there.join("sled"), 0o755);
    let store = sled_in(&there);
    store.accept(&[accepted(1, &[])]);
    drop(store);
    let modes = |folder: &Path| {
        let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap());
        let mut modes: Vec<_> = entries
            .map(|entry| (entry.file_name().into_string().unwrap(), mode(&entry.path())))
            .collect();
        modes.sort();
        modes
    };
    let expected = [("lock", 0o600), ("manifest", 0o600), ("mark", 0o600), ("sled", 0o700)];
    let expected = expected.map(|(name, mode)| (name.to_owned(), mode));
    for folder in [&there, &made] {
        assert_eq!(modes(folder), expected);
    }
    assert_eq!(mode(&there), 0o755);
}

#[test]
fn what_a_killed_open_left_behind_is_removed() {
    let folder = folder_with(3);
    for name in ["snap.0000000000000400.generating", "snap.FFFFFFFFFFFFFFFF.generating"] {
        fs::write(folder.path().join("sled").join(name), b"torn").unwrap();
    }
    assert_eq!(sled_in(folder.path()).fresh_ids().len(), 2);
    let names = fs::read_dir(folder.path().join("sled")).unwrap();
    let names: Vec<_> = names.map(|entry| entry.unwrap().file_name()).collect();
    assert!(names.iter().all(|name| !name.to_string_lossy().ends_with("generating")), "{names:?}");
}

#[test]
fn another_format_and_another_version_of_a_record_are_refused() {
    let folder = folder_with(3);
    let mut format = vec![0];
    format.extend_from_slice(&2_u128.to_be_bytes());
    tamper(folder.path(), b"mformat", &format);
    let error = refusal(folder.path());
    assert_eq!(error.kind(), ErrorKind::Unreadable);
    assert!(error.to_string().contains("another version of hookwheel"), "{error}");

    let folder = folder_with(3);
    let mut key = vec![b'e'];
    key.extend_from_slice(&event(2).as_u128().to_be_bytes());
    tamper(folder.path(), &key, &[0, 9, 1, 2, 3]);
    let error = refusal(folder.path());
    assert_eq!(error.kind(), ErrorKind::Unreadable);
    assert!(error.to_string().contains("version 9"), "{error}");
}

#[test]
fn a_mark_ahead_of_the_data_is_refused_in_plain_words() {
    let folder = folder_with(10);
    let older = folder_with(7);
    fs::copy(folder.path().join("mark"), older.path().join("mark")).unwrap();
    for _ in 0..2 {
        let error = refusal(older.path());
        assert_eq!(error.kind(), ErrorKind::Unreadable);
        let text = error.to_string();
        assert!(text.contains("ends at commit 7, but commit 10 was confirmed"), "{text}");
        assert!(text.contains("restore a backup, or remove"), "{text}");
    }
    // Data that is gone altogether is no new store.
    fs::remove_dir_all(folder.path().join("sled")).unwrap();
    assert_eq!(refusal(folder.path()).kind(), ErrorKind::Unreadable);
    assert_eq!(refusal(folder.path()).kind(), ErrorKind::Unreadable);
    // The user says that the loss is accepted.
    fs::remove_file(older.path().join("mark")).unwrap();
    assert_eq!(sled_in(older.path()).fresh_ids().len(), 6);
}

#[test]
fn a_mark_that_is_missing_or_behind_is_accepted_and_a_damaged_one_is_not() {
    let folder = folder_with(10);
    let mark = folder.path().join("mark");
    let older = folder_with(7);
    fs::copy(older.path().join("mark"), &mark).unwrap();
    assert_eq!(sled_in(folder.path()).fresh_ids().len(), 9);
    fs::remove_file(&mark).unwrap();
    let store = sled_in(folder.path());
    store.accept(&[accepted(11, &[])]);
    drop(store);
    let mut bytes = fs::read(&mark).unwrap();
    bytes[7] ^= 1;
    fs::write(&mark, &bytes).unwrap();
    let error = refusal(folder.path());
    assert_eq!(error.kind(), ErrorKind::Unreadable);
    assert!(error.to_string().contains(&mark.display().to_string()), "{error}");
}

#[test]
fn the_index_is_found_again_after_an_unclean_end() {
    let folder = tempfile::tempdir().unwrap();
    let to = [(endpoint(1), Place::Fresh)];
    let list = |store: &SledStore| {
        let owner = Owner::Endpoint(endpoint(1));
        store.events_of(owner, EventId::all(), Order::NewestFirst, 9_999).unwrap()
    };
    let store = sled_in(folder.path());
    for n in 1..50 {
        store.accept(&[accepted(n, &to)]);
    }
    store.close().unwrap();
    for n in 50..300 {
        store.accept(&[accepted(n, &to), accepted(1000 + n, &[])]);
        if n % 100 == 0 {
            store.reopen().unwrap();
        }
    }
    drop(store);
    let expected: Vec<_> = (1..300).rev().map(event).collect();
    let store = sled_in(folder.path());
    assert_eq!(list(&store), expected);
    store.close().unwrap();
    drop(store);
    assert_eq!(list(&sled_in(folder.path())), expected);
}

#[test]
fn fresh_deliveries_are_found_again_however_far_back() {
    let folder = tempfile::tempdir().unwrap();
    let mut store = sled_in(folder.path());
    store.put_endpoints(&[endpoint(1), endpoint(2)]);
    let events: Vec<_> = (1..400).map(|n| accepted(n, &[(endpoint(1), Place::Fresh)])).collect();
    let slow = [3, 77, 200, 399];
    for (n, held) in (1..).zip(&events) {
        store.accept(std::slice::from_ref(held));
        if !slow.contains(&n) {
            store.record(&[first_attempt(endpoint(1), held, 1000 + n, succeeded(1))]);
        }
    }
    let expect =
        |numbers: &[u64]| -> Vec<_> { numbers.iter().map(|n| (endpoint(1), event(*n))).collect() };
    let reopen = |store: SledStore| {
        drop(store);
        sled_in(folder.path())
    };
    store = reopen(store);
    assert_eq!(store.fresh_ids(), expect(&slow));
    for (done, left) in [(3, &slow[1..]), (200, &[77, 399][..]), (77, &[399][..])] {
        let held = &events[usize::try_from(done).unwrap() - 1];
        store.record(&[first_attempt(endpoint(1), held, 2000 + done, succeeded(1))]);
        // So many commits that every mark that is put off is written.
        for n in 0..100 {
            store.change(&[Change::KeyCheck(vec![n])]);
        }
        store = reopen(store);
        assert_eq!(store.fresh_ids(), expect(left));
    }
    store.accept(&[accepted(500, &[(endpoint(2), Place::Fresh)])]);
    store.delete_endpoint(endpoint(1));
    store = reopen(store);
    assert_eq!(store.fresh_ids(), [(endpoint(2), event(500))]);
}

/// sled puts large nodes into files of their own, which it never syncs: what was acknowledged must
/// not be there.
#[test]
fn nothing_lies_beside_the_log_whatever_its_size() {
    let folder = tempfile::tempdir().unwrap();
    let store = sled_in(folder.path());
    store.put_endpoints(&[endpoint(1)]);
    let sizes = [100, 7_900, 8_100, 15_900, 16_500, 70_000, 256 * 1024];
    for (n, bytes) in (2..).zip(sizes.iter().cycle().take(sizes.len() * 30)) {
        let deliveries = [(endpoint(1), Place::Fresh)];
        let held = accepted_with(n, &deliveries, |event| event.data = data_of(*bytes));
        store.accept(std::slice::from_ref(&held));
        store.record(&[first_attempt(endpoint(1), &held, n, succeeded(n))]);
    }
    store.close().unwrap();
    assert_eq!(fs::read_dir(folder.path().join("sled/blobs")).unwrap().count(), 0);
}
