//! The disk: full, and synced before anything is acknowledged. Both need something of the machine
//! and are skipped, with a word, where it is missing.
#![allow(clippy::print_stderr, reason = "a test that is skipped says so")]

use crate::world::*;
use hookwheel::store::sled::SledOptions;
use hookwheel::store::{Batch, Place, SledStore, Store};
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

/// A small file system in memory, unmounted when dropped.
struct SmallDisk(tempfile::TempDir);

impl SmallDisk {
    fn mount(mebibytes: u32) -> Option<Self> {
        let folder = tempfile::tempdir().unwrap();
        let size = format!("size={mebibytes}m");
        let mount = Command::new("mount")
            .args(["-t", "tmpfs", "-o", &size, "tmpfs"])
            .arg(folder.path())
            .stderr(Stdio::null())
            .status();
        mount.is_ok_and(|status| status.success()).then(|| Self(folder))
    }

    fn path(&self) -> &Path {
        self.0.path()
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(self.path()).status();
    }
}

/// Accepts events of 10 kB until that is refused; returns how many were acknowledged.
fn fill(store: &dyn Store, from: u64) -> u64 {
    for n in from.. {
        let accept = vec![accepted_with(n, &[(endpoint(1), Place::Fresh)], |event| {
            event.data = data_of(10_000);
        })];
        let committed =
            store.check_room().and_then(|()| store.commit(&Batch { accept, ..Batch::default() }));
        if let Err(error) = committed {
            assert!(error.is_unavailable(), "{error}");
            assert!(error.to_string().contains("full"), "{error}");
            return n - from;
        }
    }
    0
}

#[test]
fn a_full_disk_refuses_new_events_and_loses_none() {
    let Some(disk) = SmallDisk::mount(96) else {
        eprintln!("skipped: a small disk cannot be mounted here (root is needed)");
        return;
    };
    let folder = disk.path().join("data");
    let ballast = disk.path().join("ballast");
    fs::write(&ballast, vec![1; 24 * 1024 * 1024]).unwrap();
    let store = SledStore::open(&folder, SledOptions::default()).unwrap();
    store.put_endpoints(&[endpoint(1)]);
    // Refused while there is still room for attempts.
    let first = fill(&store, 1);
    assert!(first > 100, "{first}");
    let held = store.acceptance(event(1)).unwrap().unwrap();
    store.record(&[first_attempt(endpoint(1), &held, 2, succeeded(2))]);
    // Taken again once there is space, without a new start.
    fs::remove_file(&ballast).unwrap();
    let second = fill(&store, first + 1);
    assert!(second > 100, "{second}");
    let all = |store: &dyn Store, count: u64| {
        (1..=count).all(|n| store.acceptance(event(n)).unwrap().is_some())
    };
    assert!(all(&store, first + second));

    // Now without any reserve: the disk is full in the middle of a commit.
    drop(store);
    let store = SledStore::open(&folder, options()).unwrap();
    let third = fill(&store, first + second + 1);
    let count = first + second + third;
    assert!(store.acceptance(event(1)).unwrap_err().is_unavailable(), "its handles are dropped");
    fs::write(disk.path().join("nothing"), []).unwrap();
    assert!(store.reopen().is_ok() || store.reopen().is_err_and(|error| error.is_unavailable()));
    drop(store);
    // The disk grows; nothing that was acknowledged is missing, and events are taken.
    let grown = Command::new("mount").args(["-o", "remount,size=256m"]).arg(disk.path()).status();
    assert!(grown.unwrap().success());
    let store = SledStore::open(&folder, options()).unwrap();
    assert!(all(&store, count));
    store.accept(&[accepted(count + 9, &[])]);
}

const TRACED: &str = "HOOKWHEEL_TEST_TRACED_FOLDER";

/// Run by the next test in a process of its own, under `strace`.
#[test]
fn traced_commits() {
    let Ok(folder) = std::env::var(TRACED) else { return };
    let store = sled_in(Path::new(&folder));
    for n in 1..=50 {
        // A file that is looked for tells the trace what was acknowledged, and when.
        store.accept(&[accepted(n, &[])]);
        let _ = fs::metadata(format!("/acknowledged-{n}"));
    }
}

#[test]
fn every_acknowledgement_comes_after_a_sync_of_the_data_file() {
    let folder = tempfile::tempdir().unwrap();
    let trace = folder.path().join("trace");
    let strace = Command::new("strace")
        .args(["-f", "-y", "-e", "trace=fdatasync,fsync,pwrite64,statx", "-o"])
        .arg(&trace)
        .arg(std::env::current_exe().unwrap())
        .args(["--exact", "disk::traced_commits"])
        .env(TRACED, folder.path().join("data"))
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status();
    let trace = fs::read_to_string(&trace).unwrap_or_default();
    if !strace.is_ok_and(|status| status.success()) || trace.is_empty() {
        eprintln!("skipped: `strace` is not here, or may not trace");
        return;
    }
    let (mut acknowledged, mut synced, mut marked) = (0, false, false);
    for line in trace.lines() {
        if line.contains("fdatasync(") && line.contains("/data/sled/db>") {
            synced = true;
        } else if line.contains("pwrite64(") && line.contains("/data/mark>") {
            assert!(synced, "the mark is not ahead of the data: {line}");
            marked = true;
        } else if line.contains("\"/acknowledged-") {
            assert!(synced && marked, "acknowledged before it was synced: {line}");
            acknowledged += 1;
            (synced, marked) = (false, false);
        }
    }
    assert_eq!(acknowledged, 50);
}
