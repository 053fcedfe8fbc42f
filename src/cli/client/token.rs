//! `hookwheel token`: who may ask a server.

mod offline;

use crate::cli::arguments::duration;
use crate::cli::client::server::Query;
use crate::cli::client::show::{harmless, time};
use crate::cli::client::{Connection, ask};
use crate::cli::table::Table;
use crate::cli::{Ended, Ending};
use clap::Subcommand;
use serde::Deserialize;
use serde_json::json;
use std::io::{self, Write};
use std::path::PathBuf;
use std::time::Duration;

/// Manage the tokens with which a server is asked
#[derive(clap::Args)]
pub struct Arguments {
    #[command(subcommand)]
    what: What,
    #[command(flatten)]
    connection: Connection,
}

#[derive(Subcommand)]
enum What {
    /// Make a token, and print it: it is not shown again
    Create(New),
    /// List tokens, without their text
    List {
        /// How many at most; all by default
        #[arg(long, value_name = "N")]
        limit: Option<usize>,
    },
    /// Make a token void
    Revoke {
        /// Its id
        id: String,
    },
}

/// A token to be made.
#[derive(clap::Args)]
struct New {
    /// What it is for
    name: String,
    /// Let it see this application only, by id or uid
    #[arg(long, value_name = "APP")]
    app: Option<String>,
    /// Let it only read
    #[arg(long)]
    read_only: bool,
    /// Until when it is valid, from now; for ever by default
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    expires_in: Option<Duration>,
    /// Make it in this data folder, of a server that is stopped: for when no token is left
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// With `--data`: the folder of more providers that the server is given
    #[arg(long, value_name = "DIR", requires = "data")]
    providers: Option<PathBuf>,
}

/// A token, as the API tells it.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Token {
    id: String,
    name: String,
    app_id: Option<String>,
    read_only: bool,
    created_at: String,
    expires_at: Option<String>,
}

/// A token that was made.
#[derive(Deserialize)]
struct Made {
    token: String,
}

/// Does it.
pub fn run(arguments: Arguments, out: &mut dyn Write) -> Ended {
    let what = arguments.what;
    if let What::Create(new) = &what
        && let Some(folder) = &new.data
    {
        return offline::create(new, folder, arguments.connection.json, out);
    }
    ask(&arguments.connection, out, async |session| {
        match what {
            What::Create(new) => {
                let body = json!({
                    "name": new.name,
                    "appId": new.app,
                    "readOnly": new.read_only,
                    "expiresInSeconds": new.expires_in.map(|held| held.as_secs()),
                });
                let made = session.server.post(&["token"], &body).await?;
                session.answer(&made, write_made)?;
            }
            What::List { limit } => {
                let listed = session.server.list(&["token"], &Query::default(), limit).await?;
                session.list(listed, table)?;
            }
            What::Revoke { id } => {
                session.server.delete(&["token", &id]).await?;
                session.done("revoked")?;
            }
        }
        Ok(Ending::Good)
    })
}

/// The token alone, so that a script can put it where it belongs.
fn write_made(made: Made, out: &mut dyn Write) -> io::Result<()> {
    writeln!(out, "{}", harmless(&made.token))
}

fn table(tokens: Vec<Token>) -> Table {
    let mut table = Table::new(["ID", "NAME", "SEES", "MAY", "CREATED", "EXPIRES"]);
    for token in tokens {
        let sees = token.app_id.unwrap_or_else(|| "everything".to_owned());
        let may = if token.read_only { "read" } else { "all" }.to_owned();
        let expires = token.expires_at.map_or_else(|| "never".to_owned(), |at| time(&at, 0));
        table.row([token.id, token.name, sees, may, time(&token.created_at, 0), expires]);
    }
    table
}
