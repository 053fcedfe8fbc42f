//! Checks of what endpoints are made of, before anything is stored.

use crate::dispatch::ClientIdentity;
use crate::engine::Inner;
use crate::engine::recipients::{PAIR_SEPARATOR, endpoint_place};
use crate::error::{Error, Result};
use crate::model::endpoint::SealedAuthentication;
use crate::model::secret::Sealed;
use crate::model::{
    ApplicationId, Authentication, Endpoint, EndpointId, EventPattern, Payload, Secret, check,
};
use crate::provider::Provider;
use serde_json::value::RawValue;
use std::collections::BTreeMap;
use url::Url;

/// Bytes of the schemas of one event type at most.
const SCHEMAS_BYTES_MAX: usize = 256 * 1024;

// Each request to an endpoint holds what is sent with it, and there may be thousands at once.
/// Bytes of a user name or a client id at most.
const NAME_BYTES_MAX: usize = 256;
/// Bytes of an OAuth2 scope at most.
const SCOPE_BYTES_MAX: usize = 1024;
/// Bytes of all of an endpoint's own headers together, names and values, at most.
const HEADERS_BYTES_MAX: usize = 16 * 1024;

impl Inner {
    /// Refuses one endpoint more than an application may have.
    pub(super) fn check_room(&self, application: ApplicationId) -> Result<()> {
        let count = self.directory.recipients(application)?.len();
        if count < self.config.endpoints_max {
            return Ok(());
        }
        Err(Error::invalid(format!(
            "the application has {count} endpoints, which is the most that `endpoints_max` allows"
        )))
    }

    pub(super) fn check_new_uid(
        &self,
        application: ApplicationId,
        uid: Option<&str>,
    ) -> Result<()> {
        let Some(uid) = uid else { return Ok(()) };
        check::check_uid(uid)?;
        let recipients = self.directory.recipients(application)?;
        match recipients.iter().find(|held| held.endpoint.uid.as_deref() == Some(uid)) {
            Some(held) => Err(Error::conflict(format!(
                "endpoint uid `{uid}` is taken by endpoint `{}`",
                held.endpoint.id
            ))),
            None => Ok(()),
        }
    }

    pub(super) fn checked_url(&self, url: &str, provider: &Provider) -> Result<String> {
        self.egress.check_url(url, provider.https_only())?;
        provider.check_url(url)?;
        Ok(url.to_owned())
    }

    /// Refuses to send a credential where everybody on the way can read it, except in development.
    pub(super) fn check_encrypted(&self, endpoint: &Endpoint) -> Result<()> {
        let has_credential = !matches!(endpoint.authentication, SealedAuthentication::None);
        let is_open = Url::parse(&endpoint.url).is_ok_and(|url| url.scheme() == "http");
        if !has_credential || !is_open || self.config.egress.development {
            return Ok(());
        }
        Err(Error::invalid(
            "the endpoint's authentication would go over the network unencrypted: give an `https:` \
             url, or no authentication",
        ))
    }

    pub(super) fn checked_authentication(
        &self,
        id: EndpointId,
        provider: &Provider,
        authentication: &Authentication,
    ) -> Result<SealedAuthentication> {
        if !provider.allows_authentication(authentication) {
            let allowed: Vec<&str> =
                provider.authentications().iter().map(|kind| kind.as_str()).collect();
            return Err(Error::invalid(format!(
                "{} does not authenticate towards endpoints in that way: allowed are none{}{}",
                provider.title(),
                if allowed.is_empty() { "" } else { ", " },
                allowed.join(", "),
            )));
        }
        match authentication {
            Authentication::None => {}
            Authentication::Basic { username, password } => {
                if username.contains(':') || !check::is_header_value(username) {
                    return Err(Error::invalid(
                        "the user name of basic authentication holds a colon or a control \
                         character (RFC 7617, section 2)",
                    ));
                }
                check_length("user name of basic authentication", username, NAME_BYTES_MAX)?;
                check_credential("password", password)?;
            }
            Authentication::Header { name, value } => {
                check_header_name(provider, name, true)?;
                check_credential("header value", value)?;
            }
            Authentication::OAuth2 { token_url, client_id, client_secret, scope } => {
                let https_only = !self.config.egress.development;
                self.egress
                    .check_url(token_url, https_only)
                    .map_err(|error| error.within("token url of the endpoint's authentication"))?;
                if client_id.is_empty() {
                    return Err(Error::invalid("the client id of OAuth2 is empty"));
                }
                check_length("client id of OAuth2", client_id, NAME_BYTES_MAX)?;
                let scope = scope.as_deref().unwrap_or_default();
                check_length("scope of OAuth2", scope, SCOPE_BYTES_MAX)?;
                check_credential("client secret", client_secret)?;
            }
        }
        self.seal_authentication(id, authentication)
    }

