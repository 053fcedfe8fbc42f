//! What a long history costs: those who emit beside it, those who read it, and the disk.

use super::{Bench, Layout, Rounds, median, ms};
use crate::clock::{Clock, Stopwatch};
use crate::error::Result;
use crate::history::AttemptFilter;
use crate::measure::fill;
use crate::measure::machine::folder_bytes;
use crate::measure::plan::Row;
use crate::measure::report::{Bound, RowReport};
use crate::measure::stage::Stage;
use crate::model::AttemptPosition;
use std::path::Path;

/// Attempts of the short history, before the first round adds to it.
const SHORT: u32 = 10_000;
/// Events of a round at most, so that the short history stays one.
const EVENTS_MAX: u32 = 10_000;
/// Pages that are timed.
const PAGES: u64 = 100;

impl Bench {
    pub(super) async fn history(&mut self) -> Result<RowReport> {
        let (short_folder, long_folder) = (self.fresh_folder(), self.fresh_folder());
        let mut short = self.with_history(&short_folder, SHORT).await?;
        let mut long = self.with_history(&long_folder, self.plan.attempts).await?;
        let per_delivery = folder_bytes(&long_folder)? as f64 / f64::from(self.plan.attempts);
        let events = self.plan.deliveries.min(EVENTS_MAX);
        let (mut rates, mut newest, mut anywhere) =
            (Rounds::default(), Rounds::default(), Rounds::default());
        // Both open their connections.
        for stage in [&mut short, &mut long] {
            stage.throughput(&self.sink, events.div_ceil(10)).await?;
        }
        for _ in 0..self.plan.rounds {
            let base = short.throughput(&self.sink, events).await?;
            rates.add(base, long.throughput(&self.sink, events).await?);
            newest.add(newest_page(&short).await?, newest_page(&long).await?);
            anywhere.add(any_page(&short).await?, any_page(&long).await?);
        }
        short.finish(None).await?;
        long.finish(None).await?;
        self.remove(&short_folder);
        self.remove(&long_folder);
        Ok(RowReport::new(Row::History)
            .figure("attempts on record: few", f64::from(SHORT), "")
            .figure("attempts on record: many", f64::from(self.plan.attempts), "")
            .figure("on disk", per_delivery, "bytes/delivery")
            .figure("deliveries beside few", rates.base(), "/s")
            .figure("deliveries beside many", rates.subject(), "/s")
            .figure("the newest page of few", newest.base(), "ms")
            .figure("the newest page of many", newest.subject(), "ms")
            .figure("a page from anywhere in few", anywhere.base(), "ms")
            .figure("a page from anywhere in many", anywhere.subject(), "ms")
            .goal("throughput, many ÷ few", rates.ratio(), "", Bound::AtLeast(0.85))
            .goal("the newest page, many ÷ few", newest.ratio(), "", Bound::AtMost(2.0))
            .goal("a page from anywhere, many ÷ few", anywhere.ratio(), "", Bound::AtMost(2.0)))
    }

    /// A stage whose endpoint has so many attempts on record.
    async fn with_history(&self, folder: &Path, attempts: u32) -> Result<Stage> {
        let mut cast = Stage::make(folder, Layout::SINGLE, &self.sink).await?.finish(None).await?;
        tokio::task::block_in_place(|| fill::delivered(folder, attempts))?;
        // What was just written is not among what the stage will have emitted.
        cast.since = Clock::system().wall();
        Stage::resume(folder, cast).await
    }
}

/// Milliseconds that the newest page of an endpoint's attempts takes.
async fn newest_page(stage: &Stage) -> Result<f64> {
    pages(stage, |_| None).await
}

/// Milliseconds that a page takes which begins somewhere in an endpoint's history.
async fn any_page(stage: &Stage) -> Result<f64> {
    let newest = stage.engine.attempts(filter(stage)?).await?;
    let last = newest.attempts.first().map_or(0, |entry| entry.position.commit());
    let begin = |at| AttemptPosition::new(last / PAGES * (at + 1), u128::MAX, u16::MAX);
    pages(stage, |at| Some(begin(at))).await
}

async fn pages(stage: &Stage, begin: impl Fn(u64) -> Option<AttemptPosition>) -> Result<f64> {
    let mut taken = Vec::new();
    for at in 0..PAGES {
        let mut filter = filter(stage)?;
        filter.position = begin(at);
        let watch = Stopwatch::start();
        stage.engine.attempts(filter).await?;
        taken.push(ms(watch.elapsed()));
    }
    Ok(median(taken))
}

fn filter(stage: &Stage) -> Result<AttemptFilter> {
    let endpoint = stage.cast.lead()?.endpoints.first().copied();
    let endpoint =
        endpoint.ok_or_else(|| crate::error::Error::internal("the stage has no endpoints"))?;
    Ok(AttemptFilter::endpoint(endpoint))
}
