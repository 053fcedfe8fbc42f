//! Signing secrets: how new ones are made, given ones checked, and keys got out of them.

use crate::chance::Chance;
use crate::error::{Error, Result};
use crate::model::Secret;
use crate::provider::encoding::Encoding;
use crate::provider::profile::{Algorithm, KeyFrom, SecretEncoding, SecretFields};
use crate::provider::sign::{Scheme, SigningKey};
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use ed25519_dalek::VerifyingKey;
use zeroize::Zeroizing;

/// Bytes of an Ed25519 seed, and of a public key (RFC 8032, section 5.1.5).
const ED25519_BYTES: usize = 32;
/// What secrets are drawn for.
const SECRET: &str = "secret";

/// A new secret and the signing scheme that it is for.
#[derive(Clone, Debug)]
pub struct NewSecret {
    /// The scheme's name, like `v1`.
    pub scheme: String,
    /// The secret as the sender keeps it; [`Provider::shown_form`](super::Provider::shown_form)
    /// gives what its owner sees.
    pub secret: Secret,
}

impl Scheme {
    /// Makes a secret, drawn from `chance`.
    pub(super) fn generate(&self, chance: &Chance) -> Result<Secret> {
        let form = &self.secret;
        if form.encoding == SecretEncoding::Alnum {
            let mut text = with_prefix(&form.prefix, form.bytes);
            random_alnum(&mut text, form.bytes, chance, SECRET)?;
            return Ok(Secret::new(std::mem::take(&mut *text)));
        }
        let mut bytes = Zeroizing::new(Vec::with_capacity(form.bytes + ED25519_BYTES));
        bytes.resize(form.bytes, 0);
        chance.fill(SECRET, &mut bytes)?;
        if self.algorithm == Algorithm::Ed25519 {
            // The seed with the public key behind it: what libsodium and Svix call the secret key.
            let public = ed25519_key(&bytes)?.verifying_key();
            bytes.extend_from_slice(public.as_bytes());
        }
        Ok(encode(&form.prefix, form.encoding, &bytes))
    }

    /// The key that signs with `secret`.
    pub(super) fn signing_key(&self, secret: &Secret) -> Result<SigningKey> {
        let bytes = self.key_bytes(secret)?;
        match self.algorithm {
            Algorithm::HmacSha256 => SigningKey::hmac(&self.name, &bytes),
            Algorithm::Ed25519 => Ok(SigningKey::ed25519(&self.name, ed25519_key(&bytes)?)),
        }
    }

    /// The key that checks signatures, from the secret or the form of it that is shown.
    pub(super) fn verifying_key(&self, secret: &Secret) -> Result<SigningKey> {
        let public = self
            .secret
            .public_prefix
            .as_ref()
            .and_then(|prefix| secret.expose().strip_prefix(prefix.as_str()));
        let Some(public) = public else {
            return self.signing_key(secret);
        };
        let key = decode(self.secret.encoding, public)
            .and_then(|bytes| VerifyingKey::try_from(bytes.as_slice()).ok())
            .ok_or_else(|| Error::invalid("the public key is not one: expected 32 bytes"))?;
        Ok(SigningKey::ed25519_public(&self.name, key))
    }

    /// What the owner of `secret` is shown.
    pub(super) fn shown_form(&self, secret: &Secret) -> Result<Secret> {
        let Some(prefix) = &self.secret.public_prefix else {
            return Ok(secret.clone());
        };
        let public = ed25519_key(&self.key_bytes(secret)?)?.verifying_key();
        Ok(encode(prefix, self.secret.encoding, public.as_bytes()))
    }

    /// The bytes of the key, checked for their number.
    pub(super) fn key_bytes(&self, secret: &Secret) -> Result<Zeroizing<Vec<u8>>> {
        let form = &self.secret;
        let text = secret.expose();
        let refused =
            || Error::invalid(format!("the secret is not one: expected {}", form.words()));
        let bytes = match form.key {
            KeyFrom::Text => {
                if !text.bytes().all(|byte| byte.is_ascii_graphic()) {
                    return Err(refused());
                }
                Zeroizing::new(text.as_bytes().to_vec())
            }
            KeyFrom::Decoded => text
                .strip_prefix(form.prefix.as_str())
                .and_then(|text| decode(form.encoding, text))
                .ok_or_else(refused)?,
        };
        let (least, most) = form.given;
        if !(least..=most).contains(&bytes.len()) {
            return Err(refused());
        }
        Ok(bytes)
    }
}

impl SecretEncoding {
    /// What it is called.
    pub(super) fn words(self) -> &'static str {
        match self {
            Self::Hex => "hex",
            Self::Base64 => "base64",
            Self::Base64url => "base64url",
            Self::Alnum => "letters and digits",
        }
    }
}

