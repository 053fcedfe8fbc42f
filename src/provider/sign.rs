//! Signing keys, and the signatures of a webhook.

use crate::error::{Error, Result};
use crate::provider::encoding::Encoding;
use crate::provider::profile::{Algorithm, SecretFields};
use crate::provider::template::{Template, Token};
use ed25519_dalek::{Signer, VerifyingKey};
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

/// A key that is ready to sign: an HMAC state that has taken in its key, or an Ed25519 key. Clones
/// share it; `Debug` does not show it.
#[derive(Clone)]
pub struct SigningKey(Arc<Key>);

struct Key {
    scheme: String,
    material: Material,
}

enum Material {
    Hmac(Hmac<Sha256>),
    Ed25519(Box<ed25519_dalek::SigningKey>),
    /// Checks but cannot sign.
    Ed25519Public(VerifyingKey),
}

impl SigningKey {
    /// The signing scheme of the provider that the key is for, like `v1`.
    pub fn scheme(&self) -> &str {
        &self.0.scheme
    }

    pub(super) fn hmac(scheme: &str, key: &[u8]) -> Result<Self> {
        let state = Hmac::new_from_slice(key)
            .map_err(|error| Error::internal("hmac refused a key").with_source(error))?;
        Ok(Self::new(scheme, Material::Hmac(state)))
    }

    pub(super) fn ed25519(scheme: &str, key: ed25519_dalek::SigningKey) -> Self {
        Self::new(scheme, Material::Ed25519(Box::new(key)))
    }

    pub(super) fn ed25519_public(scheme: &str, key: VerifyingKey) -> Self {
        Self::new(scheme, Material::Ed25519Public(key))
    }

    fn new(scheme: &str, material: Material) -> Self {
        Self(Arc::new(Key { scheme: scheme.to_owned(), material }))
    }

    /// The signature of `content` filled in with `value`.
    pub(super) fn sign<'v>(
        &self,
        content: &Template,
        value: impl Fn(&Token) -> Option<Cow<'v, [u8]>>,
    ) -> Result<Vec<u8>> {
        match &self.0.material {
            Material::Hmac(state) => {
                let mut state = state.clone();
                fill(content, value, |piece| state.update(piece))?;
                Ok(state.finalize().into_bytes().to_vec())
            }
            Material::Ed25519(key) => {
                let mut message = Vec::new();
                fill(content, value, |piece| message.extend_from_slice(piece))?;
                Ok(key.sign(&message).to_bytes().to_vec())
            }
            Material::Ed25519Public(_) => Err(Error::invalid(
                "a public key checks signatures but cannot sign: give the private one",
            )),
        }
    }

    /// Whether `signature` is this key's for `content` filled in with `value`; takes the same time
    /// wherever they differ.
    pub(super) fn verify<'v>(
        &self,
        content: &Template,
        value: impl Fn(&Token) -> Option<Cow<'v, [u8]>>,
        signature: &[u8],
    ) -> Result<bool> {
        let public = match &self.0.material {
            Material::Hmac(state) => {
                let mut state = state.clone();
                fill(content, value, |piece| state.update(piece))?;
                return Ok(state.verify_slice(signature).is_ok());
            }
            Material::Ed25519(key) => key.verifying_key(),
            Material::Ed25519Public(key) => *key,
        };
        let mut message = Vec::new();
        fill(content, value, |piece| message.extend_from_slice(piece))?;
        Ok(ed25519_dalek::Signature::from_slice(signature)
            .is_ok_and(|signature| public.verify_strict(&message, &signature).is_ok()))
    }
}

fn fill<'v>(
    content: &Template,
    value: impl Fn(&Token) -> Option<Cow<'v, [u8]>>,
    sink: impl FnMut(&[u8]),
) -> Result<()> {
    content.fill(value, sink).map_err(|token| {
        Error::invalid(format!("{token} is signed, but nothing is known to put in its place"))
    })
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SigningKey({}, …)", self.0.scheme)
    }
}

/// One way in which a provider signs.
pub(super) struct Scheme {
    pub name: String,
    pub algorithm: Algorithm,
    pub content: Template,
    pub encoding: Encoding,
    /// One signature in the header's value.
    pub value: Template,
    pub secret: SecretFields,
}

/// A header that carries signatures.
pub(super) struct SignatureHeader {
    pub name: String,
    pub separator: String,
    pub schemes: Vec<Scheme>,
}

/// How a provider signs.
pub(super) struct Signing {
    pub headers: Vec<SignatureHeader>,
    /// Whether every live secret signs, or the newest only.
    pub overlaps: bool,
}

impl Signing {
    /// The ways of signing, in the order of the file.
    pub fn schemes(&self) -> impl Iterator<Item = &Scheme> {
        self.headers.iter().flat_map(|header| &header.schemes)
    }

    /// The signature headers for `keys`, the newest of which is last. The newest signs first: a
    /// receiver that looks at one signature only finds that of the current secret.
    ///
    /// # Errors
    /// Refuses to leave a request unsigned.
    pub fn headers<'v>(
        &self,
        keys: &[SigningKey],
        value: &impl Fn(&Token) -> Option<Cow<'v, [u8]>>,
    ) -> Result<Vec<(String, String)>> {
        let mut headers = Vec::with_capacity(self.headers.len());
        for header in &self.headers {
            let mut text = String::new();
            let entries = keys.iter().rev().filter_map(|key| {
                let scheme = header.schemes.iter().find(|scheme| scheme.name == key.scheme())?;
                Some((scheme, key))
            });
            let entries_max = if self.overlaps { usize::MAX } else { 1 };
            for (index, (scheme, key)) in entries.take(entries_max).enumerate() {
                if index > 0 {
                    text.push_str(&header.separator);
                }
                scheme.write(&mut text, key, value)?;
            }
            if !text.is_empty() {
                headers.push((header.name.clone(), text));
            }
        }
        if headers.is_empty() && !self.headers.is_empty() {
            return Err(Error::invalid("no secret is live: generate one for the endpoint"));
        }
        Ok(headers)
    }
}

impl Scheme {
    fn write<'v>(
        &self,
        out: &mut String,
        key: &SigningKey,
        value: &impl Fn(&Token) -> Option<Cow<'v, [u8]>>,
    ) -> Result<()> {
        let mut signature = String::new();
        self.encoding.encode_into(&key.sign(&self.content, value)?, &mut signature);
        let with_signature = |token: &Token| match token {
            Token::Signature => Some(Cow::Owned(signature.clone().into_bytes())),
            _ => value(token),
        };
        let mut entry = Vec::with_capacity(signature.len() + 8);
        fill(&self.value, with_signature, |piece| entry.extend_from_slice(piece))?;
        out.push_str(&String::from_utf8_lossy(&entry));
        Ok(())
    }
}
