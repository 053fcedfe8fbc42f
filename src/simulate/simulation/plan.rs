//! What is asked for.

use crate::clock::SPEED_RANGE;
use crate::error::{Error, Result};
use crate::model::{Mode, RawJson, Secret, Timestamp};
use crate::simulate::faults::FaultChoice;
use std::collections::BTreeMap;
use std::ops::RangeInclusive;
use std::path::PathBuf;

/// Events a second at least and at most.
pub(crate) const RATE_RANGE: RangeInclusive<f64> = 0.001..=1_000_000.0;

/// What to simulate.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The provider's name.
    pub provider: String,
    /// A folder with more provider files.
    pub providers_folder: Option<PathBuf>,
    /// The endpoint.
    pub url: String,
    /// Its signing secret; `None` to have one made.
    pub secret: Option<Secret>,
    /// The secret that this one replaces, for [`Fault::OldSecret`](super::super::Fault::OldSecret).
    pub old_secret: Option<Secret>,
    /// The signing scheme to make a secret for; `None` for the provider's usual one.
    pub scheme: Option<String>,
    /// A scenario to play: the name of one of the provider's, or the path of a file of one's own,
    /// which ends in `.toml`. With it go neither event types nor a count.
    pub scenario: Option<String>,
    /// Event types, in turn; none means every type that the provider has a sample of.
    pub event_types: Vec<String>,
    /// How many events; `None` for one of each type. What was sent and answered stays in the
    /// engine's history, in memory, until the simulation is over: about 3 KiB each, and the body.
    pub count: Option<usize>,
    /// Events a second, in real time, from 0.001 to 1,000,000; `None` for as many as the endpoint
    /// takes.
    pub rate_per_second: Option<f64>,
    /// How many times faster than real the schedule runs, from 0.001 to 10,000,000
    /// ([`SPEED_RANGE`](crate::clock::SPEED_RANGE)). Time-outs and the timestamps on the wire stay
    /// real.
    pub speed: f64,
    /// Values to set on top of the samples, by path. `order.created:amount` sets for the events of
    /// one type; a member with a colon in its name is written as a JSON pointer, `/a:b`.
    pub overrides: Vec<(String, RawJson)>,
    /// Settings of the endpoint that the provider's headers use.
    pub settings: BTreeMap<String, String>,
    /// Headers that every request has besides the provider's: for an endpoint that asks for
    /// credentials, or stands behind a gateway that does. The values are masked in what is told.
    pub headers: Vec<(String, Secret)>,
    /// Whether the events are marked as trials, in the provider's way. A provider that has test
    /// events of their own sends those then, and one that has no mark is refused.
    pub mode: Mode,
    /// What goes wrong, and for which share of the events, from 0 to 1; of two words on one fault
    /// the later counts.
    pub faults: Vec<(FaultChoice, f64)>,
    /// What everything follows from that is drawn; `None` to have one made.
    pub seed: Option<u64>,
    /// Makes the time on the wire stand here. Then events go one at a time, and the schedule's time
    /// passes only while no request runs: with the same seed, the same bytes go in the same order.
    pub at: Option<Timestamp>,
}

impl Plan {
    /// One event of each type that `provider` has a sample of, to `url`, in real time.
    pub fn new(provider: impl Into<String>, url: impl Into<String>) -> Self {
        Self {
            provider: provider.into(),
            providers_folder: None,
            url: url.into(),
            secret: None,
            old_secret: None,
            scheme: None,
            scenario: None,
            event_types: Vec::new(),
            count: None,
            rate_per_second: None,
            speed: 1.0,
            overrides: Vec::new(),
            settings: BTreeMap::new(),
            headers: Vec::new(),
            mode: Mode::Live,
            faults: Vec::new(),
            seed: None,
            at: None,
        }
    }

    /// Refuses what lies outside of what can be played, whoever the provider is.
    pub(super) fn check(&self) -> Result<()> {
        let (least, most) = (SPEED_RANGE.start(), SPEED_RANGE.end());
        if !SPEED_RANGE.contains(&self.speed) {
            return Err(Error::invalid(format!(
                "speed {} cannot be played: expected {least} to {most}",
                self.speed
            )));
        }
        let (least, most) = (RATE_RANGE.start(), RATE_RANGE.end());
        match self.rate_per_second {
            Some(rate) if !RATE_RANGE.contains(&rate) => {
                return Err(Error::invalid(format!(
                    "a rate of {rate} events a second cannot be played: expected {least} to {most}"
                )));
            }
            _ => {}
        }
        let authority = self.url.split_once("://").map_or("", |(_, rest)| rest);
        let end = authority.find(['/', '?', '#']).unwrap_or(authority.len());
        if authority.get(..end).is_some_and(|authority| authority.contains('@')) {
            return Err(Error::invalid(
                "endpoint url refused: it holds a user name or a password, which would be shown; \
                 leave it out, and give the header `Authorization: Basic …` instead (`--header`)",
            ));
        }
        Ok(())
    }
}
