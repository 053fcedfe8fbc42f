//! Signing secrets: made, shown, replaced; and the master key under which they lie.

use crate::dispatch::recipient::Recipient;
use crate::engine::recipients::{application_place, endpoint_place};
use crate::engine::{Engine, Inner, whole};
use crate::error::{Error, Result};
use crate::model::secret::StoredSecret;
use crate::model::{Application, ApplicationId, Endpoint, EndpointId, Secret, Timestamp};
use crate::provider::{Provider, SecretOwner, SecretShown};
use crate::store::Change;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

/// How long old and new secret can both be valid at most.
const OVERLAP_MAX: Duration = Duration::from_secs(7 * 86_400);
/// Secrets that sign at once at most; Standard Webhooks receivers check every signature.
const LIVE_SECRETS_MAX: usize = 5;
/// What [`Change::KeyCheck`] seals.
pub(super) const KEY_CHECK: &str = "hookwheel";
/// The vault's name for the place of the key check.
pub(super) const KEY_CHECK_PLACE: &str = "the key check";

impl Engine {
    /// What the receiver of an endpoint verifies with; for a public-key scheme the public key.
    ///
    /// # Errors
    /// Refused where the provider shows a secret only when it is made.
    pub async fn endpoint_secret(&self, id: EndpointId) -> Result<Secret> {
        let inner = &self.inner;
        let held = inner.directory.recipient(id)?;
        if held.provider.secret_owner() == SecretOwner::Application {
            return self.application_secret(held.endpoint.application, held.provider.name()).await;
        }
        check_showable(&held.provider)?;
        let place = endpoint_place(id, "secret");
        inner.shown(&held.provider, &place, held.endpoint.secrets.last())
    }

    /// The secret that all endpoints of an application share with a provider like OpenCard; it is
    /// made when there is none yet.
    ///
    /// # Errors
    /// Refused for a provider with a secret for each endpoint.
    pub async fn application_secret(&self, id: ApplicationId, provider: &str) -> Result<Secret> {
        let (engine, provider) = (self.clone(), provider.to_owned());
        whole(async move { engine.find_or_make_secret(id, &provider).await }).await
    }

    async fn find_or_make_secret(&self, id: ApplicationId, provider: &str) -> Result<Secret> {
        let inner = &self.inner;
        let provider = inner.providers.get(provider)?;
        let _edit = inner.edits.lock().await;
        let mut owner = Application::clone(&*inner.directory.application(id)?);
        check_application_owned(&provider)?;
        if !owner.secrets.contains_key(provider.name()) {
            let new = provider.generate_secret(None)?;
            let place = application_place(&owner, provider.name());
            let stored = inner.stored(&place, new.scheme, &new.secret)?;
            owner.secrets.insert(provider.name().to_owned(), vec![stored]);
            inner.committer.change(vec![Change::Application(owner.clone())]).await?;
            inner.directory.put_application(owner.clone());
        }
        inner.shown_application_secret(&owner, &provider)
    }

    /// Replaces an endpoint's secret by `new`, or by one that is made, and returns what the
    /// receiver verifies with. Where the provider's header can carry several signatures, old and
    /// new secret both sign for `overlap`; elsewhere the new one takes over at once.
    ///
    /// # Errors
    /// Refuses a secret that is none of this provider, an overlap above seven days, and a sixth
    /// live secret.
    pub async fn rotate_secret(
        &self,
        id: EndpointId,
        new: Option<Secret>,
        overlap: Duration,
    ) -> Result<Secret> {
        let engine = self.clone();
        whole(async move { engine.replace_secret(id, new, overlap).await }).await
    }

