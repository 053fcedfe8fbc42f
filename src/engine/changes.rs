//! What a change makes of an endpoint, checked before anything is stored.

use crate::dispatch::recipient::Recipient;
use crate::engine::checks::{
    about, checked_concurrency, checked_failing_days, checked_filter, checked_headers,
    checked_rate, checked_settings, checked_text,
};
use crate::engine::{EndpointChange, HeaderChange, Inner};
use crate::error::{Error, Result};
use crate::model::endpoint::SealedAuthentication;
use crate::model::{Endpoint, check};
use std::sync::Arc;
use url::Url;

impl Inner {
    /// An endpoint as it would be with `change`.
    pub(super) fn changed(
        &self,
        held: &Recipient,
        change: EndpointChange,
    ) -> Result<Arc<Recipient>> {
        let provider = &held.provider;
        let mut endpoint = Endpoint::clone(&held.endpoint);
        let id = endpoint.id;
        let keeps_credential = change.authentication.is_none();
        if let Some(uid) = change.uid
            && uid != endpoint.uid
        {
            about("uid", self.check_new_uid(endpoint.application, uid.as_deref()))?;
            endpoint.uid = uid;
        }
        set("url", &mut endpoint.url, change.url, |url| self.checked_url(&url, provider))?;
        set("name", &mut endpoint.name, change.name, |name| checked_text("name", name, 256))?;
        let description = |text| checked_text("description", text, 4096);
        set("description", &mut endpoint.description, change.description, description)?;
        set("event_filter", &mut endpoint.event_filter, change.event_filter, checked_filter)?;
        set("channels", &mut endpoint.channels, change.channels, check::checked_channels)?;
        set("metadata", &mut endpoint.metadata, change.metadata, check::checked_metadata)?;
        let settings = |settings| checked_settings(provider, settings);
        set("settings", &mut endpoint.settings, change.settings, settings)?;
        if let Some(change) = change.headers {
            let headers = change_headers(&mut endpoint, change);
            endpoint.headers = about("headers", checked_headers(provider, headers))?;
        }
        set(
            "rate_limit_per_second",
            &mut endpoint.rate_limit_per_second,
            change.rate_limit_per_second,
            checked_rate,
        )?;
        set("concurrency", &mut endpoint.concurrency, change.concurrency, checked_concurrency)?;
        if let Some(authentication) = change.authentication {
            let sealed = self.checked_authentication(id, provider, &authentication);
            endpoint.authentication = about("authentication", sealed)?;
        }
        if let Some(certificate) = change.client_certificate {
            let identity = self.checked_identity(id, provider, certificate);
            endpoint.client_identity = about("client_certificate", identity)?;
        }
        set(
            "disable_after_failing_days",
            &mut endpoint.disable_after_failing_days,
            change.disable_after_failing_days,
            checked_failing_days,
        )?;
        if keeps_credential && leads_elsewhere(&held.endpoint.url, &endpoint.url) {
            about("authentication", check_without_credential(&endpoint))?;
        }
        // Nothing else that changes has to wait for it: sending refuses it anyway.
        if !keeps_credential || endpoint.url != held.endpoint.url {
            about("authentication", self.check_encrypted(&endpoint))?;
        }
        if begins_anew(&held.endpoint, &endpoint) {
            endpoint.failing_since = None;
        }
        endpoint.updated_at = self.clock.wall();
        let owner = self.directory.application(endpoint.application)?;
        self.recipient(endpoint, &owner, Some(held))
    }
}

/// Whether a change makes of what failed before nothing that counts: there is another host behind
/// the endpoint, or nobody asks any more.
pub(super) fn begins_anew(before: &Endpoint, after: &Endpoint) -> bool {
    after.url != before.url || after.disable_after_failing_days.is_none()
}

/// Whether requests to one URL reach another scheme, host or port than requests to the other.
fn leads_elsewhere(before: &str, after: &str) -> bool {
    let origin = |url| Url::parse(url).map(|parsed| parsed.origin());
    before != after && origin(before) != origin(after)
}

/// Refuses to take a credential along to another host: it is shown to nobody, and whoever may change
/// the URL would have it sent to a host of theirs.
fn check_without_credential(endpoint: &Endpoint) -> Result<()> {
    if matches!(endpoint.authentication, SealedAuthentication::None) {
        return Ok(());
    }
    Err(Error::invalid(
        "the new url has another scheme, host or port, to which the endpoint's authentication would \
         be sent: give it again with the url, or as `none`",
    ))
}

fn set<T, U>(
    member: &'static str,
    field: &mut T,
    change: Option<U>,
    check: impl FnOnce(U) -> Result<T>,
) -> Result<()> {
    if let Some(value) = change {
        *field = about(member, check(value))?;
    }
    Ok(())
}

/// The headers of an endpoint after a change, not checked yet. The header by which we authenticate
/// goes when it is taken away by its name.
fn change_headers(endpoint: &mut Endpoint, change: HeaderChange) -> Vec<(String, String)> {
    let changes = match change {
        HeaderChange::Replace(headers) => return headers,
        HeaderChange::Merge(changes) => changes,
    };
    let mut headers = std::mem::take(&mut endpoint.headers);
    for (name, value) in changes {
        headers.retain(|(held, _)| !held.eq_ignore_ascii_case(&name));
        let is_credential = matches!(
            &endpoint.authentication,
            SealedAuthentication::Header { name: held, .. } if held.eq_ignore_ascii_case(&name)
        );
        match value {
            Some(value) => headers.push((name, value)),
            None if is_credential => endpoint.authentication = SealedAuthentication::None,
            None => {}
        }
    }
    headers
}
