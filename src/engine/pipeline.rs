//! From a ready webhook to a recorded attempt.

use crate::dispatch::recipient::Recipient;
use crate::dispatch::run::Command;
use crate::dispatch::{ClientCredentials, OutboundRequest};
use crate::engine::Inner;
use crate::error::{Error, Result};
use crate::id_source::fill_random;
use crate::model::{
    Attempt, AttemptId, AttemptOutcome, Authentication, DeliveryId, DeliveryState, EndpointId,
    EventType, Failure, FailureKind, Held, QueueItem, ReadyWebhook, RecordedRequest, Secret,
    Timestamp, Trigger, WebhookId,
};
use crate::provider::Webhook;
use crate::record::{self, Effect, Facts, Verdict};
use crate::store::ledger;
use crate::store::{Change, FormedWebhook, Record, Store};
use crate::wheel::window;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use std::sync::Arc;
use zeroize::Zeroizing;

/// What came of an attempt, as [`Engine::outcomes`](crate::Engine::outcomes) tells it.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// Where it went.
    pub endpoint: EndpointId,
    /// The deliveries that it carried, with the types of their events.
    pub deliveries: Vec<(DeliveryId, EventType)>,
    /// The attempt.
    pub attempt: Attempt,
    /// The schedule's time when the attempt was over, from which the next one's delay counts.
    pub ended: Timestamp,
    /// The state of the deliveries from now on; `None` when it stays as it was.
    pub state: Option<DeliveryState>,
}

impl Outcome {
    /// Whether it was the last attempt for a provider that parks the endpoint then: the deliveries
    /// wait, and no delay says until when.
    pub fn parks(&self) -> bool {
        matches!(self.state, Some(DeliveryState::Waiting { due }) if due <= self.ended)
    }
}

impl Inner {
    /// Sends a webhook, records the attempt, and lets its lane go on.
    pub async fn send(self: Arc<Self>, recipient: &Arc<Recipient>, item: ReadyWebhook) {
        let endpoint = recipient.endpoint.id;
        let webhook = item.webhook;
        let settled = match self.attempt(recipient, item).await {
            Ok(outcome) => outcome.attempt.outcome.is_success(),
            Err(error) => {
                tracing::error!(%endpoint, %webhook, %error, "an attempt could not be recorded");
                false
            }
        };
        self.dispatcher.tell(Command::Finished { endpoint, webhook, settled });
    }

    /// Makes one attempt and records it.
    pub async fn attempt(
        self: &Arc<Self>,
        recipient: &Arc<Recipient>,
        item: ReadyWebhook,
    ) -> Result<Arc<Outcome>> {
        let attempt = self.exchange(recipient, &item).await?;
        let ended = self.clock.now();
        self.dispatcher.tell(Command::Answered(recipient.endpoint.id, item.webhook));
        let verdict = self.decide(recipient, &item, &attempt.outcome, ended).await?;
        let endpoint = recipient.endpoint.id;
        if verdict.stays_first
            && let Some(place) = verdict.enqueue
        {
            self.window.hold(endpoint, place).await;
        }
        let record = Record {
            endpoint,
            events: item.events.clone(),
            attempt: attempt.clone(),
            state: verdict.state,
            dequeue: verdict.dequeue.clone(),
            enqueue: verdict.enqueue,
            progress: verdict.progress,
        };
        self.committer.record(record).await?;
        let deliveries = item
            .events
            .iter()
            .map(|event| (DeliveryId { event: event.id, endpoint }, event.event_type.clone()));
        let outcome = Arc::new(Outcome {
            endpoint,
            deliveries: deliveries.collect(),
            attempt,
            ended,
            state: verdict.state,
        });
        self.after_record(recipient, item, verdict).await;
        // Nobody may be listening.
        let _ = self.outcomes.send(Arc::clone(&outcome));
        Ok(outcome)
    }

