//! `hookwheel test`: a sample event to one endpoint.

use crate::cli::arguments::{overrides, setting};
use crate::cli::client::show::Attempt;
use crate::cli::client::{Connection, ask, server};
use crate::cli::{Ended, Ending};
use crate::model::RawJson;
use serde::Serialize;
use std::collections::BTreeMap;
use std::io::Write;

/// Send a test event to an endpoint and print what came back
///
/// A sample of the provider's, marked as a test in its way, sent once. Exits with 0 when the
/// endpoint accepted it, else with 1.
#[derive(clap::Args)]
pub struct Arguments {
    /// The application's id or uid
    app: String,
    /// The endpoint's id or uid
    endpoint: String,
    /// The event's type; the provider's usual one by default
    #[arg(value_name = "TYPE")]
    event_type: Option<String>,
    /// Set a value in the sample by dotted path, such as `metadata.checkoutId=ch_1`; read as JSON
    /// where it is JSON, else as text
    #[arg(long = "set", value_name = "PATH=VALUE", value_parser = setting)]
    overrides: Vec<(String, String)>,
    /// Print headers and bodies
    #[arg(short, long)]
    verbose: bool,
    #[command(flatten)]
    connection: Connection,
}

/// A test event to be sent, as the API reads it.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Sample {
    event_type: Option<String>,
    set: BTreeMap<String, RawJson>,
}

/// Sends it.
pub fn run(arguments: Arguments, out: &mut dyn Write) -> Ended {
    let set = overrides(arguments.overrides).into_iter().collect();
    let body = Sample { event_type: arguments.event_type, set };
    let path = ["app", &arguments.app, "endpoint", &arguments.endpoint, "test"];
    ask(&arguments.connection, out, async |session| {
        let answer = session.server.post(&path, &body).await?;
        let attempt: Attempt = server::understood(&answer)?;
        session.answer(&answer, |attempt: Attempt, out| {
            writeln!(out, "{}", attempt.answer())?;
            if arguments.verbose { attempt.write_exchange(out) } else { Ok(()) }
        })?;
        Ok(if attempt.is_success() { Ending::Good } else { Ending::Bad })
    })
}
