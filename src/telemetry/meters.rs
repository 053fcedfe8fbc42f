//! What counts, with its handles taken once.

use super::names::*;
use crate::model::{Attempt, AttemptOutcome, FailureKind};
use metrics::{Counter, Histogram, counter, histogram};
use std::collections::HashMap;
use std::time::Duration;

/// Classes of status that are told apart, by their first digit.
const CLASSES: [&str; 5] = ["other", "2xx", "3xx", "4xx", "5xx"];

/// What the engine counts of its own.
pub(crate) struct Meters {
    accept_duration: Histogram,
    providers: HashMap<String, ProviderMeters>,
}

struct ProviderMeters {
    duration: Histogram,
    accepted: HashMap<&'static str, Counter>,
    rejected: HashMap<&'static str, Counter>,
    failed: HashMap<FailureKind, Counter>,
}

impl Meters {
    /// Takes the handles for these providers from the recorder of now.
    pub fn new<'a>(providers: impl Iterator<Item = &'a str>) -> Self {
        let providers = providers.map(|name| (name.to_owned(), ProviderMeters::new(name)));
        Self { accept_duration: histogram!(ACCEPT_DURATION.name), providers: providers.collect() }
    }

    /// Counts an emit that was accepted.
    pub fn accepted(&self, elapsed: Duration) {
        self.accept_duration.record(elapsed);
    }

    /// Counts an attempt on an endpoint of `provider`.
    pub fn attempted(&self, provider: &str, attempt: &Attempt) {
        let Some(meters) = self.providers.get(provider) else { return };
        meters.duration.record(attempt.duration);
        let counter = match &attempt.outcome {
            AttemptOutcome::Accepted(answer) => meters.accepted.get(class(answer.status)),
            AttemptOutcome::Rejected(answer) => meters.rejected.get(class(answer.status)),
            AttemptOutcome::Failed(failure) => meters.failed.get(&failure.kind),
        };
        if let Some(counter) = counter {
            counter.increment(1);
        }
    }
}

impl ProviderMeters {
    fn new(provider: &str) -> Self {
        let counter = |outcome: &'static str, reason: &'static str| {
            let labels = [
                ("provider", provider.to_owned()),
                ("outcome", outcome.to_owned()),
                ("reason", reason.to_owned()),
            ];
            counter!(ATTEMPTS.name, &labels)
        };
        Self {
            duration: histogram!(ATTEMPT_DURATION.name, "provider" => provider.to_owned()),
            accepted: CLASSES.map(|class| (class, counter("accepted", class))).into(),
            rejected: CLASSES.map(|class| (class, counter("rejected", class))).into(),
            failed: FailureKind::ALL.map(|kind| (kind, counter("failed", kind.as_str()))).into(),
        }
    }
}

/// The span of an API request, for traces; `route` as for [`api_request`].
pub fn api_span(method: &http::Method, route: Option<&str>) -> tracing::Span {
    tracing::debug_span!("request", %method, route)
}

fn class(status: u16) -> &'static str {
    match status / 100 {
        2 => "2xx",
        3 => "3xx",
        4 => "4xx",
        5 => "5xx",
        _ => "other",
    }
}

/// Counts an API request without a valid access token.
pub fn token_refused() {
    counter!(TOKENS_REFUSED.name).increment(1);
}

/// Counts an API request: `route` is the path's template, never the path itself, whose ids would
/// make a series each; `None` for a path that is no route.
pub fn api_request(method: &http::Method, route: Option<&str>, status: u16, elapsed: Duration) {
    // Anybody can make up a method, and each would be a series.
    let method = match method.as_str() {
        known @ ("DELETE" | "GET" | "HEAD" | "OPTIONS" | "PATCH" | "POST" | "PUT") => known,
        _ => "other",
    };
    let method = method.to_owned();
    let route = route.unwrap_or("none").to_owned();
    let labels = [("method", method), ("route", route)];
    histogram!(API_DURATION.name, &labels).record(elapsed);
    let [method, route] = labels;
    let labels = [method, route, ("status", status.to_string())];
    counter!(API_REQUESTS.name, &labels).increment(1);
}