    /// Lets lanes, window and endpoint know what a recorded attempt means for them.
    async fn after_record(
        self: &Arc<Self>,
        recipient: &Recipient,
        mut item: ReadyWebhook,
        verdict: Verdict,
    ) {
        let endpoint = recipient.endpoint.id;
        if item.held == Held::Fresh && item.trigger != Trigger::Test {
            recipient.gate.release(item.bytes());
        }
        match verdict.effect {
            Effect::None => {}
            Effect::Accepted => self.accepted(recipient).await,
            Effect::Disable(reason) => self.disable_for(endpoint, reason).await,
            Effect::Park(reason) => self.park(endpoint, reason).await,
        }
        for place in verdict.dequeue {
            self.window.tell(window::Command::Released(endpoint, place));
        }
        let Some(place) = verdict.enqueue else { return };
        if verdict.stays_first {
            item.not_before = verdict.progress.not_before;
            item.held = Held::Queued(place);
            // The attempt itself is counted when the lane hears that it finished.
            item.scheduled_attempts += 1;
            self.dispatcher.tell(Command::ReturnFirst(endpoint, Box::new(item)));
        } else {
            self.window.tell(window::Command::Waiting(endpoint, place.due));
        }
    }

    async fn decide(
        self: &Arc<Self>,
        recipient: &Recipient,
        item: &ReadyWebhook,
        outcome: &AttemptOutcome,
        now: Timestamp,
    ) -> Result<Verdict> {
        let mut scheduled = None;
        if item.trigger == Trigger::Manual {
            let (endpoint, webhook) = (recipient.endpoint.id, item.webhook);
            let look_up = move |store: &dyn Store| ledger::ledger(store, endpoint, webhook);
            let ledger = self.blocking(look_up).await?;
            scheduled = ledger.and_then(|ledger| ledger.place());
        }
        Ok(record::decide(&Facts {
            provider: &recipient.provider,
            item,
            outcome,
            now,
            wall: self.clock.wall(),
            random: random_fraction()?,
            ordered: recipient.is_ordered(),
            scheduled,
        }))
    }

    /// Renders, signs and sends; what cannot be built is a failed attempt like any other.
    async fn exchange(&self, recipient: &Recipient, item: &ReadyWebhook) -> Result<Attempt> {
        let endpoint = &recipient.endpoint;
        let now = self.clock.wall();
        let mut attempt = Attempt {
            id: AttemptId::from_uuid(self.ids.next()?),
            webhook: item.webhook,
            number: item.attempts + 1,
            trigger: item.trigger,
            started_at: now,
            duration: std::time::Duration::ZERO,
            request: RecordedRequest {
                method: "POST".to_owned(),
                url: endpoint.url.clone(),
                ..RecordedRequest::default()
            },
            outcome: AttemptOutcome::Failed(Failure {
                kind: FailureKind::Unsendable,
                detail: String::new(),
            }),
        };
        let keys = recipient.live_keys(now);
        let rendered = recipient.provider.render(&Webhook {
            webhook: item.webhook,
            events: &item.events,
            endpoint: endpoint.id,
            attempt: attempt.number,
            now,
            url: &endpoint.url,
            keys: &keys,
            settings: &endpoint.settings,
        });
        let rendered = match rendered {
            Ok(rendered) => rendered,
            Err(error) => {
                let detail = error.to_string();
                attempt.outcome =
                    AttemptOutcome::Failed(Failure { kind: FailureKind::Unsendable, detail });
                return Ok(attempt);
            }
        };
        let mut headers = rendered.headers;
        headers.extend(endpoint.headers.iter().cloned());
        let credential = match self.credential(recipient).await {
            Ok(credential) => credential,
            Err(failure) => {
                attempt.request.headers = headers;
                attempt.request.body = rendered.body;
                attempt.outcome = AttemptOutcome::Failed(failure);
                return Ok(attempt);
            }
        };
        headers.extend(credential.iter().map(Credential::header));
        let exchange = self
            .egress
            .exchange(OutboundRequest {
                method: http::Method::POST,
                url: endpoint.url.clone(),
                headers,
                body: rendered.body.clone(),
                timeout: recipient.provider.timeout(),
                https_only: self.https_only(&recipient.provider),
                identity: recipient.identity.clone(),
            })
            .await;
        attempt.duration = exchange.duration;
        attempt.request.headers = masked(exchange.headers_sent, credential.as_ref());
        attempt.request.body = rendered.body;
        attempt.outcome = match exchange.result {
            Ok(answer) if recipient.provider.is_success(answer.status) => {
                AttemptOutcome::Accepted(answer)
            }
            Ok(answer) => {
                let token = credential.as_ref().and_then(|held| held.token.as_ref());
                if let (401, Some(token)) = (answer.status, token) {
                    self.tokens.forget(endpoint.id, token);
                }
                AttemptOutcome::Rejected(answer)
            }
            Err(failure) => AttemptOutcome::Failed(failure),
        };
        Ok(attempt)
    }

