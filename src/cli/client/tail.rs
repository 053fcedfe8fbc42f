//! `hookwheel tail`: what comes of attempts, as it happens.

mod events;

use crate::cli::client::server::{Server, understood};
use crate::cli::client::show::{Attempt, harmless, state};
use crate::cli::client::{Connection, Session, ask};
use crate::cli::{Ended, Ending, Trouble, json_text, paint};
use crate::model::human_duration;
use backoff::ExponentialBackoff;
use backoff::backoff::Backoff;
use events::Events;
use serde::Deserialize;
use serde_json::value::RawValue;
use std::io::{self, Write};

/// Watch attempts as they are made
///
/// Every attempt from now on, until Ctrl-C. A connection that is lost is made again; what happened
/// meanwhile is in the history. With `--json`, each line is one attempt.
#[derive(clap::Args)]
pub struct Arguments {
    /// Only of this application, by id or uid
    app: Option<String>,
    #[command(flatten)]
    connection: Connection,
}

/// An attempt with what it was for, as the API tells it.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Outcome {
    #[serde(flatten)]
    attempt: Attempt,
    msg_id: String,
    event_types: Vec<String>,
    state: Option<String>,
}

/// Watches until it is interrupted.
pub fn run(arguments: Arguments, out: &mut dyn Write) -> Ended {
    let path = match &arguments.app {
        Some(app) => vec!["app", app, "outcome", "stream"],
        None => vec!["outcome", "stream"],
    };
    ask(&arguments.connection, out, async |session| {
        tokio::select! {
            ended = watch(&path, session) => ended,
            _ = tokio::signal::ctrl_c() => Ok(Ending::Good),
        }
    })
}

/// Watches, and connects again with growing waits. What cannot be reached at first is not tried
/// again: then it is more likely wrong than down.
async fn watch(path: &[&str], session: &mut Session<'_>) -> Ended {
    let mut waits = ExponentialBackoff { max_elapsed_time: None, ..ExponentialBackoff::default() };
    let mut stream = session.server.stream(path).await?;
    loop {
        let lost = match read(&mut stream, session).await {
            Ok(()) => "the server closed the connection".to_owned(),
            Err(Trouble::Server(refusal)) => refusal.text().to_owned(),
            Err(trouble) => return Err(trouble),
        };
        waits.reset();
        stream = reconnect(path, session, lost, &mut waits).await?;
    }
}

async fn reconnect(
    path: &[&str],
    session: &Session<'_>,
    mut lost: String,
    waits: &mut ExponentialBackoff,
) -> Result<reqwest::Response, Trouble> {
    loop {
        let wait = waits.next_backoff().unwrap_or(waits.max_interval);
        let again = format!("{lost}; again in {}", human_duration(wait));
        // With standard error gone there is nobody to tell.
        let _ = writeln!(anstream::stderr(), "{}", paint::faint(again));
        crate::clock::pause(wait).await;
        match session.server.stream(path).await {
            Err(Trouble::Server(refusal)) if refusal.is_passing() => {
                refusal.text().clone_into(&mut lost);
            }
            answer => return answer,
        }
    }
}

/// Writes what a stream brings until it ends.
async fn read(stream: &mut reqwest::Response, session: &mut Session<'_>) -> Result<(), Trouble> {
    let mut events = Events::default();
    while let Some(piece) = Server::next_piece(stream).await? {
        for event in events.push(&piece)? {
            if event.name != "attempt" {
                continue;
            }
            let told: Box<RawValue> = event.json()?;
            if session.json {
                writeln!(session.out, "{}", json_text::in_one_line(told.get()))?;
            } else {
                understood::<Outcome>(&told)?.write(session.out)?;
            }
        }
        session.out.flush()?;
    }
    Ok(())
}

impl Outcome {
    fn write(&self, out: &mut dyn Write) -> io::Result<()> {
        let becomes = self.state.as_ref().map(|held| format!("; {}", state(held)));
        writeln!(
            out,
            "{} {} {} {} {}{}",
            self.attempt.time(),
            paint::name(harmless(&self.event_types.join(" "))),
            harmless(&self.msg_id),
            paint::faint(harmless(&self.attempt.endpoint_id)),
            self.attempt.answer(),
            becomes.unwrap_or_default()
        )
    }
}
