//! `hookwheel app`: applications.

use crate::cli::arguments::setting;
use crate::cli::client::server::Query;
use crate::cli::client::show::{fact, fact_if, or_dash, time};
use crate::cli::client::{Connection, Session, ask};
use crate::cli::table::Table;
use crate::cli::{Ended, Ending, Trouble, paint};
use clap::Subcommand;
use serde::Deserialize;
use serde_json::json;
use std::collections::BTreeMap;
use std::io::{self, Write};

/// Manage applications
#[derive(clap::Args)]
pub struct Arguments {
    #[command(subcommand)]
    what: What,
    #[command(flatten)]
    connection: Connection,
}

#[derive(Subcommand)]
enum What {
    /// List applications, oldest first
    List {
        /// How many at most; all by default
        #[arg(long, value_name = "N")]
        limit: Option<usize>,
    },
    /// Make an application
    Create {
        /// What people call it
        name: String,
        /// Your own name for it, which serves as its id
        #[arg(long)]
        uid: Option<String>,
        /// Webhooks a second at most, over all of its endpoints together
        #[arg(long, value_name = "N")]
        rate: Option<u32>,
        /// A note of your own; once for each
        #[arg(long = "metadata", value_name = "NAME=VALUE", value_parser = setting)]
        metadata: Vec<(String, String)>,
    },
    /// Show an application
    Show {
        /// Its id or uid
        app: String,
    },
    /// Delete an application with its endpoints; what waits is cancelled
    Delete {
        /// Its id or uid
        app: String,
    },
}

/// An application, as the API tells it.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct App {
    id: String,
    name: String,
    #[serde(default)]
    uid: Option<String>,
    #[serde(default)]
    throttle_rate: Option<u32>,
    #[serde(default)]
    metadata: BTreeMap<String, String>,
    created_at: String,
}

/// Does it.
pub fn run(arguments: Arguments, out: &mut dyn Write) -> Ended {
    let what = arguments.what;
    ask(&arguments.connection, out, async |session| {
        match what {
            What::List { limit } => list(session, limit).await?,
            What::Create { name, uid, rate, metadata } => {
                let metadata: BTreeMap<_, _> = metadata.into_iter().collect();
                let body =
                    json!({ "name": name, "uid": uid, "throttleRate": rate, "metadata": metadata });
                let made = session.server.post(&["app"], &body).await?;
                session.answer(&made, |app: App, out| app.write(out))?;
            }
            What::Show { app } => {
                let held = session.server.get(&["app", &app], &Query::default()).await?;
                session.answer(&held, |app: App, out| app.write(out))?;
            }
            What::Delete { app } => {
                session.server.delete(&["app", &app]).await?;
                session.done("deleted")?;
            }
        }
        Ok(Ending::Good)
    })
}

async fn list(session: &mut Session<'_>, limit: Option<usize>) -> Result<(), Trouble> {
    let listed = session.server.list(&["app"], &Query::default(), limit).await?;
    session.list(listed, |apps: Vec<App>| {
        let mut table = Table::new(["ID", "NAME", "UID", "RATE", "CREATED"]).number(3);
        for app in apps {
            let (rate, created) = (or_dash(app.throttle_rate), time(&app.created_at, 0));
            table.row([app.id, app.name, or_dash(app.uid), rate, created]);
        }
        table
    })
}

impl App {
    fn write(&self, out: &mut dyn Write) -> io::Result<()> {
        fact(out, "id", paint::name(&self.id))?;
        fact_if(out, "name", &self.name)?;
        fact_if(out, "uid", self.uid.as_deref().unwrap_or_default())?;
        if let Some(rate) = self.throttle_rate {
            fact(out, "rate", format!("{rate} a second"))?;
        }
        for (name, value) in &self.metadata {
            fact_if(out, "metadata", &format!("{name}={value}"))?;
        }
        fact(out, "created", time(&self.created_at, 0))
    }
}
