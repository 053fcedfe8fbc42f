//! The checks of `fuzz/` without a fuzzer: every seed, and seeds with a few random changes. The long
//! form is `fuzz/run`; what it found is among the seeds.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]

#[path = "../fuzz/src/lib.rs"]
mod checks;

use proptest::prelude::*;
use proptest::sample::Index;
use std::fs;
use std::path::Path;
use std::sync::LazyLock;

/// A target's seeds.
type Seeds = LazyLock<Vec<Vec<u8>>>;

fn files(folder: &str) -> Vec<Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join(folder);
    let mut paths: Vec<_> =
        fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    // Folders have no order of their own, and a failure is found again by number.
    paths.sort();
    assert!(!paths.is_empty(), "{} is empty", folder.display());
    paths.into_iter().map(|path| fs::read(path).unwrap()).collect()
}

/// A change to a few bytes.
#[derive(Clone, Debug)]
enum Change {
    Set(Index, u8),
    Flip(Index, u8),
    Insert(Index, Vec<u8>),
    Remove(Index, usize),
    Repeat(Index, usize),
    Cut(Index),
}

fn change() -> impl Strategy<Value = Change> {
    // What means something to the readers of any of these.
    let telling = prop::sample::select(b"\0\r\n\t \"\\{}[]:,./@%#?=-_0119aFx\x7f\x80\xff".to_vec());
    let bytes = prop_oneof![telling.clone(), any::<u8>()];
    let length = 1..9_usize;
    prop_oneof![
        4 => (any::<Index>(), bytes.clone()).prop_map(|(at, byte)| Change::Set(at, byte)),
        2 => (any::<Index>(), 0..8_u8).prop_map(|(at, bit)| Change::Flip(at, bit)),
        4 => (any::<Index>(), prop::collection::vec(bytes, 1..4))
            .prop_map(|(at, bytes)| Change::Insert(at, bytes)),
        // Two bytes that hardly come together by chance, and are a letter of a text only if they do.
        1 => any::<Index>().prop_map(|at| Change::Insert(at, "é".into())),
        2 => (any::<Index>(), length.clone()).prop_map(|(at, count)| Change::Remove(at, count)),
        1 => (any::<Index>(), length).prop_map(|(at, count)| Change::Repeat(at, count)),
        1 => any::<Index>().prop_map(Change::Cut),
    ]
}

impl Change {
    fn make(&self, bytes: &mut Vec<u8>) {
        let place = |at: &Index, bytes: &[u8]| at.index(bytes.len() + 1);
        let range = |at: &Index, count: usize, bytes: &[u8]| {
            let from = place(at, bytes);
            from..(from + count).min(bytes.len())
        };
        match self {
            Self::Set(at, byte) => {
                let at = place(at, bytes);
                if let Some(held) = bytes.get_mut(at) {
                    *held = *byte;
                }
            }
            Self::Flip(at, bit) => {
                let at = place(at, bytes);
                if let Some(held) = bytes.get_mut(at) {
                    *held ^= 1 << bit;
                }
            }
            Self::Insert(at, new) => {
                let at = place(at, bytes);
                bytes.splice(at..at, new.iter().copied());
            }
            Self::Remove(at, count) => drop(bytes.drain(range(at, *count, bytes))),
            Self::Repeat(at, count) => {
                let range = range(at, *count, bytes);
                let (end, again) = (range.end, bytes[range].to_vec());
                bytes.splice(end..end, again);
            }
            Self::Cut(at) => bytes.truncate(place(at, bytes)),
        }
    }
}

/// A seed with up to a few changes.
fn changed(seeds: &'static Seeds) -> impl Strategy<Value = Vec<u8>> {
    (any::<Index>(), prop::collection::vec(change(), 0..6)).prop_map(|(seed, changes)| {
        let mut bytes = seed.get(seeds).clone();
        changes.iter().for_each(|change| change.make(&mut bytes));
        bytes
    })
}

macro_rules! targets {
    ($($target:ident: $cases:literal, $($folder:literal),+;)+) => {$(
        mod $target {
            use super::*;

            static SEEDS: Seeds = LazyLock::new(|| [$(files($folder)),+].concat());

            #[test]
            fn seeds() {
                SEEDS.iter().for_each(|seed| checks::$target::check(seed));
            }

            proptest! {
                #![proptest_config(ProptestConfig::with_cases($cases))]

                #[test]
                fn changed_seeds(bytes in changed(&SEEDS)) {
                    checks::$target::check(&bytes);
                }
            }
        }
    )+};
}

targets! {
    api_body: 1000, "fuzz/seeds/api_body";
    challenge_answer: 1000, "fuzz/seeds/challenge_answer";
    event_json: 1000, "fuzz/seeds/event_json";
    provider_file: 200, "fuzz/seeds/provider_file", "schedules", "examples/providers";
    store_record: 2000, "fuzz/seeds/store_record";
    url_guard: 4000, "fuzz/seeds/url_guard";
}
