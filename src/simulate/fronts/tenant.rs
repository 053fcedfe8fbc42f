//! Whose API key it is: each key is a tenant of its own, with an application made on first use.

use super::{Fronts, GoCardlessEndpoint, gocardless};
use crate::engine::{EndpointChange, NewApplication, NewEndpoint};
use crate::error::{Error, Result};
use crate::model::{Application, ApplicationId};
use axum::http::{HeaderMap, HeaderName, HeaderValue, header};
use axum::response::Response;
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

/// Names the tenant's application in every answer to its key.
const APPLICATION_HEADER: HeaderName = HeaderName::from_static("hookwheel-application");
/// What the uids of the fronts' tenants begin with.
const UID_PREFIX: &str = "front-";
/// The uid of the endpoint that an organisation gets without asking.
const ENDPOINT_UID: &str = "front";
/// Bytes of an API key at most.
const KEY_MAX_BYTES: usize = 512;

/// Why a request has no key.
pub(super) enum NoKey {
    /// There is no `Authorization` header.
    Missing,
    /// It is not `Bearer` and a key.
    Malformed,
}

/// The key in `Authorization: Bearer …` (RFC 6750, section 2.1).
pub(super) fn bearer(headers: &HeaderMap) -> Result<&str, NoKey> {
    let value = headers.get(header::AUTHORIZATION).ok_or(NoKey::Missing)?;
    let text = value.to_str().map_err(|_| NoKey::Malformed)?;
    let (scheme, key) = text.split_once(' ').ok_or(NoKey::Malformed)?;
    let is_key = (1..=KEY_MAX_BYTES).contains(&key.len()) && !key.contains(' ');
    if scheme.eq_ignore_ascii_case("bearer") && is_key { Ok(key) } else { Err(NoKey::Malformed) }
}

/// Puts the tenant's application into the head of an answer.
pub(super) fn name_application(response: &mut Response, application: ApplicationId) {
    // Ids are letters, digits and `_`, which every header can hold.
    if let Ok(value) = HeaderValue::from_str(&application.to_string()) {
        response.headers_mut().insert(APPLICATION_HEADER, value);
    }
}

impl Fronts {
    /// The application of whoever holds `key` at `front`, made on first use. The key itself is not
    /// kept: the application is found by its digest.
    pub async fn tenant(&self, front: &str, name: &str, key: &str) -> Result<Arc<Application>> {
        let digest = digest(key);
        let uid = format!("{UID_PREFIX}{front}-{digest}");
        if let Some(held) = self.engine.application_by_uid(&uid) {
            return Ok(held);
        }
        let is_ours = |held: &&Arc<Application>| {
            held.uid.as_deref().is_some_and(|uid| uid.starts_with(UID_PREFIX))
        };
        let most = self.config.tenants_max;
        if self.engine.applications().iter().filter(is_ours).count() >= most {
            return Err(Error::unavailable(format!(
                "the fronts have {most} tenants, the most that `tenants_max` allows: come with a \
                 key that was used before"
            )));
        }
        let short = digest.get(..8).unwrap_or_default();
        let made = self.engine.create_application(NewApplication {
            uid: Some(uid.clone()),
            metadata: BTreeMap::from([("front".to_owned(), front.to_owned())]),
            ..NewApplication::new(format!("{name} {short}"))
        });
        match made.await {
            // Another request with the same key was faster.
            Err(error) if error.is_conflict() => self.engine.application_by_uid(&uid).ok_or(error),
            made => made,
        }
    }

    /// Gives an organisation the endpoint that the settings name, or sets the one that it was given
    /// before to what they name now.
    pub async fn provide_endpoint(&self, organisation: ApplicationId) -> Result<()> {
        let Some(wanted) = &self.config.gocardless_endpoint else { return Ok(()) };
        let mut provided = self.provided.lock().await;
        if provided.contains(&organisation) {
            return Ok(());
        }
        let given = |error: Error| error.within("the endpoint that the fronts were told to make");
        self.make_endpoint(organisation, wanted).await.map_err(given)?;
        provided.insert(organisation);
        Ok(())
    }

    async fn make_endpoint(
        &self,
        organisation: ApplicationId,
        wanted: &GoCardlessEndpoint,
    ) -> Result<()> {
        let endpoints = self.engine.endpoints(organisation)?;
        let held = endpoints.iter().find(|held| held.uid.as_deref() == Some(ENDPOINT_UID));
        let Some(held) = held else {
            let mut endpoint = NewEndpoint::new(&wanted.url).provider(gocardless::PROVIDER);
            endpoint.uid = Some(ENDPOINT_UID.to_owned());
            endpoint.secret = Some(wanted.secret.clone());
            self.engine.create_endpoint(organisation, endpoint).await?;
            return Ok(());
        };
        if held.url != wanted.url {
            let change = EndpointChange { url: Some(wanted.url.clone()), ..Default::default() };
            self.engine.update_endpoint(held.id, change).await?;
        }
        if self.engine.endpoint_secret(held.id).await? != wanted.secret {
            let secret = Some(wanted.secret.clone());
            self.engine.rotate_secret(held.id, secret, Duration::ZERO).await?;
        }
        Ok(())
    }
}

/// 32 hexadecimal digits that tell keys apart and say nothing about them.
fn digest(key: &str) -> String {
    let hash = Sha256::new().chain_update("hookwheel front key\0").chain_update(key).finalize();
    hash.iter().take(16).map(|byte| format!("{byte:02x}")).collect()
}
