//! The sink as those see it who measure.

use super::{Arrival, Tally, word};
use crate::clock::{self, Stopwatch};
use crate::error::{Error, Result};
use crate::measure::part::Part;
use std::net::SocketAddr;
use std::process::Stdio;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// How often the sink is asked what has arrived.
const LOOK_EVERY: Duration = Duration::from_millis(2);
/// How long nothing may arrive before what is missing is given up.
const PATIENCE: Duration = Duration::from_secs(60);

/// The running sink.
pub(in crate::measure) struct Sink {
    part: Mutex<Part>,
    address: SocketAddr,
}

impl Sink {
    /// Starts it.
    pub(in crate::measure) fn start() -> Result<Self> {
        let mut part = Part::start("sink", &["bench-part", "sink"], Stdio::inherit())?;
        let line = part.line()?;
        let address = line
            .parse()
            .map_err(|_| Error::internal(format!("the sink listens at `{line}`, it says")))?;
        Ok(Self { part: Mutex::new(part), address })
    }

    /// Where it listens.
    pub(in crate::measure) fn address(&self) -> SocketAddr {
        self.address
    }

    fn ask<T: serde::de::DeserializeOwned>(&self, question: &str) -> Result<T> {
        self.part.lock().unwrap_or_else(PoisonError::into_inner).ask(question)
    }

    /// The processor time that it has taken until now.
    pub(in crate::measure) fn processor_time(&self) -> Result<Duration> {
        self.part.lock().unwrap_or_else(PoisonError::into_inner).processor_time()
    }

    /// Forgets what came.
    pub(in crate::measure) fn clear(&self) -> Result<()> {
        self.ask(word::CLEAR)
    }

    /// From now on endpoint 0 leaves requests without an answer, or answers them again.
    pub(in crate::measure) fn set_hung(&self, is_hung: bool) -> Result<()> {
        self.ask(if is_hung { word::HANG } else { word::HEAL })
    }

    /// What came, in that order.
    pub(in crate::measure) fn arrivals(&self) -> Result<Vec<Arrival>> {
        self.ask(word::ARRIVALS)
    }

    /// Waits until `count` requests came.
    pub(in crate::measure) async fn wait_for(&self, count: usize) -> Result<()> {
        let (mut before, mut since) = (0, Stopwatch::start());
        loop {
            let arrived: usize = self.ask(word::COUNT)?;
            if arrived >= count {
                return Ok(());
            }
            if arrived > before {
                (before, since) = (arrived, Stopwatch::start());
            } else if since.elapsed() > PATIENCE {
                return Err(Error::internal(format!("of {count} requests, {arrived} arrived")));
            }
            clock::pause(LOOK_EVERY).await;
        }
    }

    /// Checks that exactly `deliveries` arrived at the endpoint `first` and those after it, repeats
    /// not counted, and that all of the sample were signed right.
    pub(in crate::measure) fn check(&self, first: u32, deliveries: usize) -> Result<Tally> {
        let tally: Tally = self.ask(&format!("{}{first}", word::TALLY))?;
        if tally.distinct != deliveries {
            return Err(Error::internal(format!(
                "of {deliveries} deliveries, {} arrived",
                tally.distinct
            )));
        }
        if tally.wrong > 0 || tally.verified == 0 {
            return Err(Error::internal(format!(
                "of {} signatures that were verified, {} are wrong",
                tally.verified, tally.wrong
            )));
        }
        Ok(tally)
    }
}
