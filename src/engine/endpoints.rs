//! Endpoints: made, changed, enabled, disabled, deleted.

use crate::dispatch::recipient::Recipient;
use crate::dispatch::run::Command;
use crate::engine::changes::begins_anew;
use crate::engine::checks::{
    about, checked_concurrency, checked_failing_days, checked_filter, checked_headers,
    checked_rate, checked_settings, checked_text,
};
use crate::engine::{EndpointChange, Engine, Inner, NewEndpoint, whole};
use crate::error::{Error, Result};
use crate::model::endpoint::SealedAuthentication;
use crate::model::{
    Application, ApplicationId, Endpoint, EndpointId, EndpointState, Secret, check,
};
use crate::provider::{Moment, Provider, SecretOwner};
use crate::store::Change;
use crate::wheel::window;
use std::sync::Arc;

/// Why an endpoint is not served while its challenge is under way.
const UNPROVEN: &str = "it has not answered its challenge yet; enable it once it answers";

/// An endpoint that was made, with the secret for its receiver.
#[derive(Clone, Debug)]
pub struct CreatedEndpoint {
    /// The endpoint. It is disabled, with the reason, when it did not answer its challenge.
    pub endpoint: Arc<Endpoint>,
    /// What the receiver verifies with. A provider that shows secrets once shows it here.
    pub secret: Secret,
}

impl Engine {
    /// Makes an endpoint. Where the provider demands a challenge and it is not answered, the
    /// endpoint is made all the same, disabled with the reason: its owner needs the secret to
    /// answer, and enabling it runs the challenge again.
    ///
    /// # Errors
    /// Refuses, before anything is stored, what cannot work: an unknown application or provider, a
    /// URL that may not be reached, filters, headers, limits, secrets or certificates that are
    /// wrong.
    pub async fn create_endpoint(
        &self,
        application: ApplicationId,
        new: NewEndpoint,
    ) -> Result<CreatedEndpoint> {
        let engine = self.clone();
        whole(async move { engine.make_endpoint(application, new).await }).await
    }

    async fn make_endpoint(
        &self,
        application: ApplicationId,
        new: NewEndpoint,
    ) -> Result<CreatedEndpoint> {
        let inner = &self.inner;
        inner.check_open()?;
        let edit = inner.edits.lock().await;
        let owner = inner.directory.application(application)?;
        let provider = inner.providers.get(&new.provider)?;
        inner.check_room(application)?;
        about("uid", inner.check_new_uid(application, new.uid.as_deref()))?;
        let now = inner.clock.wall();
        let id = EndpointId::from_uuid(inner.ids.next()?);
        let mut endpoint = Endpoint {
            id,
            application,
            name: about("name", checked_text("name", new.name, 256))?,
            uid: new.uid,
            description: about("description", checked_text("description", new.description, 4096))?,
            url: about("url", inner.checked_url(&new.url, &provider))?,
            provider: provider.name().to_owned(),
            event_filter: about("event_filter", checked_filter(new.event_filter))?,
            channels: about("channels", check::checked_channels(new.channels))?,
            metadata: about("metadata", check::checked_metadata(new.metadata))?,
            settings: about("settings", checked_settings(&provider, new.settings))?,
            headers: about("headers", checked_headers(&provider, new.headers))?,
            rate_limit_per_second: about(
                "rate_limit_per_second",
                checked_rate(new.rate_limit_per_second),
            )?,
            concurrency: about("concurrency", checked_concurrency(new.concurrency))?,
            state: EndpointState::Enabled,
            authentication: about(
                "authentication",
                inner.checked_authentication(id, &provider, &new.authentication),
            )?,
            client_identity: about(
                "client_certificate",
                inner.checked_identity(id, &provider, new.client_certificate),
            )?,
            secrets: Vec::new(),
            parked_in_a_row: 0,
            created_at: now,
            updated_at: now,
            disable_after_failing_days: about(
                "disable_after_failing_days",
                checked_failing_days(new.disable_after_failing_days),
            )?,
            failing_since: None,
        };
        about("authentication", inner.check_encrypted(&endpoint))?;
        let is_challenged =
            new.enabled && provider.challenge().is_some_and(|held| held.runs_on(Moment::Create));
        if is_challenged || !new.enabled {
            let reason = if is_challenged { UNPROVEN } else { "it was made disabled" };
            endpoint.state = EndpointState::Disabled { reason: reason.to_owned(), since: now };
        }
        let made =
            inner.first_secret(owner, &provider, &mut endpoint, new.secret, new.scheme.as_deref());
        let (owner, secret) = about("secret", made)?;
        let recipient = inner.recipient(endpoint, &owner, None)?;
        let changes = vec![
            Change::Application(Application::clone(&owner)),
            Change::Endpoint(Box::new(Endpoint::clone(&recipient.endpoint))),
        ];
        inner.committer.change(changes).await?;
        inner.directory.put_application(owner);
        inner.publish(&recipient);
        drop(edit);
        let endpoint = match is_challenged {
            true => inner.challenge_new(&recipient).await?,
            false => Arc::clone(&recipient.endpoint),
        };
        Ok(CreatedEndpoint { endpoint, secret })
    }

