//! A simulation in JSON: one object a line, the first of kind `start`, the last of kind `report`.

use super::Teller;
use crate::cli::{exchange, json_text};
use crate::model::{AttemptOutcome, Failure, RecordedRequest, Response, Timestamp, Trigger};
use crate::simulate::{End, Exchange, Fault, Forgery, ForgeryVerdict, Report, Simulation, Step};
use serde_json::{Map, Value, json};
use std::io::{self, Write};
use std::time::Duration;

/// Prints objects.
pub(super) struct Objects {
    url: String,
    at: Option<Timestamp>,
    verbose: bool,
}

impl Objects {
    pub(super) fn new(url: String, at: Option<Timestamp>, verbose: bool) -> Self {
        Self { url, at, verbose }
    }
}

impl Teller for Objects {
    fn start(
        &mut self,
        simulation: &Simulation,
        is_made: bool,
        out: &mut dyn Write,
    ) -> io::Result<()> {
        let provider = simulation.provider();
        let mut start = json!({
            "kind": "start",
            "provider": provider.name(),
            "title": provider.title(),
            "url": self.url,
            "events": simulation.events(),
            "seed": simulation.seed(),
            "notes": simulation.notes(),
            "at": self.at.map(|at| at.rfc3339(3)),
        });
        if is_made {
            put(&mut start, "secret", simulation.secret().expose());
        }
        write(&start, out)?;
        // Whoever reads may have to hand the secret on before anything is sent.
        out.flush()
    }

    fn step(&mut self, step: &Step, out: &mut dyn Write) -> io::Result<()> {
        let object = match step {
            Step::Proven => json!({"kind": "proven"}),
            Step::Exchange(told) => exchange_object(told, self.verbose),
            Step::Forgery(forgery) => forgery_object(forgery, self.verbose),
            Step::Parked(reason) => json!({"kind": "parked", "reason": reason}),
            Step::Resumed => json!({"kind": "resumed"}),
            Step::Unsent(reason) => json!({"kind": "unsent", "reason": reason}),
        };
        write(&object, out)?;
        out.flush()
    }

    fn end(&mut self, report: &Report, out: &mut dyn Write) -> io::Result<()> {
        let (end, reason) = match &report.end {
            End::Settled => ("settled", None),
            End::NotProven(reason) => ("not-proven", Some(reason)),
            End::Parked => ("parked", None),
            End::Disabled(reason) => ("disabled", Some(reason)),
            End::Interrupted => ("interrupted", None),
        };
        let faults: Map<String, Value> = report
            .faults
            .iter()
            .map(|(fault, tally)| {
                let mut object = json!({"requests": tally.requests, "answers": tally.answers});
                if let Some(judged) = tally.forgeries {
                    put(&mut object, "refused", judged.refused);
                    put(&mut object, "taken", judged.taken);
                    put(&mut object, "not_judged", judged.not_judged);
                }
                (fault.name().to_owned(), object)
            })
            .collect();
        let not_played: Map<String, Value> = report
            .not_played
            .iter()
            .map(|missed| (missed.fault.name().to_owned(), missed.reason.clone().into()))
            .collect();
        let object = json!({
            "kind": "report",
            "success": report.is_success(),
            "end": end,
            "reason": reason,
            "seed": report.seed,
            "events": report.events,
            "accepted": report.accepted,
            "given_up": report.exhausted,
            "excused": report.excused,
            "attempts": report.attempts,
            "schedule_seconds": report.lasted.as_secs_f64(),
            "faults": faults,
            "not_played": not_played,
            "wrong": report.wrong,
            "warnings": report.warnings,
        });
        write(&object, out)
    }
}

fn put(object: &mut Value, name: &str, value: impl Into<Value>) {
    if let Some(object) = object.as_object_mut() {
        object.insert(name.to_owned(), value.into());
    }
}

fn write(object: &Value, out: &mut dyn Write) -> io::Result<()> {
    writeln!(out, "{}", json_text::line(object))
}

fn exchange_object(told: &Exchange, verbose: bool) -> Value {
    let attempt = &told.outcome.attempt;
    let events: Vec<&str> =
        told.outcome.deliveries.iter().map(|(_, event_type)| event_type.as_str()).collect();
    let trigger = match attempt.trigger {
        Trigger::Scheduled => "schedule",
        Trigger::Manual => "replay",
        Trigger::Test => "test",
    };
    let mut object = json!({
        "kind": "exchange",
        "events": events,
        "id": told.id,
        "attempt": attempt.number,
        "trigger": trigger,
        "faults": names(&told.faults),
        "waited_seconds": told.waited.map(|waited| waited.as_secs_f64()),
        "accepted": attempt.outcome.is_success(),
        "again_in_seconds": told.again.map(|again| again.as_secs_f64()),
        "given_up": told.is_given_up(),
    });
    let failure = match &attempt.outcome {
        AttemptOutcome::Failed(failure) => Some(failure),
        _ => None,
    };
    answered(&mut object, attempt.outcome.response(), failure, attempt.duration);
    if verbose {
        put(&mut object, "request", request_object(&attempt.request));
        put(
            &mut object,
            "response",
            attempt.outcome.response().map_or(Value::Null, response_object),
        );
    }
    object
}

fn forgery_object(forgery: &Forgery, verbose: bool) -> Value {
    let sent = &forgery.sent;
    let mut object = json!({
        "kind": "forgery",
        "events": [forgery.event_type.as_str()],
        "id": forgery.id,
        "faults": names(&[forgery.fault]),
        "verdict": match forgery.verdict {
            ForgeryVerdict::Taken => "taken",
            ForgeryVerdict::Refused => "refused",
            ForgeryVerdict::NotJudged => "not-judged",
        },
    });
    answered(&mut object, sent.result.as_ref().ok(), sent.result.as_ref().err(), sent.duration);
    if verbose {
        put(&mut object, "request", request_object(&sent.request));
        put(
            &mut object,
            "response",
            sent.result.as_ref().ok().map_or(Value::Null, response_object),
        );
    }
    object
}

/// Puts in what came back: a status, or a failure.
fn answered(
    object: &mut Value,
    response: Option<&Response>,
    failure: Option<&Failure>,
    took: Duration,
) {
    put(object, "failure", failure.map_or(
        Value::Null,
        |failure| json!({"kind": exchange::failure(failure.kind), "detail": failure.to_string()}),
    ));
    put(object, "status", response.map(|response| response.status));
    put(object, "milliseconds", u64::try_from(took.as_millis()).unwrap_or(u64::MAX));
}

fn names(faults: &[Fault]) -> Vec<&'static str> {
    faults.iter().map(|fault| fault.name()).collect()
}

fn request_object(request: &RecordedRequest) -> Value {
    json!({
        "method": request.method,
        "url": request.url,
        "headers": request.headers,
        "body": String::from_utf8_lossy(&request.body),
    })
}

fn response_object(response: &Response) -> Value {
    json!({
        "status": response.status,
        "headers": response.headers,
        "body": String::from_utf8_lossy(&response.body),
    })
}
