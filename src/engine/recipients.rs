//! From an endpoint as it is stored to one that can be served, and back.

use crate::dispatch::ClientIdentity;
use crate::dispatch::gate::Gate;
use crate::dispatch::recipient::Recipient;
use crate::engine::Inner;
use crate::error::Result;
use crate::model::endpoint::SealedAuthentication;
use crate::model::secret::{Sealed, StoredSecret};
use crate::model::{Application, Authentication, Endpoint, EndpointId, Secret};
use crate::provider::{Provider, SecretOwner};
use crate::vault::Vault;
use std::sync::{Arc, PoisonError, RwLockReadGuard};

/// Stands between certificate and key, which are sealed as one; neither can contain it.
pub(super) const PAIR_SEPARATOR: char = '\u{1e}';

/// Where a secret of an endpoint belongs, for the vault.
pub(super) fn endpoint_place(endpoint: EndpointId, what: &str) -> String {
    format!("endpoint {endpoint}, {what}")
}

/// Where a secret of a whole application belongs, for the vault.
pub(super) fn application_place(application: &Application, provider: &str) -> String {
    format!("application {}, {provider}", application.id)
}

impl Inner {
    pub(super) fn vault(&self) -> RwLockReadGuard<'_, Vault> {
        self.vault.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// The endpoint with provider, keys and credentials in clear, as a change of `held` if there is
    /// one.
    pub(super) fn recipient(
        &self,
        endpoint: Endpoint,
        application: &Application,
        held: Option<&Recipient>,
    ) -> Result<Arc<Recipient>> {
        let provider = self.providers.get(&endpoint.provider)?;
        let vault = self.vault();
        let keys = match provider.secret_owner() {
            SecretOwner::Endpoint => {
                let place = endpoint_place(endpoint.id, "secret");
                keys(&vault, &provider, &place, &endpoint.secrets)?
            }
            SecretOwner::Application => {
                let place = application_place(application, provider.name());
                let secrets = application.secrets.get(provider.name());
                keys(&vault, &provider, &place, secrets.map_or(&[], Vec::as_slice))?
            }
        };
        let authentication = open_authentication(&vault, &endpoint)?;
        let identity = endpoint.client_identity.as_ref().map(|sealed| {
            let place = endpoint_place(endpoint.id, "client certificate");
            let pair = vault.open_sealed(&place, sealed)?;
            let pair = pair.expose().split_once(PAIR_SEPARATOR).unwrap_or_default();
            ClientIdentity::load(pair.0, &Secret::new(pair.1)).map(Arc::new)
        });
        Ok(Arc::new(Recipient {
            identity: identity.transpose()?,
            provider,
            keys,
            authentication,
            gate: held.map_or_else(
                || Arc::new(Gate::new(Arc::clone(&self.budget))),
                |held| Arc::clone(&held.gate),
            ),
            term: held.map_or_else(Arc::default, |held| held.term_of(&endpoint)),
            endpoint: Arc::new(endpoint),
        }))
    }

    /// The authentication as it is stored.
    pub(super) fn seal_authentication(
        &self,
        endpoint: EndpointId,
        authentication: &Authentication,
    ) -> Result<SealedAuthentication> {
        let place = endpoint_place(endpoint, "authentication");
        let vault = self.vault();
        Ok(match authentication {
            Authentication::None => SealedAuthentication::None,
            Authentication::Basic { username, password } => SealedAuthentication::Basic {
                username: username.clone(),
                password: vault.seal(&place, password)?,
            },
            Authentication::Header { name, value } => SealedAuthentication::Header {
                name: name.clone(),
                value: vault.seal(&place, value)?,
            },
            Authentication::OAuth2 { token_url, client_id, client_secret, scope } => {
                SealedAuthentication::OAuth2 {
                    token_url: token_url.clone(),
                    client_id: client_id.clone(),
                    client_secret: vault.seal(&place, client_secret)?,
                    scope: scope.clone(),
                }
            }
        })
    }

    /// Encrypts everything of an endpoint under the current master key.
    pub(super) fn reseal_endpoint(&self, mut endpoint: Endpoint) -> Result<Endpoint> {
        let vault = self.vault();
        let place = endpoint_place(endpoint.id, "secret");
        reseal(&vault, &place, endpoint.secrets.iter_mut().map(|secret| &mut secret.sealed))?;
        let place = endpoint_place(endpoint.id, "client certificate");
        reseal(&vault, &place, endpoint.client_identity.iter_mut())?;
        let place = endpoint_place(endpoint.id, "authentication");
        let sealed = match &mut endpoint.authentication {
            SealedAuthentication::None => None,
            SealedAuthentication::Basic { password: sealed, .. }
            | SealedAuthentication::Header { value: sealed, .. }
            | SealedAuthentication::OAuth2 { client_secret: sealed, .. } => Some(sealed),
        };
        reseal(&vault, &place, sealed.into_iter())?;
        Ok(endpoint)
    }

    /// Encrypts the secrets of an application under the current master key.
    pub(super) fn reseal_application(&self, mut application: Application) -> Result<Application> {
        let vault = self.vault();
        let named = application.clone();
        for (provider, secrets) in &mut application.secrets {
            let place = application_place(&named, provider);
            reseal(&vault, &place, secrets.iter_mut().map(|secret| &mut secret.sealed))?;
        }
        Ok(application)
    }
}

fn reseal<'a>(vault: &Vault, place: &str, all: impl Iterator<Item = &'a mut Sealed>) -> Result<()> {
    for sealed in all {
        *sealed = vault.seal(place, &vault.open_sealed(place, sealed)?)?;
    }
    Ok(())
}

fn keys(
    vault: &Vault,
    provider: &Provider,
    place: &str,
    secrets: &[StoredSecret],
) -> Result<Vec<(crate::provider::SigningKey, Option<crate::model::Timestamp>)>> {
    let key = |stored: &StoredSecret| {
        let secret = vault.open_sealed(place, &stored.sealed)?;
        Ok((provider.signing_key(&stored.scheme, &secret)?, stored.expires_at))
    };
    secrets.iter().map(key).collect()
}

pub(super) fn open_authentication(vault: &Vault, endpoint: &Endpoint) -> Result<Authentication> {
    let place = endpoint_place(endpoint.id, "authentication");
    let open = |sealed: &Sealed| -> Result<Secret> { vault.open_sealed(&place, sealed) };
    Ok(match &endpoint.authentication {
        SealedAuthentication::None => Authentication::None,
        SealedAuthentication::Basic { username, password } => {
            Authentication::Basic { username: username.clone(), password: open(password)? }
        }
        SealedAuthentication::Header { name, value } => {
            Authentication::Header { name: name.clone(), value: open(value)? }
        }
        SealedAuthentication::OAuth2 { token_url, client_id, client_secret, scope } => {
            Authentication::OAuth2 {
                token_url: token_url.clone(),
                client_id: client_id.clone(),
                client_secret: open(client_secret)?,
                scope: scope.clone(),
            }
        }
    })
}
