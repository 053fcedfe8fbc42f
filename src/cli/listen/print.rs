//! What a listener tells, printed.

use super::Arguments;
use crate::cli::received::view::{self, Detail, Format};
use crate::cli::{Trouble, json_text, paint};
use crate::error::Error;
use crate::simulate::listener::{Arrival, Counts, FOLDER, Listener, Lookup, curl};
use serde_json::json;
use std::io::Write;
use tokio::sync::broadcast::{self, error::RecvError};
use tokio::sync::oneshot;

/// Prints what a listener tells, until that ends.
pub struct Printer {
    url: String,
    heading: String,
    verifies: bool,
    remembered: usize,
    lookup: Lookup,
    arguments: Arguments,
}

impl Printer {
    /// For a listener that listens for what `heading` says.
    pub fn new(listener: &Listener, heading: String, arguments: Arguments) -> Self {
        Self {
            url: listener.url(),
            heading,
            verifies: listener.verifies(),
            remembered: listener.remembered(),
            lookup: listener.lookup(),
            arguments,
        }
    }

    /// Prints until the listener has ended and has been counted.
    pub fn run(
        self,
        mut arrivals: broadcast::Receiver<Arrival>,
        counts: oneshot::Receiver<Counts>,
        out: &mut dyn Write,
    ) -> Result<(), Trouble> {
        self.introduce(out)?;
        loop {
            match arrivals.blocking_recv() {
                Ok(arrival) => self.write(arrival, out)?,
                Err(RecvError::Lagged(missed)) => self.skipped(missed, out)?,
                Err(RecvError::Closed) => break,
            }
            out.flush()?;
        }
        match counts.blocking_recv() {
            Ok(counts) if self.arguments.format == Format::Text => self.summarise(counts, out),
            _ => Ok(()),
        }
    }

    fn introduce(&self, out: &mut dyn Write) -> Result<(), Trouble> {
        if self.arguments.format == Format::Json {
            writeln!(out, "{}", json_text::line(&json!({"kind": "listening", "url": self.url})))?;
            return Ok(out.flush()?);
        }
        let heading = format!("listening on {} for {}", self.url, self.heading);
        writeln!(out, "{}", paint::strong(heading))?;
        if self.arguments.provider.is_some() && !self.verifies {
            let note = "no secret was given: requests are shown unchecked. --secret-file or \
                        HOOKWHEEL_SECRET gives one";
            writeln!(out, "{}", paint::warning(note))?;
        }
        if let Some(url) = &self.arguments.forward_to {
            writeln!(out, "sending requests on to {}", paint::harmless(url))?;
        }
        let data = self.arguments.data.display().to_string();
        let requests = if self.remembered == 1 { "request is" } else { "requests are" };
        let data = paint::harmless(&data);
        writeln!(out, "remembering in {data}, where {} {requests}", self.remembered)?;
        Ok(out.flush()?)
    }

    fn write(&self, arrival: Arrival, out: &mut dyn Write) -> Result<(), Trouble> {
        let Arguments { verbose, format, .. } = self.arguments;
        match arrival {
            Arrival::Request(arrived) => {
                // One that many others have followed may be forgotten already.
                let whole = if verbose { self.lookup.show(arrived.number) } else { None };
                let detail = whole.as_ref().map_or(Detail::Line, Detail::Begin);
                view::write_request(&arrived, detail, format, out)?;
            }
            Arrival::Answered { number, answer } => {
                view::write_answer(number, &answer, verbose, format, out)?;
            }
            Arrival::Unreadable { from, status, reason } => match format {
                Format::Json => {
                    let told = json!({
                        "kind": "unreadable",
                        "from": from.to_string(),
                        "status": status,
                        "reason": reason,
                    });
                    writeln!(out, "{}", json_text::line(&told))?;
                }
                Format::Text => {
                    let what = paint::bad("no request");
                    let answer = status.map(|status| format!(", answered with {status}"));
                    let answer = answer.unwrap_or_default();
                    writeln!(out, "--> {what} from {from}{answer}: {reason}")?;
                }
            },
            Arrival::Failed(error) => {
                let error = format!("nothing can be remembered any more: {error}");
                return Err(Error::unavailable(error).into());
            }
        }
        Ok(())
    }

    fn skipped(&self, missed: u64, out: &mut dyn Write) -> Result<(), Trouble> {
        if self.arguments.format == Format::Json {
            let told = json!({"kind": "not_shown", "lines": missed});
            writeln!(out, "{}", json_text::line(&told))?;
        } else {
            let note = format!(
                "({missed} lines left out: more came than was read here; it is all remembered)"
            );
            writeln!(out, "{}", paint::warning(note))?;
        }
        Ok(())
    }

    fn summarise(&self, counts: Counts, out: &mut dyn Write) -> Result<(), Trouble> {
        let by_verdict = [
            (counts.genuine, "genuine"),
            (counts.challenges, "challenges"),
            (counts.refused, "refused"),
            (counts.unchecked, "unchecked"),
        ];
        let all: u64 = by_verdict.iter().map(|(count, _)| count).sum();
        let told: Vec<String> = by_verdict
            .iter()
            .filter(|(count, _)| *count > 0)
            .map(|(count, what)| format!("{count} {what}"))
            .collect();
        let plural = if all == 1 { "" } else { "s" };
        let told = if told.is_empty() { String::new() } else { format!(": {}", told.join(", ")) };
        writeln!(out, "\n{}", paint::strong(format!("{all} request{plural} arrived{told}")))?;
        if counts.unreadable > 0 {
            writeln!(out, "{} more could not be read", counts.unreadable)?;
        }
        if all > 0 {
            let data = match self.arguments.data.to_str() {
                Some(FOLDER) => String::new(),
                _ => format!(" --data {}", curl::word(&self.arguments.data)),
            };
            writeln!(out, "see them again with: hookwheel received list{data}")?;
        }
        Ok(out.flush()?)
    }
}
