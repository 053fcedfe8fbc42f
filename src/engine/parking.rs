//! Challenges; endpoints that are parked until they answer one, or disabled by their own word.

use crate::dispatch::recipient::Recipient;
use crate::dispatch::{OutboundRequest, Upload};
use crate::engine::{Engine, Inner, ProbeStatus};
use crate::error::{Error, ErrorKind, Result};
use crate::model::{Endpoint, EndpointId, EndpointState};
use crate::provider::Moment;
use backoff::ExponentialBackoff;
use backoff::backoff::Backoff;
use bytes::Bytes;
use std::sync::Arc;
use std::time::Duration;

impl Engine {
    /// How the probing of a parked endpoint stands; `None` for one that is not parked.
    pub fn probe_status(&self, id: EndpointId) -> Option<ProbeStatus> {
        let endpoint = self.inner.directory.endpoint(id).ok()?;
        let is_parked = matches!(endpoint.state, EndpointState::Parked { .. });
        self.inner.probes.status(id).filter(|_| is_parked)
    }
}

impl Inner {
    /// Challenges an endpoint, where its provider does that at `moment`.
    pub(super) async fn challenge(&self, recipient: &Recipient, moment: Moment) -> Result<()> {
        let Some(challenge) = recipient.provider.challenge().filter(|held| held.runs_on(moment))
        else {
            return Ok(());
        };
        let now = self.clock.wall();
        let Some(key) = recipient.live_keys(now).pop() else {
            return Err(Error::new(ErrorKind::NotProven, "there is no secret to answer with"));
        };
        let request = challenge.request(&recipient.endpoint.url, &challenge.token(&self.chance)?);
        let mut headers = request.headers.clone();
        let (credential, spent) = self.credential(recipient).await;
        let mut credential = credential.map_err(|failure| {
            Error::new(ErrorKind::NotProven, format!("the challenge was not sent: {failure}"))
        })?;
        headers.extend(credential.iter_mut().map(super::sending::Credential::take_header));
        headers.extend(self.extra_headers());
        let outbound = OutboundRequest {
            method: http::Method::GET,
            url: recipient.endpoint.url.clone(),
            headers,
            body: Bytes::new(),
            timeout: recipient.provider.timeout().saturating_sub(spent),
            https_only: self.https_only(recipient),
            identity: recipient.identity.clone(),
            upload: Upload::Whole,
            application: Some(recipient.endpoint.application),
        };
        let exchange = self.egress.exchange_adding(outbound, &request.added).await;
        let answer = exchange.result.map_err(|failure| {
            Error::new(ErrorKind::NotProven, format!("the challenge was not answered: {failure}"))
        })?;
        challenge.check(&request, &answer, &key)
    }

    /// Challenges an endpoint that was just made, and serves it when it answers.
    pub(super) async fn challenge_new(&self, recipient: &Recipient) -> Result<Arc<Endpoint>> {
        let challenged = self.challenge(recipient, Moment::Create).await;
        let _edit = self.edits.lock().await;
        let held = self.directory.recipient(recipient.endpoint.id)?;
        // What answered proves nothing of another URL.
        let is_same = held.endpoint.url == recipient.endpoint.url
            && held.endpoint.state == recipient.endpoint.state;
        if !is_same {
            return Ok(Arc::clone(&held.endpoint));
        }
        let state = match challenged {
            Ok(()) => EndpointState::Enabled,
            Err(error) => self.unproven(&error),
        };
        let recipient = self.with_state(&held, state);
        self.commit_recipient(&recipient).await?;
        Ok(Arc::clone(&recipient.endpoint))
    }

    /// The state of an endpoint that failed its challenge.
    pub(super) fn unproven(&self, error: &Error) -> EndpointState {
        let reason = format!("{error}; enable it once it answers");
        EndpointState::Disabled { reason, since: self.clock.wall() }
    }

    /// Disables an endpoint that said so itself, unless it was asked in another term.
    pub(super) async fn disable_for(self: &Arc<Self>, asked: &Recipient, reason: String) {
        let _edit = self.edits.lock().await;
        if self.is_in_term(asked) {
            self.disable(asked.endpoint.id, reason).await;
        }
    }

    /// Disables an endpoint that has failed for too long, if that is still so: since the attempt that
    /// showed it, another may have been accepted, or the endpoint moved.
    pub(super) async fn give_up(self: &Arc<Self>, endpoint: EndpointId, reason: String) {
        let _edit = self.edits.lock().await;
        let held = self.directory.recipient(endpoint);
        if held.is_ok_and(|held| self.is_given_up(&held.endpoint)) {
            self.disable(endpoint, reason).await;
        }
    }

    async fn disable(self: &Arc<Self>, endpoint: EndpointId, reason: String) {
        let Ok(held) = self.directory.recipient(endpoint) else { return };
        if !matches!(held.endpoint.state, EndpointState::Enabled | EndpointState::Parked { .. }) {
            return;
        }
        self.tell_disabled(&held.endpoint, &reason).await;
        tracing::info!(%endpoint, reason, "endpoint disabled");
        let since = self.clock.wall();
        let state = EndpointState::Disabled { reason, since };
        if let Err(error) = self.stop_serving(endpoint, state).await {
            tracing::warn!(%endpoint, %error, "an endpoint could not be disabled");
        }
    }

