//! `hookwheel history`: what became of events.

use crate::cli::client::server::{Answer, Query, all_understood, understood};
use crate::cli::client::show::{self, Attempt, fact, fact_if, harmless, or_dash, time};
use crate::cli::client::{Connection, Session, ask, instant, rfc3339, write_json};
use crate::cli::table::Table;
use crate::cli::{Ended, Ending, Trouble, paint};
use crate::model::Timestamp;
use clap::ValueEnum;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use std::io::{self, Write};

/// List deliveries, or show everything on one message
///
/// Newest first. With `--message`: each endpoint that it went to, with every attempt, or why nobody
/// receives it.
#[derive(clap::Args)]
pub struct Arguments {
    /// The application's id or uid
    app: String,
    /// Everything on this message, by its id or your own
    #[arg(long, value_name = "ID", conflicts_with_all = ["endpoint", "status", "since", "until",
        "events", "limit"])]
    message: Option<String>,
    /// Only to this endpoint, by id or uid
    #[arg(long, value_name = "ID")]
    endpoint: Option<String>,
    /// Only what stands so
    #[arg(long, value_enum)]
    status: Option<Status>,
    /// Only of events accepted since: RFC 3339, or a duration ago like `2h`
    #[arg(long, value_name = "TIME", value_parser = instant)]
    since: Option<Timestamp>,
    /// Only of events accepted before: RFC 3339, or a duration ago
    #[arg(long, value_name = "TIME", value_parser = instant)]
    until: Option<Timestamp>,
    /// Only of this type, like `order.created` or `order.*`; once for each
    #[arg(long = "event", value_name = "TYPE")]
    events: Vec<String>,
    /// How many at most
    #[arg(long, value_name = "N", default_value_t = 50)]
    limit: usize,
    /// With `--message`: print headers and bodies
    #[arg(short, long, requires = "message")]
    verbose: bool,
    #[command(flatten)]
    connection: Connection,
}

/// The state of a delivery.
#[derive(Clone, Copy, ValueEnum)]
pub enum Status {
    /// Due later, or not tried yet
    #[value(alias = "pending")]
    Waiting,
    /// On its way
    Sending,
    /// Accepted
    #[value(alias = "success")]
    Succeeded,
    /// Given up
    #[value(alias = "fail")]
    Exhausted,
    /// Not to be sent: its endpoint was deleted
    #[value(alias = "canceled")]
    Cancelled,
    /// Not sent: its endpoint was disabled
    Skipped,
}

impl Status {
    /// The API's word for it.
    pub fn word(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Sending => "sending",
            Self::Succeeded => "succeeded",
            Self::Exhausted => "exhausted",
            Self::Cancelled => "cancelled",
            Self::Skipped => "skipped",
        }
    }
}

/// A delivery, as the API tells it.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Delivery {
    msg_id: String,
    endpoint_id: String,
    event_type: String,
    state: String,
    #[serde(default)]
    reason: Option<String>,
    attempts: u32,
    #[serde(default)]
    next_attempt: Option<String>,
    timestamp: String,
}

/// A message, as the API tells it.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Message {
    id: String,
    event_type: String,
    timestamp: String,
    #[serde(default)]
    event_id: Option<String>,
    #[serde(default)]
    mode: String,
    #[serde(default)]
    unreached: Option<String>,
    payload: Box<RawValue>,
}

/// An endpoint of a message, as the API tells it.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Destination {
    id: String,
    url: String,
    delivery_state: String,
    #[serde(default)]
    next_attempt: Option<String>,
}

/// Everything on a message, for programs.
#[derive(Serialize)]
struct Everything<'a> {
    message: &'a RawValue,
    endpoints: &'a [Answer],
    attempts: &'a [Answer],
}

/// Lists or shows.
pub fn run(arguments: Arguments, out: &mut dyn Write) -> Ended {
    ask(&arguments.connection, out, async |session| {
        match &arguments.message {
            Some(message) => show_message(&arguments, message, session).await?,
            None => list(&arguments, session).await?,
        }
        Ok(Ending::Good)
    })
}

