//! What a scrape says after a known run. A process has one recorder, so this is one test in a
//! process of its own.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]

use hookwheel::simulate::receiver::{Answer, Consumer, Receiver};
use hookwheel::telemetry::{self, Kind, METRICS, Prometheus};
use hookwheel::{
    Clock, CreatedEndpoint, Engine, NewApplication, NewEndpoint, NewEvent, TestEvent, Timestamp,
};
use serde_json::json;
use std::time::Duration;

/// The value of the series that is written so.
fn value(scrape: &str, series: &str) -> f64 {
    let begin = format!("{series} ");
    let line = scrape.lines().find_map(|line| line.strip_prefix(&begin));
    line.unwrap_or_else(|| panic!("no `{series}` in\n{scrape}")).parse().unwrap()
}

fn assert_values(scrape: &str, expected: &[(&str, f64)]) {
    for (series, expected) in expected {
        assert_eq!(value(scrape, series), *expected, "{series} in\n{scrape}");
    }
}

struct Run {
    engine: Engine,
    clock: Clock,
    prometheus: Prometheus,
}

impl Run {
    async fn scrape(&self) -> String {
        self.prometheus.render(&self.engine.status().await)
    }

    /// Moves the clock, and waits for what fell due.
    async fn advance(&self, seconds: u64) {
        self.clock.advance(Duration::from_secs(seconds));
        self.engine.settle().await;
    }
}

/// Emits two orders: to an endpoint that takes them, to one that refuses the first of them once, and
/// to one that is disabled. One of the emits is repeated.
async fn emit_orders(run: &Run, honest: &Receiver, flaky: &Receiver) -> CreatedEndpoint {
    let engine = &run.engine;
    let shop = engine.create_application(NewApplication::new("Shop")).await.unwrap().id;
    let endpoint = |url: String, provider| NewEndpoint::new(url).provider(provider);
    let taking = endpoint(honest.url(), "ticketnation");
    let taking = engine.create_endpoint(shop, taking).await.unwrap();
    engine.create_endpoint(shop, endpoint(flaky.url(), "yoco")).await.unwrap();
    let disabled = endpoint(honest.url(), "ticketnation");
    let disabled = engine.create_endpoint(shop, disabled).await.unwrap().endpoint.id;
    engine.disable_endpoint(disabled, "out of use").await.unwrap();
    flaky.answer_next([Answer::status(500)]);
    for number in [1, 1, 2] {
        let data = json!({"order": number});
        let event = NewEvent::new(shop, "order.created", &data).unwrap();
        engine.emit(event.idempotency_key(format!("order {number}"))).await.unwrap();
        engine.settle().await;
    }
    taking
}

#[tokio::test(flavor = "multi_thread")]
async fn a_scrape_has_the_numbers_of_the_run() {
    let prometheus = Prometheus::install().unwrap();
    assert!(Prometheus::install().is_err_and(|error| error.is_conflict()));
    let clock = Clock::manual(Timestamp::parse("2026-01-15T12:00:00Z").unwrap());
    let builder = Engine::builder().in_memory().development().clock(clock.clone());
    let run = Run { engine: builder.open().await.unwrap(), clock, prometheus };
    let honest = Receiver::start(Consumer::Unchecked, "").await.unwrap();
    let flaky = Receiver::start(Consumer::Unchecked, "").await.unwrap();

    let taking = emit_orders(&run, &honest, &flaky).await;
    assert_values(
        &run.scrape().await,
        &[
            ("hookwheel_lanes", 2.0),
            ("hookwheel_requests_in_flight", 0.0),
            ("hookwheel_webhooks_ready", 0.0),
            ("hookwheel_wheel_timers", 1.0),
            ("hookwheel_queued_endpoints", 1.0),
            ("hookwheel_backlog_age_seconds", 0.0),
        ],
    );

    // The second attempt hangs until the receiver goes down, a minute after it fell due.
    flaky.answer_next([Answer::hang()]);
    run.clock.advance(Duration::from_secs(5));
    flaky.wait_for(3).await.unwrap();
    run.clock.advance(Duration::from_secs(60));
    assert_values(
        &run.scrape().await,
        &[("hookwheel_requests_in_flight", 1.0), ("hookwheel_backlog_age_seconds", 60.0)],
    );
    flaky.stop().await;
    flaky.resume().await.unwrap();
    run.engine.settle().await;
    run.advance(300).await;

    run.engine.test(taking.endpoint.id, TestEvent::default()).await.unwrap();
    telemetry::token_refused();
    let (method, took) = (http::Method::from_bytes(b"BREW").unwrap(), Duration::from_millis(7));
    telemetry::api_request(&method, Some("/api/v1/app/{app_id}"), 405, took);
    assert_totals(&run.scrape().await);
}

fn assert_totals(scrape: &str) {
    let attempts = |provider, outcome, reason| {
        let labels = format!("provider=\"{provider}\",outcome=\"{outcome}\",reason=\"{reason}\"");
        value(scrape, &format!("hookwheel_attempts_total{{{labels}}}"))
    };
    assert_eq!(attempts("ticketnation", "accepted", "2xx"), 3.0);
    assert_eq!(attempts("yoco", "accepted", "2xx"), 2.0);
    assert_eq!(attempts("yoco", "rejected", "5xx"), 1.0);
    assert_eq!(attempts("yoco", "failed", "closed"), 1.0);
    assert_eq!(attempts("gocardless", "failed", "dns"), 0.0);
    let api = "method=\"other\",route=\"/api/v1/app/{app_id}\"";
    assert_values(
        scrape,
        &[
            ("hookwheel_events_total", 3.0),
            ("hookwheel_deliveries_total{state=\"waiting\"}", 6.0),
            ("hookwheel_deliveries_total{state=\"succeeded\"}", 5.0),
            ("hookwheel_deliveries_total{state=\"exhausted\"}", 0.0),
            ("hookwheel_deliveries_total{state=\"skipped\"}", 2.0),
            ("hookwheel_attempt_duration_seconds_count{provider=\"yoco\"}", 4.0),
            ("hookwheel_accept_duration_seconds_count", 3.0),
            ("hookwheel_queued_endpoints", 0.0),
            ("hookwheel_tokens_refused_total", 1.0),
            (&format!("hookwheel_api_requests_total{{{api},status=\"405\"}}"), 1.0),
            (&format!("hookwheel_api_request_duration_seconds_bucket{{{api},le=\"0.005\"}}"), 0.0),
            (&format!("hookwheel_api_request_duration_seconds_bucket{{{api},le=\"0.01\"}}"), 1.0),
        ],
    );
    let commits = value(scrape, "hookwheel_commit_duration_seconds_count");
    assert_eq!(value(scrape, "hookwheel_commit_operations_count"), commits);
    assert!(value(scrape, "hookwheel_commit_operations_sum") >= commits);
    for metric in METRICS {
        let kind = match metric.kind {
            Kind::Counter => "counter",
            Kind::Gauge => "gauge",
            Kind::Histogram(_) => "histogram",
        };
        for line in [
            format!("# HELP {} {}", metric.name, metric.help),
            format!("# TYPE {} {kind}", metric.name),
        ] {
            assert!(scrape.lines().any(|held| held == line), "no `{line}` in\n{scrape}");
        }
        let series = |line: &&str| line.starts_with(metric.name);
        for line in scrape.lines().filter(series) {
            let labels = |label: &str| line.contains(&format!("{label}=\""));
            assert!(metric.labels.iter().all(|label| labels(label)), "{line}");
        }
    }
}
