//! The rows: a file for each kind.

mod backlog;
mod history;
mod latency;
mod sick;
mod throughput;

use super::load::{CONNECTIONS, post_all, signed};
use super::machine;
use super::plan::{Plan, Row};
use super::report::{Bound, RowReport};
use super::service::Service;
use super::sink::Sink;
use super::stage::Layout;
use crate::clock::{self, Stopwatch};
use crate::error::Result;
use crate::folder::TemporaryFolder;
use std::path::PathBuf;
use std::time::Duration;

/// What the rows share, and what one has seen that another needs.
pub(super) struct Bench {
    plan: Plan,
    sink: Sink,
    folder: TemporaryFolder,
    /// Folders that were handed out.
    folders: u32,
    embedded: Option<Embedded>,
    served: Option<Costs>,
    idle: Option<Idle>,
}

/// What was seen of an engine in this process.
#[derive(Clone, Copy)]
struct Embedded {
    per_second: f64,
    costs: Costs,
}

/// Processor time of a delivery.
#[derive(Clone, Copy)]
struct Costs {
    engine: Duration,
    sink: Duration,
    /// Apart only where the engine is a process of its own.
    load: Duration,
}

/// A service that has nothing to do.
#[derive(Clone, Copy)]
struct Idle {
    resident_mib: f64,
    /// Share of one core.
    busy: f64,
}

impl Bench {
    pub(super) fn new(plan: Plan, sink: Sink, folder: TemporaryFolder) -> Self {
        Self { plan, sink, folder, folders: 0, embedded: None, served: None, idle: None }
    }

    /// Measures a row.
    pub(super) async fn measure(&mut self, row: Row) -> Result<RowReport> {
        match row {
            Row::Floor => self.floor_row().await,
            Row::Embedded => self.embedded_row().await,
            Row::Served => self.served_row().await,
            Row::FanOut => self.fan_out().await,
            Row::Thousand => self.thousand().await,
            Row::Sick => self.sick().await,
            Row::Latency => self.latency().await,
            Row::Backlog => self.backlog().await,
            Row::History => self.history().await,
            Row::Cpu => self.cpu().await,
            Row::Idle => self.idle_row().await,
        }
    }

    /// A folder that is not there yet.
    fn fresh_folder(&mut self) -> PathBuf {
        self.folders += 1;
        self.folder.path().join(format!("data-{}", self.folders))
    }

    /// Removes a folder that is not needed any more: what rows leave behind can be gigabytes.
    fn remove(&self, folder: &std::path::Path) {
        if let Err(error) = std::fs::remove_dir_all(folder) {
            tracing::warn!(folder = %folder.display(), %error, "a folder could not be removed");
        }
    }

    /// Signed posts a second over plain connections.
    async fn floor(&self) -> Result<f64> {
        self.sink.clear()?;
        let (address, posts) = (self.sink.address(), self.plan.deliveries);
        let begin = Stopwatch::start();
        post_all(address, CONNECTIONS, 0..posts, signed(address)).await?;
        let elapsed = begin.elapsed();
        self.sink.check(0, posts as usize)?;
        Ok(f64::from(posts) / elapsed.as_secs_f64())
    }

    async fn idle(&mut self) -> Result<Idle> {
        if let Some(idle) = self.idle {
            return Ok(idle);
        }
        let folder = self.fresh_folder();
        let service = Service::start(&folder)?;
        // What it does at its start is over.
        clock::pause(Duration::from_secs(1)).await;
        let (before, begin) = (service.processor_time()?, Stopwatch::start());
        clock::pause(self.plan.steady).await;
        let taken = service.processor_time()?.saturating_sub(before);
        let idle = Idle {
            resident_mib: mib(machine::resident(service.process())?),
            busy: taken.as_secs_f64() / begin.elapsed().as_secs_f64(),
        };
        service.terminate()?;
        self.remove(&folder);
        self.idle = Some(idle);
        Ok(idle)
    }

    async fn idle_row(&mut self) -> Result<RowReport> {
        let idle = self.idle().await?;
        Ok(RowReport::new(Row::Idle)
            .goal("resident", idle.resident_mib, "MiB", Bound::AtMost(25.0))
            .goal("share of a core", idle.busy * 100.0, "%", Bound::AtMost(0.5)))
    }
}

/// What was seen in turn of two things that are compared. The machine may be another's too for a
/// while: each round has its own ratio, and the median of those counts.
#[derive(Default)]
struct Rounds {
    base: Vec<f64>,
    subject: Vec<f64>,
}

impl Rounds {
    fn add(&mut self, base: f64, subject: f64) {
        self.base.push(base);
        self.subject.push(subject);
    }

    fn base(&self) -> f64 {
        median(self.base.clone())
    }

    fn subject(&self) -> f64 {
        median(self.subject.clone())
    }

    fn ratio(&self) -> f64 {
        median(self.base.iter().zip(&self.subject).map(|(base, subject)| subject / base).collect())
    }
}

fn median(values: Vec<f64>) -> f64 {
    quantile(values, 0.5)
}

/// The value that a share of all is not above.
fn quantile(mut values: Vec<f64>, share: f64) -> f64 {
    values.sort_unstable_by(f64::total_cmp);
    let at = (share * values.len() as f64).ceil() as usize;
    values.get(at.saturating_sub(1)).copied().unwrap_or(f64::NAN)
}

/// Bytes in MiB.
fn mib(bytes: u64) -> f64 {
    bytes as f64 / f64::from(1 << 20)
}

/// A duration in milliseconds.
fn ms(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e3
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_values_that_were_seen() {
        let values: Vec<f64> = (1..=1000).rev().map(f64::from).collect();
        for (share, value) in [(0.5, 500.0), (0.99, 990.0), (0.999, 999.0), (1.0, 1000.0)] {
            assert_eq!(quantile(values.clone(), share), value);
        }
        assert_eq!(median(vec![3.0, 1.0, 2.0]), 2.0);
    }

    #[test]
    fn each_round_has_its_own_ratio() {
        let mut rounds = Rounds::default();
        for (base, subject) in [(100.0, 40.0), (10.0, 5.0), (1000.0, 300.0)] {
            rounds.add(base, subject);
        }
        assert_eq!((rounds.base(), rounds.subject(), rounds.ratio()), (100.0, 40.0, 0.4));
    }
}
