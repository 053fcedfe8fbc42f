//! Secrets leave no trace: once nobody holds one it is nowhere in the memory of the process, and how
//! long a comparison takes tells nothing of one.

use crate::common::{bench, soon};
use hookwheel::clock::Stopwatch;
use hookwheel::provider::Providers;
use hookwheel::vault::{MasterKeySource, Vault};
use hookwheel::{Authentication, NewEndpoint, Secret};
use std::fs::{self, File};
use std::os::unix::fs::FileExt;

/// Letters that are nowhere but in the texts that are made of them: kept with every bit turned, so that
/// the search does not find itself.
struct Canary(Vec<u8>);

/// Letters before and behind those. Allocators write notes of their own into the beginning of what was
/// given back, and would wipe it there.
const COVER: &str = "cover-cover-cover-cover-cover-cover-cover-cover-";

impl Canary {
    fn new() -> Self {
        let mut bytes = vec![0; 24];
        hookwheel::chance::fill_random(&mut bytes).unwrap();
        Self(bytes.into_iter().map(|byte| !(b'a' + byte % 26)).collect())
    }

    /// Letters of a secret that nobody chose: from its middle, so that copies of its beginning are
    /// found that are half as long.
    fn within(secret: &str) -> Self {
        Self(secret.as_bytes()[17..31].iter().map(|byte| !byte).collect())
    }

    /// A text around them, in one piece of memory.
    fn text(&self) -> String {
        let mut text = String::with_capacity(2 * COVER.len() + self.0.len());
        text.push_str(COVER);
        text.extend(self.0.iter().map(|byte| char::from(!byte)));
        text.push_str(COVER);
        text
    }

    /// Whether they are anywhere in what this process can write to.
    fn is_in_memory(&self) -> bool {
        let memory = File::open("/proc/self/mem").unwrap();
        let maps = fs::read_to_string("/proc/self/maps").unwrap();
        let mut part = vec![0; 1 << 20];
        let mut found = false;
        for line in maps.lines().filter(|line| line.contains(" rw")) {
            let (from, rest) = line.split_once('-').unwrap();
            let end = rest.split_once(' ').unwrap().0;
            let (mut from, end) =
                (u64::from_str_radix(from, 16).unwrap(), u64::from_str_radix(end, 16).unwrap());
            while from < end {
                let length = part.len().min(usize::try_from(end - from).unwrap());
                // What another thread has given back meanwhile cannot be read.
                if memory.read_exact_at(&mut part[..length], from).is_err() {
                    break;
                }
                found |= self.is_in(&part[..length]);
                // Nor does the next search find what this one has read.
                part.fill(0);
                from += length as u64;
                if from < end {
                    from -= self.0.len() as u64;
                }
            }
        }
        found
    }

    fn is_in(&self, bytes: &[u8]) -> bool {
        let first = !self.0[0];
        memchr::memchr_iter(first, bytes).any(|at| {
            let there = bytes.get(at..at + self.0.len());
            there.is_some_and(|there| there.iter().zip(&self.0).all(|(byte, own)| *byte == !own))
        })
    }
}

#[test]
fn a_secret_is_wiped_when_it_is_dropped() {
    let canary = Canary::new();
    let secret = Secret::new(canary.text());
    let copy = secret.clone();
    drop(secret);
    assert!(canary.is_in_memory(), "the search finds what is there");
    drop(copy);
    assert!(!canary.is_in_memory());
}

#[test]
fn the_vault_leaves_nothing_behind() {
    let canary = Canary::new();
    let key = MasterKeySource::Given(Secret::new("A".repeat(43) + "="));
    let vault = Vault::open(key, false).unwrap();
    let secret = Secret::new(canary.text());
    let sealed = vault.seal("a", &secret).unwrap();
    drop(secret);
    let opened = vault.open_sealed("a", &sealed).unwrap();
    assert!(canary.is_in_memory());
    drop(opened);
    assert!(!canary.is_in_memory());
}

#[test]
fn a_secret_that_was_made_is_nowhere_but_where_it_is_held() {
    let providers = Providers::embedded().unwrap();
    for (name, scheme) in [
        ("citizen-ticket", None),
        ("gocardless", None),
        ("opencard", None),
        ("standard-webhooks", Some("v1")),
        ("standard-webhooks", Some("v1a")),
    ] {
        let provider = providers.get(name).unwrap();
        let made = provider.generate_secret(scheme).unwrap();
        let canary = Canary::within(made.secret.expose());
        provider.signing_key(&made.scheme, &made.secret).unwrap();
        drop(provider.shown_form(&made.secret).unwrap());
        assert!(canary.is_in_memory());
        drop(made);
        assert!(!canary.is_in_memory(), "{name} {scheme:?}");
    }
}

#[test]
fn a_secret_in_hex_is_read_without_a_copy_that_stays() {
    let folder = tempfile::tempdir().unwrap();
    let file = include_str!("../../schedules/ticketnation.toml");
    let file = file.replace("name = \"ticketnation\"", "name = \"hexed\"");
    let file =
        file.replace("key = \"text\", given = [8, 256]", "key = \"decoded\", given = [32, 32]");
    fs::write(folder.path().join("hexed.toml"), file).unwrap();
    let mut providers = Providers::embedded().unwrap();
    providers.load_folder(folder.path()).unwrap();
    let provider = providers.get("hexed").unwrap();
    let made = provider.generate_secret(None).unwrap();
    let canary = Canary::within(made.secret.expose());
    let given = Secret::new(made.secret.expose().to_ascii_uppercase());
    drop(made);
    provider.check_secret(&given).unwrap();
    assert!(!canary.is_in_memory());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_engine_that_is_gone_took_its_secrets_along() {
    let (signing, password) = (Canary::new(), Canary::new());
    let bench = bench().await;
    let mut new = NewEndpoint::new("http://127.0.0.1:9/hooks").provider("standard-webhooks");
    new.authentication = Authentication::Basic {
        username: "ada".to_owned(),
        password: Secret::new(password.text()),
    };
    bench.endpoint(new).await;
    let new = NewEndpoint::new("http://127.0.0.1:9/hooks").provider("ticketnation");
    let created = bench.endpoint(new.secret(signing.text())).await;
    assert!(signing.is_in_memory() && password.is_in_memory());
    drop(created);
    bench.engine.close().await.unwrap();
    drop(bench);
    // Its threads let go a moment later.
    soon(async {
        while signing.is_in_memory() || password.is_in_memory() {
            tokio::task::yield_now().await;
        }
    })
    .await;
}

#[test]
fn a_comparison_takes_as_long_wherever_two_secrets_differ() {
    const LENGTH: usize = 1 << 20;
    let differing_at = |at: usize| {
        let mut text = "a".repeat(LENGTH);
        text.replace_range(at..=at, "b");
        Secret::new(text)
    };
    let secret = Secret::new("a".repeat(LENGTH));
    let compared = |other: &Secret| {
        let watch = Stopwatch::start();
        assert!(secret != *other);
        watch.elapsed()
    };
    // The shortest of several: whatever else the machine does only makes one longer.
    let shortest = |other: &Secret| (0..9).map(|_| compared(other)).min().unwrap();
    let (early, late) = (shortest(&differing_at(0)), shortest(&differing_at(LENGTH - 1)));
    // What ends at the first difference takes a thousandth of the time, at most.
    assert!(early > late / 50, "{early:?} for the first letter, {late:?} for the last");
}