    pub(super) fn checked_identity(
        &self,
        id: EndpointId,
        provider: &Provider,
        given: Option<(String, Secret)>,
    ) -> Result<Option<Sealed>> {
        let Some((certificate, key)) = given else { return Ok(None) };
        if !provider.allows_client_certificate() {
            return Err(Error::invalid(format!(
                "{} does not send with a client certificate",
                provider.title()
            )));
        }
        let now = self.clock.wall();
        ClientIdentity::from_base64_pem(&certificate, &key, now)?;
        let pair = Secret::new(format!("{certificate}{PAIR_SEPARATOR}{}", key.expose()));
        self.vault().seal(&endpoint_place(id, "client certificate"), &pair).map(Some)
    }
}

/// Says which member was wrong.
pub(super) fn about<T>(member: &'static str, checked: Result<T>) -> Result<T> {
    checked.map_err(|error| error.about(member))
}

pub(super) fn checked_text(what: &str, text: String, length_max: usize) -> Result<String> {
    check_length(what, &text, length_max)?;
    Ok(text)
}

fn check_length(what: &str, text: &str, length_max: usize) -> Result<()> {
    if text.len() > length_max {
        return Err(Error::invalid(format!("the {what} is longer than {length_max} bytes")));
    }
    Ok(())
}

pub(super) fn checked_application_name(name: String) -> Result<String> {
    if (1..=256).contains(&name.len()) {
        return Ok(name);
    }
    Err(Error::invalid(format!(
        "the application's name has {} bytes: 1 to 256 are expected",
        name.len()
    )))
}

pub(super) fn checked_filter(patterns: Vec<String>) -> Result<Vec<EventPattern>> {
    if patterns.len() > 256 {
        return Err(Error::invalid("the event filter has more than 256 entries"));
    }
    patterns.into_iter().map(EventPattern::new).collect()
}

pub(super) fn checked_rate(rate: Option<u32>) -> Result<Option<u32>> {
    match rate {
        Some(0) => {
            Err(Error::invalid("a rate limit of 0 would never send: give 1 or more, or none"))
        }
        rate => Ok(rate),
    }
}

pub(super) fn checked_failing_days(days: Option<u16>) -> Result<Option<u16>> {
    match days {
        Some(days) if !(1..=365).contains(&days) => {
            Err(Error::invalid(format!("{days} days of failures are not between 1 and 365")))
        }
        days => Ok(days),
    }
}

pub(super) fn checked_concurrency(concurrency: u32) -> Result<u32> {
    if (1..=1024).contains(&concurrency) {
        return Ok(concurrency);
    }
    Err(Error::invalid(format!("concurrency {concurrency} is not between 1 and 1024")))
}

/// Settings that the provider's headers can be made of: refused now, and not at every attempt.
pub(super) fn checked_settings(
    provider: &Provider,
    settings: BTreeMap<String, String>,
) -> Result<BTreeMap<String, String>> {
    let settings = check::checked_metadata(settings)?;
    provider.check_settings(&settings)?;
    Ok(settings)
}

