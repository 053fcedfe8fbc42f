//! A provider file in plain words, each line marked with whose word it is.

use crate::model::human_duration;
use crate::provider::envelope::Expression;
use crate::provider::profile::{
    Algorithm, Exhausted, Gone, Profile, Rotation, SecretEncoding, SecretOwner, SecretShown, Sign,
    StepFields,
};
use crate::provider::source::{Mark, Source};
use std::fmt::Display;

/// What a provider does, in words.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Description {
    /// The name for people.
    pub title: String,
    /// The page that it was read from.
    pub source: String,
    /// The parts, in the order of a webhook's life.
    pub sections: Vec<Section>,
}

/// One part of a description.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Section {
    /// Its heading.
    pub title: &'static str,
    /// Its lines.
    pub lines: Vec<Line>,
}

/// One statement.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Line {
    /// What is so.
    pub text: String,
    /// Whose word it is.
    pub mark: Mark,
}

struct Writer<'a> {
    source: &'a Source,
    lines: Vec<Line>,
}

impl Writer<'_> {
    /// Says `text`, which is so because of the value at `path`.
    fn say(&mut self, path: &str, text: impl Into<String>) {
        self.lines.push(Line { text: text.into(), mark: self.source.mark(path) });
    }

    fn section(&mut self, title: &'static str) -> Section {
        Section { title, lines: std::mem::take(&mut self.lines) }
    }
}

