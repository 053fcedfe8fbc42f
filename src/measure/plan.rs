//! What is measured, and how much of it.

use crate::error::{Error, Result};
use serde::{Serialize, Serializer};
use std::fmt;
use std::str::FromStr;
use std::time::Duration;

/// A row of the table: benches/README.md says what each means.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Row {
    /// Plain posts, no engine.
    Floor,
    /// `emit` in this process.
    Embedded,
    /// `POST …/msg` to a service.
    Served,
    /// One event to ten endpoints.
    FanOut,
    /// A thousand endpoints, even load.
    Thousand,
    /// One of a hundred endpoints hangs.
    Sick,
    /// From emitted to arrived, at a tenth of the load.
    Latency,
    /// Retries that wait.
    Backlog,
    /// Attempts on record.
    History,
    /// Processor time of a delivery.
    Cpu,
    /// A service at rest.
    Idle,
}

impl Row {
    /// Every row, in the order in which they are measured.
    pub const ALL: [Self; 11] = [
        Self::Floor,
        Self::Embedded,
        Self::Served,
        Self::FanOut,
        Self::Thousand,
        Self::Sick,
        Self::Latency,
        Self::Backlog,
        Self::History,
        Self::Cpu,
        Self::Idle,
    ];

    /// Its name in tables, JSON and arguments.
    pub fn name(self) -> &'static str {
        match self {
            Self::Floor => "floor",
            Self::Embedded => "embedded",
            Self::Served => "served",
            Self::FanOut => "fan-out",
            Self::Thousand => "thousand",
            Self::Sick => "sick",
            Self::Latency => "latency",
            Self::Backlog => "backlog",
            Self::History => "history",
            Self::Cpu => "cpu",
            Self::Idle => "idle",
        }
    }
}

impl fmt::Display for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl FromStr for Row {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        Self::ALL.into_iter().find(|row| row.name() == text).ok_or_else(|| {
            let names = Self::ALL.map(Self::name).join(", ");
            Error::invalid(format!(
                "there is no row `{}`: name one of {names}",
                text.escape_debug()
            ))
        })
    }
}

impl Serialize for Row {
    fn serialize<S: Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}

/// How much is measured.
#[derive(Clone, Debug, Serialize)]
pub struct Plan {
    /// Deliveries of one measurement of throughput.
    pub deliveries: u32,
    /// How often a measurement and what it is compared with are repeated, in turn; medians count.
    pub rounds: usize,
    /// How long a load at a steady rate lasts, and how long a process at rest is looked at.
    #[serde(rename = "steady_seconds", serialize_with = "seconds")]
    pub steady: Duration,
    /// Waiting retries of the backlog.
    pub waiting: u32,
    /// Recorded attempts of the long history.
    pub attempts: u32,
}

fn seconds<S: Serializer>(
    duration: &Duration,
    serializer: S,
) -> std::result::Result<S::Ok, S::Error> {
    serializer.serialize_f64(duration.as_secs_f64())
}

impl Plan {
    /// What two cores do in about two minutes. Backlog and history are a twentieth of the goals'.
    pub fn quick() -> Self {
        Self {
            deliveries: 10_000,
            rounds: 3,
            steady: Duration::from_secs(5),
            waiting: 50_000,
            attempts: 250_000,
        }
    }

    /// What the goals speak of.
    pub fn full() -> Self {
        Self {
            deliveries: 100_000,
            rounds: 5,
            steady: Duration::from_secs(30),
            waiting: 1_000_000,
            attempts: 5_000_000,
        }
    }

    /// Next to nothing, to see that the measure itself works: its figures mean nothing.
    pub fn tiny() -> Self {
        Self {
            deliveries: 300,
            rounds: 1,
            steady: Duration::from_secs(1),
            waiting: 500,
            attempts: 12_000,
        }
    }
}
