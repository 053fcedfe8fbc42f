//! A simulation in lines for people.

use super::live::Live;
use super::{Teller, is_watched};
use crate::cli::{exchange, paint};
use crate::model::{AttemptOutcome, Timestamp, human_duration};
use crate::simulate::{
    End, Exchange, Fault, FaultTally, Forgery, ForgeryTally, ForgeryVerdict, Report, Simulation,
    Step,
};
use std::io::{self, IsTerminal, Write};

/// Prints lines, and keeps a live one below them in a terminal.
pub(super) struct Lines {
    url: String,
    at: Option<Timestamp>,
    verbose: bool,
    live: Option<Live>,
}

impl Lines {
    pub(super) fn new(url: String, at: Option<Timestamp>, verbose: bool) -> Self {
        Self { url, at, verbose, live: None }
    }
}

impl Teller for Lines {
    fn start(
        &mut self,
        simulation: &Simulation,
        is_made: bool,
        out: &mut dyn Write,
    ) -> io::Result<()> {
        let title = simulation.provider().title();
        let (events, url) = (counted(simulation.events(), "event"), paint::harmless(&self.url));
        writeln!(out, "{}", paint::strong(format!("{title} sends {events} to {url}")))?;
        let at = self.at.map(|at| format!(", at {}", at.rfc3339(0)));
        writeln!(out, "seed {}{}", simulation.seed(), at.unwrap_or_default())?;
        if is_made {
            show_secret(simulation, out)?;
        }
        for note in simulation.notes() {
            writeln!(out, "{} {}", paint::warning("note:"), paint::harmless(note))?;
        }
        out.flush()?;
        self.live = is_watched().then(|| Live::start(simulation.events()));
        Ok(())
    }

    fn step(&mut self, step: &Step, out: &mut dyn Write) -> io::Result<()> {
        let Some(live) = &self.live else { return write_step(step, self.verbose, out) };
        if let Step::Exchange(exchange) = step {
            live.stands(exchange.standing);
        }
        live.above(|| {
            write_step(step, self.verbose, out)?;
            out.flush()
        })
    }

    fn end(&mut self, report: &Report, out: &mut dyn Write) -> io::Result<()> {
        drop(self.live.take());
        summarise(report, out)
    }
}

/// Shows the secret before anything is sent; in a terminal, waits until the handler has it.
fn show_secret(simulation: &Simulation, out: &mut dyn Write) -> io::Result<()> {
    writeln!(out, "secret for your handler: {}", simulation.secret().expose())?;
    let input = io::stdin();
    if input.is_terminal() && io::stdout().is_terminal() {
        write!(out, "press Enter when it has it ")?;
        out.flush()?;
        input.read_line(&mut String::new())?;
    }
    out.flush()
}

fn write_step(step: &Step, verbose: bool, out: &mut dyn Write) -> io::Result<()> {
    match step {
        Step::Proven => writeln!(out, "{} the challenge", paint::good("answered")),
        Step::Exchange(exchange) => write_exchange(exchange, verbose, out),
        Step::Forgery(forgery) => write_forgery(forgery, verbose, out),
        Step::Parked(reason) => writeln!(
            out,
            "{} until it answers the challenge again: {}",
            paint::warning("parked"),
            paint::harmless(reason)
        ),
        Step::Resumed => writeln!(out, "{} the challenge again", paint::good("answered")),
        Step::Unsent(reason) => writeln!(out, "{}: {reason}", paint::warning("not sent")),
    }
}

fn write_exchange(told: &Exchange, verbose: bool, out: &mut dyn Write) -> io::Result<()> {
    let attempt = &told.outcome.attempt;
    let what = match told.outcome.deliveries.as_slice() {
        [(_, event_type)] => event_type.to_string(),
        several => counted(several.len(), "event"),
    };
    let waited = told.waited.map(|waited| format!(" (+{})", human_duration(waited)));
    writeln!(
        out,
        "{} {} {} attempt {}{}{}",
        paint::faint("-->"),
        paint::name(what),
        told.id,
        attempt.number,
        waited.unwrap_or_default(),
        named(&told.faults)
    )?;
    if verbose {
        exchange::write_request(attempt, out)?;
    }
    let next = match (&told.again, attempt.outcome.is_success()) {
        (Some(again), _) => format!("; again in {}", human_duration(*again)),
        (None, false) if told.is_given_up() => paint::bad("; given up").to_string(),
        _ => String::new(),
    };
    let answer = match &attempt.outcome {
        AttemptOutcome::Failed(_) if told.was_cut => {
            let took = human_duration(attempt.duration);
            format!("{} after {took}, in the middle of the body", paint::warning("cut"))
        }
        _ => exchange::answer(attempt),
    };
    writeln!(out, "{} {answer}{next}", paint::faint("<--"))?;
    match attempt.outcome.response() {
        Some(response) if verbose => exchange::write_response(response, out),
        _ => Ok(()),
    }
}