    /// The endpoint, also when it was deleted and its history is still there.
    ///
    /// # Errors
    /// Refuses an unknown id.
    pub fn endpoint(&self, id: EndpointId) -> Result<Arc<Endpoint>> {
        self.inner.directory.endpoint(id)
    }

    /// The application's endpoints that are not deleted, oldest first.
    ///
    /// # Errors
    /// Refuses an unknown application.
    pub fn endpoints(&self, application: ApplicationId) -> Result<Vec<Arc<Endpoint>>> {
        let recipients = self.inner.directory.recipients(application)?;
        Ok(recipients.iter().map(|recipient| Arc::clone(&recipient.endpoint)).collect())
    }

    /// Changes an endpoint. A new URL is challenged where the provider demands it.
    ///
    /// # Errors
    /// As for [`Engine::create_endpoint`]; then nothing is changed.
    pub async fn update_endpoint(
        &self,
        id: EndpointId,
        change: EndpointChange,
    ) -> Result<Arc<Endpoint>> {
        let engine = self.clone();
        whole(async move { engine.change_endpoint(id, change).await }).await
    }

    async fn change_endpoint(
        &self,
        id: EndpointId,
        change: EndpointChange,
    ) -> Result<Arc<Endpoint>> {
        let inner = &self.inner;
        inner.check_open()?;
        let mut edit = inner.edits.lock().await;
        let held = inner.directory.recipient(id)?;
        let mut recipient = inner.changed(&held, change.clone())?;
        if held.endpoint.state == EndpointState::Enabled
            && recipient.endpoint.url != held.endpoint.url
        {
            // Nobody else's change waits for an endpoint's answer.
            drop(edit);
            let challenged = inner.challenge(&recipient, Moment::UrlChange).await;
            edit = inner.edits.lock().await;
            let held = inner.directory.recipient(id)?;
            recipient = inner.changed(&held, change)?;
            if let Err(error) = challenged
                && held.endpoint.state == EndpointState::Enabled
            {
                recipient = inner.with_state(&recipient, inner.unproven(&error));
            }
        }
        inner.commit_recipient(&recipient).await?;
        if begins_anew(&held.endpoint, &recipient.endpoint) {
            inner.failing.end(id);
        }
        if held.endpoint.authentication != recipient.endpoint.authentication {
            inner.tokens.forget_endpoint(id);
        }
        drop(edit);
        Ok(Arc::clone(&recipient.endpoint))
    }

    /// Serves an endpoint that was disabled or parked. Where the provider demands a challenge, it
    /// has to be answered first.
    ///
    /// # Errors
    /// [`ErrorKind::NotProven`](crate::ErrorKind::NotProven) when the challenge is not answered.
    pub async fn enable_endpoint(&self, id: EndpointId) -> Result<Arc<Endpoint>> {
        let engine = self.clone();
        whole(async move { engine.serve_endpoint(id).await }).await
    }