    /// The header that authenticates us towards the endpoint.
    pub(super) async fn credential(
        &self,
        recipient: &Recipient,
    ) -> Result<Option<Credential>, Failure> {
        let authorization = |value: String, token| {
            Some(Credential { name: "Authorization".to_owned(), value, token })
        };
        Ok(match &recipient.authentication {
            Authentication::None => None,
            Authentication::Basic { username, password } => {
                let pair = Zeroizing::new(format!("{username}:{}", password.expose()));
                authorization(format!("Basic {}", BASE64.encode(pair.as_bytes())), None)
            }
            Authentication::Header { name, value } => Some(Credential {
                name: name.clone(),
                value: value.expose().to_owned(),
                token: None,
            }),
            Authentication::OAuth2 { token_url, client_id, client_secret, scope } => {
                let credentials = ClientCredentials {
                    token_url,
                    client_id,
                    client_secret,
                    scope: scope.as_deref(),
                };
                let endpoint = recipient.endpoint.id;
                let now = self.clock.wall();
                let token = self.tokens.token(&self.egress, endpoint, &credentials, now).await?;
                authorization(format!("Bearer {}", token.expose()), Some(token))
            }
        })
    }

    /// Makes one webhook of several events, and hands it back to its lane. The set is on disk
    /// before it is first sent, so that it stays the same whatever happens.
    pub async fn form(self: Arc<Self>, recipient: &Arc<Recipient>, items: Vec<ReadyWebhook>) {
        let endpoint = recipient.endpoint.id;
        let Some(first) = items.first().map(|item| item.webhook) else { return };
        if let Err(error) = self.form_webhook(recipient, items).await {
            tracing::error!(%endpoint, %error, "a batch could not be stored");
        }
        self.dispatcher.tell(Command::Finished { endpoint, webhook: first, settled: false });
    }

    async fn form_webhook(&self, recipient: &Recipient, items: Vec<ReadyWebhook>) -> Result<()> {
        let endpoint = recipient.endpoint.id;
        let id = WebhookId::from_uuid(self.ids.next()?);
        let due = items.iter().map(|item| item.accepted_due).min().unwrap_or(self.clock.now());
        let mut events = Vec::new();
        let mut dequeue = Vec::new();
        for item in &items {
            if let Held::Queued(place) = item.held {
                dequeue.push(place);
            }
            events.extend(item.events.iter().cloned());
        }
        let webhook = FormedWebhook {
            id,
            endpoint,
            events: events.iter().map(|event| event.id).collect(),
            due,
        };
        let place = QueueItem { due, webhook: id, manual: false };
        self.window.hold(endpoint, place).await;
        let change = Change::Form { webhook, dequeue: dequeue.clone() };
        if let Err(error) = self.committer.change(vec![change]).await {
            self.window.tell(window::Command::Released(endpoint, place));
            self.dispatcher
                .tell(Command::Arrive(items.into_iter().map(|item| (endpoint, item)).collect()));
            return Err(error);
        }
        for item in items.iter().filter(|item| item.held == Held::Fresh) {
            recipient.gate.release(item.bytes());
        }
        for place in dequeue {
            self.window.tell(window::Command::Released(endpoint, place));
        }
        let formed = ReadyWebhook {
            webhook: id,
            events,
            trigger: Trigger::Scheduled,
            attempts: 0,
            scheduled_attempts: 0,
            held: Held::Queued(place),
            accepted_due: due,
            not_before: Timestamp::EPOCH,
            formed: true,
        };
        self.dispatcher.tell(Command::ReturnFirst(endpoint, Box::new(formed)));
        Ok(())
    }