    async fn replace_secret(
        &self,
        id: EndpointId,
        new: Option<Secret>,
        overlap: Duration,
    ) -> Result<Secret> {
        let inner = &self.inner;
        inner.check_open()?;
        check_overlap(overlap)?;
        let held = inner.directory.recipient(id)?;
        if held.provider.secret_owner() == SecretOwner::Application {
            let application = held.endpoint.application;
            let provider = held.provider.name();
            return self.replace_application_secret(application, provider, new).await;
        }
        let _edit = inner.edits.lock().await;
        let held = inner.directory.recipient(id)?;
        let owner = inner.directory.application(held.endpoint.application)?;
        let mut endpoint = Endpoint::clone(&held.endpoint);
        let scheme = endpoint.secrets.last().map(|secret| secret.scheme.clone());
        let (stored, shown) =
            inner.new_secret(&endpoint, &owner, &held.provider, new, scheme.as_deref())?;
        let now = inner.clock.wall();
        let overlap = if held.provider.rotation_overlaps() { overlap } else { Duration::ZERO };
        retire(&mut endpoint.secrets, now, overlap)?;
        endpoint.secrets.push(stored);
        endpoint.updated_at = now;
        let recipient = inner.recipient(endpoint, &owner, Some(&held))?;
        inner.commit_recipient(&recipient).await?;
        Ok(shown)
    }

    /// Replaces the secret that an application shares with a provider.
    ///
    /// # Errors
    /// As for [`Engine::rotate_secret`].
    pub async fn rotate_application_secret(
        &self,
        id: ApplicationId,
        provider: &str,
        new: Option<Secret>,
    ) -> Result<Secret> {
        let (engine, provider) = (self.clone(), provider.to_owned());
        whole(async move { engine.replace_application_secret(id, &provider, new).await }).await
    }

    async fn replace_application_secret(
        &self,
        id: ApplicationId,
        provider: &str,
        new: Option<Secret>,
    ) -> Result<Secret> {
        let inner = &self.inner;
        inner.check_open()?;
        let provider = inner.providers.get(provider)?;
        check_application_owned(&provider)?;
        let _edit = inner.edits.lock().await;
        let mut owner = Application::clone(&*inner.directory.application(id)?);
        let (scheme, secret) = made_or_given(&provider, new, None)?;
        let place = application_place(&owner, provider.name());
        let stored = inner.stored(&place, scheme, &secret)?;
        owner.secrets.insert(provider.name().to_owned(), vec![stored]);
        owner.updated_at = inner.clock.wall();
        inner.committer.change(vec![Change::Application(owner.clone())]).await?;
        inner.directory.put_application(owner.clone());
        for held in inner.directory.recipients(id)?.iter() {
            if held.provider.name() == provider.name() {
                let endpoint = Endpoint::clone(&held.endpoint);
                inner.publish(&inner.recipient(endpoint, &owner, Some(held))?);
            }
        }
        provider.shown_form(&secret)
    }

    /// Encrypts every secret under a new master key, and forgets the old one. The key file holds
    /// both until that is done, so that a crash in between loses nothing. Answers kept by
    /// [`Engine::keep_reply`] are not encrypted anew: they are forgotten with the old key.
    ///
    /// # Errors
    /// Refused when the key was given and not read from a file.
    pub async fn rotate_master_key(&self) -> Result<()> {
        let engine = self.clone();
        whole(async move { engine.replace_master_key().await }).await
    }

    async fn replace_master_key(&self) -> Result<()> {
        let inner = &self.inner;
        inner.check_open()?;
        let _edit = inner.edits.lock().await;
        inner.vault.write().unwrap_or_else(PoisonError::into_inner).add_key()?;
        inner.reseal_everything().await
    }
}

impl Inner {
    /// Encrypts everything under the current master key and drops the older ones.
    pub(super) async fn reseal_everything(&self) -> Result<()> {
        let mut changes = Vec::new();
        for application in self.directory.applications() {
            let application = self.reseal_application(Application::clone(&application))?;
            changes.push(Change::Application(application));
        }
        let mut recipients: Vec<(Arc<Recipient>, Endpoint)> = Vec::new();
        for held in self.directory.all_recipients() {
            let endpoint = self.reseal_endpoint(Endpoint::clone(&held.endpoint))?;
            changes.push(Change::Endpoint(Box::new(endpoint.clone())));
            recipients.push((held, endpoint));
        }
        changes.push(self.key_check()?);
        self.committer.change(changes.clone()).await?;
        for change in changes {
            if let Change::Application(application) = change {
                self.directory.put_application(application);
            }
        }
        for (held, endpoint) in recipients {
            self.directory.put_recipient(&self.with_endpoint(&held, endpoint));
        }
        self.vault.write().unwrap_or_else(PoisonError::into_inner).forget_older_keys()
    }