    async fn serve_endpoint(&self, id: EndpointId) -> Result<Arc<Endpoint>> {
        let inner = &self.inner;
        inner.check_open()?;
        let asked = inner.directory.recipient(id)?;
        if asked.endpoint.state == EndpointState::Enabled {
            return Ok(Arc::clone(&asked.endpoint));
        }
        inner.challenge(&asked, Moment::Resume).await?;
        let _edit = inner.edits.lock().await;
        let held = inner.directory.recipient(id)?;
        if held.endpoint.url != asked.endpoint.url {
            return Err(Error::conflict(format!(
                "endpoint `{id}` got another url while the old one was challenged: enable it again"
            )));
        }
        // By hand, so whatever failed before, it begins anew.
        inner.failing.end(id);
        inner.resume(&held).await
    }

    /// Stops serving an endpoint: what waits stays waiting, new events are recorded as skipped.
    ///
    /// # Errors
    /// Refuses an unknown id.
    pub async fn disable_endpoint(
        &self,
        id: EndpointId,
        reason: impl Into<String>,
    ) -> Result<Arc<Endpoint>> {
        let (engine, reason) = (self.clone(), reason.into());
        whole(async move { engine.stop_endpoint(id, reason).await }).await
    }

    async fn stop_endpoint(&self, id: EndpointId, reason: String) -> Result<Arc<Endpoint>> {
        let inner = &self.inner;
        inner.check_open()?;
        let reason = checked_text("reason", reason, 1024)?;
        let _edit = inner.edits.lock().await;
        let since = inner.clock.wall();
        inner.stop_serving(id, EndpointState::Disabled { reason, since }).await
    }

    /// Deletes an endpoint: what waits is cancelled; its history stays until it expires.
    ///
    /// # Errors
    /// Refuses an unknown id.
    pub async fn delete_endpoint(&self, id: EndpointId) -> Result<()> {
        let engine = self.clone();
        whole(async move { engine.remove_endpoint(id).await }).await
    }

    async fn remove_endpoint(&self, id: EndpointId) -> Result<()> {
        let inner = &self.inner;
        inner.check_open()?;
        let _edit = inner.edits.lock().await;
        inner.delete_endpoint(id).await
    }
}

impl Inner {
    /// Deletes an endpoint, with the credentials that were kept for it.
    pub(super) async fn delete_endpoint(&self, id: EndpointId) -> Result<()> {
        let held = self.directory.recipient(id)?;
        let now = self.clock.wall();
        let mut endpoint = Endpoint::clone(&held.endpoint);
        endpoint.state = EndpointState::Deleted { at: now };
        endpoint.updated_at = now;
        endpoint.secrets.clear();
        endpoint.client_identity = None;
        endpoint.failing_since = None;
        endpoint.authentication = SealedAuthentication::None;
        self.close_lane(&held).await;
        let change = Change::Endpoint(Box::new(endpoint.clone()));
        if let Err(error) = self.committer.change(vec![change]).await {
            // Nothing changed, so it is served as it was.
            self.publish(&held);
            return Err(error);
        }
        self.failing.end(id);
        self.tokens.forget_endpoint(id);
        self.directory.put_deleted(endpoint);
        Ok(())
    }

    /// Puts an endpoint into another state in which nothing is sent.
    pub(super) async fn stop_serving(
        &self,
        id: EndpointId,
        state: EndpointState,
    ) -> Result<Arc<Endpoint>> {
        let held = self.directory.recipient(id)?;
        // The lane first: nothing more goes out while the commit is on its way.
        self.close_lane(&held).await;
        let mut endpoint = Endpoint::clone(&held.endpoint);
        let has_recovered = self.failing.take_recovered(id);
        if has_recovered {
            endpoint.parked_in_a_row = 0;
        }
        endpoint.parked_in_a_row += u32::from(matches!(state, EndpointState::Parked { .. }));
        endpoint.failing_since = self.failing.since(id);
        endpoint.state = state;
        endpoint.updated_at = self.clock.wall();
        let recipient = self.with_endpoint(&held, endpoint);
        if let Err(error) = self.commit_recipient(&recipient).await {
            // Nothing changed, so it is served as it was.
            if has_recovered {
                self.failing.put_recovered(id);
            }
            self.publish(&held);
            return Err(error);
        }
        Ok(Arc::clone(&recipient.endpoint))
    }

