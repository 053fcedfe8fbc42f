//! `hookwheel emit`: something happened.

use crate::cli::arguments::{overrides, read_body, setting, time};
use crate::cli::client::show::harmless;
use crate::cli::client::{Connection, ask, rfc3339};
use crate::cli::{Ended, Ending, paint};
use crate::error::{Error, Result};
use crate::model::{Payload, Timestamp};
use crate::provider::overridden;
use clap::ValueEnum;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use std::io::{self, Write};
use std::path::Path;

/// Emit an event to an application's endpoints
///
/// When this ends with 0, the event and its deliveries are on the server's stable storage.
#[derive(clap::Args)]
pub struct Arguments {
    /// The application's id or uid
    app: String,
    /// What happened, like `order.created`
    #[arg(value_name = "TYPE")]
    event_type: String,
    /// The event's data, a JSON object; `@FILE` reads it from a file, `-` from standard input. The
    /// bytes are sent as they stand
    #[arg(long, value_name = "JSON", default_value = "{}")]
    data: String,
    /// Set a value in the data by dotted path, such as `metadata.checkoutId=ch_1`; read as JSON
    /// where it is JSON, else as text
    #[arg(long = "set", value_name = "PATH=VALUE", value_parser = setting)]
    overrides: Vec<(String, String)>,
    /// Whether it is about real money or a trial; each provider marks that its own way
    #[arg(long, value_enum, default_value_t = Mode::Live)]
    mode: Mode,
    /// A channel that it is meant for; once for each. All by default
    #[arg(long = "channel", value_name = "CHANNEL")]
    channels: Vec<String>,
    /// A word to find it by; once for each
    #[arg(long = "tag", value_name = "TAG")]
    tags: Vec<String>,
    /// Your own id of it, unique within the application
    #[arg(long, value_name = "ID")]
    event_id: Option<String>,
    /// When it happened: RFC 3339 or seconds since 1970; now by default
    #[arg(long, value_name = "TIME", value_parser = time)]
    time: Option<Timestamp>,
    /// Under the same key the same event is accepted once: repeat a command that failed with it
    #[arg(long, value_name = "KEY")]
    idempotency_key: Option<String>,
    #[command(flatten)]
    connection: Connection,
}

/// Live or test.
#[derive(Clone, Copy, ValueEnum, Serialize)]
#[serde(rename_all = "lowercase")]
enum Mode {
    Live,
    Test,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Message<'a> {
    event_type: &'a str,
    payload: &'a RawValue,
    mode: Mode,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    channels: &'a [String],
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    tags: &'a [String],
    #[serde(skip_serializing_if = "Option::is_none")]
    event_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    occurred_at: Option<String>,
}

/// A message, as the API tells it.
#[derive(Deserialize)]
struct Accepted {
    id: String,
    unreached: Option<String>,
}

/// Emits it.
pub fn run(mut arguments: Arguments, out: &mut dyn Write) -> Ended {
    let overrides = overrides(std::mem::take(&mut arguments.overrides));
    let data = overridden(&data(&arguments.data)?, &overrides)?;
    let payload = payload(&data)?;
    ask(&arguments.connection, out, async |session| {
        let message = Message {
            event_type: &arguments.event_type,
            payload,
            mode: arguments.mode,
            channels: &arguments.channels,
            tags: &arguments.tags,
            event_id: arguments.event_id.as_deref(),
            occurred_at: arguments.time.map(rfc3339),
        };
        let (path, key) = (["app", &arguments.app, "msg"], arguments.idempotency_key.as_deref());
        let accepted = session.server.post_once(&path, &message, key).await?;
        session.answer(&accepted, write)?;
        Ok(Ending::Good)
    })
}

fn write(accepted: Accepted, out: &mut dyn Write) -> io::Result<()> {
    writeln!(out, "{} {}", paint::name(harmless(&accepted.id)), paint::good("accepted"))?;
    match accepted.unreached {
        Some(reason) => writeln!(out, "{}: {}", paint::warning("nobody"), harmless(&reason)),
        None => Ok(()),
    }
}

fn data(given: &str) -> Result<String> {
    let bytes = match given.strip_prefix('@') {
        Some(file) => read_body(Some(Path::new(file)))?,
        None if given == "-" => read_body(None)?,
        None => return Ok(given.to_owned()),
    };
    String::from_utf8(bytes).map_err(|_| Error::invalid("the data is not UTF-8"))
}

fn payload(data: &Payload) -> Result<&RawValue> {
    serde_json::from_str(data.as_str())
        .map_err(|error| Error::invalid(format!("the data is no JSON: {error}")))
}