    pub(super) fn key_check(&self) -> Result<Change> {
        let sealed = self.vault().seal(KEY_CHECK_PLACE, &Secret::new(KEY_CHECK))?;
        Ok(Change::KeyCheck(sealed.0))
    }

    /// A secret for an endpoint or its application, given or made: as it is stored, and as its
    /// owner is shown it.
    pub(super) fn new_secret(
        &self,
        endpoint: &Endpoint,
        owner: &Application,
        provider: &Provider,
        given: Option<Secret>,
        scheme: Option<&str>,
    ) -> Result<(StoredSecret, Secret)> {
        let (scheme, secret) = made_or_given(provider, given, scheme)?;
        let place = match provider.secret_owner() {
            SecretOwner::Endpoint => endpoint_place(endpoint.id, "secret"),
            SecretOwner::Application => application_place(owner, provider.name()),
        };
        let stored = self.stored(&place, scheme, &secret)?;
        Ok((stored, provider.shown_form(&secret)?))
    }

    fn stored(&self, place: &str, scheme: String, secret: &Secret) -> Result<StoredSecret> {
        Ok(StoredSecret {
            sealed: self.vault().seal(place, secret)?,
            scheme,
            created_at: self.clock.wall(),
            expires_at: None,
        })
    }

    pub(super) fn shown_application_secret(
        &self,
        owner: &Application,
        provider: &Provider,
    ) -> Result<Secret> {
        check_showable(provider)?;
        let held = owner.secrets.get(provider.name()).and_then(|secrets| secrets.last());
        self.shown(provider, &application_place(owner, provider.name()), held)
    }

    fn shown(
        &self,
        provider: &Provider,
        place: &str,
        held: Option<&StoredSecret>,
    ) -> Result<Secret> {
        let Some(held) = held else {
            return Err(Error::not_found(format!("{} does not sign", provider.title())));
        };
        provider.shown_form(&self.vault().open_sealed(place, &held.sealed)?)
    }
}

fn made_or_given(
    provider: &Provider,
    given: Option<Secret>,
    scheme: Option<&str>,
) -> Result<(String, Secret)> {
    match given {
        Some(secret) => Ok((provider.check_secret(&secret)?, secret)),
        None => provider.generate_secret(scheme).map(|new| (new.scheme, new.secret)),
    }
}

/// Lets the secrets that are valid now run out, and drops those that have.
fn retire(secrets: &mut Vec<StoredSecret>, now: Timestamp, overlap: Duration) -> Result<()> {
    let until = now.after(overlap);
    secrets.retain(|secret| secret.expires_at.is_none_or(|at| at > now));
    for secret in secrets.iter_mut() {
        secret.expires_at = Some(secret.expires_at.map_or(until, |at| at.min(until)));
    }
    secrets.retain(|secret| secret.expires_at.is_none_or(|at| at > now));
    if secrets.len() >= LIVE_SECRETS_MAX {
        return Err(Error::conflict(format!(
            "{LIVE_SECRETS_MAX} secrets are still valid: wait until one runs out, or rotate with \
             an overlap of 0"
        )));
    }
    Ok(())
}

fn check_overlap(overlap: Duration) -> Result<()> {
    if overlap > OVERLAP_MAX {
        return Err(Error::invalid("old and new secret can both be valid for 7 days at most"));
    }
    Ok(())
}

fn check_showable(provider: &Provider) -> Result<()> {
    match provider.secret_shown() {
        SecretShown::Always => Ok(()),
        SecretShown::Once => Err(Error::conflict(format!(
            "{} shows a secret once, when it is made: rotate it to get a new one",
            provider.title()
        ))),
    }
}

fn check_application_owned(provider: &Provider) -> Result<()> {
    match provider.secret_owner() {
        SecretOwner::Application => Ok(()),
        SecretOwner::Endpoint => Err(Error::invalid(format!(
            "with {} every endpoint has a secret of its own",
            provider.title()
        ))),
    }
}