    /// Parks an endpoint, unless it failed in another term: its queue waits until it answers its
    /// challenge.
    pub(super) async fn park(self: &Arc<Self>, failed: &Recipient, reason: String) {
        let endpoint = failed.endpoint.id;
        let _edit = self.edits.lock().await;
        if !self.is_enabled(endpoint) || !self.is_in_term(failed) {
            return;
        }
        tracing::info!(%endpoint, reason, "endpoint parked");
        let since = self.clock.wall();
        match self.stop_serving(endpoint, EndpointState::Parked { reason, since }).await {
            Ok(_) => self.probe(endpoint, Duration::ZERO),
            Err(error) => {
                tracing::warn!(%endpoint, %error, "an endpoint could not be parked");
            }
        }
    }

    /// Whether an endpoint has the URL that it had as `before`, and was not enabled since.
    pub(super) fn is_in_term(&self, before: &Recipient) -> bool {
        let held = self.directory.recipient(before.endpoint.id);
        held.is_ok_and(|held| Arc::ptr_eq(&held.term, &before.term))
    }

    pub(super) fn is_enabled(&self, endpoint: EndpointId) -> bool {
        let held = self.directory.recipient(endpoint);
        held.is_ok_and(|held| held.endpoint.state == EndpointState::Enabled)
    }

    /// Challenges a parked endpoint, with growing waits, until it answers or is parked no more. Of the
    /// first wait `over` has passed already.
    fn probe(self: &Arc<Self>, endpoint: EndpointId, over: Duration) {
        let inner = Arc::downgrade(self);
        let mut ended = self.ended.subscribe();
        let (clock, probes) = (self.clock.clone(), Arc::clone(&self.probes));
        let places = self.probes_at_once.clone();
        let Ok(held) = self.directory.recipient(endpoint) else { return };
        let Some(mut waits) = waits(&held) else { return };
        let application = held.endpoint.application;
        // From the beginning of one probe to that of the next, however long the answer takes.
        let mut began = clock.now().before(over);
        let number = probes.begin(endpoint, began.after(waits.current_interval));
        tokio::spawn(async move {
            while let Some(wait) = waits.next_backoff() {
                let next = began.after(wait);
                if !probes.wait(endpoint, number, next) {
                    return;
                }
                let turn = async {
                    clock.sleep_until(next).await;
                    places.take(application).await
                };
                let place = tokio::select! {
                    place = turn => place,
                    _ = ended.wait_for(|ended| *ended) => return,
                };
                began = clock.now();
                let Some(inner) = inner.upgrade() else { return };
                if !probes.is_current(endpoint, number) || inner.probed(endpoint).await {
                    break;
                }
                drop(place);
            }
            probes.end(endpoint, number);
        });
    }

    /// Challenges once; true when there is nothing more to probe.
    async fn probed(self: &Arc<Self>, endpoint: EndpointId) -> bool {
        let is_parked = |inner: &Self| {
            let held = inner.directory.recipient(endpoint).ok();
            held.filter(|held| matches!(held.endpoint.state, EndpointState::Parked { .. }))
        };
        let Some(held) = is_parked(self) else { return true };
        if let Err(error) = self.challenge(&held, Moment::Resume).await {
            tracing::debug!(%endpoint, %error, "still parked");
            self.probes.failed(endpoint, error.to_string());
            if let Some(held) = is_parked(self)
                && let Some(reason) = self.fails(&held.endpoint, self.clock.now())
            {
                self.give_up(endpoint, reason).await;
            }
            return is_parked(self).is_none();
        }
        let _edit = self.edits.lock().await;
        let asked = held.endpoint.url.clone();
        let Some(held) = is_parked(self) else { return true };
        if held.endpoint.url != asked {
            return false;
        }
        tracing::info!(%endpoint, "endpoint is back");
        match self.resume(&held).await {
            Ok(_) => true,
            Err(error) => {
                tracing::warn!(%endpoint, %error, "an endpoint could not be resumed");
                false
            }
        }
    }

    /// Probes every endpoint that is parked: at the start. Each first probe comes at a time of its own
    /// within its wait.
    pub(super) fn probe_parked(self: &Arc<Self>) {
        let mut parked = self.directory.all_recipients();
        parked.retain(|held| matches!(held.endpoint.state, EndpointState::Parked { .. }));
        let count = u32::try_from(parked.len()).unwrap_or(u32::MAX);
        for (left, held) in (0..count).rev().zip(parked) {
            let over = waits(&held).map(|waits| waits.current_interval / count * left);
            self.probe(held.endpoint.id, over.unwrap_or_default());
        }
    }
}

/// The waits between probes: each time that an endpoint is parked without having accepted anything in
/// between they begin twice as long.
fn waits(held: &Recipient) -> Option<ExponentialBackoff> {
    let growth = held.provider.challenge()?.probe();
    let parked_before = held.endpoint.parked_in_a_row.saturating_sub(1);
    let first = growth.delay(parked_before);
    Some(ExponentialBackoff {
        initial_interval: first,
        current_interval: first,
        max_interval: growth.cap.max(first),
        multiplier: growth.factor,
        randomization_factor: 0.0,
        max_elapsed_time: None,
        ..ExponentialBackoff::default()
    })
}