    /// Moves deliveries from memory to the queue on disk.
    pub fn spill(self: &Arc<Self>, items: Vec<(EndpointId, ReadyWebhook)>) {
        let mut changes = Vec::with_capacity(items.len());
        let mut places = Vec::with_capacity(items.len());
        for (endpoint, item) in &items {
            let place = QueueItem { due: item.accepted_due, webhook: item.webhook, manual: false };
            changes.push(Change::Spill(*endpoint, place));
            places.push((*endpoint, place));
        }
        let inner = Arc::clone(self);
        tokio::spawn(async move {
            while let Err(error) = inner.committer.change(changes.clone()).await {
                if !error.is_unavailable() {
                    return;
                }
                crate::clock::pause(std::time::Duration::from_millis(500)).await;
            }
            for (endpoint, item) in &items {
                if let Ok(recipient) = inner.directory.recipient(*endpoint) {
                    recipient.gate.release(item.bytes());
                }
            }
            for (endpoint, place) in places {
                inner.window.tell(window::Command::Waiting(endpoint, place.due));
            }
        });
    }

    /// Puts every fresh delivery that the store holds into its lane: at the start, and after the
    /// store failed, when a commit may have reached the disk without our knowledge.
    pub async fn take_up_fresh(self: &Arc<Self>) {
        let fresh = match self.blocking(|store| store.fresh()).await {
            Ok(fresh) => fresh,
            Err(error) => {
                tracing::error!(%error, "fresh deliveries could not be read");
                return;
            }
        };
        let items = fresh.into_iter().map(|(endpoint, acceptance)| {
            let webhook = ledger::single(acceptance.event.id);
            let item = fresh_item(webhook, Arc::clone(&acceptance.event), acceptance.due);
            (endpoint, item)
        });
        // What is in a lane or in flight already is known there by its webhook.
        self.dispatcher.tell(Command::ArriveOnce(items.collect()));
    }

    /// Whether `http:` is refused for a provider: never when opened for development.
    pub fn https_only(&self, provider: &crate::provider::Provider) -> bool {
        provider.https_only() && !self.config.egress.development
    }
}

/// A new delivery for its lane.
pub(crate) fn fresh_item(
    webhook: WebhookId,
    event: Arc<crate::model::Event>,
    due: Timestamp,
) -> ReadyWebhook {
    ReadyWebhook {
        webhook,
        events: vec![event],
        trigger: Trigger::Scheduled,
        attempts: 0,
        scheduled_attempts: 0,
        held: Held::Fresh,
        accepted_due: due,
        not_before: Timestamp::EPOCH,
        formed: false,
    }
}

/// A header that authenticates us.
pub(super) struct Credential {
    name: String,
    value: String,
    /// The token in it, to be forgotten when it is refused.
    token: Option<Secret>,
}

impl Credential {
    pub fn header(&self) -> (String, String) {
        (self.name.clone(), self.value.clone())
    }
}

/// Headers as they are recorded: what authenticates us is masked.
fn masked(
    mut headers: Vec<(String, String)>,
    credential: Option<&Credential>,
) -> Vec<(String, String)> {
    let Some(credential) = credential else { return headers };
    for (name, value) in &mut headers {
        if name.eq_ignore_ascii_case(&credential.name) {
            "***".clone_into(value);
        }
    }
    headers
}

/// A random number in 0..1.
fn random_fraction() -> Result<f64, Error> {
    let mut bytes = [0_u8; 4];
    fill_random(&mut bytes)?;
    Ok(f64::from(u32::from_le_bytes(bytes)) / (f64::from(u32::MAX) + 1.0))
}