    /// Serves an endpoint that was not served.
    pub(super) async fn resume(&self, held: &Recipient) -> Result<Arc<Endpoint>> {
        let mut endpoint = Endpoint::clone(&held.endpoint);
        endpoint.state = EndpointState::Enabled;
        endpoint.failing_since = self.failing.since(endpoint.id);
        endpoint.updated_at = self.clock.wall();
        let recipient = self.with_endpoint(held, endpoint);
        self.commit_recipient(&recipient).await?;
        Ok(Arc::clone(&recipient.endpoint))
    }

    pub(super) fn with_state(&self, held: &Recipient, state: EndpointState) -> Arc<Recipient> {
        let mut endpoint = Endpoint::clone(&held.endpoint);
        endpoint.state = state;
        endpoint.updated_at = self.clock.wall();
        self.with_endpoint(held, endpoint)
    }

    /// The same recipient with another record of its endpoint, where no secret changed.
    pub(super) fn with_endpoint(&self, held: &Recipient, endpoint: Endpoint) -> Arc<Recipient> {
        Arc::new(Recipient {
            term: held.term_of(&endpoint),
            endpoint: Arc::new(endpoint),
            provider: Arc::clone(&held.provider),
            keys: held.keys.clone(),
            authentication: held.authentication.clone(),
            identity: held.identity.clone(),
            gate: Arc::clone(&held.gate),
        })
    }

    pub(super) async fn commit_recipient(&self, recipient: &Arc<Recipient>) -> Result<()> {
        let change = Change::Endpoint(Box::new(Endpoint::clone(&recipient.endpoint)));
        self.committer.change(vec![change]).await?;
        self.publish(recipient);
        if recipient.endpoint.state != EndpointState::Enabled {
            self.close_lane(recipient).await;
        }
        Ok(())
    }

    /// Makes a recipient known to emits, lanes and window.
    pub(super) fn publish(&self, recipient: &Arc<Recipient>) {
        self.directory.put_recipient(recipient);
        if recipient.endpoint.state == EndpointState::Enabled {
            self.dispatcher.tell(Command::Open(Arc::clone(recipient)));
            let Endpoint { id, application, .. } = *recipient.endpoint;
            self.window.tell(window::Command::Open(id, application));
        } else {
            recipient.gate.close();
        }
    }

    /// Sends nothing more to a recipient from when this returns; what is ready goes back to the
    /// queue.
    async fn close_lane(&self, recipient: &Recipient) {
        recipient.gate.close();
        self.window.tell(window::Command::Close(recipient.endpoint.id));
        self.dispatcher.tell(Command::Close(recipient.endpoint.id));
        self.dispatcher.barrier().await;
    }

    /// Gives a new endpoint its secret, or its application one.
    fn first_secret(
        &self,
        owner: Arc<Application>,
        provider: &Provider,
        endpoint: &mut Endpoint,
        given: Option<Secret>,
        scheme: Option<&str>,
    ) -> Result<(Application, Secret)> {
        let mut owner = Application::clone(&owner);
        if provider.secret_owner() == SecretOwner::Application
            && owner.secrets.contains_key(provider.name())
        {
            if given.is_some() {
                return Err(Error::conflict(format!(
                    "the application has a {} secret already, which all its endpoints share: \
                     rotate that one instead of giving another",
                    provider.title()
                )));
            }
            let shown = self.shown_application_secret(&owner, provider)?;
            return Ok((owner, shown));
        }
        let (stored, shown) = self.new_secret(endpoint, &owner, provider, given, scheme)?;
        match provider.secret_owner() {
            SecretOwner::Endpoint => endpoint.secrets.push(stored),
            SecretOwner::Application => {
                owner.secrets.insert(provider.name().to_owned(), vec![stored]);
            }
        }
        Ok((owner, shown))
    }
}
