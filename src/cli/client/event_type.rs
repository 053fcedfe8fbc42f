//! `hookwheel event-type`: which types of events a platform has.

use crate::cli::arguments::read_json;
use crate::cli::client::server::Query;
use crate::cli::client::show::{fact_if, time};
use crate::cli::client::{Connection, ask};
use crate::cli::table::Table;
use crate::cli::{Ended, Ending};
use crate::model::RawJson;
use clap::Subcommand;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::io::{self, Write};
use std::path::PathBuf;

/// Manage event types, for documentation and the portal
#[derive(clap::Args)]
pub struct Arguments {
    #[command(subcommand)]
    what: What,
    #[command(flatten)]
    connection: Connection,
}

#[derive(Subcommand)]
enum What {
    /// List event types
    List {
        /// How many at most; all by default
        #[arg(long, value_name = "N")]
        limit: Option<usize>,
    },
    /// Make an event type
    Create {
        /// Its name, like `order.created`
        name: String,
        /// What it means
        description: String,
        /// Read the JSON schema of its data from this file
        #[arg(long, value_name = "FILE")]
        schema: Option<PathBuf>,
    },
    /// Archive an event type
    Delete {
        /// Its name
        name: String,
    },
}

/// An event type to be made, as the API reads it.
#[derive(Serialize)]
struct New {
    name: String,
    description: String,
    schemas: Option<BTreeMap<&'static str, RawJson>>,
}

/// An event type, as the API tells it.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct EventType {
    name: String,
    description: String,
    created_at: String,
}

/// Does it.
pub fn run(arguments: Arguments, out: &mut dyn Write) -> Ended {
    let what = arguments.what;
    ask(&arguments.connection, out, async |session| {
        match what {
            What::List { limit } => {
                let path = ["event-type"];
                let listed = session.server.list(&path, &Query::default(), limit).await?;
                session.list(listed, |types: Vec<EventType>| {
                    let mut table = Table::new(["NAME", "CREATED", "DESCRIPTION"]);
                    for held in types {
                        table.row([held.name, time(&held.created_at, 0), held.description]);
                    }
                    table
                })?;
            }
            What::Create { name, description, schema } => {
                let schema = schema.map(|file| read_json(&file)).transpose()?;
                let schemas = schema.map(|schema| BTreeMap::from([("1", schema)]));
                let body = New { name, description, schemas };
                let made = session.server.post(&["event-type"], &body).await?;
                session.answer(&made, |held: EventType, out| held.write(out))?;
            }
            What::Delete { name } => {
                session.server.delete(&["event-type", &name]).await?;
                session.done("archived")?;
            }
        }
        Ok(Ending::Good)
    })
}

impl EventType {
    fn write(&self, out: &mut dyn Write) -> io::Result<()> {
        fact_if(out, "name", &self.name)?;
        fact_if(out, "description", &self.description)
    }
}
