//! What is asked for.

use crate::model::{Mode, Secret, Timestamp};
use crate::simulate::faults::FaultChoice;
use std::collections::BTreeMap;
use std::path::PathBuf;

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
    /// How many events; `None` for one of each type.
    pub count: Option<usize>,
    /// Events a second, in real time; `None` for as many as the endpoint takes.
    pub rate_per_second: Option<f64>,
    /// How many times faster than real the schedule runs. Time-outs and the timestamps on the wire
    /// stay real.
    pub speed: f64,
    /// Values to set on top of the samples, by path. `order.created:amount` sets for the events of
    /// one type.
    pub overrides: Vec<(String, serde_json::Value)>,
    /// Settings of the endpoint that the provider's headers use.
    pub settings: BTreeMap<String, String>,
    /// Whether the events are marked as trials, in the provider's way.
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
            mode: Mode::Live,
            faults: Vec::new(),
            seed: None,
            at: None,
        }
    }
}
