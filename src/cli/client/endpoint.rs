//! `hookwheel endpoint`: where an application's webhooks go.

mod body;
mod view;

use crate::cli::arguments::{duration, read_secret};
use crate::cli::client::server::Query;
use crate::cli::client::{Connection, Session, ask};
use crate::cli::{Ended, Ending, Trouble, paint};
use crate::model::Secret;
use clap::Subcommand;
use serde::Deserialize;
use serde_json::json;
use std::io::Write;
use std::path::PathBuf;
use std::time::Duration;
use view::Endpoint;

/// Manage endpoints of an application
#[derive(clap::Args)]
pub struct Arguments {
    #[command(subcommand)]
    what: What,
    #[command(flatten)]
    connection: Connection,
}

#[derive(Subcommand)]
enum What {
    /// List endpoints, oldest first
    List {
        /// The application's id or uid
        app: String,
        /// How many at most; all by default
        #[arg(long, value_name = "N")]
        limit: Option<usize>,
    },
    /// Make an endpoint; prints the secret for its receiver
    Create(body::Create),
    /// Show an endpoint
    Show(Named),
    /// Change an endpoint; what is not given stays
    Update(body::Update),
    /// Delete an endpoint; what waits is cancelled
    Delete(Named),
    /// Serve an endpoint again; where its provider demands a challenge, it has to be answered
    Enable(Named),
    /// Stop serving an endpoint: what waits stays waiting, new events are recorded as skipped
    Disable {
        #[command(flatten)]
        named: Named,
        /// Why, for whoever asks later
        #[arg(long, default_value = "disabled by hand")]
        reason: String,
    },
    /// Print an endpoint's signing secret, where its provider shows it again
    Secret(Named),
    /// Replace an endpoint's signing secret; prints the new one
    Rotate {
        #[command(flatten)]
        named: Named,
        /// Read the new secret from this file; one is made by default
        #[arg(long, value_name = "FILE")]
        secret_file: Option<PathBuf>,
        /// How long the old secret signs too, where the provider can send two signatures
        #[arg(long, value_name = "DURATION", default_value = "24h", value_parser = duration)]
        grace: Duration,
    },
}

/// An endpoint by its names.
#[derive(clap::Args)]
struct Named {
    /// The application's id or uid
    app: String,
    /// The endpoint's id or uid
    endpoint: String,
}

impl Named {
    fn path(&self) -> [&str; 4] {
        ["app", &self.app, "endpoint", &self.endpoint]
    }

    fn path_to<'a>(&'a self, what: &'a str) -> [&'a str; 5] {
        ["app", &self.app, "endpoint", &self.endpoint, what]
    }
}

#[derive(Deserialize)]
struct Key {
    key: String,
}

/// Does it.
pub fn run(arguments: Arguments, out: &mut dyn Write) -> Ended {
    let what = arguments.what;
    ask(&arguments.connection, out, async |session| {
        carry_out(what, session).await?;
        Ok(Ending::Good)
    })
}

async fn carry_out(what: What, session: &mut Session<'_>) -> Result<(), Trouble> {
    let server = &session.server;
    let answer = match what {
        What::List { app, limit } => {
            let listed = server.list(&["app", &app, "endpoint"], &Query::default(), limit).await?;
            return session.list(listed, view::table);
        }
        What::Create(create) => {
            let path = ["app", create.app(), "endpoint"];
            server.post(&path, &create.body()?).await?
        }
        What::Show(named) => server.get(&named.path(), &Query::default()).await?,
        What::Update(update) => server.patch(&update.named.path(), &update.body()?).await?,
        What::Enable(named) => server.post(&named.path_to("enable"), &json!({})).await?,
        What::Disable { named, reason } => {
            server.post(&named.path_to("disable"), &json!({ "reason": reason })).await?
        }
        What::Delete(named) => {
            server.delete(&named.path()).await?;
            return Ok(session.done("deleted")?);
        }
        What::Secret(named) => {
            let held = server.get(&named.path_to("secret"), &Query::default()).await?;
            return session.answer(&held, write_key);
        }
        What::Rotate { named, secret_file, grace } => {
            let key = secret_file.map(|file| read_secret(&file)).transpose()?;
            let key = key.as_ref().map(Secret::expose);
            let body = json!({ "key": key, "gracePeriodSeconds": grace.as_secs() });
            let mut path = named.path_to("secret").to_vec();
            path.push("rotate");
            let made = server.post(&path, &body).await?;
            return session.answer(&made, write_key);
        }
    };
    session.answer(&answer, |endpoint: Endpoint, out| endpoint.write(out))
}

fn write_key(held: Key, out: &mut dyn Write) -> std::io::Result<()> {
    writeln!(out, "{}", paint::harmless(&held.key))
}
