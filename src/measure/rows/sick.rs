//! What the customers of 99 endpoints notice when the hundredth hangs.

use super::latency::latencies;
use super::{Bench, Layout, Rounds, quantile};
use crate::clock::Clock;
use crate::error::{Error, Result};
use crate::measure::plan::Row;
use crate::measure::report::{Bound, RowReport};
use crate::measure::sink::Arrival;

/// A hundred customers, each with an endpoint of the provider that waits the shortest.
const LAYOUT: Layout =
    Layout { tenants: 100, endpoints: 1, concurrency: 16, provider: "citizen-ticket", named: true };

/// What the 99 saw of a run.
struct Seen {
    per_second: f64,
    p99_ms: f64,
}

impl Bench {
    pub(super) async fn sick(&mut self) -> Result<RowReport> {
        let (mut rates, mut delays) = (Rounds::default(), Rounds::default());
        for _ in 0..self.plan.rounds {
            let events = self.plan.deliveries;
            let healthy = self.hundred(false, events, None).await?.per_second;
            rates.add(healthy, self.hundred(true, events, None).await?.per_second);
            // How long each takes can only be told where they do not wait for one another.
            let rate = healthy / 4.0;
            let events = (rate * self.plan.steady.as_secs_f64()).ceil() as u32;
            let delay = self.hundred(false, events, Some(rate)).await?.p99_ms;
            delays.add(delay, self.hundred(true, events, Some(rate)).await?.p99_ms);
        }
        Ok(RowReport::new(Row::Sick)
            .figure("the others, all healthy", rates.base(), "/s")
            .figure("the others, one hanging", rates.subject(), "/s")
            .figure("p99 at a quarter of that, all healthy", delays.base(), "ms")
            .figure("p99 at a quarter of that, one hanging", delays.subject(), "ms")
            .goal("others' throughput ÷ healthy", rates.ratio(), "", Bound::AtLeast(0.95))
            .goal("others' p99 ÷ healthy", delays.ratio(), "", Bound::AtMost(1.5)))
    }

    /// Emits to a hundred customers in turn, and tells what 99 of them saw.
    async fn hundred(&mut self, is_sick: bool, events: u32, rate: Option<f64>) -> Result<Seen> {
        let mut stage = self.warm_stage(LAYOUT).await?;
        let sick = stage.cast.lead()?.endpoints.first().copied();
        self.sink.set_hung(is_sick)?;
        self.sink.clear()?;
        let begin = Clock::system().wall().as_micros();
        let numbers = stage.numbers(events);
        let others = numbers.clone().filter(|number| number % LAYOUT.tenants != 0).count();
        let emissions = stage.emit(numbers, rate).await?;
        self.sink.wait_for(if is_sick { others } else { events as usize }).await?;
        self.sink.check(1, others)?;
        let arrivals = self.sink.arrivals()?;
        stage.finish(sick.filter(|_| is_sick)).await?;
        self.sink.set_hung(false)?;
        let last = arrivals.iter().filter(|Arrival(endpoint, ..)| *endpoint > 0);
        let last = last.map(|Arrival(.., at)| *at).max();
        let last = last.ok_or_else(|| Error::internal("nothing arrived at the 99"))?;
        Ok(Seen {
            per_second: others as f64 / ((last - begin).max(1) as f64 / 1e6),
            p99_ms: quantile(latencies(&emissions, &arrivals, 1)?, 0.99),
        })
    }
}
