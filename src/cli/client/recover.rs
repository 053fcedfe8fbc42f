//! `hookwheel recover`: an endpoint gets what it missed.

use crate::cli::Ended;
use crate::cli::client::{Connection, ask, instant, rfc3339, task};
use crate::model::Timestamp;
use serde_json::json;
use std::io::Write;

/// Send an endpoint everything again that failed or was skipped
///
/// The server does it in the background; with `--wait` this ends when it is through, with 1 when
/// it failed.
#[derive(clap::Args)]
pub struct Arguments {
    /// The application's id or uid
    app: String,
    /// The endpoint's id or uid
    endpoint: String,
    /// Of events accepted since: RFC 3339, or a duration ago like `2h`
    #[arg(long, value_name = "TIME", value_parser = instant)]
    since: Timestamp,
    /// Of events accepted before: RFC 3339, or a duration ago; now by default
    #[arg(long, value_name = "TIME", value_parser = instant)]
    until: Option<Timestamp>,
    /// Follow it to its end
    #[arg(long)]
    wait: bool,
    #[command(flatten)]
    connection: Connection,
}

/// Begins it, and follows it where that is asked for.
pub fn run(arguments: Arguments, out: &mut dyn Write) -> Ended {
    let path = ["app", &arguments.app, "endpoint", &arguments.endpoint, "recover"];
    let until = arguments.until.map(rfc3339);
    let body = json!({ "since": rfc3339(arguments.since), "until": until });
    ask(&arguments.connection, out, async |session| {
        let begun = session.server.post(&path, &body).await?;
        task::follow(begun, arguments.wait, session).await
    })
}
