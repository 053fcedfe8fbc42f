//! The metrics themselves.

/// A metric: what it is called and what it tells.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Metric {
    /// The name; a unit other than a count stands at its end.
    pub name: &'static str,
    /// How it behaves.
    pub kind: Kind,
    /// What tells its series apart.
    pub labels: &'static [&'static str],
    /// What it counts or measures.
    pub help: &'static str,
}

/// How a metric behaves.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Kind {
    /// It only grows.
    Counter,
    /// It goes up and down.
    Gauge,
    /// A distribution, in buckets with these upper bounds.
    Histogram(&'static [f64]),
}

/// Bounds for what takes from a tenth of a millisecond to half a minute, in seconds.
const SECONDS: &[f64] = &[
    0.0001, 0.000_25, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5,
    5.0, 10.0, 30.0,
];
/// Bounds for what one commit holds; 1,024 operations are the most.
const OPERATIONS: &[f64] = &[1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0, 512.0, 1024.0];

/// Events accepted and on stable storage; a repeated idempotency key counts once.
pub const EVENTS: Metric = Metric {
    name: "hookwheel_events_total",
    kind: Kind::Counter,
    labels: &[],
    help: "events accepted and on stable storage",
};

/// States that deliveries entered. `waiting` is entered when an event is accepted, and again after
/// every failed attempt that is not the last.
pub const DELIVERIES: Metric = Metric {
    name: "hookwheel_deliveries_total",
    kind: Kind::Counter,
    labels: &["state"],
    help: "states that deliveries entered: waiting, succeeded, exhausted, skipped",
};

/// Attempts. `outcome` is `accepted`, `rejected` or `failed`; `reason` is the class of the status
/// (`2xx`) where there was an answer, and otherwise the kind of failure.
pub const ATTEMPTS: Metric = Metric {
    name: "hookwheel_attempts_total",
    kind: Kind::Counter,
    labels: &["provider", "outcome", "reason"],
    help: "attempts by provider and outcome, with the status class or the kind of failure",
};

/// How long attempts took, from looking up the name to the last byte of the answer.
pub const ATTEMPT_DURATION: Metric = Metric {
    name: "hookwheel_attempt_duration_seconds",
    kind: Kind::Histogram(SECONDS),
    labels: &["provider"],
    help: "time of an attempt, from the look-up of the name to the end of the answer",
};

/// How long accepting took, from the call to stable storage.
pub const ACCEPT_DURATION: Metric = Metric {
    name: "hookwheel_accept_duration_seconds",
    kind: Kind::Histogram(SECONDS),
    labels: &[],
    help: "time of an emit, from the call to stable storage",
};

/// How long commits of the store took, the sync of the disk included.
pub const COMMIT_DURATION: Metric = Metric {
    name: "hookwheel_commit_duration_seconds",
    kind: Kind::Histogram(SECONDS),
    labels: &[],
    help: "time of a commit of the store, the sync of the disk included",
};

/// How many events, attempts and changes commits held.
pub const COMMIT_OPERATIONS: Metric = Metric {
    name: "hookwheel_commit_operations",
    kind: Kind::Histogram(OPERATIONS),
    labels: &[],
    help: "events, attempts and changes in one commit",
};

/// Lanes that are served: endpoints that are neither disabled, parked nor deleted.
pub const LANES: Metric = Metric {
    name: "hookwheel_lanes",
    kind: Kind::Gauge,
    labels: &[],
    help: "endpoints that are served",
};

/// Webhooks that were handed to senders and are not on record yet.
pub const IN_FLIGHT: Metric = Metric {
    name: "hookwheel_requests_in_flight",
    kind: Kind::Gauge,
    labels: &[],
    help: "webhooks being sent or recorded",
};

/// Webhooks in lanes that wait for their turn.
pub const READY: Metric = Metric {
    name: "hookwheel_webhooks_ready",
    kind: Kind::Gauge,
    labels: &[],
    help: "webhooks in memory that wait for their lane's turn",
};

/// Timers in the wheel: one for each lane with something due later.
pub const TIMERS: Metric = Metric {
    name: "hookwheel_wheel_timers",
    kind: Kind::Gauge,
    labels: &[],
    help: "timers in the wheel, one for each endpoint with something due later",
};

/// Endpoints with a queue on disk, whether they are served or not.
pub const QUEUED_ENDPOINTS: Metric = Metric {
    name: "hookwheel_queued_endpoints",
    kind: Kind::Gauge,
    labels: &[],
    help: "endpoints with a queue on disk, those that are disabled or parked too",
};

/// For how long the oldest queued delivery of a served endpoint has been due.
pub const BACKLOG_AGE: Metric = Metric {
    name: "hookwheel_backlog_age_seconds",
    kind: Kind::Gauge,
    labels: &[],
    help: "how long the oldest queued delivery of an endpoint that is served has been due",
};

/// Requests whose access token was refused.
pub const TOKENS_REFUSED: Metric = Metric {
    name: "hookwheel_tokens_refused_total",
    kind: Kind::Counter,
    labels: &[],
    help: "API requests without a valid access token",
};

/// API requests. `route` is the path as the API's document writes it.
pub const API_REQUESTS: Metric = Metric {
    name: "hookwheel_api_requests_total",
    kind: Kind::Counter,
    labels: &["method", "route", "status"],
    help: "API requests by method, route and status",
};

/// How long API requests took.
pub const API_DURATION: Metric = Metric {
    name: "hookwheel_api_request_duration_seconds",
    kind: Kind::Histogram(SECONDS),
    labels: &["method", "route"],
    help: "time of an API request, to the head of its answer",
};

/// All metrics.
pub const METRICS: [Metric; 16] = [
    EVENTS,
    DELIVERIES,
    ATTEMPTS,
    ATTEMPT_DURATION,
    ACCEPT_DURATION,
    COMMIT_DURATION,
    COMMIT_OPERATIONS,
    LANES,
    IN_FLIGHT,
    READY,
    TIMERS,
    QUEUED_ENDPOINTS,
    BACKLOG_AGE,
    TOKENS_REFUSED,
    API_REQUESTS,
    API_DURATION,
];
