//! Verification, as the providers' pages tell it and as it is done wrong.

use crate::ordered_json::rewritten;
use crate::provider::Provider;
use crate::server::Request;
use crate::vice::Vice;
use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use ed25519_dalek::{Signature, VerifyingKey};
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use subtle::ConstantTimeEq;

/// Whether `request` is signed by one of `secrets`, for a consumer with this vice.
pub fn is_genuine(provider: Provider, vice: Vice, secrets: &[String], request: &Request) -> bool {
    if vice == Vice::NeverVerifies {
        return true;
    }
    let Some(given) = request.header(provider.signature_header()) else {
        return vice == Vice::FollowsUnsigned;
    };
    let body = match vice {
        Vice::ParsesBeforeVerifying => match rewritten(&request.body) {
            Some(body) => body,
            None => return false,
        },
        _ => request.body.to_vec(),
    };
    let content = if provider.signs_headers() {
        let (Some(id), Some(time)) =
            (request.header("webhook-id"), request.header("webhook-timestamp"))
        else {
            return false;
        };
        [format!("{id}.{time}.").as_bytes(), &body].concat()
    } else {
        body
    };
    secrets.iter().any(|secret| match provider {
        Provider::Yoco | Provider::StandardWebhooks => in_list(vice, secret, &content, given),
        Provider::CitizenTicket => {
            let expected = BASE64.encode(hmac_sha256(secret.as_bytes(), &content));
            fits(vice, &expected, given)
        }
        _ => fits(vice, &hex(&hmac_sha256(secret.as_bytes(), &content)), given),
    })
}

/// Standard Webhooks: a list of signatures with their versions, of which one has to fit.
fn in_list(vice: Vice, secret: &str, content: &[u8], given: &str) -> bool {
    let looked_at = if vice == Vice::KnowsOnlyTheNewestSignature { 1 } else { usize::MAX };
    let entries = given.split(' ').take(looked_at);
    if let Some(key) = secret.strip_prefix("whpk_") {
        let key: [u8; 32] = BASE64.decode(key).unwrap().try_into().unwrap();
        let key = VerifyingKey::from_bytes(&key).unwrap();
        return entries.filter_map(|entry| entry.strip_prefix("v1a,")).any(|given| {
            let bytes = BASE64.decode(given).unwrap_or_default();
            let signature = Signature::from_slice(&bytes);
            signature.is_ok_and(|signature| key.verify_strict(content, &signature).is_ok())
        });
    }
    let key = BASE64.decode(secret.strip_prefix("whsec_").unwrap()).unwrap();
    let expected = BASE64.encode(hmac_sha256(&key, content));
    entries.filter_map(|entry| entry.strip_prefix("v1,")).any(|given| fits(vice, &expected, given))
}

fn fits(vice: Vice, expected: &str, given: &str) -> bool {
    match vice {
        Vice::ComparesLoosely => expected.starts_with(given),
        Vice::IgnoresWhatFollows => given.starts_with(expected),
        Vice::ChecksOnlyTheForm => has_form_of(expected, given),
        Vice::DecodesAnyEncoding => decoded(expected) == decoded(given),
        _ => expected.as_bytes().ct_eq(given.as_bytes()).into(),
    }
}

fn has_form_of(expected: &str, given: &str) -> bool {
    let is_hex = |text: &str| text.bytes().all(|byte| byte.is_ascii_hexdigit());
    expected.len() == given.len() && is_hex(expected) == is_hex(given)
}

fn decoded(text: &str) -> Option<Vec<u8>> {
    let hex = (0..text.len()).step_by(2).map(|at| {
        let digits = text.get(at..at + 2)?;
        u8::from_str_radix(digits, 16).ok()
    });
    hex.collect::<Option<Vec<u8>>>().or_else(|| BASE64.decode(text).ok())
}

/// The HMAC-SHA256 of `content`.
pub fn hmac_sha256(key: &[u8], content: &[u8]) -> Vec<u8> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).unwrap();
    mac.update(content);
    mac.finalize().into_bytes().to_vec()
}

/// Lower-case hex.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
