//! A secret in clear: never printed, wiped from memory when dropped.

use crate::model::Timestamp;
use serde::{Deserialize, Serialize};
use std::fmt;
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

/// A secret text. `Debug` does not show it, its memory is zeroed on drop, and two are compared in the
/// same time wherever they differ; only their lengths can be told from it.
///
/// ```
/// let secret = hookwheel::Secret::new("whsec_…");
/// assert_eq!(format!("{secret:?}"), "Secret(…)");
/// ```
#[derive(Clone)]
pub struct Secret(Zeroizing<String>);

impl Secret {
    /// Takes `text` as a secret.
    pub fn new(text: impl Into<String>) -> Self {
        Self(Zeroizing::new(text.into()))
    }

    /// The secret in clear, to sign with or to show to its owner.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl PartialEq for Secret {
    fn eq(&self, other: &Self) -> bool {
        are_alike(self.0.as_bytes(), other.0.as_bytes())
    }
}

impl Eq for Secret {}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

/// Whether two are alike. It takes the same time wherever they differ, so that a guess learns nothing
/// but a length.
pub(super) fn are_alike(one: &[u8], other: &[u8]) -> bool {
    one.ct_eq(other).into()
}

/// A secret encrypted under the master key; see `vault.rs`. It says nothing without the key.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sealed(pub(crate) Vec<u8>);

impl fmt::Debug for Sealed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Sealed({} bytes)", self.0.len())
    }
}

/// A signing secret as it is stored: sealed, with the time in which it is valid.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct StoredSecret {
    /// The secret, encrypted.
    pub sealed: Sealed,
    /// The signing scheme of the provider that it belongs to, like `v1`.
    pub scheme: String,
    /// Since when it signs.
    pub created_at: Timestamp,
    /// Until when it signs; `None` while it is the current one.
    pub expires_at: Option<Timestamp>,
}