pub(super) fn checked_headers(
    provider: &Provider,
    headers: Vec<(String, String)>,
) -> Result<Vec<(String, String)>> {
    if headers.len() > 64 {
        return Err(Error::invalid("there are more than 64 headers"));
    }
    for (name, value) in &headers {
        check_header_name(provider, name, false)?;
        if value.len() > 4096 || !check::is_header_value(value) {
            return Err(Error::invalid(format!(
                "the value of header `{name}` cannot be sent: up to 4,096 visible ASCII characters \
                 and spaces are allowed"
            )));
        }
    }
    let bytes: usize = headers.iter().map(|(name, value)| name.len() + value.len()).sum();
    if bytes > HEADERS_BYTES_MAX {
        return Err(Error::invalid(format!(
            "the headers have {bytes} bytes together: {HEADERS_BYTES_MAX} is the most"
        )));
    }
    Ok(headers)
}

/// Refuses headers that cannot be sent beside a provider's own. Their values are secrets: no error
/// shows them.
pub(crate) fn check_extra_headers(provider: &Provider, headers: &[(String, Secret)]) -> Result<()> {
    for (name, value) in headers {
        check_header_name(provider, name, true)?;
        let text = value.expose();
        if text.is_empty() || text.len() > 8192 || !check::is_header_value(text) {
            return Err(Error::invalid(format!(
                "the value of header `{name}` cannot be sent: 1 to 8,192 visible ASCII characters \
                 and spaces are expected"
            )));
        }
    }
    Ok(())
}

/// Headers that the sender, the connection or the provider decides.
const RESERVED: [&str; 14] = [
    "host",
    "content-length",
    "content-type",
    "content-encoding",
    "transfer-encoding",
    "connection",
    "keep-alive",
    "upgrade",
    "te",
    "trailer",
    "expect",
    "user-agent",
    "accept-encoding",
    "cookie",
];

fn check_header_name(provider: &Provider, name: &str, is_credential: bool) -> Result<()> {
    let is_token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    if name.is_empty() || name.len() > 128 || !name.bytes().all(is_token) {
        return Err(Error::invalid(format!(
            "header name `{}` is not one (RFC 9110, section 5.6.2)",
            name.chars().take(64).collect::<String>().escape_debug()
        )));
    }
    let lower = name.to_ascii_lowercase();
    let is_ours = RESERVED.contains(&lower.as_str())
        || lower.starts_with("webhook-")
        || lower.starts_with("proxy-")
        || lower.ends_with("-signature")
        || provider.header_names().any(|own| own.eq_ignore_ascii_case(name));
    if is_ours {
        return Err(Error::invalid(format!(
            "header `{name}` is reserved: it is set by the sender"
        )));
    }
    if lower == "authorization" && !is_credential {
        return Err(Error::invalid(
            "header `Authorization` is set through the endpoint's authentication, where it is \
             encrypted",
        ));
    }
    Ok(())
}

fn check_credential(what: &str, secret: &Secret) -> Result<()> {
    let text = secret.expose();
    if text.is_empty() || text.len() > 8192 || !check::is_header_value(text) {
        return Err(Error::invalid(format!(
            "the {what} of the endpoint's authentication must have 1 to 8,192 visible ASCII \
             characters"
        )));
    }
    Ok(())
}

/// Up to 64 names in the alphabet of event types.
pub(super) fn checked_names(what: &str, names: Vec<String>) -> Result<Vec<String>> {
    if names.len() > 64 {
        return Err(Error::invalid(format!("there are more than 64 {what}s")));
    }
    names.iter().try_for_each(|name| check::check_name(what, name))?;
    Ok(names)
}

/// Schemas by version, their bytes as they are.
pub(super) fn checked_schemas(text: String) -> Result<Payload> {
    if text.len() > SCHEMAS_BYTES_MAX {
        return Err(Error::invalid(format!(
            "schemas of {} bytes are too large: {SCHEMAS_BYTES_MAX} is the most",
            text.len()
        )));
    }
    let by_version: BTreeMap<String, &RawValue> = serde_json::from_str(&text).map_err(|error| {
        Error::invalid(format!("schemas are no JSON object of one schema a version: {error}"))
            .with_source(error)
    })?;
    if let Some((version, _)) = by_version.iter().find(|(_, schema)| !schema.get().starts_with('{'))
    {
        return Err(Error::invalid(format!(
            "the schema of version `{}` is no JSON object",
            version.chars().take(64).collect::<String>().escape_debug()
        )));
    }
    Payload::from_text(text).map_err(|error| error.within("schemas"))
}
