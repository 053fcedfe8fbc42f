//! An endpoint, put in words.

use crate::cli::client::show::{fact, fact_if, harmless, state, time};
use crate::cli::paint;
use crate::cli::table::Table;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::io::{self, Write};

/// An endpoint, as the API tells it.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Endpoint {
    id: String,
    url: String,
    #[serde(default)]
    uid: Option<String>,
    #[serde(default)]
    name: String,
    #[serde(default)]
    provider: String,
    #[serde(default)]
    description: String,
    #[serde(default)]
    event_types: Option<Vec<String>>,
    #[serde(default)]
    channels: Option<Vec<String>>,
    #[serde(default)]
    throttle_rate: Option<u32>,
    #[serde(default)]
    concurrency: Option<u32>,
    #[serde(default)]
    disable_after_failing_days: Option<u32>,
    #[serde(default)]
    metadata: BTreeMap<String, String>,
    #[serde(default)]
    settings: BTreeMap<String, String>,
    state: State,
    created_at: String,
    #[serde(default)]
    secret: Option<String>,
}

/// Whether an endpoint is served.
#[derive(Deserialize)]
struct State {
    status: String,
    #[serde(default)]
    reason: Option<String>,
    #[serde(default)]
    since: Option<String>,
}

/// Endpoints, one in a row.
pub fn table(endpoints: Vec<Endpoint>) -> Table {
    let mut table = Table::new(["ID", "UID", "PROVIDER", "STATE", "EVENTS", "URL"]);
    for endpoint in endpoints {
        let events = endpoint.events();
        let uid = endpoint.uid.unwrap_or_else(|| "-".to_owned());
        let status = endpoint.state.status;
        table.row([endpoint.id, uid, endpoint.provider, status, events, endpoint.url]);
    }
    table
}

impl Endpoint {
    fn events(&self) -> String {
        self.event_types.as_ref().map_or_else(|| "all".to_owned(), |types| types.join(" "))
    }

    /// Writes all that is known of it.
    pub fn write(&self, out: &mut dyn Write) -> io::Result<()> {
        fact(out, "id", paint::name(harmless(&self.id)))?;
        fact_if(out, "name", &self.name)?;
        fact_if(out, "uid", self.uid.as_deref().unwrap_or_default())?;
        fact_if(out, "url", &self.url)?;
        fact_if(out, "provider", &self.provider)?;
        fact(out, "state", self.state.text())?;
        fact_if(out, "description", &self.description)?;
        fact_if(out, "events", &self.events())?;
        fact_if(out, "channels", &self.channels.as_deref().unwrap_or_default().join(" "))?;
        if let Some(rate) = self.throttle_rate {
            fact(out, "rate", format!("{rate} a second"))?;
        }
        if let Some(concurrency) = self.concurrency {
            fact(out, "concurrency", concurrency)?;
        }
        if let Some(days) = self.disable_after_failing_days {
            fact(out, "disable", format!("after {days} days of failures"))?;
        }
        for (name, value) in &self.settings {
            fact_if(out, "setting", &format!("{name}={value}"))?;
        }
        for (name, value) in &self.metadata {
            fact_if(out, "metadata", &format!("{name}={value}"))?;
        }
        fact(out, "created", time(&self.created_at, 0))?;
        fact_if(out, "secret", self.secret.as_deref().unwrap_or_default())
    }
}

impl State {
    fn text(&self) -> String {
        let since = self.since.as_ref().map(|since| format!(" since {}", time(since, 0)));
        let reason = self.reason.as_ref().map(|reason| format!(": {}", harmless(reason)));
        let (since, reason) = (since.unwrap_or_default(), reason.unwrap_or_default());
        format!("{}{since}{reason}", state(&self.status))
    }
}
