//! What the README claims is what the code does.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]

use hmac::{Hmac, KeyInit, Mac};
use hookwheel::config::EgressConfig;
use hookwheel::model::human_duration;
use hookwheel::provider::Providers;
use hookwheel::simulate::receiver::{Consumer, Receiver};
use hookwheel::{Config, Engine, NewApplication, NewEndpoint, NewEvent};
use sha2::Sha256;

const README: &str = include_str!("../README.md");

/// The cells of the table row that begins with `name`.
fn row(name: &str) -> Vec<&'static str> {
    let begin = format!("| `{name}` |");
    let row = README.lines().find(|line| line.starts_with(&begin));
    let row = row.unwrap_or_else(|| panic!("the README has no row for `{name}`"));
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
fn the_table_of_limits_agrees_with_the_defaults() {
    let mib = |bytes: u64| format!("{} MiB", bytes >> 20);
    let kib = |bytes: usize| format!("{} KiB", bytes >> 10);
    // Taken apart in full, so that a new limit cannot be forgotten here.
    let Config {
        egress,
        in_flight_max,
        fresh_max_bytes,
        loaded_max_bytes,
        event_data_max_bytes,
        batch_max_events,
        idempotency_hours,
        retention_days,
        endpoints_max,
        close_grace_seconds,
        store_cache_bytes,
        disk_reserve_bytes,
    } = Config::default();
    let EgressConfig {
        allow: _,
        deny: _,
        ports: _,
        development: _,
        extra_authorities_pem: _,
        own_addresses: _,
        response_body_max_bytes,
        response_head_max_bytes,
        idle_connections_max_per_endpoint,
        idle_connections_max,
        idle_seconds,
    } = egress;
    for (name, default) in [
        ("in_flight_max", in_flight_max.to_string()),
        ("fresh_max_bytes", mib(fresh_max_bytes)),
        ("loaded_max_bytes", mib(loaded_max_bytes as u64)),
        ("event_data_max_bytes", mib(event_data_max_bytes as u64)),
        ("batch_max_events", batch_max_events.to_string()),
        ("idempotency_hours", idempotency_hours.to_string()),
        ("retention_days", retention_days.to_string()),
        ("endpoints_max", endpoints_max.to_string()),
        ("close_grace_seconds", close_grace_seconds.to_string()),
        ("store_cache_bytes", mib(store_cache_bytes)),
        ("disk_reserve_bytes", mib(disk_reserve_bytes)),
        ("egress.response_body_max_bytes", kib(response_body_max_bytes)),
        ("egress.response_head_max_bytes", kib(response_head_max_bytes)),
        ("egress.idle_connections_max_per_endpoint", idle_connections_max_per_endpoint.to_string()),
        ("egress.idle_connections_max", idle_connections_max.to_string()),
        ("egress.idle_seconds", idle_seconds.to_string()),
    ] {
        assert_eq!(row(name)[1], default, "{name}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_provider_file_of_the_readme_delivers() {
    let file = README.split("```toml\n").nth(1).unwrap().split("```").next().unwrap();
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
