//! A secret in clear: never printed, wiped from memory when dropped.

use crate::model::Timestamp;
use serde::{Deserialize, Serialize};
use std::fmt;
use zeroize::Zeroizing;

/// A secret text. `Debug` does not show it, and its memory is zeroed on drop.
///
/// ```
/// let secret = hookwheel::Secret::new("whsec_…");
/// assert_eq!(format!("{secret:?}"), "Secret(…)");
/// ```
#[derive(Clone, PartialEq, Eq)]
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

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
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
