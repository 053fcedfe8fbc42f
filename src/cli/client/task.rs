//! `hookwheel task`: work that a server does in the background, looked up and followed to its end.

use crate::cli::client::server::{Answer, Query, understood};
use crate::cli::client::show::{harmless, or_dash, state, time};
use crate::cli::client::{Connection, Session, ask};
use crate::cli::table::Table;
use crate::cli::{Ended, Ending, Trouble, paint};
use clap::{Subcommand, ValueEnum};
use serde::Deserialize;
use std::io::{self, Write};
use std::time::Duration;

/// How often a task is asked how far it is, in real time.
const POLL_EVERY: Duration = Duration::from_millis(500);

/// Look up recoveries and replays, which a server does in the background
#[derive(clap::Args)]
pub struct Arguments {
    #[command(subcommand)]
    what: What,
    #[command(flatten)]
    connection: Connection,
}

#[derive(Subcommand)]
enum What {
    /// List tasks, the newest first: those at work, and for seven days those that ended
    List {
        /// Only what stands so
        #[arg(long, value_enum)]
        status: Option<Status>,
        /// How many at most
        #[arg(long, value_name = "N", default_value_t = 50)]
        limit: usize,
    },
    /// Tell how far a task is; ends with 1 when it failed
    Show {
        /// Its id
        id: String,
        /// Follow it to its end
        #[arg(long)]
        wait: bool,
    },
}

/// How a task stands.
#[derive(Clone, Copy, ValueEnum)]
enum Status {
    /// At work, or waiting for its turn
    Running,
    /// Through
    Finished,
    /// Ended before that
    Failed,
}

impl Status {
    /// The API's word for it.
    fn word(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Finished => "finished",
            Self::Failed => "failed",
        }
    }
}

/// A background task, as the API tells it.
#[derive(Deserialize)]
struct Task {
    id: String,
    status: String,
    task: String,
    data: Progress,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Progress {
    app_id: String,
    endpoint_id: Option<String>,
    done: u64,
    reason: Option<String>,
    created_at: String,
}

/// Lists or shows.
pub fn run(arguments: Arguments, out: &mut dyn Write) -> Ended {
    ask(&arguments.connection, out, async |session| match &arguments.what {
        What::List { status, limit } => {
            let mut query = Query::default();
            query.add("status", status.map(Status::word));
            let listed = session.server.list(&["background-task"], &query, Some(*limit)).await?;
            session.list(listed, table)?;
            Ok(Ending::Good)
        }
        What::Show { id, wait } => follow(asked_again(id, session).await?, *wait, session).await,
    })
}

fn table(tasks: Vec<Task>) -> Table {
    let heads = ["ID", "TASK", "STATUS", "SENT", "APP", "ENDPOINT", "BEGAN"];
    let mut table = Table::new(heads).number(3);
    for Task { id, status, task, data } in tasks {
        let (sent, began) = (data.done.to_string(), time(&data.created_at, 0));
        table.row([id, task, status, sent, data.app_id, or_dash(data.endpoint_id), began]);
    }
    table
}

/// Tells of a task that began; with `wait` follows it to its end. What failed ends badly.
pub(super) async fn follow(mut answer: Answer, wait: bool, session: &mut Session<'_>) -> Ended {
    let mut task: Task = understood(&answer)?;
    while wait && task.status == "running" {
        crate::clock::pause(POLL_EVERY).await;
        answer = asked_again(&task.id, session).await?;
        task = understood(&answer)?;
    }
    let is_failed = task.status == "failed";
    session.answer(&answer, |task: Task, out| task.write(out))?;
    Ok(if is_failed { Ending::Bad } else { Ending::Good })
}

async fn asked_again(id: &str, session: &Session<'_>) -> Result<Answer, Trouble> {
    session.server.get(&["background-task", id], &Query::default()).await
}

impl Task {
    fn write(&self, out: &mut dyn Write) -> io::Result<()> {
        let reason = self.data.reason.as_ref().map(|reason| format!(": {}", harmless(reason)));
        writeln!(
            out,
            "{} {}, {} sent again{}",
            harmless(&self.id),
            state(&self.status),
            self.data.done,
            reason.unwrap_or_default()
        )?;
        if self.status == "running" {
            let hint = format!("`hookwheel task show {} --wait` follows it", harmless(&self.id));
            writeln!(out, "{}", paint::faint(hint))?;
        }
        Ok(())
    }
}