fn write_forgery(forgery: &Forgery, verbose: bool, out: &mut dyn Write) -> io::Result<()> {
    let sent = &forgery.sent;
    writeln!(
        out,
        "{} {} {}{}",
        paint::faint("-->"),
        paint::name(&forgery.event_type),
        forgery.id,
        named(&[forgery.fault])
    )?;
    if verbose {
        let request = &sent.request;
        exchange::indented(out, &format!("{} {}", request.method, request.url))?;
        exchange::write_message(&request.headers, &request.body, out)?;
    }
    let took = human_duration(sent.duration);
    let what = match forgery.verdict {
        ForgeryVerdict::Taken => paint::bad("a forgery was taken for genuine"),
        ForgeryVerdict::Refused => paint::good("refused"),
        ForgeryVerdict::NotJudged => paint::warning("not judged"),
    };
    let answer = match &sent.result {
        Ok(answer) => format!("{} in {took}; {what}", exchange::status(answer.status)),
        Err(failure) => format!(
            "{} after {took}: {}; {what}",
            paint::warning(exchange::failure(failure.kind)),
            paint::harmless(&failure.to_string())
        ),
    };
    writeln!(out, "{} {answer}", paint::faint("<--"))?;
    match &sent.result {
        Ok(response) if verbose => exchange::write_response(response, out),
        _ => Ok(()),
    }
}

/// The faults at the end of a line.
fn named(faults: &[Fault]) -> String {
    if faults.is_empty() {
        return String::new();
    }
    let names: Vec<&str> = faults.iter().map(|fault| fault.name()).collect();
    format!(" {}", paint::warning(format!("[{}]", names.join(", "))))
}

fn summarise(report: &Report, out: &mut dyn Write) -> io::Result<()> {
    match &report.end {
        End::Settled => {}
        End::NotProven(reason) => {
            let reason = paint::harmless(reason);
            writeln!(out, "{}: {reason}", paint::bad("the endpoint is not proven"))?;
        }
        End::Parked => writeln!(out, "{}", paint::bad("the endpoint stayed parked"))?,
        End::Disabled(reason) => {
            let reason = paint::harmless(reason);
            writeln!(out, "{}: {reason}", paint::bad("the endpoint is disabled"))?;
        }
        End::Interrupted => writeln!(out, "\n{}", paint::warning("interrupted"))?,
    }
    for (fault, tally) in &report.faults {
        writeln!(out, "{} {}", paint::warning(format!("[{fault}]")), came_back(tally))?;
    }
    for missed in &report.not_played {
        let words = match missed.is_named {
            true => paint::bad("not played:"),
            false => paint::warning("not played:"),
        };
        writeln!(out, "{words} {}: {}", missed.fault, missed.reason)?;
    }
    for warning in &report.warnings {
        writeln!(out, "{} {}", paint::warning("warning:"), paint::harmless(warning))?;
    }
    for wrong in &report.wrong {
        writeln!(out, "{} {}", paint::bad("wrong:"), paint::harmless(wrong))?;
    }
    let accepted = format!("{} of {} accepted", report.accepted, counted(report.events, "event"));
    let accepted = match report.accepted + report.excused == report.events {
        true => paint::good(accepted),
        false => paint::bad(accepted),
    };
    writeln!(
        out,
        "{accepted} in {}, {} given up; {} by the schedule",
        counted(report.attempts, "attempt"),
        report.exhausted,
        human_duration(report.lasted)
    )
}

fn came_back(tally: &FaultTally) -> String {
    let answers: Vec<String> =
        tally.answers.iter().map(|(answer, count)| format!("{count} × {answer}")).collect();
    let judged = tally.forgeries.map_or_else(String::new, |judged| {
        let ForgeryTally { refused, taken, not_judged } = judged;
        format!("; {refused} refused, {taken} taken, {not_judged} not judged")
    });
    format!("{}: {}{judged}", counted(tally.requests, "request"), answers.join(", "))
}

fn counted(count: usize, what: &str) -> String {
    let plural = if count == 1 { "" } else { "s" };
    format!("{count} {what}{plural}")
}