/// Writes the lines of one section.
type Part = fn(&mut Writer<'_>, &Profile);

/// Puts the file in words.
pub(super) fn describe(source: &Source, profile: &Profile) -> Description {
    let mut to = Writer { source, lines: Vec::new() };
    let parts: [(&'static str, Part); 10] = [
        ("Headers", headers),
        ("Signature", signature),
        ("Body", body),
        ("Success and failure", delivery),
        ("Retries", retries),
        ("Secret", secret),
        ("Ownership", ownership),
        ("Test events", test),
        ("Scenarios", scenarios),
        ("Consumers", consumers),
    ];
    let mut sections = Vec::with_capacity(parts.len());
    for (title, part) in parts {
        part(&mut to, profile);
        let section = to.section(title);
        if !section.lines.is_empty() {
            sections.push(section);
        }
    }
    Description { title: profile.title.clone(), source: profile.source.clone(), sections }
}

fn headers(to: &mut Writer<'_>, profile: &Profile) {
    for (index, (name, value)) in profile.request.headers.iter().enumerate() {
        to.say(&format!("request.headers[{index}]"), format!("{}: {}", name.0, value.source()));
    }
}

fn signature(to: &mut Writer<'_>, profile: &Profile) {
    for (index, sign) in profile.sign.iter().enumerate() {
        let algorithm = match sign.algorithm {
            Algorithm::HmacSha256 => "HMAC-SHA256",
            Algorithm::Ed25519 => "Ed25519",
        };
        let value = sign.value.as_ref().map_or("{signature}", |value| value.source());
        let text = format!(
            "{}: {value}, the signature being {algorithm} over {} in {}",
            sign.header.0,
            sign.content.source(),
            sign.encoding.words()
        );
        to.say(&format!("sign[{index}].content"), text);
    }
}

fn body(to: &mut Writer<'_>, profile: &Profile) {
    let envelope = &profile.envelope;
    for (index, (path, expression)) in envelope.fields.iter().enumerate() {
        let text = match path.as_str() {
            "*" => "the event's data itself".to_owned(),
            path => format!("`{path}`: {}", words(expression, profile)),
        };
        to.say(&format!("envelope.fields[{index}]"), text);
    }
    for (index, (path, expression)) in envelope.item.iter().flatten().enumerate() {
        let text = match path.as_str() {
            "*" => "in each event: the members of its data".to_owned(),
            path => format!("in each event, `{path}`: {}", words(expression, profile)),
        };
        to.say(&format!("envelope.item[{index}]"), text);
    }
    if let Some(most) = envelope.batch_max {
        to.say("envelope.batch_max", format!("up to {most} events in one webhook"));
    }
    if envelope.restamp {
        to.say("envelope.restamp", "the body is stamped and signed anew at every attempt");
    }
}

fn words(expression: &Expression, profile: &Profile) -> String {
    match expression {
        Expression::EventId => format!("the event's id, like `{}`", profile.ids.event.example()),
        Expression::EventType => "the event's type".to_owned(),
        Expression::EventTypeFirst => "the event's type up to the dot".to_owned(),
        Expression::EventTypeRest => "the event's type after the dot".to_owned(),
        Expression::EventTest => "whether it is a test event".to_owned(),
        Expression::EventMode => "`test` or `live`".to_owned(),
        Expression::EventTime(format) => format!("when it happened, {}", format.words()),
        Expression::EventData => "the event's data".to_owned(),
        Expression::AttemptTime(format) => format!("when this attempt is sent, {}", format.words()),
        Expression::AttemptNumber => "which attempt it is".to_owned(),
        Expression::WebhookId => {
            let form = profile.ids.webhook.as_ref().unwrap_or(&profile.ids.event);
            format!("the webhook's id, like `{}`", form.example())
        }
        Expression::Items => "the events".to_owned(),
    }
}

fn delivery(to: &mut Writer<'_>, profile: &Profile) {
    let delivery = &profile.delivery;
    let success = list(&delivery.success);
    to.say("delivery.success", format!("success is status {success}; redirects are failures"));
    let timeout = human_duration(delivery.timeout.0);
    to.say("delivery.timeout", format!("an attempt may take {timeout}"));
    let scheme = if delivery.https_only { "only https" } else { "http and https" };
    to.say("delivery.https_only", format!("endpoints: {scheme}"));
    if delivery.client_certificate {
        to.say("delivery.client_certificate", "a client certificate is shown where one is set");
    }
    if !delivery.authentication.is_empty() {
        let kinds: Vec<&str> = delivery.authentication.iter().map(|kind| kind.as_str()).collect();
        let text = format!("authentication towards the endpoint: {}", kinds.join(", "));
        to.say("delivery.authentication", text);
    }
    let gone = match delivery.gone {
        Gone::Retry => "status 410 is retried like any failure",
        Gone::Disable => "status 410 disables the endpoint",
    };
    to.say("delivery.gone", gone);
}

fn retries(to: &mut Writer<'_>, profile: &Profile) {
    let schedule = &profile.schedule;
    if let Some(delays) = &schedule.delays {
        let delays: Vec<String> = delays.iter().map(|delay| human_duration(delay.0)).collect();
        let text = match delays.is_empty() {
            true => "no retries".to_owned(),
            false => format!("{} after each failed attempt", delays.join(", ")),
        };
        to.say("schedule.delays", text);
    }
    if let Some(e) = &schedule.exponential {
        let text = format!(
            "{} attempts: the first delay is {}, each next {} times as long, up to {}",
            e.attempts,
            human_duration(e.first.0),
            e.factor,
            human_duration(e.cap.0)
        );
        to.say("schedule.exponential", text);
    }
    if schedule.jitter > 0.0 {
        let percent = (schedule.jitter * 100.0).round();
        to.say("schedule.jitter", format!("delays vary at random by {percent} % either way"));
    } else {
        to.say("schedule.jitter", "delays are exact");
    }
    match schedule.retry_after_max {
        Some(max) => {
            let text = format!("`Retry-After` is honoured, up to {}", human_duration(max.0));
            to.say("schedule.retry_after_max", text);
        }
        None => to.say("schedule.retry_after_max", "`Retry-After` is ignored"),
    }
    if let Some(throttle) = &schedule.throttle {
        let (statuses, least) = (list(&throttle.statuses), human_duration(throttle.delay.0));
        to.say("schedule.throttle", format!("status {statuses}: at least {least} until the next"));
    }
    let text = match profile.delivery.exhausted {
        Exhausted::Fail => "after the last attempt the delivery is failed; it can be replayed",
        Exhausted::Park => "after the last attempt the endpoint is parked and its queue waits",
    };
    to.say("delivery.exhausted", text);
}

fn secret(to: &mut Writer<'_>, profile: &Profile) {
    for (index, sign) in profile.sign.iter().enumerate() {
        to.say(&format!("sign[{index}].secret"), secret_words(sign));
    }
    let owner = match profile.secret.owner {
        SecretOwner::Endpoint => "every endpoint has its own",
        SecretOwner::Application => "one for all endpoints of an application",
    };
    to.say("secret.owner", owner);
    let shown = match profile.secret.shown {
        SecretShown::Always => "shown whenever its owner asks",
        SecretShown::Once => "shown once, when it is made",
    };
    to.say("secret.shown", shown);
    let rotation = match profile.secret.rotation {
        Rotation::Overlap => "when it is replaced, old and new both sign for a while",
        Rotation::Switch => "when it is replaced, only the new one signs from then on",
    };
    to.say("secret.rotation", rotation);
}

fn secret_words(sign: &Sign) -> String {
    let form = &sign.secret;
    let made = match form.encoding {
        SecretEncoding::Alnum => format!("{} random letters and digits", form.bytes),
        encoding => format!("{} random bytes in {}", form.bytes, encoding.words()),
    };
    let made = match form.prefix.as_str() {
        "" => made,
        prefix => format!("`{prefix}` and {made}"),
    };
    let shown = match &form.public_prefix {
        Some(prefix) => format!("; its owner sees the public key, `{prefix}…`"),
        None => String::new(),
    };
    format!("{}: {made}; a given one must be {}{shown}", sign.scheme, form.words())
}

fn ownership(to: &mut Writer<'_>, profile: &Profile) {
    let Some(challenge) = &profile.challenge else {
        to.say("challenge", "endpoints need not prove anything");
        return;
    };
    let query = &challenge.query;
    to.say("challenge.query", format!("GET with `{query}` and a random text in the query"));
    let answer = &challenge.answer;
    let text = format!(
        "the answer carries `{}`: HMAC-SHA256 of the text in {}",
        answer.header.0,
        answer.encoding.words()
    );
    to.say("challenge.answer", text);
    let probe = &challenge.probe;
    let (first, cap) = (human_duration(probe.first.0), human_duration(probe.cap.0));
    to.say(
        "challenge.probe",
        format!("a parked endpoint is asked after {first}, then up to {cap}"),
    );
}

fn test(to: &mut Writer<'_>, profile: &Profile) {
    let types = match &profile.test.only {
        Some(only) => format!("of type {}", list(only)),
        None => "of any type".to_owned(),
    };
    to.say("test", types);
    let fields = profile.envelope.fields.iter().enumerate();
    for (index, (path, expression)) in fields {
        let place = format!("envelope.fields[{index}]");
        match expression {
            Expression::EventTest => to.say(&place, format!("marked by `{path}` being true")),
            Expression::EventMode => to.say(&place, format!("marked by `{path}` being `test`")),
            _ => {}
        }
    }
    if let Some(form) = &profile.ids.test_event {
        to.say("ids.test_event", format!("marked by their ids, like `{}`", form.example()));
    }
    let types: Vec<&str> = profile.sample.iter().map(|sample| sample.event_type.as_str()).collect();
    to.say("sample[0]", format!("{} types with a sample", types.len()));
}

fn consumers(to: &mut Writer<'_>, profile: &Profile) {
    let Some(consumer) = &profile.consumer else {
        to.say("consumer", "nothing is asked of them");
        return;
    };
    if let Some(age) = &consumer.stale_after {
        let age = human_duration(age.0);
        to.say("consumer.stale_after", format!("a webhook older than {age} is to be refused"));
    }
    if let Some(lead) = &consumer.future_after {
        let lead = human_duration(lead.0);
        let text = format!("one more than {lead} ahead of their time is to be refused");
        to.say("consumer.future_after", text);
    }
    if let Some(name) = &consumer.duplicates {
        to.say("consumer.duplicates", format!("duplicates are told by `{name}`"));
    }
    if !consumer.refusal.is_empty() {
        let text = format!("what is not genuine is answered with {}", list(&consumer.refusal));
        to.say("consumer.refusal", text);
    }
    if let Some(path) = &consumer.own {
        to.say("consumer.own", format!("own events are told by `{path}` in the data"));
    }
    if !consumer.things.is_empty() {
        let text = format!("{} in the data name what an event is about", list(&consumer.things));
        to.say("consumer.things", text);
    }
    if !consumer.sequence.is_empty() {
        let types: Vec<&str> = consumer.sequence.iter().map(|(held, _)| held.as_str()).collect();
        to.say("consumer.sequence", format!("one thing goes through {}", types.join(", ")));
    }
    for (index, rule) in consumer.rule.iter().enumerate() {
        let weight = if rule.must { "demanded" } else { "advised" };
        let text = format!("{weight} in “{}”: {}", rule.section, list(&rule.about));
        to.say(&format!("consumer.rule[{index}].section"), text);
    }
}

fn scenarios(to: &mut Writer<'_>, profile: &Profile) {
    for (index, scenario) in profile.scenario.iter().enumerate() {
        let step = |step: &StepFields| match &step.after {
            Some(after) => format!("{} (+{})", step.event_type, human_duration(after.0)),
            None => step.event_type.clone(),
        };
        let steps: Vec<String> = scenario.steps.iter().map(step).collect();
        let text = format!("`{}`: {}: {}", scenario.name, scenario.title, steps.join(", "));
        to.say(&format!("scenario[{index}].steps"), text);
    }
}

fn list<T: Display>(items: &[T]) -> String {
    let texts: Vec<String> = items.iter().map(T::to_string).collect();
    texts.join(", ")
}
