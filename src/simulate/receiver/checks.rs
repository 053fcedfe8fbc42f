//! The providers' own instructions for checking a webhook, each as its page gives it. Nothing here
//! may use hookwheel's signing code: it is what that code is tested against.

#[cfg(test)]
mod tests;

use super::answer::Answer;
use super::received::Verdict;
use super::request::Request;
use crate::model::Timestamp;
use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use ed25519_dalek::{Signature, VerifyingKey};
use hmac::{Hmac, KeyInit, Mac};
use serde_json::{Map, Value};
use sha2::Sha256;
use std::time::Duration;
use subtle::ConstantTimeEq;

/// How old a webhook may be: Citizen Ticket's page, and the Standard Webhooks libraries.
const AGE_MAX: Duration = Duration::from_secs(300);

/// What came of the checks, and the honest answer.
pub(in crate::simulate) struct Checked {
    pub(in crate::simulate) verdict: Verdict,
    pub(in crate::simulate) event_ids: Vec<String>,
    pub(in crate::simulate) answer: Answer,
}

/// Why a webhook was not accepted.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Refusal {
    /// It is not a webhook.
    Method(String),
    /// It is not from the provider, or not from now.
    NotGenuine(String),
    /// It is from the provider, and not what the page describes.
    Unusable(String),
}

impl Refusal {
    pub(super) fn reason(self) -> String {
        match self {
            Self::Method(reason) | Self::NotGenuine(reason) | Self::Unusable(reason) => reason,
        }
    }
}

/// The event ids of a genuine webhook.
pub(super) type Genuine = Result<Vec<String>, Refusal>;

/// `Signature=base64(HMAC-SHA256(body, SigningSecret))`, then the timestamp and the id in the body.
pub(super) fn citizen_ticket(secret: &str, request: &Request, now: Timestamp) -> Genuine {
    let signature = present("X-Signature", request.header("X-Signature"))?;
    let expected = BASE64.encode(hmac_sha256(secret.as_bytes(), &[&request.body]));
    same("X-Signature", signature, &expected)?;

    let body = object(&request.body)?;
    let timestamp = Timestamp::parse(text(&body, "timestamp")?)
        .map_err(|error| Refusal::Unusable(format!("`timestamp` in the body: {error}")))?;
    not_older(timestamp, now)?;
    Ok(vec![text(&body, "id")?.to_owned()])
}

/// `crypto.createHmac('sha256', secret).update(rawBody).digest('hex')`, then the id in the body.
pub(super) fn ticketnation(secret: &str, request: &Request) -> Genuine {
    let signature = present("X-TN-Signature", request.header("X-TN-Signature"))?;
    same("X-TN-Signature", signature, &hex_of_body(secret, request))?;
    Ok(vec![text(&object(&request.body)?, "id")?.to_owned()])
}

/// The page's PHP takes `$headers["Webhook-Signature"]`, which finds no other casing, and each
/// event is recorded by its id.
pub(super) fn gocardless(secret: &str, request: &Request) -> Genuine {
    let name = "Webhook-Signature";
    let signature = present(name, request.header_in_this_casing(name))?;
    same(name, signature, &hex_of_body(secret, request))?;

    let body = object(&request.body)?;
    let events = body.get("events").and_then(Value::as_array);
    let events = events.ok_or_else(|| Refusal::Unusable("no list `events` in the body".into()))?;
    let id = |event: &Value| {
        let id = event.get("id").and_then(Value::as_str).map(str::to_owned);
        id.ok_or_else(|| Refusal::Unusable("an event has no text `id`".into()))
    };
    events.iter().map(id).collect()
}

/// The page's headers, and the signature of the body. It names no id to tell duplicates by; the
/// `id` in some bodies is that of a transaction or an invoice, which has many events.
pub(super) fn opencard(secret: &str, request: &Request) -> Genuine {
    let name = "X-Data-Signature";
    let signature = present(name, request.header(name))?;
    same(name, signature, &hex_of_body(secret, request))?;

    let unusable = |reason: &str| Err(Refusal::Unusable(reason.to_owned()));
    if request.header("X-Event").unwrap_or_default().is_empty() {
        return unusable("header `X-Event` is missing, or says nothing");
    }
    if request.header("X-Version") != Some("1") {
        return unusable("header `X-Version` is not `1`, the active version");
    }
    // RFC 9110, section 8.3.1: the type without its parameters, whatever its case.
    let content_type = request.header("Content-Type").and_then(|held| held.split(';').next());
    if !content_type.is_some_and(|held| held.trim().eq_ignore_ascii_case("application/json")) {
        return unusable("header `Content-Type` is not `application/json`");
    }
    object(&request.body)?;
    Ok(Vec::new())
}

/// OpenCard's challenge: `hash_hmac('sha256', challenge, webhook_secret)` in `x-verify-token`.
pub(super) fn challenge(secret: &str, request: &Request) -> Checked {
    let query = request.target.split_once('?').map_or("", |parts| parts.1);
    let challenge = url::form_urlencoded::parse(query.as_bytes())
        .find(|(name, _)| name == "challenge")
        .map(|(_, value)| value);
    let (verdict, answer) = match challenge {
        Some(challenge) => {
            let token = hex(&hmac_sha256(secret.as_bytes(), &[challenge.as_bytes()]));
            let answer = Answer::status(200).header("x-verify-token", token);
            (Verdict::Accepted, answer)
        }
        None => {
            let reason = "a GET without the query parameter `challenge`";
            let answer = Answer::status(400).body(reason);
            (Verdict::Refused(reason.to_owned()), answer)
        }
    };
    Checked { verdict, event_ids: Vec::new(), answer }
}

