//! The measure: what a machine carries, how late it is, and what a backlog costs.
//!
//! Everything runs on loopback: an engine in this process or a service in one of its own, and the
//! sink, a process too, which counts, verifies a sample of signatures, and notes when what arrived.
//! A row whose events did not all arrive, signed right, and end on record as succeeded is an error
//! and not a figure. benches/README.md says what each row means.
#![allow(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "figures for people: counts and times far below where these lose anything"
)]

mod fill;
mod load;
mod machine;
mod part;
mod plan;
mod report;
mod rows;
mod service;
mod sink;
mod stage;

pub use fill::run as run_filler;
pub use machine::Machine;
pub use plan::{Plan, Row};
pub use report::{Bound, Figure, Goal, Report, RowReport};
pub use sink::run as run_sink;

use crate::clock::Clock;
use crate::error::Result;
use crate::folder::TemporaryFolder;
use rows::Bench;
use sink::Sink;
use std::path::Path;

/// A run: its sink, its folder, and what has been measured.
pub struct Measure {
    bench: Bench,
    report: Report,
}

impl Measure {
    /// Starts the sink, and makes a folder of its own in `folder`: what is measured is the disk of
    /// that. To be called within a runtime of several threads.
    ///
    /// # Errors
    /// Fails where the folder cannot be written, or no process started.
    pub fn begin(plan: Plan, folder: &Path) -> Result<Self> {
        let machine = Machine::this(folder);
        let report = Report {
            hookwheel: env!("CARGO_PKG_VERSION"),
            at: Clock::system().wall().rfc3339(0),
            machine,
            plan: plan.clone(),
            rows: Vec::new(),
        };
        let folder = TemporaryFolder::make(folder, "bench")?;
        Ok(Self { bench: Bench::new(plan, Sink::start()?, folder), report })
    }

    /// Measures a row.
    ///
    /// # Errors
    /// Says what did not arrive, was signed wrong, or is not on record.
    pub async fn row(&mut self, row: Row) -> Result<RowReport> {
        let measured = self.bench.measure(row).await?;
        self.report.rows.push(measured.clone());
        Ok(measured)
    }

    /// What has been measured so far.
    pub fn report(&self) -> &Report {
        &self.report
    }
}