impl SecretFields {
    /// Whether no secret of this form is taken for one of `other`'s, however it was given.
    pub(super) fn differs_from(&self, other: &Self) -> bool {
        let (own, others) = (self.prefix.as_str(), other.prefix.as_str());
        self.key == KeyFrom::Decoded && !own.starts_with(others) && !others.starts_with(own)
    }

    /// What a given secret must be, in words.
    pub(super) fn words(&self) -> String {
        let (least, most) = self.given;
        let encoding = self.encoding.words();
        match self.key {
            KeyFrom::Text => format!("{least} to {most} visible ASCII characters"),
            KeyFrom::Decoded if self.prefix.is_empty() => {
                format!("{least} to {most} bytes in {encoding}")
            }
            KeyFrom::Decoded => {
                format!("`{}` and {least} to {most} bytes in {encoding}", self.prefix)
            }
        }
    }
}

/// The scheme among `schemes` that `secret` is for: the one whose prefix it has, and which takes it.
pub(super) fn scheme_of<'a>(
    mut schemes: impl Iterator<Item = &'a Scheme>,
    secret: &Secret,
) -> Result<&'a Scheme> {
    let mut refused = None;
    let found = schemes.find(|scheme| match scheme.signing_key(secret) {
        Ok(_) => true,
        Err(error) => {
            // The scheme whose prefix the secret has explains best what is wrong with it.
            if refused.is_none() || secret.expose().starts_with(&scheme.secret.prefix) {
                refused = Some(error);
            }
            false
        }
    });
    found.ok_or_else(|| {
        refused.unwrap_or_else(|| Error::invalid("the provider does not sign: it has no secrets"))
    })
}

/// Reads an Ed25519 secret key: the seed, or the seed with the public key behind it.
fn ed25519_key(bytes: &[u8]) -> Result<ed25519_dalek::SigningKey> {
    let refused = || {
        Error::invalid(
            "the private key is not one: expected a seed of 32 bytes, or seed and public key",
        )
    };
    let (seed, public) = bytes.split_at_checked(ED25519_BYTES).ok_or_else(refused)?;
    let seed: Zeroizing<[u8; ED25519_BYTES]> =
        Zeroizing::new(seed.try_into().map_err(|_| refused())?);
    let key = ed25519_dalek::SigningKey::from_bytes(&seed);
    if public.is_empty() || public == key.verifying_key().as_bytes() {
        Ok(key)
    } else {
        Err(refused())
    }
}

/// Writes `length` random letters and digits, drawn from `chance` for `purpose`, at the end of `text`,
/// which has room for them: a text that grows leaves copies behind.
pub(super) fn random_alnum(
    text: &mut String,
    length: usize,
    chance: &Chance,
    purpose: &'static str,
) -> Result<()> {
    const LETTERS: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
    let end = text.len() + length;
    let mut bytes = Zeroizing::new([0_u8; 64]);
    while text.len() < end {
        chance.fill(purpose, bytes.as_mut_slice())?;
        // Six bits pick a letter; 62 and 63 are drawn again, so that all are equally likely.
        let letters = bytes.iter().filter_map(|byte| LETTERS.get(usize::from(byte & 63)));
        text.extend(letters.take(end - text.len()).map(|letter| char::from(*letter)));
    }
    Ok(())
}

/// `prefix`, with room for `length` bytes behind it.
fn with_prefix(prefix: &str, length: usize) -> Zeroizing<String> {
    let mut text = Zeroizing::new(String::with_capacity(prefix.len() + length));
    text.push_str(prefix);
    text
}

fn encode(prefix: &str, encoding: SecretEncoding, bytes: &[u8]) -> Secret {
    // No encoding is longer than hex.
    let mut text = with_prefix(prefix, 2 * bytes.len() + 4);
    // `encode_string` would work in a buffer that nobody wipes.
    match encoding {
        SecretEncoding::Hex => Encoding::Hex.encode_into(bytes, &mut text),
        SecretEncoding::Base64 => text.push_str(&Zeroizing::new(STANDARD.encode(bytes))),
        SecretEncoding::Base64url | SecretEncoding::Alnum => {
            text.push_str(&Zeroizing::new(URL_SAFE_NO_PAD.encode(bytes)));
        }
    }
    Secret::new(std::mem::take(&mut *text))
}

fn decode(encoding: SecretEncoding, text: &str) -> Option<Zeroizing<Vec<u8>>> {
    // With room for all of it, and wiped where it is none after all.
    let mut bytes = Zeroizing::new(Vec::with_capacity(text.len()));
    match encoding {
        SecretEncoding::Hex => {
            let lower = Zeroizing::new(text.to_ascii_lowercase());
            Encoding::Hex.decode_into(&lower, &mut bytes)?;
        }
        SecretEncoding::Base64 => STANDARD.decode_vec(text, &mut bytes).ok()?,
        SecretEncoding::Base64url => URL_SAFE_NO_PAD.decode_vec(text, &mut bytes).ok()?,
        SecretEncoding::Alnum => return None,
    }
    Some(bytes)
}
