//! A consumer: what somebody writes who has read a provider's page, well or badly.

use crate::provider::{Event, Provider};
use crate::server::{Answer, Request};
use crate::signature::{hex, hmac_sha256, is_genuine};
use crate::vice::Vice;
use hookwheel::clock::{self, Clock};
use serde_json::Value;
use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// Citizen Ticket's page, and the Standard Webhooks libraries.
const TOLERANCE_SECONDS: i64 = 300;
/// Yoco's page on verifying events recommends up to 3 minutes.
const YOCO_TOLERANCE_SECONDS: i64 = 180;
/// How long work takes that is done after the answer.
const WORK: Duration = Duration::from_millis(60);
/// How long work takes before its id is kept: on a busy machine, requests that are sent at the same
/// moment may arrive apart.
const LONG_WORK: Duration = Duration::from_millis(250);

/// Takes webhooks of one provider.
pub struct Consumer {
    provider: Provider,
    vice: Vice,
    /// The newest first.
    secrets: Vec<String>,
    slowness: Duration,
    worker: tokio::sync::Mutex<()>,
    memory: Mutex<Memory>,
    effects: AtomicUsize,
}

#[derive(Default)]
struct Memory {
    ids: HashSet<String>,
    /// Ids that are kept once their work is done.
    at_work: Vec<String>,
    stages: HashMap<String, u8>,
    things: HashSet<String>,
}

/// Why a genuine webhook is not thanked for.
struct Refusal(u16);

impl Consumer {
    /// One that has these secrets, the newest first, and nothing done yet.
    pub fn new(provider: Provider, vice: Vice, secrets: &[&str]) -> Self {
        let kept = if vice == Vice::ForgetsTheOldSecret { 1 } else { usize::MAX };
        Self {
            provider,
            vice,
            secrets: secrets.iter().take(kept).map(|&secret| secret.to_owned()).collect(),
            slowness: Duration::ZERO,
            worker: tokio::sync::Mutex::default(),
            memory: Mutex::default(),
            effects: AtomicUsize::new(0),
        }
    }

    /// Takes this long for each webhook, if its vice is to be slow.
    pub fn slowness(mut self, slowness: Duration) -> Self {
        self.slowness = slowness;
        self
    }

    /// How much it has done: orders completed, receipts kept.
    pub fn effects(&self) -> usize {
        self.effects.load(Ordering::SeqCst)
    }

    /// Answers a request.
    pub async fn serve(this: &Arc<Self>, request: Request) -> Answer {
        match this.vice {
            Vice::TooSlow => clock::pause(this.slowness).await,
            Vice::OneAtATime => {
                let _worker = this.worker.lock().await;
                clock::pause(this.slowness).await;
            }
            _ => {}
        }
        let (answer, effects) = this.take(&request);
        if this.vice == Vice::WorksLater {
            let this = Arc::clone(this);
            tokio::spawn(async move {
                clock::pause(WORK).await;
                this.effects.fetch_add(effects, Ordering::SeqCst);
            });
        } else {
            if this.vice == Vice::ForgetsWhileItWorks {
                clock::pause(LONG_WORK).await;
                let mut memory = this.memory.lock().unwrap();
                let done = std::mem::take(&mut memory.at_work);
                memory.ids.extend(done);
            }
            this.effects.fetch_add(effects, Ordering::SeqCst);
        }
        answer
    }

    /// The answer to a request, and how many effects it has.
    pub fn take(&self, request: &Request) -> (Answer, usize) {
        if self.provider == Provider::OpenCard && request.method == "GET" {
            return (self.challenge(&request.query), 0);
        }
        match self.process(request) {
            Ok(effects) => (Answer::status(self.provider.thanks()), effects),
            Err(_) if self.vice == Vice::AnswersBeforeVerifying => {
                (Answer::status(self.provider.thanks()), 0)
            }
            Err(Refusal(status)) => (Answer::status(status), 0),
        }
    }

    fn process(&self, request: &Request) -> Result<usize, Refusal> {
        if request.method != "POST" {
            return Err(Refusal(405));
        }
        let content_type = request.header("Content-Type").unwrap_or_default();
        let is_exact = content_type == "application/json";
        if self.vice == Vice::DemandsExactContentType && !is_exact {
            return Err(Refusal(415));
        }
        let forged = Refusal(match self.vice {
            Vice::WrongRefusalStatus => 400,
            Vice::RefusesWith403 => 403,
            _ => self.provider.refusal(),
        });
        let unusable = match self.vice {
            Vice::SwallowsErrors => Ok(0),
            _ => Err(Refusal(400)),
        };
        let is_signed = request.header(self.provider.signature_header()).is_some();
        if self.vice == Vice::FailsWhenUnsigned && !is_signed {
            return Err(Refusal(500));
        }
        if self.vice == Vice::KeepsIdsOfForgeries && !self.is_first(request) {
            return Ok(0);
        }
        if !is_genuine(self.provider, self.vice, &self.secrets, request) {
            return Err(forged);
        }
        let Ok(body) = serde_json::from_slice::<Value>(&request.body) else { return unusable };
        let id = request.header("webhook-id").map(str::to_owned);
        let kind = request.header("X-Event").map(str::to_owned);
        let Some(events) = self.provider.events(&body, id, kind) else { return unusable };
        if self.vice != Vice::IgnoresTimestamps && !self.is_fresh(request, &body) {
            return Err(forged);
        }
        if self.vice == Vice::RefusesLateRetries && self.provider.happened_long_ago(&body) {
            return Err(forged);
        }
        if self.vice == Vice::RefusesUnknownFields && self.provider.has_unknown_members(&body) {
            return Err(Refusal(422));
        }
        if self.vice == Vice::KeepsIdsOfWebhooks {
            let webhook = body["meta"]["webhook_id"].as_str().unwrap_or_default().to_owned();
            if !self.memory.lock().unwrap().ids.insert(webhook) {
                return Ok(0);
            }
        }
        let taken = match self.vice {
            Vice::TakesTheFirstOfABatch => 1,
            Vice::TakesTwoOfABatch => 2,
            _ => usize::MAX,
        };
        events.iter().take(taken).map(|event| self.handle(event)).sum()
    }

