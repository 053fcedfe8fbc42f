//! Commands that ask a running server.

pub mod app;
pub mod emit;
pub mod endpoint;
pub mod event_type;
pub mod history;
pub mod recover;
pub mod replay;
mod server;
mod show;
pub mod tail;
pub mod task;
pub mod test;
pub mod token;

use crate::cli::table::Table;
use crate::cli::{Ended, Trouble, arguments, block_on, json_text, paint};
use crate::error::{Error, Result};
use crate::model::Timestamp;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::value::RawValue;
pub use server::Refusal;
use server::{Listed, Server};
use std::io::{self, IsTerminal, Write};
use std::path::PathBuf;

/// Where the server is, and how it is asked.
#[derive(clap::Args)]
pub struct Connection {
    /// The server; HOOKWHEEL_URL, or http://127.0.0.1:8071, by default
    #[arg(long, value_name = "URL", global = true, help_heading = "Server")]
    url: Option<String>,
    /// Read the token from this file; it is in HOOKWHEEL_TOKEN by default
    #[arg(long, value_name = "FILE", global = true, help_heading = "Server")]
    token_file: Option<PathBuf>,
    /// Print JSON, as the server writes it, for programs
    #[arg(long, global = true, help_heading = "Server")]
    json: bool,
}

/// A server, and where what it answers is written.
struct Session<'a> {
    server: Server,
    json: bool,
    out: &'a mut dyn Write,
}

impl Session<'_> {
    /// Writes an answer as JSON when that is asked for; else `people` writes it.
    fn answer<T: DeserializeOwned>(
        &mut self,
        answer: &RawValue,
        people: impl FnOnce(T, &mut dyn Write) -> io::Result<()>,
    ) -> std::result::Result<(), Trouble> {
        if self.json {
            return Ok(write_json(answer, self.out)?);
        }
        Ok(people(server::understood(answer)?, self.out)?)
    }

    /// Writes a list as one JSON array when that is asked for; else as the table that `people`
    /// makes of it.
    fn list<T: DeserializeOwned>(
        &mut self,
        listed: Listed,
        people: impl FnOnce(Vec<T>) -> Table,
    ) -> std::result::Result<(), Trouble> {
        if self.json {
            return Ok(write_json(&listed.items, self.out)?);
        }
        people(server::all_understood(&listed.items)?).write(self.out)?;
        if listed.has_more {
            writeln!(self.out, "{}", paint::faint("there are more: raise `--limit`"))?;
        }
        Ok(())
    }

    /// Says what was done that has no answer.
    fn done(&mut self, text: &str) -> io::Result<()> {
        if self.json { Ok(()) } else { writeln!(self.out, "{text}") }
    }
}

/// Asks the server that the arguments name.
fn ask(
    connection: &Connection,
    out: &mut dyn Write,
    work: impl AsyncFnOnce(&mut Session<'_>) -> Ended,
) -> Ended {
    let server = Server::new(connection)?;
    let mut session = Session { server, json: connection.json, out };
    block_on(work(&mut session))?
}

fn write_json<T: Serialize + ?Sized>(value: &T, out: &mut dyn Write) -> io::Result<()> {
    writeln!(out, "{}", json_text::lines(&serde_json::to_string(value)?))
}

/// Asks somebody at a terminal; `None` where nobody is there.
fn confirmed(question: &str) -> io::Result<Option<bool>> {
    let input = io::stdin();
    if !input.is_terminal() || !io::stderr().is_terminal() {
        return Ok(None);
    }
    write!(anstream::stderr(), "{question} [y/N] ")?;
    let mut answer = String::new();
    input.read_line(&mut answer)?;
    Ok(Some(matches!(answer.trim(), "y" | "Y" | "yes")))
}

/// Reads an instant, or a duration back from now like `2h`.
fn instant(text: &str) -> Result<Timestamp> {
    if let Ok(ago) = arguments::duration(text) {
        return Ok(arguments::time_or_now(None).before(ago));
    }
    arguments::time(text).map_err(|_| {
        Error::invalid("expected a time like `2026-01-15T12:00:00Z`, or a duration ago like `2h`")
    })
}

/// An instant as the API reads it.
fn rfc3339(time: Timestamp) -> String {
    time.rfc3339(3)
}

/// Reads a number, or `none` for no limit.
fn number_or_none(text: &str) -> Result<Option<u32>> {
    match text {
        "none" => Ok(None),
        text => {
            text.parse().map(Some).map_err(|_| Error::invalid("expected a whole number, or `none`"))
        }
    }
}
