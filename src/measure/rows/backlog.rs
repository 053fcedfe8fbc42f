//! What a million waiting retries cost: memory, a restart, and those who have nothing to do with it.

use super::{Bench, Layout, Rounds, mib};
use crate::clock::{self, Clock};
use crate::error::{Error, Result};
use crate::measure::machine::{folder_bytes, resident, resident_at_most};
use crate::measure::part::Part;
use crate::measure::plan::Row;
use crate::measure::report::{Bound, RowReport};
use crate::measure::service::Service;
use crate::measure::sink::{ASIDE, Arrival};
use crate::measure::stage::Stage;
use crate::store::sled::OPENED;
use serde_json::Value;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

/// Those whose endpoints were down.
const LAYOUT: Layout = Layout { tenants: 100, concurrency: 16, ..Layout::SINGLE };

/// What was seen of a service that was started on the backlog of one that was killed.
struct Reopened {
    /// From the start of the process until the first retry arrived.
    first_out_ms: f64,
    /// How much of this sled took to open its file.
    sled_ms: f64,
    resident_mib: f64,
    resident_at_most_mib: f64,
}

impl Bench {
    pub(super) async fn backlog(&mut self) -> Result<RowReport> {
        let empty_mib = self.idle().await?.resident_mib;
        let folder = self.fresh_folder();
        let mut waiting = Stage::empty(&folder).await?;
        waiting.add(LAYOUT, ASIDE, &self.sink).await?;
        let cast = waiting.finish(None).await?;
        fill_and_kill(&folder, self.plan.waiting)?;
        let bytes = folder_bytes(&folder)?;
        let reopened = self.reopen(&folder).await?;
        let mut fresh = Stage::resume(&folder, cast).await?;
        fresh.add(Layout::SINGLE, 0, &self.sink).await?;
        let (mut rounds, mut alone) = (Rounds::default(), self.warm_stage(Layout::SINGLE).await?);
        for _ in 0..self.plan.rounds {
            let base = alone.throughput(&self.sink, self.plan.deliveries).await?;
            rounds.add(base, fresh.throughput(&self.sink, self.plan.deliveries).await?);
        }
        alone.finish(None).await?;
        fresh.finish(None).await?;
        self.remove(&folder);
        let beyond_ms = reopened.first_out_ms - reopened.sled_ms;
        Ok(RowReport::new(Row::Backlog)
            .figure("waiting retries", f64::from(self.plan.waiting), "")
            .figure("on disk, when it was killed", mib(bytes), "MiB")
            .figure("resident, empty", empty_mib, "MiB")
            .figure("resident, backlog taken up", reopened.resident_mib, "MiB")
            .figure("resident at most, while opening", reopened.resident_at_most_mib, "MiB")
            .figure("reopened → first delivery out", reopened.first_out_ms, "ms")
            .figure("sled's own open of the file", reopened.sled_ms, "ms")
            .figure("fresh events beside it", rounds.subject(), "/s")
            .figure("fresh events without it", rounds.base(), "/s")
            .figure("fresh events ÷ without it", rounds.ratio(), "")
            .goal(
                "memory above the empty engine",
                reopened.resident_mib - empty_mib,
                "MiB",
                // 100 MB.
                Bound::AtMost(95.4),
            )
            .goal("first delivery, beyond sled's open", beyond_ms, "ms", Bound::AtMost(1000.0)))
    }

    /// Starts a service on the backlog, and kills it again.
    async fn reopen(&self, folder: &Path) -> Result<Reopened> {
        self.sink.clear()?;
        let begin = Clock::system().wall().as_micros();
        let service = Service::start(folder)?;
        self.sink.wait_for(1).await?;
        let first = self.sink.arrivals()?.first().map(|Arrival(.., at)| *at);
        let first = first.ok_or_else(|| Error::internal("no retry arrived"))?;
        // What is due has gone out, and what was needed to open has been given back.
        clock::pause(Duration::from_secs(2)).await;
        let logged = service.logged(OPENED)?;
        let reopened = Reopened {
            first_out_ms: (first - begin) as f64 / 1000.0,
            sled_ms: logged.get("milliseconds").and_then(Value::as_f64).unwrap_or(f64::NAN),
            resident_mib: mib(resident(service.process())?),
            resident_at_most_mib: mib(resident_at_most(service.process())?),
        };
        service.kill()?;
        Ok(reopened)
    }
}

/// Has a process write the backlog, and kills it once all of it is acknowledged.
fn fill_and_kill(folder: &Path, waiting: u32) -> Result<()> {
    let (folder, waiting) = (folder.to_string_lossy(), waiting.to_string());
    let arguments = ["bench-part", "fill", "--data", &folder, "--waiting", &waiting];
    let mut filler = Part::start("filler", &arguments, Stdio::inherit())?;
    filler.line()?;
    filler.kill()
}
