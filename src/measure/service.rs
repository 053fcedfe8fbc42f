//! A `hookwheel serve` of our own.

use super::load::{Client, Post, built};
use super::machine;
use super::part::Part;
use crate::clock;
use crate::error::{Error, Result};
use crate::model::Secret;
use bytes::Bytes;
use http_body_util::Full;
use hyper::Request;
use serde_json::Value;
use std::fs::{self, File};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// How often the service is asked what is on record.
const LOOK_EVERY: Duration = Duration::from_millis(5);
/// How often it is asked before what is missing is given up.
const LOOKS_MAX: u32 = 12_000;
/// The metric that counts deliveries on record as succeeded.
const SUCCEEDED: &str = "hookwheel_deliveries_total{state=\"succeeded\"}";

/// A service in a process of its own: what platforms run that do not embed the engine.
pub(super) struct Service {
    part: Part,
    address: SocketAddr,
    log: PathBuf,
}

impl Service {
    /// Starts one on the data in `data`, and waits until it listens. Its limits are far away: they
    /// are not what is measured.
    pub(super) fn start(data: &Path) -> Result<Self> {
        let beside = |suffix: &str| {
            let mut name = data.as_os_str().to_owned();
            name.push(suffix);
            PathBuf::from(name)
        };
        let (config, log) = (beside(".toml"), beside(".log"));
        let failed = |error: std::io::Error| {
            Error::unavailable(format!("cannot write beside `{}`: {error}", data.display()))
                .with_source(error)
        };
        let settings = format!(
            "listen = '127.0.0.1:0'\ndata_folder = '{}'\nlog.format = 'json'\n\
             egress.development = true\n\
             api.requests_per_second = 1000000\napi.requests_burst = 1000000\n\
             api.requests_in_flight_max = 4096\n",
            data.display()
        );
        fs::write(&config, settings).map_err(failed)?;
        let errors = File::create(&log).map_err(failed)?;
        let arguments = ["serve", "--config", &*config.to_string_lossy()];
        let mut part = Part::start("service", &arguments, errors)?;
        let line = part.line()?;
        let address = line.rsplit_once('/').and_then(|(_, address)| address.parse().ok());
        let address = address
            .ok_or_else(|| Error::internal(format!("the service listens at `{line}`, it says")))?;
        Ok(Self { part, address, log })
    }

    /// Where it listens.
    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Its process.
    pub(super) fn process(&self) -> u32 {
        self.part.id()
    }

    /// The processor time that it has taken until now.
    pub(super) fn processor_time(&self) -> Result<Duration> {
        machine::processor_time(self.process())
    }

    /// What it has logged with this message.
    pub(super) fn logged(&self, message: &str) -> Result<Value> {
        let log = fs::read_to_string(&self.log).unwrap_or_default();
        let mut lines = log.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
        lines
            .find(|line| line.get("message").and_then(Value::as_str) == Some(message))
            .ok_or_else(|| Error::internal(format!("the service has not logged `{message}`")))
    }

    /// Waits until so many deliveries are on record as succeeded, since it was started.
    pub(super) async fn wait_for_recorded(&self, count: u32, token: &Secret) -> Result<()> {
        let mut client = Client::connect(self.address).await?;
        let mut recorded = 0;
        for _ in 0..LOOKS_MAX {
            let answer = client.send(self.request("GET", "/metrics", token, Bytes::new())?).await?;
            let text = String::from_utf8_lossy(answer.body());
            let value = text.lines().find_map(|line| line.strip_prefix(SUCCEEDED));
            recorded = value.and_then(|value| value.trim().parse().ok()).unwrap_or(recorded);
            if recorded >= count {
                return Ok(());
            }
            clock::pause(LOOK_EVERY).await;
        }
        Err(Error::internal(format!("of {count} deliveries, {recorded} were recorded")))
    }

    /// A request to it.
    pub(super) fn request(
        &self,
        method: &str,
        path: &str,
        token: &Secret,
        body: Bytes,
    ) -> Result<Post> {
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header("host", self.address.to_string())
            .header("content-type", "application/json")
            .header("authorization", format!("Bearer {}", token.expose()));
        built(request.body(Full::from(body)))
    }

    /// Ends it in order.
    pub(super) fn terminate(self) -> Result<()> {
        self.part.terminate()
    }

    /// Kills it.
    pub(super) fn kill(self) -> Result<()> {
        self.part.kill()
    }
}
