//! How much gets through: the floor, the engine in this process and as a service, fan-out, many
//! endpoints; and what it costs.

use super::{Bench, Costs, Embedded, Rounds, median};
use crate::clock::Stopwatch;
use crate::error::Result;
use crate::measure::load::{Post, body, post_all};
use crate::measure::machine::processor_time;
use crate::measure::plan::Row;
use crate::measure::report::{Bound, RowReport};
use crate::measure::service::Service;
use crate::measure::sink::Sink;
use crate::measure::stage::{Layout, Stage};
use crate::model::{ApplicationId, Secret};
use bytes::Bytes;
use std::time::Duration;

/// Connections of those who call the API. A service that syncs before it answers needs many at
/// once; all of one token's requests in flight are within its share.
const CALLERS: u32 = 256;
/// Endpoints of one event.
const FAN_OUT: u32 = 10;

impl Bench {
    pub(super) async fn floor_row(&mut self) -> Result<RowReport> {
        let mut rates = Vec::new();
        for _ in 0..self.plan.rounds {
            rates.push(self.floor().await?);
        }
        Ok(RowReport::new(Row::Floor).figure("signed posts", median(rates), "/s"))
    }

    pub(super) async fn embedded_row(&mut self) -> Result<RowReport> {
        let (mut rounds, mut stage) = (Rounds::default(), self.warm_stage(Layout::SINGLE).await?);
        let mut meter = Meter::default();
        for _ in 0..self.plan.rounds {
            let floor = self.floor().await?;
            meter.start(std::process::id(), &self.sink)?;
            let rate = stage.throughput(&self.sink, self.plan.deliveries).await?;
            meter.stop(std::process::id(), &self.sink, self.plan.deliveries)?;
            rounds.add(floor, rate);
        }
        stage.finish(None).await?;
        let per_second = rounds.subject();
        self.embedded = Some(Embedded { per_second, costs: meter.costs() });
        Ok(RowReport::new(Row::Embedded)
            .figure("deliveries", per_second, "/s")
            .figure("floor beside it", rounds.base(), "/s")
            .goal("÷ floor", rounds.ratio(), "", Bound::AtLeast(0.40)))
    }

    /// What the engine in this process carries; measured now if it was not yet.
    pub(super) async fn embedded(&mut self) -> Result<Embedded> {
        if self.embedded.is_none() {
            self.embedded_row().await?;
        }
        self.embedded.ok_or_else(|| crate::error::Error::internal("nothing was measured"))
    }

    pub(super) async fn served_row(&mut self) -> Result<RowReport> {
        let folder = self.fresh_folder();
        let stage = Stage::make(&folder, Layout::SINGLE, &self.sink).await?;
        let token = stage.token().await?;
        let mut cast = stage.finish(None).await?;
        let application = cast.lead()?.application;
        let service = Service::start(&folder)?;
        let (mut rounds, mut meter) = (Rounds::default(), Meter::default());
        let events = self.plan.deliveries;
        for round in 0..=self.plan.rounds {
            let floor = self.floor().await?;
            self.sink.clear()?;
            meter.start(service.process(), &self.sink)?;
            let begin = Stopwatch::start();
            let make = emit_over_api(&service, application, &token)?;
            post_all(service.address(), CALLERS, cast.next..cast.next + events, make).await?;
            cast.next += events;
            self.sink.wait_for(events as usize).await?;
            service.wait_for_recorded(cast.next, &token).await?;
            let elapsed = begin.elapsed();
            // The first one only warms it up.
            if round > 0 {
                meter.stop(service.process(), &self.sink, events)?;
                rounds.add(floor, f64::from(events) / elapsed.as_secs_f64());
            }
            self.sink.check(0, events as usize)?;
        }
        service.terminate()?;
        Stage::resume(&folder, cast).await?.finish(None).await?;
        self.remove(&folder);
        self.served = Some(meter.costs());
        Ok(RowReport::new(Row::Served)
            .figure("deliveries", rounds.subject(), "/s")
            .figure("floor beside it", rounds.base(), "/s")
            .goal("÷ floor", rounds.ratio(), "", Bound::AtLeast(0.25)))
    }

