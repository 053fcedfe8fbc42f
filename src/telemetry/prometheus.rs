//! Metrics as Prometheus reads them.

use super::names::*;
use super::status::EngineStatus;
use crate::error::{Error, Result};
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};

/// The process's recorder, which Prometheus reads.
#[derive(Clone)]
pub struct Prometheus(PrometheusHandle);

impl Prometheus {
    /// Makes the recorder that of the process. Engines that are opened from now on count in it.
    ///
    /// # Errors
    /// [`ErrorKind::Conflict`](crate::ErrorKind::Conflict) when the process has one already.
    pub fn install() -> Result<Self> {
        let internal = |error| Error::internal("a metric cannot be made").with_source(error);
        let mut builder = PrometheusBuilder::new();
        for metric in METRICS {
            if let Kind::Histogram(bounds) = metric.kind {
                let name = Matcher::Full(metric.name.to_owned());
                builder = builder.set_buckets_for_metric(name, bounds).map_err(internal)?;
            }
        }
        let handle = builder.install_recorder().map_err(|error| {
            Error::conflict("this process has a metrics recorder already").with_source(error)
        })?;
        METRICS.iter().for_each(Metric::describe);
        Ok(Self(handle))
    }

    /// The metrics now, in Prometheus' text format; `status` gives those that nobody counts.
    pub fn render(&self, status: &EngineStatus) -> String {
        let backlog = status.backlog.map(|backlog| (backlog.endpoints, backlog.age.as_secs_f64()));
        // Not a number: Prometheus shows that nothing is known, where 0 would say all is well.
        let (queued, age) =
            backlog.map_or((f64::NAN, f64::NAN), |(count, age)| (number(count), age));
        for (metric, value) in [
            (LANES, number(status.lanes)),
            (IN_FLIGHT, number(status.in_flight)),
            (READY, number(status.ready)),
            (TIMERS, number(status.timers)),
            (QUEUED_ENDPOINTS, queued),
            (BACKLOG_AGE, age),
        ] {
            metrics::gauge!(metric.name).set(value);
        }
        self.0.render()
    }

    /// Folds what was measured since the last call. The recorder keeps every single value until
    /// then, so this has to be called every few seconds, also when nobody reads the metrics.
    pub fn fold(&self) {
        self.0.run_upkeep();
    }
}

impl Metric {
    fn describe(&self) {
        match self.kind {
            Kind::Counter => metrics::describe_counter!(self.name, self.help),
            Kind::Gauge => metrics::describe_gauge!(self.name, self.help),
            Kind::Histogram(_) => metrics::describe_histogram!(self.name, self.help),
        }
    }
}

/// A count as the number that a gauge holds.
#[allow(clippy::cast_precision_loss, reason = "exact up to 2^53")]
fn number(count: usize) -> f64 {
    count as f64
}
