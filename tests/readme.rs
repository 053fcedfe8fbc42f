//! What the README and the pages that it leads to claim is what the code does.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]

use hmac::{Hmac, KeyInit, Mac};
use hookwheel::config::Settings;
use hookwheel::model::human_duration;
use hookwheel::provider::{Provider, Providers, Subject};
use hookwheel::simulate::Conformance;
use hookwheel::simulate::receiver::{Consumer, Receiver};
use hookwheel::telemetry::{Kind, METRICS};
use hookwheel::{Engine, NewApplication, NewEndpoint, NewEvent, Secret};
use serde_json::Value;
use sha2::Sha256;

const PAGES: &str = concat!(
    include_str!("../README.md"),
    include_str!("../docs/providers.md"),
    include_str!("../docs/receiving.md"),
    include_str!("../docs/service.md"),
);

/// The cells of the table row that begins with `name`.
fn row(name: &str) -> Vec<&'static str> {
    let begin = format!("| `{name}` |");
    let row = PAGES.lines().find(|line| line.starts_with(&begin));
    let row = row.unwrap_or_else(|| panic!("the pages have no row for `{name}`"));
    row.trim_matches('|').split('|').map(str::trim).collect()
}

#[test]
fn the_provider_table_agrees_with_the_provider_files() {
    let providers = Providers::embedded().unwrap();
    for provider in providers.iter() {
        let [_, signature, _, success, timeout, retries, then] = row(provider.name())[..] else {
            panic!("the row of {provider:?} has another number of cells");
        };
        let header = provider.header_names().last().unwrap();
        assert!(signature.starts_with(&format!("`{header}`: ")), "{provider:?}: {header}");
        for status in [200, 201, 202, 204, 302, 410] {
            let told = success == "2xx" && status < 300 || success.contains(&status.to_string());
            assert_eq!(told, provider.is_success(status), "{provider:?}: {status}");
        }
        assert_eq!(timeout.replace(" *", ""), human_duration(provider.timeout()), "{provider:?}");
        let delays: Vec<String> =
            provider.schedule().delays().iter().copied().map(human_duration).collect();
        let told = retries.replace(" *", "");
        assert!(told.starts_with(&delays.join(", ")), "{provider:?}: {told}: {delays:?}");
        assert_eq!(then.starts_with("parked"), provider.exhausted_parks(), "{provider:?}");
        assert_eq!(then.contains("410"), provider.gone_disables(410), "{provider:?}");
    }
}

#[test]
fn the_table_of_settings_agrees_with_the_defaults() {
    for (path, value, _) in Settings::default().entries() {
        let default = match &value {
            Value::Null => "–".to_owned(),
            Value::Array(list) if list.is_empty() => "none".to_owned(),
            Value::Number(bytes) if path.ends_with("_bytes") => match bytes.as_u64().unwrap() {
                bytes if bytes % (1 << 20) == 0 => format!("{} MiB", bytes >> 20),
                bytes => format!("{} KiB", bytes >> 10),
            },
            Value::Number(number) => number.to_string(),
            Value::String(text) => format!("`{text}`"),
            value => format!("`{value}`"),
        };
        assert_eq!(row(&path)[1], default, "{path}");
        assert!(row(&path)[2].len() > 10, "{path} is not described");
    }
}

#[test]
fn the_table_of_metrics_agrees_with_the_code() {
    for metric in METRICS {
        let [_, kind, labels, help] = row(metric.name)[..] else {
            panic!("the row of {} has another number of cells", metric.name);
        };
        let told = match metric.kind {
            Kind::Counter => "counter",
            Kind::Gauge => "gauge",
            Kind::Histogram(_) => "histogram",
        };
        let names = metric.labels.iter().map(|label| format!("`{label}`"));
        assert_eq!(kind, told, "{}", metric.name);
        assert_eq!(labels, names.collect::<Vec<_>>().join(" "), "{}", metric.name);
        assert_eq!(help, metric.help, "{}", metric.name);
    }
}

/// The block of code of this kind at this place, counted from 0.
fn block(kind: &str, index: usize) -> &'static str {
    let begin = format!("```{kind}\n");
    PAGES.split(begin.as_str()).nth(index + 1).unwrap().split("```").next().unwrap()
}

#[test]
fn what_a_provider_file_says_of_consumers_is_understood() {
    let file = [block("toml", 0), block("toml", 1)].concat();
    let provider = Provider::parse("box-office.toml", &file).unwrap();
    let consumers = provider.consumers();
    assert!(consumers.stale_after.is_some() && consumers.is_refusal(401));
    assert_eq!(consumers.sequence.len(), 2);
    assert!(consumers.rule(Subject::RawBody).unwrap().must);
}

/// The names of all members, as paths.
fn members(json: &Value, path: &str, found: &mut Vec<String>) {
    match json {
        Value::Object(members_held) => {
            for (name, value) in members_held {
                let path = format!("{path}.{name}");
                found.push(path.clone());
                members(value, &path, found);
            }
        }
        // A header is a list of two texts, and no list of things that have members.
        Value::Array(items) => items.iter().for_each(|item| members(item, path, found)),
        _ => {}
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_document_of_a_check_has_the_members_that_are_told() {
    let secret = "a-secret-of-the-test";
    let receiver = Receiver::start(Consumer::TicketNation, secret).await.unwrap();
    let check = Conformance::new("ticketnation", receiver.url(), Secret::new(secret));
    let report = check.only(["accepts-valid"]).run().await.unwrap();
    let paths = |text: &str| {
        let mut found = Vec::new();
        members(&serde_json::from_str(text).unwrap(), "", &mut found);
        found.sort();
        found
    };
    assert_eq!(paths(block("json", 0)), paths(&report.to_json()));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_provider_file_of_the_documentation_delivers() {
    let file = block("toml", 0);
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("box-office.toml"), file).unwrap();
    let builder = Engine::builder().in_memory().development();
    let engine = builder.providers_folder(folder.path()).open().await.unwrap();
    let theatre = engine.create_application(NewApplication::new("Theatre")).await.unwrap();
    let receiver = Receiver::start(Consumer::Unchecked, "").await.unwrap();
    let endpoint = NewEndpoint::new(receiver.url()).provider("box-office");
    let secret = engine.create_endpoint(theatre.id, endpoint).await.unwrap().secret;
    assert!(secret.expose().starts_with("box_"));

    let data = serde_json::json!({"ticket": "T-1"});
    engine.emit(NewEvent::new(theatre.id, "ticket.sold", &data).unwrap()).await.unwrap();
    let request = receiver.wait_for(1).await.unwrap().remove(0);
    let body = String::from_utf8(request.body.clone()).unwrap();
    let json: serde_json::Value = serde_json::from_str(&body).unwrap();
    assert!(body.starts_with(r#"{"id":"box_"#), "{body}");
    assert_eq!((&json["type"], &json["data"]), (&"ticket.sold".into(), &data));

    let timestamp = request.header("X-Box-Timestamp").unwrap();
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.expose().as_bytes()).unwrap();
    mac.update(format!("{timestamp}.{body}").as_bytes());
    let digest = mac.finalize().into_bytes();
    let hex: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(request.header("X-Box-Signature"), Some(format!("v1={hex}").as_str()));
    engine.close().await.unwrap();
}
