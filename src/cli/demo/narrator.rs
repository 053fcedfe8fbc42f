//! Tells the audience what happens: a line for each attempt, and one for each turn of the story.

use crate::cli::demo::stage::{Note, Stage};
use crate::cli::{exchange, paint};
use crate::clock;
use crate::engine::{Engine, Outcome, Outcomes};
use crate::model::{
    AttemptOutcome, DeliveryState, FailureKind, Timestamp, Trigger, human_duration,
};
use crate::provider::Provider;
use std::io::{self, Write};
use std::time::Duration;
use tokio::sync::mpsc;

/// Prints attempts and notes in the order in which they come.
pub struct Narrator {
    engine: Engine,
    began: Timestamp,
    outcomes: Outcomes,
    notes: mpsc::UnboundedReceiver<Note>,
}

impl Narrator {
    /// Listens from now on.
    pub fn new(stage: &Stage, notes: mpsc::UnboundedReceiver<Note>) -> Self {
        let engine = stage.engine.clone();
        Self { outcomes: engine.outcomes(), began: stage.began, engine, notes }
    }

    /// Tells until nobody has anything more to note.
    pub async fn tell(&mut self, out: &mut dyn Write) -> io::Result<()> {
        loop {
            tokio::select! {
                // What a note is about comes before it.
                biased;
                Some(outcome) = self.outcomes.next() => self.attempt(&outcome, out)?,
                note = self.notes.recv() => match note {
                    Some(note) => self.note(&note, out)?,
                    None => break,
                },
            }
        }
        while let Some(Some(outcome)) = clock::within(Duration::ZERO, self.outcomes.next()).await {
            self.attempt(&outcome, out)?;
        }
        Ok(())
    }

    fn note(&self, note: &Note, out: &mut dyn Write) -> io::Result<()> {
        let (time, title, text) = (self.time(note.at), &note.title, &note.text);
        writeln!(out, "{}  {title:17}  {}", paint::faint(time), paint::name(text))
    }

    fn attempt(&self, outcome: &Outcome, out: &mut dyn Write) -> io::Result<()> {
        let Ok(endpoint) = self.engine.endpoint(outcome.endpoint) else { return Ok(()) };
        let Ok(provider) = self.engine.provider(&endpoint.provider) else { return Ok(()) };
        let what = match outcome.deliveries.as_slice() {
            [(_, event_type)] => event_type.to_string(),
            several => format!("{} events in one webhook", several.len()),
        };
        let attempt = &outcome.attempt;
        let turn = match attempt.trigger {
            Trigger::Scheduled => turn(attempt.number, provider.schedule().attempts()),
            Trigger::Manual => "hand".to_owned(),
            Trigger::Test => "test".to_owned(),
        };
        let next = match outcome.state {
            Some(DeliveryState::Waiting { due }) if !outcome.parks() => {
                format!("  {}", self.time(due))
            }
            Some(DeliveryState::Waiting { .. }) => "  parked".to_owned(),
            Some(DeliveryState::Exhausted { .. }) => "  given up".to_owned(),
            _ => String::new(),
        };
        let time = paint::faint(self.time(outcome.ended));
        let answer = answer(&attempt.outcome, &provider);
        writeln!(
            out,
            "{time}  {:17}  {what:27} {turn:>4}  {answer}{}",
            provider.title(),
            paint::faint(next)
        )
    }

    /// How far into the story an instant lies: `27:35:05`.
    fn time(&self, at: Timestamp) -> String {
        clock_face(at.since(self.began))
    }
}

/// A duration as the pages give their ladders: `27:35:05`.
pub fn clock_face(duration: Duration) -> String {
    let seconds = duration.as_secs();
    format!("{:02}:{:02}:{:02}", seconds / 3600, seconds / 60 % 60, seconds % 60)
}

/// Which attempt it is of how many: `2/8`. An endpoint that was parked gets more than planned.
fn turn(number: u32, planned: u32) -> String {
    if number <= planned { format!("{number}/{planned}") } else { number.to_string() }
}

fn answer(outcome: &AttemptOutcome, provider: &Provider) -> String {
    match outcome {
        // Nothing follows, so nothing has to be lined up.
        AttemptOutcome::Accepted(answer) => {
            paint::good(format!("+ {}", exchange::status(answer.status))).to_string()
        }
        AttemptOutcome::Rejected(answer) => {
            paint::warning(format!("- {:25}", exchange::status(answer.status))).to_string()
        }
        AttemptOutcome::Failed(failure) => {
            let words = match failure.kind {
                FailureKind::Timeout => {
                    format!("no answer within {}", human_duration(provider.timeout()))
                }
                kind => exchange::failure(kind),
            };
            paint::warning(format!("- {words:25}")).to_string()
        }
    }
}
