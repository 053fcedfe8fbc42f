//! An application: a tenant of the platform.

use crate::model::secret::StoredSecret;
use crate::model::{ApplicationId, Timestamp};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::time::Duration;

/// A tenant of the platform (an organiser, a merchant, a partner); owns endpoints and events.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Application {
    /// Its id.
    pub id: ApplicationId,
    /// What people call it.
    pub name: String,
    /// The platform's own name for it, unique among applications.
    pub uid: Option<String>,
    /// The platform's own notes.
    pub metadata: BTreeMap<String, String>,
    /// Webhooks a second at most, over all of its endpoints together.
    pub rate_limit_per_second: Option<u32>,
    /// How long finished deliveries stay in the history; `None` for the engine's own setting.
    pub retention: Option<Duration>,
    /// Secrets that belong to the whole application, by provider (OpenCard's organisation).
    pub(crate) secrets: BTreeMap<String, Vec<StoredSecret>>,
    /// When it was deleted, if it was; its history stays until it expires.
    pub deleted_at: Option<Timestamp>,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it was last changed.
    pub updated_at: Timestamp,
}