    pub(super) async fn fan_out(&mut self) -> Result<RowReport> {
        let layout = Layout { endpoints: FAN_OUT, concurrency: 16, named: true, ..Layout::SINGLE };
        let (mut rounds, mut stage) = (Rounds::default(), self.warm_stage(layout).await?);
        for _ in 0..self.plan.rounds {
            let floor = self.floor().await?;
            let events = self.plan.deliveries / FAN_OUT;
            rounds.add(floor, stage.throughput(&self.sink, events).await?);
        }
        stage.finish(None).await?;
        Ok(RowReport::new(Row::FanOut)
            .figure("deliveries", rounds.subject(), "/s")
            .figure("floor beside it", rounds.base(), "/s")
            .goal("÷ floor", rounds.ratio(), "", Bound::AtLeast(0.50)))
    }

    pub(super) async fn thousand(&mut self) -> Result<RowReport> {
        let layout = Layout { tenants: 1000, concurrency: 4, named: true, ..Layout::SINGLE };
        let mut one = self.warm_stage(Layout::SINGLE).await?;
        let (mut rounds, mut many) = (Rounds::default(), self.warm_stage(layout).await?);
        for _ in 0..self.plan.rounds {
            let base = one.throughput(&self.sink, self.plan.deliveries).await?;
            rounds.add(base, many.throughput(&self.sink, self.plan.deliveries).await?);
        }
        one.finish(None).await?;
        many.finish(None).await?;
        Ok(RowReport::new(Row::Thousand)
            .figure("deliveries", rounds.subject(), "/s")
            .figure("to one endpoint, beside it", rounds.base(), "/s")
            .goal("÷ embedded", rounds.ratio(), "", Bound::AtLeast(0.90)))
    }

    pub(super) async fn cpu(&mut self) -> Result<RowReport> {
        let embedded = self.embedded().await?.costs;
        if self.served.is_none() {
            self.served_row().await?;
        }
        let mut row = RowReport::new(Row::Cpu)
            .figure("embedded: engine with its load", micros(embedded.engine), "µs/delivery")
            .figure("embedded: sink", micros(embedded.sink), "µs/delivery");
        if let Some(served) = self.served {
            row = row
                .figure("served: engine", micros(served.engine), "µs/delivery")
                .figure("served: sink", micros(served.sink), "µs/delivery")
                .figure("served: load", micros(served.load), "µs/delivery");
        }
        Ok(row)
    }

    /// A stage on a fresh folder that has delivered a little already: connections are open.
    pub(super) async fn warm_stage(&mut self, layout: Layout) -> Result<Stage> {
        let folder = self.fresh_folder();
        let mut stage = Stage::make(&folder, layout, &self.sink).await?;
        let events = (self.plan.deliveries / 10).max(layout.tenants);
        stage.throughput(&self.sink, events).await?;
        Ok(stage)
    }
}

/// What a platform posts that calls the API.
fn emit_over_api(
    service: &Service,
    application: ApplicationId,
    token: &Secret,
) -> Result<impl Fn(u32) -> Result<Post> + Send + Sync + 'static> {
    let path = format!("/api/v1/app/{application}/msg");
    let (head, _) = service.request("POST", &path, token, Bytes::new())?.into_parts();
    Ok(move |number| {
        let body = format!("{{\"eventType\":\"order.created\",\"payload\":{}}}", body(number));
        Ok(Post::from_parts(head.clone(), body.into()))
    })
}

/// Adds up what an engine, the sink and we have cost.
#[derive(Default)]
struct Meter {
    before: [Duration; 3],
    taken: [Duration; 3],
    deliveries: u32,
}

impl Meter {
    fn now(engine: u32, sink: &Sink) -> Result<[Duration; 3]> {
        Ok([processor_time(engine)?, sink.processor_time()?, processor_time(std::process::id())?])
    }

    fn start(&mut self, engine: u32, sink: &Sink) -> Result<()> {
        self.before = Self::now(engine, sink)?;
        Ok(())
    }

    fn stop(&mut self, engine: u32, sink: &Sink, deliveries: u32) -> Result<()> {
        let now = Self::now(engine, sink)?;
        for ((taken, now), before) in self.taken.iter_mut().zip(now).zip(self.before) {
            *taken += now.saturating_sub(before);
        }
        self.deliveries += deliveries;
        Ok(())
    }

    fn costs(&self) -> Costs {
        let [engine, sink, load] = self.taken.map(|taken| taken / self.deliveries.max(1));
        Costs { engine, sink, load }
    }
}

fn micros(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e6
}