    /// Whether none of the ids in a request, genuine or not, has come before.
    fn is_first(&self, request: &Request) -> bool {
        let id = request.header("webhook-id").map(str::to_owned);
        let body = serde_json::from_slice::<Value>(&request.body).unwrap_or_default();
        let events = self.provider.events(&body, id, None).unwrap_or_default();
        let mut memory = self.memory.lock().unwrap();
        events.into_iter().filter_map(|event| event.id).all(|id| memory.ids.insert(id))
    }

    /// Whether an event with this id has not been handled yet; it is kept from now on.
    fn is_new(&self, memory: &mut Memory, id: &str) -> bool {
        match self.vice {
            Vice::KeepsIdsOfForgeries | Vice::KeepsIdsOfWebhooks => true,
            Vice::ForgetsWhileItWorks => {
                memory.at_work.push(id.to_owned());
                !memory.ids.contains(id)
            }
            _ => memory.ids.insert(id.to_owned()),
        }
    }

    fn is_fresh(&self, request: &Request, body: &Value) -> bool {
        let now = Clock::system().now().as_unix_seconds();
        let headers_differ_by = |tolerance: i64| {
            let sent = request.header("webhook-timestamp").and_then(|text| text.parse().ok());
            sent.is_some_and(|sent: i64| (now - sent).abs() <= tolerance)
        };
        match self.provider {
            // Its page has what is older discarded, and does not speak of the future.
            Provider::CitizenTicket => {
                Provider::time_in_body(body).is_some_and(|sent| now - sent <= TOLERANCE_SECONDS)
            }
            Provider::Yoco => headers_differ_by(YOCO_TOLERANCE_SECONDS),
            Provider::StandardWebhooks => headers_differ_by(TOLERANCE_SECONDS),
            _ => true,
        }
    }

    /// Handles one event, and says how many effects it has.
    fn handle(&self, event: &Event) -> Result<usize, Refusal> {
        if self.vice == Vice::RefusesUnknownEvents && !self.provider.knows(&event.kind) {
            return Err(Refusal(422));
        }
        if event.is_foreign && self.vice != Vice::HandlesForeign {
            return if self.vice == Vice::RefusesForeign { Err(Refusal(403)) } else { Ok(0) };
        }
        let mut memory = self.memory.lock().unwrap();
        let is_new = event.id.as_ref().is_none_or(|id| self.is_new(&mut memory, id));
        if !is_new && self.vice != Vice::DoublesEffects {
            return if self.vice == Vice::RefusesDuplicates { Err(Refusal(409)) } else { Ok(0) };
        }
        if let Some((thing, stage)) = &event.stage {
            let reached = memory.stages.entry(thing.clone()).or_default();
            if self.vice == Vice::RefusesOutOfOrder && *reached > *stage {
                return Err(Refusal(409));
            }
            *reached = (*reached).max(*stage);
        }
        let matters = event.is_live && self.provider.matters(&event.kind);
        let is_kept = match (self.vice, &event.stage) {
            (Vice::KeepsThings, Some((thing, _))) if matters => {
                !memory.things.insert(thing.clone())
            }
            _ => false,
        };
        Ok(usize::from(matters && !is_kept))
    }

    /// OpenCard's page: `hash_hmac('sha256', challenge, webhook_secret)` in `x-verify-token`.
    fn challenge(&self, query: &str) -> Answer {
        let challenge = match self.vice {
            Vice::IgnoresChallenge => None,
            Vice::BreaksOnQuery => query.strip_prefix("challenge=").map(str::to_owned),
            _ => url::form_urlencoded::parse(query.as_bytes())
                .find(|(name, _)| name == "challenge")
                .map(|(_, value)| value.into_owned()),
        };
        let Some(challenge) = challenge else { return Answer::status(200) };
        let token = hex(&hmac_sha256(self.secrets[0].as_bytes(), challenge.as_bytes()));
        let token = match self.vice {
            Vice::AnswersInUpperCase => token.to_uppercase(),
            _ => token,
        };
        Answer { header: Some(("x-verify-token", token)), ..Answer::status(200) }
    }
}