/// Standard Webhooks 1.0.0, "Verifying webhook authenticity", and Yoco, which follows it: one
/// signature of the list must fit. A secret that begins with `whpk_` is a public key, and the
/// signatures that it fits are `v1a`.
pub(super) fn standard_webhooks(secret: &str, request: &Request, now: Timestamp) -> Genuine {
    let id = present("webhook-id", request.header("webhook-id"))?;
    let timestamp = present("webhook-timestamp", request.header("webhook-timestamp"))?;
    let signatures = present("webhook-signature", request.header("webhook-signature"))?;

    let seconds = Some(timestamp)
        .filter(|digits| digits.bytes().all(|byte| byte.is_ascii_digit()))
        .and_then(|digits| digits.parse::<i64>().ok())
        .ok_or_else(|| {
            Refusal::NotGenuine("header `webhook-timestamp` is not a number of seconds".into())
        })?;
    let sent = Timestamp::from_millis(seconds.saturating_mul(1000));
    not_older(sent, now)?;
    if sent.since(now) > AGE_MAX {
        let reason = "header `webhook-timestamp` is over 5 minutes ahead of the time here";
        return Err(Refusal::NotGenuine(reason.to_owned()));
    }

    let content = [id.as_bytes(), b".", timestamp.as_bytes(), b".", &request.body];
    let of_version = |version: &'static str| {
        signatures.split(' ').filter_map(move |one| one.strip_prefix(version)?.strip_prefix(','))
    };
    let fits = match secret.strip_prefix("whpk_") {
        Some(key) => {
            let key = public_key(key)?;
            let content = content.concat();
            of_version("v1a").any(|signature| fits_public_key(&key, &content, signature))
        }
        None => {
            let key = BASE64.decode(secret.strip_prefix("whsec_").unwrap_or(secret));
            let key = key.map_err(|_| wrong_secret("`whsec_` and base64"))?;
            let expected = BASE64.encode(hmac_sha256(&key, &content));
            of_version("v1").any(|signature| equal(signature, &expected))
        }
    };
    if !fits {
        let reason = "no signature in header `webhook-signature` fits the secret and what came";
        return Err(Refusal::NotGenuine(reason.to_owned()));
    }
    object(&request.body)?;
    Ok(vec![id.to_owned()])
}

fn public_key(base64: &str) -> Result<VerifyingKey, Refusal> {
    let bytes = BASE64.decode(base64).ok().and_then(|bytes| bytes.try_into().ok());
    let key = bytes.and_then(|bytes| VerifyingKey::from_bytes(&bytes).ok());
    key.ok_or_else(|| wrong_secret("`whpk_` and an Ed25519 public key in base64"))
}

fn fits_public_key(key: &VerifyingKey, content: &[u8], base64: &str) -> bool {
    let signature = BASE64.decode(base64).ok();
    signature
        .and_then(|bytes| Signature::from_slice(&bytes).ok())
        .is_some_and(|signature| key.verify_strict(content, &signature).is_ok())
}

fn wrong_secret(right: &str) -> Refusal {
    Refusal::NotGenuine(format!("the receiver's secret is not {right}"))
}

fn not_older(sent: Timestamp, now: Timestamp) -> Result<(), Refusal> {
    let age = now.since(sent);
    if age <= AGE_MAX {
        return Ok(());
    }
    let age = crate::model::human_duration(age);
    Err(Refusal::NotGenuine(format!("it is {age} old: older than 5 minutes")))
}

fn present<'a>(name: &str, value: Option<&'a str>) -> Result<&'a str, Refusal> {
    value
        .filter(|value| !value.is_empty())
        .ok_or_else(|| Refusal::NotGenuine(format!("header `{name}` is missing")))
}

fn same(name: &str, given: &str, expected: &str) -> Result<(), Refusal> {
    if equal(given, expected) {
        return Ok(());
    }
    let reason = format!("header `{name}` is not the signature of this body under the secret");
    Err(Refusal::NotGenuine(reason))
}

/// Compares in a time that does not tell where the texts differ.
fn equal(given: &str, expected: &str) -> bool {
    given.as_bytes().ct_eq(expected.as_bytes()).into()
}

fn object(body: &[u8]) -> Result<Map<String, Value>, Refusal> {
    serde_json::from_slice(body)
        .map_err(|error| Refusal::Unusable(format!("the body is not a JSON object: {error}")))
}

fn text<'a>(body: &'a Map<String, Value>, field: &str) -> Result<&'a str, Refusal> {
    let text = body.get(field).and_then(Value::as_str);
    text.ok_or_else(|| Refusal::Unusable(format!("no text `{field}` in the body")))
}

fn hex_of_body(secret: &str, request: &Request) -> String {
    hex(&hmac_sha256(secret.as_bytes(), &[&request.body]))
}

#[allow(clippy::expect_used, reason = "a key of any length is one for HMAC: RFC 2104, section 3")]
fn hmac_sha256(key: &[u8], parts: &[&[u8]]) -> [u8; 32] {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("a key of any length");
    for part in parts {
        mac.update(part);
    }
    mac.finalize().into_bytes().into()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
