//! From emitted to arrived, while there is little to do.

use super::{Bench, median, ms, quantile};
use crate::clock::Stopwatch;
use crate::error::{Error, Result};
use crate::measure::plan::Row;
use crate::measure::report::{Bound, RowReport};
use crate::measure::sink::Arrival;
use crate::measure::stage::{Emission, Layout};
use std::collections::HashMap;
use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::time::Duration;

/// Syncs of the disk that are measured by themselves.
const SYNCS: usize = 200;
/// What is written before each.
const WRITTEN: [u8; 4096] = [7; 4096];

impl Bench {
    pub(super) async fn latency(&mut self) -> Result<RowReport> {
        let rate = self.embedded().await?.per_second / 10.0;
        let mut stage = self.warm_stage(Layout::SINGLE).await?;
        let syncs = syncs(self.folder.path())?;
        self.sink.clear()?;
        let events = (rate * self.plan.steady.as_secs_f64()).ceil() as u32;
        let numbers = stage.numbers(events);
        let emissions = stage.emit(numbers, Some(rate)).await?;
        stage.engine.settle().await;
        self.sink.check(0, events as usize)?;
        let arrived = latencies(&emissions, &self.sink.arrivals()?, 0)?;
        stage.finish(None).await?;
        let durable: Vec<f64> = emissions.iter().map(|emission| ms(emission.took)).collect();
        Ok(RowReport::new(Row::Latency)
            .figure("load", rate, "/s")
            .figure("a bare sync of this disk, p50", median(syncs.clone()), "ms")
            .figure("a bare sync of this disk, p99", quantile(syncs, 0.99), "ms")
            .figure("emit called → returned, synced, p50", median(durable.clone()), "ms")
            .figure("emit called → returned, synced, p99", quantile(durable, 0.99), "ms")
            .figure("emit returned → arrived, p50", median(arrived.clone()), "ms")
            .figure("emit returned → arrived, p99.9", quantile(arrived.clone(), 0.999), "ms")
            .goal(
                "emit returned → arrived, p99",
                quantile(arrived, 0.99),
                "ms",
                Bound::AtMost(10.0),
            ))
    }
}

/// Milliseconds from when an emit returned to when its event arrived, at endpoints from `first` on;
/// none for an event that was there before.
pub(super) fn latencies(
    emissions: &[Emission],
    arrivals: &[Arrival],
    first: u32,
) -> Result<Vec<f64>> {
    let returned: HashMap<u32, i64> =
        emissions.iter().map(|emission| (emission.number, emission.returned)).collect();
    let mut seen = std::collections::HashSet::new();
    let mut latencies = Vec::new();
    for Arrival(endpoint, number, at) in arrivals {
        if *endpoint < first || !seen.insert((endpoint, number)) {
            continue;
        }
        let returned = returned.get(number).ok_or_else(|| {
            Error::internal(format!("event {number} arrived, which was not emitted"))
        })?;
        let micros = at.saturating_sub(*returned).max(0);
        latencies.push(micros as f64 / 1000.0);
    }
    Ok(latencies)
}

/// What it takes to append 4 KiB and sync them, in milliseconds.
fn syncs(folder: &Path) -> Result<Vec<f64>> {
    let path = folder.join("sync");
    let measured = || {
        let mut file = File::create(&path)?;
        let mut syncs: Vec<Duration> = Vec::with_capacity(SYNCS);
        for _ in 0..SYNCS {
            let watch = Stopwatch::start();
            file.write_all(&WRITTEN)?;
            file.sync_data()?;
            syncs.push(watch.elapsed());
        }
        Ok(syncs.into_iter().map(ms).collect())
    };
    measured().map_err(|error: std::io::Error| {
        Error::unavailable(format!("`{}` cannot be written: {error}", path.display()))
            .with_source(error)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_latency_is_that_of_the_first_arrival() {
        let emission = |number, returned| Emission { number, took: Duration::ZERO, returned };
        let emissions = [emission(1, 1000), emission(2, 2000)];
        let arrivals =
            [Arrival(1, 1, 3000), Arrival(1, 1, 9000), Arrival(0, 2, 9000), Arrival(1, 2, 1500)];
        assert_eq!(latencies(&emissions, &arrivals, 1).unwrap(), [2.0, 0.0]);
        assert!(latencies(&emissions, &[Arrival(0, 3, 0)], 0).is_err());
    }
}
