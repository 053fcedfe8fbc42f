//! Work that a server does in the background, followed to its end.

use crate::cli::client::Session;
use crate::cli::client::server::{Query, understood};
use crate::cli::client::show::{harmless, state};
use crate::cli::{Ended, Ending, Trouble};
use serde::Deserialize;
use serde_json::Value;
use std::io::{self, Write};
use std::time::Duration;

/// How often a task is asked how far it is, in real time.
const POLL_EVERY: Duration = Duration::from_millis(500);

/// A background task, as the API tells it.
#[derive(Deserialize)]
struct Task {
    id: String,
    status: String,
    #[serde(default)]
    data: Progress,
}

#[derive(Default, Deserialize)]
struct Progress {
    #[serde(default)]
    done: u64,
    #[serde(default)]
    reason: Option<String>,
}

/// Tells of a task that began; with `wait` follows it to its end. What failed ends badly.
pub async fn follow(mut answer: Value, wait: bool, session: &mut Session<'_>) -> Ended {
    let mut task: Task = understood(answer.clone())?;
    while wait && task.status == "running" {
        crate::clock::pause(POLL_EVERY).await;
        answer = asked_again(&task.id, session).await?;
        task = understood(answer.clone())?;
    }
    let is_failed = task.status == "failed";
    session.answer(answer, |task: Task, out| task.write(out))?;
    Ok(if is_failed { Ending::Bad } else { Ending::Good })
}

async fn asked_again(id: &str, session: &Session<'_>) -> Result<Value, Trouble> {
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
        )
    }
}
