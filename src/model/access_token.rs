//! Who may call the API.

use crate::model::secret::are_alike;
use crate::model::{AccessTokenId, ApplicationId, Timestamp};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::fmt;

/// What the API knows of a token that opens it; the token itself is shown once and kept nowhere.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AccessToken {
    /// Its id.
    pub id: AccessTokenId,
    /// What people call it.
    pub name: String,
    /// The only application that it opens; `None` opens everything.
    pub application: Option<ApplicationId>,
    /// Whether it opens only what changes nothing.
    pub read_only: bool,
    /// Whether it is an endpoint owner's: it looks after endpoints and deliveries, and neither
    /// emits nor changes the application.
    pub portal: bool,
    /// Which event types a portal's token sees besides those for everybody: the ones with one of
    /// these flags.
    pub feature_flags: Vec<String>,
    /// What is kept of the token's secret part.
    pub(crate) digest: TokenDigest,
    /// When it was made.
    pub created_at: Timestamp,
    /// Until when it opens anything; `None` until it is revoked.
    pub expires_at: Option<Timestamp>,
}

/// SHA-256 of the secret part of a token. That has 256 random bits, so a slow hash adds nothing. Two
/// are compared as secrets are: in the same time wherever they differ.
#[derive(Clone, Eq, Serialize, Deserialize)]
pub(crate) struct TokenDigest([u8; 32]);

impl TokenDigest {
    /// That of `secret`.
    pub fn of(secret: &str) -> Self {
        Self(Sha256::digest(secret).into())
    }
}

impl PartialEq for TokenDigest {
    fn eq(&self, other: &Self) -> bool {
        are_alike(&self.0, &other.0)
    }
}

impl AccessToken {
    /// Whether its time is over.
    pub fn is_expired(&self, now: Timestamp) -> bool {
        self.expires_at.is_some_and(|at| at <= now)
    }
}

impl fmt::Debug for AccessToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AccessToken")
            .field("id", &self.id)
            .field("name", &self.name)
            .field("application", &self.application)
            .field("read_only", &self.read_only)
            .field("portal", &self.portal)
            .field("created_at", &self.created_at)
            .field("expires_at", &self.expires_at)
            .finish_non_exhaustive()
    }
}
