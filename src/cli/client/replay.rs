//! `hookwheel replay`: deliveries are sent again by hand.

use crate::cli::client::history::Status;
use crate::cli::client::server::understood;
use crate::cli::client::{Connection, Session, ask, confirmed, instant, rfc3339, task};
use crate::cli::{Ended, Ending, paint};
use crate::error::Error;
use crate::model::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::json;
use std::io::Write;

/// Send one message to one endpoint again, or all deliveries that match
///
/// All that match are counted first. At a terminal you are asked whether to go on; elsewhere `--yes`
/// has to say so.
#[derive(clap::Args)]
pub struct Arguments {
    /// The application's id or uid
    app: String,
    /// The message to send again, by its id or your own
    #[arg(value_name = "MESSAGE", requires = "to",
        conflicts_with_all = ["endpoint", "status", "since", "until", "events", "yes", "wait"])]
    message: Option<String>,
    /// The endpoint to send it to, by id or uid
    #[arg(value_name = "ENDPOINT")]
    to: Option<String>,
    /// All to this endpoint, by id or uid
    #[arg(long, value_name = "ID")]
    endpoint: Option<String>,
    /// All that stand so
    #[arg(long, value_enum)]
    status: Option<Status>,
    /// All of events accepted since: RFC 3339, or a duration ago like `2h`
    #[arg(long, value_name = "TIME", value_parser = instant)]
    since: Option<Timestamp>,
    /// All of events accepted before: RFC 3339, or a duration ago
    #[arg(long, value_name = "TIME", value_parser = instant)]
    until: Option<Timestamp>,
    /// All of this type, like `order.created` or `order.*`; once for each
    #[arg(long = "event", value_name = "TYPE")]
    events: Vec<String>,
    /// Do not ask
    #[arg(long)]
    yes: bool,
    /// Follow it to its end
    #[arg(long)]
    wait: bool,
    #[command(flatten)]
    connection: Connection,
}

/// Which deliveries are meant.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Selection<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    endpoint_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    state: Option<&'static str>,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    event_types: &'a [String],
    #[serde(skip_serializing_if = "Option::is_none")]
    since: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    until: Option<String>,
}

/// How many there are.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Count {
    count: u64,
    #[serde(default)]
    at_least: bool,
}

/// Sends again.
pub fn run(arguments: Arguments, out: &mut dyn Write) -> Ended {
    let selection = Selection {
        endpoint_id: arguments.endpoint.as_deref(),
        state: arguments.status.map(Status::word),
        event_types: &arguments.events,
        since: arguments.since.map(rfc3339),
        until: arguments.until.map(rfc3339),
    };
    let is_one = arguments.message.is_some();
    let is_any = json!(selection).as_object().is_some_and(|members| !members.is_empty());
    if !is_one && !is_any {
        return Err(Error::invalid(
            "nothing says what to replay: give MESSAGE and ENDPOINT, or one of `--endpoint`, \
             `--status`, `--since`, `--until` and `--event`",
        )
        .into());
    }
    ask(&arguments.connection, out, async |session| match (&arguments.message, &arguments.to) {
        (Some(message), Some(to)) => {
            let app = &arguments.app;
            let path = ["app", app, "msg", message, "endpoint", to, "resend"];
            session.server.post(&path, &json!({})).await?;
            session.done("it is sent again")?;
            Ok(Ending::Good)
        }
        _ => many(&arguments, &selection, session).await,
    })
}

async fn many(
    arguments: &Arguments,
    selection: &Selection<'_>,
    session: &mut Session<'_>,
) -> Ended {
    let app = arguments.app.as_str();
    if !arguments.yes {
        let counted = session.server.post(&["app", app, "delivery", "count"], selection).await?;
        let Count { count, at_least } = understood(&counted)?;
        let many = format!("{}{count}", if at_least { "at least " } else { "" });
        match confirmed(&format!("send {many} deliveries again?"))? {
            Some(true) => {}
            Some(false) => {
                session.done(&paint::warning("nothing is sent").to_string())?;
                return Ok(Ending::Bad);
            }
            None => {
                return Err(Error::invalid(format!(
                    "this would send {many} deliveries again, and nobody is at a terminal to ask: \
                     give `--yes`"
                ))
                .into());
            }
        }
    }
    let begun = session.server.post(&["app", app, "delivery", "replay"], selection).await?;
    task::follow(begun, arguments.wait, session).await
}
