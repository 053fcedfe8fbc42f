//! How an engine stands at one moment.

use std::time::Duration;

/// How an engine stands at one moment: see [`Engine::status`](crate::Engine::status).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct EngineStatus {
    /// Endpoints that are served.
    pub lanes: usize,
    /// Webhooks being sent or recorded.
    pub in_flight: usize,
    /// Webhooks in memory that wait for their lane's turn.
    pub ready: usize,
    /// Timers in the wheel.
    pub timers: usize,
    /// What waits on disk; `None` while the store cannot be read.
    pub backlog: Option<Backlog>,
}

/// What waits on disk.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Backlog {
    /// Endpoints with a queue, those that are disabled or parked too.
    pub endpoints: usize,
    /// For how long the oldest queued delivery of an endpoint that is served has been due; zero
    /// when none is due.
    pub age: Duration,
}
