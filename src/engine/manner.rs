//! In what manner an attempt is sent, where a simulation has a say in it.

use crate::dispatch::Upload;
use crate::model::ReadyWebhook;
use crate::provider::SigningKey;
use std::sync::Arc;

/// How one attempt goes out.
#[derive(Default)]
pub(crate) struct Manner {
    /// How its body is uploaded.
    pub upload: Upload,
    /// What signs it instead of the endpoint's live secrets.
    pub keys: Option<Vec<SigningKey>>,
}

/// Says how the next attempt of a webhook goes out; see `EngineBuilder::director`.
pub(crate) type Director = Arc<dyn Fn(&ReadyWebhook) -> Manner + Send + Sync>;