async fn list(arguments: &Arguments, session: &mut Session<'_>) -> Result<(), Trouble> {
    let mut query = Query::default();
    query.add("endpoint_id", arguments.endpoint.as_ref());
    query.add("state", arguments.status.map(Status::word));
    query.add("after", arguments.since.map(rfc3339));
    query.add("before", arguments.until.map(rfc3339));
    let events = Some(arguments.events.join(",")).filter(|events| !events.is_empty());
    query.add("event_types", events);
    let path = ["app", &arguments.app, "delivery"];
    let listed = session.server.list(&path, &query, Some(arguments.limit)).await?;
    session.list(listed, |deliveries: Vec<Delivery>| {
        let heads = ["MESSAGE", "ACCEPTED", "EVENT", "ENDPOINT", "STATE", "ATTEMPTS", "NEXT"];
        let mut table = Table::new(heads).number(5);
        for held in deliveries {
            let (accepted, next) = (time(&held.timestamp, 0), held.next());
            let Delivery { msg_id, endpoint_id, event_type, state, attempts, .. } = held;
            let attempts = attempts.to_string();
            table.row([msg_id, accepted, event_type, endpoint_id, state, attempts, next]);
        }
        table
    })
}

impl Delivery {
    /// When it goes on, or why it does not.
    fn next(&self) -> String {
        let next = self.next_attempt.as_ref().map(|next| time(next, 0));
        or_dash(next.or_else(|| self.reason.clone()))
    }
}

async fn show_message(
    arguments: &Arguments,
    message: &str,
    session: &mut Session<'_>,
) -> Result<(), Trouble> {
    let app = arguments.app.as_str();
    let server = &session.server;
    let held = server.get(&["app", app, "msg", message], &Query::default()).await?;
    let path = ["app", app, "msg", message, "endpoint"];
    let mut query = Query::default();
    query.add("expanded_statuses", Some(true));
    let destinations = server.list(&path, &query, None).await?.items;
    let path = ["app", app, "attempt", "msg", message];
    let mut query = Query::default();
    query.add("with_content", Some(arguments.verbose || session.json));
    let mut attempts = server.list(&path, &query, None).await?.items;
    // The API lists the newest first; a story is told from its beginning.
    attempts.reverse();
    if session.json {
        let (endpoints, attempts) = (&destinations, &attempts);
        let all = Everything { message: &held, endpoints, attempts };
        return Ok(write_json(&all, session.out)?);
    }
    let destinations: Vec<Destination> = all_understood(&destinations)?;
    let told: Vec<Attempt> = all_understood(&attempts)?;
    understood::<Message>(&held)?.write(session.out)?;
    for destination in &destinations {
        destination.write(session.out)?;
        for attempt in told.iter().filter(|held| held.endpoint_id == destination.id) {
            attempt.write(arguments.verbose, session.out)?;
        }
    }
    Ok(())
}

impl Message {
    fn write(&self, out: &mut dyn Write) -> io::Result<()> {
        fact(out, "message", paint::name(harmless(&self.id)))?;
        fact_if(out, "your id", self.event_id.as_deref().unwrap_or_default())?;
        fact_if(out, "event", &self.event_type)?;
        fact_if(out, "mode", &self.mode)?;
        fact(out, "accepted", time(&self.timestamp, 3))?;
        fact_if(out, "data", self.payload.get())?;
        match &self.unreached {
            Some(reason) => fact(out, "nobody", paint::warning(harmless(reason))),
            None => Ok(()),
        }
    }
}

impl Destination {
    fn write(&self, out: &mut dyn Write) -> io::Result<()> {
        let next = self.next_attempt.as_ref();
        let next = next.map(|next| format!(", next at {}", time(next, 0))).unwrap_or_default();
        let (id, url) = (paint::name(harmless(&self.id)), harmless(&self.url));
        let state = show::state(&self.delivery_state);
        writeln!(out, "\n{id} {url}: {state}{next}")
    }
}
