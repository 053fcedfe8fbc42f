//! A background task: something that was asked for and takes its time.

use crate::model::{ApplicationId, EndpointId, TaskId, Timestamp};
use serde::{Deserialize, Serialize};

/// What a background task does.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum TaskKind {
    /// Sends an endpoint what is exhausted, and what was skipped while it was disabled.
    Recover,
    /// Sends an endpoint what it wants now and was never sent.
    ReplayMissing,
    /// Sends the webhooks of finished deliveries again, once each.
    Replay,
}

impl TaskKind {
    /// The word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Recover => "recover",
            Self::ReplayMissing => "replay-missing",
            Self::Replay => "replay",
        }
    }
}

/// How a background task stands.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum TaskState {
    /// It is at work, or waits for another one of its endpoint.
    Running,
    /// It did all it had to.
    Finished,
    /// It ended before that.
    Failed {
        /// Why.
        reason: String,
    },
}

impl TaskState {
    /// The word for it.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Finished => "finished",
            Self::Failed { .. } => "failed",
        }
    }
}

/// A background task. What it did is durable as far as `done` says; a restart goes on from there.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Task {
    /// Its id.
    pub id: TaskId,
    /// What it does.
    pub kind: TaskKind,
    /// Whose events it sends.
    pub application: ApplicationId,
    /// The endpoint that it sends to; `None` for all of the application.
    pub endpoint: Option<EndpointId>,
    /// Only events accepted at or after.
    pub since: Option<Timestamp>,
    /// Only events accepted before; without it, before the task was started.
    pub until: Option<Timestamp>,
    /// How it stands.
    pub state: TaskState,
    /// Webhooks that it put on their way.
    pub done: u64,
    /// When it was started.
    pub created_at: Timestamp,
    /// When it went on last.
    pub updated_at: Timestamp,
}
