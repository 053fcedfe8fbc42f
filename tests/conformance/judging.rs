//! Whether `check` says of each consumer what the table says.

use crate::consumer::Consumer;
use crate::provider::{OWN_CHECKOUT, Provider};
use crate::server::Server;
use crate::table::{Row, TABLE, not_applicable, warns};
use crate::vice::Vice;
use futures_util::stream::{self, StreamExt};
use hookwheel::Secret;
use hookwheel::simulate::{Conformance, ConformanceReport, Verdict};
use serde_json::json;
use std::fs;
use std::path::Path;
use std::time::Duration;
use tempfile::TempDir;

/// How long slow consumers take, and the time-out in the provider files that they are checked by: so
/// that nobody waits for 20 s.
const SLOW: &[(Vice, Duration, &str)] = &[
    (Vice::TooSlow, Duration::from_millis(150), "100ms"),
    // One of these is in time on a busy machine too, and sixteen after one another are not.
    (Vice::OneAtATime, Duration::from_millis(200), "2s"),
];
/// Consumers that are checked at the same time.
const AT_ONCE: usize = 48;

/// The secret that consumers of `provider` know, and the one before it.
fn secrets(provider: Provider) -> [&'static str; 2] {
    match provider {
        Provider::Yoco | Provider::StandardWebhooks => {
            ["whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "whsec_dGhlIHNlY3JldCBiZWZvcmUgdGhpcyEh"]
        }
        _ => ["0f1e2d3c4b5a69788796a5b4c3d2e1f0", "the-secret-before-this-one"],
    }
}

/// What `check` finds about a consumer.
async fn report(provider: Provider, vice: Vice) -> ConformanceReport {
    let [secret, old] = secrets(provider);
    let slow = SLOW.iter().find(|(slow, ..)| *slow == vice);
    let mut consumer = Consumer::new(provider, vice, &[secret, old]);
    if let Some((_, slowness, _)) = slow {
        consumer = consumer.slowness(*slowness);
    }
    let server = Server::start(consumer).await;
    let mut check = Conformance::new(provider.name(), server.url(), Secret::new(secret))
        .old_secret(Secret::new(old))
        .effects_url(server.effects_url());
    if provider == Provider::Yoco {
        check = check.set("metadata.checkoutId", json!(OWN_CHECKOUT));
    }
    let impatient = slow.map(|(.., timeout)| with_timeout(provider, timeout));
    if let Some(folder) = &impatient {
        check = check.providers_folder(folder.path());
    }
    check.run().await.unwrap()
}

/// A folder with the provider's own file, but for its time-out.
fn with_timeout(provider: Provider, timeout: &str) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let name = format!("{}.toml", provider.name());
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("schedules").join(&name);
    let text = fs::read_to_string(file).unwrap();
    let lines = text.lines().map(|line| match line.starts_with("timeout = ") {
        true => format!("timeout = \"{timeout}\"\n"),
        false => format!("{line}\n"),
    });
    fs::write(folder.path().join(name), lines.collect::<String>()).unwrap();
    folder
}

/// The verdict that the table has on each check.
fn expected(provider: Provider, row: &Row, check: &str) -> Verdict {
    let (vice, _, do_not_pass) = row;
    if not_applicable(provider).contains(&check) {
        Verdict::NotApplicable
    } else if !do_not_pass.contains(&check) {
        Verdict::Pass
    } else if warns(check, provider, *vice) {
        Verdict::Warn
    } else {
        Verdict::Fail
    }
}

/// The differences between what was found and what the table says.
fn differences(provider: Provider, row: &Row, report: &ConformanceReport) -> Vec<String> {
    let mut differences = Vec::new();
    for result in &report.results {
        let expected = expected(provider, row, result.name);
        if result.verdict != expected {
            let (name, vice, found) = (provider.name(), row.0, result.verdict);
            let told = format!("{}: {found:?}, not {expected:?}", result.name);
            differences.push(format!("{name}, {vice:?}: {told}: {}", result.finding));
        }
    }
    let named = row.2.iter().copied().chain(not_applicable(provider));
    let unknown = named.filter(|name| report.result(name).is_none());
    differences.extend(unknown.map(|name| format!("{:?}: there is no check {name}", row.0)));
    differences
}

#[tokio::test(flavor = "multi_thread")]
async fn each_consumer_fails_what_it_should_and_passes_the_rest() {
    let of_row = |row: &'static Row| row.1.iter().map(move |provider| (*provider, row));
    let judged = TABLE.iter().flat_map(of_row).map(|(provider, row)| {
        let judged = async move { differences(provider, row, &report(provider, row.0).await) };
        tokio::spawn(judged)
    });
    // Most of the time they wait for effects, and not for each other.
    let judged = stream::iter(judged).buffer_unordered(AT_ONCE);
    let differences: Vec<String> = judged.map(|judged| judged.unwrap()).concat().await;
    assert!(differences.is_empty(), "\n{}\n", differences.join("\n"));
}
